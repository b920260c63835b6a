"""Searches: the study's own total, resumed, rebuilt from rows, widened, answered from rows, pruned, constrained."""

import json
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import optuna
import pandas as pd
import pytest
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial, TrialState
from support.processes import rows
from support.results_samples import result
from support.sessions import opened_study, planned_run, run_serially

from lrlc.harness.errors import UserError
from lrlc.harness.plan.planning import Planner
from lrlc.harness.run.display import Display
from lrlc.harness.run.plan_summary import summarise_plan
from lrlc.harness.search.row import Row, stored_rows
from lrlc.harness.search.space import SearchSpace
from lrlc.results.figures import draw_all
from lrlc.results.store import Store
from lrlc.studies import StudyError

Lrlc = Callable[..., subprocess.CompletedProcess[str]]
Run = Callable[..., list[FrozenTrial]]

SEARCH = """
name: hunt
title: A small search on real digits
train_images: 100
evaluation_images: 100
search:
  dataset: digits
  trials: 6
  seeds: 2
  sampler: random
  space:
    kind: [conv, lrlc]
    rank: [1, 2]
    placement: [[1], [3]]
train: {epochs: 1, batch_size: 50, learning_rate: 0.05}
"""
BOTH = "[{metric: validation_accuracy, direction: maximize}, {metric: parameters, direction: minimize}]"


@pytest.fixture
def hunt(tmp_path: Path) -> Path:
    path = tmp_path / "hunt.yaml"
    path.write_text(SEARCH)
    return path


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "runs/hunt"


@pytest.fixture
def run(hunt: Path, root: Path) -> Run:
    """Run the search as `lrlc run --serial` does, in this process; returns Optuna's trials."""

    def run_here(*overrides: str, profile: str | None = None) -> list[FrozenTrial]:
        run_serially(planned_run(hunt, overrides, root.parent, profile), Display)
        return suggestions(root)

    return run_here


def journal(root: Path) -> JournalStorage:
    return JournalStorage(JournalFileBackend(str(root / "optuna.journal")))


def suggestions(root: Path) -> list[FrozenTrial]:
    """The suggestions of the latest Optuna study."""
    return optuna.load_study(study_name=latest(root), storage=journal(root)).get_trials()


def latest(root: Path) -> str:
    return journal(root).get_all_studies()[-1].study_name


def committed(root: Path) -> int:
    return sum(len(pd.read_parquet(part)) for part in (root / "trials").glob("*.parquet"))


def distinct(told: list[FrozenTrial]) -> set[tuple[tuple[str, object], ...]]:
    return {tuple(sorted(trial.params.items())) for trial in told}


def test_a_search_makes_its_total_of_suggestions_and_reports_the_mean_over_seeds(
    run: Run, root: Path
) -> None:
    told = run()
    assert [trial.state for trial in told] == [TrialState.COMPLETE] * 6
    found = rows(root)
    for trial in told:
        asked = found[found["kind"] == trial.params["kind"]]
        if trial.params["kind"] == "conv":
            assert trial.params.keys() == {"kind"}
        else:
            asked = asked[
                (asked["rank"] == trial.params["rank"]) & (asked["placement"] == trial.params["placement"])
            ]
        assert sorted(asked["seed"]) == [0, 1]
        assert trial.value == pytest.approx(asked["validation_accuracy"].mean(), abs=1e-12)
    assert len(found) == committed(root) == 2 * len(distinct(told))
    (baseline,) = Store(root).datasets()["digits"].baselines
    assert baseline.train_images == found["train_images"].iloc[0] == 100
    assert len(run()) == 6
    assert Store(root).plan() == set(found.index)
    assert len(run("search.trials=8")) == 8
    assert Store(root).plan() == set(rows(root).index)


def test_a_lost_or_torn_journal_costs_no_row_and_is_rebuilt(run: Run, root: Path) -> None:
    told, before, path = run(), rows(root), root / "optuna.journal"
    path.write_bytes(path.read_bytes() + b'{"op_code": 4, "trial')
    run()
    assert len(run()) == 6
    path.unlink()
    run(f"search.trials={len(distinct(told))}")
    built = suggestions(root)
    assert {(*t.params.items(), *t.values) for t in built} == {(*t.params.items(), *t.values) for t in told}
    assert len(built) == len(distinct(told))
    pd.testing.assert_frame_equal(rows(root), before)


def test_a_damaged_journal_is_set_aside_and_rebuilt(
    run: Run, root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    told, before, path = run(), rows(root), root / "optuna.journal"
    damaged = path.read_bytes().replace(b'"op_code":4', b"\0" * 11, 1)
    path.write_bytes(damaged)
    built = run(f"search.trials={len(distinct(told))}")
    assert distinct(built) == distinct(told)
    assert (root / "optuna.damaged").read_bytes() == damaged
    assert "it is rebuilt from the rows" in capsys.readouterr().err
    pd.testing.assert_frame_equal(rows(root), before)


def test_results_reported_but_never_committed_are_retrained(
    run: Run, root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    told, before = run(), rows(root)
    for part in (root / "trials").glob("*.parquet"):
        part.unlink()
    capsys.readouterr()
    assert [(t.number, t.values) for t in run()] == [(t.number, t.values) for t in told]
    progress = [line for line in capsys.readouterr().err.splitlines() if "/12 trials, " in line]
    assert progress[-1].startswith("12/12 trials, 0 running")
    assert " -" not in "".join(progress)
    results = ["test_accuracy", "validation_accuracy", "test_loss", "kind", "placement", "seed"]
    pd.testing.assert_frame_equal(rows(root)[results], before[results])


@pytest.mark.parametrize("sampler", ["random", "brute_force"])
def test_suggestions_left_running_by_a_dead_driver_are_made_again(sampler: str, run: Run, root: Path) -> None:
    run("search.trials=2", f"search.sampler={sampler}")
    left = optuna.load_study(study_name=latest(root), storage=journal(root)).ask()
    left.suggest_categorical("kind", ["conv", "lrlc"])
    told = run("search.trials=4", f"search.sampler={sampler}")
    assert told[left.number].state == TrialState.FAIL
    assert sum(trial.state == TrialState.COMPLETE for trial in told) == 4
    assert not [trial for trial in told if trial.state == TrialState.RUNNING]
    assert told[left.number].params in [trial.params for trial in told[left.number + 1 :]]


@pytest.mark.parametrize(
    ("sampler", "pruner"),
    [
        ("tpe", "median"),
        ("gp", "none"),
        ("nsga2", "successive_halving"),
        ("random", "hyperband"),
        ("qmc", "hyperband"),
        ("brute_force", "wilcoxon"),
    ],
)
def test_every_sampler_and_pruner_ends_a_search(sampler: str, pruner: str, run: Run, root: Path) -> None:
    words = (f"search.sampler={sampler}", f"search.pruner={pruner}", "train.epochs=3", "search.seeds=3")
    told = run(*words, "search.trials=5")
    assert len(told) == 5
    assert all(trial.state in (TrialState.COMPLETE, TrialState.PRUNED) for trial in told)
    (root / "optuna.journal").unlink()
    again = run(*words, "search.trials=5")
    assert sum(trial.state.is_finished() for trial in again) == 5
    assert committed(root) == len(rows(root))


def test_successive_halving_may_choose_its_resource(run: Run) -> None:
    words = ("search.pruner=successive_halving", "search.pruner_options={min_resource: auto}")
    assert len(run(*words, "search.seeds=1", "search.trials=2")) == 2


def test_a_hopeless_trial_is_pruned_and_keeps_its_row(run: Run, root: Path) -> None:
    words = ("search.pruner=median", "search.pruner_options={n_startup_trials: 1}", "train.epochs=4")
    space = "search.space={kind: [conv], train: {learning_rate: {low: 1.0e-6, high: 0.1}}}"
    told = run(
        *words, space, "search.seeds=1", "search.trials=8"
    )  # each outcome precedes the next suggestion
    found = rows(root)
    pruned = found[found["status"] == "pruned"]
    assert len(pruned) == sum(trial.state == TrialState.PRUNED for trial in told) > 0
    assert (pruned["epochs_run"] < 4).all()
    assert pruned["test_accuracy"].isna().all()
    assert pruned["parameters"].notna().all()
    (root / "optuna.journal").unlink()
    built = run(*words, space, "search.seeds=1", "search.trials=8")
    of = {trial.params["train.learning_rate"]: trial for trial in built}
    for trial in told:  # the median pruner sees the same history as before
        again = of[trial.params["train.learning_rate"]]
        assert again.state == trial.state
        assert again.intermediate_values == pytest.approx(trial.intermediate_values)


def test_seeds_that_a_pruned_suggestion_no_longer_needs_leave_the_plan(
    run: Run, hunt: Path, root: Path
) -> None:
    options = "search.pruner_options={n_startup_steps: 1, p_threshold: 0.3}"
    space = "search.space={kind: [conv], train: {learning_rate: {low: 0.0001, high: 0.1}}}"
    words = ("search.pruner=wilcoxon", options, space, "search.seeds=6")
    told = run(*words, "search.trials=6")
    pruned = [trial for trial in told if trial.state == TrialState.PRUNED]
    opened, store, *_ = opened_study(hunt, words, root.parent)
    space = SearchSpace(opened, Planner(opened, None))
    asked = {each.id for trial in pruned for each in space.trials(trial.params)}
    planned = store.plan()
    assert planned == set(rows(root).index)
    assert asked - planned, "a seed of a pruned suggestion was not trained"
    store.write_plan(None, planned | asked)  # as an earlier version left it
    run(*words, "search.trials=7")
    assert store.plan() == set(rows(root).index)


def test_a_search_with_the_largest_seed_can_be_continued(run: Run) -> None:
    words = ("search.sampler=tpe", f"search.sampler_options={{seed: {2**32 - 1}}}", "search.seeds=1")
    run(*words, "search.trials=2")
    assert len(run(*words, "search.trials=3")) == 3


def test_both_of_two_objectives_are_reported(run: Run, root: Path) -> None:
    for trial in run(f"search.objectives={BOTH}", "search.sampler=nsga2"):
        assert 0 <= trial.values[0] <= 1 < 1000 < trial.values[1]
    with pytest.raises(StudyError, match="pruner 'median' needs a single objective"):
        run(f"search.objectives={BOTH}", "search.pruner=median")


def test_trials_of_the_grid_are_not_retrained_for_the_search(lrlc: Lrlc, hunt: Path, root: Path) -> None:
    grid = "grid={kind: [conv, lrlc], rank: [1, 2], placement: [[1], [3]], dataset: digits}"
    lrlc("run", hunt, "--serial", grid, "seeds=2", "search.trials=12")
    assert len(rows(root)) == committed(root) == 10
    assert [trial.state for trial in suggestions(root)] == [TrialState.COMPLETE] * 12


def test_brute_force_ends_with_the_space_and_says_so(lrlc: Lrlc, hunt: Path, root: Path) -> None:
    words = ("search.sampler=brute_force", "search.trials=50", "search.seeds=1")
    done = lrlc("run", hunt, "--serial", *words)
    assert "the space holds 5 suggestions, 50 are asked for; it ends there" in done.stderr
    told = suggestions(root)
    assert len(told) == len(distinct(told)) == len(rows(root)) == 5
    lrlc("run", hunt, "--serial", *words)
    assert len(suggestions(root)) == 5
    assert '"search_answered": 5' in (planned := lrlc("plan", hunt, *words, "--json").stdout)
    assert '"search_suggestions": 5' in planned


@pytest.mark.parametrize("sampler", ["tpe", "random", "nsga2", "qmc", "gp"])
def test_suggestions_made_before_are_answered_from_their_rows(sampler: str, run: Run, root: Path) -> None:
    told = run(f"search.sampler={sampler}", "search.trials=40", "search.seeds=1")
    assert len(told) == 40
    assert all(trial.state == TrialState.COMPLETE for trial in told)
    assert len(rows(root)) == committed(root) == len(distinct(told)) <= 5


def test_a_widened_space_keeps_every_row_and_what_it_answers(run: Run, root: Path) -> None:
    words = ("search.sampler=brute_force", "search.trials=50", "search.seeds=1")
    old, before, name = run(*words), rows(root), latest(root)
    wider = ("search.space.kind=[conv, lrlc, wide_conv]", "search.space.placement=subsets")
    told = run(*words, *wider, f"search.objectives={BOTH}")
    assert latest(root) != name
    assert len(told) == len(distinct(told)) == 1 + 2 * 7 * 2 == len(rows(root))
    assert [trial.params for trial in told[:5]] == [trial.params for trial in old]
    assert [trial.values[0] for trial in told[:5]] == [trial.value for trial in old]
    pd.testing.assert_frame_equal(rows(root).loc[before.index], before)
    assert Store(root).plan() == set(rows(root).index)
    narrower = run(*words, "search.space.kind=[wide_conv]")  # all of it has rows by now
    assert len(narrower) == 4
    assert len(rows(root)) == committed(root) == 29
    assert len(run(*words, "search.space.kind=[wide_conv]", "search.space.rank=[1, 2, 3]")) == 6


def test_a_wider_interval_and_more_seeds_continue_from_the_rows(run: Run, root: Path) -> None:
    space = "search.space={kind: [conv], train: {learning_rate: {low: 0.01, high: %s, log: true}}}"
    run(space % 0.1, "search.sampler=tpe", "search.trials=3", "search.seeds=1")
    assert len(run(space % 0.2, "search.sampler=tpe", "search.trials=5", "search.seeds=1")) == 5
    before = rows(root)
    assert len(before) == 5
    told = run(space % 0.2, "search.sampler=tpe", "search.trials=5", "search.seeds=2")
    found = rows(root)
    assert len(told) == 5
    assert len(found) == 10  # the first seed's rows are reused
    pd.testing.assert_frame_equal(found.loc[before.index], before)


def test_rows_of_other_settings_and_profiles_do_not_answer_suggestions(
    run: Run, hunt: Path, root: Path
) -> None:
    hunt.write_text(SEARCH + "profiles: {smoke: {train: {learning_rate: 0.02}}}\n")
    assert len(run("search.seeds=1", profile="smoke")) == 6
    assert len(run("search.seeds=1")) == 6
    found, store = rows(root), Store(root)
    assert set(found["learning_rate"]) == {0.02, 0.05}
    assert store.plan("smoke") == set(found.index[found["learning_rate"] == 0.02])
    assert store.plan("default") == set(found.index[found["learning_rate"] == 0.05])


@pytest.mark.parametrize("sampler", ["tpe", "gp", "nsga2"])
def test_constraints_reach_the_sampler_and_survive_a_lost_journal(
    sampler: str, run: Run, root: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    few = "search.constraints=[{metric: parameters, max: 80000}, {metric: validation_accuracy, min: 0.01}]"
    words = (few, "search.space.placement=subsets", f"search.sampler={sampler}", "search.seeds=1")
    told = run(*words, "search.trials=14")
    parameters = rows(root)["parameters"]
    assert (parameters > 80_000).any()
    for trial in told:
        if trial.params["kind"] == "conv":
            assert trial.constraints["parameters max"] == pytest.approx(75_466 / 80_000 - 1, abs=0.02)
        assert trial.constraints["validation_accuracy min"] <= 0
    assert {trial.constraints["parameters max"] > 0 for trial in told} == {True, False}
    (root / "optuna.journal").unlink()
    built = {tuple(t.params.items()): t.constraints for t in run(*words, "search.trials=1")}
    assert built == {tuple(t.params.items()): pytest.approx(t.constraints) for t in told}
    run(few, "search.sampler=qmc", "search.trials=1")
    assert "sampler qmc ignores all results, and so the constraints" in capfd.readouterr().err


def test_a_users_own_storage_keeps_other_studies(run: Run, root: Path, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/theirs.db"
    theirs = optuna.create_study(study_name="hunt", storage=url)
    theirs.add_trial(optuna.create_trial(value=1.0))
    session_words = (f"search.storage={url}", "search.trials=2", "search.seeds=1")
    with pytest.raises(IndexError):
        run(*session_words)  # no journal beside the results
    with pytest.raises(IndexError):
        run(*session_words, "search.space.kind=[conv]")
    names = optuna.get_all_study_names(url)
    assert len(names) == 3
    assert len(optuna.load_study(study_name="hunt", storage=url).trials) == 1


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["search.sampler_options={n_startup: 3}"], "search.sampler_options.n_startup: "),
        (
            ["search.sampler=tpe", "search.sampler_options={n_startup_trials: many}"],
            "expected int, got 'many'",
        ),
        (["search.sampler=tpe", "search.sampler_options={constraints_func: x}"], "has no such option"),
        (["search.sampler=nsga2", "search.sampler_options={population_size: 1}"], "population_size"),
        (["search.pruner=median", "search.pruner_options={n_warmup: 1}"], "did you mean 'n_warmup_steps'?"),
        (["search.pruner=hyperband", "search.pruner_options={max_resource: 1.5}"], "max_resource"),
        (
            ["search.pruner=hyperband", "search.pruner_options={min_resource: 0}"],
            "expected at least 1, got 0",
        ),
        (
            ["search.pruner=hyperband", "search.pruner_options={reduction_factor: 1}"],
            "expected at least 2, got 1",
        ),
        (
            ["search.sampler=tpe", "search.sampler_options={n_ei_candidates: 0}"],
            "n_ei_candidates: expected at least 1, got 0",
        ),
        (["search.pruner=halving"], "successive_halving"),
        (["size=6"], "digits@6: images of 6x6 are too small for three_layer"),
        (["search.sampler=tp"], "did you mean 'tpe'?"),
        (["search.storage=nonsense"], "search.storage: cannot open 'nonsense': "),
        (["search.storage=sqlite:////no/such/folder/x.db"], "search.storage: cannot open "),
        (["search.storage=postgresql://nobody@localhost:1/none"], "search.storage: cannot open "),
        (["search.storage=redis://localhost"], "search.storage: cannot open "),
        (["search.constraints=[{metric: parameters}]"], "give a min, a max or both"),
        (["search.constraints=[{metric: test_accuracy, min: 0.5}]"], "test_accuracy"),
        (["search.constraints=[{metric: parameters, min: 2, max: 1}]"], "min 2 is over max 1"),
        (
            ["search.sampler=brute_force", "search.space.train={momentum: {low: 0.1, high: 0.9}}"],
            "sampler 'brute_force' cannot enumerate the interval space.train.momentum",
        ),
    ],
)
def test_a_wrong_search_is_one_clear_line(words: list[str], line: str, run: Run, root: Path) -> None:
    with pytest.raises((UserError, StudyError)) as caught:
        run(*words)
    assert line in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not root.exists()


def test_a_plan_counts_the_suggestions_that_have_rows(run: Run, hunt: Path, root: Path) -> None:
    told = run()
    planned = summarise_plan(*opened_study(hunt, [], root.parent), None, probe=False)
    assert (planned.search_answered, planned.search_suggestions) == (len(distinct(told)), 6)
    other = summarise_plan(*opened_study(hunt, ["train.epochs=2"], root.parent), None, probe=False)
    assert other.search_answered == 0


def test_status_shows_the_front_and_the_figure_is_drawn(lrlc: Lrlc, run: Run, root: Path) -> None:
    run(f"search.objectives={BOTH}", "search.sampler=brute_force", "search.trials=9", "search.seeds=1")
    shown = json.loads(lrlc("status", "hunt", "--json").stdout)["best"]
    found = rows(root)
    for best in shown:
        better = (found["validation_accuracy"] >= best["validation_accuracy"]) & (
            found["parameters"] <= best["parameters"]
        )
        assert (found.loc[better, "parameters"] == best["parameters"]).all()
        assert best["seeds"] == 1
        assert best["test_accuracy"] is not None
    assert max(best["validation_accuracy"] for best in shown) == found["validation_accuracy"].max()
    told = lrlc("status", "hunt").stdout
    assert "validation accuracy" in told
    assert "parameters" in told
    figure = next(path for path in draw_all(Store(root), root / "figures").paths if path.stem == "pareto")
    assert figure.stat().st_size > 10_000


def test_status_says_that_no_suggestion_has_the_objective(lrlc: Lrlc, hunt: Path, tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text(
        "from lrlc.harness.measuring import metric\n\n"
        '@metric("broken")\ndef broken(evaluated):\n    return float("nan")\n'
    )
    objective = "search.objectives=[{metric: broken, direction: maximize}]"
    lrlc("run", hunt, "--serial", "plugins=[broken.py]", objective, "search.trials=1", "search.seeds=1")
    assert "search: no complete suggestion has a finite broken yet" in lrlc("status", "hunt").stdout


def test_suggestions_that_repeat_others_are_counted_at_the_end(lrlc: Lrlc, hunt: Path, root: Path) -> None:
    said = lrlc("run", hunt, "--serial", "search.trials=12", "search.seeds=1").stderr
    assert f"rows of other trials answer {12 - len(rows(root))} suggestions of this run" in said


def test_a_search_says_which_parameters_mattered_once_it_has_seen_enough(run: Run, root: Path) -> None:
    run(f"search.objectives={BOTH}", "search.seeds=1")
    assert Store(root).importance() == []
    run(f"search.objectives={BOTH}", "search.seeds=1", "search.trials=12")
    accuracy, parameters = Store(root).importance()
    assert (accuracy.metric, parameters.metric) == ("validation_accuracy", "parameters")
    for found in (accuracy, parameters):
        assert found.suggestions == 12
        assert found.shares.keys() == {"kind", "rank", "placement"}  # including those of only some kinds
        assert sum(found.shares.values()) == pytest.approx(1)
    assert max(parameters.shares, key=lambda name: parameters.shares[name]) in ("kind", "rank")
    drawn = draw_all(Store(root), root / "figures", only=["search_history", "search_importance"])
    assert drawn.skipped == {}


def test_a_row_is_the_same_from_the_tables_and_from_its_trial(tmp_path: Path) -> None:
    ended = [
        result("a", kind="lrlc", rank=2, search_number=3, metrics=()),
        result("b", kind="conv", rank=None, search_number=None, validation_loss=None, metrics=()),
    ]
    store = Store(tmp_path / "sample")
    store.commit(ended)
    stored = list(stored_rows(store.trials()).values())
    assert stored == [replace(Row.of_result(each), curve=None) for each in ended]
    assert [(row.rank, row.search_number) for row in stored] == [(2, 3), (None, None)]
    assert "validation_loss" not in stored[1].metrics
    assert Row.of_result(ended[0]).curve == tuple(each.validation_accuracy for each in ended[0].curve)
