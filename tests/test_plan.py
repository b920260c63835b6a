"""`lrlc plan`: what distinguishes cells, forecasts for machines, and claims that the seeds cannot decide."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from typer.testing import CliRunner

import lrlc
from lrlc.harness.cli.app import app
from lrlc.harness.cli.options import StudyOptions
from lrlc.harness.cli.plan import plan
from lrlc.harness.plan.catalogue import open_study
from lrlc.harness.plan.machine import named_machine
from lrlc.harness.plan.planning import Planner
from lrlc.harness.run.plan_summary import PlanSummary, summarise_plan
from lrlc.harness.search.space import SearchSpace
from lrlc.harness.trial import blank_result
from lrlc.results.schema import TrialStatus
from lrlc.results.store import Store

STUDY = """
name: planned
datasets: digits
train_images: 64
seeds: 4
grid:
  - kind: conv
    train.learning_rate: [0.05, 0.1]
  - {kind: lrlc, rank: [1, 2], placement: 3, layer.share: [both, rows]}
claims:
  - {name: gains, test: difference, ours: {kind: lrlc, rank: [1, 2]}, theirs: conv}
train: {epochs: 1, batch_size: 32}
"""


@pytest.fixture
def study(tmp_path: Path) -> Path:
    path = tmp_path / "planned.yaml"
    path.write_text(STUDY)
    return path


def summary(study: Path, *words: str, on: str | None = None) -> PlanSummary:
    opened = open_study(str(study), profile=None, overrides=words)
    machine = named_machine(on) if on else None
    return summarise_plan(opened, Store(study.parent / "runs" / opened.study.name), None, on=machine)


def trained(study: Path, name: str, seconds: float, device: str, **changes: Any) -> None:
    """Rows of all trials of the first seed, except one kind's, in the results of the study `name`."""
    opened = open_study(str(study), profile=None, overrides=changes.pop("words", ()))
    rows = [
        replace(
            blank_result(trial), status=TrialStatus.FINISHED, total_seconds=seconds, device=device, **changes
        )
        for trial in Planner(opened, None).grid([0])
    ]
    Store(study.parent / "runs" / name).commit(rows)


def test_a_cell_is_distinguished_by_all_differing_settings(study: Path) -> None:
    assert summary(study).cells == (
        "digits conv, learning rate 0.05: 4 trials",
        "digits conv, learning rate 0.1: 4 trials",
        "digits lrlc rank 1 layer 3, learning rate 0.1: 4 trials",
        "digits lrlc rank 1 layer 3, learning rate 0.1, share rows: 4 trials",
        "digits lrlc rank 2 layer 3, learning rate 0.1: 4 trials",
        "digits lrlc rank 2 layer 3, learning rate 0.1, share rows: 4 trials",
    )


def test_labels_of_trials_differ_in_all_settings_in_which_the_study_varies(study: Path) -> None:
    opened = open_study(str(study), profile=None, overrides=("grid.0.train.batch_size=[16, 32]",))
    labels = [trial.label for trial in Planner(opened, None).grid()]
    assert len(set(labels)) == len(labels) == 4 * 8
    assert "digits conv, batch size 16, learning rate 0.05, seed 0" in labels
    assert "digits lrlc rank 1 layer 3, batch size 32, learning rate 0.1, share rows, seed 0" in labels


def test_labels_of_suggestions_have_the_axes_of_the_search(study: Path) -> None:
    space = "{kind: [conv, lrlc], rank: 2, placement: 3, train: {learning_rate: [0.05, 0.1]}, layer: {share: [rows]}}"
    search = f"search={{trials: 6, dataset: digits, space: {space}}}"
    opened = open_study(str(study), profile=None, overrides=("grid=[]", "claims=[]", search))
    found = SearchSpace(opened, Planner(opened, None))
    labels = {trial.cell_label for params in found.suggestions() for trial in found.trials(params)}
    assert len(labels) == 4
    assert "digits conv, learning rate 0.05" in labels
    assert any(label.startswith("digits lrlc rank 2 layer 3") and "share rows" in label for label in labels)


def test_other_epochs_of_the_same_cells_are_forecast_in_proportion(study: Path) -> None:
    trained(study, "slow", 30.0, "AMD EPYC (2 cores)")
    found = summary(study, "train.epochs=3", on="1xEPYC")
    assert (found.unknown, found.from_rows, found.forecast_seconds) == (0, 24, 24 * 90)


def test_the_plan_of_a_search_alone_has_no_line_about_a_grid(study: Path) -> None:
    search = "search={trials: 6, dataset: digits, space: {kind: [conv], placement: 3}}"
    said = invoked(
        "plan", str(study), "grid=[]", "claims=[]", search, "--results", str(study.parent / "runs")
    )
    assert said.splitlines()[0] == "planned, search: 0 of 6 suggestions have rows"


def test_an_override_of_a_grid_block_only_changes_its_cells(study: Path) -> None:
    cells = summary(
        study, "grid.1.rank=[3]", "grid.1.layer.share=both", "grid.0.train.learning_rate=0.1"
    ).cells
    assert cells == ("digits conv: 4 trials", "digits lrlc rank 3 layer 3: 4 trials")


def test_nothing_is_timed_and_unknown_times_are_reported(study: Path) -> None:
    found = summary(study)
    assert (found.forecast_seconds, found.unknown, found.from_probes) == (None, 24, 0)


def test_rows_of_the_named_device_count_and_others_are_scaled_by_similar_trials(study: Path) -> None:
    conv = ["grid=[{kind: conv}]", "claims=[]"]
    trained(study, "fast", 10.0, "NVIDIA H100 80GB HBM3", words=conv, gpu_fraction=0.25)
    trained(study, "slow", 40.0, "AMD EPYC (2 cores)")
    found = summary(study, on="8xH100")
    assert (found.from_rows, found.from_other_devices, found.unknown) == (6, 12, 0)
    # Those of the first seed are reused. Conv takes 10 s on an H100 and 40 s elsewhere, as LRLC does there.
    assert found.forecast_seconds == 180
    assert (found.slots, found.machine, found.wall_seconds) == (32, "8 x H100", 10)
    assert found.gpu_hours == pytest.approx(180 / 4 / 3600)
    unrelated = summary(study, on="2xA100")
    assert (unrelated.forecast_seconds, unrelated.unknown) == (None, 18)
    assert summary(study, on="4xEPYC").wall_seconds == 180


def test_rows_of_a_gpu_say_nothing_of_this_cpu_which_other_cpus_are_taken_to_be_like(study: Path) -> None:
    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    trained(study, "fast", 10.0, "NVIDIA H100 80GB HBM3", gpu_fraction=0.25)
    found = summary(study)
    assert (found.forecast_seconds, found.unknown) == (None, 18)
    trained(study, "slow", 40.0, "a CPU that this machine has not")
    found = summary(study)
    assert (found.forecast_seconds, found.from_other_devices) == (18 * 40, 18)


def test_a_search_is_forecast_from_rows_of_its_kinds_and_ranks(study: Path) -> None:
    trained(study, "slow", 30.0, "AMD EPYC (2 cores)")
    search = "search={trials: 6, dataset: digits, space: {kind: [conv, lrlc], rank: [1, 2], placement: 3}}"
    found = summary(study, "grid=[]", "claims=[]", search, on="1xEPYC")
    assert (found.search_suggestions, found.forecast_seconds, found.unknown) == (6, 180, 0)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ([], "gains on digits cannot be decided with 4 seeds (2 to choose a cell); 9 could"),
        (["seeds=9"], None),
        (["seeds=9", "decision.looks=[9, 20]"], None),
        (
            ["decision.looks=[4, 8]"],
            "gains on digits cannot be decided with 8 seeds (3 to choose a cell); 10",
        ),
        (
            ["claims.0.ours={kind: lrlc, rank: 2, layer: {share: both}}"],
            "cannot be decided with 4 seeds; 6 could",
        ),
    ],
)
def test_claims_that_the_seeds_cannot_decide_are_named(
    study: Path, words: Sequence[str], says: str | None
) -> None:
    found = summary(study, "grid.0.train.learning_rate=0.1", "regime=any", *words).claims
    assert len(found) == (says is not None)
    assert says is None or says in found[0]


def test_claims_that_need_a_length_check_are_named(study: Path) -> None:
    missing = "will be out of regime, as the study has no length check: add length_check: {seeds: 3}, or regime: any"
    assert f"gains {missing}" in summary(study).claims
    for word in ("regime=any", "length_check={}"):
        assert f"gains {missing}" not in summary(study, "train.epochs=2", word).claims


def test_kept_weights_count_in_the_disk_that_is_needed(study: Path) -> None:
    plain, kept = summary(study).disk_bytes, summary(study, "keep=weights").disk_bytes
    limited = summary(study, "keep=weights", "keep_gb=0.001").disk_bytes
    assert kept - plain > 24 * 4 * 10_000
    assert limited - plain == 1_000_000


def invoked(*words: str) -> str:
    done = CliRunner().invoke(app, [*words])
    assert done.exit_code == 0, done.output + str(done.exception)
    return done.output


def test_run_retry_and_plan_accept_a_study_by_name_beside_its_results(study: Path) -> None:
    results = str(study.parent / "elsewhere")
    one = ["grid=[{kind: conv}]", "claims=[]", "seeds=1"]
    said = invoked("run", str(study), *one, "--serial", "--verbose", "--results", results)
    assert "epoch 1 of 1: training loss" in said
    assert any("validation" in line for line in said.splitlines() if line.startswith("1/1 trials"))
    study.unlink()
    assert "1 trial in the grid, 1 done" in invoked("plan", "planned", "--results", results)
    said = invoked("run", "planned", "seeds=2", "--serial", "--results", results)
    assert "planned: no such file here; using the study as last run, from" in said
    assert "on 1 slot of this machine" in said
    assert "2 finished" in invoked("retry", "planned", "--serial", "--results", results)
    assert lrlc.load("planned", results=results).trials["seed"].tolist() == [0, 1]


def test_plan_as_json_and_for_a_named_machine(study: Path) -> None:
    found = json.loads(
        invoked("plan", str(study), "--results", str(study.parent / "runs"), "--on", "8xH100", "--json")
    )
    assert (found["missing"], found["machine"], found["slots"]) == (24, "8 x H100", 8)


@pytest.mark.parametrize("given", ["0xH100", "8", "8 * H100", "-1xH100"])
def test_an_invalid_machine_is_refused(given: str) -> None:
    with pytest.raises(lrlc.UserError, match="expected a number of devices and a part of their name"):
        named_machine(given)


def test_a_cell_names_each_setting_once_as_people_write_it(study: Path) -> None:
    block = "grid={kind: conv, train.augment: [none, flip+crop], train.ema: [null, 0.9], train.weight_decay: 0.01}"
    assert summary(study, block, "claims=[]").cells == (
        "digits conv, no augmentation, no EMA: 4 trials",
        "digits conv, no augmentation, EMA 0.9: 4 trials",
        "digits conv, augment flip+crop, no EMA: 4 trials",
        "digits conv, augment flip+crop, EMA 0.9: 4 trials",
    )


def test_a_pilot_names_what_it_tries_once(study: Path) -> None:
    tried = ("train.label_smoothing: [0, 0.1]", "train.learning_rate: [0.05, 0.1]")
    tune = f"tune={{grid: {{{', '.join(tried)}}}, seeds: 1, epochs: full}}"
    opened = open_study(str(study), profile=None, overrides=("grid={kind: conv}", "claims=[]", tune))
    (group,) = Planner(opened, None).pilots()
    labels = {trial.cell_label for trials in group.trials.values() for trial in trials}
    assert "digits conv, label smoothing 0.1, learning rate 0.05" in labels
    assert "digits conv, label smoothing 0, learning rate 0.05" in labels


def test_for_a_device_without_rows_the_plan_says_how_to_get_a_time(
    study: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plan(StudyOptions(study=str(study), results=str(tmp_path / "runs")), on="8xH100")
    (line,) = [each for each in capsys.readouterr().out.splitlines() if each.startswith("no earlier row")]
    assert "rows of H100 in a study below --results would" in line
    assert "`lrlc plan --probe` on a machine that has one" in line
