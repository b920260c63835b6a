"""Interleaved timing: every candidate runs once per round, so a busy machine slows all of them alike."""

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch

Step = Callable[[], float]
"""Does the work once and returns the seconds taken."""

Times = Mapping[str, Sequence[float]]
"""The seconds of each candidate, one per round."""


@dataclass(frozen=True)
class Ratio:
    """The ratio of a candidate's time to its peer's in the same round: median and quartiles over the rounds."""

    name: str
    peer: str
    ratio: float
    low: float
    high: float
    milliseconds: float
    peer_milliseconds: float


def timed(work: Callable[[], object], device: torch.device) -> Step:
    """`work` as a step; on a GPU its time ends when the device has finished."""

    def step() -> float:
        started = time.perf_counter()
        work()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        return time.perf_counter() - started

    return step


def interleave(steps: Mapping[str, Step], rounds: int, warm_up: int = 1) -> Times:
    """The seconds of each step in each of `rounds` rounds, after `warm_up` rounds that do not count.

    The order rotates by one place each round, so that no candidate always follows the same one.
    """
    names = list(steps)
    times: dict[str, list[float]] = {name: [] for name in names}
    for round_ in range(-warm_up, rounds):
        first = round_ % len(names)
        for name in names[first:] + names[:first]:
            seconds = steps[name]()
            if round_ >= 0:
                times[name].append(seconds)
    return times


def ratio(times: Times, name: str, peer: str) -> Ratio:
    """The ratio of the candidate `name`'s time to that of `peer`."""
    each = [mine / its for mine, its in zip(times[name], times[peer], strict=True)]
    low, middle, high = quartiles(each)
    return Ratio(
        name,
        peer,
        middle,
        low,
        high,
        1e3 * statistics.median(times[name]),
        1e3 * statistics.median(times[peer]),
    )


def quartiles(values: Sequence[float]) -> tuple[float, float, float]:
    """The lower quartile, the median and the upper quartile; a single value is used for all three."""
    if len(values) == 1:
        return values[0], values[0], values[0]
    low, middle, high = statistics.quantiles(values, n=4, method="inclusive")
    return low, middle, high
