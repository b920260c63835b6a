"""Studies' claims, each judged from rows: supported, contradicted, undecided or out of regime, with the evidence.

`together` reads them from studies as they were last run; `dispatch` says which function answers which test,
`decide` how error rates are kept, `regime` when a comparison counts. See docs/claims.md.
"""

from lrlc.results.claims.asked import Asked, seed_order
from lrlc.results.claims.cells import of_cells
from lrlc.results.claims.conditions import Condition
from lrlc.results.claims.questions import Question
from lrlc.results.claims.reach import out_of_reach
from lrlc.results.claims.tables import Tables
from lrlc.results.claims.together import TALK, findings, judge, judge_tables, judge_together
from lrlc.results.claims.verdicts import Finding, Judged, Verdict

__all__ = [
    "TALK",
    "Asked",
    "Condition",
    "Finding",
    "Judged",
    "Question",
    "Tables",
    "Verdict",
    "findings",
    "judge",
    "judge_tables",
    "judge_together",
    "of_cells",
    "out_of_reach",
    "seed_order",
]
