"""Made-up rows for judging claims: accuracies by data set, kind and rank, and studies with claims about them."""

from collections.abc import Sequence
from typing import Any
from zlib import crc32

import numpy as np
import pandas as pd

from lrlc.results.claims import Asked, Finding, Judged, Tables, judge_tables
from lrlc.results.claims.tables import COLUMNS, OfTrials
from lrlc.results.schema import to_tables
from lrlc.studies import recorded_study
from support.results_samples import result

LRLC = {"kind": "lrlc", "rank": [2, 4], "placement": ["3"]}
CONV = {"kind": "conv"}
DIFFERENCE = {"test": "difference", "ours": LRLC, "theirs": CONV}
SAMPLE = (
    to_tables([result(options="{}", search_number=None)])["trials"]
    .to_pandas()
    .loc[0, list(COLUMNS)]
    .to_dict()
)


def described(
    *claims: dict[str, Any], seeds: int = 10, looks: Sequence[int] = (), **more: Any
) -> dict[str, Any]:
    """A study as in study.json."""
    return {
        "name": "s",
        "datasets": [{"name": "mnist"}],
        "seeds": list(range(seeds)),
        "decision": {"alpha": 0.05, "looks": list(looks)},
        "claims": [{"name": "C", **claim} for claim in claims],
        **more,
    }


def judged(
    asked: dict[str, Any], rows: pd.DataFrame, maps: OfTrials = lambda ids: pd.DataFrame()
) -> list[Judged]:
    """Verdicts from rows of a study, by default without a regime."""
    return judge_tables(Asked.of(recorded_study({"regime": "any", **asked})), Tables.of_rows(rows, maps))


def only(rows: pd.DataFrame, *claims: dict[str, Any], **settings: Any) -> Finding:
    """The one finding of a study with these claims."""
    ((finding,),) = (each.findings for each in judged(described(*claims, **settings), rows))
    return finding


def table(accuracies: dict[tuple[str, str, int | None], np.ndarray]) -> pd.DataFrame:
    """Rows of (data set, kind, rank) with these accuracies in points, by seed; validation is the same plus noise."""
    parts = []
    for (dataset, kind, rank), values in accuracies.items():
        noise = np.random.default_rng(crc32(repr((dataset, kind, rank)).encode())).normal(0, 0.2, len(values))
        changed = {
            "dataset": dataset, "dataset_name": dataset.partition("+")[0], "kind": kind, "rank": rank,
            "placement": "" if kind == "conv" else "3", "seed": range(len(values)),
            "test_accuracy": values / 100, "validation_accuracy": (values + noise) / 100,
            "trial_id": [f"{dataset}{kind}{rank}{seed}" for seed in range(len(values))],
        }  # fmt: skip
        parts.append(
            pd.DataFrame({**{name: [value] * len(values) for name, value in SAMPLE.items()}, **changed})
        )
    return pd.concat(parts, ignore_index=True)


def runs(mean: float, seeds: int = 10, sd: float = 0.3, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(mean, sd, seeds)


def pair(gain: float, seeds: int = 10) -> pd.DataFrame:
    """LRLC of rank 4 is better than convolution by `gain` points, and rank 2 by one point less."""
    conv = runs(97, seeds)
    return table(
        {
            ("mnist", "conv", None): conv,
            ("mnist", "lrlc", 2): conv + gain - 1 + runs(0, seeds, 0.1, 1),
            ("mnist", "lrlc", 4): conv + gain + runs(0, seeds, 0.1, 2),
        }
    )
