"""The layers that `lrlc bench layers` compares: ours by each path, and the formulations they are compared with."""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lrlc.layers import plain
from lrlc.layers.geometry import make_geometry
from lrlc.layers.kernels import dispatch
from lrlc.layers.registry import find_kind

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}


@dataclass(frozen=True)
class Setting:
    """One shape: 3x3 'valid' from `channels` to `channels` on `size` x `size` inputs, as in the three-layer network."""

    batch: int
    channels: int = 64
    size: int = 32


@dataclass(frozen=True)
class Case:
    """One candidate. `formulation` is a layer kind of ours, or 'authors', 'wide' or 'unfold'; `path` is default,
    or one of those that dispatch.py chooses from: cpp, portable, banks.
    """

    formulation: str
    dtype: str
    rank: int | None = None
    path: str = "default"
    compiled: bool = False

    @property
    def name(self) -> str:
        rank = "" if self.rank is None else f" K={self.rank}"
        path = "" if self.path == "default" else f" {self.path}"
        return f"{self.formulation}{rank} {self.dtype}{path}{' compiled' if self.compiled else ''}"


class AuthorsLRLC(nn.Module):
    """LRLC as its authors compute it: one convolution to K*C_out channels, then a weighted sum over the banks."""

    def __init__(self, channels: int, rank: int, size: int) -> None:
        super().__init__()
        self.rank, out = rank, size - 2
        self.basis = nn.Parameter(torch.randn(rank * channels, channels, 3, 3) / (3 * channels**0.5))
        self.row, self.column = nn.Parameter(torch.zeros(rank, out)), nn.Parameter(torch.zeros(rank, out))
        self.bias_row, self.bias_column = nn.Parameter(torch.zeros(out)), nn.Parameter(torch.zeros(out))

    def forward(self, x: Tensor) -> Tensor:
        weights = (self.row[:, :, None] + self.column[:, None, :]).softmax(0)  # (K, H', W')
        banks = F.conv2d(x, self.basis)
        banks = banks.view(len(x), self.rank, -1, *banks.shape[2:])  # (N, K, C_out, H', W')
        bias = self.bias_row[:, None] + self.bias_column
        y: Tensor = (banks * weights[:, None]).sum(1) + bias
        return y


class UnfoldLocal(nn.Module):
    """Local connectivity as it is usually written: unfold, then one matrix product per position."""

    def __init__(self, channels: int, size: int) -> None:
        super().__init__()
        self.geometry = make_geometry((size, size), 3)
        self.filters = nn.Parameter(
            torch.randn((size - 2) ** 2, 9 * channels, channels) / (3 * channels**0.5)
        )

    def forward(self, x: Tensor) -> Tensor:
        return plain.local(x, self.filters, self.geometry)


def build(case: Case, setting: Setting, device: torch.device) -> nn.Module:
    """The case's layer, in its dtype and in channels_last."""
    made = _module(case, setting).to(device=device, dtype=DTYPES[case.dtype])
    module: nn.Module = made.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return torch.compile(module) if case.compiled else module  # type: ignore[return-value]


def _module(case: Case, setting: Setting) -> nn.Module:
    channels, size = setting.channels, setting.size
    if case.formulation == "unfold":
        return UnfoldLocal(channels, size)
    if case.formulation in ("authors", "wide"):
        assert case.rank is not None
        if case.formulation == "authors":
            return AuthorsLRLC(channels, case.rank, size)
        # As many parameters as LRLC's banks.
        return find_kind("conv").build(channels, case.rank * channels, 3, input_size=(size, size))
    ranked = {} if case.rank is None else {"rank": case.rank}
    return find_kind(case.formulation).build(channels, channels, 3, input_size=(size, size), **ranked)


def forward_backward(case: Case, setting: Setting, device: torch.device) -> Callable[[], None]:
    """The work to measure: forward, and backward to the input and every parameter."""
    module = build(case, setting, device)
    images = _images((setting.batch, setting.channels, setting.size, setting.size), case.dtype, device)
    images.requires_grad_()
    out = setting.channels * (case.rank or 1) if case.formulation == "wide" else setting.channels
    grad = _images((setting.batch, out, setting.size - 2, setting.size - 2), case.dtype, device)

    def work() -> None:
        images.grad = None
        module.zero_grad(set_to_none=True)
        with forced(case.path):
            module(images).backward(grad)

    return work


def _images(shape: tuple[int, ...], dtype: str, device: torch.device) -> Tensor:
    made = torch.randn(shape, device=device, dtype=DTYPES[dtype])
    return made.contiguous(memory_format=torch.channels_last)


@contextmanager
def forced(path: str) -> Iterator[None]:
    """Use `path` instead of dispatch.py's choice; 'default' leaves the choice to it."""
    if path == "default":
        yield
        return
    pays, backend = dict(dispatch.FORMING_PAYS), os.environ.get("LRLC_BACKEND")
    threshold = sys.maxsize if path == "banks" else 0
    dispatch.FORMING_PAYS.update(dict.fromkeys(pays, threshold))
    os.environ["LRLC_BACKEND"] = "portable" if path == "banks" else path
    try:
        yield
    finally:
        dispatch.FORMING_PAYS.update(pays)
        if backend is None:
            del os.environ["LRLC_BACKEND"]
        else:
            os.environ["LRLC_BACKEND"] = backend
