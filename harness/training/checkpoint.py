"""A trial in mid-training, saved and restored."""

import io
import logging

import torch
from torch import nn
from torch.optim import Optimizer

from lrlc.harness.trial import Checkpoint
from lrlc.results.schema import EpochRecord

_log = logging.getLogger(__name__)


def as_bytes(checkpoint: Checkpoint) -> bytes:
    """For a file; `from_bytes` reads it."""
    buffer = io.BytesIO()
    torch.save({"curve": [vars(record) for record in checkpoint.curve], "state": checkpoint.state}, buffer)
    return buffer.getvalue()


def from_bytes(content: bytes) -> Checkpoint | None:
    """None, and a line in the log, if `content` is not a whole checkpoint."""
    try:
        found = torch.load(io.BytesIO(content), weights_only=True)
        return Checkpoint(tuple(EpochRecord(**record) for record in found["curve"]), found["state"])
    except Exception as error:  # a torn file fails in any layer of torch.load
        _log.warning("a checkpoint could not be read; its trial begins anew: %s", error)
        return None


def take(model: nn.Module, optimizer: Optimizer, curve: tuple[EpochRecord, ...]) -> Checkpoint:
    """The trial as it is after the last epoch of `curve`."""
    buffer = io.BytesIO()
    torch.save({"model": model.state_dict(), "optimizer": optimizer.state_dict()}, buffer)
    return Checkpoint(curve, buffer.getvalue())


def restore(checkpoint: Checkpoint, model: nn.Module, optimizer: Optimizer, device: torch.device) -> None:
    """Set model and optimizer to what `take` saw, on `device`."""
    state = torch.load(io.BytesIO(checkpoint.state), map_location=device, weights_only=True)
    model.load_state_dict(state["model"])
    # The groups' settings are the optimizer's own: on a GPU the learning rate is a tensor, on a CPU a number.
    groups = optimizer.state_dict()["param_groups"]
    optimizer.load_state_dict({**state["optimizer"], "param_groups": groups})
