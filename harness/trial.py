"""A trial on its way through the harness, and the row it gets before anything is measured."""

import json
import os
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from lrlc.harness import provenance
from lrlc.harness.cell_names import changed_names, layer_label, named_settings
from lrlc.results.schema import TABLES, EpochRecord, TrialResult, TrialStatus
from lrlc.studies.dataset_spec import DatasetSpec
from lrlc.studies.places import placement_text
from lrlc.studies.schema import Kept, Measure
from lrlc.studies.training import as_columns
from lrlc.studies.trial_config import TrialConfig

_COLUMNS = frozenset(column.name for column in TABLES["trials"])


@dataclass(frozen=True)
class Trial:
    """One training run: what defines it, and the suggestion of the search that requested it, if any."""

    id: str
    config: TrialConfig
    study: str
    data_digest: str
    code_epoch: int
    search_number: int | None = None
    measure: Measure = field(default_factory=Measure)
    """The study's measurements at its end; not part of its identity."""
    keep: tuple[Kept, ...] = ()
    """The weights that the study keeps; not part of its identity either."""
    tries: str = ""
    """The setting that a pilot tries: 'learning rate 0.1'."""
    attempts: int = 1
    deaths: int = 0
    """Attempts that ended with the worker's death, not counting lost nodes."""
    gpu_fraction: float | None = None
    alone: bool = False
    """Whether it must not share a GPU, because it ran out of memory on a shared one."""

    distinguishing: tuple[str, ...] | None = None
    """The names of the settings that distinguish it from its study's other trials; None if it has no study."""

    @property
    def label(self) -> str:
        """For display: 'mnist lrlc rank 4 layers 1+2+3 seed 0', or 'mnist conv, learning rate 0.1, seed 0'."""
        comma = "," if self._named else ""
        return f"{self.cell_label}{comma} seed {self.config.seed}"

    @property
    def cell_label(self) -> str:
        """The label without the seed: the layers, and the settings in which the cells of the study differ.

        A pilot's also has the setting it tries. Without a study, settings of training with a changed default are named.
        """
        return ", ".join([layer_label(self.config), *self._named])

    @property
    def _named(self) -> list[str]:
        names = changed_names(self.config) if self.distinguishing is None else self.distinguishing
        return [*named_settings(self.config, names), *filter(None, [self.tries])]


@dataclass(frozen=True)
class Checkpoint:
    """Everything that the rest of a trial depends on; `state` is that of network and optimizer, saved by torch.

    The order of the images and all other randomness follow from the seed and the epoch.
    """

    curve: tuple[EpochRecord, ...]
    state: bytes
    seconds: float = 0.0
    """The trial's time so far, including evaluation."""


@dataclass(frozen=True)
class KeptWeights:
    """A trial's kept weights, saved by torch, and what is needed to rebuild its network."""

    what: Kept
    state: bytes
    about: dict[str, str]


Record = EpochRecord | Checkpoint | KeptWeights | TrialResult
"""What a trial yields while it trains."""


def blank_result(trial: Trial, error: str | None = None) -> TrialResult:
    """A FAILED row with the trial's identity and settings, and nothing measured.

    Settings of the trial, its configuration or its training with a column of the same name need no line here.
    """
    config, now = trial.config, datetime.now(UTC)
    return TrialResult(
        **{
            **_by_name(config.train, config, trial),
            **as_columns(config.train),
            **_of_data_set(config.dataset),
            **_of_code(),
            "trial_id": trial.id,
            "status": TrialStatus.FAILED,
            "error": error,
            "placement": placement_text(config.placement),
            "options": json.dumps(dict(config.options), sort_keys=True),
            "config": json.dumps(config.canonical(), sort_keys=True),
            "started_at": now,
            "ended_at": now,
        }
    )


def _by_name(*settings: object) -> dict[str, Any]:
    """The attributes with a column of the same name."""
    return {name: value for each in settings for name, value in vars(each).items() if name in _COLUMNS}


def _of_data_set(spec: DatasetSpec) -> dict[str, Any]:
    """Listed explicitly, because a row's `train_images` counts the images used, not those requested."""
    return {
        "dataset": spec.title,
        "dataset_name": spec.name or str(spec.path),
        "translate": spec.translate,
        "draw": spec.draw if spec.draw != "first" else None,
        "shuffle_labels": spec.shuffle_labels,
        "label": spec.label,
    }


def _of_code() -> dict[str, Any]:
    code = provenance.code()
    return {
        "git_commit": code.git_commit,
        "git_dirty": code.git_dirty,
        "versions": provenance.versions(),
        "host": provenance.host(),
        "backend": os.environ.get("LRLC_BACKEND"),
    }


def stopped_result(
    known: TrialResult, curve: tuple[EpochRecord, ...], status: TrialStatus, error: str | None = None
) -> TrialResult:
    """Complete the row of a stopped trial from its last known state and its epochs so far."""
    now = datetime.now(UTC)
    last = curve[-1] if curve else None
    return replace(
        known,
        status=status,
        error=error,
        curve=curve,
        epochs_run=len(curve),
        train_loss=last.train_loss if last else None,
        train_accuracy=last.train_accuracy if last else None,
        validation_loss=last.validation_loss if last else None,
        validation_accuracy=last.validation_accuracy if last else None,
        train_seconds=sum(record.seconds for record in curve),
        total_seconds=(now - known.started_at).total_seconds(),
        ended_at=now,
    )
