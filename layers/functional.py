"""Low-rank and full local connectivity as functions of tensors."""

import torch
from torch import Tensor

from lrlc.layers import plain
from lrlc.layers.errors import LayerError
from lrlc.layers.geometry import Geometry, Padding, Pair, make_geometry
from lrlc.layers.kernels import ops


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

    x (N, C_in, H, W); basis (K*C_out, C_in, kh, kw), K outermost; weights (K, H', W') for all images or
    (N, K, H', W'), already normalised; y (N, C_out, H', W') in channels_last layout. Only the three inputs
    are kept for the backward pass. LayerError where shapes do not fit.
    """
    maps = weights if weights.ndim == 4 else weights[None]
    geometry = make_geometry((x.shape[2], x.shape[3]), tuple(basis.shape[2:]), stride, padding, dilation)
    _check(x, basis, maps, geometry)
    return combine(x, basis, maps, geometry)


def combine(x: Tensor, basis: Tensor, weights: Tensor, geometry: Geometry) -> Tensor:
    """lrlc_conv2d with its arguments checked; weights (1 or N, K, H', W')."""
    x, basis = autocast(x, basis)
    # Inductor fuses each bank's weighting into one pass; the operator would be opaque to it.
    if _transforming() or (torch.compiler.is_compiling() and weights.shape[0] != 1):
        return plain.combined(x, basis, weights, geometry)
    g = geometry
    y: Tensor = ops.combined(x, basis, weights, g.stride, g.padding, g.dilation)
    return y


def local_conv2d(x: Tensor, filters: Tensor, geometry: Geometry) -> Tensor:
    """Local connectivity: filters (H'*W', kh*kw*C_in, C_out), one per position; y (N, C_out, H', W')."""
    x, filters = autocast(x, filters)
    if _transforming():
        return plain.local(x, filters, geometry)
    g = geometry
    y: Tensor = ops.local(x, filters, g.kernel_size, g.stride, g.padding, g.dilation)
    return y


def _transforming() -> bool:
    """Inside torch.func's grad or vmap, which refuse operators with `register_autograd` (torch 2.13)."""
    return not torch.compiler.is_compiling() and torch._C._are_functorch_transforms_active()


def autocast(x: Tensor, parameter: Tensor) -> tuple[Tensor, Tensor]:
    """Both in the autocast dtype, as a convolution would take them, or unchanged outside autocast."""
    kind = x.device.type
    if kind in ("cpu", "cuda") and torch.is_autocast_enabled(kind) and x.dtype != torch.float64:
        dtype = torch.get_autocast_dtype(kind)
        return x.to(dtype), parameter.to(dtype)
    return x, parameter


def _check(x: Tensor, basis: Tensor, maps: Tensor, geometry: Geometry) -> None:
    if maps.shape[0] not in (1, x.shape[0]):
        raise LayerError(f"weights are for {maps.shape[0]} images, but x has {x.shape[0]}")
    if tuple(maps.shape[2:]) != geometry.output_size:
        raise LayerError(
            f"weights cover {maps.shape[2]}x{maps.shape[3]} positions, but the output has "
            f"{geometry.output_size[0]}x{geometry.output_size[1]}"
        )
    if basis.shape[0] % maps.shape[1]:
        raise LayerError(
            f"basis has {basis.shape[0]} filters, not a multiple of the weights' {maps.shape[1]} banks"
        )
    if basis.shape[1] != x.shape[1]:
        raise LayerError(f"basis expects {basis.shape[1]} input channels, but x has {x.shape[1]}")
