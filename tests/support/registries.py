"""Restore registries after a test, so that a name registered by one test's plugin is free for another's."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from lrlc import layers
from lrlc.harness.data import DATASETS
from lrlc.harness.measuring.metrics import METRICS
from lrlc.harness.registry import Registry
from lrlc.harness.training.augmentations import AUGMENTATIONS
from lrlc.harness.training.optimizers import OPTIMIZERS
from lrlc.harness.training.recipes import RECIPES
from lrlc.harness.training.schedules import SCHEDULES
from lrlc.results.figures.own import OWN

ALL: tuple[Any, ...] = (
    layers.LAYER_KINDS,
    layers.NETWORKS,
    DATASETS,
    OPTIMIZERS,
    SCHEDULES,
    AUGMENTATIONS,
    RECIPES,
    METRICS,
    OWN,
)


@contextmanager
def restored() -> Iterator[None]:
    """Remove what was registered inside."""
    before = [dict(each) for each in ALL]
    try:
        yield
    finally:
        for registry, entries in zip(ALL, before, strict=True):
            held = registry._entries if isinstance(registry, Registry) else registry
            held.clear()
            held.update(entries)
        for name in [name for name in sys.modules if name.startswith("lrlc_plugin_")]:
            del sys.modules[name]
