"""Widths of layers that are matched by training time: measured when a study is planned, and then recorded.

Times differ between machines and from run to run. A width is therefore resolved before a trial gets its id, into the
layer option `width`, and later plans of the study use the recorded width on any machine.
"""

import dataclasses
import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import cache, cached_property

import torch

from lrlc import layers
from lrlc.harness import provenance
from lrlc.harness.data import Dataset
from lrlc.harness.plan.probe import probe
from lrlc.harness.plan.reuse import stores_beside
from lrlc.harness.text import NowAndThen, say
from lrlc.harness.training.train import CODE_EPOCH
from lrlc.harness.trial import Trial
from lrlc.results.store import Store
from lrlc.results.widths import MeasuredFor, MeasuredWidth
from lrlc.studies import TrialConfig, placement_text

BATCHES = {"cpu": 4, "cuda": 64}
EPOCHS = 4
"""The first is a warm-up; the fastest of the others counts, as disturbances only make a measurement longer."""
RESOLUTION = 0.03
"""Widths that differ by a smaller share count as equal, as no measurement can distinguish them."""


def asks_for_time(config: TrialConfig) -> bool:
    """Whether the cell's width must be measured."""
    kind = layers.LAYER_KINDS[config.kind]
    if kind.matched_to is None:
        return False
    match = layers.match_of(kind, dict(config.options))
    return match.by == "train_seconds" and match.width is None


class Widths:
    """Recorded widths, and those measured since. `record` is read when the first width is needed."""

    def __init__(self, record: Callable[[], Iterable[MeasuredWidth]] = tuple, *, threads: int = 1) -> None:
        self._record, self._threads, self._lines = record, threads, NowAndThen()
        self.used: dict[MeasuredFor, MeasuredWidth] = {}
        """The widths used by trials of this study."""

    @staticmethod
    def of(store: Store, *, threads: int) -> "Widths":
        """Use the record of `store`, then those of the stores beside it, so that all studies share a measurement."""

        def record() -> Iterator[MeasuredWidth]:
            yield from store.widths()
            for other in stores_beside(store):
                yield from Store(other).widths()

        return Widths(record, threads=threads)

    def resolved(
        self, config: TrialConfig, load: Callable[[], Dataset], plugins: str | None = None
    ) -> TrialConfig:
        """The cell with its `width` as an option if it is matched by time; otherwise unchanged.

        `plugins` is the digest of those that define parts of it.
        """
        if not asks_for_time(config):
            return config
        dataset = load()
        key = _key(config, dataset, plugins)
        if key not in self._known:
            about = f"measuring how many channels of {_label(config)} take as long as what is matched"
            with _threads(self._threads), self._lines.about(about):
                self._known[key] = _measure(key, config, dataset)
            say(_line(self._known[key], config))
        self.used[key] = self._known[key]
        options = {**dict(config.options), "width": self._known[key].width}
        return dataclasses.replace(config, options=tuple(sorted(options.items())))

    @cached_property
    def _known(self) -> dict[MeasuredFor, MeasuredWidth]:
        found: dict[MeasuredFor, MeasuredWidth] = {}
        for each in self._record():
            found.setdefault(each.measured_for, each)
        return found


def _key(config: TrialConfig, dataset: Dataset, plugins: str | None) -> MeasuredFor:
    return MeasuredFor(
        image_shape=dataset.image_shape,
        num_classes=dataset.num_classes,
        network=config.network,
        kind=config.kind,
        rank=config.rank,
        placement=placement_text(config.placement),
        options=json.dumps(dict(config.options), sort_keys=True),
        batch_size=config.train.batch_size,
        precision=config.train.precision,
        plugins=plugins,
    )


def _measure(key: MeasuredFor, config: TrialConfig, dataset: Dataset) -> MeasuredWidth:
    match = layers.match_of(layers.LAYER_KINDS[config.kind], dict(config.options))
    options = tuple((name, value) for name, value in config.options if name in match.options)
    target = dataclasses.replace(config, kind=match.to.name, options=options)

    @cache
    def both_at(width: int) -> tuple[float, float]:
        """Times of both, measured one right after the other, as a machine's speed drifts."""
        widened = dataclasses.replace(config, options=(*config.options, ("width", width)))
        return _step_seconds(widened, dataset), _step_seconds(target, dataset)

    def ratio(width: int) -> float:
        ours, theirs = both_at(width)
        return ours / theirs

    width = layers.nearest_width(ratio, 1.0, within=RESOLUTION)
    return MeasuredWidth(key, width, *both_at(width), _device_name())


def _step_seconds(config: TrialConfig, dataset: Dataset) -> float:
    trial = Trial("", config, "", dataset.digest, CODE_EPOCH)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    _, *warm = probe(trial, dataset, BATCHES[device], EPOCHS)
    return config.train.batch_size * min(warm)


def _device_name() -> str:
    return torch.cuda.get_device_name() if torch.cuda.is_available() else provenance.cpu_name()


def _line(found: MeasuredWidth, config: TrialConfig) -> str:
    return (
        f"{_label(config)}: {found.width} channels take {1e3 * found.step_seconds:.3g} ms a step, what is matched "
        f"{1e3 * found.matched_step_seconds:.3g} ms (measured on {found.device})"
    )


def _label(config: TrialConfig) -> str:
    return Trial("", config, "", "", CODE_EPOCH).cell_label


@contextmanager
def _threads(count: int) -> Iterator[None]:
    """Use a worker's number of threads, which the study sets."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
