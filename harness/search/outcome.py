"""The outcome of a suggestion for Optuna, from the rows of its seeds."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean

from optuna.trial import TrialState

from lrlc.harness.search.row import Row
from lrlc.results.schema import TrialStatus
from lrlc.studies import Search


@dataclass(frozen=True)
class Outcome:
    """The outcome of a suggestion; a violation over 0 means a broken constraint."""

    state: TrialState
    values: list[float] | None
    violations: Mapping[str, float] = field(default_factory=dict)


def outcome(rows: Sequence[Row], search: Search, *, pruned: bool = False) -> Outcome:
    """The mean over the seeds of each objective; a failed or diverged seed fails it, a pruned one prunes it."""
    statuses = {row.status for row in rows}
    if not pruned and statuses == {TrialStatus.FINISHED}:
        if any(each.metric not in row.metrics for each in search.objectives for row in rows):
            return Outcome(TrialState.FAIL, None)  # a plugin's metric failed
        values = [fmean(row.metrics[each.metric] for row in rows) for each in search.objectives]
        return Outcome(TrialState.COMPLETE, values, _violations(rows, search))
    if pruned or (TrialStatus.PRUNED in statuses and statuses <= {TrialStatus.FINISHED, TrialStatus.PRUNED}):
        return Outcome(TrialState.PRUNED, None, _violations(rows, search))
    return Outcome(TrialState.FAIL, None)


def _violations(rows: Sequence[Row], search: Search) -> dict[str, float]:
    """How much each bound is exceeded, as a share of it, since samplers add up violations in different units."""
    found = {}
    for constraint in search.constraints:
        known = [row.metrics[constraint.metric] for row in rows if constraint.metric in row.metrics]
        if known:
            for name, bound, sign in (("min", constraint.min, -1), ("max", constraint.max, 1)):
                if bound is not None:
                    over = sign * (fmean(known) - bound)
                    found[f"{constraint.metric} {name}"] = over / (abs(bound) or 1.0)
    return found
