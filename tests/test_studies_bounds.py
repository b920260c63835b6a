"""Numbers too large for a column or implausible are refused before anything is written; overrides reach lists."""

import pytest
from support.studies_samples import CATALOGUE, HEAD, SEARCH, parsed

from lrlc.studies import StudyError, expand

TWO_BLOCKS = HEAD + "grid: [{kind: conv}, {kind: lrlc, rank: 1}]"


def refusal(text: str, *overrides: str) -> str:
    with pytest.raises(StudyError) as caught:
        parsed(text, *overrides)
    (line,) = str(caught.value).splitlines()
    return line.removeprefix("my.yaml: ")


@pytest.mark.parametrize(
    ("override", "line"),
    [
        (
            "seeds=[9223372036854775808]",
            "seeds[0]: expected at most 9,223,372,036,854,775,807",
        ),
        ("seeds=1000001", "seeds: at most 1,000,000, got 1,000,001"),
        ("train.batch_size=3000000000", "train.batch_size: expected at most 1,000,000,000"),
        ("train.epochs=2147483648", "train.epochs: expected at most 1,000,000"),
        ("train.learning_rate=1e308", "train.learning_rate: expected at most 1e+30"),
        ("train.warmup_epochs=1e9", "train.warmup_epochs: expected at most 1,000,000"),
        ("train_images=1e10", "train_images: expected at most 1,000,000,000"),
        ("size=20000", "size: expected at most 10,000 pixels, got 20000"),
        ("layer.share=1e13", "layer.share: expected a number within 1e+12 of 0, got 10000000000000.0"),
        ("resources.cpus=1e9", "resources.cpus: expected at most 10,000"),
        ("resources.cpus=1e-9", "resources.cpus: expected at least 0.001"),
        (
            "resources.gpus=2",
            "resources.gpus: a trial only uses one GPU, but 2 would be reserved; give 1 or a fraction",
        ),
        ("resources.max_attempts=1e9", "resources.max_attempts: expected at most 1,000"),
        (
            "resources.time_limit_minutes=1e99",
            "resources.time_limit_minutes: expected at most",
        ),
        ("measure.shifts=[1, 2147483648]", "measure.shifts[1]: expected at most 10,000"),
        (
            "datasets={name: digits, translate: 2147483648}",
            "datasets[0].translate: expected at most",
        ),
        (
            "grid={kind: conv, dataset.translate: 3000000000}",
            "grid[0].dataset.translate: expected at most",
        ),
        ("grid={kind: lrlc, rank: 2147483648}", "grid[0].rank: at most 100,000, got 2,147,483,648"),
        (
            "grid={kind: lrlc, rank: 1, layer.share: .inf}",
            "grid[0].layer.share: expected a number within 1e+12",
        ),
        ("decision.looks=[2, 1e9]", "decision.looks[1]: expected at most 1,000,000"),
        (f"name={'n' * 101}", "name: expected at most 100 characters"),
    ],
)
def test_a_number_beyond_its_column_or_any_plausible_value_is_refused(override: str, line: str) -> None:
    assert refusal(HEAD + "grid: {kind: conv}", override).startswith(line)


def test_a_search_is_bounded_as_a_grid_is() -> None:
    assert refusal(SEARCH, "search.trials=1e9").startswith("search.trials: expected at most")
    assert refusal(SEARCH, "search.space.rank=[1, 1000000]").startswith(
        "search.space.rank[1]: expected at most"
    )
    assert refusal(SEARCH, "search.seeds=[-9223372036854775809]").startswith(
        "search.seeds[0]: expected at least"
    )


def test_a_grid_too_large_to_list_is_refused_at_once() -> None:
    rates = ", ".join(f"0.{number:03}" for number in range(1, 400))
    block = (
        f"grid={{kind: lrlc, rank: [{', '.join(map(str, range(1, 400)))}], train.learning_rate: [{rates}]}}"
    )
    assert refusal(TWO_BLOCKS, block) == "grid[0]: 159,201 cells; a block has at most 100,000"
    several = refusal(TWO_BLOCKS, "seeds=600000")
    assert several == "grid: 1,200,000 trials, including seeds; a study has at most 1,000,000"


def test_a_long_value_does_not_hide_its_fault() -> None:
    line = refusal(TWO_BLOCKS, f"train.precision={'x' * 5_000}")
    assert line.startswith("train.precision: unknown value 'xxx")
    assert line.endswith("known: auto, bfloat16, float32")
    assert len(line) < 250


def cells(*overrides: str) -> list[tuple[str, int | None, float]]:
    study = parsed(TWO_BLOCKS, *overrides)
    return [(each.kind, each.rank, each.train.learning_rate) for each in expand(study, CATALOGUE).trials()]


def test_an_override_reaches_a_block_of_the_grid() -> None:
    assert cells("grid.1.rank=[1, 2]") == [("conv", None, 0.1), ("lrlc", 1, 0.1), ("lrlc", 2, 0.1)]
    assert cells("grid.0.train.learning_rate=0.2") == [("conv", None, 0.2), ("lrlc", 1, 0.1)]
    assert cells("grid.1={kind: coord_conv}") == [("conv", None, 0.1), ("coord_conv", None, 0.1)]
    assert cells("grid={kind: lrlc}", "grid.rank=3") == [("lrlc", 3, 0.1)]


def test_an_override_reaches_an_item_of_any_list() -> None:
    study = parsed(HEAD + "grid: {kind: conv}", "datasets=[{name: digits}, mnist]", "datasets.0.translate=2")
    assert [spec.title for spec in study.datasets] == ["digits+t2", "mnist"]


@pytest.mark.parametrize(
    ("override", "line"),
    [
        ("grid.2.rank=1", "grid.2.rank: the list has no item 2; its items are numbered 0 to 1"),
        ("grid.-1.rank=1", "grid.-1.rank: the grid has 2 blocks; name one, such as grid.0.-1"),
        ("grid.rank=1", "grid.rank: the grid has 2 blocks; name one, such as grid.0.rank"),
        ("grid.1.ranks=1", "grid[1].ranks: unknown axis; did you mean 'rank'?"),
        ("grid.1.train.epoch=1", "grid[1].train.epoch: unknown key; did you mean 'epochs'?"),
        ("datasets.0=mnist", "datasets.0: datasets is not a mapping"),
        ("train..epochs=1", "train..epochs: expected names separated by dots, such as train.epochs"),
        ("=1", "=1: expected KEY=VALUE, such as train.epochs=2"),
    ],
)
def test_an_override_of_a_missing_key_is_refused_in_one_line(override: str, line: str) -> None:
    assert refusal(TWO_BLOCKS, override).startswith(line)
