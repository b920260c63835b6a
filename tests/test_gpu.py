"""On a GPU: kernels are right and all are measured, and a step replayed from a CUDA graph gives the numbers of one
launched from Python, again and again.
"""

import json
from pathlib import Path

import pytest
import torch

from lrlc import layers
from lrlc.harness.bench.gpu_operators import PATHS, Operator, Shape, check
from lrlc.harness.plan.catalogue import open_study
from lrlc.harness.plan.planning import Planner
from lrlc.harness.training import step as training_step
from lrlc.harness.training.worker import Worker, WorkerSettings
from lrlc.harness.trial import Trial
from lrlc.layers.kernels import measured
from lrlc.results.schema import TrialResult

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here")

KINDS = "[conv, coord_conv, locally_connected, lrlc, lrlc_input_dependent, wide_conv]"

OPEN_TRAINING = (
    "train.optimizer: adamw, train.weight_decay: 0.01, train.gradient_clipping: 1, train.label_smoothing: 0.1, "
    "train.augment: flip+crop+mixup, train.ema: 0.9"
)
"""All that a step may consist of."""


def trials() -> tuple[Trial, ...]:
    overrides = [
        f"grid=[{{kind: {KINDS}, rank: 4, placement: 3}}, {{kind: conv, {OPEN_TRAINING}}}]",
        "seeds=1",
        "train.epochs=3",
        "train.batch_size=48",
        "train.precision=float32",
    ]
    return Planner(open_study("quickstart", profile=None, overrides=overrides), None).grid()


def trained() -> list[TrialResult]:
    """Each trial to its end; 200 images are four batches of 48 and one of 8, which no graph takes."""
    worker = Worker(WorkerSettings(None, (), cpus=1, gpus=1, checkpoint_seconds=1e9))
    ends = []
    for trial in trials():
        *_, (*_, end) = worker.run(trial)
        assert isinstance(end, TrialResult)
        assert end.error is None, end.error
        ends.append(end)
    return ends


def test_a_replayed_step_gives_the_numbers_of_a_launched_one(monkeypatch: pytest.MonkeyPatch) -> None:
    replayed, again = trained(), trained()
    monkeypatch.setattr(training_step, "EAGER_STEPS", 10**9)
    launched = trained()
    for one, two, three in zip(replayed, again, launched, strict=True):
        numbers = [(each.test_loss, each.train_loss, each.test_accuracy) for each in (one, two, three)]
        assert numbers[0] == numbers[1] == numbers[2], one.kind


@pytest.mark.parametrize("kind", PATHS)
def test_every_path_is_right_in_float16(kind: str) -> None:
    shape, operator = Shape(20, 16, 24, 9, "same", 2), Operator(kind, 1 if kind == "local" else 4)
    for by in PATHS[kind]:
        found = check(operator, shape, "float16", by)
        assert found.holds, found


@pytest.mark.parametrize("kind", ["lrlc", "lrlc_input_dependent"])
def test_under_autocast_a_layer_measures_every_path(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LRLC_CACHE", str(tmp_path))
    monkeypatch.setattr(measured, "_choices", {})
    build = layers.LAYER_KINDS[kind].build
    layer = build(8, 16, 3, input_size=(12, 10), stride=1, padding=1, bias=True, rank=3).cuda()
    with torch.autocast("cuda", torch.bfloat16):
        layer(torch.randn(20, 8, 12, 10, device="cuda", requires_grad=True)).float().sum().backward()
    kept = [json.loads(file.read_text()) for file in (tmp_path / "choices").iterdir()]
    (milliseconds,) = (each["milliseconds"] for each in kept if each["question"].startswith("combined"))
    assert set(milliseconds) == set(PATHS["fixed" if kind == "lrlc" else "dependent"])


@pytest.mark.skipif(torch.cuda.device_count() < 2, reason="one GPU here")
@pytest.mark.parametrize("backend", PATHS["fixed"])
def test_a_layer_works_on_a_gpu_that_is_not_the_current_one(
    backend: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    layer = layers.LowRankLocallyConnected2d(8, 16, 3, input_size=(7, 6), rank=2)
    x = torch.randn(20, 8, 7, 6)
    expected = layer(x)
    monkeypatch.setenv("LRLC_BACKEND", backend)
    torch.testing.assert_close(layer.to("cuda:1")(x.to("cuda:1")).cpu(), expected, rtol=1e-2, atol=1e-2)
