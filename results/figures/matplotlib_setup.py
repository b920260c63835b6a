"""matplotlib's setup for all figures: no window, and independent of the user's settings."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


def load() -> None:
    """Import matplotlib without MPLBACKEND: a notebook's or a misspelt one would stop the import."""
    given = os.environ.pop("MPLBACKEND", None)
    try:
        import matplotlib as mpl

        mpl.rcParams  # noqa: B018 - made here
    finally:
        if given is not None:
            os.environ["MPLBACKEND"] = given


@contextmanager
def only(settings: Any) -> Iterator[None]:
    """Draw with matplotlib's own defaults and these settings; a matplotlibrc counts for nothing meanwhile."""
    load()
    import matplotlib as mpl

    with mpl.rc_context():
        # Beside the colour cycle and such things rcParamsDefault has the backend, which is not ours to switch.
        mpl.rcParams.update({name: value for name, value in mpl.rcParamsDefault.items() if name != "backend"})
        mpl.rcParams.update(settings)
        yield
