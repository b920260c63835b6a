"""`lrlc bench` at its smallest settings: it runs, and its JSON has what readers rely on. No time limits."""

import json
from typing import Any

import pytest
from typer.testing import CliRunner

from lrlc.harness.bench import gpu_operators, self_check
from lrlc.harness.bench.gpu_operators import Operator, Shape
from lrlc.harness.bench.resnet import measure_resnet50
from lrlc.harness.bench.timing import interleave, ratio
from lrlc.harness.cli import doctor
from lrlc.harness.cli.app import app


def bench(*arguments: str) -> dict[str, Any]:
    done = CliRunner().invoke(app, ["bench", *arguments, "--rounds", "1", "--threads", "1", "--json"])
    assert done.exit_code in (0, 1), done.output
    found: dict[str, Any] = json.loads(done.stdout)
    assert {"cpu", "threads", "torch", "load", "instructions", "device"} == set(found["machine"])
    return found


def checked(ratio: dict[str, Any]) -> dict[str, Any]:
    assert 0 < ratio["low"] <= ratio["ratio"] <= ratio["high"]
    assert ratio["milliseconds"] > 0
    assert ratio["peer_milliseconds"] > 0
    return ratio


def test_layers_are_compared_with_every_formulation_and_path() -> None:
    found = bench("layers", "--batch", "2", "--ranks", "2", "--check", "--no-memory")["results"]
    assert [each["batch"] for each in found] == [2]
    pairs = {(row["name"], row["peer"]) for row in (checked(row["ratio"]) for row in found[0]["rows"])}
    conv = "conv float32"
    ours = ("lrlc K=2 float32", "lrlc K=2 float32 portable", "lrlc_input_dependent K=2 float32")
    others = ("authors K=2 float32", "wide K=2 float32", "locally_connected float32")
    assert pairs == {(name, conv) for name in ours + others} | {
        ("unfold float32", "locally_connected float32")
    }
    assert [choice["case"] for choice in found[0]["choices"]] == ["lrlc K=2 float32"]


def test_bfloat16_is_also_compared_with_float32() -> None:
    rows = bench("layers", "--batch", "2", "--ranks", "2", "--dtype", "bfloat16", "--no-memory")["results"][0]
    pairs = {(row["ratio"]["name"], row["ratio"]["peer"]) for row in rows["rows"]}
    assert ("lrlc K=2 bfloat16", "lrlc K=2 float32") in pairs


@pytest.mark.proof
def test_training_is_compared_with_a_plain_loop() -> None:
    found = bench("training", "--batch", "2", "--batch", "4", "--ranks", "2")["results"]
    pairs = [(row["name"], row["peer"]) for row in (checked(row["ratio"]) for row in found)]
    assert pairs == [
        ("plain loop, conv 2", "lrlc-bench, conv 2"),
        ("lrlc-bench, lrlc K=2 2", "lrlc-bench, conv 2"),
        ("plain loop, conv 4", "lrlc-bench, conv 4"),
        ("lrlc-bench, lrlc K=2 4", "lrlc-bench, conv 4"),
        ("lrlc-bench, conv 4", "lrlc-bench, conv 2"),
    ]


def test_kernels_are_compared_with_float64_by_every_path_or_the_forced_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(self_check, "OPERATORS", (Operator("fixed", 4), Operator("local")))
    monkeypatch.setattr(self_check, "SHAPES", (Shape(20, 4, 8, 6),))
    done = CliRunner().invoke(app, ["bench", "check"])
    assert done.exit_code == 0, done.output
    assert "12 of 12 checks hold" in done.output
    monkeypatch.setenv("LRLC_BACKEND", "banks")
    assert "4 of 4 checks hold" in CliRunner().invoke(app, ["bench", "check"]).output
    monkeypatch.setattr(gpu_operators, "TOLERANCES", {"float32": 1e-12, "bfloat16": 1e-12})
    wrong = CliRunner().invoke(app, ["bench", "check"])
    assert wrong.exit_code == 1
    assert "WRONG fixed K=4 float32 banks" in wrong.output
    monkeypatch.setenv("LRLC_BACKEND", "triton")  # which no CPU runs
    failed = CliRunner().invoke(app, ["bench", "check"])
    assert failed.exit_code == 1
    assert "Triton cannot serve" in failed.output


def test_processes_training_at_once_are_timed_together() -> None:
    words = ["bench", "together", "--counts", "1,100000", "--batch", "2", "--seconds", "0", "--json"]
    done = CliRunner().invoke(app, words)
    (alone,) = json.loads(done.stdout)["results"]
    assert alone["processes"] == 1
    assert alone["images_per_second"] > 0


def test_precisions_are_compared_for_every_network() -> None:
    found = bench("precision", "--batch", "2", "--sizes", "8,9")["results"]
    assert {(each["network"], each["size"]) for each in found} >= {("convolution", 8), ("LRLC 4, layer 3", 9)}
    assert all(
        (checked(each["ratio"])["name"], each["ratio"]["peer"]) == ("float32", "bfloat16") for each in found
    )


@pytest.mark.parametrize(("gain", "advice"), [(1.6, "set train.precision to bfloat16"), (1.05, "at auto")])
def test_the_doctor_says_which_precision_to_set(gain: float, advice: str) -> None:
    assert advice in doctor.advised(gain)


def test_the_doctor_measures_both_precisions() -> None:
    done = CliRunner().invoke(app, ["doctor", "--json"])
    (found,) = (each["found"] for each in json.loads(done.stdout) if each["what"] == "precision")
    assert "train.precision" in found


def test_resnet50_counts_what_local_connectivity_would_need() -> None:
    import torch

    conv, lrlc, local = measure_resnet50([2], 2, 0, torch.device("cpu"), image_size=64)
    assert conv.parameters == 25_557_032
    assert conv.parameters < lrlc.parameters < local.parameters
    assert lrlc.flops_per_image < 1.05 * conv.flops_per_image
    assert lrlc.activation_bytes < 1.5 * conv.activation_bytes
    assert lrlc.step is None


@pytest.mark.parametrize(
    "arguments", [("--ranks", "0"), ("--dtype", "int8"), ("--network", "vgg"), ("--only", "vit")]
)
def test_an_unknown_setting_is_named(arguments: tuple[str, ...]) -> None:
    done = CliRunner().invoke(app, ["bench", "layers", *arguments])
    assert arguments[0] in str(done.exception)
    assert arguments[1] in str(done.exception)


def test_a_ratio_is_the_median_over_rounds_and_warm_up_does_not_count() -> None:
    seconds = iter([50.0, 1.0, 2.0, 9.0])
    times = interleave({"mine": lambda: next(seconds), "peer": lambda: 1.0}, rounds=3)
    found = ratio(times, "mine", "peer")
    assert (found.low, found.ratio, found.high) == (1.5, 2.0, 5.5)
    assert found.milliseconds == 2000
