"""Layers against a plain convolution, the authors' formulation and each other, at one shape."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch

from lrlc.harness.bench.cases import Case, Setting, forward_backward
from lrlc.harness.bench.memory import peak_bytes
from lrlc.harness.bench.timing import Ratio, Times, interleave, ratio, timed
from lrlc.layers.kernels import cpp_kernels

INPUT_DEPENDENT = "lrlc_input_dependent"
FORMULATIONS = ("lrlc", "authors", INPUT_DEPENDENT, "wide", "locally_connected", "unfold")


@dataclass(frozen=True)
class Row:
    """One ratio, its goal (None without one), and the memory ratio to the same peer."""

    ratio: Ratio
    goal: float | None
    memory_ratio: float | None = None


@dataclass(frozen=True)
class Choice:
    """Whether the default path was the fastest of those measured, within the quartiles."""

    case: str
    best: str
    holds: bool


@dataclass(frozen=True)
class LayersMeasured:
    """The results of `lrlc bench layers` at one batch size."""

    batch: int
    dtype: str
    rows: tuple[Row, ...]
    choices: tuple[Choice, ...]


@dataclass(frozen=True)
class Wanted:
    """What to measure: `compiled` adds input-dependent layers under torch.compile, `memory` the peaks, and
    `paths` each possible path, to check that the default is the fastest. `only` restricts the formulations.
    """

    ranks: Sequence[int] = (2, 4, 7)
    dtype: str = "float32"
    rounds: int = 20
    compiled: bool = False
    memory: bool = True
    paths: bool = False
    only: Sequence[str] = ()


def measure_layers(setting: Setting, wanted: Wanted, device: torch.device) -> LayersMeasured:
    """Time all cases interleaved and return the ratios that the goals refer to."""
    pairs = _pairs(wanted)
    paths = {case: _paths(case, device) for case in _ours(wanted)} if wanted.paths else {}
    cases = dict.fromkeys([case for pair in pairs for case in pair[:2]])
    cases.update(dict.fromkeys(path for found in paths.values() for path in found))
    steps = {case.name: timed(forward_backward(case, setting, device), device) for case in cases}
    times = interleave(steps, wanted.rounds, warm_up=2)
    peaks = _peaks(pairs, setting, device) if wanted.memory else {}
    rows = tuple(
        Row(ratio(times, case.name, peer.name), _goal(case, peer, setting), _over(peaks, case, peer))
        for case, peer in pairs
    )
    choices = tuple(_choice(times, case, found) for case, found in paths.items())
    return LayersMeasured(setting.batch, wanted.dtype, rows, choices)


def _ours(wanted: Wanted) -> list[Case]:
    return [Case("lrlc", wanted.dtype, rank) for rank in wanted.ranks]


def _pairs(wanted: Wanted) -> list[tuple[Case, Case]]:
    """Each case with the peer whose time it is divided by."""
    conv, local = Case("conv", wanted.dtype), Case("locally_connected", wanted.dtype)
    pairs = [(case, conv) for case in _ours(wanted)]
    pairs += [(replace(case, path="portable"), conv) for case in _ours(wanted)]
    pairs += [(replace(case, formulation="authors"), conv) for case in _ours(wanted)]
    pairs += [(replace(case, formulation=INPUT_DEPENDENT), conv) for case in _ours(wanted)]
    if wanted.compiled:
        pairs += [(replace(case, formulation=INPUT_DEPENDENT, compiled=True), conv) for case in _ours(wanted)]
    pairs += [(replace(case, formulation="wide"), conv) for case in _ours(wanted)]
    pairs += [(local, conv), (replace(local, formulation="unfold"), local)]
    if wanted.dtype != "float32":
        pairs += [(case, replace(case, dtype="float32")) for case in (conv, *_ours(wanted))]
    return [pair for pair in pairs if not wanted.only or pair[0].formulation in wanted.only]


def _paths(case: Case, device: torch.device) -> list[Case]:
    names = ["portable", "banks"] if device.type == "cpu" else []
    if device.type == "cpu" and cpp_kernels.available(torch.empty(0)):
        names.append("cpp")
    return [replace(case, path=name) for name in names]


def _choice(times: Times, case: Case, paths: Sequence[Case]) -> Choice:
    """The default may be slower than the best only if their quartiles, both relative to the best, overlap."""
    measured = [ratio(times, path.name, case.name) for path in paths]
    best = min(measured, key=lambda found: found.ratio)
    return Choice(case.name, best.name, best.high >= 1 / CLEARLY)


CLEARLY = 1.05
"""A path counts as faster than the default if it is so by this factor in three of four rounds."""


def _peaks(
    pairs: Sequence[tuple[Case, Case]], setting: Setting, device: torch.device
) -> dict[Case, int | None]:
    cases = list(dict.fromkeys(case for pair in pairs for case in pair if not case.compiled))
    return dict(zip(cases, peak_bytes(cases, setting, device, torch.get_num_threads()), strict=True))


def _over(peaks: dict[Case, int | None], case: Case, peer: Case) -> float | None:
    mine, its = peaks.get(case), peaks.get(peer)
    return mine / its if mine and its else None


def _goal(case: Case, peer: Case, setting: Setting) -> float | None:
    """Upper bound on the ratio, for the shape and kind of machine that the goals refer to."""
    rank = case.rank or 1
    if case.formulation == "unfold":
        return None
    if peer.dtype != case.dtype:
        return 1.0 if case.formulation == "lrlc" else None
    if case.dtype != "float32" or case.formulation not in ("lrlc", INPUT_DEPENDENT):
        return None
    if case.formulation == INPUT_DEPENDENT:
        return 1.1 * rank if case.compiled else 1.4 * rank
    if case.path == "portable":
        return 1.15 * rank
    if setting.batch >= 512:
        return 1.7
    return {4: 1.8, 7: 2.5}.get(rank)
