"""Finished trials of a plan without the measurements that their study asks for, because they were trained earlier."""

from collections.abc import Iterable

from lrlc.harness.trial import Trial
from lrlc.results.schema import TrialStatus
from lrlc.results.store import Store
from lrlc.studies import Measure

LOCAL = ("locally_connected", "constrained_local", "residual_pathway", "relaxed_conv")
"""Kinds that always have a spectrum."""


def lacking(store: Store, trials: Iterable[Trial], asked: Measure) -> dict[str, int]:
    """The number of finished trials without rows for each requested key of `measure`; leaves out zeros."""
    rows = store.trials(["trial_id", "status"])
    finished = set(rows.loc[rows["status"] == TrialStatus.FINISHED, "trial_id"])
    ended = [trial for trial in trials if trial.id in finished]
    counts = {}
    if asked.shifts:
        measured = store.shifts().groupby("trial_id")["pixels"].agg(set)
        counts["shifts"] = sum(not set(asked.shifts) <= measured.get(trial.id, set()) for trial in ended)
    if asked.effective_rank:
        decomposed = set(store.spectra()["trial_id"])
        counts["effective_rank"] = sum(
            trial.config.kind in LOCAL and trial.id not in decomposed for trial in ended
        )
    if asked.metrics:
        having = store.metrics().groupby("trial_id")["name"].agg(set)
        counts["metrics"] = sum(not set(asked.metrics) <= having.get(trial.id, set()) for trial in ended)
    return {key: count for key, count in counts.items() if count}
