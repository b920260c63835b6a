"""Networks of torchvision and timm: places by name, refusals, and reproducible trials."""

from pathlib import Path

import pytest
import torch
from support.data_samples import LABELS, SMALL
from support.library_networks import need

from lrlc import layers
from lrlc.harness.data.dataset import Dataset, Split
from lrlc.harness.plan.catalogue import open_study
from lrlc.harness.training.train import train
from lrlc.harness.trial import Checkpoint, Trial
from lrlc.results.names import cell_label
from lrlc.results.schema import TrialResult
from lrlc.studies import StudyError, TrialConfig
from lrlc.studies.dataset_spec import DatasetSpec
from lrlc.studies.places import placement_text
from lrlc.studies.training import Training

RESNET, TINY = "timm/resnet18", "timm/test_resnet"
IMAGE = (1, 12, 11)


@pytest.fixture(scope="module", autouse=True)
def libraries() -> None:
    need("timm")


FIT = [name for name, kind in layers.LAYER_KINDS.items() if kind.matched_to is None]


@pytest.mark.parametrize("kind", FIT)
def test_every_kind_except_widened_ones_trains_in_the_named_modules(kind: str) -> None:
    rank = 2 if layers.LAYER_KINDS[kind].ranked else None
    model = layers.build_network(
        TINY, IMAGE, 10, kind=kind, rank=rank, placement=["layer1", "layer2.0.conv1"]
    )
    layers.initialise(model, 0)
    plain = layers.build_network(TINY, IMAGE, 10)
    assert list(layers.placed_layers(model)) == list(layers.placed_layers(plain))
    placed = {name for name in layers.placed_layers(model) if _differs(model, plain, name)}
    here = {"layer1.0.conv1", "layer1.0.conv2", "layer2.0.conv1"}
    assert placed == (set() if kind == "conv" else here)
    scores = model(torch.randn(3, *IMAGE))
    torch.nn.functional.cross_entropy(scores, torch.tensor([0, 1, 2])).backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())
    assert layers.cost(model, IMAGE).flops_per_image > 0


def _differs(model: torch.nn.Module, plain: torch.nn.Module, name: str) -> bool:
    return type(model.get_submodule(name)) is not type(plain.get_submodule(name))


def test_a_network_is_its_librarys_with_the_same_parameters_and_outputs() -> None:
    """Everything except the initial weights, which are copied from the library's network."""
    import torchvision

    theirs = torchvision.models.resnet18(num_classes=10)
    ours = layers.build_network("torchvision/resnet18", (3, 32, 32), 10)
    ours.load_state_dict(theirs.state_dict())
    images = torch.randn(2, 3, 32, 32)
    torch.testing.assert_close(ours.eval()(images), theirs.eval()(images))


def test_places_are_named_by_the_fewest_modules() -> None:
    modules = layers.find_network(RESNET).modules
    assert modules is not None
    assert modules.all == ("layer1", "layer2", "layer3", "layer4")
    whole = ["layer1.1", "layer1.0.conv2", "layer1.0.conv1"]
    assert modules.canonical([*whole, "layer2.0.conv1"]) == ("layer1", "layer2.0.conv1")
    assert modules.canonical(["layer2.0.conv1", "layer1"]) == ("layer1", "layer2.0.conv1")


def cells(tmp_path: Path, text: str) -> list[TrialConfig]:
    path = tmp_path / "s.yaml"
    path.write_text(f"name: s\ndatasets: digits\n{text}")
    opened = open_study(str(path), profile=None, overrides=[])
    return opened.grid.trials()


def test_a_study_names_its_places(tmp_path: Path) -> None:
    text = f"network: {RESNET}\n"
    (cell,) = cells(tmp_path, text + "grid: {kind: lrlc, rank: 2, placement: [layer2.0.conv1, layer1]}")
    assert cell.placement == ("layer1", "layer2.0.conv1")
    assert cell.canonical()["placement"] == ["layer1", "layer2.0.conv1"]
    assert cell_label("lrlc", 2, placement_text(cell.placement)) == "LRLC rank 2, layer1+layer2.0.conv1"
    several = cells(tmp_path, text + "grid: {kind: coord_conv, placement: [[layer1], [layer2, layer3], all]}")
    assert [placement_text(cell.placement) for cell in several] == [
        "layer1", "layer2+layer3", "layer1+layer2+layer3+layer4",
    ]  # fmt: skip
    assert len(cells(tmp_path, text + "grid: {kind: coord_conv, placement: subsets}")) == 15
    searched = (
        "search: {trials: 2, dataset: digits, space: {kind: lrlc, rank: 1, placement: [[layer1], all]}}\n"
    )
    assert cells(tmp_path, text + searched) == []


WRONG = {
    "grid: {kind: lrlc, rank: 2, placement: layr1}": "grid[0].placement: 'layr1' names no module of timm/resnet18 with "
    "3x3 convolutions; did you mean 'layer1'?",
    "grid: {kind: lrlc, rank: 2, placement: 1}": "grid[0].placement: 1 is not a module of timm/resnet18; its places",
    "grid: {kind: lrlc, rank: 2, placement: conv1}": "conv1 of timm/resnet18 is a 7x7 convolution, which no layer",
    "grid: {kind: wide_conv, rank: 2}": "network: wide_conv is widened",
    "grid: {kind: conv}\nnetwork: timm/resnet81": "unknown network of timm 'resnet81'; did you mean 'resnet18'?",
    "grid: {kind: conv, network: timmm/resnet18}": "unknown library of networks 'timmm'; did you mean 'timm'?",
    "grid: {kind: conv, network: timm/resnext50_32x4d}": "has no 3x3 convolution that a layer could replace; ",
    "grid: {kind: conv}\nclaims: {test: better, ours: conv, theirs: {kind: coord_conv, placement: x}}": "'x' names no",
}  # fmt: skip


@pytest.mark.parametrize("text", WRONG)
def test_invalid_studies_are_refused_in_one_line(text: str, tmp_path: Path) -> None:
    network = "" if "network:" in text else f"network: {RESNET}\n"
    with pytest.raises(StudyError) as caught:
        cells(tmp_path, network + text)
    assert WRONG[text] in str(caught.value)
    assert "\n" not in str(caught.value)


def test_images_and_outputs_that_do_not_fit_are_refused() -> None:
    with pytest.raises(layers.LayerError, match="torchvision/inception_v3 cannot take images of 3x12x12: "):
        layers.build_network("torchvision/inception_v3", (3, 12, 12), 10)
    with pytest.raises(layers.LayerError, match="does not return one score for each class"):
        layers.build_network("torchvision/googlenet", (3, 40, 40), 10)


def test_a_missing_library_is_one_line_that_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "timm", None)
    with pytest.raises(layers.LayerError, match=r"pip install 'lrlc-bench\[timm\]'"):
        layers.find_network("timm/resnet34")


def test_dropout_repeats_with_the_seed_and_after_a_checkpoint() -> None:
    parts = (
        Split(SMALL[part, ..., None], LABELS[part]) for part in (slice(48), slice(48, 80), slice(80, 112))
    )
    dataset = Dataset("digits", *parts, num_classes=10, scaling=(0.0, 1.0), digest="d")
    digits = DatasetSpec(name="digits")
    settings = Training(epochs=2, batch_size=16, learning_rate=0.02)
    config = TrialConfig(digits, "torchvision/squeezenet1_1", "conv", None, (), (), settings, 0)
    trial, cpu = Trial("t", config, "s", "d", 1), torch.device("cpu")
    records = list(train(trial, dataset, cpu, checkpoint_seconds=0))
    saved = next(record for record in records if isinstance(record, Checkpoint))
    *_, again = train(trial, dataset, cpu)
    *_, resumed = train(trial, dataset, cpu, resume=saved)
    whole = records[-1]
    for other in (again, resumed):
        assert isinstance(whole, TrialResult)
        assert isinstance(other, TrialResult)
        assert [each.train_loss for each in other.curve] == [each.train_loss for each in whole.curve]
        assert other.validation_loss == whole.validation_loss
