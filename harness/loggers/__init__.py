"""Trials in the trackers that people use: TensorBoard, MLflow, Weights & Biases. Written by the driver alone.

A logger is told a trial's start, epochs and end. It must take a trial that begins once more, after a kill say, for the
same run of the tracker. What a tracker holds is a copy: the tables are the results.
"""

from lrlc.harness.loggers.logged import LOGGERS, logged, named_tracker, trackers

__all__ = ["LOGGERS", "logged", "named_tracker", "trackers"]
