"""Choose a setting for each group of cells from the rows of a study's pilots."""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from lrlc.harness.plan.planning import PilotTrials, settled_ids
from lrlc.harness.text import counted
from lrlc.results.schema import TrialStatus
from lrlc.results.store import Store
from lrlc.results.tuning import Tried, Tuned, details, setting_name
from lrlc.studies import Group, Setting, TrialConfig, placement_text


def settled(pilots: Iterable[PilotTrials], store: Store) -> list[PilotTrials]:
    """The groups whose pilots all have rows, so that their settings are known."""
    done = settled_ids(store)
    return [each for each in pilots if each.ids <= done]


def choices(pilots: Sequence[PilotTrials], store: Store) -> tuple[dict[Group, Setting], list[Tuned]]:
    """The setting of each group, for the planner, and how it was chosen, for the report."""
    rows = store.trials(["trial_id", "status", "validation_accuracy"])
    finished = rows[rows["status"] == TrialStatus.FINISHED]
    accuracies = dict(zip(finished["trial_id"], finished["validation_accuracy"], strict=True))
    found = [_tuned(each, accuracies) for each in pilots]
    chosen: dict[Group, Setting] = {
        each.pilots.group: list(each.trials)[tuned.tried.index(tuned.chosen)]
        for each, tuned in zip(pilots, found, strict=True)
    }
    return chosen, found


def lines(found: Sequence[Tuned]) -> list[str]:
    """A line for each group: the chosen setting, and a warning if it is at the edge of the tuning grid."""
    return [_line(each, detail) for each, detail in zip(found, details(found), strict=True)]


def _tuned(pilots: PilotTrials, accuracies: Mapping[str, float]) -> Tuned:
    config, short = pilots.pilots.cell, next(iter(pilots.trials.values()))[0].config
    tried = [
        Tried(
            {axis: _value(trials[0].config, axis, value) for axis, value in setting},
            {trial.config.seed: accuracies.get(trial.id) for trial in trials},
        )
        for setting, trials in pilots.trials.items()
    ]
    axes = tried[0].setting
    options = {name: value for name, value in config.options if f"layer.{name}" not in axes}
    training = {
        name: value for name, value in config.train.model_dump().items() if f"train.{name}" not in axes
    }
    return Tuned(
        dataset=config.dataset.title,
        network=config.network,
        kind=config.kind,
        options=json.dumps(options, sort_keys=True),
        rank=config.rank,
        placement=placement_text(config.placement),
        trained={"train_images": config.dataset.train_images, "draw": config.dataset.draw, **training},
        pilot_epochs=short.train.epochs,
        tried=tuple(tried),
    )


def _value(config: TrialConfig, axis: str, given: object) -> Any:
    """The value as in trials, since 1e-3 in a study file is a text."""
    group, _, name = axis.partition(".")
    return getattr(config.train, name) if group == "train" else given


def _line(tuned: Tuned, detail: str) -> str:
    chosen = tuned.chosen
    what = " ".join([tuned.dataset, tuned.kind, *(f"{k} {v}" for k, v in json.loads(tuned.options).items())])
    where = f"{what} ({detail})" if detail else what
    count = len(chosen.accuracies)
    told = f"validation {chosen.mean:.1%}, {counted(count, 'pilot')}"
    if chosen.finished < count:
        told = (
            f"of {counted(count, 'pilot')} only {chosen.finished} finished"
            if chosen.finished
            else "no pilot finished"
        )
    edges = [f"the {edge} tried" for edge in tuned.edges.values()]
    warning = f"; {', '.join(edges)}: widen tune.grid" if edges else ""
    return f"{where}: {setting_name(chosen.setting)} ({told}){warning}"
