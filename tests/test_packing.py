"""How many trials share a GPU: estimates from the network alone, and peaks from the rows of earlier trials."""

import dataclasses
import json
from pathlib import Path

import pandas as pd
import pytest
from support.sessions import planned_run

from lrlc.harness.data import load_dataset
from lrlc.harness.training.packing import Packing, measured_peaks
from lrlc.harness.trial import Trial

GIGABYTE = 2**30


@pytest.fixture
def trials(tiny_study: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Trial, ...]:
    monkeypatch.setenv("LRLC_CACHE", str(tmp_path / "cache"))
    return planned_run(tiny_study, ["train.batch_size=4096"], tmp_path).plan.trials


def packing(gpu_bytes: int, most: int = 4, peaks: dict[str, float] | None = None) -> Packing:
    return Packing(gpu_bytes, most, lambda config: load_dataset(config.dataset, None), peaks or {})


def test_the_share_follows_the_memory_of_gpu_and_batch(trials: tuple[Trial, ...]) -> None:
    trial = trials[0]
    assert packing(80 * GIGABYTE).share(trial) == 1 / 4
    assert packing(80 * GIGABYTE, most=2).share(trial) == 1 / 2
    assert packing(GIGABYTE).share(trial) == 1  # too small for two
    shares = []
    for batch in (64, 4096, 65536):
        train = trial.config.train.model_copy(update={"batch_size": batch})
        sized = dataclasses.replace(trial, config=dataclasses.replace(trial.config, train=train))
        shares.append(packing(24 * GIGABYTE, most=16).share(sized))
    assert shares == sorted(shares)
    assert shares[0] < shares[-1]


def test_as_many_trials_fit_a_gpu_as_share_it(trials: tuple[Trial, ...]) -> None:
    for most in range(1, 17):
        share = packing(800 * GIGABYTE, most=most).share(trials[0])
        assert share == pytest.approx(1 / most, abs=1e-4)
        assert most * round(10_000 * share) <= 10_000  # in Ray's units


def test_a_measured_peak_takes_precedence_over_the_estimate(trials: tuple[Trial, ...]) -> None:
    measured, other = trials[0], trials[-1]
    config = json.dumps({**measured.config.canonical(), "seed": 99})
    rows = pd.DataFrame({"config": [config, config], "peak_memory_bytes": [5e9, float(30 * GIGABYTE)]})
    found = packing(80 * GIGABYTE, peaks=measured_peaks(rows))
    assert found.share(measured) == 1 / 2
    assert found.share(other) == 1 / 4
