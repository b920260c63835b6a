"""Networks and layers as ONNX files, for batches of any size, checked against their own output."""

import importlib.util
import logging
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from lrlc.layers import plain
from lrlc.layers.errors import LayerError
from lrlc.layers.kernels.ops import Ints, geometry_of

PACKAGES = ("onnx", "onnxscript", "onnxruntime")
TOLERANCE = 1e-3
"""Tolerance as a share of the largest output: above float32 rounding, below the effect of a missing operator."""


def export_onnx(model: nn.Module, path: str | Path, image_shape: tuple[int, int, int]) -> Path:
    """Write the ONNX file that `onnx_bytes` makes."""
    Path(path).write_bytes(onnx_bytes(model, image_shape))
    return Path(path)


def onnx_bytes(model: nn.Module, image_shape: tuple[int, int, int]) -> bytes:
    """`model`, a network or a layer in evaluation mode, for images (N, C, H, W) of this shape (C, H, W), as ONNX.

    The input is called `images`, the output `output`; N is free. The output of onnxruntime is compared with the
    model's. LayerError if a package is missing, an operator has no counterpart in ONNX, or the outputs differ.
    """
    _need(PACKAGES)
    example = _images(model, 2, image_shape)
    with evaluating(model), _quiet(), torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter's own warnings
        content = _content(model, example)
        for count in (1, 3):
            _compare(model, content, _images(model, count, image_shape))
    return content


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Put all its modules in evaluation mode, and restore their modes afterwards."""
    before = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        yield
    finally:
        for module, training in before:
            module.training = training


@contextmanager
def _quiet() -> Iterator[None]:
    """Suppress log lines of the exporter and its packages about optimisations that they skip."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(before)


def _need(packages: tuple[str, ...]) -> None:
    for name in packages:
        if importlib.util.find_spec(name) is None:
            raise LayerError(f"ONNX needs {name}: pip install 'lrlc-bench[onnx]'")


def _content(model: nn.Module, example: Tensor) -> bytes:
    try:
        dynamic = ({0: torch.export.Dim("images", min=1)},)
        program = torch.export.export(model, (example,), dynamic_shapes=dynamic)
        written = torch.onnx.export(
            program.run_decompositions(dict(_PLAIN)),
            input_names=["images"],
            output_names=["output"],
            dynamo=True,
            optimize=False,  # onnxruntime does it as it loads the file
            verbose=False,
        )
    except Exception as error:
        raise LayerError(f"{type(model).__name__} cannot be written as ONNX: {_reason(error)}") from error
    assert written is not None
    content: bytes = written.model_proto.SerializeToString()
    return content


def _reason(error: BaseException) -> str:
    """The first line of the innermost cause, which the exporter wraps in pages of text."""
    while error.__cause__ is not None:
        error = error.__cause__
    return (str(error).strip() or type(error).__name__).partition("\n")[0]


def _compare(model: nn.Module, content: bytes, images: Tensor) -> None:
    import onnxruntime

    try:
        session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
        (answer,) = session.run(None, {"images": images.cpu().numpy()})
    except Exception as reason:  # its own exceptions have no common class; it lacks operators of some dtypes
        raise LayerError(
            f"{type(model).__name__} as ONNX does not run: {_reason(reason)}; export it in float32"
        ) from reason
    expected = model(images).cpu()
    error = float((torch.from_numpy(answer) - expected).abs().max())
    if not error <= TOLERANCE * max(1.0, float(expected.abs().max())):
        raise LayerError(
            f"{type(model).__name__} as ONNX gives different outputs, by up to {error:.3g}; nothing is written"
        )


def _images(model: nn.Module, count: int, shape: tuple[int, int, int]) -> Tensor:
    """The same images each time, on the model's device."""
    parameter = next(model.parameters(), torch.empty(0))
    random = torch.Generator().manual_seed(count)
    return torch.randn(count, *shape, generator=random).to(parameter)


def _combined(
    x: Tensor, basis: Tensor, weights: Tensor, stride: Ints, padding: Ints, dilation: Ints
) -> Tensor:
    return plain.combined(x, basis, weights, geometry_of(x, basis.shape[2:], stride, padding, dilation))


def _local(
    x: Tensor, filters: Tensor, kernel_size: Ints, stride: Ints, padding: Ints, dilation: Ints
) -> Tensor:
    return plain.local(x, filters, geometry_of(x, kernel_size, stride, padding, dilation))


_PLAIN: Mapping[Any, Callable[..., Tensor]] = {
    torch.ops.lrlc.combined.default: _combined,
    torch.ops.lrlc.local.default: _local,
}
"""Our operators expressed in torch's, which the exporter supports."""
