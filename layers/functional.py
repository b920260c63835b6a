"""Low-rank and full local connectivity as functions of tensors."""

import torch
from torch import Tensor

from lrlc.layers import plain
from lrlc.layers.entrance import KERNEL_DTYPES, check_combined, check_local, computed_in, transforming
from lrlc.layers.errors import InputError, InputTypeError
from lrlc.layers.geometry import Geometry, Padding, Pair, make_geometry
from lrlc.layers.kernels import at_once, dispatch, ops


def lrlc_conv2d(
    x: Tensor,
    basis: Tensor,
    weights: Tensor,
    *,
    stride: Pair = 1,
    padding: Padding = 0,
    dilation: Pair = 1,
) -> Tensor:
    """y[n,:,i,j] = sum_k weights[n,k,i,j] * (x conv basis_k)[n,:,i,j]   (paper, equation 2).

    x (N, C_in, H, W), or one image (C_in, H, W); basis (K*C_out, C_in, kh, kw), K outermost; weights (K, H', W')
    for all images or (N, K, H', W'), already normalised; y (N, C_out, H', W') in channels_last layout. Only the three
    inputs are kept for the backward pass, plus up to 256 MB of the banks' outputs on a GPU that was measured to be
    faster with them. LayerError if shapes, devices or the dtypes of x and basis do not match.
    """
    for name, given in (("x", x), ("basis", basis), ("weights", weights)):
        if not isinstance(given, Tensor):
            raise InputTypeError(f"{name} must be a tensor, not {type(given).__name__}")
    if x.ndim == 3:
        return lrlc_conv2d(x[None], basis, weights, stride=stride, padding=padding, dilation=dilation)[0]
    if x.ndim != 4 or basis.ndim != 4 or weights.ndim not in (3, 4):
        raise InputError(
            "x must be (N, C_in, H, W), basis (K*C_out, C_in, kh, kw) and weights (K, H', W') or (N, K, H', W'), "
            f"not of {x.ndim}, {basis.ndim} and {weights.ndim} dimensions"
        )
    geometry = make_geometry((x.shape[2], x.shape[3]), tuple(basis.shape[2:]), stride, padding, dilation)
    return combine(x, basis, weights if weights.ndim == 4 else weights[None], geometry)


def combine(x: Tensor, basis: Tensor, weights: Tensor, geometry: Geometry) -> Tensor:
    """lrlc_conv2d of weights (1 or N, K, H', W')."""
    x, basis = autocast(x, basis)
    # Inductor fuses each bank's weighting into one pass, but could not see into the operator.
    fuses = torch.compiler.is_compiling() and weights.shape[0] != 1
    if fuses or transforming() or x.dtype not in KERNEL_DTYPES:
        check_combined(x, basis, weights, geometry)
        return plain.combined(x, basis, weights, geometry)
    if dispatch.may_keep_banks(x):
        check_combined(x, basis, weights, geometry)
        if dispatch.keeps_banks(x, basis, weights, geometry):
            return at_once.keep(x, basis, weights, geometry)
    g = geometry
    y: Tensor = ops.combined(x, basis, weights, g.stride, g.padding, g.dilation)
    return y


def local_conv2d(x: Tensor, filters: Tensor, geometry: Geometry) -> Tensor:
    """Local connectivity: filters (H'*W', kh*kw*C_in, C_out), one per position; y (N, C_out, H', W')."""
    x, filters = autocast(x, filters)
    if transforming() or x.dtype not in KERNEL_DTYPES:
        check_local(x, filters, geometry)
        return plain.local(x, filters, geometry)
    g = geometry
    y: Tensor = ops.local(x, filters, g.kernel_size, g.stride, g.padding, g.dilation)
    return y


def autocast(x: Tensor, parameter: Tensor) -> tuple[Tensor, Tensor]:
    """Both in the autocast dtype, as a convolution would cast them; unchanged outside autocast."""
    return x.to(computed_in(x)), parameter.to(computed_in(parameter))
