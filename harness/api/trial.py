"""One trial of a results folder, found by its id: its row, curve, log and kept weights; verified by retraining."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from lrlc.harness.api.one_trial import single_trial, train_trial
from lrlc.harness.api.surroundings import torch_as_it_was
from lrlc.harness.api.trial_ids import full_id
from lrlc.harness.errors import UserError
from lrlc.harness.named_store import stores_of
from lrlc.results import models
from lrlc.results.correct import correct_matrix
from lrlc.results.environments import Environment
from lrlc.results.names import layers_name
from lrlc.results.schema import TrialResult, TrialStatus
from lrlc.results.store import Store


@dataclass(frozen=True)
class FoundTrial:
    """A trial's row and the files that belong to it."""

    store: Store
    row: dict[str, Any]
    """The columns of `trials`, with None for null."""

    @property
    def id(self) -> str:
        return str(self.row["trial_id"])

    @property
    def study(self) -> str:
        """The study in whose results it was found."""
        return self.store.root.name

    @property
    def label(self) -> str:
        rank = f" rank {self.row['rank']:.0f}" if self.row["rank"] is not None else ""
        placement = f" {layers_name(self.row['placement'])}" if self.row["placement"] else ""
        return f"{self.row['dataset']} {self.row['kind']}{rank}{placement} seed {self.row['seed']}"

    @property
    def curve(self) -> pd.DataFrame:
        return self.store.curves([self.id])

    @property
    def environment(self) -> Environment | None:
        """The environment of the run that trained it; None for an earlier version, or if another study trained it."""
        if self.row["study"] != self.study:
            return None
        before = [each for each in self.store.environments() if each.since <= self.row["started_at"]]
        of_host = [each for each in before if each.host == self.row["host"]]
        return next(reversed(of_host or before), None)

    @property
    def log(self) -> str:
        return self.store.log(self.id)

    @property
    def kept(self) -> list[str]:
        """The files of its kept weights."""
        asked = [what for what in ("weights", "best_weights") if self.id in self.store.kept_models(what)]
        return [str(models.path(self.store.root, self.id, what)) for what in asked]

    def as_dict(self) -> dict[str, Any]:
        """JSON-able: the row, with its JSON texts parsed, plus `curve`, `log` and `kept`."""
        times = {name: self.row[name].isoformat() for name in ("started_at", "ended_at")}
        row = {**self.row, **times}
        read = {name: json.loads(row[name]) for name in ("options", "config", "versions")}
        curve = self.curve.drop(columns="trial_id").to_dict("records")
        made_with = None if self.environment is None else asdict(self.environment)
        if made_with is not None:
            made_with["since"] = made_with["since"].isoformat()
        beside = {"curve": curve, "log": self.log, "kept": self.kept, "environment": made_with}
        return {**row, **read, **beside}


def find_trial(prefix: str, results: str) -> FoundTrial:
    """The trial whose id begins with `prefix`, in any study below `results`; UserError if there is not exactly one."""
    store_by_id: dict[str, Store] = {}
    for store in stores_of(results):
        for each in store.trials(["trial_id"])["trial_id"]:
            store_by_id.setdefault(each, store)
    trial_id = full_id(prefix, store_by_id, f"--results {results}")
    return FoundTrial(store_by_id[trial_id], _row(store_by_id[trial_id], trial_id))


def verified(found: FoundTrial, data: Path | None) -> list[str]:
    """Retrain the trial in this process; returns a line for each number that differs, none if all are the same.

    Raises UserError if it did not finish, or if data, code or plugins have changed so that it would be another
    trial.
    """
    if found.row["status"] != TrialStatus.FINISHED:
        raise UserError(
            f"{found.id}: only a finished trial can be verified; this one is {found.row['status']}"
        )
    opened, trial = single_trial(_as_asked(found), data)
    if trial.id != found.id:
        raise UserError(
            f"{found.id}: its data, plugins or code have changed; trained now, it would be trial {trial.id}"
        )
    with torch_as_it_was():
        again = train_trial(opened, trial, data).result
    told = [*_curve_differences(found, again), *_test_differences(found, again)]
    return [*told, *_circumstances(found, again)] if told else []


def _as_asked(found: FoundTrial) -> dict[str, Any]:
    """The trial's configuration, with the plugins, metrics and threads of its study."""
    config: dict[str, Any] = json.loads(found.row["config"])
    record = found.store.study()
    if record is None:
        return config
    study = record.study
    metrics = {"metrics": study.measured.metrics}
    return {**config, "plugins": study.plugins, "measure": metrics, "resources": study.resources.model_dump()}


def _curve_differences(found: FoundTrial, again: TrialResult) -> list[str]:
    then, now = found.curve.set_index("epoch"), pd.DataFrame(map(vars, again.curve)).set_index("epoch")
    lines = []
    for name in ("train_loss", "train_accuracy", "validation_loss", "validation_accuracy"):
        differences = (now[name] - then[name]).abs()
        if (differs := differences != 0).any():
            first = differs.idxmax()
            lines.append(f"{name}: differs from epoch {first} on, by up to {differences.max():.3g}")
    return lines


def _test_differences(found: FoundTrial, again: TrialResult) -> list[str]:
    lines = []
    for name in ("test_accuracy", "test_loss"):
        then, now = found.row[name], getattr(again, name)
        if then != now:
            lines.append(f"{name}: {then:.6g} then, {now:.6g} now ({now - then:+.3g})")
    then_correct, now_correct = found.store.correct([found.id]), pd.DataFrame(map(vars, again.correct))
    if len(then_correct) and len(now_correct):
        changed = int(np.sum(correct_matrix(then_correct)[0] != correct_matrix(now_correct)[0]))
        lines += [f"test images classified differently: {changed} of {again.test_images}"] if changed else []
    return lines


def _circumstances(found: FoundTrial, again: TrialResult) -> list[str]:
    """Differences in the circumstances of the two trainings, which may be the reason."""
    lines = []
    if found.row["device"] != again.device:
        lines.append(f"device: {found.row['device']} then, {again.device} now")
    then, now = json.loads(found.row["versions"]), json.loads(again.versions)
    changed = [name for name in now if then.get(name) != now[name]]
    lines += [f"{name}: version {then.get(name, 'unknown')} then, {now[name]} now" for name in changed]
    return lines


def _row(store: Store, trial_id: str) -> dict[str, Any]:
    rows = store.trials()
    (row,) = rows[rows["trial_id"] == trial_id].to_dict("records")
    return {str(name): None if pd.isna(value) else value for name, value in row.items()}
