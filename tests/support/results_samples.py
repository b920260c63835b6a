"""Results as written by a run, for tests of results: one trial, and a whole small study."""

import math
import random
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import product
from typing import Any

import numpy as np

from lrlc.results.datasets import DatasetSummary
from lrlc.results.measurements import (
    CorrectImages,
    EquivarianceError,
    MetricValue,
    ShiftAccuracy,
    SpectrumValue,
)
from lrlc.results.schema import EpochRecord, TrialResult, TrialStatus, WeightMap
from lrlc.results.tuning import Tried, Tuned

START = datetime(2026, 1, 5, 12, 0, 0, 123456, tzinfo=UTC)


OTHER_TRAINING: dict[str, Any] = {
    "optimizer": "adamw",
    "weight_decay": 0.01,
    "schedule": "step",
    "decay_epochs": 1.0,
    "decay_rate": 0.5,
    "label_smoothing": 0.1,
    "gradient_clipping": 1.0,
    "augment": "flip+crop+mixup",
    "crop_padding": 2,
    "mixup_alpha": 0.2,
    "ema": 0.99,
    "recipe": "focal",
}
"""Settings whose columns are null at their defaults."""


def result(trial_id: str = "00ff00ff00ff00ff", **changes: Any) -> TrialResult:
    """A finished trial with two epochs, a weight map and a row or two of each measurement.

    Every column is filled, except those of OTHER_TRAINING.
    """
    curve = tuple(EpochRecord(epoch, 1 / epoch, 0.5, 1.1 / epoch, 0.4, 0.1, 2.5) for epoch in (1, 2))
    weights = (WeightMap("layer3", 0, None, 2, 3, (0.0, 0.25, 0.5, 0.75, 1.0, 0.125)),)
    filled: dict[str, Any] = {
        "trial_id": trial_id,
        "study": "sample",
        "status": TrialStatus.FINISHED,
        "error": None,
        "dataset": "celeba:Smiling+t8",
        "dataset_name": "celeba",
        "translate": 8,
        "label": "Smiling",
        "data_digest": "d" * 16,
        "network": "three_layer",
        "kind": "lrlc",
        "rank": 4,
        "placement": "1+3",
        "options": '{"share": "rows"}',
        "seed": 3,
        "epochs": 2,
        "batch_size": 512,
        "learning_rate": 0.1,
        "momentum": 0.9,
        "warmup_epochs": 0.5,
        "precision": "float32",
        "config": '{"kind": "lrlc"}',
        "code_epoch": 1,
        "started_at": START,
        "ended_at": START + timedelta(seconds=9),
        "search_number": 7,
        "draw": "seed",
        "shuffle_labels": True,
        "image_height": 32,
        "image_width": 32,
        "train_images": 1000,
        "validation_images": 100,
        "test_images": 360,
        "test_accuracy": 0.75,
        "test_loss": 0.625,
        "validation_accuracy": 0.7,
        "validation_loss": 0.65,
        "train_accuracy": 0.9,
        "train_loss": 0.3,
        "weights_spatial_std": 0.25,
        "weights_image_std": 0.125,
        "epochs_run": 2,
        "parameters": 302_496,
        "flops_per_image": 12_345_678_901,
        "train_seconds": 5.0,
        "total_seconds": 9.0,
        "images_per_second": 400.0,
        "peak_memory_bytes": 2**33,
        "attempts": 2,
        "resumed_epochs": 1,
        "gpu_fraction": 0.25,
        "git_commit": "a" * 40,
        "git_dirty": False,
        "versions": '{"torch": "2.13.0"}',
        "host": "node1",
        "backend": "portable",
        "kernels": '{"combined float32 on a GPU": "triton"}',
        "device": "cpu",
        "curve": curve,
        "weights": weights,
        "correct": (CorrectImages("test", 360, np.packbits(np.arange(360) % 4 > 0).tobytes()),),
        "spectra": (
            SpectrumValue("layer3", 1, 3.0, 0.9, 0.6, 0.65),
            SpectrumValue("layer3", 2, 1.0, 1.0, 0.7, 0.75),
        ),
        "shifts": (ShiftAccuracy(0, "zero", 360, 0.75), ShiftAccuracy(2, "zero", 360, 0.5)),
        "equivariance": (EquivarianceError("layer3", 2, 0.25),),
        "metrics": (MetricValue("calibration_error", 0.125),),
    }
    return TrialResult(**{**filled, **changes})


def noted(title: str, score: float) -> DatasetSummary:
    return DatasetSummary(
        title, "d" * 16, 0, score, np.zeros((8, 8, 1), np.float32), np.zeros((2, 8, 8, 1), np.uint8)
    )


NOT_MEASURED: dict[str, Any] = {"correct": (), "spectra": (), "shifts": (), "equivariance": (), "metrics": ()}
PARAMETERS = {"conv": 75_466, "coord_conv": 76_618, "locally_connected": 24_000_000}
CEILINGS = {"mnist": 0.986, "cifar10": 0.66, "utkface": 0.83}
GAINS = {"mnist": 0.004, "cifar10": 0.015, "utkface": 0.035}


def study(
    datasets: Iterable[str] = CEILINGS,
    seeds: int = 5,
    ranks: Iterable[int] = (1, 2, 3, 4, 5, 6, 7),
    placements: Iterable[str] = ("1", "3", "1+2+3"),
    kinds: Iterable[str] = ("lrlc", "lrlc_input_dependent"),
    wide_ranks: Iterable[int] = (2, 4, 7),
    local_placements: Iterable[str] = ("3",),
) -> list[TrialResult]:
    """Made-up results that look like a real rank-vs-accuracy study; the same on every call."""
    results = []
    for dataset, seed in product(datasets, range(seeds)):
        luck = random.Random(f"{dataset}{seed}").gauss(0, GAINS[dataset] / 5)
        cells: list[tuple[str, int | None, str]] = [("conv", None, ""), ("coord_conv", None, "1")]
        cells += [("locally_connected", None, placement) for placement in local_placements]
        cells += product(kinds, ranks, placements)
        cells += product(["wide_conv"], wide_ranks, ["3"])
        results += [_trial(dataset, seed, luck, *cell) for cell in cells]
    return results


def translated(shifts: Iterable[int] = (2, 8), seeds: int = 3) -> list[TrialResult]:
    """Faces shifted by increasing amounts: fixed combining weights lose their gain with the shift, others keep it."""
    found = []
    for shift, row in product(shifts, study(("utkface",), seeds, (2, 4), ("3",), wide_ranks=(4,))):
        gain = (row.test_accuracy or 0.0) - CEILINGS["utkface"]
        kept = gain / (1 + shift) if row.kind == "lrlc" else gain
        moved = {
            "trial_id": f"{row.trial_id}+{shift}",
            "dataset": f"utkface+t{shift}",
            "translate": shift,
            "test_accuracy": CEILINGS["utkface"] - shift / 100 + kept,
            "curve": (),
            "weights": (),
        }
        found.append(replace(row, **moved))
    return found


def measured(rows: Iterable[TrialResult]) -> list[TrialResult]:
    """The same rows as from a study with every measurement: layers that share less lose more."""
    found = []
    for row in rows:
        local = {"conv": 0.0, "locally_connected": 1.0}.get(row.kind, 0.3)
        accuracy, noise = row.test_accuracy or 0.0, random.Random(row.trial_id)
        moved = [
            ShiftAccuracy(p, "zero", 2000, accuracy - 0.02 * p * (1 + local) - noise.uniform(0, 0.01) * p)
            for p in (0, 1, 2, 4)
        ]
        errors = [
            EquivarianceError(f"layer{n}", p, local * p / 4 if str(n) in row.placement else 0.0)
            for n, p in product((1, 2, 3), (1, 2, 4))
        ]
        values = _spectrum(accuracy) if row.kind == "locally_connected" else ()
        found.append(replace(row, shifts=tuple(moved), equivariance=tuple(errors), spectra=values))
    return found


def _spectrum(accuracy: float) -> tuple[SpectrumValue, ...]:
    """A spectrum of 36 positions, with most energy in the first three."""
    values = np.array([8.0, 5.0, 3.0, *np.linspace(1, 0.5, 33)])
    energy = np.cumsum(values**2) / np.sum(values**2)
    evaluated = (1, 2, 3, 4, 5, 6, 7, 10, 15, 25, 36)
    return tuple(
        SpectrumValue("layer3", rank, value, share, reached, reached)
        for rank, (value, share) in enumerate(zip(values.tolist(), energy.tolist(), strict=True), 1)
        for reached in [accuracy * share if rank in evaluated else None]
    )


def searched() -> list[TrialResult]:
    """A search's suggestions, each with two seeds; one lost a seed."""
    rows = study(("mnist",), 2, (1, 2, 4), ("1", "3"))
    cells = list(dict.fromkeys((row.kind, row.rank, row.placement) for row in rows))
    found = [
        replace(row, study="hunt", search_number=cells.index((row.kind, row.rank, row.placement)))
        for row in rows
    ]
    lost = {"status": TrialStatus.DIVERGED, "test_accuracy": None, "validation_accuracy": None, "curve": ()}
    return [replace(found[0], **lost), *found[1:]]


def tuned(
    dataset: str,
    kind: str,
    best: float,
    rates: Iterable[float] = (0.05, 0.1, 0.2, 0.4),
    diverged: Iterable[float] = (),
) -> Tuned:
    """Pilots with two seeds whose accuracy peaks at rate `best`; at rates `diverged`, one seed did not finish."""
    lost = set(diverged)
    tried = []
    for rate in rates:
        accuracy = 0.9 - 0.02 * abs(math.log2(rate / best))
        accuracies = {1_000_000: accuracy + 0.001, 1_000_001: None if rate in lost else accuracy - 0.001}
        tried.append(Tried({"train.learning_rate": rate}, accuracies))
    trained = {"train_images": None, "epochs": 10, "batch_size": 512}
    rank, placement = (None, "") if kind == "conv" else (2, "3")
    return Tuned(dataset, "three_layer", kind, "{}", rank, placement, trained, 4, tuple(tried))


def _trial(dataset: str, seed: int, luck: float, kind: str, rank: int | None, placement: str) -> TrialResult:
    noise = random.Random(f"{dataset}{seed}{kind}{rank}{placement}")
    depth = {"1": 0.3, "2": 0.6, "3": 1.0, "1+2+3": 0.8}.get(placement, 0.0)
    relaxed = 1 - math.exp(-((rank or 1) - 1) / 1.5)
    effect = {"coord_conv": 0.3, "locally_connected": -0.8, "wide_conv": 0.35 * relaxed}.get(
        kind, relaxed * depth
    )
    if kind == "lrlc_input_dependent":
        effect *= 1.4 if dataset == "cifar10" else 0.6
    accuracy = CEILINGS[dataset] + GAINS[dataset] * effect + luck + noise.gauss(0, GAINS[dataset] / 8)
    curve = tuple(
        EpochRecord(
            epoch,
            2.3 * math.exp(-epoch / 3) + 0.3,
            accuracy * (1 - math.exp(-epoch / 2)),
            2.3 * math.exp(-epoch / 3) + 0.4,
            accuracy * (1 - math.exp(-epoch / 2.2)) + noise.gauss(0, 0.004),
            0.1,
            2.0,
        )
        for epoch in range(1, 11)
    )
    ranked = rank if kind.startswith("lrlc") else None
    layers = [int(place) for place in placement.split("+")] if ranked else []
    image_count = 2 if kind == "lrlc_input_dependent" else 1
    maps = tuple(
        WeightMap(
            f"layers.{layer - 1}.0",
            bank,
            image if image_count > 1 else None,
            12,
            12,
            _map(ranked, bank, layer + image),
        )
        for layer in layers
        for image in range(image_count)
        for bank in range(ranked or 0)
    )
    return result(
        f"{dataset}-{kind}-{rank}-{placement}-{seed}",
        study="rank_vs_accuracy",
        dataset=dataset,
        dataset_name=dataset,
        translate=0,
        label=None,
        test_images=10_000,
        options="{}",
        kind=kind,
        rank=rank,
        placement=placement,
        seed=seed,
        epochs=10,
        epochs_run=10,
        search_number=None,
        test_accuracy=accuracy,
        validation_accuracy=curve[-1].validation_accuracy,
        parameters=PARAMETERS.get(kind, 75_466 + 36_864 * ((rank or 1) - 1) * max(1, len(layers))),
        curve=curve,
        weights=maps,
        **NOT_MEASURED,
    )


def _map(rank: int | None, bank: int, phase: int) -> tuple[float, ...]:
    """Smooth weights over 12x12 positions that add up to 1 over the banks."""
    values = []
    for row, column in product(range(12), range(12)):
        logits = [
            math.cos((row + 2 * k + phase) / 3) + math.sin((column * (k + 1) + phase) / 6)
            for k in range(rank or 1)
        ]
        values.append(math.exp(logits[bank]) / sum(map(math.exp, logits)))
    return tuple(values)
