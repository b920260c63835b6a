"""Parameter groups for an optimizer, by learning rate factor and weight decay."""

from typing import Any

from torch import nn


def parameter_groups(model: nn.Module, *, weight_decay: float = 0.0) -> list[dict[str, Any]]:
    """Groups {"params": [...], "factor": f, "weight_decay": d} that hold each parameter once, in the model's order.

    A module's attribute `learning_rate_factor` (1 by default) applies to all parameters in it; factors of nested
    modules multiply. The caller multiplies the learning rate by the group's factor. Only weights decay: vectors (of
    norms), parameters called bias... and those in a module with the attribute `no_weight_decay` do not.
    """
    factors = dict.fromkeys(model.parameters(), 1.0)
    for module in model.modules():
        factor = getattr(module, "learning_rate_factor", 1.0)
        for parameter in module.parameters() if factor != 1 else ():
            factors[parameter] *= factor
    spared = _spared(model) if weight_decay else set()
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    for parameter, factor in factors.items():
        decay = 0.0 if parameter in spared else weight_decay
        groups.setdefault((factor, decay), []).append(parameter)
    return [
        {"params": parameters, "factor": factor, "weight_decay": decay}
        for (factor, decay), parameters in groups.items()
    ]


def _spared(model: nn.Module) -> set[nn.Parameter]:
    """The parameters that never decay."""
    spared = {
        parameter
        for name, parameter in model.named_parameters()
        if parameter.ndim < 2 or name.rpartition(".")[2].startswith("bias")
    }
    for module in model.modules():
        if getattr(module, "no_weight_decay", False):
            spared |= set(module.parameters())
    return spared
