"""The command line as users see it: runs that resume, rows without duplicates, clear refusals."""

import json
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from support.processes import rows, start, wait_for_rows, write_chatty_study

from lrlc.results.store import Store

Lrlc = Callable[..., subprocess.CompletedProcess[str]]


def test_a_study_runs_is_resumed_and_becomes_figures_and_a_report(
    lrlc: Lrlc, tiny_study: Path, tmp_path: Path
) -> None:
    planned = json.loads(lrlc("plan", tiny_study, "--probe", "--json").stdout)
    assert (planned["grid_trials"], planned["missing"]) == (6, 6)
    assert planned["forecast_seconds"] > 0
    said = lrlc("run", tiny_study, "--serial").stderr
    assert said.endswith("next: `lrlc report tiny`, `lrlc plot tiny`\n")
    first = rows(tmp_path / "runs/tiny")
    assert list(first["status"]) == ["finished"] * 6
    assert first["test_accuracy"].between(0.2, 1).all()
    assert len(Store(tmp_path / "runs/tiny").curves()) == 12
    lrlc("run", tiny_study, "--address", "127.0.0.1:1")  # nothing is missing: no cluster is needed
    pd.testing.assert_frame_equal(rows(tmp_path / "runs/tiny"), first)
    drawn = [Path(line) for line in lrlc("plot", tiny_study).stdout.split()]
    assert {path.suffix for path in drawn} == {".png", ".svg"}
    assert all((tmp_path / path).stat().st_size > 5000 for path in drawn)
    page = (tmp_path / lrlc("report", tiny_study).stdout.strip()).read_text()
    assert "A small study on real digits" in page
    exported = pd.read_csv(tmp_path / lrlc("export", tiny_study, "--to", "csv").stdout.split()[0])
    assert len(exported) == 6


def test_a_stopped_run_trains_only_what_is_missing(
    lrlc: Lrlc, tiny_study: Path, tmp_path: Path, environment: dict[str, str]
) -> None:
    root = tmp_path / "runs/tiny"
    trials_of_seconds = ["--serial", "seeds=3", "train.epochs=6"]
    befores = []
    for sent, code in ((signal.SIGKILL, -signal.SIGKILL), (signal.SIGINT, 130)):
        process = start(tiny_study, environment, *trials_of_seconds)
        wait_for_rows(root, sum(map(len, befores)) + 1, process)
        process.send_signal(sent)
        process.communicate()
        assert process.returncode == code
        befores.append(rows(root))
    assert 1 <= len(befores[0]) < len(befores[1]) < 9
    lrlc("run", tiny_study, *trials_of_seconds)
    after = rows(root)
    assert len(after) == 9
    for before in befores:
        pd.testing.assert_frame_equal(after.loc[before.index], before)


@pytest.mark.parametrize("where", [["--processes", "1"], []], ids=["processes", "ray"])
def test_a_killed_worker_is_replaced_with_the_output_kept_and_the_numbers_of_a_serial_run(
    where: list[str], lrlc: Lrlc, tmp_path: Path
) -> None:
    study = write_chatty_study(tmp_path, dies=True)
    words = ["grid=[{kind: chatty, placement: 1}, {kind: conv}, {kind: lrlc, rank: 2}]"]
    done = lrlc("run", study, *where, *words)
    assert "said by a layer" not in done.stdout + done.stderr
    found = rows(tmp_path / "runs/talk")
    chatty = found["kind"] == "chatty"
    assert list(found["status"]) == ["finished"] * len(found)
    assert (found["attempts"] == chatty + 1).all()
    log = lrlc("logs", "talk", "--trial", found.index[chatty][0]).stdout.splitlines()
    headings = [line for line in log if line.startswith("==")]
    assert "its worker was lost" in headings[0]
    assert headings[1].endswith("finished ==")
    assert [line for line in log if not line.startswith("==")] == [
        "said by a layer", "warned by a layer", "last words", "said by a layer", "warned by a layer",
    ]  # fmt: skip
    said = lrlc("run", study, "--serial", "--results", "serial", *words).stderr
    assert said.endswith("next: `lrlc report talk --results serial`, `lrlc plot talk --results serial`\n")
    times = ["started_at", "ended_at", "train_seconds", "total_seconds", "images_per_second"]
    others = ["attempts", "git_commit", "git_dirty", *times]
    serial = rows(tmp_path / "serial/talk")
    pd.testing.assert_frame_equal(serial.drop(columns=others), found.drop(columns=others))


def test_a_failing_trial_is_recorded_and_retried_only_when_asked(
    lrlc: Lrlc, tiny_study: Path, tmp_path: Path
) -> None:
    plugin = tmp_path / "broken.py"
    plugin.write_text(
        "from lrlc.layers import layer_kind\n"
        "@layer_kind('broken')\n"
        "def broken(in_channels, out_channels, kernel_size, **geometry):\n"
        "    raise RuntimeError('no such layer yet')\n"
    )
    study = tmp_path / "broken.yaml"
    study.write_text(
        tiny_study.read_text().replace("name: tiny", "name: broken\nplugins: [broken.py]")
        + "profiles: {broken: {grid: [{kind: conv}, {kind: broken}]}}\n"
    )
    lrlc("run", study, "--serial", "--profile", "broken", code=1)
    found = rows(tmp_path / "runs/broken")
    assert dict(found["status"].value_counts()) == {"finished": 2, "failed": 2}
    assert found.loc[found["status"] == "failed", "error"].str.contains("no such layer yet").all()
    assert "no such layer yet" in lrlc("status", study).stdout
    planned = lrlc("plan", study, "--profile", "broken").stdout
    assert "\n2 trials of those done failed; `lrlc retry` trains them again\n" in planned
    lrlc("run", study, "--serial", "--profile", "broken", code=1)
    pd.testing.assert_frame_equal(rows(tmp_path / "runs/broken"), found)
    said = lrlc("retry", study, "--serial", "--profile", "broken", code=1).stderr
    assert said.endswith("2 trials failed: `lrlc status` shows why, `lrlc retry` trains them again\n")
    again = rows(tmp_path / "runs/broken")
    failed = again["status"] == "failed"
    assert (again.loc[failed, "ended_at"] > found.loc[failed, "ended_at"]).all()
    pd.testing.assert_frame_equal(again[~failed], found[~failed])
    plugin.write_text(
        "from lrlc.layers import Convolution2d, layer_kind\n"
        "@layer_kind('broken')\n"
        "def broken(in_channels, out_channels, kernel_size, *, input_size, **geometry):\n"
        "    return Convolution2d(in_channels, out_channels, kernel_size, **geometry)\n"
    )
    lrlc("run", study, "--serial", "--profile", "broken")
    said = lrlc("status", study).stdout
    assert "2 rows of trials that are no longer in any plan" in said
    assert "no such layer yet" not in said
    assert json.loads(lrlc("status", study, "--json").stdout)["unplanned"] == sorted(found[failed].index)


def test_a_damaged_part_is_set_aside_by_the_next_run_and_its_trials_trained_again(
    lrlc: Lrlc, tiny_study: Path, tmp_path: Path
) -> None:
    grid = "grid={kind: conv}"
    lrlc("run", tiny_study, "--serial", grid)
    first = rows(tmp_path / "runs/tiny")
    (curves,) = (tmp_path / "runs/tiny/curves").glob("*.parquet")
    curves.write_bytes(curves.read_bytes()[:-100])
    assert f"damaged: {curves.relative_to(tmp_path)}" in lrlc("status", tiny_study).stdout
    assert "damaged, moved to runs/tiny/damaged/trials/" in lrlc("run", tiny_study, "--serial", grid).stderr
    again = rows(tmp_path / "runs/tiny")
    assert list(again.index) == list(first.index)
    assert (again["ended_at"] > first["ended_at"]).all()
    said = lrlc("status", tiny_study).stdout
    assert f"damaged, set aside: runs/tiny/damaged/curves/{curves.name}" in said
    assert "  damaged:" not in said


def test_a_trial_whose_loss_explodes_is_recorded_as_diverged(
    lrlc: Lrlc, tiny_study: Path, tmp_path: Path
) -> None:
    lrlc("run", tiny_study, "--serial", "train.learning_rate=1e6", "grid={kind: conv}")
    found = rows(tmp_path / "runs/tiny")
    assert list(found["status"]) == ["diverged"] * 2
    assert found["test_accuracy"].isna().all()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["train.epoch=2"], "train.epoch: unknown key; did you mean 'epochs'?"),
        (["grid={kind: lrlc, rank: 0}"], "grid[0].rank: lrlc needs a whole rank of at least 1; got 0"),
        (["grid={kind: lrlc, rank: 1, placement: 4}"], "grid[0].placement: 4 is outside the network"),
        (["datasets=mnits"], "datasets[0]: unknown data set 'mnits'; did you mean 'mnist'?"),
        (["seeds=[]"], "seeds: no seeds"),
        (["grid={kind: lrlc, rank: 1, layer.share: diagonal}"], "layer: lrlc: unknown share 'diagonal'"),
        (["datasets=mnist"], "mnist: no data folder; give --data DIR (data= in Python) or set LRLC_DATA"),
        (["--profile", "smoke"], "--profile smoke: unknown profile"),
        (["resources.cpus=1000"], "resources: a trial asks for 1000 CPUs"),
    ],
)
def test_a_wrong_study_is_refused_in_one_line_and_writes_nothing(
    words: list[str], said: str, lrlc: Lrlc, tiny_study: Path, tmp_path: Path
) -> None:
    lines = lrlc("run", tiny_study, *words, code=2).stderr.strip().splitlines()
    assert said in lines[-1]
    assert not [
        line for line in lines[:-1] if not line.startswith("starting Ray")
    ]  # said where that takes long
    assert not (tmp_path / "runs").exists()


def test_a_missing_study_or_result_is_named(lrlc: Lrlc, tiny_study: Path) -> None:
    assert "no shipped study; did you mean 'quickstart'?" in lrlc("run", "quickstrat", code=2).stderr
    assert "no results of study 'tiny' here" in lrlc("plot", tiny_study, code=2).stderr


WITHOUT = """
import json, sys
packages, commands = map(json.loads, sys.argv[1:])
class Blocked:
    @staticmethod
    def find_spec(name, path=None, target=None):
        if name in packages:
            raise ImportError(f"{name} is blocked")
sys.meta_path.insert(0, Blocked)
from lrlc.harness.cli.app import main
for words in commands:
    sys.argv = ["lrlc", *words]
    try:
        main()
    except SystemExit as end:
        assert not end.code, words
"""


def test_a_serial_run_needs_no_ray_and_plots_and_reports_neither_torch_nor_optuna(
    tiny_study: Path, tmp_path: Path, environment: dict[str, str]
) -> None:
    def run_without(packages: list[str], *commands: list[str]) -> None:
        """In a separate process, in which importing `packages` fails."""
        words = [json.dumps(packages), json.dumps(commands)]
        done = subprocess.run(
            [sys.executable, "-c", WITHOUT, *words],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr

    study = str(tiny_study)
    run_without(["ray"], ["run", study, "--serial", "seeds=1", "train.epochs=1"])
    run_without(["torch", "optuna"], ["plot", study, "--only", "rank_vs_accuracy"], ["report", study])
    assert (tmp_path / "runs/tiny/figures/rank_vs_accuracy.png").exists()


def test_a_trial_trained_by_another_study_is_reused(lrlc: Lrlc, tiny_study: Path, tmp_path: Path) -> None:
    lrlc("run", tiny_study, "--serial", "grid=[{kind: conv}, {kind: lrlc, rank: 2, placement: [3]}]")
    first = rows(tmp_path / "runs/tiny")
    planned = json.loads(lrlc("plan", tiny_study, "name=second", "--json").stdout)
    assert (planned["done"], planned["lent"], planned["missing"]) == (4, 4, 2)
    assert not (tmp_path / "runs/second").exists()
    said = lrlc("run", tiny_study, "name=second", "--serial").stderr
    assert "4 trials taken from" in said
    second = rows(tmp_path / "runs/second")
    assert len(second) == 6
    pd.testing.assert_frame_equal(second.loc[first.index], first)  # also what measures time
    of_both = [Store(tmp_path / "runs" / name).weights(first.index) for name in ("tiny", "second")]
    pd.testing.assert_frame_equal(*of_both)
    assert len(of_both[0]) == 4
    assert json.loads(lrlc("plan", tiny_study, "name=second", "--json").stdout)["lent"] == 0
