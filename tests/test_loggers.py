"""Trackers beside the tables: each trial is logged once, however often it was started."""

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.request import urlopen

import pytest
from support.registries import restored

import lrlc
from lrlc.harness.errors import UserError
from lrlc.harness.loggers import trackers

PLUGIN = """
from lrlc.harness.measuring import metric


@metric("top (%)")
def top(evaluated):
    return 100 * float(evaluated.logits.softmax(1).amax(1).mean())
"""
STUDY = {
    "name": "logged",
    "datasets": "digits",
    "train_images": 64,
    "evaluation_images": 32,
    "grid": [{"kind": "conv"}, {"kind": "lrlc", "rank": 2, "placement": [3]}],
    "train": {"epochs": 3, "batch_size": 32, "learning_rate": 0.05},
    "measure": {"metrics": ["top (%)"]},
    "resources": {"checkpoint_minutes": 0},
}


@pytest.fixture(autouse=True)
def plugin(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The study's plugin, with a metric whose name MLflow refuses."""
    file = tmp_path_factory.mktemp("plugin") / "top.py"
    file.write_text(PLUGIN)
    monkeypatch.setitem(STUDY, "plugins", [str(file)])
    with restored():
        yield


class KilledError(Exception):
    """Ends a run in the middle."""


def kill(event: object) -> None:
    if isinstance(event, lrlc.events.Progress) and event.record.epoch == 2:
        raise KilledError


def killed_and_resumed(folder: Path, log: str) -> lrlc.StudyResults:
    """The first trial dies in its second epoch; the next run resumes from its checkpoint, with the other trial."""
    results = str(folder / "runs")
    with pytest.raises(KilledError):
        lrlc.run(STUDY, results=results, log=[log], callbacks=[kill], quiet=True)
    study = lrlc.run(STUDY, results=results, log=[log], quiet=True)
    assert set(study.trials["resumed_epochs"].dropna()) == {1}
    return study


def expected(study: lrlc.StudyResults, trial: str, metric: str) -> list[tuple[int, float]]:
    curve = study.curves[study.curves["trial_id"] == trial]
    return list(zip(curve["epoch"], curve[metric], strict=True))


def own_metric(study: lrlc.StudyResults, trial: str) -> float:
    values = study.table("metrics").set_index("trial_id")["value"]
    return float(values[trial])


def test_tensorboard_reads_each_epoch_once(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    study = killed_and_resumed(tmp_path, f"tensorboard:{tmp_path / 'tb'}")
    folders = {path.name: path for path in (tmp_path / "tb/logged").iterdir()}
    assert set(folders) == set(study.trials["trial_id"])
    for trial, folder in folders.items():
        read = EventAccumulator(str(folder)).Reload()
        for metric in ("train_loss", "validation_accuracy"):
            found = [(event.step, event.value) for event in read.Scalars(metric)]
            assert found == [(epoch, pytest.approx(value)) for epoch, value in expected(study, trial, metric)]
        (tested,) = read.Scalars("test_accuracy")
        (row,) = study.trials[study.trials["trial_id"] == trial].to_dict("records")
        assert (tested.step, tested.value) == (3, pytest.approx(row["test_accuracy"]))
        (own,) = read.Scalars("top (%)")
        assert (own.step, own.value) == (3, pytest.approx(own_metric(study, trial)))


@pytest.fixture(scope="module")
def mlflow_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real server, on this machine only."""
    pytest.importorskip("mlflow.server", reason="mlflow is not installed; make tests-of-loggers installs it")
    folder = tmp_path_factory.mktemp("mlflow")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [
        sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1",
        "--backend-store-uri", f"sqlite:///{folder / 'runs.db'}", "--artifacts-destination", str(folder),
    ]  # fmt: skip
    # Without its runner of jobs, several processes that we have no use for.
    environment = {**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    with (
        (folder / "log").open("w") as log,
        subprocess.Popen(command, stdout=log, stderr=log, cwd=folder, env=environment) as server,
    ):
        try:
            url = f"http://127.0.0.1:{port}"
            while not _answers(f"{url}/health"):
                assert server.poll() is None, (folder / "log").read_text()
                time.sleep(0.2)
            yield url
        finally:
            server.terminate()


def _answers(url: str) -> bool:
    try:
        with urlopen(url, timeout=5) as reply:
            return bool(reply.status == 200)
    except OSError:
        return False


@pytest.mark.filterwarnings("ignore")
def test_mlflow_has_one_run_for_each_trial(tmp_path: Path, mlflow_server: str) -> None:
    from mlflow.tracking import MlflowClient

    study = killed_and_resumed(tmp_path, f"mlflow:{mlflow_server}")
    client = MlflowClient(mlflow_server)
    experiment = client.get_experiment_by_name("logged")
    runs = {run.data.tags["lrlc.trial_id"]: run for run in client.search_runs([experiment.experiment_id])}
    assert len(client.search_runs([experiment.experiment_id])) == len(runs) == 2
    for row in study.trials.to_dict("records"):
        run = runs[row["trial_id"]]
        assert run.info.status == "FINISHED"
        assert run.data.params["kind"] == row["kind"]
        assert run.data.params["train.learning_rate"] == "0.05"
        assert run.data.metrics["test_accuracy"] == pytest.approx(row["test_accuracy"])
        assert run.data.metrics["top ___"] == pytest.approx(own_metric(study, row["trial_id"]))
        history = client.get_metric_history(run.info.run_id, "validation_loss")
        found = [(each.step, each.value) for each in history]
        assert found == expected(study, row["trial_id"], "validation_loss")


def wandb_records(content: bytes) -> Iterator[bytes]:
    """The records of a .wandb file: 7 bytes, then LevelDB's log format, with blocks of 32 KiB."""
    at, record = 7, b""
    while at + 7 <= len(content):
        if (left := 2**15 - at % 2**15) < 7:
            at += left
            continue
        length, kind = int.from_bytes(content[at + 4 : at + 6], "little"), content[at + 6]
        piece, at = content[at + 7 : at + 7 + length], at + 7 + length
        record += piece
        if kind in (1, 4):  # a complete record, or its last piece
            yield record
            record = b""


@pytest.mark.filterwarnings("ignore")
def test_wandb_has_one_id_for_each_trial(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("wandb", reason="wandb is not installed; make tests-of-loggers installs it")
    from wandb.proto import wandb_internal_pb2

    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_DIR", str(tmp_path))
    study = killed_and_resumed(tmp_path, "wandb:bench")
    files = sorted((tmp_path / "wandb").glob("offline-run-*/run-*.wandb"))
    by_trial: dict[str, Path] = {path.stem.removeprefix("run-"): path for path in files}
    assert set(by_trial) == set(study.trials["trial_id"])
    assert len(files) == 3, "the killed one has a file of its own, of the same run"
    for trial, path in by_trial.items():
        steps, config, summary = [], {}, {}
        for data in wandb_records(path.read_bytes()):
            record = wandb_internal_pb2.Record()
            record.ParseFromString(data)
            config |= {item.key: json.loads(item.value_json) for item in record.run.config.update}
            summary |= {item.key: json.loads(item.value_json) for item in record.summary.update}
            items = {"/".join(item.nested_key) or item.key: item.value_json for item in record.history.item}
            if "train_loss" in items:
                steps.append((record.history.step.num, json.loads(items["train_loss"])))
        assert steps == expected(study, trial, "train_loss")
        assert config["trial_id"] == trial
        assert summary["top (%)"] == pytest.approx(own_metric(study, trial))


def test_a_tracker_that_fails_says_one_line_and_stops_nothing(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("tensorboard")
    (tmp_path / "taken").write_text("a file, no folder")
    study = lrlc.run(
        STUDY,
        "train.epochs=1",
        results=str(tmp_path / "runs"),
        log=[f"tensorboard:{tmp_path / 'taken'}"],
        quiet=True,
    )
    assert list(study.trials["status"]) == ["finished"] * 2
    (line,) = [line for line in capfd.readouterr().err.splitlines() if "--log" in line]
    assert line.endswith("nothing more is logged there, the study continues")
    assert str(tmp_path / "taken") in line


@pytest.mark.parametrize(
    ("given", "line"),
    [
        ("tensorbord:x", "--log tensorbord:x: unknown tracker 'tensorbord'; did you mean 'tensorboard'?"),
        ("mlflow", "--log mlflow: say where: tensorboard:FOLDER, mlflow:URI or wandb:PROJECT"),
    ],
)
def test_a_wrong_tracker_is_refused_before_anything_is_written(given: str, line: str, tmp_path: Path) -> None:
    with pytest.raises(UserError) as caught:
        lrlc.run(STUDY, results=str(tmp_path / "runs"), log=[given])
    assert str(caught.value) == line
    assert not os.listdir(tmp_path)


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"--log wandb: needs wandb: pip install 'lrlc-bench\[wandb\]'"):
        trackers(["wandb:project"])
