"""Where a session's trials run: in this process, in processes of this machine, or on Ray."""

from dataclasses import dataclass
from pathlib import Path

import torch

from lrlc.harness.cluster import ray_setup
from lrlc.harness.data import load_dataset
from lrlc.harness.run.executor import Executor
from lrlc.harness.run.processes import ProcessExecutor, visible_gpus
from lrlc.harness.run.serial import SerialExecutor
from lrlc.harness.run.session import RunSession
from lrlc.harness.training.packing import Packing, measured_peaks
from lrlc.harness.training.worker import WorkerSettings


@dataclass(frozen=True)
class Slots:
    """Serial in this process, in several processes of this machine, or on Ray at `address`."""

    serial: bool = False
    processes: int | None = None
    address: str = "local"
    max_in_flight: int | None = None


def make_executor(session: RunSession, slots: Slots) -> Executor:
    """The executor for the session's missing trials, with at most one slot per trial.

    If no trial is missing, no cluster is started or joined, which takes seconds.
    """
    left = session.trials_left
    if left and not slots.serial and not slots.processes:
        return _ray_executor(session, slots.address, min(left, slots.max_in_flight or left))
    settings = _worker_settings(session, _gpus(session, torch.cuda.device_count()))
    if left and slots.processes and not slots.serial:
        return ProcessExecutor(settings, min(left, slots.processes), visible_gpus())
    return SerialExecutor(settings)


def _ray_executor(session: RunSession, address: str, max_in_flight: int) -> Executor:
    ray_setup.prepare(joins_cluster=address != "local")
    from lrlc.harness.run.ray_cluster import cluster_gpus, connect, gpu_bytes
    from lrlc.harness.run.ray_pool import RayExecutor

    connect(address)
    asked = session.study.resources
    gpus = _gpus(session, cluster_gpus())
    packing = _packing(session, gpu_bytes(asked.accelerator_type)) if asked.gpus is None and gpus else None
    return RayExecutor(
        _worker_settings(session, gpus),
        study=session.study.name,
        max_in_flight=max_in_flight,
        accelerator_type=asked.accelerator_type,
        can_grow=address != "local",
        share=packing.share if packing else None,
    )


def _gpus(session: RunSession, available: float) -> float:
    """The GPUs that a trial requests: those in the study, else one if there are any."""
    asked = session.study.resources.gpus
    return asked if asked is not None else min(1.0, available)


def _packing(session: RunSession, memory: int | None) -> Packing | None:
    """How trials share GPUs of `memory` bytes; None if that is unknown, so that each trial gets a whole one."""
    if memory is None:
        return None
    peaks = measured_peaks(session.store.trials(["config", "peak_memory_bytes"]))
    most = session.study.resources.trials_per_gpu
    return Packing(memory, most, lambda config: load_dataset(config.dataset, session.data_dir), peaks)


def _worker_settings(session: RunSession, gpus: float) -> WorkerSettings:
    asked = session.study.resources
    return WorkerSettings(
        session.data_dir,
        session.opened.plugins,
        asked.cpus,
        gpus,
        60 * asked.checkpoint_minutes,
        started_in=Path.cwd(),
    )
