"""Dispatch a claim's test to the function that answers it."""

from collections.abc import Sequence

import pandas as pd

from lrlc.results.claims.comparisons import change, difference, interaction
from lrlc.results.claims.cost import cost
from lrlc.results.claims.evidence import Evidence
from lrlc.results.claims.ranks import best_rank, trend
from lrlc.results.claims.smooth import smooth
from lrlc.results.claims.tables import OfTrials
from lrlc.studies.claims import BestRank, Change, Claim, Cost, Difference, Interaction, Smooth, Trend


def evidence_of(claim: Claim, parts: Sequence[pd.DataFrame], maps: OfTrials) -> Evidence:
    """The evidence for a claim; `parts` has the rows of each data set that its test uses."""
    match claim:
        case Difference():
            return difference(claim, parts)
        case Change():
            return change(claim, parts)
        case Interaction():
            return interaction(claim, parts)
        case BestRank():
            return best_rank(claim, parts)
        case Trend():
            return trend(claim, parts)
        case Smooth():
            return smooth(claim, parts, maps)
        case Cost():
            return cost(claim, parts)
