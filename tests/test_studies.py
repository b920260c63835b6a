"""The meaning of a study file: its trials, their identity, and refusals."""

import dataclasses
from itertools import groupby
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from lrlc.harness.plan.catalogue import open_study
from lrlc.studies import (
    Catalogue,
    Study,
    StudyError,
    TrialConfig,
    checked_grid,
    expand,
    placements,
    shipped_studies,
    suggested_configs,
    trial_id,
)
from lrlc.studies.catalogue import KindOption

KNOWN = Catalogue(
    kinds={"conv": False, "wide_conv": True, "lrlc": True, "locally_connected": False},
    networks={"three_layer": 3, "resnet50": 4},
    datasets={"digits", "mnist", "cifar10"},
    matched={"wide_conv": "lrlc"},
    options={"lrlc": {"share": KindOption("both"), "normalize": KindOption("softmax")}},
)


def study(text: str, *overrides: str, profile: str | None = None) -> Study:
    raw = {"name": "s", "datasets": "digits", **yaml.safe_load(text)}
    return checked_grid(raw, KNOWN, profile=profile, overrides=overrides).study


def trials(text: str, *overrides: str) -> list[TrialConfig]:
    return expand(study(text, *overrides), KNOWN).trials()


def identity(config: TrialConfig, **changes: Any) -> str:
    facts = {"data_digest": "d", "code_epoch": 1, **changes}
    return trial_id(config, **facts)


def test_a_grid_is_the_union_of_its_blocks_each_cell_once() -> None:
    found = trials(
        "grid: [{kind: conv, placement: [[1], [2]]}, {kind: [conv, lrlc], rank: [1, 2], placement: [[3], all]}]"
    )
    assert [(c.kind, c.rank, c.placement) for c in found] == [
        ("conv", None, ()),
        ("lrlc", 1, (3,)),
        ("lrlc", 1, (1, 2, 3)),
        ("lrlc", 2, (3,)),
        ("lrlc", 2, (1, 2, 3)),
    ]


def test_every_cell_has_its_first_seed_before_any_has_its_second() -> None:
    found = trials("grid: {kind: lrlc, rank: [1, 2, 4]}\nseeds: [5, 3]")
    assert [(seed, len(list(group))) for seed, group in groupby(c.seed for c in found)] == [(5, 3), (3, 3)]


def test_dotted_axes_reach_layers_training_and_data() -> None:
    found = trials(
        "grid: {kind: lrlc, rank: 2, layer.share: [rows, none], train.learning_rate: [0.1, 0.2], dataset.translate: 4}"
    )
    assert {(dict(c.options)["share"], c.train.learning_rate, c.dataset.title) for c in found} == {
        (share, rate, "digits+t4") for share in ("rows", "none") for rate in (0.1, 0.2)
    }


def test_profiles_merge_and_overrides_come_on_top() -> None:
    text = (
        "grid: {kind: conv}\ntrain: {epochs: 5, batch_size: 8}\n"
        "profiles: {small: {train.epochs: 2, seeds: 3}, large: {train: {epochs: 50}}}"
    )
    small = study(text, "train.batch_size=16", profile="small")
    assert (small.train.epochs, small.train.batch_size, small.seeds) == (2, 16, [0, 1, 2])
    assert study(text, profile="large").train.batch_size == 8
    with pytest.raises(StudyError, match=r"--profile smal: unknown profile; did you mean 'small'\?"):
        study(text, profile="smal")


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("grd=1", "grd: unknown key; did you mean 'grid'?"),
        ("train.epochs=0", "train.epochs: expected at least 1, got 0"),
        ("train.learning_rate=fast", "train.learning_rate: expected a number, got 'fast'"),
        ("seeds=[1, 1]", "seeds: [1, 1] lists a seed twice"),
        ("grid={kind: lrcl, rank: 1}", "grid[0].kind: unknown layer kind 'lrcl'; did you mean 'lrlc'?"),
        ("grid={kind: lrlc}", "grid[0].rank: lrlc needs a whole rank of at least 1; none was given"),
        ("grid={kind: lrlc, rank: [1, 1.5]}", "grid[0].rank: lrlc needs a whole rank of at least 1; got 1.5"),
        ("grid={kind: conv, rank: 2}", "grid[0].rank: conv has no rank; leave it out"),
        ("grid={kind: conv, train.lr: 1}", "grid[0].train.lr: unknown key"),
        ("grid={kind: conv, knid: 1}", "grid[0].knid: unknown axis; did you mean 'kind'?"),
        ("grid={kind: lrlc, rank: 1, layer.shar: rows}", "grid[0].layer.shar: no kind here takes it"),
        ("grid={kind: conv, network: resnet5}", "grid[0].network: unknown network 'resnet5'; did you mean"),
        ("grid=[]", "grid: the study has neither a grid nor a search"),
        ("resources.gpus=1.5", "resources.gpus: 1.5 is neither a fraction under 1 nor a whole number"),
        ("name=a/b", "name: String should match pattern"),
        ("epochs", "epochs: expected KEY=VALUE"),
        ("search={trials: 3, dataset: digits, space: {kind: [lrlc]}}", "search.space.rank: lrlc needs ranks"),
        ("search={trials: 3, dataset: digits, space: {knd: [conv]}}", "search.space.knd: unknown key"),
    ],
)
def test_mistakes_are_reported_in_one_line_with_their_path(override: str, said: str) -> None:
    with pytest.raises(StudyError) as caught:
        study("grid: {kind: conv}", override)
    message = str(caught.value)
    assert said in message
    assert "\n" not in message


def test_the_identity_changes_only_with_what_defines_a_trial() -> None:
    (config,) = trials("grid: {kind: lrlc, rank: 2, placement: 3}")
    others = trials(
        "grid: [{kind: lrlc, rank: [1, 3], placement: 3}, {kind: lrlc, rank: 2, placement: [[1], [1, 3]]},"
        " {kind: wide_conv, rank: 2, placement: 3}, {kind: lrlc, rank: 2, placement: 3, layer.share: rows},"
        " {kind: lrlc, rank: 2, placement: 3, train.epochs: 11}, {kind: lrlc, rank: 2, placement: 3,"
        " dataset.translate: 1}, {kind: lrlc, rank: 2, placement: 3, dataset.train_images: 9}]\nseeds: 2"
    )
    ids = {identity(other) for other in others} | {
        identity(dataclasses.replace(config, seed=7)),
        identity(config, data_digest="e"),
        identity(config, code_epoch=2),
        identity(config, plugin_digest="p"),
    }
    assert len(ids) == len(others) + 4
    assert identity(config) not in ids
    (same,) = trials(
        "title: Other words\ngrid: {placement: [3], rank: 2.0, kind: lrlc, layer.normalize: softmax}\n"
        "resources: {cpus: 2}\ntrain: {momentum: 0.9}\nseeds: [0]"
    )
    assert identity(same) == identity(config)


@given(st.lists(st.sampled_from([1, 2, 3]), min_size=1))
def test_a_placement_is_a_set_of_places(places: list[int]) -> None:
    assert placements(places, 3) == [tuple(sorted(set(places)))]


def test_subsets_are_all_except_the_empty_one() -> None:
    assert sorted(placements("subsets", 3)) == sorted({(1,), (2,), (3,), (1, 2), (1, 3), (2, 3), (1, 2, 3)})


def test_a_suggestion_means_one_trial_per_seed() -> None:
    hunt = study(
        "search: {trials: 3, dataset: digits, seeds: 2, space: {kind: [conv, lrlc], rank: [1, 2],"
        " placement: subsets, train: {learning_rate: {low: 0.01, high: 1, log: true}}}}"
    )
    values = {"kind": "lrlc", "rank": 2, "placement": "1+3", "train.learning_rate": 0.25}
    found = suggested_configs(hunt, KNOWN, values)
    assert [(c.rank, c.placement, c.train.learning_rate, c.seed) for c in found] == [
        (2, (1, 3), 0.25, 0),
        (2, (1, 3), 0.25, 1),
    ]


def test_a_hundred_thousand_trials_expand_each_with_its_own_identity() -> None:
    found = trials(
        "grid: {kind: lrlc, rank: [1, 2, 3, 4, 5], placement: subsets, layer.share: [both, rows]}\nseeds: 1430"
    )
    assert len(found) == 100_100
    assert len({identity(config) for config in found[:2000]}) == 2000


@pytest.mark.parametrize("name", sorted(shipped_studies()))
def test_a_shipped_study_is_valid_in_every_profile(name: str) -> None:
    raw: dict[str, Any] = yaml.safe_load(Path(shipped_studies()[name]).read_text())
    for profile in (None, *raw.get("profiles", {})):
        opened = open_study(name, profile=profile, overrides=[])
        assert opened.study.name == name
        assert opened.grid.trials() or opened.study.search


def test_the_quickstart_compares_three_kinds_three_ranks_and_three_seeds() -> None:
    found = open_study("quickstart", profile=None, overrides=[]).grid.trials()
    assert len({c.kind for c in found}) >= 3
    assert len({c.rank for c in found if c.rank}) >= 3
    assert len({c.seed for c in found}) >= 3


def test_a_duplicate_key_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "twice.yaml"
    path.write_text("name: twice\ngrid: {kind: conv}\ngrid: {kind: lrlc, rank: 1}\n")
    with pytest.raises(StudyError, match="the key 'grid' appears twice"):
        open_study(str(path), profile=None, overrides=[])
