"""Parameters by the factor on their learning rate, as an optimizer takes them."""

from typing import Any

from torch import nn


def parameter_groups(model: nn.Module) -> list[dict[str, Any]]:
    """Groups {"params": [...], "factor": f} that hold each parameter once, in the model's order.

    A module's attribute `learning_rate_factor` (1 where it has none) counts for all parameters in it; factors of
    modules in modules multiply. Whoever sets a learning rate multiplies it by the group's factor.
    """
    factors = dict.fromkeys(model.parameters(), 1.0)
    for module in model.modules():
        factor = getattr(module, "learning_rate_factor", 1.0)
        for parameter in module.parameters() if factor != 1 else ():
            factors[parameter] *= factor
    groups: dict[float, list[nn.Parameter]] = {}
    for parameter, factor in factors.items():
        groups.setdefault(factor, []).append(parameter)
    return [{"params": parameters, "factor": factor} for factor, parameters in groups.items()]
