"""Networks and layers as ONNX files, for batches of any number of images, compared with what they compute here."""

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
"""Of the largest output: more than rounding, in float32, and less than any operator that is left out."""


def export_onnx(model: nn.Module, path: str | Path, image_shape: tuple[int, int, int]) -> Path:
    """Write `model`, a network or a layer, for images (N, C, H, W) of this shape (C, H, W), as it evaluates.

    The input is called `images`, the output `output`; N is free. What onnxruntime makes of the file has been compared
    with the model's own answer before `path` is written. LayerError where a package is missing, an operator has no
    counterpart in ONNX, or the answers differ.
    """
    _need(PACKAGES)
    example = _images(model, 2, image_shape)
    with evaluating(model), _quiet(), torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter's, about itself
        content = _content(model, example)
        for count in (1, 3):
            _compare(model, content, _images(model, count, image_shape))
    Path(path).write_bytes(content)
    return Path(path)


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """All its modules in evaluation mode, and afterwards as they were."""
    before = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        yield
    finally:
        for module, training in before:
            module.training = training


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the lines that the exporter and its packages log of what they leave as it is."""
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
    """The innermost cause's first line: the exporter wraps it in pages of its own."""
    while error.__cause__ is not None:
        error = error.__cause__
    return (str(error).strip() or type(error).__name__).partition("\n")[0]


def _compare(model: nn.Module, content: bytes, images: Tensor) -> None:
    import onnxruntime

    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    (answer,) = session.run(None, {"images": images.cpu().numpy()})
    expected = model(images).cpu()
    error = float((torch.from_numpy(answer) - expected).abs().max())
    if not error <= TOLERANCE * max(1.0, float(expected.abs().max())):
        raise LayerError(
            f"{type(model).__name__} as ONNX answers otherwise than here, by up to {error:.3g}; nothing is written"
        )


def _images(model: nn.Module, count: int, shape: tuple[int, int, int]) -> Tensor:
    """The same each time, where the model is."""
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
"""Our operators in those of torch, which the exporter knows."""
