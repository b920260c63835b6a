"""Made-up verdicts in the form of `results.claims`, and the tables of a small study to report on."""

import math
from dataclasses import fields
from pathlib import Path
from typing import Any

from lrlc.results.claims import Finding, Judged, Verdict
from lrlc.results.schema import TrialStatus
from lrlc.results.statistics import Summary
from lrlc.results.store import Store
from lrlc.studies import recorded_study
from support.results_samples import result, study

TINY = {"datasets": ("mnist",), "seeds": 3, "ranks": (1, 2, 4), "placements": ("3",)}


def finding(where: str, comparison: str, verdict: str, effect: Summary | None, **told: Any) -> Finding:
    """A finding with only these values, and the given ones."""
    known = {
        "unit": "points",
        "seeds": 8,
        "reporting": (),
        "chose": (),
        "regime": (),
        "beside": "",
        "claimed": "",
        "note": "",
        **told,
    }
    rest = {field.name: None for field in fields(Finding) if field.name not in known}
    named = {"where": where, "comparison": comparison, "verdict": Verdict(verdict), "effect": effect}
    return Finding(**{**rest, **known, **named})


def judged() -> list[Judged]:
    """Five claims, one of them without a test, another in two units."""
    gain = Summary(8, 0.42, 0.3, 0.17, 0.67)
    loss = Summary(8, -0.31, 0.2, -0.48, -0.14)
    nothing = Summary(1, 0.05, math.nan, math.nan, math.nan)
    ours = "LRLC, fixed minus convolution"
    wide, local = "LRLC, fixed minus wide convolution", "LRLC, fixed minus locally connected"
    few = "6 seeds are the fewest that could settle it; there is 1"
    return [
        Judged(
            "C1",
            "Relaxing spatial invariance (rank > 1) raises accuracy over convolution.",
            Verdict.SUPPORTED,
            (
                finding("MNIST", ours, "supported", gain, p=0.0078, smallest_visible=0.31, test_noise=0.1),
                finding("CIFAR-10", ours, "supported", gain, p=0.0004, superiority=1.0),
            ),
        ),
        Judged(
            "C2",
            "LRLC beats parameter-matched wide convolution and locally connected layers.",
            Verdict.CONTRADICTED,
            (
                finding("MNIST", wide, "contradicted", loss, p=0.023, smallest_visible=0.31, test_noise=0.1),
                finding("MNIST", local, "supported", gain, p=0.0078, smallest_visible=0.31, test_noise=0.1),
            ),
        ),
        Judged(
            "C4",
            "On less aligned data input-dependent LRLC beats fixed LRLC; on aligned data fixed beats it.",
            Verdict.UNDECIDED,
            (
                finding(
                    "CIFAR-10",
                    "LRLC, input-dependent minus fixed",
                    "undecided",
                    nothing,
                    seeds=1,
                    test_noise=0.43,
                    note=few,
                ),
            ),
        ),
        Judged("C5", "Translating faces hurts fixed LRLC but not input-dependent LRLC.", "undecided", ()),
        Judged(
            "C6",
            "The learned combining weights vary smoothly over the image.",
            Verdict.SUPPORTED,
            (
                finding("MNIST", "smoothness against permuted maps", "supported", gain, unit="", p=0.001),
                finding("MNIST", "range over the image", "supported", gain, unit="weight", p=0.001),
            ),
        ),
    ]


def small_store(folder: Path) -> Store:
    """A finished study of one data set, with a failed, a diverged and a missing trial."""
    store = Store(folder / "rank_vs_accuracy")
    rows = study(**TINY)  # type: ignore[arg-type]
    base = {
        "dataset": "mnist",
        "options": "{}",
        "translate": 0,
        "epochs": 10,
        "test_accuracy": None,
        "metrics": (),
    }
    error = "Traceback\n  in x\n\x1b[31mRuntimeError: <b>no & | room</b>\x1b[0m"
    rows += [
        result("f", **base, status=TrialStatus.FAILED, error=error),
        result("d", **base, status=TrialStatus.DIVERGED, train_loss=math.nan),
    ]
    store.commit(rows)
    described = {
        "name": "rank_vs_accuracy",
        "title": "Rank & <accuracy>",
        "description": "First.\n\n<i>Second</i>.",
        "datasets": [{"name": "mnist", "label": None, "translate": 8, "train_images": 400}],
        "network": "three_layer",
        "grid": [{"kind": "conv"}, {"kind": ["lrlc"], "rank": [1, 2, 4], "placement": [[3], [1, 2]]}],
        "seeds": [0, 1, 2],
        "measure": {"shifts": [0, 2], "effective_rank": True},
    }
    store.write_study(recorded_study(described), "smoke", ["train.epochs=10"])
    store.write_plan("smoke", [row.trial_id for row in rows] + ["not yet"])
    return store
