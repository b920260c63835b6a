"""Paths, homes, locales and secrets: independent of where the program is started, and without leaks."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from support.studies_samples import CATALOGUE

from lrlc.harness.cli.outcome import explained
from lrlc.harness.data import DataError
from lrlc.harness.data.cache import cache_dir as data_cache
from lrlc.harness.errors import UserError
from lrlc.harness.named_store import beside, named_store
from lrlc.harness.plugins import Plugin, install
from lrlc.harness.text import last_line, show
from lrlc.layers.cache import cache_dir
from lrlc.layers.registry import LAYER_KINDS
from lrlc.results.errors import StoreError
from lrlc.results.files import locate
from lrlc.results.store import Store
from lrlc.studies import StudyError, checked_grid
from lrlc.studies.lines import holds_secret, masked, one_line, printable, without_secrets_of
from lrlc.studies.paths import absolute

Lrlc = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    return tmp_path / "home"


def test_a_tilde_is_the_home_folder_and_a_relative_path_is_below_the_current_one(home: Path) -> None:
    assert absolute("~/runs") == home / "runs"
    assert absolute("runs") == home.parent / "runs"
    assert absolute("./~") == home.parent / "~"


def test_results_are_in_one_place_and_shown_as_the_user_wrote_it(home: Path) -> None:
    place = locate("~/runs") / "s"
    assert (place.local, str(place)) == (home / "runs/s", "~/runs/s")
    assert str(locate("runs") / "s" / "trials") == "runs/s/trials"
    assert locate("file:///a%20b/c").local == Path("/a b/c")
    assert beside(Store(place)) == Path("~/runs/s")
    assert locate(beside(Store(place))).local == home / "runs/s"


@pytest.mark.parametrize(
    ("written", "line"),
    [
        ("a\0b", r"a\x00b: a path cannot contain a null character"),
        ("n" * 256, "too long for a path: at most 255 bytes a name, 4095 in all"),
        ("ab/" * 1500, "too long for a path: at most 255 bytes a name, 4095 in all"),
        ("r\udcf6", r"r\udcf6: the path is not UTF-8; rename it"),
        ("~no.one/x", "~no.one/x: there is no user no.one; write ./~no.one for a name that begins with ~"),
    ],
)
def test_an_impossible_path_is_refused_in_one_line(written: str, line: str) -> None:
    for reader in (absolute, locate):
        with pytest.raises(StudyError) as caught:
            reader(written)
        assert str(caught.value).endswith(line)
        assert len(str(caught.value)) < 700


@pytest.mark.parametrize(
    "written", ["s3:bucket/x", "S3:/x", "file:runs", "file://runs/x", "FILE://[x", "s3:"], ids=str
)
def test_half_a_uri_is_no_folder_of_that_name(written: str) -> None:
    with pytest.raises(StoreError, match="expected a folder, file:///folder or s3://bucket/prefix"):
        locate(written)


@pytest.mark.parametrize(
    ("written", "path"),
    [("file:///r%20s#1", "/r s#1"), ("FILE://localhost/r", "/r"), ("./s3:x", "s3:x"), ("a:b", "a:b")],
)
def test_a_file_uri_is_the_path_it_names(written: str, path: str) -> None:
    assert locate(written).local == Path(path).absolute()


def test_a_null_character_hidden_in_a_uri_is_refused() -> None:
    with pytest.raises(StudyError, match="a path cannot contain a null character"):
        locate("file:///%00")


@pytest.mark.parametrize(
    ("variables", "folder"),
    [
        ({"LRLC_CACHE": "~/c"}, "/home/me/c"),
        ({"LRLC_CACHE": "/c", "XDG_CACHE_HOME": "/x"}, "/c"),
        ({"XDG_CACHE_HOME": "/x"}, "/x/lrlc-bench"),
        ({}, "/home/me/.cache/lrlc-bench"),
    ],
)
def test_everything_cached_on_this_machine_is_in_one_folder(
    variables: dict[str, str], folder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {"LRLC_CACHE": "", "XDG_CACHE_HOME": "", "HOME": "/home/me", **variables}.items():
        monkeypatch.setenv(name, value)
    assert (cache_dir(), data_cache()) == (Path(folder), Path(folder))


def test_a_user_without_a_home_is_told_of_lrlc_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LRLC_CACHE", "XDG_CACHE_HOME", "HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(os.path, "expanduser", lambda path: path)  # as for a user without a name
    with pytest.raises(DataError, match="set LRLC_CACHE"):
        data_cache()
    with pytest.raises(StudyError, match="give the full path"):
        absolute("~/runs")


@pytest.mark.parametrize("name", ["../outside", "a/b", "..", "a\n", ""])
def test_a_name_with_a_path_in_it_is_not_a_study_of_the_results_folder(name: str, tmp_path: Path) -> None:
    (tmp_path / "outside" / "trials").mkdir(parents=True)
    (tmp_path / "runs").mkdir()
    with pytest.raises(StudyError):
        named_store(name, str(tmp_path / "runs"))
    study = tmp_path / "s.yaml"
    study.write_text(f"name: {json.dumps(name)}\n")
    with pytest.raises(StudyError, match="name: expected letters"):
        named_store(str(study), str(tmp_path / "runs"))


@pytest.mark.parametrize(
    ("text", "hidden"),
    [
        ("postgresql://me:hunter2@db:5432/x", "postgresql://me:***@db:5432/x"),
        ("mysql://me:p@ss/w@db/x and more", "mysql://me:***@db/x and more"),
        ("s3://AKIA:abc/def@bucket/p", "s3://AKIA:***@bucket/p"),
        ("sqlite:///o.db?password=hunter2&x=1", "sqlite:///o.db?password=***&x=1"),
        ("s3://b/p?region=eu&secret_key=abc", "s3://b/p?region=eu&secret_key=***"),
        ("search.storage=redis://:hunter2@h", "search.storage=redis://:***@h"),
        ("host=h password=hunter2 user=me", "host=h password=*** user=me"),
        ("https://x/cb#access_token=hunter2", "https://x/cb#access_token=***"),
        ("git+https://ghp_hunter2:x-oauth-basic@github.com/a", "git+https://***@github.com/a"),
        ("https://0123456789abcdef0123@api.wandb.ai/x", "https://***@api.wandb.ai/x"),
        ("Authorization: Bearer hunter2", "Authorization: Bearer ***"),
        ('{"api_key": "hunter2", "b": 1}', '{"api_key": "***", "b": 1}'),
        ("AWS_SECRET_ACCESS_KEY='hunter2' lrlc", "AWS_SECRET_ACCESS_KEY='***' lrlc"),
        ("HF_TOKEN=hunter2", "HF_TOKEN=***"),
        ("password: hunter2", "password: ***"),
        ("psql --password hunter2 -h h", "psql --password *** -h h"),
    ],
)
def test_a_password_is_masked_everywhere(text: str, hidden: str) -> None:
    assert masked(text) == hidden
    assert holds_secret(text)


@pytest.mark.parametrize(
    "text",
    [
        "http://h:80/p",
        "train.epochs=2",
        "s3://bucket/p?region=eu",
        "mail me@there",
        "a: b@c",
        "key=3",
        "token: 5",
        "unknown key: x",
        "KEY=VALUE",
        "https://me@h/p",
    ],
)
def test_other_text_is_not_masked(text: str) -> None:
    assert masked(text) == text
    assert not holds_secret(text)


def test_a_database_error_that_repeats_the_password_is_masked() -> None:
    said = "login of me with 'hun ter2' and hun%20ter2 failed"
    assert (
        without_secrets_of("postgresql://me:hun%20ter2@h/x", said) == "login of me with '***' and *** failed"
    )


def test_the_password_of_a_storage_is_not_recorded_with_the_study(lrlc: Lrlc, tmp_path: Path) -> None:
    (tmp_path / "s.yaml").write_text(
        "name: s\ndatasets: digits\ntrain_images: 100\nevaluation_images: 50\ntrain: {epochs: 1, batch_size: 50}\n"
        "regime: any\nsearch: {dataset: digits, trials: 1, sampler: random, space: {kind: conv}}\n"
    )
    storage = f"search.storage=sqlite:///{tmp_path}/o.db?password=hunter2"
    done = lrlc("run", "s.yaml", "--serial", storage)
    report = lrlc("report", "s")
    kept = [path for path in (tmp_path / "runs").rglob("*") if path.is_file()]
    assert {path.name for path in kept} >= {"study.json", "report.html"}
    assert not [path for path in kept if b"hunter2" in path.read_bytes()]
    assert "hunter2" not in done.stdout + done.stderr + report.stdout + report.stderr
    kept_study = json.loads((tmp_path / "runs/s/study.json").read_text("utf-8"))
    assert "password=***" in json.dumps(kept_study)


def test_a_line_has_no_terminal_control_characters(capsys: pytest.CaptureFixture[str]) -> None:
    assert printable("a\x1b[31mb\x9bc\td\n") == "a\\x1b[31mb\\x9bc\td\n"
    assert one_line("a\r\n  b\u202ec") == "a b\\u202ec"
    show("x\x1b]0;title\x07")
    assert capsys.readouterr().out == "x\\x1b]0;title\\x07\n"
    assert last_line("") == ""


def test_an_error_is_one_line_even_if_a_librarys_is_longer() -> None:
    assert str(UserError("first\nsecond\n  third")) == "first second third"
    long = str(UserError("begin " + "x" * 5_000 + " end"))
    assert (long[:6], long[-4:], len(long) < 700) == ("begin ", " end", True)


PICKY = """
from torch import nn
from lrlc.layers import layer_kind


@layer_kind("picky{number}")
class Picky{number}(nn.Module):
    def __init__(self, in_channels, out_channels, kernel_size, *, input_size, stride=1, padding=0):
        super().__init__()
        {body}
"""


@pytest.mark.parametrize(
    ("number", "body", "line"),
    [
        (1, "raise ValueError('first\\nsecond')", "line 10: ValueError: first"),
        (2, "raise ValueError", "line 10: ValueError: ValueError"),
        (3, "self.x = undefined", "line 10: NameError: name 'undefined' is not defined"),
    ],
)
def test_a_plugin_that_fails_when_it_is_used_is_named_with_its_line(
    number: int, body: str, line: str, tmp_path: Path
) -> None:
    text = PICKY.format(number=number, body=body)
    install([Plugin(str(tmp_path / f"picky{number}.py"), text)])
    with pytest.raises((ValueError, NameError)) as caught:
        LAYER_KINDS[f"picky{number}"].build(1, 1, 3, input_size=(8, 8))
    assert explained(caught.value) == f"plugins: {tmp_path}/picky{number}.py, {line}"
    with pytest.raises(TypeError) as called:
        LAYER_KINDS[f"picky{number}"].build(1, 1, 3, 4, 5)
    assert str(explained(called.value)).startswith(f"plugins: {tmp_path}/picky{number}.py: TypeError: Picky")


def test_a_plugin_with_the_old_package_names_keeps_working(tmp_path: Path) -> None:
    text = PICKY.format(number=10, body="pass").replace("from lrlc.layers import", "from layers import")
    text += "\nfrom harness.data import dataset\nimport layers.errors\n"
    install([Plugin(str(tmp_path / "picky10.py"), text)])
    assert LAYER_KINDS["picky10"].build(1, 1, 3, input_size=(8, 8)).__class__.__name__ == "Picky10"
    assert sys.modules["layers"] is sys.modules["lrlc.layers"]
    assert sys.modules["layers.errors"].__spec__ is sys.modules["lrlc.layers.errors"].__spec__
    assert sys.modules["lrlc.layers.errors"].__name__ == "lrlc.layers.errors"
    with pytest.raises(UserError, match=r"ModuleNotFoundError: No module named 'lrlc\.layers\.nothing'"):
        install([Plugin(str(tmp_path / "nothing.py"), "import layers.nothing")])


def test_a_users_own_module_takes_precedence_over_an_old_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "results.py").write_text("MINE = 1")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "results", raising=False)
    install([Plugin(str(tmp_path / "own.py"), "from results import MINE")])
    assert sys.modules["results"].__file__ == str(tmp_path / "results.py")
    for number, text in enumerate(
        ("from results import store", "import results.store", "import results; results.x")
    ):
        with pytest.raises(UserError) as caught:
            install([Plugin(str(tmp_path / f"old{number}.py"), text)])
        ours = Path(sys.modules["lrlc.results"].__file__ or "").resolve()
        both = f"; results is {tmp_path}/results.py here, and lrlc's, {ours}, is imported as lrlc.results"
        assert str(caught.value).endswith(both)
    monkeypatch.delitem(sys.modules, "results")


def test_our_own_error_is_not_blamed_on_a_plugin() -> None:
    assert explained(ValueError("ours")) is None
    assert explained(TypeError("f() takes no arguments")) is None


def test_a_plugin_that_fails_in_a_plan_is_one_line(lrlc: Lrlc, tmp_path: Path) -> None:
    (tmp_path / "p.py").write_text(PICKY.format(number=9, body="raise RuntimeError('one\\ntwo')"))
    (tmp_path / "s.yaml").write_text(
        "name: s\nplugins: [p.py]\ndatasets: digits\ntrain_images: 50\ngrid: {kind: picky9}\ntrain: {batch_size: 10}\n"
    )
    done = lrlc("plan", "s.yaml", "--probe", code=2)
    assert done.stderr == f"lrlc: plugins: {tmp_path}/p.py, line 10: RuntimeError: one\n"


def test_another_locale_changes_neither_files_nor_names(environment: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "u.yaml").write_text(
        "name: u\ntitle: Größe ≥ 2\ndatasets: dígits\ngrid: {kind: conv}\n", "utf-8"
    )
    ascii_only = {"PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "LC_ALL": "C"}
    done = subprocess.run(
        [sys.executable, "-m", "lrlc", "plan", "u.yaml", "--results", "rö"],
        cwd=tmp_path,
        env={**environment, **ascii_only},
        capture_output=True,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr.startswith(b"lrlc: u.yaml: datasets[0]: unknown data set 'd?gits'; ")


def test_a_study_described_for_its_results_keeps_no_password() -> None:
    raw = {"name": "s", "search": {"trials": 1, "dataset": "digits", "space": {"kind": "conv"}}}
    study = checked_grid(raw, CATALOGUE, overrides=["search.storage=postgresql://me:hunter2@h/x"]).study
    assert study.search is not None
    assert study.search.storage == "postgresql://me:hunter2@h/x"
    assert study.described()["search"]["storage"] == "postgresql://me:***@h/x"
