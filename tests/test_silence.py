"""Long silences: silent workers, timed batches and other work before the first trial."""

import subprocess
import sys
import time
from pathlib import Path

import pytest

from lrlc.harness.plan.catalogue import open_study
from lrlc.harness.run.silence import Silence
from lrlc.harness.text import NowAndThen
from lrlc.harness.trial import Trial
from lrlc.studies import expand


def trials_of(study: Path) -> list[Trial]:
    opened = open_study(str(study), profile=None, overrides=[])
    configs = expand(opened.study, opened.catalogue)
    return [Trial(str(number), config, "tiny", "d" * 16, 1) for number, config in enumerate(configs.trials())]


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def said(capsys: pytest.CaptureFixture[str]):
    return lambda: capsys.readouterr().err.splitlines()


def test_a_worker_that_does_not_start_its_trial_is_named_once_and_when_it_is_back(
    tiny_study: Path, said
) -> None:
    clock, (trial, *_) = Clock(), trials_of(tiny_study)
    silence = Silence(clock)
    silence.begins(trial)
    for clock.now in (20, 31, 45, 100):
        silence.look()
    label = "digits conv seed 0"
    assert said() == [
        f"{label}: its worker has not answered for 31 s; still waiting; the trial is restarted if Ray gives up "
        "the worker"
    ]
    silence.hears(trial)
    assert said() == [f"{label}: its worker answers again, after 2 min"]


def test_slow_reports_do_not_count_as_silence(tiny_study: Path, said) -> None:
    clock, (trial, other, *_) = Clock(), trials_of(tiny_study)
    silence = Silence(clock)
    silence.begins(trial)
    silence.hears(trial)  # it has started
    clock.now = 1000.0
    silence.look()  # the time of an epoch is not known yet
    silence.hears(trial)
    silence.begins(other)
    silence.hears(other)
    clock.now = 5900.0
    silence.look()
    assert said() == []
    clock.now = 6100.0
    silence.look()
    assert len(said()) == 2  # for both, after five times the longest epoch of any
    silence.ends(trial)
    silence.ends(other)
    clock.now = 9e9
    silence.look()
    assert said() == []


def test_only_slow_work_is_reported_and_not_too_often(said) -> None:
    lines = NowAndThen(seconds=0.1)
    with lines.about("quick"):
        pass
    with lines.about("slow"):
        began = lines._last_line
        while lines._last_line == began:  # until the timer has said it
            time.sleep(0.01)
    with lines.about("soon after"):
        pass
    assert said() == ["slow"]


def test_a_worker_loads_no_compiler() -> None:
    """Loading it would take seconds in each process, even for a run with nothing to train."""
    made = (
        "import sys, torch; from lrlc.harness.training.worker import Worker, WorkerSettings;"
        "Worker(WorkerSettings(None, (), 1, 0, 60));"
        "assert torch.are_deterministic_algorithms_enabled() and torch.is_deterministic_algorithms_warn_only_enabled();"
        "assert 'torch._inductor' not in sys.modules and 'ray' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", made], check=True)
