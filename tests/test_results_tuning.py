"""From pilots to a choice, its record and its section of the report; the grid's trials and their shorter ones."""

import json
import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import scipy.stats
from support.report_samples import small_store
from support.results_samples import result, study, tuned

from lrlc.results.claims.better_settings import better_settings
from lrlc.results.plans import TUNED, Stage, StagedPlan
from lrlc.results.report import Format, write_report
from lrlc.results.schema import TrialResult, TrialStatus, to_tables
from lrlc.results.statistics.length import COLUMNS, length_pairs
from lrlc.results.store import Store
from lrlc.results.tuning import Tried, details, setting_name
from lrlc.studies import Study


def tried(rate: float, *accuracies: float | None, **more: object) -> Tried:
    return Tried({"train.learning_rate": rate, **more}, dict(enumerate(accuracies)))


@pytest.mark.parametrize(
    ("pilots", "chosen"),
    [
        ((tried(0.1, 0.8, 0.8), tried(0.2, 0.9, 0.8), tried(0.4, 0.7, 0.9)), 0.2),
        ((tried(0.2, 0.8, 0.7), tried(0.1, 0.7, 0.8)), 0.1),  # equal: the smaller rate
        ((tried(0.1, 0.2, 0.1), tried(0.2, 0.99, None)), 0.1),  # one that diverged is worst
        ((tried(0.2, None, None), tried(0.1, 0.1, None)), 0.1),
        ((tried(0.2, None, None), tried(0.1, None, None)), 0.1),
    ],
)
def test_the_best_mean_of_the_most_pilots_is_chosen(pilots: tuple[Tried, ...], chosen: float) -> None:
    found = replace(tuned("mnist", "conv", 0.1), tried=pilots)
    assert found.chosen.setting["train.learning_rate"] == chosen


def test_a_choice_at_the_edge_of_numbers_is_named() -> None:
    assert tuned("mnist", "conv", 0.4).edges == {"train.learning_rate": "highest"}
    assert tuned("mnist", "conv", 0.05).edges == {"train.learning_rate": "lowest"}
    assert tuned("mnist", "conv", 0.1).edges == {}
    words = (tried(0.1, 0.8, share="none"), tried(0.1, 0.9, share="rows"))
    assert replace(tuned("mnist", "lrlc", 0.1), tried=words).edges == {"train.learning_rate": "highest"}


def test_the_record_is_read_back_as_it_was_and_by_profile(tmp_path: Path) -> None:
    store, found = (
        Store(tmp_path),
        [tuned("mnist", "conv", 0.1, diverged=(0.4,)), tuned("mnist", "lrlc", 0.2)],
    )
    assert store.tuning() == []
    store.write_study(Study(name="s"), "cpu")
    store.write_tuning(found, "cpu")
    assert store.tuning("cpu") == store.tuning() == found
    told = json.loads((tmp_path / "tuning.json").read_text())["profiles"]["cpu"]["tuned"][1]
    assert (told["chosen"], told["edges"]) == ({"train.learning_rate": 0.2}, {})
    store.write_tuning([], "cpu")
    assert store.tuning() == []


def test_groups_of_one_kind_are_told_apart_by_how_they_train() -> None:
    few, many = (
        replace(tuned("mnist", "conv", 0.1), trained={"epochs": 10, "train_images": count})
        for count in (100, 1000)
    )
    assert details([few, many, tuned("mnist", "lrlc", 0.1)]) == ["train images 100", "train images 1000", ""]
    assert (
        setting_name({"train.learning_rate": 0.1, "layer.share": "rows"}) == "learning rate 0.1, share rows"
    )


GAINS = (0.01, 0.012, 0.014)
NAMED = (
    "CelebA Smiling, shifted ≤ 8 px, LRLC rank 4, layers 1+3, share rows: learning rate 0.05 is 1.20 points "
    "({low:.2f} to {high:.2f}) better on validation than learning rate 0.2, which its pilots chose (3 seeds, other)"
)


def at_rate(rate: float, seed: int, **changes: Any) -> TrialResult:
    """A trial with a full configuration; `changes` with a dot in their name are of the configuration alone."""
    config: dict[str, Any] = {"seed": seed, "dataset": {}, "train": {"learning_rate": rate}}
    for place, value in changes.items():
        if "." in place:
            section, name = place.split(".")
            config[section][name] = value
    columns = {name: value for name, value in changes.items() if "." not in name}
    text = json.dumps(config)
    name = f"{rate} {seed} {changes}"
    return replace(result(name, learning_rate=rate, seed=seed, config=text), **columns)


def better_than_chosen(
    folder: Path, rows: Sequence[TrialResult], *, chosen: float = 0.2, planned: bool = True
) -> list[str]:
    """Beside a study trained at rate 0.2, whose pilots chose `chosen`, another one with these rows."""
    mine, other = (Store(folder / name) for name in ("mine", "other"))
    own = [at_rate(0.2, seed) for seed in range(5)]
    mine.commit(own)
    tuned_ids = {row.trial_id: ("learning_rate",) for row in own}
    mine.write_plan(None, StagedPlan({Stage.GRID: list(tuned_ids)}, tuned_ids))
    mine.write_tuning([replace(tuned("celeba:Smiling+t8", "lrlc", chosen), network="three_layer")])
    other.commit(rows)
    other.write_plan(None, [row.trial_id for row in rows] if planned else ["of another code"])
    return list(map(str, better_settings(mine, None, [other])))


def better(**changes: Any) -> list[TrialResult]:
    """Trials at rate 0.05, better by GAINS."""
    gains = {seed: {"validation_accuracy": 0.7 + gain} | changes for seed, gain in enumerate(GAINS)}
    return [at_rate(0.05, seed, **each) for seed, each in gains.items()]


def test_a_setting_that_another_study_shows_to_be_better_than_the_chosen_one_is_named(tmp_path: Path) -> None:
    low, high = scipy.stats.t.interval(0.95, 2, 1.2, 0.2 / math.sqrt(3))
    again = better(device="cpu")[0]  # the same seed twice counts once
    (said,) = better_than_chosen(tmp_path, [*better(), replace(again, trial_id="again")])
    assert said == NAMED.format(low=low, high=high)


@pytest.mark.parametrize(
    "changes",
    [
        {"train.epochs": 1},
        {"train.momentum": 0.5},
        {"dataset.evaluation_images": 100},
        {"device": "another GPU"},
        {"data_digest": "e" * 16},
        {"status": TrialStatus.DIVERGED},
        {"validation_accuracy": 0.6},
    ],
    ids=str,
)
def test_only_trials_alike_but_for_the_tuned_setting_can_be_better(
    changes: dict[str, Any], tmp_path: Path
) -> None:
    assert better_than_chosen(tmp_path, better(**changes)) == []


def test_neither_two_seeds_nor_stale_rows_nor_the_setting_itself_nor_one_without_pilots_is_named(
    tmp_path: Path,
) -> None:
    same = [replace(row, learning_rate=0.2, config=at_rate(0.2, row.seed).config) for row in better()]
    assert better_than_chosen(tmp_path / "two", better()[:2]) == []
    assert better_than_chosen(tmp_path / "stale", better(), planned=False) == []
    assert better_than_chosen(tmp_path / "same", same) == []
    assert better_than_chosen(tmp_path / "fixed", better(), chosen=0.1) == []


def test_the_report_has_the_choices_and_those_at_the_edge(tmp_path: Path) -> None:
    store = small_store(tmp_path)
    store.write_tuning([tuned("mnist", "conv", 0.1), tuned("mnist", "lrlc", 0.4, diverged=(0.2,))], "smoke")
    page = write_report(store, tmp_path / "report.md", form=Format.MARKDOWN).read_text()
    section = page.partition("## Tuning by kind")[2].partition("## Figures")[0]
    conv, lrlc = (line for line in section.splitlines() if line.startswith("| MNIST"))
    assert "learning rate 0.1" in conv
    assert "highest tried" not in conv
    assert "learning rate 0.4" in lrlc
    assert "highest tried" in lrlc
    assert "tried: 1 of 2." in section
    assert "![Tuning](report_files/tuning.png)" in page


def test_a_plan_keeps_stages_and_settings_that_were_tuned(tmp_path: Path) -> None:
    store = Store(tmp_path)
    rates = {"a": 0.1, "b": 0.2, "pilot": 0.4, "short": 0.1}
    store.commit([result(name, learning_rate=rate, batch_size=64) for name, rate in rates.items()])
    stages = {Stage.GRID: ["a", "b", "short"], Stage.TUNE: ["pilot"], Stage.LENGTH: ["short", "not yet"]}
    store.write_plan(
        None, StagedPlan(stages, {"a": ("learning_rate",), "b": ("learning_rate", "batch_size")})
    )
    grid = store.planned_trials(columns=["trial_id", "learning_rate", "batch_size"])
    assert grid.to_numpy().tolist() == [["a", TUNED, 64], ["b", TUNED, TUNED], ["short", 0.1, 64]]
    assert list(store.planned_trials(stage="length")["trial_id"]) == ["short"]
    assert list(store.planned_trials(stage="tune", columns=["learning_rate"])["learning_rate"]) == [0.4]
    assert store.plan() == {"a", "b", "pilot", "short", "not yet"}
    assert store.plan(stage=Stage.GRID) == {"a", "b", "short"}
    assert store.trials(["learning_rate"])["learning_rate"].tolist() == [0.1, 0.2, 0.4, 0.1]
    again = store.staged_plan()
    assert again is not None
    assert again.of_stage(Stage.LENGTH) == {"short", "not yet"}
    assert set(again.tuned) == {"a", "b"}


def test_each_trial_is_paired_with_the_shorter_one_of_its_cell_and_seed() -> None:
    grid = study(("mnist",), 3, (1, 2), ("3",), wide_ranks=(2,))
    halves = [
        replace(row, trial_id=f"h{row.trial_id}", epochs=5, test_accuracy=(row.test_accuracy or 0) - 0.01)
        for row in grid
        if row.seed < 2
    ]
    halves[0] = replace(halves[0], status=TrialStatus.DIVERGED, test_accuracy=None)
    full, short = (to_tables(rows)["trials"].to_pandas()[list(COLUMNS)] for rows in (grid, halves))
    pairs = length_pairs(full.assign(learning_rate=TUNED), short.assign(learning_rate=TUNED))
    assert len(pairs) == len(halves) - 1
    assert (pairs["test_accuracy"] - pairs["short_test_accuracy"]).to_numpy() == pytest.approx(0.01)
    assert set(pairs["seed"]) == {0, 1}
    assert pairs["rank"].isna().any()
    assert length_pairs(full, short[:0]).empty
