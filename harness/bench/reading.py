"""The work of a separate process that measures reading a store. Imports nothing heavy before its clock starts."""

import importlib
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from lrlc.harness.bench.resident import peak_resident_bytes, resident_bytes

LIBRARIES = (
    "lrlc.results.export",
    "lrlc.results.report",
    "lrlc.results.figures.rank_vs_accuracy",
    "matplotlib.backends.backend_agg",
    "matplotlib.backends.backend_svg",
    "scipy.special",
)


@dataclass(frozen=True)
class Work:
    """One piece of work in a fresh process. Bytes are the peak memory of the process; None if unknown."""

    import_seconds: float
    imported_bytes: int | None
    seconds: float
    peak_bytes: int | None


def timed(part: str, root: str, out: str) -> Work:
    """Read the store at `root` as in the job `part`, which writes to the folder `out`."""
    started = time.perf_counter()
    for library in LIBRARIES:
        importlib.import_module(library)
    import_seconds, imported = time.perf_counter() - started, resident_bytes()
    started = time.perf_counter()
    JOBS[part](root, Path(out))
    return Work(import_seconds, imported, time.perf_counter() - started, peak_resident_bytes())


def _draw_rank(root: str, out: Path) -> None:
    from lrlc.results.figures import Selection, render
    from lrlc.results.store import Store

    out.mkdir(parents=True, exist_ok=True)
    drawn = render("rank_vs_accuracy", Selection.of(Store(root)), ["png"])
    (out / "rank_vs_accuracy.png").write_bytes(drawn["png"])


def _draw_all(root: str, out: Path) -> None:
    from lrlc.results.figures import draw_all
    from lrlc.results.store import Store

    draw_all(Store(root), out)


def _report(root: str, out: Path) -> None:
    from lrlc.results.report import write_report
    from lrlc.results.store import Store

    write_report(Store(root), out / "report.html")


def _export(root: str, out: Path) -> None:
    from lrlc.results.export import export_tables
    from lrlc.results.store import Store

    export_tables(Store(root), out, "parquet")


JOBS: Mapping[str, Callable[[str, Path], None]] = {
    "rank": _draw_rank,
    "figures": _draw_all,
    "report": _report,
    "export": _export,
}
