"""Impossible requests are refused before anything starts: one line, exit code 2, and nothing is written."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

Lrlc = Callable[..., subprocess.CompletedProcess[str]]

WITH_PLUGIN = "name: p\nplugins: [{}]\ndatasets: digits\ngrid: {{kind: conv}}\n"


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["run", "folder"], "folder: is a folder; name a study file or a shipped study"),
        (["run", "binary.yaml"], "plugins: binary cannot be read: 'utf-8' codec can't decode byte 0xff"),
        (["run", "leaving.yaml"], "leaving.py failed: SystemExit: 3"),
        (["run", "tiny.yaml", "seeds=9999999999"], "tiny.yaml: seeds: at most 1,000,000, got 9,999,999,999"),
        (["run", "tiny.yaml", "--results", "binary"], "binary is not a folder"),
        (["retry", "tiny.yaml", "--results", "binary/below"], "binary is not a folder"),
        (["plan", "tiny.yaml", "--results", "binary"], "binary is not a folder"),
        (["run", "tiny.yaml", "--results", ""], "--results '': expected a folder, file:///folder or s3://"),
        (["run", "tiny.yaml", "--results", "s3:/bucket"], "--results 's3:/bucket': expected a folder"),
        (["run", "tiny.yaml", "--address", "127.0.0.1:9"], "no Ray cluster answered (Connection refused)"),
        (["run", "tiny.yaml", "--address", "nonsense"], "no Ray cluster answered (Invalid address format"),
        (["plot", "folder", "--results", "."], "folder: no trial has a row yet"),
        (["report", "folder", "--results", "."], "folder: no trial has a row yet"),
        (["export", "folder", "--results", "."], "folder: no trial has a row yet"),
        (["export", "folder", "--results", ".", "--out", ""], "'--out': expected a folder, got ''"),
        (["report", "folder", "--results", ".", "--out", "binary"], "'--out': binary is not a folder"),
        (["status", "broken", "--results", "."], "broken: not a folder, so no results of a study"),
    ],
)
def test_it_is_one_line_and_nothing_is_written(
    words: list[str], line: str, lrlc: Lrlc, tiny_study: Path, tmp_path: Path
) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "broken").symlink_to(tmp_path / "nowhere")
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    (tmp_path / "binary.yaml").write_text(WITH_PLUGIN.format("binary"))
    (tmp_path / "leaving.py").write_text("import sys; sys.exit(3)")
    (tmp_path / "leaving.yaml").write_text(WITH_PLUGIN.format("leaving.py"))
    before = set(tmp_path.rglob("*"))
    (said,) = lrlc(*words, code=2).stderr.splitlines()
    assert said.startswith("lrlc: ")
    assert line in said
    assert set(tmp_path.rglob("*")) == before
