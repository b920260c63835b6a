"""The weights that a trial keeps: after its last epoch, or after the one with the best validation accuracy."""

import io
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from lrlc.harness.data import Dataset
from lrlc.harness.trial import KeptWeights, Trial
from lrlc.results.schema import EpochRecord

State = Mapping[str, Tensor]


@dataclass(frozen=True)
class Best:
    """The best weights so far, and their epoch."""

    epoch: int
    validation_accuracy: float
    state: dict[str, Tensor]

    def as_dict(self) -> dict[str, Any]:
        return dict(vars(self))


class Keeper:
    """Records the best weights if a trial keeps them; `curve` and `best` come from the checkpoint that it resumes from.

    Among equally accurate epochs the first is the best. `curve` is without the epochs of a convolution that the network
    starts as, whose weights are not the trial's.
    """

    def __init__(
        self, trial: Trial, dataset: Dataset, curve: Sequence[EpochRecord], best: Best | None
    ) -> None:
        self._trial, self._dataset = trial, dataset
        self.best = best
        self._most = max((record.validation_accuracy for record in curve), default=-1.0)

    def note(self, record: EpochRecord, model: nn.Module) -> None:
        """Update the best weights at the end of an epoch."""
        if "best_weights" in self._trial.keep and record.validation_accuracy > self._most:
            self._most = record.validation_accuracy
            self.best = Best(record.epoch, record.validation_accuracy, _copy(model.state_dict()))

    def kept(self, last: EpochRecord, model: nn.Module) -> Iterator[KeptWeights]:
        """The weights that the study keeps, after the last epoch.

        There are no best weights if `keep` was only added to the study after the trial's best epoch.
        """
        if "weights" in self._trial.keep:
            about = self._about(last.epoch, last.validation_accuracy)
            yield KeptWeights("weights", _saved(_copy(model.state_dict())), about)
        if self.best is not None:
            about = self._about(self.best.epoch, self.best.validation_accuracy)
            yield KeptWeights("best_weights", _saved(self.best.state), about)

    def _about(self, epoch: int, validation_accuracy: float) -> dict[str, str]:
        return {
            "trial_id": self._trial.id,
            "config": json.dumps(self._trial.config.canonical(), sort_keys=True),
            "image_shape": json.dumps(self._dataset.image_shape),
            "num_classes": str(self._dataset.num_classes),
            "epoch": str(epoch),
            "validation_accuracy": repr(validation_accuracy),
        }


def _copy(state: State) -> dict[str, Tensor]:
    """Copies on the CPU, separate and contiguous, as safetensors requires."""
    return {name: tensor.detach().to("cpu", copy=True).contiguous() for name, tensor in state.items()}


def _saved(state: State) -> bytes:
    buffer = io.BytesIO()
    torch.save(dict(state), buffer)
    return buffer.getvalue()
