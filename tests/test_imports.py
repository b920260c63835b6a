"""The direction of imports: layers and studies know nothing of ours, results know studies, harness knows all three."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
OURS = {"harness", "layers", "studies", "results"}
FORBIDDEN = {
    "layers": OURS - {"layers"} | {"ray", "optuna", "pandas", "pyarrow", "pydantic", "numpy"},
    "studies": OURS - {"studies"} | {"ray", "optuna", "torch"},
    "results": OURS - {"results", "studies"} | {"ray", "optuna", "torch"},
}
RAY_ROOMS = {
    "harness/executors/ray_pool.py",
    "harness/runtime_env.py",
    "harness/submit.py",
    "harness/jobs.py",
    "harness/bench/tune.py",
}


def imported(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            found.add(node.module.split(".")[0])
    return found


@pytest.mark.parametrize("package", sorted(FORBIDDEN))
def test_a_package_imports_only_what_lies_below_it(package: str) -> None:
    files = sorted((ROOT / package).rglob("*.py"))
    assert files
    wrong = {str(path.relative_to(ROOT)): imported(path) & FORBIDDEN[package] for path in files}
    assert {path: names for path, names in wrong.items() if names} == {}


def test_only_the_ray_executor_and_submit_import_ray() -> None:
    rooms = {
        str(path.relative_to(ROOT)) for path in (ROOT / "harness").rglob("*.py") if "ray" in imported(path)
    }
    assert rooms == RAY_ROOMS


@pytest.mark.parametrize(
    ("modules", "heavy"),
    [
        ("layers", {"ray", "optuna", "pandas", "pyarrow"}),
        ("studies", {"ray", "optuna", "torch"}),
        ("results.store, results.figures, results.report", {"ray", "optuna", "torch"}),
        ("harness.cli", {"ray", "optuna", "torch"}),
    ],
)
def test_importing_loads_nothing_heavy(modules: str, heavy: set[str]) -> None:
    code = f"import sys, {modules}; print(*(set(sys.modules) & {heavy!r}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.split() == []
