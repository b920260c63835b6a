"""Log trials to trackers: TensorBoard, MLflow, Weights & Biases. Only the driver logs.

A logger receives a trial's start, epochs and end. It must use the same run of the tracker for a trial that starts
again, for example after a kill. Trackers only have copies: the tables are the results.
"""

from lrlc.harness.loggers.logged import LOGGERS, logged, named_tracker, trackers

__all__ = ["LOGGERS", "logged", "named_tracker", "trackers"]
