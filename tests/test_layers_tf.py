"""Layers made from the authors' TensorFlow parameters, against their formulation written out in NHWC."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from lrlc import layers
from lrlc.layers.geometry import make_geometry

MODES = [
    (share, normalize, stride, padding)
    for share in ("row+col", "row", "col", "full")
    for normalize in ("softmax", "l2", "none")
    for stride, padding in ((1, "valid"), (2, "same"))
]


def make_arrays(share, size, K=3, C_in=2, C_out=4, seed=0):
    rng = np.random.default_rng(seed)
    H, W = size
    arrays = {
        "kernel_bases": rng.normal(size=(3, 3, C_in, K * C_out)),
        "bias_channels": rng.normal(size=(1, 1, C_out)),
    }
    if "row" in share:
        arrays |= {"combining_weights_row": rng.normal(size=(H, K)), "bias_row": rng.normal(size=(H, 1, 1))}
    if "col" in share:
        arrays |= {"combining_weights_col": rng.normal(size=(W, K)), "bias_col": rng.normal(size=(1, W, 1))}
    if share == "full":
        arrays |= {
            "combining_weights": rng.normal(size=(H, W, K)),
            "spatial_bias": rng.normal(size=(H, W, 1)),
        }
    if share == "input":
        sizes = {
            "dim_reduction": (1, 1, C_in, K),
            "squeeze": (1, 1, 0, 3 * K),
            "excite": (1, 1, 3 * K, 6 * K),
        }
        sizes |= {"proj": (1, 1, 6 * K, K)}
        kept = [r for r in (1, 2, 4, 8) if r <= (min(H, W) + 1) // 2]
        sizes |= {f"multiscale_{r}": (3, 3, K, 1) for r in kept}
        sizes["squeeze"] = (1, 1, (2 + len(kept)) * K, 3 * K)
        for name, shape in sizes.items():
            arrays[f"{name}/kernel"] = rng.normal(size=shape)
            arrays[f"{name}/bias"] = rng.normal(size=shape[-2] if name.startswith("multi") else shape[-1])
        arrays["spatial_bias"] = rng.normal(size=(H, W, 1))
    return arrays


def authors_way(x, arrays, weights, K, stride, padding):
    """One convolution to K*C_out channels, viewed as (N, H', W', K, C_out), then the weighted sum; in NHWC."""
    geometry = make_geometry(x.shape[1:3], 3, stride, padding)
    kernel = torch.tensor(arrays["kernel_bases"]).permute(3, 2, 0, 1)
    y = F.conv2d(geometry.pad(x.permute(0, 3, 1, 2)), kernel, stride=stride).permute(0, 2, 3, 1)
    y = torch.einsum("nijkc,nijk->nijc", y.reshape(*y.shape[:3], K, -1), weights.expand(*y.shape[:3], K))
    return y + sum(torch.tensor(v) for name, v in arrays.items() if "bias" in name and "/" not in name)


def normalise(logits, normalize):
    if normalize == "softmax":
        return logits.softmax(-1)
    return logits / logits.norm(dim=-1, keepdim=True) if normalize == "l2" else logits


@pytest.mark.parametrize(("share", "normalize", "stride", "padding"), MODES)
def test_fixed_weights_from_tensorflow(share, normalize, stride, padding):
    size = (8, 7)
    H, W = make_geometry(size, 3, stride, padding).output_size
    arrays = make_arrays(share, (H, W))
    layer = layers.import_tf(
        arrays, input_size=size, rank=3, normalize=normalize, stride=stride, padding=padding
    )
    parts = [np.zeros((H, W, 3))]
    parts += [arrays["combining_weights_row"][:, None]] if "row" in share else []
    parts += [arrays["combining_weights_col"][None]] if "col" in share else []
    parts += [arrays["combining_weights"]] if share == "full" else []
    weights = normalise(torch.tensor(sum(parts))[None], normalize)
    x = torch.randn(2, *size, 2, dtype=torch.float64)
    expected = authors_way(x, arrays, weights, 3, stride, padding)
    found = layer(x.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("size", [(9, 11), (24, 20)])
def test_input_dependent_weights_from_tensorflow(size):
    """The resize is written out as two matrices of align_corners interpolation."""
    H, W = size[0] - 2, size[1] - 2
    arrays = make_arrays("input", (H, W), C_in=3)
    layer = layers.import_tf(arrays, input_size=size, rank=3)
    x = torch.randn(2, *size, 3, dtype=torch.float64)

    def dense(name, x):
        return x @ torch.tensor(arrays[f"{name}/kernel"])[0, 0] + torch.tensor(arrays[f"{name}/bias"])

    def resize(x):
        rows, columns = _interpolation(x.shape[1], H), _interpolation(x.shape[2], W)
        return torch.einsum("ai,bj,nijc->nabc", rows, columns, x)

    low = dense("dim_reduction", x)
    branches = [resize(low), low.mean((1, 2), keepdim=True).expand(-1, H, W, -1)]
    for r in (1, 2, 4, 8):
        if f"multiscale_{r}/kernel" not in arrays:
            continue
        taps = torch.tensor(arrays[f"multiscale_{r}/kernel"])
        h, w = size[0] - 2 * r, size[1] - 2 * r
        windows = [
            low[:, a * r : a * r + h, b * r : b * r + w] * taps[a, b, :, 0]
            for a in range(3)
            for b in range(3)
        ]
        branches.append(resize(sum(windows) + torch.tensor(arrays[f"multiscale_{r}/bias"])))
    assert len(branches) == {9: 5, 24: 6}[size[0]]
    squeezed = dense("squeeze", torch.cat(branches, -1)).relu()
    weights = dense("proj", dense("excite", squeezed).sigmoid()).softmax(-1)
    expected = authors_way(x, arrays, weights, 3, 1, "valid")
    found = layer(x.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-10)


def _interpolation(size, to):
    """(to, size): each target's linear weights, with the centres of the first and last pixels aligned."""
    position = torch.linspace(0, size - 1, to, dtype=torch.float64) if size > 1 else torch.zeros(to)
    return (1 - (position[:, None] - torch.arange(size)).abs()).clamp_min(0).double()


WRONG = {
    "arrays need kernel_bases": lambda a: a.pop("kernel_bases"),
    "which does not fill its combining.row": lambda a: a.update(combining_weights_row=np.zeros((5, 3))),
    "arrays need combining_weights_row and/or": lambda a: [
        a.pop("combining_weights_row"),
        a.pop("combining_weights_col"),
    ],
    "arrays lack bias_col": lambda a: a.pop("bias_col"),
    "expected \\(kh, kw, C_in, K\\*C_out\\)": lambda a: a.update(kernel_bases=np.zeros((3, 3, 6))),
    "needs 2 axes": lambda a: a.update(combining_weights_row=np.zeros((6, 1, 3))),
    "in the layer's axis order it is": lambda a: a.update(combining_weights_row=np.zeros((3, 6))),
    "which this layer has no place for": lambda a: a.update(gamma=np.zeros(3)),
}


@pytest.mark.parametrize("message", WRONG)
def test_arrays_that_do_not_fit_are_refused(message):
    arrays = make_arrays("row+col", (6, 5))
    WRONG[message](arrays)
    with pytest.raises(layers.LayerError, match=message):
        layers.import_tf(arrays, input_size=(8, 7), rank=3)


def test_a_rank_of_0_is_refused():
    with pytest.raises(layers.LayerError, match="rank"):
        layers.import_tf(make_arrays("row+col", (6, 5)), input_size=(8, 7), rank=0)


def test_a_rank_that_does_not_divide_the_filters_is_refused():
    with pytest.raises(layers.LayerError, match="12 filters, not a multiple of rank 5"):
        layers.import_tf(make_arrays("full", (6, 5)), input_size=(8, 7), rank=5)
