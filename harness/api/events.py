"""What a callback of `lrlc.run` is told of a trial; each has the `trial`, with its `id`, `config` and `label`."""

from lrlc.harness.run.executor import Finished, Progress, Started
from lrlc.harness.run.fate import BegunAnew, Fate, NotKept, Retried

__all__ = ["BegunAnew", "Fate", "Finished", "NotKept", "Progress", "Retried", "Started"]
