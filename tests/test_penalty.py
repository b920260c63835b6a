"""A layer's penalty affects what is learned, is excluded from the reported loss, and is checked with the study."""

from collections.abc import Iterator

import pytest
import torch

from lrlc import layers
from lrlc.harness.data import load_dataset
from lrlc.harness.plan.catalogue import open_study
from lrlc.harness.training.train import train
from lrlc.harness.trial import Trial
from lrlc.layers.penalty import neighbour_differences
from lrlc.results.schema import TrialResult
from lrlc.studies import DatasetSpec, StudyError, TrialConfig
from lrlc.studies.training import Training

DIGITS = DatasetSpec(name="digits", train_images=64, evaluation_images=32)
SHORT = Training(epochs=4, batch_size=16, learning_rate=0.05)


def trained(kind: str, rank: int | None = None, **options: float) -> TrialResult:
    """The row of a trial of a few steps on 64 digits."""
    config = TrialConfig(DIGITS, "three_layer", kind, rank, (3,), tuple(options.items()), SHORT, 0)
    trial = Trial(kind, config, "penalties", "digest", 1)
    *_, last = train(trial, load_dataset(DIGITS, None), torch.device("cpu"))
    assert isinstance(last, TrialResult)
    return last


def roughness(result: TrialResult) -> float:
    """The mean difference between neighbours in the combining weights."""
    banks = [torch.tensor(m.values).view(m.height, m.width) for m in result.weights]
    maps = torch.stack(banks)
    return float(maps.diff(dim=1).abs().mean() + maps.diff(dim=2).abs().mean())


@pytest.fixture
def constant_penalty() -> Iterator[str]:
    """A convolution whose penalty is always 5."""

    class Penalised(layers.Convolution2d):
        def penalty(self) -> torch.Tensor:
            return 5 + 0 * self.weight.sum()

    @layers.layer_kind("penalised")
    def build(*channels: int, input_size: object, bias: bool = False, **geometry: int) -> Penalised:
        return Penalised(*channels, bias=bias, **geometry)

    yield "penalised"
    layers.LAYER_KINDS.pop("penalised")


def test_the_reported_loss_is_the_cross_entropy_alone(constant_penalty: str) -> None:
    plain, penalised = trained("conv"), trained(constant_penalty)
    assert [r.train_loss for r in plain.curve] == [r.train_loss for r in penalised.curve]
    assert plain.validation_loss == penalised.validation_loss


def test_a_stronger_penalty_leaves_combining_weights_smoother() -> None:
    free, tied = (trained("relaxed_conv", 2, penalty=penalty) for penalty in (0.0, 1.0))
    assert 0 < roughness(tied) < 0.8 * roughness(free)


def test_options_are_judged_at_the_widths_of_the_network() -> None:
    grid = "{network: convnext_like, kind: involution, placement: 1, layer.group_channels: 48}"
    assert open_study("quickstart", profile=None, overrides=[f"grid={grid}"]).grid.cells


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_a_penalty_of_few_bits_is_summed_in_float32(dtype: torch.dtype) -> None:
    layer = layers.ConstrainedLocallyConnected2d(32, 32, 3, input_size=16)
    expected = layer.penalty().item()
    assert layer.to(dtype).penalty().item() == pytest.approx(expected, rel=0.01)


def test_a_penalty_has_the_same_gradient_under_torch_func() -> None:
    values = torch.randn(4, 5, 6, dtype=torch.float64, requires_grad=True)
    (expected,) = torch.autograd.grad(neighbour_differences(values), values)
    found, value = torch.func.grad_and_value(neighbour_differences)(values.detach())
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(value, neighbour_differences(values.detach()))


@pytest.mark.parametrize(
    ("grid", "message"),
    [
        (
            "{kind: relaxed_conv, rank: 2, layer.penalty: -1}",
            "relaxed_conv: penalty must be a number of at least 0, not -1.0",
        ),
        ("{kind: residual_pathway, layer.penalty: 1}", "no kind here takes it; did you mean 'conv_penalty'?"),
        (
            "{kind: involution, layer.group_channels: 12}",
            "group_channels (=12) must divide out_channels (=64)",
        ),
        (
            "{network: convnext_like, kind: involution, placement: 1, layer.group_channels: 32}",
            "group_channels (=32) must divide out_channels (=48)",
        ),
    ],
)
def test_wrong_options_are_refused_before_anything_is_trained(grid: str, message: str) -> None:
    with pytest.raises(StudyError) as caught:
        open_study("quickstart", profile=None, overrides=[f"grid={grid}"])
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
