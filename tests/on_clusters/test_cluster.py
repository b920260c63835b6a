"""Several nodes on one machine with made-up GPUs: growth, shares of a GPU, lost nodes, and trials that hang."""

import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest
from support.processes import busy_workers, rows, start, wait_for_rows, with_patient

from lrlc.results.store import Store

pytestmark = pytest.mark.filterwarnings(
    "ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"
)


def at_once(root: Path) -> int:
    """The largest number of trials that trained at the same time."""
    found = rows(root)
    return max(
        int(((found["started_at"] <= moment) & (moment < found["ended_at"])).sum())
        for moment in found["started_at"]
    )


def test_trials_share_gpus_as_nodes_come_and_go(
    cluster: Any, tiny_study: Path, tmp_path: Path, environment: dict[str, str]
) -> None:
    root = tmp_path / "runs/tiny"
    words = ["grid={kind: patient}", "seeds=10", "resources={cpus: 0.5, gpus: 0.5, checkpoint_minutes: 0}"]
    process = start(with_patient(tiny_study), environment, "--address", cluster.address, *words)
    try:
        time.sleep(5)
        assert process.poll() is None, process.stderr.read()
        first = cluster.add_node(num_cpus=2, num_gpus=1)
        wait_for_rows(root, 2, process)
        assert len(busy_workers(environment)) <= 2  # two halves of the one GPU
        cluster.add_node(num_cpus=2, num_gpus=1)
        wait_for_rows(root, 5, process)
        cluster.remove_node(first, allow_graceful=False)
        _, said = process.communicate()
    finally:
        process.kill()
    assert process.returncode == 0, said
    found = rows(root)
    assert list(found["status"]) == ["finished"] * 10
    assert set(found["gpu_fraction"]) == {0.5}
    assert 2 <= at_once(root) <= 4
    assert found["attempts"].max() >= 2  # what the lost node trained was trained again
    assert not Store(root).checkpoints()


def test_a_hung_trial_ends_at_its_time_limit(
    cluster: Any, tiny_study: Path, tmp_path: Path, environment: dict[str, str]
) -> None:
    cluster.add_node(num_cpus=1)
    # Other kinds may compile kernels first, which takes longer than the limit on a busy machine; with few epochs all
    # trials may end before one is found busy.
    words = ["grid={kind: conv}", "seeds=6", "train.epochs=50", "resources.time_limit_minutes=0.3"]
    process = start(tiny_study, environment, "--address", cluster.address, *words)
    try:
        wait_for_rows(tmp_path / "runs/tiny", 1, process)
        while not (busy := busy_workers(environment)):
            assert process.poll() is None, "all trials ended before one could be stopped"
            time.sleep(0.01)
        os.kill(busy[0], signal.SIGSTOP)
        _, said = process.communicate()
    finally:
        process.kill()
    assert process.returncode == 1, said
    found = rows(tmp_path / "runs/tiny")
    assert sorted(found["status"].value_counts().items()) == [("finished", 5), ("timed_out", 1)]
    overdue = found[found["status"] == "timed_out"].iloc[0]
    assert overdue["error"] == "stopped at its limit of 0.3 minutes"
    assert "timed out: digits" in said


def test_a_trial_without_enough_gpu_memory_runs_again_alone_and_a_failed_one_affects_no_other(
    cluster: Any, tiny_study: Path, tmp_path: Path, environment: dict[str, str]
) -> None:
    cluster.add_node(num_cpus=2, num_gpus=1)
    (tmp_path / "greedy.py").write_text(GREEDY)
    named = tiny_study.read_text().replace("name: tiny", "name: greedy\nplugins: [greedy.py]")
    study = tmp_path / "greedy.yaml"
    study.write_text(named)
    kinds = ("conv", "spoiling", "healthy", "greedy", "insatiable")
    words = [f"grid=[{', '.join(f'{{kind: {kind}}}' for kind in kinds)}]", "resources={gpus: 0.5, cpus: 0.5}"]
    process = start(study, environment, "--address", cluster.address, *words)
    try:
        _, said = process.communicate()
    finally:
        process.kill()
    assert process.returncode == 1, said
    found = rows(tmp_path / "runs/greedy").set_index("kind")
    assert set(found.loc["conv", "gpu_fraction"]) == {0.5}
    assert list(found.loc["spoiling", "status"]) == ["failed"] * 2
    assert list(found.loc["healthy", "status"]) == ["finished"] * 2
    for kind, ending in (("greedy", "finished"), ("insatiable", "out_of_memory")):
        assert list(found.loc[kind, "status"]) == [ending] * 2
        assert set(found.loc[kind, "gpu_fraction"]) == {1.0}
        assert set(found.loc[kind, "attempts"]) == {2}
    assert found.loc["insatiable", "error"].str.contains("not enough for anyone").all()


GREEDY = """
import ray
import torch
from lrlc.layers import layer_kind

spoilt = False


@layer_kind("spoiling")
def spoiling(in_channels, out_channels, kernel_size, **geometry):
    global spoilt
    spoilt = True
    raise RuntimeError("CUDA error: an illegal memory access was encountered")


@layer_kind("healthy")
def healthy(in_channels, out_channels, kernel_size, **geometry):
    if spoilt:
        raise RuntimeError("CUDA error: so says every call after the first error, in the same process")
    return torch.nn.Conv2d(in_channels, out_channels, kernel_size)


@layer_kind("greedy")
def greedy(in_channels, out_channels, kernel_size, **geometry):
    if ray.get_runtime_context().get_assigned_resources().get("GPU", 0) < 1:
        raise torch.OutOfMemoryError("not enough beside another")
    return torch.nn.Conv2d(in_channels, out_channels, kernel_size)


@layer_kind("insatiable")
def insatiable(in_channels, out_channels, kernel_size, **geometry):
    raise torch.OutOfMemoryError("not enough for anyone")
"""
