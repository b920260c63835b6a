"""Widths matched by training time: measured once, recorded, and with the same trials from then on."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from support.sessions import planned_run, run_serially

from lrlc.harness.run.session import RunSession
from lrlc.results.errors import StoreError
from lrlc.results.store import Store
from lrlc.studies import StudyError

BLOCK = "grid={kind: wide_conv, rank: 4, placement: [3], layer.match: train_seconds}"
FEW = ["seeds=2", "train_images=100", "evaluation_images=50", "train.epochs=1"]


def planned(study: Path, *words: str) -> RunSession:
    return planned_run(study, [BLOCK, *FEW, *words], study.parent / "runs")


def widths(session: RunSession) -> set[object]:
    return {dict(trial.config.options)["width"] for trial in session.plan.trials}


def test_a_measured_width_is_part_of_the_trials_and_stays(tiny_study: Path) -> None:
    session = planned(tiny_study)
    (width,) = widths(session)  # one for both seeds
    assert isinstance(width, int)
    assert not (tiny_study.parent / "runs").exists()  # planning writes nothing
    run_serially(session)
    rows = Store(tiny_study.parent / "runs/tiny").trials()
    assert [json.loads(options) for options in rows["options"]] == [
        {"match": "train_seconds", "width": width}
    ] * 2
    again = planned(tiny_study)
    assert not again.plan.missing
    more = planned(tiny_study, "seeds=3")
    assert widths(more) == {width}
    assert len(more.plan.missing) == 1
    other = planned(tiny_study, "name=other")  # in the same folder, so it uses the widths recorded there
    assert not other.plan.missing


def test_a_recorded_width_is_used_even_if_times_change(tiny_study: Path) -> None:
    session = planned(tiny_study)
    (found,) = session.planner.widths.used.values()
    store = Store(tiny_study.parent / "runs/tiny")
    store.write_widths([replace(found, width=7, device="another machine")])
    assert widths(planned(tiny_study)) == {7}
    with pytest.raises(StoreError, match="a run has meanwhile measured 7 channels"):
        store.write_widths([replace(found, width=8)])
    (store.root / "widths.json").replace(lambda file: file.write(b"{}"))
    assert store.widths() == []
    assert [each.path.name for each in store.damaged()] == ["widths.json"]


def test_a_given_width_is_not_measured(tiny_study: Path) -> None:
    session = planned(tiny_study, "layer.width=20")
    assert widths(session) == {20}
    assert not session.planner.widths.used


def test_a_width_is_not_measured_for_a_search(tiny_study: Path) -> None:
    search = "search={dataset: digits, trials: 2, space: {kind: [conv, wide_conv], rank: [2]}}"
    with pytest.raises(StudyError) as caught:
        planned(tiny_study, search, "layer.match=train_seconds")
    assert str(caught.value).endswith(
        "layer.match: the width of wide_conv cannot be measured for a search; give layer.width"
    )


def test_a_kind_matched_to_another_leaves_out_options_that_this_one_lacks(tiny_study: Path) -> None:
    blocks = "[{kind: lrlc, rank: 2}, {kind: wide_conv, rank: 2, layer.matched_to: lrlc_input_dependent}]"
    plain, shared = (
        planned_run(tiny_study, [f"grid={blocks}", *FEW, *words], tiny_study.parent / "runs").plan.trials
        for words in ([], ["layer={share: rows}"])
    )
    of_wide = [trial.id for trial in plain if trial.config.kind == "wide_conv"]
    assert [trial.id for trial in shared if trial.config.kind == "wide_conv"] == of_wide
    assert {dict(trial.config.options).get("share") for trial in shared} == {"rows", None}
