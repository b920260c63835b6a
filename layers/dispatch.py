"""Which kernel computes an operator: the one place that decides, per device and shape.

LRLC_BACKEND forces a family: portable (pure torch), cpp (the C++ extension), triton, or auto (the default).
"""

from collections.abc import Callable

from torch import Tensor

from layers import portable
from layers.geometry import Geometry

Needs = tuple[bool, ...]
Combined = Callable[[Tensor, Tensor, Tensor, Geometry], Tensor]
CombinedBackward = Callable[[Tensor, Tensor, Tensor, Tensor, Geometry, Needs], tuple[Tensor, Tensor, Tensor]]
Local = Callable[[Tensor, Tensor, Geometry], Tensor]
LocalBackward = Callable[[Tensor, Tensor, Tensor, Geometry, Needs], tuple[Tensor, Tensor]]


def combined(x: Tensor, basis: Tensor, weights: Tensor, geometry: Geometry) -> Combined:
    """The forward kernel of low-rank local connectivity."""
    return portable.combined if _local_filters_pay(x, weights) else portable.dependent


def combined_backward(x: Tensor, basis: Tensor, weights: Tensor, geometry: Geometry) -> CombinedBackward:
    """Its backward kernel."""
    return portable.combined_backward if _local_filters_pay(x, weights) else portable.dependent_backward


def local(x: Tensor, filters: Tensor, geometry: Geometry) -> Local:
    """The forward kernel of local connectivity."""
    return portable.local


def local_backward(x: Tensor, filters: Tensor, geometry: Geometry) -> LocalBackward:
    """Its backward kernel."""
    return portable.local_backward


def _local_filters_pay(x: Tensor, weights: Tensor) -> bool:
    """Forming each position's filter needs weights that the whole batch shares, and more than one bank."""
    return weights.shape[0] == 1 and weights.shape[1] > 1 and x.device.type == "cpu"
