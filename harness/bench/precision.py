"""The gain of bfloat16 on this machine: interleaved training steps of the three-layer network in both precisions."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch.nn import functional as F

from lrlc import layers
from lrlc.harness.bench.timing import Ratio, Step, interleave, ratio, timed
from lrlc.harness.measuring.evaluation import autocast

PRECISIONS = ("float32", "bfloat16")
CLASSES = 10
LAST, ALL = (3,), (1, 2, 3)


@dataclass(frozen=True)
class Network:
    """The three-layer network with layers of `kind` at `placement`."""

    title: str
    kind: str
    rank: int | None = None
    placement: tuple[int, ...] = LAST

    def build(self, size: int) -> torch.nn.Module:
        model = layers.build_network(
            "three_layer", (3, size, size), CLASSES, kind=self.kind, rank=self.rank, placement=self.placement
        )
        layers.initialise(model, 0)
        return model


TYPICAL = Network("LRLC 4, layer 3", "lrlc", 4)
NETWORKS = (
    Network("convolution", "conv"),
    TYPICAL,
    Network("LRLC 4, all layers", "lrlc", 4, ALL),
    Network("input-dependent 4, layer 3", "lrlc_input_dependent", 4),
    Network("wide as LRLC 4, layer 3", "wide_conv", 4),
    Network("locally connected, layer 3", "locally_connected"),
)


@dataclass(frozen=True)
class Gain:
    """`ratio` is float32 over bfloat16: the speed-up of training `network` in bfloat16."""

    network: str
    size: int
    batch: int
    ratio: Ratio


def measure_precision(
    networks: Sequence[Network], sizes: Sequence[int], batch: int, rounds: int, device: torch.device
) -> list[Gain]:
    """Steps on one random batch; images have `sizes` pixels on each side and three channels."""
    found = []
    for size in sizes:
        for network in networks:
            steps = {precision: _step(network, size, batch, precision, device) for precision in PRECISIONS}
            found.append(Gain(network.title, size, batch, ratio(interleave(steps, rounds), *PRECISIONS)))
    return found


def seconds_of_a_step(network: Network, size: int, batch: int, device: torch.device) -> float:
    """Time the second of two steps in float32, as the first may compile kernels."""
    step = _step(network, size, batch, "float32", device)
    step()
    return step()


def _step(network: Network, size: int, batch: int, precision: str, device: torch.device) -> Step:
    """Forward and backward, as in training."""
    random = torch.Generator().manual_seed(0)
    images = torch.rand(batch, 3, size, size, generator=random).to(device)
    labels = torch.randint(CLASSES, (batch,), generator=random).to(device)
    images = images.to(memory_format=torch.channels_last)
    model = network.build(size).to(device)
    model = model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def work() -> None:
        model.zero_grad(set_to_none=True)
        with autocast(device, precision):
            logits = model(images)
        F.cross_entropy(logits.float(), labels).backward()  # type: ignore[no-untyped-call]

    return timed(work, device)
