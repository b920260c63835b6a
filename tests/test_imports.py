"""The direction of imports: layers and studies know nothing of ours, results know studies, harness knows all three."""

import ast
import re
import subprocess
import sys
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
OURS = {"harness", "layers", "studies", "results"}
"""Our packages, which are imported as lrlc.harness and so on."""
FORBIDDEN = {
    "layers": OURS - {"layers"} | {"ray", "optuna", "pandas", "pyarrow", "pydantic", "numpy"},
    "studies": OURS - {"studies"} | {"ray", "optuna", "torch"},
    "results": OURS - {"results", "studies"} | {"ray", "optuna", "torch"},
}
RAY_ROOMS = {
    "harness/run/ray_cluster.py",
    "harness/run/ray_pool.py",
    "harness/run/ray_worker.py",
    "harness/cluster/runtime_env.py",
    "harness/cluster/shipped.py",
    "harness/cluster/submit.py",
    "harness/cluster/jobs.py",
    "harness/bench/tune.py",
}


MODULES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
    for package in sorted(OURS)
    for path in sorted((ROOT / package).rglob("*.py"))
}
"""Our files by module name, without `lrlc.`."""


@cache
def named(path: Path) -> set[str]:
    """Everything that a file imports anywhere, including for types only: 'torch', 'lrlc.layers.errors'."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            module = _absolute(path, node)
            full = {f"{module}.{alias.name}" for alias in node.names}
            names |= {name if name.removeprefix("lrlc.") in MODULES else module for name in full}
    return names


def _absolute(path: Path, node: ast.ImportFrom) -> str:
    """Resolve `from .a import b` relative to the file's folder."""
    if not node.level:
        return str(node.module)
    folder = path.relative_to(ROOT).parts[: -node.level]
    return ".".join(["lrlc", *folder, *([node.module] if node.module else [])])


def imported(path: Path) -> set[str]:
    """Names of the packages that a file imports: ours without `lrlc.`, others by their first name."""
    return {name.removeprefix("lrlc.").split(".")[0] for name in named(path)}


def imported_modules(path: Path) -> set[str]:
    """Our files that a file imports; a package's `__init__` if the imported name is not a file."""
    return {name.removeprefix("lrlc.") for name in named(path) if name.startswith("lrlc.")} & MODULES.keys()


def room(module: str) -> str:
    """'harness/run/'. The kernels count as part of the layers, whose geometry they use."""
    folder = f"{MODULES[module].parent.relative_to(ROOT)}/"
    return "layers/" if folder == "layers/kernels/" else folder


def test_our_packages_are_imported_by_their_one_name() -> None:
    """`import layers` would be a second copy of lrlc.layers, or a user's own layers.py."""
    bare = re.compile(r"^\s*(?:import|from) (?:harness|layers|results|studies)\b.*", re.M)
    files = [path for package in (*OURS, "tests") for path in (ROOT / package).rglob("*.py")]
    assert [(str(path), found) for path in files if (found := bare.findall(path.read_text()))] == []


@pytest.mark.parametrize("package", sorted(FORBIDDEN))
def test_a_package_imports_only_packages_below_it(package: str) -> None:
    files = sorted((ROOT / package).rglob("*.py"))
    assert files
    wrong = {str(path.relative_to(ROOT)): imported(path) & FORBIDDEN[package] for path in files}
    assert {path: names for path, names in wrong.items() if names} == {}


def test_no_file_imports_itself_through_others() -> None:
    graph = {name: imported_modules(path) - {name} for name, path in MODULES.items()}
    assert sum(map(len, graph.values())) > 1000
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(" <- ".join(error.args[1]))


def test_a_room_imports_only_rooms_above_it_in_the_docs() -> None:
    table = (ROOT / "docs/architecture.md").read_text().partition("## The rooms")[2].partition("## ")[0]
    order = re.findall(r"^\| `((?:harness|layers|results|studies)/[a-z_/]*)` ", table, re.M)
    upward = [
        f"{name} imports {other}"
        for name, path in MODULES.items()
        for other in sorted(imported_modules(path))
        if order.index(room(other)) > order.index(room(name))
    ]
    assert upward == []


def test_a_session_gets_its_store_and_watcher() -> None:
    taken = imported_modules(MODULES["harness.run.session"])
    assert "results.store" in taken
    assert not taken & {"harness.named_store", "harness.run.display"}


def test_only_the_ray_executor_and_submit_import_ray() -> None:
    rooms = {
        str(path.relative_to(ROOT)) for path in (ROOT / "harness").rglob("*.py") if "ray" in imported(path)
    }
    assert rooms == RAY_ROOMS


@pytest.mark.parametrize(
    ("modules", "heavy"),
    [
        ("lrlc.layers", {"ray", "optuna", "pandas", "pyarrow"}),
        ("lrlc.studies", {"ray", "optuna", "torch"}),
        ("lrlc.results.store, lrlc.results.figures, lrlc.results.report", {"ray", "optuna", "torch"}),
        ("lrlc.harness.cli.app", {"ray", "optuna", "torch"}),
    ],
)
def test_importing_loads_nothing_heavy(modules: str, heavy: set[str]) -> None:
    code = f"import sys, {modules}; print(*(set(sys.modules) & {heavy!r}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.split() == []


def test_bare_names_never_make_a_second_copy() -> None:
    same = (
        "assert layers is lrlc.layers and layers.lrlc is lrlc.layers.lrlc and ops is lrlc.layers.kernels.ops"
    )
    code = f"import layers, layers.lrlc, lrlc.layers; from layers.kernels import ops; {same}; import results"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert "ImportError: import lrlc.results, not results" in done.stderr
