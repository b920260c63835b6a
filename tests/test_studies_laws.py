"""Laws of study files: what a trial's identity depends on, and the order and speed of planning."""

import time
import tracemalloc
from dataclasses import replace
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from support.studies_samples import CATALOGUE, HEAD, SEARCH, parsed

from lrlc.studies import TrialConfig, checked_grid, expand, placements, suggested_configs, trial_id


def cells(text: str, *overrides: str, profile: str | None = None) -> list[TrialConfig]:
    return expand(parsed(text, *overrides, profile=profile), CATALOGUE).trials()


def identity(config: TrialConfig, **changed: Any) -> str:
    return trial_id(config, **{"data_digest": "d", "code_epoch": 1, **changed})


def only(text: str, *overrides: str) -> TrialConfig:
    (config,) = cells(HEAD + text, *overrides)
    return config


@pytest.mark.parametrize(
    ("given_placement", "meant"),
    [
        ("all", [(1, 2, 3)]),
        (2, [(2,)]),
        ([1, 3], [(1, 3)]),
        ([3, 1, 3], [(1, 3)]),
        ([[1], [2], [1, 2, 3]], [(1,), (2,), (1, 2, 3)]),
        ([[1], "all"], [(1,), (1, 2, 3)]),
        ([2, [1, 3]], [(2,), (1, 3)]),
        ("subsets", [(1,), (2,), (1, 2), (3,), (1, 3), (2, 3), (1, 2, 3)]),
    ],
)
def test_placement_means_the_same_in_a_grid_and_in_a_search(
    given_placement: object, meant: list[tuple[int, ...]]
) -> None:
    override = f"={yaml.safe_dump(given_placement, default_flow_style=True)}"
    grid = cells(HEAD + "grid: {kind: locally_connected}", "grid.placement" + override)
    assert [config.placement for config in grid] == meant
    searched = parsed(SEARCH, "search.space.placement" + override).search
    assert searched is not None
    assert placements(searched.space.placement, 3) == meant


BLOCK = st.fixed_dictionaries(
    {
        "kind": st.sampled_from([["lrlc"], ["conv", "lrlc"], ["coord_conv", "wide_conv", "lrlc"]]),
        "rank": st.lists(st.integers(1, 4), min_size=1, max_size=3),
        "placement": st.lists(st.lists(st.integers(1, 3), min_size=1, max_size=3), min_size=1, max_size=3),
        "dataset": st.sampled_from([["digits"], ["digits", "mnist", "digits"]]),
    }
)


@settings(deadline=None)
@given(blocks=st.lists(BLOCK, min_size=1, max_size=3), seeds=st.integers(1, 4))
def test_a_stopped_study_is_balanced_and_has_no_trial_twice(blocks: list[dict[str, Any]], seeds: int) -> None:
    study = checked_grid({"name": "t", "grid": blocks, "seeds": seeds}, CATALOGUE).study
    found = expand(study, CATALOGUE).trials()
    assert len({identity(config) for config in found}) == len(found)
    first = [config for config in found if config.seed == 0]
    assert found == [replace(config, seed=seed) for seed in range(seeds) for config in first]
    assert expand(study.model_copy(update={"grid": study.grid * 2}), CATALOGUE).trials() == found


def test_a_hundred_thousand_trials_expand_in_seconds_and_little_memory() -> None:
    rates = [step / 1000 for step in range(1, 1001)]
    study = parsed(HEAD + "grid: {kind: lrlc, rank: 1}")
    large = study.model_copy(
        update={"grid": [{"kind": "lrlc", "rank": list(range(1, 101)), "train.learning_rate": rates}]}
    )
    started = time.process_time()
    assert len(expand(large, CATALOGUE).trials()) == 100_000
    assert time.process_time() - started < 20
    tracemalloc.start()
    kept = expand(study.model_copy(update={"seeds": list(range(5_000))}), CATALOGUE).trials()
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak_bytes / len(kept) < 1000


@pytest.mark.parametrize(
    ("text", "title"),
    [
        ("mnist", "mnist"),
        ("{name: celeba, label: Smiling}", "celeba:Smiling"),
        ("{name: mnist, translate: 8}", "mnist+t8"),
        ("my/faces", "my/faces"),
        ("{path: faces, translate: 2}", "faces+t2"),
    ],
)
def test_a_data_set_is_a_name_a_folder_or_a_mapping(text: str, title: str) -> None:
    (config,) = cells(f"name: t\ndatasets: {text}\ngrid: {{kind: conv}}")
    assert config.dataset.title == title
    (alone,) = cells(f"name: t\ngrid: {{kind: conv, dataset: {text}}}")
    assert alone == config


def test_a_study_limits_the_data_sets_that_set_no_limit() -> None:
    found = cells(
        "name: t\ntrain_images: 50\ndatasets: [mnist, {name: digits, train_images: 9}]\ngrid: {kind: conv}"
    )
    assert [config.dataset.train_images for config in found] == [50, 9]


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ("grid: {kind: conv}", "grid: {kind: conv, placement: [2]}"),
        ("grid: {kind: conv}", "grid: {kind: conv}\nlayer: {share: rows}"),
        ("grid: {kind: lrlc, rank: 2}", "grid: {kind: lrlc, rank: 2, placement: [3, 2, 1]}"),
        ("grid: {kind: conv}", "grid: {kind: conv}\ntrain: {epochs: 10, batch_size: 512, momentum: 0.9}"),
        ("grid: {kind: conv}\ntrain: {learning_rate: 1}", "grid: {kind: conv, train.learning_rate: 1.0}"),
        ("grid: {kind: conv}", "grid: {kind: conv}\nresources: {cpus: 2, gpus: 0.25}\ntitle: other"),
        ("grid: {kind: conv}", "grid: {kind: conv, dataset: {name: digits, translate: 0}}"),
        (
            "grid: {kind: lrlc, rank: 2, layer.share: rows}",
            "grid: {kind: lrlc, rank: 2}\nlayer: {share: rows}",
        ),
    ],
)
def test_what_cannot_change_the_result_does_not_change_the_id(text: str, same: str) -> None:
    assert identity(only(text)) == identity(only(same))


@pytest.mark.parametrize(
    "override",
    [
        "seeds=[1]",
        "grid.rank=3",
        "grid.kind=wide_conv",
        "grid.placement=1",
        "network=resnet50",
        "datasets=mnist",
        "datasets={name: digits, translate: 2}",
        "datasets={name: digits, label: other}",
        "train_images=50",
        "evaluation_images=50",
        "layer={share: rows}",
        "train.epochs=11",
        "train.batch_size=64",
        "train.learning_rate=0.2",
        "train.momentum=0.8",
        "train.warmup_epochs=1",
        "train.precision=bfloat16",
    ],
)
def test_what_can_change_the_result_changes_the_id(override: str) -> None:
    base = "grid: {kind: lrlc, rank: 2}"
    assert identity(only(base)) != identity(only(base, override))


def test_data_code_and_plugins_are_part_of_the_id_and_the_folder_is_not() -> None:
    config = only("grid: {kind: conv}")
    others = [identity(config, data_digest="e"), identity(config, code_epoch=2)]
    plugin = [identity(config, plugin_digest="p"), identity(config, plugin_digest="q")]
    assert len({identity(config), *others, *plugin}) == 5
    here, there = (
        identity(only("grid: {kind: conv}", f"datasets={folder}")) for folder in ("a/faces", "/b/faces")
    )
    assert here == there


def test_an_id_is_the_same_on_every_machine_and_in_every_version() -> None:
    """Changing a value here would invalidate every user's rows; raise the code epoch instead."""
    config = only("grid: {kind: lrlc, rank: 2, placement: [1, 3], layer.share: rows}", "datasets=mnist")
    assert identity(config) == "9392f1d43d229ccc"


def test_a_suggestion_and_a_grid_cell_that_mean_the_same_are_one_trial() -> None:
    study = parsed(SEARCH, "grid={kind: [conv, lrlc], rank: 2, placement: [1, 3], dataset: digits}")
    grid = {identity(config) for config in expand(study, CATALOGUE).trials()}
    suggestions: list[dict[str, Any]] = [
        {"kind": "conv", "placement": "2"},
        {"kind": "lrlc", "rank": 2, "placement": "1+3"},
    ]
    assert {
        identity(config) for values in suggestions for config in suggested_configs(study, CATALOGUE, values)
    } == grid


def test_a_search_runs_on_the_network_of_its_study() -> None:
    found = suggested_configs(
        parsed(SEARCH, "network=resnet50"), CATALOGUE, {"kind": "conv", "placement": "4"}
    )
    assert [config.network for config in found] == ["resnet50"]
    own = parsed(SEARCH, "network=resnet50", "search.network=three_layer")
    assert own.search is not None
    assert own.search.network == "three_layer"
