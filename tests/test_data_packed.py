"""Packed data sets: decoded arrays that replace the original files on another machine."""

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

from support.data_samples import as_mnist_parquet

from lrlc.results.store import Store


def test_a_packed_data_set_replaces_its_files(
    lrlc: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    as_mnist_parquet(tmp_path / "data/mnist")
    study = tmp_path / "small.yaml"
    study.write_text(
        "name: small\ndatasets: {name: mnist, size: 14, translate: 1}\ngrid: {kind: conv}\ntrain: {epochs: 1}\n"
    )
    lrlc("run", study, "--serial", "--data", tmp_path / "data", "--results", "here")
    packed = lrlc("data", "pack", study, "--data", tmp_path / "data", "--out", tmp_path / "packed")
    assert packed.stdout.strip() == str(tmp_path / "packed/packed/mnist@14")
    shutil.rmtree(tmp_path / "data")
    lrlc(
        "run", study, "--serial", "--data", tmp_path / "packed", "--results", "there", LRLC_CACHE="elsewhere"
    )
    here, there = (Store(tmp_path / results / "small").trials() for results in ("here", "there"))
    assert here["trial_id"].tolist() == there["trial_id"].tolist()
    assert here["test_loss"].tolist() == there["test_loss"].tolist()
    (tmp_path / "packed/packed/mnist@14/source.json").write_text("{}")
    refused = lrlc("plan", study, "--data", tmp_path / "packed", code=2)
    assert refused.stderr.strip().endswith("this packed data set is damaged; pack it again")
