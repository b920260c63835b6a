"""Any study file or override gives a valid study, or one line and exit code 2, but never a traceback."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from unittest.mock import patch

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lrlc.harness.cli.app import main
from lrlc.harness.cli.outcome import explained
from lrlc.harness.plan.catalogue import OpenedStudy, open_study
from lrlc.studies.fields import INT32, INT64, MOST_TRIALS
from lrlc.studies.lines import one_line

FULL = """
name: t
title: all that a study may say
datasets: [digits, {name: digits, translate: 1, size: 8}]
train_images: 100
evaluation_images: 100
draw: first
network: three_layer
layer: {share: rows}
grid:
  - {kind: conv, train.epochs: [2, 3]}
  - {kind: [lrlc, wide_conv], rank: [1, 2], placement: [[1], all], layer.normalize: softmax}
tune: {grid: {train.learning_rate: [0.1, 0.2]}, seeds: 2, epochs: half}
length_check: {epochs: half, seeds: 3}
search:
  trials: 3
  dataset: digits
  space: {kind: [conv, lrlc], rank: [1, 2], train: {learning_rate: {low: 0.1, high: 1, log: true}}}
  sampler: tpe
  sampler_options: {seed: 1}
  objectives: [{metric: parameters, direction: minimize}]
  constraints: [{metric: parameters, max: 10}]
  seeds: 2
seeds: 3
claims:
  - {name: C, test: difference, ours: conv, theirs: {kind: lrlc, rank: 1, layer: {share: both}}, datasets: digits}
  - {name: D, test: best_rank, ours: lrlc, higher_on: digits, than_on: [mnist]}
  - {name: E, test: cost, ours: lrlc, theirs: conv, metric: parameters, at_most: 2}
decision: {alpha: 0.05, looks: [3, 5]}
regime: {linear: true, weights_std: 0.1}
train: {epochs: 4, batch_size: 8, learning_rate: 0.1, momentum: 0.9, warmup_epochs: 0.5, precision: auto}
resources: {cpus: 1, gpus: 0.5, time_limit_minutes: 1, max_attempts: 2}
measure: {shifts: [0, 1], effective_rank: true}
profiles: {p: {train.epochs: 8}, q: {grid: {kind: conv}}}
"""

ODD = r"""
|~|[]|{}|[[]]|[{}]|[null]|0|-1|2147483648|9223372036854775808|1e308|1e400|.nan|.inf|010|1:30|2024-02-30|0b_|yes|full
|text|'a\nb'|"\x1b[0m"|"\ud800"|[1, 1]|{a: b}|{kind: conv}|{kind: {a: 1}}|[[conv]]|all|subsets|[[1], [9]]|conv|lrlc
|digits|x/y|~/x|digits@99999999999999999999|{name: digits, size: [1, 2, 3]}|[a, {b: [c]}]|{low: 0, high: 1}|!!set {a}
|&a [*a]|!!int x|!!timestamp 2024-13-45|*a|{<<: 3}|? a|[|{|'|%|"\0"|sqlite:///x?password=y|../outside
"""
VALUES = [*ODD.replace("\n", "").split("|"), "9" * 5000, "[" * 900, "n" * 300]
MARKS = [*"[]{}'\n\t\0#é\ufeff", "&a ", "*a ", "!!int ", "<<: ", ": ", "- ", "|\n"]


def keys(value: object, at: tuple[str, ...] = ()) -> Iterator[str]:
    """The dotted keys of everything in a study."""
    items: list[tuple[str, object]] = []
    if isinstance(value, dict):
        items = [(str(key), each) for key, each in value.items()]
    elif isinstance(value, list):
        items = [(str(number), each) for number, each in enumerate(value)]
    for name, each in items:
        yield ".".join((*at, name))
        yield from keys(each, (*at, name))


KEYS = sorted(set(keys(yaml.safe_load(FULL))))
KEY = st.builds(str.__add__, st.sampled_from(KEYS), st.sampled_from(["", "", "", ".x", ".0", "..", ".0.a"]))
OVERRIDE = st.builds("{}={}".format, KEY, st.one_of(st.sampled_from(VALUES), st.text(max_size=8)))


@st.composite
def edited(draw: st.DrawFn) -> str:
    """The study with some of its text cut, replaced or inserted."""
    text = FULL
    for _ in range(draw(st.integers(1, 4))):
        at, length = draw(st.integers(0, len(text))), draw(st.sampled_from([0, 0, 1, 3, 40]))
        text = text[:at] + draw(st.sampled_from(["", *MARKS, *VALUES])) + text[at + length :]
    return text


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("studies")


def opened(path: Path, profile: str | None, overrides: list[str]) -> OpenedStudy | None:
    """The study, or None if it is refused in one readable line."""
    try:
        return open_study(str(path), profile=profile, overrides=overrides)
    except Exception as error:
        line = explained(error)
        if line is None:
            raise
        assert one_line(line) == line
        return None


def check(study: OpenedStudy) -> None:
    """Its tables can hold its values."""
    trials = study.grid.trials()
    assert len(trials) <= MOST_TRIALS
    for trial in trials[:100]:
        assert (
            max(trial.train.epochs, trial.train.batch_size, trial.rank or 0, trial.dataset.translate) <= INT32
        )
        assert abs(trial.seed) <= INT64
    json.dumps(study.study.described(), allow_nan=False)


def test_the_mutated_study_is_valid_before(folder: Path) -> None:
    (folder / "full.yaml").write_text(FULL)
    whole = opened(folder / "full.yaml", None, [])
    assert whole is not None
    check(whole)


@settings(max_examples=50)
@given(overrides=st.lists(OVERRIDE, min_size=1, max_size=3), profile=st.sampled_from([None, None, "p", "q"]))
def test_an_override_gives_a_study_or_an_error_line(
    overrides: list[str], profile: str | None, folder: Path
) -> None:
    (folder / "full.yaml").write_text(FULL)
    if (study := opened(folder / "full.yaml", profile, overrides)) is not None:
        check(study)


@given(text=edited())
def test_an_edited_file_gives_a_study_or_an_error_line(text: str, folder: Path) -> None:
    (folder / "edited.yaml").write_text(text, "utf-8")
    if (study := opened(folder / "edited.yaml", None, [])) is not None:
        check(study)


WORD = st.one_of(OVERRIDE, st.sampled_from(VALUES)).filter(lambda word: not word.startswith("-"))


@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(words=st.lists(WORD, min_size=1, max_size=2), place=st.sampled_from(VALUES))
def test_a_command_ends_with_0_or_with_2_and_a_line(
    words: list[str], place: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "full.yaml").write_text(FULL)
    before = set(folder.rglob("*"))
    argv = ["lrlc", "plan", str(folder / "full.yaml"), *words, "--no-probe", f"--results={place}"]
    with patch.object(sys, "argv", argv), pytest.raises(SystemExit) as ended:
        main()
    said = capsys.readouterr()
    assert ended.value.code in (None, 0, 2)
    if ended.value.code == 2:
        (line,) = said.err.splitlines()
        assert line.startswith("lrlc: ")
        assert said.out == ""
    assert set(folder.rglob("*")) == before
