"""Every training setting and layer option can be an axis of a search, and rows answer suggestions."""

from pathlib import Path

import optuna
import pytest
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial
from support.sessions import opened_study, planned_run, run_serially

from lrlc.harness.plan.planning import Planner
from lrlc.harness.search.space import SearchSpace
from lrlc.results.statistics.pareto import as_records, best
from lrlc.results.store import Store
from lrlc.studies import StudyError

SEARCH = """
name: wide
train_images: 60
evaluation_images: 50
train: {epochs: 1, batch_size: 30, learning_rate: 0.05}
search:
  dataset: digits
  trials: 6
  sampler: random
  space:
    kind: [conv, lrlc]
    rank: [2]
    placement: 3
    train:
      optimizer: [sgd, adamw]
      batch_size: {low: 20, high: 30}
      weight_decay: {low: 1.0e-5, high: 0.1, log: true}
      schedule: [cosine, step]
      decay_epochs: [1, 0.5]
      label_smoothing: [0, 0.1]
      gradient_clipping: [null, 1]
      augment: [none, flip+crop, mixup]
      mixup_alpha: {low: 0.1, high: 1}
      ema: [null, 0.9]
    layer:
      share: [rows, both]
      logits_lr: {low: 0.5, high: 2}
"""


@pytest.fixture
def wide(tmp_path: Path) -> Path:
    path = tmp_path / "wide.yaml"
    path.write_text(SEARCH)
    return path


def of_space(wide: Path, space: str) -> Path:
    """The search with another space; an override would be merged into the old one."""
    wide.write_text(f"{SEARCH.partition('  space:')[0]}  space: {space}\n")
    return wide


def suggestions(root: Path) -> list[FrozenTrial]:
    storage = JournalStorage(JournalFileBackend(str(root / "optuna.journal")))
    return optuna.load_study(
        study_name=storage.get_all_studies()[-1].study_name, storage=storage
    ).get_trials()


def test_a_search_over_all_of_training_is_answered_from_its_rows(wide: Path, tmp_path: Path) -> None:
    run_serially(planned_run(wide, [], tmp_path))
    root = tmp_path / "wide"
    made, rows = suggestions(root), Store(root).trials()
    assert len(made) == len(rows) == 6
    assert set(rows["status"]) == {"finished"}
    for each in made:
        assert ("train.mixup_alpha" in each.params) == (each.params["train.augment"] == "mixup")
        assert ("train.decay_epochs" in each.params) == (each.params["train.schedule"] == "step")
        assert ("layer.share" in each.params) == (each.params["kind"] == "lrlc")
        assert isinstance(each.params["train.batch_size"], int)
    assert rows["batch_size"].between(20, 30).all()
    (root / "optuna.journal").unlink()
    session = planned_run(wide, [], tmp_path)
    run_serially(session)
    assert {str(each.params) for each in suggestions(root)} == {str(each.params) for each in made}
    assert len(Store(root).trials()) == 6
    assert session.search is not None
    (record,) = as_records(best(Store(root).trials(), session.search), session.search)
    assert record["optimizer"] in ("sgd", "adamw")
    assert isinstance(record["batch_size"], int)


@pytest.mark.parametrize("change", ["train.decay_rate=0.9", "train.crop_padding=2", "train.momentum=0.5"])
def test_another_setting_of_only_some_suggestions_makes_another_search(
    wide: Path, tmp_path: Path, change: str
) -> None:
    studies = [opened_study(wide, words, tmp_path)[0] for words in ([], [change])]
    assert len({SearchSpace(each, Planner(each, None)).digest() for each in studies}) == 2


def test_brute_force_makes_each_suggestion_of_a_conditional_space_once(wide: Path, tmp_path: Path) -> None:
    space = (
        "{kind: [conv, lrlc], rank: 2, placement: 3, layer: {share: [rows, both]}, "
        "train: {augment: [none, mixup], mixup_alpha: [0.2, 1]}}"
    )
    opened, _ = opened_study(of_space(wide, space), ["search.sampler=brute_force"], tmp_path)
    found = SearchSpace(opened, Planner(opened, None))
    made = list(found.suggestions())
    assert found.size == len(made) == 9  # 1 + 2 for conv, twice as many for lrlc
    assert found.is_conditional
    assert len({trial.id for params in made for trial in found.trials(params)}) == 9
    assert found.trials(made[0])[0].config.train.augment == ()


@pytest.mark.parametrize(
    ("space", "line"),
    [
        ("train: {optimizer: [sgd, adam]}", "search.space.train.optimizer: unknown optimizer 'adam'"),
        ("train: {optimizer: {low: 1, high: 2}}", "search.space.train.optimizer: takes no numbers"),
        (
            "train: {optimiser: [sgd]}",
            "search.space.train.optimiser: cannot be searched; did you mean 'optimizer'?",
        ),
        ("train: {epochs: [1, 2]}", "search.space.train.epochs: cannot be searched"),
        (
            "train: {batch_size: {low: 1.5, high: 8}}",
            "search.space.train.batch_size.low: expected a whole number",
        ),
        ("train: {batch_size: [8, 8]}", "search.space.train.batch_size: lists 8 twice"),
        ("train: {ema: [0.9, 1]}", "search.space.train.ema: expected less than 1"),
        ("train: {schedule: [step, cosine]}", "train.decay_epochs: schedule 'step' needs it"),
        (
            "layer: {shares: [rows]}",
            "search.space.layer.shares: no kind here takes it; did you mean 'share'?",
        ),
        ("layer: {share: {low: 1, high: 2}}", "search.space.layer.share: takes no numbers"),
        (
            "layer: {width: {low: 1.5, high: 4}}",
            "search.space.layer.width.low: expected a whole number, got 1.5",
        ),
        (
            "layer: {share: [row]}",
            "search.space.layer.share: lrlc: unknown share 'row'; did you mean 'rows'?",
        ),
        (
            "train: {momentum: {low: 0.9, hihg: 1}}",
            "search.space.train.momentum.hihg: unknown key; did you mean 'high'?",
        ),
    ],
)
def test_an_invalid_axis_is_refused_in_one_line(wide: Path, tmp_path: Path, space: str, line: str) -> None:
    with pytest.raises(StudyError) as caught:
        opened_study(of_space(wide, f"{{kind: [conv, lrlc, wide_conv], rank: 2, {space}}}"), [], tmp_path)
    assert line in str(caught.value)


def test_an_interval_of_shares_stays_one_and_an_interval_of_whole_numbers_suggests_these(
    wide: Path, tmp_path: Path
) -> None:
    space = (
        "{kind: [lrlc, wide_conv], rank: 2, placement: 3, "
        "layer: {from_conv: {low: 0.25, high: 0.75}, width: {low: 8, high: 16}}}"
    )
    run_serially(planned_run(of_space(wide, space), ["train.epochs=4", "search.trials=4"], tmp_path))
    made = suggestions(tmp_path / "wide")
    shares = [each.params["layer.from_conv"] for each in made if "layer.from_conv" in each.params]
    widths = [each.params["layer.width"] for each in made if "layer.width" in each.params]
    assert all(0.25 <= share <= 0.75 for share in shares)
    assert any(0 < share < 1 for share in shares)
    assert all(isinstance(width, int) for width in widths)
