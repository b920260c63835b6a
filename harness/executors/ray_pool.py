"""Trials on a Ray cluster: one long-lived actor per slot, results streamed back to the driver."""

import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import ray
from ray.exceptions import RayError, RayTaskError

from harness.errors import UserError
from harness.executors.base import Event, Finished, Lost, as_event
from harness.trial import Trial
from harness.worker import Worker, WorkerSettings

# An actor that dies is replaced by us, so that every attempt is counted once, by us.
RemoteWorker: Any = ray.remote(max_restarts=0, max_task_retries=0)(Worker)

# Without this limit a worker ran 20 items ahead of its driver (Ray 2.60), too late to be pruned.
BACKPRESSURE_ITEMS = 2


@dataclass
class _Slot:
    actor: Any
    """Ray's handle; its types know nothing of streaming methods."""

    trial: Trial
    started: bool = False


def connect(address: str) -> None:
    """Join the cluster at `address`; 'local' starts one for this run. UserError if none answers."""
    if ray.is_initialized():
        return
    last: Exception | None = None
    for _ in range(2):  # under load a local node can miss its own start-up time limit
        try:
            # With an address other than "local" no dashboard is started, whatever is asked.
            ray.init(
                address=address,
                logging_level=logging.ERROR,
                log_to_driver=False,
                include_dashboard=False if address == "local" else None,
            )
            return
        except (ConnectionError, RuntimeError, TimeoutError, RayError) as error:
            last = error
            if address != "local":
                break
    reason = str(last).strip().splitlines()[0]
    raise UserError(
        f"--address {address}: no Ray cluster answered ({reason}); start one with `ray start --head`"
    )


def _cluster_resources() -> Mapping[str, float]:
    return dict(ray.cluster_resources())  # type: ignore[no-untyped-call]


def cluster_gpus() -> float:
    """GPUs of the cluster we are connected to."""
    return _cluster_resources().get("GPU", 0.0)


class RayExecutor:
    """At most `max_in_flight` actors, as many as the cluster's free resources hold."""

    def __init__(
        self,
        settings: WorkerSettings,
        *,
        max_in_flight: int,
        accelerator_type: str | None = None,
        remote_worker: Any = RemoteWorker,
    ):
        self._settings = settings
        self.gpu_fraction = settings.gpus or None
        resources: dict[str, object] = {"num_cpus": settings.cpus, "num_gpus": settings.gpus}
        if accelerator_type:
            resources["accelerator_type"] = accelerator_type
        self._make_actor = remote_worker.options(**resources)
        total = _cluster_resources()
        self.slots = min(max_in_flight, self._capacity(total))
        if self.slots < 1:
            raise UserError(
                f"resources: a trial asks for {settings.cpus:g} CPUs and {settings.gpus:g} GPUs; "
                f"the cluster has {total.get('CPU', 0):g} CPUs and {total.get('GPU', 0):g} GPUs"
            )
        self._settings_ref = ray.put(settings)
        self._idle: list[Any] = []
        self._running: dict[ray.ObjectRefGenerator, _Slot] = {}

    def submit(self, trial: Trial) -> None:
        actor = self._idle.pop() if self._idle else self._make_actor.remote(self._settings_ref)
        stream = actor.run.options(
            num_returns="streaming", _generator_backpressure_num_objects=BACKPRESSURE_ITEMS, name=trial.label
        ).remote(trial)
        self._running[stream] = _Slot(actor, trial)

    def wait(self, timeout_seconds: float) -> Sequence[Event]:
        if not self._running:
            return []
        streams = list(self._running)
        ready, _ = ray.wait(streams, num_returns=len(streams), timeout=0, fetch_local=False)
        if not ready:
            ready, _ = ray.wait(streams, num_returns=1, timeout=timeout_seconds, fetch_local=False)
        return [self._advance(stream) for stream in ready]

    def _advance(self, stream: "ray.ObjectRefGenerator") -> Event:
        slot = self._running[stream]
        try:
            event = as_event(slot.trial, ray.get(next(stream)), slot.started)
        except RayTaskError:  # a fault of our own, not of the cluster
            raise
        except RayError as error:  # the actor, its node or its memory is gone
            del self._running[stream]
            ray.kill(slot.actor)
            return Lost(slot.trial, str(error).strip().splitlines()[0])
        slot.started = True
        if isinstance(event, Finished):  # free at once: the driver fills the slot before it waits again
            self._idle.append(self._running.pop(stream).actor)
        return event

    def stop(self, trial: Trial) -> None:
        for stream, slot in list(self._running.items()):
            if slot.trial == trial:
                del self._running[stream]
                ray.cancel(stream)
                self._idle.append(slot.actor)

    def close(self) -> None:
        for slot in self._running.values():
            ray.kill(slot.actor)
        for actor in self._idle:
            ray.kill(actor)
        self._running.clear()
        self._idle.clear()

    def _capacity(self, total: Mapping[str, float]) -> int:
        asked = {"CPU": self._settings.cpus, "GPU": self._settings.gpus}
        whole = [_fits(total.get(name, 0.0), share) for name, share in asked.items() if share > 0]
        return min(whole, default=1)


def _fits(total: float, share: float) -> int:
    """How many trials of `share` fit; a fraction of a GPU never spans two."""
    if share >= 1:
        return int(total // share)
    return int(total) * math.floor(1 / share + 1e-9)
