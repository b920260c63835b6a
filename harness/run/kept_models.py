"""Kept weights of trials, which the driver writes as safetensors up to the study's `keep_gb`, and reading them back."""

import hashlib
import importlib.util
import io
import json
import math
from collections.abc import Collection, Iterable, Mapping
from functools import cached_property

import torch
from torch import Tensor, nn

from lrlc import layers
from lrlc.harness.errors import UserError
from lrlc.harness.text import counted
from lrlc.harness.training import from_conv
from lrlc.harness.trial import KeptWeights, Trial
from lrlc.results import damage, models
from lrlc.results.damage import Damage
from lrlc.results.schema import TrialStatus
from lrlc.results.store import Store
from lrlc.studies import Study, TrialConfig
from lrlc.studies.schema import Kept

GIGABYTE = 1e9
_EARLIER_SHA256 = "sha256"


def check_installed(study: Study) -> None:
    """UserError, before any training, if weights are to be kept but safetensors is not installed."""
    if study.keep and importlib.util.find_spec("safetensors") is None:
        raise UserError("keep: weights are written by safetensors: pip install 'lrlc-bench[weights]'")


class KeptModels:
    """The kept weights of a study; once they reach `limit_gb`, no more are kept, which is reported once."""

    def __init__(self, store: Store, limit_gb: float = math.inf) -> None:
        self._store, self._limit_gb, self._said = store, limit_gb, False

    def keep(self, trial_id: str, weights: KeptWeights) -> str | None:
        """Write the weights; returns the reason the first time that they are not written, else None."""
        content = as_safetensors(weights)
        if self._bytes + len(content) > GIGABYTE * self._limit_gb:
            first, self._said = not self._said, True
            return f"keep_gb: kept weights have reached {self._limit_gb:g} GB" if first else None
        self._store.keep_model(trial_id, weights.what, content)
        self._bytes += len(content)
        return None

    def take_from(self, other: Store, trial_ids: Collection[str], asked: Collection[Kept]) -> None:
        """Copy the weights that another study kept of these trials, if this study keeps them too, up to the limit."""
        for what in asked:
            for trial_id in set(trial_ids) & other.kept_models(what):
                content = damage.kept(other.model(trial_id, what))
                if content is not None and self._bytes + len(content) <= GIGABYTE * self._limit_gb:
                    self._store.keep_model(trial_id, what, content)
                    self._bytes += len(content)

    @cached_property
    def _bytes(self) -> int:
        return models.total_bytes(self._store.root)


def kept_lacking(store: Store, trials: Iterable[Trial], asked: Collection[Kept]) -> list[str]:
    """A line for each entry of `keep` that some of the finished trials lack."""
    rows = store.trials(["trial_id", "status"])
    finished = set(rows.loc[rows["status"] == TrialStatus.FINISHED, "trial_id"])
    ended = finished.intersection(trial.id for trial in trials)
    missing = {what: len(ended - store.kept_models(what)) for what in asked}
    return [f"{counted(n, 'finished trial')} without keep.{what}" for what, n in missing.items() if n]


def as_safetensors(weights: KeptWeights) -> bytes:
    """The state dict as a safetensors file, with the network's definition and room for a SHA-256 as metadata."""
    from safetensors.torch import save

    state = torch.load(io.BytesIO(weights.state), weights_only=True)
    saved: bytes = save(state, {**weights.about, "keep": weights.what, models.SHA256: models.BLANK})
    return saved


def as_model(weights: KeptWeights) -> nn.Module:
    """The network with its trial's final weights, for evaluation, on the CPU."""
    model = _network(weights.about, weights.about["trial_id"])
    model.load_state_dict(torch.load(io.BytesIO(weights.state), weights_only=True))
    return model.eval()


def kept_model(store: Store, trial_id: str, what: Kept) -> tuple[nn.Module, tuple[int, int, int]]:
    """The network for evaluation, on the CPU, and the shape (C, H, W) of its images.

    UserError if none was kept, its file is damaged, or its kind comes from a plugin that is not imported.
    """
    content = store.model(trial_id, what)
    if content is None:
        raise UserError(f"{trial_id}: no {what} of it were kept; `keep: [{what}]` in the study keeps them")
    if isinstance(content, Damage):
        raise UserError(f"{content.path}: is damaged: {content.reason}")
    model = _read_model(content, trial_id, what, str(models.path(store.root, trial_id, what)))
    channels, height, width = json.loads(_metadata(content)["image_shape"])
    return model, (channels, height, width)


def _read_model(content: bytes, trial_id: str, what: Kept, where: str) -> nn.Module:
    """The network in a file of kept weights; files of earlier versions have a SHA-256 of their tensors alone."""
    from safetensors.torch import load

    try:
        about, state = _metadata(content), load(content)
    except Exception as error:  # a damaged file can raise anything in the library
        raise UserError(f"{where}: is damaged ({type(error).__name__})") from error
    if models.SHA256 not in about and about.get(_EARLIER_SHA256) != _digest(state):
        raise UserError(f"{where}: is damaged: its SHA-256 does not match")
    if (about["trial_id"], about["keep"]) != (trial_id, what):
        raise UserError(f"{where}: holds the {about['keep']} of trial {about['trial_id']}")
    model = _network(about, where)
    if {name: each.dtype for name, each in model.state_dict().items()} != {
        name: each.dtype for name, each in state.items()
    }:
        raise UserError(f"{where}: is damaged: its tensors do not fit the network")
    model.load_state_dict(state)
    return model.eval()


def _network(about: Mapping[str, str], where: str) -> nn.Module:
    config = TrialConfig.of_canonical(json.loads(about["config"]))
    try:
        return layers.build_network(
            config.network,
            tuple(json.loads(about["image_shape"])),
            int(about["num_classes"]),
            kind=config.kind,
            rank=config.rank,
            placement=config.placement,
            options=from_conv.layer_options(config.options),
        )
    except layers.LayerError as error:
        raise UserError(
            f"{where}: {error}; if a plugin defines it, import it first, or go to the folder of its file"
        ) from error


def _metadata(content: bytes) -> dict[str, str]:
    """The metadata in the header, which is its length in 8 bytes, then JSON."""
    length = int.from_bytes(content[:8], "little")
    found: dict[str, str] = json.loads(content[8 : 8 + length])["__metadata__"]
    return found


def _digest(state: Mapping[str, Tensor]) -> str:
    digest = hashlib.sha256()
    for name in sorted(state):
        digest.update(f"{name}\n{tuple(state[name].shape)}\n".encode())
        digest.update(state[name].contiguous().flatten().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
