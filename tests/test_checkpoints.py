"""A checkpoint is used if intact, or its trial restarts and says so: no changed weight, no failed retry."""

import dataclasses
import io
import re
from functools import cache
from pathlib import Path

import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from support.sessions import planned_run

from lrlc.harness.data import load_dataset
from lrlc.harness.run.display import Display
from lrlc.harness.run.driver import Driver, GridSource
from lrlc.harness.run.executor import Progress, Started
from lrlc.harness.run.fate import BegunAnew, Fate
from lrlc.harness.run.serial import SerialExecutor
from lrlc.harness.text import pace
from lrlc.harness.training.checkpoint import WrongCheckpoint, as_bytes, from_bytes
from lrlc.harness.training.train import train
from lrlc.harness.training.worker import WorkerSettings
from lrlc.harness.trial import Checkpoint, Trial, blank_result
from lrlc.results.schema import EpochRecord, TrialResult, TrialStatus
from lrlc.results.store import Store
from lrlc.studies import Resources

CPU = torch.device("cpu")
SETTINGS = WorkerSettings(None, (), cpus=1, gpus=0, checkpoint_seconds=1e9)
ID = "0123456789abcdef"


@pytest.fixture
def trial(tiny_study: Path, tmp_path: Path):
    """The one trial of a grid's block, on 100 digits for three epochs."""

    def planned(*words: str, block: str = "{kind: conv}") -> Trial:
        asked = [f"grid={block}", "seeds=1", "train_images=100", "evaluation_images=50", "train.epochs=3"]
        (one,) = planned_run(tiny_study, [*asked, *words], tmp_path).plan.trials
        return one

    return planned


def checkpoint_of(trial: Trial) -> Checkpoint:
    records = train(trial, load_dataset(trial.config.dataset, None), CPU, checkpoint_seconds=0)
    return next(record for record in records if isinstance(record, Checkpoint))


@cache
def content() -> bytes:
    """A checkpoint after a first epoch, without a network, for testing the file."""
    state = torch.arange(2000, dtype=torch.float32).numpy().tobytes()
    record = EpochRecord(1, 0.5, 0.6, 0.7, 0.8, 0.1, 2.0)
    return as_bytes(Checkpoint((record,), state), ID)


@st.composite
def damages(draw) -> bytes:
    """The file with bits flipped, cut, doubled, with bytes taken out or put in, or something else."""
    whole = content()
    at, other = draw(st.integers(0, len(whole) - 1)), draw(st.integers(0, len(whole)))
    some = draw(st.binary(min_size=1, max_size=40))
    return {
        "flip": lambda: whole[:at] + bytes([whole[at] ^ (1 << draw(st.integers(0, 7)))]) + whole[at + 1 :],
        "cut": lambda: whole[:at],
        "tail": lambda: whole[at + 1 :],
        "hole": lambda: whole[: min(at, other)] + whole[max(at, other) :],
        "zeros": lambda: whole[:at] + bytes(len(whole) - at),
        "insert": lambda: whole[:at] + some + whole[at:],
        "append": lambda: whole + some,
        "twice": lambda: whole + whole,
        "else": lambda: some,
    }[
        draw(
            st.sampled_from(
                ["flip"] * 6 + ["cut", "tail", "hole", "zeros", "insert", "append", "twice", "else"]
            )
        )
    ]()


@settings(max_examples=300, deadline=None)
@given(damaged=damages())
def test_a_damaged_checkpoint_is_never_used(damaged: bytes) -> None:
    if damaged != content():
        with pytest.raises(WrongCheckpoint) as caught:
            from_bytes(damaged, ID)
        assert "\n" not in str(caught.value)


def test_an_intact_checkpoint_is_only_used_by_its_own_trial() -> None:
    found = from_bytes(content(), ID)
    assert as_bytes(found, ID) == content()
    with pytest.raises(WrongCheckpoint, match=f"is that of another trial, {ID}"):
        from_bytes(content(), "another")


def run(trial: Trial, store: Store) -> tuple[pd.Series, list[str]]:
    """The row of the trial after running it to its end on the store, and the reason if it restarted."""
    events: list[Fate] = []
    Driver([GridSource([trial])], SerialExecutor(SETTINGS), store, Resources(), events.append).run()
    row = store.trials().set_index("trial_id").loc[trial.id]
    assert row["status"] == TrialStatus.FINISHED
    return row, [event.reason for event in events if isinstance(event, BegunAnew)]


SPOILT = {
    "a flipped bit": (
        lambda file: file[:-900] + bytes([file[-900] ^ 4]) + file[-899:],
        "is damaged: its SHA-256 does not match",
    ),
    "half a file": (lambda file: file[: len(file) // 2], "is damaged: its SHA-256 does not match"),
    "an empty file": (lambda file: b"", "is damaged, or of another version"),
    "one of an earlier version": (lambda file: file.split(b"\n", 3)[3], "is damaged, or of another version"),
}


@pytest.mark.parametrize("spoilt", SPOILT)
def test_a_trial_with_a_damaged_checkpoint_restarts_and_gives_the_same_numbers(
    trial, spoilt, tmp_path
) -> None:
    asked, (spoil, reason) = trial(), SPOILT[spoilt]
    whole, _ = run(asked, Store(tmp_path / "whole"))
    store = Store(tmp_path / "spoilt")
    store.save_checkpoint(asked.id, spoil(as_bytes(checkpoint_of(asked), asked.id)))
    row, reasons = run(asked, store)
    assert reasons == [reason]
    assert row["test_accuracy"] == whole["test_accuracy"]
    assert row["train_loss"] == whole["train_loss"]
    assert not store.checkpoints()


def test_an_intact_checkpoint_is_resumed_silently(trial, tmp_path) -> None:
    asked, store = trial(), Store(tmp_path / "store")
    store.save_checkpoint(asked.id, as_bytes(checkpoint_of(asked), asked.id))
    row, reasons = run(asked, store)
    assert (reasons, row["resumed_epochs"]) == ([], 1)
    assert row["total_seconds"] > row["train_seconds"], "the time before the checkpoint counts in both"


def test_another_trials_checkpoint_under_this_ones_name_is_ignored(trial, tmp_path) -> None:
    asked, other = trial(), trial("train.learning_rate=0.01")
    store = Store(tmp_path / "store")
    store.save_checkpoint(asked.id, as_bytes(checkpoint_of(other), other.id))
    _, reasons = run(asked, store)
    assert reasons == [f"is that of another trial, {other.id}"]


@pytest.mark.parametrize(
    "block", ["{kind: lrlc, rank: 2, placement: [3]}", "{kind: wide_conv, rank: 2, placement: [3]}"]
)
def test_a_checkpoint_of_another_network_restarts_the_trial_once(trial, block, tmp_path) -> None:
    """As after a change of a plugin's layer: the file is intact and belongs to the trial."""
    asked, other = trial(), trial(block=block)
    whole, _ = run(asked, Store(tmp_path / "whole"))
    store = Store(tmp_path / "store")
    store.save_checkpoint(asked.id, as_bytes(checkpoint_of(other), asked.id))
    row, reasons = run(asked, store)
    assert reasons == ["does not fit its network"]
    assert row["train_loss"] == whole["train_loss"]
    assert list(store.curves()["trial_id"]) == [asked.id] * 3


def test_a_checkpoint_that_cannot_be_read_does_not_stop_its_trial(trial, tmp_path) -> None:
    asked, store = trial(), Store(tmp_path / "store")
    (tmp_path / "store" / "checkpoints" / f"{asked.id}.pt").mkdir(parents=True)
    events: list[Fate] = []
    driver = Driver([GridSource([asked])], SerialExecutor(SETTINGS), store, Resources(), events.append)
    assert driver._checkpoint(asked) is None
    assert [event.reason for event in events] == [
        f"cannot be used: {store.root}/checkpoints/{asked.id}.pt: is not a regular file"
    ]


def test_a_run_reports_in_one_line_that_a_trial_restarts(trial, capsys) -> None:
    with Display(1, 0) as display:
        display(BegunAnew(trial(), "is damaged: its SHA-256 does not match"))
    assert capsys.readouterr().err.splitlines()[0] == (
        "restarted from the beginning: digits conv seed 0: its checkpoint is damaged: its SHA-256 does not match"
    )


def test_a_run_says_what_is_left_before_its_first_trial_has_ended(trial, capsys) -> None:
    asked = trial()
    with Display(4, 0) as display:
        display(Started(asked, blank_result(asked)))
        for epoch in (2, 3):  # it resumed after the first of three
            display(Progress(asked, EpochRecord(epoch, 0.5, 0.6, 0.7, 0.8, 0.1, 2.0)))
    first, *_, last = capsys.readouterr().err.splitlines()
    assert first == "0/4 trials, 1 running"
    assert re.fullmatch(
        r"0/4 trials, 1 running, [\d.]+/min, \d s left; digits conv seed 0, epoch 3: .*", last
    )
    with Display(1, 1) as display:
        display(Progress(asked, EpochRecord(1, 0.5, 0.6, 0.7, 0.8, 0.1, 2.0)))  # it was counted as done
    assert ", 0 s left" in capsys.readouterr().err
    assert [pace(2), pace(0.118)] == ["2.0/min", "7.1/h"]


def test_momentum_of_another_shape_does_not_fit(trial) -> None:
    asked = trial()
    taken = checkpoint_of(asked)
    state = torch.load(io.BytesIO(taken.state), weights_only=True)
    first = next(iter(state["optimizer"]["state"].values()))
    first["momentum_buffer"] = first["momentum_buffer"][:1]
    buffer = io.BytesIO()
    torch.save(state, buffer)
    dataset = load_dataset(asked.config.dataset, None)
    start = next(train(asked, dataset, CPU, resume=dataclasses.replace(taken, state=buffer.getvalue())))
    assert isinstance(start, TrialResult)
    assert start.resumed_epochs is None
