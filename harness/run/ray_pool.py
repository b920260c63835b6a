"""Trials on a Ray cluster: long-lived actors that run one trial at a time and are polled for reports.

A plain call for each report costs half as much as a streaming one, and uses no memory (Ray 2.60).
Actors that the cluster cannot hold yet stay pending: they start as nodes join, and Ray's autoscaler sees them.
"""

import math
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import ray
from ray.exceptions import OutOfMemoryError, RayError, RayTaskError

from lrlc.harness.run.executor import Event, Finished, Lost, Printed, as_events
from lrlc.harness.run.ray_cluster import offered, refuse_dead_ray, refuse_what_never_fits, resources
from lrlc.harness.run.ray_watch import dead_process
from lrlc.harness.run.ray_worker import SECONDS_TO_READ, OutputPlace, Reporter, answer_of, ask_for_output
from lrlc.harness.run.silence import SECONDS_BEFORE_A_WORD, Silence
from lrlc.harness.text import say
from lrlc.harness.training.worker import Worker, WorkerSettings
from lrlc.harness.trial import Checkpoint, Trial
from lrlc.results.schema import TrialStatus

MOST_NAME = 120
"""Characters of a task's name, which Ray's dashboard shows in a column."""

CALLS_AHEAD = 2
"""Reports requested from a worker in advance, so that it neither waits for its driver nor runs far ahead of pruning."""

MOST_PENDING = 16
"""Upper bound on pending actors: demand that the autoscaler sees, without flooding a full cluster."""

MOST_STILLBORN = 3 * MOST_PENDING
"""Consecutive workers that may die during start-up before the run gives up."""


@dataclass(frozen=True)
class _Actor:
    """Ray's handle and the GPUs that it holds."""

    handle: Any
    gpus: float
    output: OutputPlace | None = None
    """Where it writes the output of its trials; None until it is ready."""


@dataclass
class _Flight:
    """A trial on its actor, and the requested reports in order."""

    actor: _Actor
    trial: Trial
    expected: int
    """Reports that it will certainly send: its start and its epochs, without checkpoints."""
    asked: "deque[ray.ObjectRef[Any]]" = field(default_factory=deque)
    started: bool = False

    def begin(self, resume: Checkpoint | None) -> None:
        self._ask(self.actor.handle.begin, self.trial, resume)

    def ask(self) -> None:
        while not self.asked or (self.expected > 0 and len(self.asked) < CALLS_AHEAD):
            self._ask(self.actor.handle.more)

    def _ask(self, method: Any, *arguments: object) -> None:
        self.asked.append(method.options(name=_task_name(self.trial)).remote(*arguments))
        self.expected -= 1


@dataclass(frozen=True)
class _Loss:
    """A lost worker, whose node was asked for the worker's last output and has until `deadline` to answer."""

    lost: Lost
    output: "ray.ObjectRef[str]"
    deadline: float

    def events(self) -> Sequence[Event]:
        return [*_printed(self.lost.trial, answer_of(self.output, timeout_seconds=0)), self.lost]


class RayExecutor:
    """Up to `max_in_flight` actors, as far as the cluster's free resources allow.

    `share` gives the GPU share that a trial needs; by default every trial holds `settings.gpus`. Trials with a
    different share than the last wait until there is room for their actors. `worker` is the class of the actors.
    """

    def __init__(
        self,
        settings: WorkerSettings,
        *,
        study: str,
        max_in_flight: int,
        accelerator_type: str | None = None,
        can_grow: bool = False,
        share: Callable[[Trial], float] | None = None,
        worker: type[Any] = Worker,
    ) -> None:
        self._settings, self._max_in_flight, self._share_of = settings, max_in_flight, share
        if not can_grow:
            refuse_what_never_fits(settings)
        self._remote: dict[str, object] = {"num_cpus": settings.cpus}
        if accelerator_type:
            self._remote["accelerator_type"] = accelerator_type
        # We replace actors that die ourselves, so that every attempt is counted exactly once.
        self._actor_class: Any = ray.remote(max_restarts=0, max_task_retries=0)(Reporter)
        self._worker = worker
        self._settings_ref = ray.put(settings)
        self._name = f"lrlc {study} {time.time_ns():x}"
        self._made = self._stillborn = 0
        self._gpus = settings.gpus
        self._pending: dict[ray.ObjectRef[Any], _Actor] = {}
        self._idle: list[_Actor] = []
        self._running: dict[ray.ObjectRef[Any], _Flight] = {}
        """Running trials by their next report."""
        self._losses: list[_Loss] = []
        self._waiting_since: float | None = None
        self._silence = Silence()

    @property
    def ready(self) -> int:
        """The number of idle actors."""
        return len(self._idle)

    @property
    def has_room(self) -> bool:
        return len(self._running) < self._max_in_flight and bool(self._idle or not self._pending)

    def share(self, trial: Trial) -> float:
        if trial.alone:
            return max(1.0, self._settings.gpus)
        return self._share_of(trial) if self._share_of else self._settings.gpus

    def place(self, trial: Trial) -> Trial | None:
        gpus = self.share(trial)
        if gpus != self._gpus:
            self.release()
            self._gpus = gpus
        if not self._idle:
            self._grow()
            return None
        return replace(trial, gpu_fraction=gpus or None)

    def submit(self, trial: Trial, resume: Checkpoint | None = None) -> None:
        epochs_left = trial.config.train.epochs - (len(resume.curve) if resume else 0)
        flight = _Flight(self._idle.pop(), trial, expected=1 + epochs_left)
        flight.begin(resume)
        self._silence.begins(trial)
        self._expect(flight)

    def wait(self, timeout_seconds: float) -> Sequence[Event]:
        waiting = [*self._running, *self._pending, *(loss.output for loss in self._losses)]
        if not waiting:
            return []
        ready, _ = ray.wait(waiting, num_returns=len(waiting), timeout=0)
        if not ready:
            ready, _ = ray.wait(waiting, num_returns=1, timeout=timeout_seconds)
        refuse_dead_ray()  # before its lost calls look like lost workers
        for ref in [ref for ref in ready if ref in self._pending]:
            self._welcome(ref)
        self._say_what_is_missing()
        self._silence.look()
        settled = self._settle(ready)
        return [*settled, *(event for ref in ready if ref in self._running for event in self._advance(ref))]

    def stop(self, trial: Trial, *, hung: bool = False) -> str:
        text = ""
        self._losses = [loss for loss in self._losses if loss.lost.trial != trial]
        for ref, flight in list(self._running.items()):
            if flight.trial == trial:
                del self._running[ref]
                self._silence.ends(trial)
                if hung:
                    ray.kill(flight.actor.handle)
                    text = _left_behind(flight.actor)
                else:
                    for asked in flight.asked:
                        ray.cancel(asked)
                    flight.actor.handle.end.remote()
                    self._rest(flight.actor)
        return text

    def release(self) -> None:
        for actor in [*self._idle, *self._pending.values()]:
            ray.kill(actor.handle)
        self._idle.clear()
        self._pending.clear()

    def close(self) -> None:
        if dead_process() is not None:  # ray.kill would wait for it, and its workers exit by themselves
            return
        self.release()
        for flight in self._running.values():
            ray.kill(flight.actor.handle)
        self._running.clear()

    def _grow(self) -> None:
        """Request actors, a few at a time, up to the number that may run."""
        while (
            len(self._pending) < MOST_PENDING
            and len(self._pending) + len(self._idle) + len(self._running) < self._max_in_flight
        ):
            self._made += 1
            handle = self._actor_class.options(
                **self._remote, num_gpus=self._gpus, name=f"{self._name} {self._made}"
            ).remote(self._worker, self._settings_ref)
            self._pending[handle.ready.remote()] = _Actor(handle, self._gpus)

    def _welcome(self, ref: "ray.ObjectRef[Any]") -> None:
        """Mark a started actor as idle; one that died during start-up is replaced when the next trial is placed."""
        actor = self._pending.pop(ref)
        try:
            actor = replace(actor, output=ray.get(ref))
        except RayTaskError:  # a fault of our own, not of the cluster
            raise
        except RayError as error:
            self._stillborn += 1
            if self._stillborn == MOST_STILLBORN or "error raised in its creation task" in str(error):
                raise
            return
        self._stillborn = 0
        self._rest(actor)
        self._grow()

    def _rest(self, actor: _Actor) -> None:
        if actor.gpus == self._gpus:
            self._idle.append(actor)
        else:  # its resources are needed for another share
            ray.kill(actor.handle)

    def _expect(self, flight: _Flight) -> None:
        flight.ask()
        self._running[flight.asked[0]] = flight

    def _advance(self, ref: "ray.ObjectRef[Any]") -> Sequence[Event]:
        flight = self._running.pop(ref)
        try:
            records, text = ray.get(flight.asked.popleft())
            events = as_events(flight.trial, records, flight.started)
        except RayTaskError:  # a fault of our own, not of the cluster
            raise
        except RayError as error:  # the actor, its node or its memory is gone
            ray.kill(flight.actor.handle)
            self._silence.ends(flight.trial)
            return self._lose(flight.actor, _lost(flight.trial, error))
        flight.started = True
        self._silence.hears(flight.trial)
        if not isinstance(events[-1], Finished):
            self._expect(flight)
            return [*_printed(flight.trial, text), *events]
        self._silence.ends(flight.trial)
        if flight.actor.gpus and events[-1].result.status == TrialStatus.FAILED:
            # After a CUDA error every later trial in the process would fail.
            ray.kill(flight.actor.handle)
        else:  # free immediately: the driver fills the place before it waits again
            self._rest(flight.actor)
        return [*_printed(flight.trial, text), *events]

    def _lose(self, actor: _Actor, lost: Lost) -> Sequence[Event]:
        """The other workers are served while the node is asked: one behind a broken link takes long to fail."""
        if lost.with_node or actor.output is None:
            return [lost]
        until = time.monotonic() + SECONDS_TO_READ
        self._losses.append(_Loss(lost, ask_for_output(actor.output), until))
        return []

    def _settle(self, ready: "Sequence[ray.ObjectRef[Any]]") -> Sequence[Event]:
        """The ends of trials whose workers were lost and whose nodes have answered, or have had their time."""
        now = time.monotonic()
        settled = [loss for loss in self._losses if loss.output in ready or loss.deadline < now]
        self._losses = [loss for loss in self._losses if loss not in settled]
        return [event for loss in settled for event in loss.events()]

    def _say_what_is_missing(self) -> None:
        if self._running or self._idle or not self._pending:
            self._waiting_since = None
            return
        if self._waiting_since is None:
            self._waiting_since = time.monotonic()
        elif (
            time.monotonic() - self._waiting_since > SECONDS_BEFORE_A_WORD
        ):  # nothing runs, for lack of resources
            self._waiting_since = math.inf  # say this once
            asked = resources(self._settings.cpus, self._gpus)
            say(f"waiting for workers to start: each asks for {asked}; {offered()}")


def _task_name(trial: Trial) -> str:
    """The trial's label; a long one is cut before its seed."""
    seed = f", seed {trial.config.seed}"
    return trial.label if len(trial.label) <= MOST_NAME else trial.label[: MOST_NAME - len(seed)] + seed


def _printed(trial: Trial, text: str | None) -> list[Event]:
    return [Printed(trial, text)] if text else []


def _left_behind(actor: _Actor) -> str:
    return (answer_of(ask_for_output(actor.output)) or "") if actor.output else ""


def _lost(trial: Trial, error: RayError) -> Lost:
    lines = str(error).strip().splitlines()
    # Ray's message about a killed process also mentions nodes further down.
    node = "node" in lines[0].lower() or "its node has died" in str(error)
    return Lost(trial, lines[0], with_node=node, out_of_memory=isinstance(error, OutOfMemoryError))
