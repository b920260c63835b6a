"""Where trials run: in this process or on a Ray cluster, behind one interface."""

from harness.executors.base import Event, Executor, Finished, Lost, Progress, Started
from harness.executors.serial import SerialExecutor

__all__ = ["Event", "Executor", "Finished", "Lost", "Progress", "SerialExecutor", "Started"]
