"""The fastest of several kernels on a device, measured at a shape's first call and remembered.

A choice is kept in the process and as a small file in the cache, so that all processes on this machine, and later runs,
make the same one. If several processes measure at once, the first to write its file decides.
"""

import hashlib
import json
import logging
import os
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from threading import RLock
from typing import Any

import torch

from lrlc.layers.cache import cache_dir

Work = Callable[[], object]

MILLISECONDS = 3.0
"""How long each candidate is measured in each of `ROUNDS` rounds."""
ROUNDS = 3

HOPELESS_RATIO, HOPELESS_MS = 8.0, 100.0
"""A candidate is dropped if its second call takes longer than this multiple of the fastest one's and than this time."""

log = logging.getLogger("layers")
_lock = RLock()  # a candidate may itself need a choice
_choices: dict[str, str] = {}
_recorded: dict[str, str] = {}


def chosen_backends() -> dict[str, str]:
    """The kernels that this process chose by measurement, by question: operator, dtype, shapes and device."""
    return dict(_choices)


def record_choices() -> dict[str, str]:
    """A mapping that collects every choice used from now on, until this is called again."""
    global _recorded
    _recorded = {}
    return _recorded


def choose(
    question: str, candidates: Mapping[str, Work], device: torch.device, default: str, margin: float = 1.0
) -> str:
    """The name of the fastest candidate for `question`, measured unless remembered.

    It is `default` if that takes at most `margin` times as long as the fastest.

    While the stream is captured into a graph, or under torch.compile's tracing, nothing can be measured: without a
    remembered choice `default` is then returned, and the question is asked again later. The same holds if every
    candidate fails: the caller then runs into the error itself.
    """
    with _lock:
        if question not in _choices:
            if (found := _recall(question, candidates)) is None:
                if torch.compiler.is_compiling() or _capturing(device):
                    return default
                if not (times := _measure(candidates, device)):
                    return default
                found = _remember(question, times, _winner(times, default, margin))
            _choices[question] = found
        _recorded[question] = _choices[question]
        return _choices[question]


def _winner(milliseconds: Mapping[str, float], default: str, margin: float) -> str:
    fastest = min(milliseconds, key=milliseconds.__getitem__)
    kept = default in milliseconds and milliseconds[default] <= margin * milliseconds[fastest]
    return default if kept else fastest


def _capturing(device: torch.device) -> bool:
    if device.type != "cuda":
        return False
    with torch.cuda.device(device):
        return torch.cuda.is_current_stream_capturing()


def _measure(candidates: Mapping[str, Work], device: torch.device) -> dict[str, float]:
    """Milliseconds of each candidate that works here, the fastest first; each is the best of its rounds.

    They run without autograd and autocast, as the operators run their kernels; a layer's forward may ask inside both.
    """
    counts, best = dict.fromkeys(candidates, 1), dict.fromkeys(candidates, float("inf"))
    warm: dict[str, float] = {}
    with torch.no_grad(), torch.autocast(device.type, enabled=False):
        for number in range(-2, ROUNDS):
            for name in tuple(best):
                each = _attempt(name, candidates[name], counts[name], device)
                if each is None:
                    del best[name]
                elif number == -1:  # the call before compiled
                    warm[name] = each
                    counts[name] = max(1, min(50, int(MILLISECONDS / max(1e-3, each))))
                elif number >= 0:
                    best[name] = min(best[name], each)
            if number == -1:
                limit = max(HOPELESS_MS, HOPELESS_RATIO * min(warm.values(), default=0.0))
                best = {name: ms for name, ms in best.items() if warm[name] <= limit}
    if device.type == "cuda":
        torch.cuda.empty_cache()  # other processes may need what the slower candidates took
    return dict(sorted(best.items(), key=lambda item: item[1]))


def _attempt(name: str, work: Work, count: int, device: torch.device) -> float | None:
    """Milliseconds of a call; None if it fails: out of memory, say, or of resources per block."""
    try:
        return _milliseconds(work, count, device) / count
    except Exception as problem:
        line = (str(problem) or type(problem).__name__).splitlines()[0]
        log.warning("%s kernels not used: %s", name, line)
        return None


def _milliseconds(work: Work, count: int, device: torch.device) -> float:
    if device.type != "cuda":
        started = time.perf_counter()
        for _ in range(count):
            work()
        return 1e3 * (time.perf_counter() - started)
    with torch.cuda.device(device):
        start = torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]
        end = torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]
        start.record()
        for _ in range(count):
            work()
        end.record()
        end.synchronize()
    return float(start.elapsed_time(end))


def _remember(question: str, milliseconds: dict[str, float], choice: str) -> str:
    """Save the choice to disk, unless another process was first; then use its choice."""
    text = json.dumps({"question": question, "choice": choice, "milliseconds": milliseconds}, indent=1)
    log.info("%s: %s", question, ", ".join(f"{name} {ms:.3f} ms" for name, ms in milliseconds.items()))
    try:
        path = _file(question)
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle, private = tempfile.mkstemp(dir=path.parent, suffix=".part")
        with os.fdopen(handle, "w") as file:
            file.write(text)
        try:
            os.link(private, path)
        except FileExistsError:
            if (first := _recall(question, milliseconds)) is not None:
                return first
            os.replace(private, path)  # damaged, or naming candidates that no longer exist
        finally:
            Path(private).unlink(missing_ok=True)
    except OSError as problem:
        log.warning("the choice of kernels is not kept (%s)", problem)
    return choice


def _recall(question: str, candidates: Mapping[str, Any]) -> str | None:
    try:
        kept = json.loads(_file(question).read_text("utf-8"))
    except (OSError, ValueError):
        return None
    fits = isinstance(kept, dict) and kept.get("question") == question and kept.get("choice") in candidates
    return kept["choice"] if fits else None


def _file(question: str) -> Path:
    return cache_dir() / "choices" / f"{hashlib.sha256(question.encode()).hexdigest()[:16]}.json"
