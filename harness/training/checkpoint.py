"""A trial in mid-training, saved and restored.

A file starts with a line with the format, the trial's id and the SHA-256 of both the id and the rest, followed by what
torch saved. torch itself does not check its archives, so a flipped bit would be a changed weight.
"""

import hashlib
import io
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Protocol

import torch
from torch import nn
from torch.optim import Optimizer

from lrlc.harness.training.keeping import Best
from lrlc.harness.trial import Checkpoint
from lrlc.results.schema import EpochRecord

_FORMAT = b"lrlc checkpoint 2"


class Stateful(Protocol):
    """An object whose state a checkpoint can hold, such as torch's modules."""

    def state_dict(self) -> dict[str, Any]: ...

    def load_state_dict(self, state: Mapping[str, Any], /) -> object: ...


NOTHING: Mapping[str, Stateful] = MappingProxyType({})


class WrongCheckpoint(ValueError):  # noqa: N818
    """A file that is not this trial's intact checkpoint; the message continues 'its checkpoint ...'."""


def as_bytes(checkpoint: Checkpoint, trial_id: str) -> bytes:
    """The content of a checkpoint file, for `from_bytes` to read."""
    buffer = io.BytesIO()
    saved = {
        "curve": [vars(record) for record in checkpoint.curve],
        "state": checkpoint.state,
        "seconds": checkpoint.seconds,
    }
    torch.save(saved, buffer)
    content = buffer.getvalue()
    return b"\n".join((_FORMAT, trial_id.encode(), _digest(trial_id, content), content))


def from_bytes(content: bytes, trial_id: str) -> Checkpoint:
    """The checkpoint that was saved for the trial; WrongCheckpoint if `content` is anything else."""
    head, _, rest = content.partition(b"\n")
    if head != _FORMAT:
        raise WrongCheckpoint("is damaged, or of another version")
    owner, _, rest = rest.partition(b"\n")
    digest, _, saved = rest.partition(b"\n")
    if digest != _digest(owner.decode(errors="replace"), saved):
        raise WrongCheckpoint("is damaged: its SHA-256 does not match")
    if owner != trial_id.encode():
        raise WrongCheckpoint(f"is that of another trial, {owner.decode()}")
    try:
        found = torch.load(io.BytesIO(saved), weights_only=True)
        curve = tuple(EpochRecord(**record) for record in found["curve"])
        seconds = found.get("seconds", sum(record.seconds for record in curve))  # earlier versions lack it
        return Checkpoint(curve, found["state"], seconds)
    except Exception as error:  # written by another version of torch or lrlc
        raise WrongCheckpoint(f"cannot be read here ({type(error).__name__})") from error


def _digest(trial_id: str, content: bytes) -> bytes:
    return hashlib.sha256(trial_id.encode() + b"\n" + content).hexdigest().encode()


def take(
    model: nn.Module,
    optimizer: Optimizer,
    curve: tuple[EpochRecord, ...],
    best: Best | None = None,
    others: Mapping[str, Stateful] = NOTHING,
    seconds: float = 0.0,
) -> Checkpoint:
    """A checkpoint of the trial after the last epoch of `curve`, with the best weights so far if they are to be kept.

    `others` are further objects with a state, by name: an average of weights, a recipe. `seconds` is the trial's time
    so far.
    """
    state = {"model": model.state_dict(), "optimizer": optimizer.state_dict()}
    if best is not None:
        state["best"] = best.as_dict()
    state |= {name: other.state_dict() for name, other in others.items()}
    buffer = io.BytesIO()
    torch.save(state, buffer)
    return Checkpoint(curve, buffer.getvalue(), seconds)


def best_of(checkpoint: Checkpoint) -> Best | None:
    """The best weights so far, if `take` was given them."""
    saved = torch.load(io.BytesIO(checkpoint.state), map_location="cpu", weights_only=True)
    return Best(**saved["best"]) if "best" in saved else None


def restore(
    checkpoint: Checkpoint,
    model: nn.Module,
    optimizer: Optimizer,
    device: torch.device,
    others: Mapping[str, Stateful] = NOTHING,
) -> bool:
    """Restore all of these as `take` saved them, on `device`; False, leaving them undefined, if they do not fit."""
    state = torch.load(io.BytesIO(checkpoint.state), map_location=device, weights_only=True)
    # The groups' settings stay those of the optimizer: the learning rate is a tensor on a GPU, a number on a CPU.
    groups = optimizer.state_dict()["param_groups"]
    try:
        model.load_state_dict(state["model"])
        optimizer.load_state_dict({**state["optimizer"], "param_groups": groups})
        for name, other in others.items():
            other.load_state_dict(state[name])
    except (KeyError, RuntimeError, ValueError) as error:
        if isinstance(error, torch.OutOfMemoryError):
            raise
        return False
    return _same_shapes(optimizer)


def _same_shapes(optimizer: Optimizer) -> bool:
    """Whether each momentum has the shape of its parameter, which torch does not check."""
    return all(
        value.shape == parameter.shape
        for parameter, state in optimizer.state.items()
        for value in state.values()
        if isinstance(value, torch.Tensor) and value.ndim
    )
