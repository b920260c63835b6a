"""ONNX files of layers, networks and trained trials give the same outputs as the originals, in onnxruntime."""

from pathlib import Path

import pytest
import torch
from support.registries import restored
from support.sessions import planned_run
from torch import nn

import lrlc
from lrlc import layers
from lrlc.harness.cli.onnx import export_onnx as export_command
from lrlc.harness.errors import UserError
from lrlc.harness.run.display import Display
from lrlc.harness.run.slots import Slots, make_executor

onnxruntime = pytest.importorskip("onnxruntime")
pytest.importorskip("onnxscript")

SIZE = (7, 6)
KINDS = sorted(set(layers.LAYER_KINDS) - {"wide_conv", "constrained_local"})
"""All kinds, except those with the same layer class as another kind."""


def answer(path: Path, images: torch.Tensor) -> torch.Tensor:
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    (output,) = session.run(["output"], {"images": images.numpy()})
    return torch.from_numpy(output)


def layer(kind: str, **geometry: int) -> nn.Module:
    options = {"rank": 3} if layers.LAYER_KINDS[kind].ranked else {}
    return layers.LAYER_KINDS[kind].build(4, 4, 3, input_size=SIZE, bias=True, **geometry, **options)


def test_every_kind_gives_the_same_output_for_any_number_of_images(tmp_path: Path) -> None:
    """A network with all kinds in sequence."""
    torch.manual_seed(0)
    model = nn.Sequential(*(nn.Sequential(layer(kind, padding=1), nn.Tanh()) for kind in KINDS))
    layers.export_onnx(model, tmp_path / "all.onnx", (4, *SIZE))
    assert model.training
    for count in (1, 4):
        images = torch.randn(count, 4, *SIZE)
        with torch.no_grad():
            torch.testing.assert_close(answer(tmp_path / "all.onnx", images), model.eval()(images))


@pytest.mark.parametrize("kind", ["locally_connected", "involution"])
def test_strided_layers_give_the_same_output(kind: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    model, images = layer(kind, padding=1, stride=2), torch.randn(3, 4, *SIZE)
    layers.export_onnx(model, tmp_path / "layer.onnx", (4, *SIZE))
    with torch.no_grad():
        torch.testing.assert_close(answer(tmp_path / "layer.onnx", images), model.eval()(images))


def test_a_trained_trial_is_written_with_its_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("safetensors")
    (tmp_path / "s.yaml").write_text(
        "name: s\ndatasets: digits\ntrain_images: 64\ngrid: {kind: lrlc, rank: 2, placement: 3}\n"
        "train: {epochs: 1, batch_size: 32, learning_rate: 0.05}\nkeep: weights\n"
    )
    session = planned_run(tmp_path / "s.yaml", (), tmp_path / "runs")
    session.run(make_executor(session, Slots(serial=True)), Display)
    study = lrlc.load("s", results=str(tmp_path / "runs"))
    (trial,) = study.trials["trial_id"]
    monkeypatch.chdir(tmp_path)
    export_command(trial[:6], str(tmp_path / "runs"))
    assert capsys.readouterr().out == f"{trial}.onnx\n"
    images = torch.randn(5, 1, 8, 8)
    with torch.no_grad():
        torch.testing.assert_close(answer(tmp_path / f"{trial}.onnx", images), study.model(trial)(images))
    with pytest.raises(UserError, match="no best_weights of it were kept"):
        export_command(trial[:6], str(tmp_path / "runs"), best=True)


PLUGIN = """
from torch import nn
from lrlc.layers import layer_kind

@layer_kind("narrow")
def narrow(in_channels, out_channels, kernel_size, *, input_size, **geometry):
    return nn.Conv2d(in_channels, out_channels, kernel_size, **geometry)
"""


def test_a_trial_of_a_plugins_kind_is_written_in_the_plugins_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("safetensors")
    (tmp_path / "narrow.py").write_text(PLUGIN)
    (tmp_path / "s.yaml").write_text(
        "name: s\nplugins: [narrow.py]\ndatasets: digits\ntrain_images: 64\ngrid: {kind: narrow, placement: 3}\n"
        "train: {epochs: 1, batch_size: 32}\nkeep: weights\n"
    )
    with restored():
        session = planned_run(tmp_path / "s.yaml", (), tmp_path / "runs")
        session.run(make_executor(session, Slots(serial=True)), Display)
    (trial,) = session.plan.trials
    with restored():  # as in another process
        with pytest.raises(UserError, match=r"unknown layer kind 'narrow'.*go to the folder of its file"):
            export_command(trial.id, str(tmp_path / "runs"), out=tmp_path / "x.onnx")
        monkeypatch.chdir(tmp_path)
        export_command(trial.id, str(tmp_path / "runs"), out=tmp_path / "x.onnx")
    assert answer(tmp_path / "x.onnx", torch.randn(2, 1, 8, 8)).shape == (2, 10)


class Odd(nn.Module):
    """Gives different outputs when it is exported."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + 1 if torch.compiler.is_exporting() else x


def test_what_cannot_be_written_is_refused_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "x.onnx"
    with pytest.raises(layers.LayerError, match=r"^Odd as ONNX gives different outputs, by up to 1; nothing"):
        layers.export_onnx(Odd(), path, (1, 4, 4))
    with pytest.raises(layers.LayerError, match=r"^Sequential cannot be written as ONNX: [^\n]*$"):
        layers.export_onnx(nn.Sequential(layer("conv")), path, (3, *SIZE))
    with pytest.raises(
        layers.LayerError, match=r"^CoordConv2d as ONNX does not run: [^\n]*; export it in float32$"
    ):
        layers.export_onnx(layer("coord_conv").bfloat16(), path, (4, *SIZE))
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(layers.LayerError, match=r"ONNX needs onnx: pip install 'lrlc-bench\[onnx\]'"):
        layers.export_onnx(layer("conv"), path, (4, *SIZE))
    assert not path.exists()
