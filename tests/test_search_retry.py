"""`lrlc retry` of a search: its failed suggestions are retrained, and Optuna gets their outcome."""

from pathlib import Path

import pytest
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from support.sessions import opened_study, run_serially

from lrlc.harness.run.session import open_run
from lrlc.results.schema import BROKEN, TrialStatus

STUDY = """
name: hunt
title: A search whose layer fails for a while
plugins: [flaky.py]
train_images: 60
evaluation_images: 50
search:
  dataset: digits
  trials: 3
  seeds: 2
  sampler: SAMPLER
  space: {kind: [conv, flaky, coord_conv], placement: [[3]]}
train: {epochs: 1, batch_size: 50, learning_rate: 0.05}
"""
FLAKY = """
import os
from lrlc.layers import Convolution2d, layer_kind
@layer_kind("flaky")
def flaky(in_channels, out_channels, kernel_size, *, input_size, **geometry):
    if os.environ.get("LRLC_TEST_FLAKY"):
        raise RuntimeError("not today")
    return Convolution2d(in_channels, out_channels, kernel_size, **geometry)
"""


@pytest.mark.parametrize("sampler", ["brute_force", "random, sampler_options: {seed: 3}"])
def test_failed_suggestions_are_trained_again_and_count_once(
    sampler: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "flaky.py").write_text(FLAKY)
    study = tmp_path / "hunt.yaml"
    study.write_text(STUDY.replace("sampler: SAMPLER", f"sampler: {sampler}".replace(", ", "\n  ")))
    opened, store = opened_study(study, [], tmp_path)

    def states() -> list[str]:
        (path,) = Path(str(store.root)).glob("optuna.journal")
        storage = JournalStorage(JournalFileBackend(str(path)))
        (found,) = storage.get_all_studies()
        return sorted(trial.state.name for trial in storage.get_all_trials(found._study_id))

    monkeypatch.setenv("LRLC_TEST_FLAKY", "1")
    run_serially(open_run(opened, store, None))
    before = store.trials().set_index("trial_id")["ended_at"]
    failed = store.broken_trials()
    assert failed
    told = states()
    run_serially(open_run(opened, store, None))  # a run leaves them as they are
    assert store.broken_trials() == failed
    monkeypatch.delenv("LRLC_TEST_FLAKY")
    run_serially(open_run(opened, store, None, retry=BROKEN))
    rows = store.trials().set_index("trial_id")
    assert set(rows["status"]) == {str(TrialStatus.FINISHED)}
    assert set(rows.index) == set(before.index)
    kept = [trial_id for trial_id in rows.index if trial_id not in failed]
    assert (rows.loc[kept, "ended_at"] == before[kept]).all()
    assert states().count("COMPLETE") == told.count("COMPLETE") + told.count("FAIL") == 3
    over = open_run(opened, store, None)
    assert over.trials_left == 2 * (3 - rows["kind"].nunique())  # with none left, no Ray is started
    run_serially(over)  # and the search is over, without further suggestions
    assert states().count("COMPLETE") == 3
    assert len(store.trials()) == len(rows)
