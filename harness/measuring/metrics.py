"""Metrics by name: a number for each finished trial besides its accuracies and losses."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import torch
from torch import Tensor, nn

from lrlc.harness import plugins
from lrlc.harness.data import DeviceSplit
from lrlc.harness.errors import UserError, first_line
from lrlc.harness.measuring.evaluation import autocast, images_at_a_time
from lrlc.harness.registry import Registry
from lrlc.harness.text import say
from lrlc.results.measurements import MetricValue
from lrlc.results.schema import TABLES

Split = Literal["train", "validation", "test"]


@dataclass(frozen=True)
class Evaluated:
    """A trained network, in evaluation mode, on one split of its data."""

    network: nn.Module
    split: DeviceSplit
    batch_size: int
    precision: str

    def batches(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Images (n, C, H, W), scaled, and labels (n,), on the network's device."""
        size = images_at_a_time(self.split, self.batch_size)
        for indices in torch.split(torch.arange(self.split.count), size):
            yield self.split.gather(indices)

    @cached_property
    def logits(self) -> Tensor:
        """(images, classes) float32, on the CPU."""
        found = []
        with torch.no_grad():
            for images, _ in self.batches():
                with autocast(self.split.device, self.precision):
                    found.append(self.network(images))
        return torch.cat(found).float().cpu()

    @cached_property
    def labels(self) -> Tensor:
        """(images,), on the CPU."""
        return torch.cat([labels for _, labels in self.batches()]).cpu()


Metric = Callable[[Evaluated], float]
METRICS: Registry[Metric] = Registry("metric")
_COLUMNS = frozenset(column.name for column in TABLES["trials"])


def metric(name: str, *, split: Split = "validation") -> Callable[[Metric], Metric]:
    """Register `(evaluated) -> number` as the metric `name`, measured on this split of the data.

    A search can use it as an objective or constraint if it is measured on the validation split. UserError if it has the
    name of a column.
    """
    if name in _COLUMNS:
        raise UserError(f"the metric {name!r} has the name of a column of the trials table; give it another")
    return METRICS.register(name, settings=split)


def metric_values(
    names: tuple[str, ...],
    network: nn.Module,
    splits: Mapping[str, DeviceSplit],
    batch_size: int,
    precision: str,
) -> tuple[MetricValue, ...]:
    """The values of these metrics; those on the same split share the network's outputs.

    A failing metric is left out and reported in a line, and the trained trial keeps its row. Running out of memory is
    not a metric's failure but the trial's.
    """
    network.eval()
    on = {split: Evaluated(network, held, batch_size, precision) for split, held in splits.items()}
    found = []
    for name in names:
        try:
            found.append(MetricValue(name, float(METRICS[name].build(on[METRICS[name].settings]))))
        except (MemoryError, torch.OutOfMemoryError):
            raise
        except (Exception, SystemExit) as error:
            told = (
                plugins.blamed(error)
                or f"{METRICS[name].source}: {type(error).__name__}: {first_line(error)}"
            )
            say(f"metric {name!r} failed and is left out: {told}")
    return tuple(found)
