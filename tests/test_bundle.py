"""The contents of a bundle: its studies, its wheels, the parts it is cut into, and the code that runs it elsewhere."""

import base64
import hashlib
import importlib.metadata
import json
import os
import sys
import time
import zipfile
from pathlib import Path

import pytest

from lrlc.harness import provenance
from lrlc.harness.bundle import own_wheel, wheels
from lrlc.harness.bundle.build import write_bundle
from lrlc.harness.bundle.bundled_studies import copy_into, needed_extras, open_all
from lrlc.harness.bundle.there import facts as bundle
from lrlc.harness.bundle.there import install, parts, stages
from lrlc.harness.bundle.there.facts import BundledStudy, BundleError, Facts
from lrlc.harness.bundle.wheels import Target
from lrlc.harness.cli.bundle import _bytes
from lrlc.harness.errors import UserError
from lrlc.harness.plan.catalogue import open_study
from lrlc.studies import StudyError

ROOT = Path(__file__).resolve().parent.parent
STUDY = """
name: own
datasets: digits
train_images: 100
plugins: [mine/kinds.py]
grid: {kind: [lrlc, bundled_kind], rank: 2, placement: [3]}
profiles: {short: {train.epochs: 1}}
"""
KINDS = """
from lrlc.layers import LowRankLocallyConnected2d, layer_kind

@layer_kind("bundled_kind", ranked=True)
def bundled_kind(*shape, **geometry):
    return LowRankLocallyConnected2d(*shape, **geometry)
"""
FACTS = Facts(
    "0.1.0", "abc:clean", "linux-x86_64", "3.12", "2.10", False,
    (BundledStudy("own", "studies/own/own.yaml", "short", ("seeds=1",)),), {}, {},
)  # fmt: skip


@pytest.fixture
def study_file(tmp_path: Path) -> Path:
    folder = tmp_path / "mine_here"
    (folder / "mine").mkdir(parents=True)
    (folder / "mine/kinds.py").write_text(KINDS)
    (folder / "own.yaml").write_text(STUDY)
    return folder / "own.yaml"


def test_a_bundled_study_has_the_trials_of_the_one_here(study_file: Path, tmp_path: Path) -> None:
    (asked,) = open_all([str(study_file), "seeds=2"], "short")
    copied = copy_into(tmp_path / "bundle", asked)
    assert copied.words == ["studies/own/own.yaml", "seeds=2", "--profile", "short"]
    there = open_study(str(tmp_path / "bundle" / copied.file), profile="short", overrides=["seeds=2"])
    here = asked.opened
    assert [plugin.digest for plugin in there.plugins] == [plugin.digest for plugin in here.plugins]
    configs = [opened.grid.trials() for opened in (here, there)]
    assert configs[0] == configs[1]
    assert len(configs[0]) == 4


def test_overrides_belong_to_the_study_before_them(tiny_study: Path, study_file: Path) -> None:
    words = [str(tiny_study), "seeds=1", "train.epochs=3", str(study_file), "seeds=4"]
    assert [each.overrides for each in open_all(words, None)] == [("seeds=1", "train.epochs=3"), ("seeds=4",)]


def test_a_bundle_includes_the_extras_of_its_studies(tiny_study: Path) -> None:
    plain, keeping = open_all([str(tiny_study)], None), open_all([str(tiny_study), "keep=[weights]"], None)
    assert (needed_extras(plain), needed_extras(keeping)) == ((), ("weights",))


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["seeds=1", "quickstart"], "an override must follow the study that it changes"),
        (["quickstart", "quickstart"], "would share one folder of results"),
        (
            ["search_rank_and_placement", "search.storage=sqlite:///x.db"],
            "bundle it with search.storage=null",
        ),
        (["quickstart", "title=x://me:hidden@host"], "the password would be in the bundle"),
    ],
)
def test_what_another_machine_cannot_run_is_refused(words: list[str], line: str) -> None:
    with pytest.raises((UserError, StudyError), match=line):
        open_all(words, None)


def test_a_plugin_beside_the_shipped_studies_is_refused() -> None:
    outside = ROOT / "outside.py"
    try:
        outside.write_text("")
        with pytest.raises((UserError, StudyError), match="lies outside"):
            open_all(["quickstart", "plugins=[../outside.py]"], None)
    finally:
        outside.unlink()


@pytest.mark.parametrize(
    ("target", "line"),
    [
        ({"platform": "linux-x86-64", "python": "3.12"}, "linux-x86_64"),
        ({"platform": "linux-x86_64", "python": "3.9"}, "from 3.11 on"),
        ({"platform": "linux-x86_64", "python": "three"}, "expected a version"),
    ],
)
def test_an_unknown_target_is_refused(target: dict[str, str], line: str) -> None:
    with pytest.raises(UserError, match=line):
        Target(**target)


@pytest.mark.parametrize("size", ["60", "0.5MB", "lots", "60 Mb/s"])
def test_an_invalid_size_is_refused(size: str) -> None:
    with pytest.raises(UserError, match="expected a size"):
        _bytes(size)


def test_sizes_are_parsed() -> None:
    assert (_bytes("60MB"), _bytes("1.5gb")) == (60_000_000, 1_500_000_000)


def test_an_existing_folder_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "kept").write_text("mine")
    with pytest.raises(UserError, match="already exists"):
        write_bundle(tmp_path, [], Target("linux-x86_64", "3.12"), None, None)
    assert [path.name for path in tmp_path.iterdir()] == ["kept"]


def test_versions_come_from_the_constraints() -> None:
    known = wheels.known_versions()
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    assert {f"{name}=={version}" for name, version in known.items() if name != "pip"} == {
        line for line in lines if "==" in line
    }


def test_an_installed_distribution_is_repacked(tmp_path: Path) -> None:
    site, out = tmp_path / "site", tmp_path / "out"
    info = site / "lrlc_bench-0.1.0.dist-info"
    info.mkdir(parents=True)
    (site / "lrlc").mkdir()
    out.mkdir()
    (site / "lrlc/__init__.py").write_text("OWN = 1\n")
    (info / "METADATA").write_text("Name: lrlc-bench\nVersion: 0.1.0\nRequires-Dist: torch>=2.10\n")
    names = ["lrlc/__init__.py", "lrlc_bench-0.1.0.dist-info/METADATA"]
    (info / "RECORD").write_text("\n".join([*(f"{name},," for name in names), "../../../bin/lrlc,,", ""]))
    (installed,) = importlib.metadata.distributions(path=[str(site)])
    wheel = own_wheel._packed(installed, out)
    with zipfile.ZipFile(wheel) as archive:
        held = {name: archive.read(name) for name in archive.namelist()}
    record = held.pop("lrlc_bench-0.1.0.dist-info/RECORD").decode()
    assert sorted(held) == names
    digest = base64.urlsafe_b64encode(hashlib.sha256(b"OWN = 1\n").digest()).rstrip(b"=").decode()
    assert f"lrlc/__init__.py,sha256={digest},8\n" in record
    assert wheels.oldest_torch(wheel) == "2.10"


@pytest.fixture
def cut_bundle(tmp_path: Path) -> tuple[Path, dict[str, str], dict[str, str]]:
    """A folder whose files are cut into parts of 10,000 bytes, with the checksums of its files and parts."""
    for name, content in (
        ("wheels/a.whl", os.urandom(25_000)),
        ("data/deep/b.npy", b""),
        ("studies/c", b"c"),
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(content)
    files = parts.checksums(tmp_path, ("wheels", "data", "studies"))
    pieces = parts.cut(tmp_path, ("wheels", "data", "studies"), 10_000)
    for name in files:
        (tmp_path / name).unlink()
    return tmp_path, files, {name: parts.checksum(tmp_path / name) for name in pieces}


def test_parts_are_within_the_size_and_restore_the_files(
    cut_bundle: tuple[Path, dict[str, str], dict[str, str]],
) -> None:
    folder, files, pieces = cut_bundle
    assert len(pieces) > 3
    assert max((folder / name).stat().st_size for name in pieces) == 10_000
    parts.restore(folder, files, pieces)
    assert parts.checksums(folder, ("wheels", "data", "studies")) == files
    for name in pieces:
        (folder / name).unlink()
    parts.restore(folder, files, pieces)  # parts are needed once


def test_damaged_and_missing_parts_are_named(
    cut_bundle: tuple[Path, dict[str, str], dict[str, str]],
) -> None:
    folder, files, pieces = cut_bundle
    first, second, *_ = pieces
    (folder / first).unlink()
    (folder / second).write_bytes(b"x")
    with pytest.raises(BundleError) as refused:
        parts.restore(folder, files, pieces)
    assert f"{first} is missing, {second} is damaged; copy these parts here again" in str(refused.value)
    assert not (folder / "wheels/a.whl").exists()


def test_the_facts_come_back_as_written_and_damage_is_one_line(tmp_path: Path) -> None:
    FACTS.write(tmp_path)
    assert bundle.read(tmp_path) == FACTS
    path = tmp_path / bundle.FILE
    path.write_text(json.dumps({**json.loads(path.read_text()), "format": 9}))
    with pytest.raises(BundleError, match="has format 9, but this code reads 1"):
        bundle.read(tmp_path)
    path.write_text(path.read_text()[:50])
    with pytest.raises(BundleError, match=r"is damaged; copy it here again"):
        bundle.read(tmp_path)
    path.unlink()
    with pytest.raises(BundleError, match="cannot be read"):
        bundle.read(tmp_path)


def test_another_python_is_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(install.platform, "system", lambda: "Linux")
    monkeypatch.setattr(install.platform, "machine", lambda: "x86_64")
    monkeypatch.setattr(sys, "version_info", type("version", (), {"major": 3, "minor": 99})())
    with pytest.raises(BundleError, match=r"is Python 3.99, the bundle is for 3.12"):
        install.check_machine(FACTS)
    monkeypatch.setattr(install.platform, "machine", lambda: "riscv64")
    with pytest.raises(BundleError, match="this is Linux riscv64, the bundle is for linux-x86_64"):
        install.check_machine(FACTS)


def test_torch_comes_from_the_bundle_if_included() -> None:
    assert install.chosen_torch(FACTS, None) == "system"
    with pytest.raises(BundleError, match="does not include torch"):
        install.chosen_torch(FACTS, "bundled")


def test_commands_end_in_time_and_their_rows_name_the_bundles_commit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    on = stages.machine(tmp_path, Path(sys.executable), FACTS)
    for cache in ("LRLC_CACHE", "TRITON_CACHE_DIR", "TORCHINDUCTOR_CACHE_DIR", "CUDA_CACHE_PATH"):
        assert Path(on.variables[cache]).is_relative_to(tmp_path / "cache")
    assert on.run(["-c", "import time; time.sleep(600)"], stages.Limit(time.monotonic())) is None
    assert on.run(["-c", "import sys; sys.exit(7)"], stages.Limit.of(None)) == 7
    monkeypatch.setenv("LRLC_GIT", on.variables["LRLC_GIT"])
    provenance.code.cache_clear()
    try:
        assert provenance.code() == provenance.Code("abc", False)
    finally:
        provenance.code.cache_clear()


def test_a_measurement_is_kept_and_not_repeated(tmp_path: Path) -> None:
    on, for_ever = stages.machine(tmp_path, Path(sys.executable), FACTS), stages.Limit.of(None)
    assert stages._once(on, "first", ["-c", "print(41 + 1)"], for_ever) == 0
    assert stages._once(on, "first", ["-c", "raise SystemExit(5)"], for_ever) == 0
    assert stages._once(on, "second", ["-c", "raise SystemExit(5)"], for_ever) == 5
    kept = sorted(path.name for path in (tmp_path / "home/bench").iterdir())
    assert kept == ["first.txt", "second.log"]
    assert (tmp_path / "home/bench/first.txt").read_text() == "42\n"


def test_the_fastest_measured_number_of_trials_shares_a_gpu(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    on = stages.machine(tmp_path, Path(sys.executable), FACTS)
    monkeypatch.setattr(stages.os, "cpu_count", lambda: 16)
    monkeypatch.setattr(stages.Machine, "gpus", lambda self: 1)
    assert (stages.slots(on, None), stages.slots(on, 3)) == (15, 3)
    rates = {1: 10.0, 4: 39.5, 8: 40.0}
    told = {"results": [{"processes": n, "images_per_second": rate} for n, rate in rates.items()]}
    (tmp_path / "home/bench").mkdir(parents=True)
    (tmp_path / "home/bench/together.txt").write_text(f"a warning\n{json.dumps(told, indent=2)}\n")
    assert stages.slots(on, None) == 4
    (tmp_path / "home/bench/together.txt").write_text("{")
    assert stages.slots(on, None) == 15
