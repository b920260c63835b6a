"""matplotlib's setup for all figures: no window, and independent of the user's settings."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


def load() -> None:
    """Import matplotlib without MPLBACKEND, as a notebook's or misspelt one would make the import fail."""
    given = os.environ.pop("MPLBACKEND", None)
    try:
        import matplotlib as mpl

        mpl.rcParams  # noqa: B018 - created on this access
    finally:
        if given is not None:
            os.environ["MPLBACKEND"] = given


@contextmanager
def only(settings: Any) -> Iterator[None]:
    """Draw with matplotlib's own defaults and these settings, ignoring any matplotlibrc."""
    load()
    import matplotlib as mpl

    with mpl.rc_context():
        # rcParamsDefault also has the backend, which we must not switch.
        mpl.rcParams.update({name: value for name, value in mpl.rcParamsDefault.items() if name != "backend"})
        mpl.rcParams.update(settings)
        yield
