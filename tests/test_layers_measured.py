"""Kernels chosen by measurement: the fastest is taken, remembered by every process, and nothing is measured twice."""

import json
import subprocess
import sys
import weakref

import pytest
import torch
from test_layers_exact import make_combined

from lrlc import layers
from lrlc.layers.geometry import make_geometry
from lrlc.layers.kernels import dispatch, measured

CPU = torch.device("cpu")


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("LRLC_CACHE", str(tmp_path))
    monkeypatch.setattr(measured, "_choices", {})
    return tmp_path


def work(size, calls=None):
    """A matrix product of this size, counted in `calls`."""
    x = torch.randn(size, size)
    calls = calls if calls is not None else []
    return lambda: calls.append(size) or x @ x


def test_the_fastest_candidate_is_chosen_reported_and_kept(cache):
    assert measured.choose("q", {"slow": work(512), "fast": work(8)}, CPU, "slow") == "fast"
    assert layers.chosen_backends() == {"q": "fast"}
    (file,) = (cache / "choices").iterdir()
    kept = json.loads(file.read_text())
    assert (kept["question"], kept["choice"]) == ("q", "fast")
    assert kept["milliseconds"]["fast"] < kept["milliseconds"]["slow"]


def test_a_trial_records_only_the_choices_that_it_used(cache):
    measured.choose("before", {"a": work(8)}, CPU, "a")
    recorded = layers.record_choices()
    measured.choose("during", {"b": work(8)}, CPU, "b")
    measured.choose("during", {"b": work(8)}, CPU, "b")
    assert recorded == {"during": "b"}
    again = layers.record_choices()
    measured.choose("before", {"a": work(8)}, CPU, "a")  # remembered, and used
    assert (recorded, again) == ({"during": "b"}, {"before": "a"})


def test_the_authors_way_is_measured_beside_the_others(cache):
    g = make_geometry((6, 5), 3)
    tensors = make_combined((g, (8, 3, 4, 2), 0), dependent=True)
    names = ("banks", "authors")
    choice = dispatch._fastest("combined", names, dispatch._combined_family, tensors, g)
    (file,) = (cache / "choices").iterdir()
    assert set(json.loads(file.read_text())["milliseconds"]) == set(names)
    assert list(layers.chosen_backends().values()) == [choice]


def test_a_later_process_repeats_the_choice_without_measuring(cache):
    code = (
        "import torch; from lrlc.layers.kernels import measured; a, b = torch.randn(8, 8), torch.randn(512, 512); "
        "measured.choose('q', {'one': lambda: a @ a, 'other': lambda: b @ b}, torch.device('cpu'), 'other')"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    calls = []
    candidates = {"one": work(512, calls), "other": work(8, calls)}
    assert measured.choose("q", candidates, CPU, "other") == "one"
    assert calls == []


def test_the_first_of_two_simultaneous_processes_decides(cache):
    assert measured._remember("q", {"first": 1.0, "second": 2.0}, "first") == "first"
    assert measured._remember("q", {"second": 1.0, "first": 2.0}, "second") == "first"


def test_a_candidate_that_fails_here_is_left_out_with_a_line_in_the_log(cache, caplog):
    def too_large():
        raise RuntimeError("out of resource: shared memory")

    assert measured.choose("q", {"large": too_large, "small": work(8)}, CPU, "large") == "small"
    assert "large kernels not used: out of resource: shared memory" in caplog.text


def test_if_every_candidate_fails_the_caller_gets_the_error_and_nothing_is_kept(cache):
    def too_large():
        raise torch.OutOfMemoryError("CUDA out of memory")

    assert measured.choose("q", {"large": too_large, "larger": too_large}, CPU, "large") == "large"
    assert layers.chosen_backends() == {}
    assert measured.choose("q", {"small": work(8)}, CPU, "small") == "small"


def test_a_failed_candidate_frees_its_memory_for_the_next(cache):
    held = []

    def too_large():
        half = torch.zeros(8)
        held.append(weakref.ref(half))
        raise torch.OutOfMemoryError("CUDA out of memory")

    def next_one():
        assert held[-1]() is None

    assert measured.choose("q", {"large": too_large, "small": next_one}, CPU, "large") == "small"


def test_candidates_run_as_the_operators_run_them_whoever_asks(cache):
    """Under autocast a sum would be float32 on a GPU, and autograd would keep what no kernel keeps."""
    x = torch.randn(8, 8, requires_grad=True)

    def plainly():
        assert (x @ x).dtype == torch.float32
        assert not (x @ x).requires_grad

    with torch.autocast("cpu", torch.bfloat16):
        assert measured.choose("q", {"a": plainly, "b": work(512)}, CPU, "b") == "a"
        assert (x @ x).dtype == torch.bfloat16


def test_a_choice_is_measured_again_if_torchs_precision_changes(monkeypatch):
    """Reading `allow_tf32` would raise after the newer `fp32_precision` has been set."""
    g = make_geometry((6, 5), 3)
    tensors = [t.float() for t in make_combined((g, (2, 3, 4, 2), 0), dependent=True)]
    found = set()
    for conv, product in (("tf32", "ieee"), ("ieee", "ieee"), ("ieee", "tf32")):
        monkeypatch.setattr(torch.backends.cudnn.conv, "fp32_precision", conv)
        monkeypatch.setattr(torch.backends.cuda.matmul, "fp32_precision", product)
        found.add(dispatch._question("combined", ("banks",), tuple(tensors), g))
    assert len(found) == 3


def test_a_choice_may_ask_for_another_while_it_is_measured(cache):
    def nested():
        return measured.choose("inner", {"a": work(8)}, CPU, "a")

    assert measured.choose("outer", {"b": nested}, CPU, "b") == "b"
    assert layers.chosen_backends() == {"inner": "a", "outer": "b"}


@pytest.mark.parametrize(
    "damage", ["", "{", "[]", '{"question": "q", "choice": "gone"}', '{"question": "another"}']
)
def test_a_damaged_file_is_measured_again(cache, damage):
    measured.choose("q", {"a": work(8)}, CPU, "a")
    (file,) = (cache / "choices").iterdir()
    file.write_text(damage)
    measured._choices.clear()
    assert measured.choose("q", {"b": work(8)}, CPU, "b") == "b"
    assert json.loads(file.read_text())["choice"] == "b"


def test_a_cache_that_cannot_be_written_costs_only_the_memory(cache, monkeypatch, caplog):
    (cache / "file").write_text("")
    monkeypatch.setenv("LRLC_CACHE", str(cache / "file"))
    assert measured.choose("q", {"a": work(8)}, CPU, "a") == "a"
    assert "the choice of kernels is not kept" in caplog.text
