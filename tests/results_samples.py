"""Results as a run leaves them, for the tests of the results room: one trial, and a whole small study."""

from datetime import UTC, datetime, timedelta
from typing import Any

from results.schema import EpochRecord, TrialResult, TrialStatus, WeightMap

START = datetime(2026, 1, 5, 12, 0, 0, 123456, tzinfo=UTC)


def result(trial_id: str = "00ff00ff00ff00ff", **changes: Any) -> TrialResult:
    """A finished trial with two epochs and one weight map, every column filled."""
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
        "train_images": 1000,
        "validation_images": 100,
        "test_images": 360,
        "test_accuracy": 0.75,
        "test_loss": 0.625,
        "validation_accuracy": 0.7,
        "validation_loss": 0.65,
        "train_accuracy": 0.9,
        "train_loss": 0.3,
        "epochs_run": 2,
        "parameters": 302_496,
        "flops_per_image": 12_345_678_901,
        "train_seconds": 5.0,
        "total_seconds": 9.0,
        "images_per_second": 400.0,
        "peak_memory_bytes": 2**33,
        "attempts": 2,
        "gpu_fraction": 0.25,
        "git_commit": "a" * 40,
        "git_dirty": False,
        "versions": '{"torch": "2.13.0"}',
        "host": "node1",
        "device": "cpu",
        "curve": curve,
        "weights": weights,
    }
    return TrialResult(**{**filled, **changes})
