"""Is convolution the right inductive bias? Layers, studies, a harness and its tables under one name.

The four packages are the folders beside this one: here they are links, in a wheel real folders. `lrlc.load` and what
else is for notebooks is imported when it is first asked for: `import lrlc` alone loads neither torch nor pandas.
"""

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lrlc.harness.api import events
    from lrlc.harness.api.loaded import StudyResults, load
    from lrlc.harness.api.one_trial import TrainedTrial, train
    from lrlc.harness.api.running import run
    from lrlc.harness.data.errors import DataError
    from lrlc.harness.errors import UserError
    from lrlc.layers import LayerError
    from lrlc.results.errors import StoreError
    from lrlc.studies import StudyError

__version__ = "0.1.0"

__all__ = [
    "DataError",
    "LayerError",
    "StoreError",
    "StudyError",
    "StudyResults",
    "TrainedTrial",
    "UserError",
    "events",
    "load",
    "run",
    "train",
]

_WHERE = {
    "load": "lrlc.harness.api.loaded",
    "run": "lrlc.harness.api.running",
    "train": "lrlc.harness.api.one_trial",
    "TrainedTrial": "lrlc.harness.api.one_trial",
    "StudyResults": "lrlc.harness.api.loaded",
    "UserError": "lrlc.harness.errors",
    "DataError": "lrlc.harness.data.errors",
    "StudyError": "lrlc.studies.errors",
    "StoreError": "lrlc.results.errors",
    "LayerError": "lrlc.layers.errors",
}


def __getattr__(name: str) -> object:
    if name == "events":
        return importlib.import_module("lrlc.harness.api.events")
    if name not in _WHERE:
        raise AttributeError(f"module 'lrlc' has no attribute {name!r}")
    return getattr(importlib.import_module(_WHERE[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
