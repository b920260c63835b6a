"""Trials that start as a convolution: for a share of their epochs no layer is of their kind yet.

The option `from_conv` is the harness's, not the layers'. A share, rather than a number of epochs, fits a study's
every profile.
"""

from collections.abc import Iterable
from dataclasses import replace

from torch import nn
from torch.optim import Optimizer

from lrlc.layers.options import Option
from lrlc.studies.fields import OptionValue
from lrlc.studies.schema import TrialConfig

FROM_CONV = "from_conv"
OPTION = Option(
    "the share of the epochs in which the network trains as a convolution first",
    at_least=0,
    below=1,
    name=FROM_CONV,
    value_type=float,
    default=0,
)


def layer_options(options: Iterable[tuple[str, OptionValue]]) -> dict[str, OptionValue]:
    """The options that layers take."""
    return {name: value for name, value in options if name != FROM_CONV}


def fault(options: Iterable[tuple[str, OptionValue]], epochs: int) -> str | None:
    """What is wrong with `from_conv` among a cell's options, in a line, if anything."""
    share = dict(options).get(FROM_CONV, 0)
    if isinstance(share, bool) or not isinstance(share, int | float) or not 0 <= share < 1:
        return f"{FROM_CONV} must be a share of the epochs, from 0 to below 1, not {share!r}"
    if share and epochs < 2:
        return f"{FROM_CONV} needs at least 2 epochs, one before and one after it, not {epochs}"
    return None


def conv_epochs(config: TrialConfig) -> int:
    """How many epochs the trial trains as a convolution: the share of them rounded, at least one on either side."""
    share, epochs = float(dict(config.options).get(FROM_CONV, 0)), config.train.epochs
    return min(max(1, round(share * epochs)), epochs - 1) if share else 0


def as_conv(config: TrialConfig) -> TrialConfig:
    """The trial's network as it is until then."""
    return replace(config, kind="conv", rank=None, placement=(), options=())


def hand_momentum(
    before: Optimizer, trained: nn.Module, after: Optimizer, model: nn.Module, copied: list[str]
) -> None:
    """Give the parameters of `model` that were `copied` from `trained` their momentum; the others start with none."""
    old, new = dict(trained.named_parameters()), dict(model.named_parameters())
    for name in copied:
        after.state[new[name]] = before.state[old[name]]
