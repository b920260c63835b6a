"""The libraries whose networks the tests train, with any build of torchvision."""

import importlib.util

import pytest
import torch

_OPERATORS = torch.library.Library("torchvision", "FRAGMENT")


def need(library: str) -> None:
    """Skip the tests of a module if the library is missing; import it beside torch's CPU build.

    PyPI's torchvision for Linux has its operators compiled for CUDA, and if they cannot be loaded, it fails to
    describe two of them. No classifier uses them.
    """
    for name in {library, "torchvision"}:
        if importlib.util.find_spec(name) is None:
            pytest.skip(f"{name} is not installed", allow_module_level=True)
    try:
        importlib.import_module(library)
    except RuntimeError:
        for operator in ("nms", "qnms"):
            _OPERATORS.define(f"{operator}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        importlib.import_module(library)
