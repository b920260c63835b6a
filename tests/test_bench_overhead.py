"""`lrlc bench overhead` at its smallest sizes: every part runs and says whether its goal was met. No time limits."""

import json
import subprocess
from collections.abc import Callable

import pytest

from lrlc.harness.bench.instant import InstantRun
from lrlc.harness.bench.overhead import Measure, measured, of_longest

Lrlc = Callable[..., subprocess.CompletedProcess[str]]


def by_name(done: subprocess.CompletedProcess[str]) -> dict[str, dict[str, object]]:
    found = json.loads(done.stdout)
    assert {"cpu", "threads", "torch", "load", "instructions", "device"} == set(found["machine"])
    return {each["name"]: each for each in found["results"]}


@pytest.mark.proof
def test_every_part_is_measured_at_its_smallest(lrlc: Lrlc) -> None:
    sizes = ["--trials", "4", "--slots", "1", "--search-trials", "4", "--tune-trials", "3", "--rounds", "1"]
    sizes += ["--finished", "500", "--planned", "1000"]
    found = by_name(lrlc("bench", "overhead", *sizes, "--json"))
    for name in ("grid of 4, a trial", "search by TPE of 4, a trial at the end"):
        assert found[name]["unit"] == "ms"
        assert found[name]["value"] > 0  # type: ignore[operator]
    assert found["parts at the end, compacted"]["value"] == 1
    tune = found["Ray Tune, a trial"]
    assert "not measured" in str(tune["note"]) or "3 trials" in str(tune["note"])
    assert found["resume 500 finished trials"]["goal"] == "at most 2"
    assert found["plan 1,000 trials"]["value"] > 0  # type: ignore[operator]
    assert found["plan 1,000 trials, peak memory"]["value"] > 10  # type: ignore[operator]


def test_a_long_run_is_compared_with_a_short_one() -> None:
    short = InstantRun(100, 0.2, (), (), 0, 1)
    long = InstantRun(10_000, 30.0, (), (500_000_000, 501_000_000, 510_000_000), 29, 1)
    found = {measure.name: measure for measure in of_longest(short, long)}
    assert found["10,000 over 100, a trial"].value == pytest.approx(1.5)
    assert found["10,000 over 100, a trial"].met is False
    assert found["driver memory, growth a trial"].value == 1000
    assert found["parts a second while running"].met is True


def test_an_unknown_part_is_named(lrlc: Lrlc) -> None:
    assert "--only: 'gpu' is none of grid" in lrlc("bench", "overhead", "--only", "gpu", code=2).stderr


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([4.0], Measure("x", "ms", 4.0, None, None, "at most 3", False)),
        ([1.0, 2.0, 3.0], Measure("x", "ms", 2.0, 1.5, 2.5, "at most 3", True)),
        ([], Measure("x", "ms", None)),
    ],
)
def test_a_measure_is_the_median_and_says_whether_it_meets_its_goal(
    values: list[float], expected: Measure
) -> None:
    assert measured("x", "ms", values, at_most=3) == expected
