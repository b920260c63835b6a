"""The meaning of `tune:` and `length_check:` in a study file: their trials, and refusals."""

import pytest
from support.studies_samples import CATALOGUE, HEAD, parsed

from lrlc.studies import (
    Study,
    StudyError,
    TrialConfig,
    expand,
    masked_settings,
    pilots,
    tuned,
    with_fewer_epochs,
)

TUNE = "tune: {grid: {train.learning_rate: [0.05, 0.1]}, epochs: third}\n"
KINDS = "grid: {kind: [conv, lrlc], rank: [1, 2, 4], placement: [[3], all]}\ntrain: {epochs: 10}\n"


def with_first_choices(study: Study) -> list[TrialConfig]:
    """The grid in which every group has its first setting."""
    grid = expand(study, CATALOGUE)
    chosen = {each.group: next(iter(each.trials)) for each in pilots(grid)}
    return grid.trials(config_of=tuned(grid, chosen))


def test_one_cell_of_a_kind_represents_all_its_ranks_and_placements() -> None:
    study = parsed(HEAD + KINDS + TUNE + "seeds: 3\n")
    conv, lrlc = pilots(expand(study, CATALOGUE))
    assert (conv.cell.kind, lrlc.cell.kind) == ("conv", "lrlc")
    assert (lrlc.cell.rank, lrlc.cell.placement) == (2, (3,))  # rank 1 is a convolution
    assert list(lrlc.trials) == [(("train.learning_rate", 0.05),), (("train.learning_rate", 0.1),)]
    for (_, rate), *_ in lrlc.trials:
        tried = lrlc.trials[("train.learning_rate", rate),]
        assert [(each.train.learning_rate, each.train.epochs, each.seed) for each in tried] == [
            (rate, 4, 1_000_000),
            (rate, 4, 1_000_001),
        ]


def test_pilots_train_for_all_epochs_unless_the_study_says_otherwise() -> None:
    study = parsed(HEAD + KINDS + "tune: {grid: {train.batch_size: [8, 16]}}\n")
    found = pilots(expand(study, CATALOGUE))
    assert {trial.train.epochs for each in found for trials in each.trials.values() for trial in trials} == {
        10
    }


def test_every_cell_of_a_group_trains_with_its_choice() -> None:
    study = parsed(HEAD + KINDS + TUNE)
    found = with_first_choices(study)
    assert len(found) == 7
    assert {config.train.learning_rate for config in found} == {0.05}
    grid = expand(study, CATALOGUE)
    assert grid.trials(config_of=tuned(grid, {})) == grid.trials()


def test_data_sets_networks_options_and_ways_of_training_are_tuned_separately() -> None:
    study = parsed(
        "name: t\ndatasets: [digits, mnist]\n"
        + TUNE
        + "grid: {kind: lrlc, rank: 2, network: [three_layer, resnet50],"
        " layer.share: [rows, none], train.epochs: [3, 6], dataset.train_images: [100, 200]}\n"
    )
    found = pilots(expand(study, CATALOGUE))
    assert len({each.group for each in found}) == len(found) == 2**5
    epochs = {(each.cell.train.epochs, next(iter(each.trials.values()))[0].train.epochs) for each in found}
    assert epochs == {(3, 1), (6, 2)}


def test_a_setting_that_may_be_off_can_be_tuned() -> None:
    study = parsed(HEAD + KINDS + "tune: {grid: {train.ema: [null, 0.9]}}\n")
    first, *_ = pilots(expand(study, CATALOGUE))
    assert [tried[0].train.ema for tried in first.trials.values()] == [None, 0.9]


def test_settings_in_a_block_are_not_tuned() -> None:
    study = parsed(
        HEAD + TUNE + "grid: [{kind: conv, train.learning_rate: 0.3}, {kind: lrlc, rank: 2}]\n",
    )
    (only,) = pilots(expand(study, CATALOGUE))
    assert only.cell.kind == "lrlc"
    assert {config.kind: config.train.learning_rate for config in with_first_choices(study)} == {
        "conv": 0.3,
        "lrlc": 0.05,
    }


def test_an_option_is_tuned_for_the_kinds_that_take_it() -> None:
    study = parsed(
        HEAD + "grid: {kind: [conv, lrlc], rank: 2}\n"
        "tune: {grid: {layer.share: [none, both], train.batch_size: [8, 16]}}\n"
    )
    conv, lrlc = pilots(expand(study, CATALOGUE))
    assert (len(conv.trials), len(lrlc.trials)) == (2, 4)
    assert {(config.kind, dict(config.options).get("share")) for config in with_first_choices(study)} == {
        ("conv", None),
        ("lrlc", "none"),
    }


def test_tuned_settings_distinguish_cells_only_if_the_grid_compares_them() -> None:
    study = parsed(
        HEAD
        + TUNE
        + "grid: [{kind: conv, train.learning_rate: [0.3, 0.4]}, {kind: lrlc, rank: [1, 2]},"
        + " {kind: coord_conv, train.learning_rate: 0.2}]\nseeds: 2\n"
    )
    masked = masked_settings(study.tune, with_first_choices(study))
    assert {(config.kind, names) for config, names in masked.items()} == {
        ("conv", ()),
        ("lrlc", ("learning_rate",)),
        ("coord_conv", ("learning_rate",)),
    }
    two = masked_settings(
        parsed(
            HEAD + "grid: {kind: conv}", "tune.grid={train.batch_size: [8, 16], train.learning_rate: [1, 2]}"
        ).tune,
        expand(
            parsed(HEAD + "grid: [{kind: conv, train.batch_size: 8, train.learning_rate: 1}, {kind: conv}]"),
            CATALOGUE,
        ).trials(),
    )
    assert set(two.values()) == {("batch_size",)}  # both left out, the two trials would look alike


def test_pilot_seeds_are_used_by_nothing_else() -> None:
    grid = HEAD + "grid: {kind: conv}\n" + TUNE
    for words, expected in {
        (): [1_000_000, 1_000_001],
        ("tune.seeds=1",): [1_000_000],
        ("tune.seeds=[7, 9]",): [7, 9],
        ("seeds=[999999]", "decision.looks=[2, 4]"): [1_000_003, 1_000_004],
    }.items():
        tune = parsed(grid, *words).tune
        assert tune is not None
        assert tune.seeds == expected


def test_shorter_trials_are_those_of_the_grid_with_its_first_seeds() -> None:
    study = parsed(HEAD + KINDS + TUNE + "seeds: [5, 3, 8, 4]\nlength_check: {}\n")
    grid = with_first_choices(study)
    shorter = with_fewer_epochs(study.length_check, grid)
    assert len(shorter) == 7 * 3
    assert {(each.train.epochs, each.seed, each.train.learning_rate) for each in shorter} == {
        (5, 5, 0.05),
        (5, 3, 0.05),
        (5, 8, 0.05),
    }
    assert with_fewer_epochs(None, grid) == []


def test_profiles_and_overrides_change_or_switch_off_a_stage() -> None:
    text = (
        HEAD + KINDS + TUNE + "length_check: {seeds: 4}\n"
        "profiles: {plain: {tune: null, length_check: null}, few: {tune.seeds: 1, length_check: {epochs: 3}}}\n"
    )
    off, few = (parsed(text, profile=profile) for profile in ("plain", "few"))
    assert (off.tune, off.length_check, pilots(expand(off, CATALOGUE))) == (None, None, [])
    assert few.tune is not None
    assert few.length_check is not None
    assert (few.tune.seeds, few.length_check.epochs, few.length_check.seeds) == ([1_000_000], 3, 4)
    again = parsed(text, "tune.grid.train.learning_rate=[0.2, 0.4]", "length_check.seeds=2")
    assert again.tune is not None
    assert again.tune.grid == {"train.learning_rate": [0.2, 0.4]}


@pytest.mark.parametrize(
    ("override", "line"),
    [
        ("tune=1", "tune: expected a mapping, got 1"),
        ("tune.seds=1", "tune.seds: unknown key; did you mean 'seeds'?"),
        ("tune.seeds=0", "tune.seeds: no seeds; give a number of at least 1 or a list"),
        ("tune.seeds=[1, 1]", "tune.seeds: [1, 1] lists a seed twice"),
        (
            "tune.seeds=[7, 0]",
            "tune.seeds: 0 is also a seed of the study; pilots need separate seeds, such as a number of them",
        ),
        (
            "tune.epochs=thrid",
            "tune.epochs: expected a whole number of at least 1 or a share of the study's epochs, got 'thrid';"
            " did you mean 'third'?",
        ),
        (
            "tune.grid={}",
            "tune.grid: nothing to tune; give settings, such as train.learning_rate: [0.05, 0.1]",
        ),
        (
            "tune.grid={learning_rate: [1, 2]}",
            "tune.grid.learning_rate: unknown axis; did you mean 'train.learning_rate'?",
        ),
        (
            "tune.grid={rank: [1, 2]}",
            "tune.grid.rank: cannot be tuned, as the study compares it; tune train.* or layer.*",
        ),
        (
            "tune.grid={train.epochs: [1, 2]}",
            "tune.grid.train.epochs: cannot be tuned; tune.epochs says how long pilots train",
        ),
        (
            "tune.grid={train.learning_rate: [0.1]}",
            "tune.grid.train.learning_rate: [0.1] leaves nothing to choose; give two values or more",
        ),
        (
            "tune.grid={train.learning_rate: [0.1, 0.1]}",
            "tune.grid.train.learning_rate: [0.1, 0.1] lists a value twice",
        ),
        (
            "tune.grid={train.optimizer: [sgd, adamx]}",
            "tune.grid.train.optimizer: unknown optimizer 'adamx'; did you mean 'adamw'?",
        ),
        (
            "tune.grid={train.schedule: [cosine, step]}",
            "tune: grid[0].train.decay_epochs: schedule 'step' needs it, the epochs between its steps",
        ),
        (
            "tune.grid={train.learning_rate: [0.1, -1]}",
            "tune.grid.train.learning_rate: expected more than 0, got -1",
        ),
        ("tune.grid={layer.share: [rows, none]}", "tune.grid.layer.share: no kind in the grid takes it"),
        (
            "tune.grid={layer.shar: [rows, none]}",
            "tune.grid.layer.shar: unknown axis; did you mean 'layer.share'?",
        ),
        ("length_check.seeds=0", "length_check.seeds: expected at least 1, got 0"),
        ("length_check={epoch: half}", "length_check.epoch: unknown key; did you mean 'epochs'?"),
        (
            "length_check={epochs: 10}",
            "length_check.epochs: 10 is 10 of the grid's 10 epochs, so not fewer; train longer, or give"
            " length_check=null",
        ),
    ],
)
def test_a_fault_is_one_line_with_its_path(override: str, line: str) -> None:
    with pytest.raises(StudyError) as caught:
        parsed(HEAD + "grid: {kind: conv}\n" + TUNE, override)
    assert str(caught.value) == f"my.yaml: {line}"


def test_a_stage_needs_a_grid_and_tuning_something_to_try() -> None:
    with pytest.raises(StudyError, match=r"tune\.grid: missing, and it has no default"):
        parsed(HEAD + "grid: {kind: conv}", "tune.seeds=2")
    search = "name: t\nsearch: {trials: 3, dataset: digits, space: {kind: [conv]}}\n"
    with pytest.raises(StudyError, match="tune: needs a grid, and the study has none"):
        parsed(search + TUNE)
