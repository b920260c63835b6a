"""Trials that start as a convolutional network and switch to their kind of layer after a share of their epochs.

The option `from_conv` belongs to the harness, not the layers. A share, rather than a number of epochs, fits all
profiles of a study.
"""

from collections.abc import Iterable
from dataclasses import replace

from torch import nn
from torch.optim import Optimizer

from lrlc.layers.options import Option
from lrlc.studies.fields import OptionValue
from lrlc.studies.trial_config import TrialConfig

FROM_CONV = "from_conv"
OPTION = Option(
    "the share of the epochs in which the network trains as a convolution first",
    at_least=0,
    below=1,
    name=FROM_CONV,
    value_type=float,
    default=0.0,
)


def layer_options(options: Iterable[tuple[str, OptionValue]]) -> dict[str, OptionValue]:
    """The options without `from_conv`, which layers do not take."""
    return {name: value for name, value in options if name != FROM_CONV}


def fault(options: Iterable[tuple[str, OptionValue]], epochs: int) -> str | None:
    """What is wrong with `from_conv` in a cell's options, in one line; None if nothing is."""
    share = dict(options).get(FROM_CONV, 0)
    if isinstance(share, bool) or not isinstance(share, int | float) or not 0 <= share < 1:
        told = f"{share:g}" if isinstance(share, float) else repr(share)
        return f"{FROM_CONV} must be a share of the epochs, from 0 to below 1, not {told}"
    if share and epochs < 2:
        return f"{FROM_CONV} needs at least 2 epochs, one before and one after it, not {epochs}"
    return None


def conv_epochs(config: TrialConfig) -> int:
    """The number of epochs before the switch: the rounded share, with at least one epoch on either side."""
    share, epochs = float(dict(config.options).get(FROM_CONV, 0)), config.train.epochs
    return min(max(1, round(share * epochs)), epochs - 1) if share else 0


def as_conv(config: TrialConfig) -> TrialConfig:
    """The configuration of the network until the switch."""
    return replace(config, kind="conv", rank=None, placement=(), options=())


def hand_momentum(
    before: Optimizer, trained: nn.Module, after: Optimizer, model: nn.Module, copied: list[str]
) -> None:
    """Copy the momentum of parameters of `model` that were `copied` from `trained`; the others start without."""
    old, new = dict(trained.named_parameters()), dict(model.named_parameters())
    for name in copied:
        after.state[new[name]] = before.state[old[name]]
