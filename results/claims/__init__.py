"""Studies' claims, each judged from rows: supported, contradicted, undecided or out of regime, with the evidence.

`together` reads claims from studies as last run, `dispatch` maps tests to functions, `decide` controls error rates, and
`regime` determines when a comparison counts. See docs/claims.md.
"""

from lrlc.results.claims.asked import Asked, seed_order
from lrlc.results.claims.cells import of_cells
from lrlc.results.claims.conditions import Condition
from lrlc.results.claims.questions import Question
from lrlc.results.claims.reach import as_lines, out_of_reach, without_length_check
from lrlc.results.claims.tables import Tables
from lrlc.results.claims.together import TALK, claims_of, findings, judge, judge_tables, judge_together
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
    "as_lines",
    "claims_of",
    "findings",
    "judge",
    "judge_tables",
    "judge_together",
    "of_cells",
    "out_of_reach",
    "seed_order",
    "without_length_check",
]
