"""Studies' claims, each judged from rows: supported, contradicted, undecided or out of regime, with the evidence.

`together` reads them from studies as they were last run; `dispatch` says which function answers which test,
`decide` how error rates are kept, `regime` when a comparison counts. See docs/claims.md.
"""

from results.claims.asked import Asked, seed_order
from results.claims.cells import of_cells
from results.claims.conditions import Condition
from results.claims.questions import Question
from results.claims.tables import Tables
from results.claims.together import TALK, findings, judge, judge_tables, judge_together
from results.claims.verdicts import Finding, Judged, Verdict

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
    "seed_order",
]
