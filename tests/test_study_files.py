"""Help for writing study files: `lrlc init`, the JSON schema for editors, shell completion."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lrlc import __version__
from lrlc.harness.cli.installation import list_names
from lrlc.harness.plan.catalogue import catalogue, open_study
from lrlc.results.store import Store
from lrlc.studies import StudyError, checked_grid, read_study, recorded_study, shipped_studies
from lrlc.studies.json_schema import json_schema

Lrlc = Callable[..., subprocess.CompletedProcess[str]]

SHORT_FORMS: list[dict[str, Any]] = [
    {"datasets": "digits", "seeds": 3, "grid": {"kind": "conv"}},
    {"datasets": ["digits", {"name": "mnist", "translate": 8}], "seeds": [1, 5], "grid": [{"kind": ["conv"]}]},
    {"datasets": "a/folder", "size": 16, "grid": {"kind": "lrlc", "rank": 2, "placement": 3}},
    {"datasets": "digits", "size": [8, 12], "grid": {"kind": "lrlc", "rank": [2], "placement": [[1], [3], "all"]}},
    {"datasets": "digits", "grid": {"kind": "conv", "train.epochs": [1, 2], "dataset.size": [8, 16]}},
    {
        "datasets": "digits",
        "grid": {"kind": "conv"},
        "tune": {"grid": {"train": {"learning_rate": [0.1, 0.2]}}, "seeds": 2, "epochs": "half"},
        "length_check": {"epochs": 4, "seeds": 1},
        "measure": {"shifts": 1},
        "regime": "any",
    },
    {
        "datasets": "digits",
        "grid": {"kind": ["conv", "lrlc"], "rank": 2},
        "claims": {"name": "C", "test": "difference", "ours": {"kind": "lrlc", "rank": 2}, "theirs": "conv"},
    },
    {"search": {"trials": 3, "dataset": "digits", "seeds": 2, "space": {"kind": "conv", "placement": "subsets"}}},
    {
        "datasets": "digits",
        "grid": {"kind": "conv", "train.augment": ["none", ["flip", "crop"], "flip+crop"], "train.ema": [None, 0.9]},
        "train": {"augment": ["flip"], "optimizer": "adamw", "gradient_clipping": None, "recipe": None},
    },
    {"datasets": "digits", "grid": {"kind": "conv"}, "train": {"augment": "flip+mixup", "weight_decay": 0.1}},
    {
        "search": {
            "trials": 3, "dataset": "digits",
            "space": {
                "kind": "lrlc", "rank": 2, "train": {"optimizer": ["sgd", "adamw"], "ema": [None, 0.9]},
                "layer": {"share": ["rows", "both"], "logits_lr": {"low": 0.5, "high": 2}},
            },
        }
    },
]  # fmt: skip

WRONG: list[dict[str, Any]] = [
    {"datasetz": "digits"},
    {"datasets": "digits", "grid": {"kind": "conv", "rankk": 2}},
    {"datasets": "digits", "grid": {"kind": "conv", "train.epoch": 2}},
    {"datasets": "digits", "grid": {"kind": "conv"}, "train": {"epochs": 0}},
    {"datasets": "digits", "grid": {"kind": "conv"}, "train": {"momentum": 1}},
    {"datasets": "digits", "grid": {"kind": "conv"}, "size": [8, 8, 3]},
    {"datasets": "digits", "grid": {"kind": "conv"}, "length_check": {"epochs": "most"}},
    {"datasets": "digits", "grid": {"kind": "conv"}, "claims": [{"name": "C", "ours": "conv", "theirs": "conv"}]},
    {"search": {"trials": 3, "dataset": "digits", "space": {"kind": "conv"}, "sampler": "tea"}},
    {"search": {"trials": 3, "dataset": "digits", "space": {"kind": "conv", "train": {"momentum": []}}}},
    {"search": {"trials": 3, "dataset": "digits", "space": {"kind": "conv", "train": {"momentum": {"low": 0}}}}},
    {"datasets": "digits", "grid": {"kind": "conv"}, "train": {"ema": 1}},
    {"datasets": "digits", "grid": {"kind": "conv"}, "train": {"label_smoothing": -0.1}},
]  # fmt: skip


def refused(study: dict[str, Any]) -> bool:
    try:
        checked_grid(study, catalogue())
    except StudyError:
        return True
    return False


@pytest.fixture(scope="module")
def valid() -> Callable[[object], bool]:
    """Whether a study's mapping is valid according to the JSON schema."""
    validator = pytest.importorskip("jsonschema").Draft202012Validator
    schema = json_schema(catalogue())
    validator.check_schema(schema)
    return lambda study: bool(validator(schema).is_valid(study))


def test_a_new_study_runs_unchanged(lrlc: Lrlc, tmp_path: Path) -> None:
    assert "lrlc run mine.yaml" in lrlc("init", "mine").stdout
    lrlc("run", "mine.yaml", "--serial", "seeds=1", "train.epochs=1")
    rows = Store(tmp_path / "runs/mine").trials()
    assert sorted(zip(rows["kind"], rows["rank"].fillna(0), strict=True)) == [
        ("conv", 0),
        ("lrlc", 2),
        ("lrlc", 4),
        ("wide_conv", 2),
        ("wide_conv", 4),
    ]
    assert set(rows["status"]) == {"finished"}
    assert "low rank helps" in lrlc("claims", "mine.yaml").stdout


def test_a_new_study_trains_as_many_networks_as_its_comment_says(lrlc: Lrlc, tmp_path: Path) -> None:
    lrlc("init", "007.yaml")  # a name that YAML would read as a number
    raw, path = read_study(str(tmp_path / "007.yaml"))
    assert raw["name"] == "007"
    assert "15 small networks" in path.read_text()
    assert len(checked_grid(raw, catalogue()).study.seeds) * 5 == 15


def test_init_refuses_in_one_line_what_it_would_overwrite_or_mix(lrlc: Lrlc, tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("name: mine\n")
    for name in ("mine", "quickstart", "a/b", "", ".hidden"):
        (line,) = lrlc("init", name, code=2).stderr.strip().splitlines()
        assert line.startswith("lrlc: ")
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("mine.yaml", "name: mine\n")]


def test_shipped_studies_fit_the_schema(valid: Callable[[object], bool], lrlc: Lrlc) -> None:
    assert {name: valid(read_study(name)[0]) for name in shipped_studies()} == dict.fromkeys(
        shipped_studies(), True
    )
    assert json.loads(lrlc("schema").stdout) == json_schema(catalogue())


@pytest.mark.parametrize("keys", SHORT_FORMS)
def test_short_forms_fit_the_schema(keys: dict[str, Any], valid: Callable[[object], bool]) -> None:
    assert not refused({"name": "t", **keys})
    assert valid({"name": "t", **keys})


@pytest.mark.parametrize("keys", WRONG)
def test_an_editor_marks_values_that_the_reader_refuses(
    keys: dict[str, Any], valid: Callable[[object], bool]
) -> None:
    assert refused({"name": "t", **keys})
    assert not valid({"name": "t", **keys})


def test_an_editor_marks_an_option_that_its_kind_does_not_take(valid: Callable[[object], bool]) -> None:
    def study(**options: object) -> dict[str, Any]:
        return {"name": "s", "datasets": "digits", "grid": {"kind": "lrlc", "rank": 2}, "layer": options}

    assert valid(study(logits_lr=2, share="rows", an_option_of_a_plugin="x"))
    assert not valid(study(logits_lr=0))
    assert not valid(study(spatial_bias="no"))
    block = {"kind": "lrlc", "rank": 2, "layer.logits_lr": [1, 0]}
    assert not valid({"name": "s", "datasets": "digits", "grid": block})


def test_the_version_is_printed(lrlc: Lrlc) -> None:
    assert lrlc("--version").stdout == f"lrlc {__version__}\n"


def test_a_shell_completes_commands(lrlc: Lrlc) -> None:
    completed = lrlc("", _LRLC_COMPLETE="complete_bash", COMP_WORDS="lrlc pl", COMP_CWORD="1")
    assert completed.stdout.split() == ["plan", "plot"]


def test_a_study_named_without_its_suffix_gets_a_hint_at_the_file(tmp_path: Path) -> None:
    (tmp_path / "week.yaml").write_text("name: week\n")
    with pytest.raises(StudyError, match=r"no shipped study; did you mean '.*week\.yaml'\?"):
        read_study(str(tmp_path / "week"))


@pytest.mark.parametrize("name", shipped_studies())
def test_a_study_as_run_reads_as_the_same_study(name: str) -> None:
    profiles = read_study(name)[0].get("profiles", {})
    ran = open_study(name, profile=next(iter(profiles), None), overrides=())
    read = open_study(ran.study.as_in_file(), profile=None, overrides=())
    assert read.study.model_copy(update={"profiles": ran.study.profiles}) == ran.study
    assert read.grid.trials() == ran.grid.trials()


def test_a_study_whose_data_sets_were_recorded_without_its_draw_still_draws() -> None:
    """As earlier versions did."""
    ran = open_study("trained_16px", profile=None, overrides=())
    described = ran.study.described()
    former = {**described, "datasets": [{**each, "draw": "first"} for each in described["datasets"]]}
    read = open_study(recorded_study(former).as_in_file(), profile=None, overrides=())
    assert read.grid.trials() == ran.grid.trials()


def test_list_names_what_training_may_use(capsys: pytest.CaptureFixture[str]) -> None:
    list_names(as_json=True)
    training = json.loads(capsys.readouterr().out)["training"]
    assert {"sgd", "adamw"} <= set(training["optimizer"])
    assert {"none", "flip"} <= set(training["augment"])
    assert training["recipe"][0] == "cross_entropy"
    list_names(as_json=False)
    assert "schedules (train.schedule)" in capsys.readouterr().out
