"""The Ray cluster that a run joins or starts: connecting to it, and its resources."""

import logging
import math
import os
import socket
from collections.abc import Mapping
from pathlib import Path

import ray
import torch
from ray._private import worker
from ray.exceptions import RayError

from lrlc.harness.errors import UserError, first_line
from lrlc.harness.run.ray_watch import dead_process, watch
from lrlc.harness.text import NowAndThen
from lrlc.harness.training.worker import WorkerSettings

ANSWER_SECONDS = 10
"""How long to wait for a cluster's address to answer; Ray itself would keep trying for many minutes."""


def connect(address: str) -> None:
    """Join the cluster at `address`; 'local' starts one for this run. UserError if none answers."""
    if ray.is_initialized():
        return
    _refuse_silence(os.environ.get("RAY_ADDRESS", "") if address == "auto" else address)
    last: Exception | None = None
    for _ in range(2):  # under load a local node can miss its own start-up time limit
        try:
            # With an address other than "local", no dashboard is started in any case.
            with NowAndThen().about(
                "starting Ray" if address == "local" else f"joining the Ray cluster at {address}"
            ):
                ray.init(
                    address=address,
                    logging_level=logging.ERROR,
                    log_to_driver=False,
                    include_dashboard=False if address == "local" else None,
                )
            session = ray.get_runtime_context().get_session_name() if address == "local" else ""
            watch(session, Path(ray.__file__).parent, look=_dead_process, shut_down=ray.shutdown)
            return
        except Exception as error:  # Ray raises a bare Exception if a node does not start in time
            last = error
            if address != "local":
                break
    assert last is not None
    if address == "local":
        raise UserError(
            f"Ray did not start on this machine ({first_line(last)}); try again, or run with --processes N"
        ) from last
    raise UserError(
        f"--address {address}: no Ray cluster answered ({first_line(last)}); start one with `ray start --head`"
    ) from last


def _dead_process() -> str | None:
    """The name of a dead process without which the Ray that this one started is dead, else None."""
    node = getattr(worker, "_global_node", None)
    dead = {name for name, _ in node.dead_processes()} if node is not None else set()
    return next((name for name in ("raylet", "gcs_server") if name in dead), None)


def refuse_dead_ray() -> None:
    """UserError if the raylet or the GCS of the Ray that this run started has died."""
    if (name := dead_process()) is not None:
        raise UserError(
            f"Ray's {name} on this machine died; committed rows are kept, the same command resumes"
        )


def _refuse_silence(address: str) -> None:
    """UserError if nothing listens at HOST:PORT; any other form of address is left to Ray."""
    host, _, port = address.rpartition(":")
    if "/" in address or not host or not port.isdecimal():
        return
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=ANSWER_SECONDS).close()
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or first_line(error)
        raise UserError(
            f"--address {address}: no Ray cluster answered ({reason}); "
            "give the address that `ray start --head` printed, for example 10.0.0.1:6379"
        ) from error


def _cluster_resources() -> Mapping[str, float]:
    return dict(ray.cluster_resources())  # type: ignore[no-untyped-call]


def cluster_gpus() -> float:
    """GPUs of the connected cluster."""
    return _cluster_resources().get("GPU", 0.0)


def gpu_bytes(accelerator_type: str | None) -> int | None:
    """The memory of one of the cluster's GPUs, as torch sees it there; None if none answers within a minute."""
    asked: dict[str, object] = {"num_cpus": 0, "num_gpus": 0.01, "max_retries": 0}
    if accelerator_type:
        asked["accelerator_type"] = accelerator_type
    ref = ray.remote(**asked)(_memory_of_gpu).remote()  # type: ignore[call-overload]
    try:
        found: int | None = ray.get(ref, timeout=60)
    except (RayError, TimeoutError):
        ray.cancel(ref, force=True)
        return None
    return found


def _memory_of_gpu() -> int | None:
    return int(torch.cuda.get_device_properties(0).total_memory) if torch.cuda.is_available() else None


def refuse_what_never_fits(settings: WorkerSettings) -> None:
    """UserError if the cluster, which will not grow, cannot hold a single trial."""
    total = _cluster_resources()
    asked = {"CPU": settings.cpus, "GPU": settings.gpus}
    if min((_fits(total.get(name, 0.0), share) for name, share in asked.items() if share > 0), default=1) < 1:
        raise UserError(f"resources: a trial asks for {resources(settings.cpus, settings.gpus)}; {offered()}")


def resources(cpus: float, gpus: float) -> str:
    """'1 CPUs and 0.5 GPUs'."""
    return f"{cpus:g} CPUs and {gpus:g} GPUs"


def offered() -> str:
    """The cluster's total resources, for a message."""
    total = _cluster_resources()
    return f"the cluster has {total.get('CPU', 0):g} CPUs and {total.get('GPU', 0):g} GPUs"


def _fits(total: float, share: float) -> int:
    """How many trials of `share` fit; a fraction of a GPU never spans two."""
    if share >= 1:
        return int(total // share)
    return int(total) * math.floor(1 / share + 1e-9)
