"""Penalties that layers add to the training loss. A layer with a penalty has a method `penalty() -> Tensor`.

Most layers have none; nothing is then added.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from lrlc.layers.entrance import transforming


def penalty(model: nn.Module) -> Tensor | None:
    """The sum of the penalties of all of `model`'s modules, a scalar; None if no module has one.

    Each module's method `penalty()` covers its own parameters, with its strength, but not those of its children.
    """
    methods = [getattr(module, "penalty", None) for module in model.modules()]
    terms: list[Tensor] = [method() for method in methods if callable(method)]
    return sum(terms[1:], terms[0]) if terms else None


def neighbour_differences(values: Tensor) -> Tensor:
    """The difference between the `values` (H', W', ...) of neighbouring positions, a scalar.

    The sum of absolute differences of two neighbours, averaged over vertical pairs plus averaged over horizontal
    pairs; 0 along an axis with one position.
    """
    if transforming():
        return _neighbour_differences(values)
    return _NeighbourDifferences.apply(values)  # type: ignore[no-any-return, no-untyped-call]


def _neighbour_differences(values: Tensor) -> Tensor:
    """The same by differentiable operations, for torch.func, which takes no function whose backward is not one."""
    rows, columns = _pairs(values)
    dtype = _dtype_of_sums(values)
    between_rows = (values[1:] - values[:-1]).abs().sum(dtype=dtype)
    between_columns = (values[:, 1:] - values[:, :-1]).abs().sum(dtype=dtype)
    return (between_rows / rows + between_columns / columns).to(values.dtype)


class _NeighbourDifferences(torch.autograd.Function):
    """Computed row by row, as the differences of a locally connected layer's filters would not fit in the cache.

    At 10x10 positions and 64 to 64 channels this takes half the time of differentiable operations.
    """

    @staticmethod
    def forward(ctx: Any, values: Tensor) -> Tensor:  # (H', W', ...)
        ctx.save_for_backward(values)
        dtype = _dtype_of_sums(values)
        between_rows, between_columns = values.new_zeros((), dtype=dtype), values.new_zeros((), dtype=dtype)
        for i, row in enumerate(values):
            between_columns += torch.linalg.vector_norm(row[1:] - row[:-1], 1, dtype=dtype)
            if i:
                between_rows += torch.linalg.vector_norm(row - values[i - 1], 1, dtype=dtype)
        rows, columns = _pairs(values)
        return (between_rows / rows + between_columns / columns).to(values.dtype)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        (values,) = ctx.saved_tensors
        of_values = torch.zeros_like(values)
        rows, columns = _pairs(values)
        for i, row in enumerate(values):
            along = (row[1:] - row[:-1]).sign_().mul_(grad / columns)
            of_values[i, 1:] += along
            of_values[i, :-1] -= along
            if i:
                down = (row - values[i - 1]).sign_().mul_(grad / rows)
                of_values[i] += down
                of_values[i - 1] -= down
        return of_values


def _dtype_of_sums(values: Tensor) -> torch.dtype:
    """At least float32: the sums over all pairs exceed the range of float16."""
    return torch.promote_types(values.dtype, torch.float32)


def _pairs(values: Tensor) -> tuple[int, int]:
    """The numbers of vertical and horizontal pairs of positions, at least 1."""
    H, W = values.shape[:2]
    return max(1, (H - 1) * W), max(1, H * (W - 1))
