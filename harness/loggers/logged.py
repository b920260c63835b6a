"""The loggers, and passing the driver's events to each through its own thread, so that the driver never waits."""

import contextlib
import importlib
import importlib.util
import queue
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import cast

from lrlc.harness.errors import UserError, first_line
from lrlc.harness.loggers.logger import Logger
from lrlc.harness.run.executor import Finished, Progress, Started
from lrlc.harness.run.fate import Fate
from lrlc.harness.run.session import Watcher
from lrlc.harness.text import say
from lrlc.harness.trial import Trial
from lrlc.results.schema import TrialResult
from lrlc.studies.errors import nearest
from lrlc.studies.lines import masked

LOGGERS: Mapping[str, tuple[str, str]] = {
    "tensorboard": ("lrlc.harness.loggers.tensorboard", "TensorBoardLogger"),
    "mlflow": ("lrlc.harness.loggers.mlflow", "MlflowLogger"),
    "wandb": ("lrlc.harness.loggers.wandb", "WandbLogger"),
}
"""Modules by the name before the colon in `--log`, imported on demand."""

NEVER = -1
SECONDS_TO_END = 60
"""How long to wait at the end for a tracker to accept the remaining events."""


@dataclass(frozen=True)
class Target:
    """A tracker named in `--log`, whose logger has not been created yet."""

    text: str
    make: Callable[[], Logger]


def trackers(asked: Sequence[str]) -> list[Target]:
    """'tensorboard:runs/tb', 'mlflow:http://localhost:5000', 'wandb:my_project'.

    UserError for an unknown tracker or a package that is not installed; nothing is written.
    """
    return [_target(text) for text in asked]


def named_tracker(text: str) -> tuple[str, str]:
    """'mlflow' and 'http://localhost:5000' of 'mlflow:http://localhost:5000'; UserError unless it is known."""
    name, colon, target = text.partition(":")
    if name not in LOGGERS:
        raise UserError(f"--log {masked(text)}: unknown tracker {name!r}; {nearest(name, LOGGERS)}")
    if not colon or not target:
        raise UserError(f"--log {name}: say where: tensorboard:FOLDER, mlflow:URI or wandb:PROJECT")
    return name, target


def _target(text: str) -> Target:
    name, target = named_tracker(text)
    where, class_name = LOGGERS[name]
    module = importlib.import_module(where)
    for package in module.PACKAGES:
        if importlib.util.find_spec(package) is None:
            raise UserError(f"--log {name}: needs {package}: pip install 'lrlc-bench[{name}]'")
    return Target(masked(text), lambda: cast(Logger, getattr(module, class_name)(target)))


def logged(shown: Watcher, targets: Sequence[Target]) -> Watcher:
    """A watcher that passes everything to `shown` and to the trackers."""
    if not targets:
        return shown

    @contextlib.contextmanager
    def watcher(total: int, done: int) -> Iterator[Callable[[Fate], None]]:
        feeds = [_Feed(target) for target in targets]
        with shown(total, done) as show:

            def tell(fate: Fate) -> None:
                show(fate)
                for feed in feeds:
                    feed.put(fate)

            try:
                yield tell
            finally:
                for feed in feeds:
                    feed.close()

    return watcher


class _Feed:
    """A logger in its thread. After its first error, which is reported, it logs nothing more."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._fates: queue.SimpleQueue[Fate | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._write, name=target.text, daemon=True)
        self._thread.start()

    def put(self, fate: Fate) -> None:
        self._fates.put(fate)

    def close(self) -> None:
        """Wait until everything is written, at most SECONDS_TO_END."""
        self._fates.put(None)
        self._thread.join(SECONDS_TO_END)
        if self._thread.is_alive():
            say(f"--log {self._target.text}: does not answer; the remaining events are not logged")

    def _write(self) -> None:
        try:
            logger = self._target.make()
            teller = _Teller(logger)
            while (fate := self._fates.get()) is not None:
                teller.tell(fate)
            logger.close()
        except Exception as error:
            said = masked(first_line(error))
            say(f"--log {self._target.text}: {said}; nothing more is logged there, the study continues")


class _Teller:
    """Translates the fates of trials into calls of a logger: every epoch once, in order.

    The epochs of a resumed trial before its checkpoint are only known at its end; all its epochs are logged then.
    """

    def __init__(self, logger: Logger) -> None:
        self._logger = logger
        self._told: dict[str, int] = {}
        """The number of logged epochs of each started trial; 0 for resumed ones."""

    def tell(self, fate: Fate) -> None:
        match fate:
            case Started(trial=trial, known=known):
                self._begin(trial, is_whole=known.resumed_epochs is None)
            case Progress(trial=trial, record=record) if self._told.get(trial.id) == record.epoch - 1:
                self._logger.log(trial, record)
                self._told[trial.id] = record.epoch
            case Finished(trial=trial, result=result):
                self._end(trial, result)

    def _begin(self, trial: Trial, *, is_whole: bool) -> None:
        self._logger.begin(trial)
        self._told[trial.id] = 0 if is_whole else NEVER

    def _end(self, trial: Trial, result: TrialResult) -> None:
        if trial.id not in self._told:  # it failed before it started
            self._begin(trial, is_whole=False)
        for record in result.curve[max(0, self._told.pop(trial.id)) :]:
            self._logger.log(trial, record)
        self._logger.end(trial, result)
