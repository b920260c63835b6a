"""Ray Tune with trials that return immediately, for comparison in `lrlc bench overhead`."""

import contextlib
import sys
import tempfile
import time
from typing import Any

from ray import tune

from lrlc.harness.bench.instant import cpu_share
from lrlc.harness.run.ray_cluster import connect


class _Instant(tune.Trainable):
    """Ends with its first step; its actor is reused for the next trial."""

    def step(self) -> dict[str, object]:
        return {"accuracy": 0.5, "done": True}

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        """Nothing to keep; Tune asks for a checkpoint at a trial's end."""

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        return True


class _EndTimes(tune.Callback):
    def __init__(self) -> None:
        self.ended_at: list[float] = []

    def on_trial_complete(self, *args: object, **kwargs: object) -> None:
        self.ended_at.append(time.perf_counter())


def seconds_per_tune_trial(trials: int, slots: int) -> float:
    """Run a grid of `trials` after the first one of each actor, `slots` at a time, reusing the actors.

    Timed until the end of the last trial, without the files that Tune writes afterwards.
    """
    connect("local")
    times = _EndTimes()
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(sys.stderr):
        tune.Tuner(
            tune.with_resources(_Instant, {"cpu": cpu_share(slots)}),
            param_space={"seed": tune.grid_search(list(range(trials + slots)))},
            tune_config=tune.TuneConfig(max_concurrent_trials=slots, reuse_actors=True),
            run_config=tune.RunConfig(storage_path=folder, verbose=0, callbacks=[times]),
        ).fit()
    if len(times.ended_at) < trials + slots:
        raise RuntimeError(f"Ray Tune ended {len(times.ended_at)} of {trials + slots} trials")
    return (times.ended_at[-1] - times.ended_at[slots - 1]) / trials
