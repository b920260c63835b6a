"""Statistics for few seeds, as pure functions of arrays and frames.

Groups of rows (groups), two kinds seed by seed (paired), a table of seeds x ranks (ranks), several data sets
(interaction), one map (smoothness). results.claims combines the tests into verdicts.
"""

from lrlc.results.statistics.groups import (
    CELL,
    CONFIDENCE,
    LAYER_SETTINGS,
    TRAINING_SETTINGS,
    Summary,
    binomial_sd,
    digits,
    paired_difference,
    possible,
    summarise,
    unfinished,
)

__all__ = [
    "CELL",
    "CONFIDENCE",
    "LAYER_SETTINGS",
    "TRAINING_SETTINGS",
    "Summary",
    "binomial_sd",
    "digits",
    "paired_difference",
    "possible",
    "summarise",
    "unfinished",
]
