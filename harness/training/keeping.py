"""What a trial keeps of its network: weights after its last epoch, or after that of the best validation accuracy."""

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
    """The best weights so far, and the epoch that they are of."""

    epoch: int
    validation_accuracy: float
    state: dict[str, Tensor]

    def as_dict(self) -> dict[str, Any]:
        return dict(vars(self))


class Keeper:
    """Notes the best weights where a trial keeps them; `curve` and `best` are those of a checkpoint it goes on from.

    Of equally accurate epochs the first is the best one.
    """

    def __init__(
        self, trial: Trial, dataset: Dataset, curve: Sequence[EpochRecord], best: Best | None
    ) -> None:
        self._trial, self._dataset = trial, dataset
        self.best = best
        self._most = max((record.validation_accuracy for record in curve), default=-1.0)

    def note(self, record: EpochRecord, model: nn.Module) -> None:
        """Learn of an epoch's end."""
        if "best_weights" in self._trial.keep and record.validation_accuracy > self._most:
            self._most = record.validation_accuracy
            self.best = Best(record.epoch, record.validation_accuracy, _copy(model.state_dict()))

    def kept(self, last: EpochRecord, model: nn.Module) -> Iterator[KeptWeights]:
        """What the study asks for, after the last epoch.

        A trial that was first asked for its best weights after its best epoch, midway, has none.
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
    """On the CPU, each tensor by itself and contiguous, as a file of safetensors has them."""
    return {name: tensor.detach().to("cpu", copy=True).contiguous() for name, tensor in state.items()}


def _saved(state: State) -> bytes:
    buffer = io.BytesIO()
    torch.save(dict(state), buffer)
    return buffer.getvalue()
