"""Layers from the authors' TensorFlow parameters (google-research, low_rank_local_connectivity/layers.py).

The axes below rely on these facts about that layer: `kernel_bases` (kh, kw, C_in, K*C_out) holds bank k in
channels k*C_out to (k+1)*C_out - 1; 'SAME' puts the odd zero at the end; logits, not normalised weights, are
stored.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from lrlc.layers.errors import LayerError, check_counts
from lrlc.layers.geometry import Padding, Pair
from lrlc.layers.lrlc import LowRankLocallyConnected2d

SHARES = {
    frozenset(("combining_weights_row", "combining_weights_col")): "both",
    frozenset(("combining_weights_row",)): "rows",
    frozenset(("combining_weights_col",)): "columns",
    frozenset(("combining_weights",)): "none",
}
SPATIAL_BIASES = {"bias_row": "bias_row", "bias_col": "bias_column", "spatial_bias": "bias_table"}
LOGITS = {"combining_weights_row": "row", "combining_weights_col": "column", "combining_weights": "table"}
NETWORK = {
    "dim_reduction": "dim_reduction",
    **{f"multiscale_{r}": f"multiscale.{r}" for r in (1, 2, 4, 8)},
    "squeeze": "squeeze",
    "excite": "excite",
    "proj": "project",
}


def import_tf(
    arrays: Mapping[str, Any],
    *,
    input_size: Pair,
    rank: int,
    normalize: str = "softmax",
    stride: Pair = 1,
    padding: Padding = "valid",
    dilation: int | tuple[int, int] = 1,
) -> LowRankLocallyConnected2d:
    """The layer with the values of `arrays`, in TensorFlow's axis order.

    kernel_bases (kh, kw, C_in, K*C_out); combining_weights_row (H', K) and/or combining_weights_col (W', K),
    or combining_weights (H', W', K); bias_row (H'), bias_col (W') or spatial_bias (H', W'), bias_channels
    (C_out), each with or without axes of size 1. Input-dependent: dim_reduction, multiscale_1, _2, _4, _8,
    squeeze, excite and proj, each with /kernel (kh, kw, in, out; depthwise (3, 3, K, 1)) and /bias. Missing
    biases are left out of the layer. LayerError for names and shapes that do not fit. The dtype is that of
    kernel_bases.
    """
    values = {name: _tensor(value) for name, value in arrays.items()}
    if "kernel_bases" not in values:
        raise LayerError(f"arrays need kernel_bases; they hold {', '.join(sorted(values)) or 'nothing'}")
    check_counts(rank=rank)
    if values["kernel_bases"].ndim != 4:
        shape = tuple(values["kernel_bases"].shape)
        raise LayerError(f"kernel_bases has shape {shape}; expected (kh, kw, C_in, K*C_out)")
    kh, kw, C_in, filters = values["kernel_bases"].shape
    if filters % rank:
        raise LayerError(f"kernel_bases has {filters} filters, not a multiple of rank {rank}")
    dependent = "dim_reduction/kernel" in values
    layer = LowRankLocallyConnected2d(
        C_in,
        filters // rank,
        (kh, kw),
        input_size=input_size,
        rank=rank,
        stride=stride,
        padding=padding,
        dilation=dilation,
        bias="bias_channels" in values,
        spatial_bias=any(name in values for name in SPATIAL_BIASES),
        share="none" if dependent else _share(values),
        normalize=normalize,
        input_dependent=dependent,
    ).to(values["kernel_bases"].dtype)
    _fill(layer, values)
    return layer


def _share(values: Mapping[str, Tensor]) -> str:
    present = frozenset(name for name in LOGITS if name in values)
    if present not in SHARES:
        raise LayerError(
            "arrays need combining_weights_row and/or combining_weights_col, or combining_weights, or the "
            f"input-dependent network; they hold {', '.join(sorted(values))}"
        )
    return SHARES[present]


def _fill(layer: LowRankLocallyConnected2d, values: Mapping[str, Tensor]) -> None:
    """Copy every array to its parameter; each must be used and each parameter filled."""
    left = dict(values)
    for name, parameter in layer.named_parameters():
        source, axes = _source(name)
        if source not in left:
            raise LayerError(f"arrays lack {source}, which the layer's {name} needs")
        value = left.pop(source)
        if axes and value.ndim != len(axes):
            raise LayerError(
                f"{source} has shape {tuple(value.shape)}; the layer's {name} needs {len(axes)} axes"
            )
        value = value.permute(*axes) if axes else value
        if value.squeeze().shape != parameter.squeeze().shape:
            raise LayerError(
                f"{source} has shape {tuple(values[source].shape)}; in the layer's axis order it is "
                f"{tuple(value.shape)}, which does not fill its {name} of {tuple(parameter.shape)}"
            )
        with torch.no_grad():
            parameter.copy_(value.reshape(parameter.shape))
    unused = [name for name in left if not name.startswith("multiscale_")]  # small inputs leave out dilations
    if unused:
        raise LayerError(f"arrays hold {', '.join(sorted(unused))}, which this layer has no place for")


def _source(name: str) -> tuple[str, Sequence[int]]:
    """The array that fills the parameter `name`, and the order of its axes; () for vectors and maps."""
    if name == "basis":
        return "kernel_bases", (3, 2, 0, 1)
    if name == "bias":
        return "bias_channels", ()
    for array, parameter in SPATIAL_BIASES.items():
        if name == parameter:
            return array, ()
    path, _, what = name.removeprefix("combining.").rpartition(".")
    for array, parameter in LOGITS.items():
        if what == parameter:
            return array, (2, 0, 1) if what == "table" else (1, 0)
    array = next(array for array, module in NETWORK.items() if module == path)
    if what == "bias":
        return f"{array}/bias", ()
    return f"{array}/kernel", (2, 3, 0, 1) if array.startswith("multiscale") else (3, 2, 0, 1)


def _tensor(value: Any) -> Tensor:
    return value.detach().clone() if isinstance(value, Tensor) else torch.tensor(value)
