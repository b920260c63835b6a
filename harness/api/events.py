"""The events of trials for callbacks of `lrlc.run`; each has the `trial`, with its `id`, `config` and `label`."""

from lrlc.harness.run.executor import Finished, Progress, Started
from lrlc.harness.run.fate import BegunAnew, Fate, NotKept, Retried

__all__ = ["BegunAnew", "Fate", "Finished", "NotKept", "Progress", "Retried", "Started"]
