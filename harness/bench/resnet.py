"""ResNet-50 at 224x224: the cost of low-rank local connectivity compared with local connectivity (claim C7)."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional as F

from lrlc import layers
from lrlc.harness.bench.machine import memory_bytes
from lrlc.harness.bench.timing import Ratio, Step, interleave, ratio, timed

BYTES_PER_PARAMETER = 8
"""A float32 value and its gradient."""


@dataclass(frozen=True)
class NetworkRow:
    """`step` is forward and backward relative to plain ResNet-50; None if the network does not fit in memory or
    was not run. `activation_bytes` is what autograd keeps per image beyond the parameters, in float32.
    """

    name: str
    parameters: int
    flops_per_image: int
    flops_per_batch: int
    activation_bytes: int
    step: Ratio | None


def measure_resnet50(
    ranks: Sequence[int], batch: int, rounds: int, device: torch.device, image_size: int = 224
) -> list[NetworkRow]:
    """Plain, LRLC at each rank, and locally connected; rounds=0 counts without timing."""
    networks: list[tuple[str, str, int | None]] = [("conv", "conv", None)]
    networks += [(f"lrlc K={rank}", "lrlc", rank) for rank in ranks]
    networks.append(("locally_connected", "locally_connected", None))
    shadows = {name: _build(kind, rank, "meta", image_size) for name, kind, rank in networks}
    sizes = {name: sum(p.numel() for p in shadow.parameters()) for name, shadow in shadows.items()}
    steps: dict[str, Step] = {}
    for name, kind, rank in networks:
        fits = sum(sizes[other] for other in (*steps, name)) * BYTES_PER_PARAMETER < memory_bytes() / 2
        if rounds and fits:
            steps[name] = timed(
                _step(_build(kind, rank, device, image_size), batch, image_size, device), device
            )
    times = interleave(steps, rounds) if rounds else {}
    rows = []
    for name, shadow in shadows.items():
        cost = layers.cost(shadow, (3, image_size, image_size))
        step = ratio(times, name, "conv") if name in times else None
        activations = layers.activation_bytes(shadow, (3, image_size, image_size))
        rows.append(
            NetworkRow(name, sizes[name], cost.flops_per_image, cost.flops_per_batch, activations, step)
        )
    return rows


def _build(kind: str, rank: int | None, device: torch.device | str, image_size: int) -> nn.Module:
    with torch.device(device):
        built = layers.resnet50(kind=kind, rank=rank, image_size=image_size)
    return built.to(memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]


def _step(model: nn.Module, batch: int, image_size: int, device: torch.device) -> Callable[[], None]:
    images = torch.randn(batch, 3, image_size, image_size, device=device)
    images = images.contiguous(memory_format=torch.channels_last)
    labels = torch.randint(1000, (batch,), device=device)

    def step() -> None:
        model.zero_grad(set_to_none=True)
        F.cross_entropy(model(images), labels).backward()  # type: ignore[no-untyped-call]

    return step
