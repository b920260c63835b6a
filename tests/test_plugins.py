"""Plugin files and installed packages add their own parts of training, which belong to the trials' identity."""

import json
import re
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import optuna
import pytest
import torch
import typer
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from support.registries import restored
from support.sessions import planned_run, run_serially

from lrlc.harness import plugins
from lrlc.harness.api.one_trial import single_trial
from lrlc.harness.api.trial import find_trial, verified
from lrlc.harness.cli.installation import list_names
from lrlc.harness.cli.results import plot
from lrlc.harness.cli.show import show
from lrlc.harness.data import DataError, dataset, load_dataset
from lrlc.harness.errors import UserError
from lrlc.harness.named_store import load_plugins
from lrlc.harness.training import augmentation
from lrlc.harness.training.train import train
from lrlc.harness.trial import Checkpoint, Trial
from lrlc.layers import LayerError, layer_kind
from lrlc.results.claims import Verdict, judge
from lrlc.results.errors import StoreError
from lrlc.results.figures.own import OWN, figure
from lrlc.results.report import write_report
from lrlc.results.schema import TrialResult
from lrlc.results.statistics.pareto import as_records, best
from lrlc.results.store import Store
from lrlc.studies import StudyError

DOC = Path(__file__).resolve().parent.parent / "docs/extending.md"
CPU = torch.device("cpu")
PLAIN = "epochs: 2, batch_size: 50, learning_rate: 0.01"
NAMED = "optimizer: rmsprop, schedule: linear, augment: [brightness, flip], recipe: focal"


@pytest.fixture(autouse=True)
def _forgotten() -> Iterator[None]:
    with restored():
        yield


@pytest.fixture
def study(tmp_path: Path) -> Path:
    """A study whose plugin file holds every example of docs/extending.md."""
    examples = re.findall(r"```python\n(.*?)```", DOC.read_text(), re.DOTALL)
    (tmp_path / "mine.py").write_text("\n\n".join(examples))
    return written(tmp_path / "mine.yaml", f"{PLAIN}, {NAMED}")


def written(path: Path, train: str, plugin: str = "[mine.py]") -> Path:
    path.write_text(
        f"name: mine\nplugins: {plugin}\ndatasets: stripes\nnetwork: one_layer\n"
        f"grid: {{kind: depthwise}}\ntrain: {{{train}}}\n"
    )
    return path


def only(study: Path, results: Path) -> Trial:
    (trial,) = planned_run(study, [], results).plan.trials
    return trial


def test_every_documented_example_works_in_one_study_and_resumes(study: Path, tmp_path: Path) -> None:
    run_serially(planned_run(study, [], tmp_path))
    (row,) = Store(tmp_path / "mine").trials().to_dict("records")
    assert row["status"] == "finished", row["error"]
    named = [row[name] for name in ("optimizer", "schedule", "augment", "recipe")]
    assert named == ["rmsprop", "linear", "brightness+flip", "focal"]
    trial = only(study, tmp_path / "none")
    dataset = load_dataset(trial.config.dataset, None)
    first = list(train(trial, dataset, CPU, checkpoint_seconds=0))
    (checkpoint,) = [record for record in first if isinstance(record, Checkpoint)]
    ended = [first[-1], list(train(trial, dataset, CPU, resume=checkpoint))[-1]]
    curves = [[replace(r, seconds=0) for r in each.curve] for each in ended if isinstance(each, TrialResult)]
    assert curves[0] == curves[1]
    assert row["test_loss"] == ended[0].test_loss == ended[1].test_loss


def test_an_edited_plugin_makes_only_its_own_trials_new(study: Path, tmp_path: Path) -> None:
    before = only(study, tmp_path)
    with restored():
        (tmp_path / "mine.py").write_text((tmp_path / "mine.py").read_text() + "\n# an edit\n")
        assert only(study, tmp_path).id != before.id
    shipped = "name: mine\nplugins: [mine.py]\ndatasets: digits\ngrid: {kind: conv}\n"
    study.write_text(shipped)
    used = only(study, tmp_path).id
    study.write_text(shipped.replace("plugins: [mine.py]\n", ""))
    assert only(study, tmp_path).id == used


FAT = """
from torch import nn
from lrlc.layers import layer_kind

@layer_kind("fat", ranked=True)
def fat(in_channels, out_channels, kernel_size, *, rank, input_size, stride=1, padding=0):
    first = nn.Conv2d(in_channels, WIDTH * rank * out_channels, kernel_size, stride, padding, bias=False)
    layer = nn.Sequential(first, nn.Conv2d(WIDTH * rank * out_channels, out_channels, 1, bias=False))
    layer.out_channels = out_channels
    return layer
"""


def test_an_edited_plugin_makes_the_controls_that_are_matched_to_its_kind_new(tmp_path: Path) -> None:
    study = tmp_path / "fat.yaml"
    study.write_text(
        "name: fat\nplugins: [fat.py]\ndatasets: digits\n"
        "grid: {kind: wide_conv, rank: 1, placement: 3, layer.matched_to: [fat, lrlc]}\n"
    )
    ids = []
    for width in (1, 4):
        (tmp_path / "fat.py").write_text(f"WIDTH = {width}\n{FAT}")
        with restored():
            trials = planned_run(study, [], tmp_path).plan.trials
        ids.append({dict(trial.config.options).get("matched_to"): trial.id for trial in trials})
    assert ids[0]["fat"] != ids[1]["fat"]
    assert ids[0][None] == ids[1][None], "that of LRLC"


def test_a_recipe_that_is_a_module_is_saved_in_checkpoints(study: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(
        (tmp_path / "mine.py").read_text()
        + """

class Centred(torch.nn.Module):
    def __init__(self, network):
        super().__init__()
        self.network = [network]
        self.register_buffer("centre", torch.zeros(2))

    def forward(self, batch):
        logits = self.network[0](batch.images)
        self.centre = 0.9 * self.centre + 0.1 * logits.detach().mean(0)
        return torch.nn.functional.cross_entropy(logits - self.centre, batch.targets), logits


@recipe("centred")
def centred(network, training):
    return Centred(network)
"""
    )
    trial = only(written(study, f"{PLAIN}, recipe: centred"), tmp_path)
    dataset = load_dataset(trial.config.dataset, None)
    whole = list(train(trial, dataset, CPU, checkpoint_seconds=0))
    (checkpoint,) = [record for record in whole if isinstance(record, Checkpoint)]
    resumed = list(train(trial, dataset, CPU, resume=checkpoint))
    assert resumed[0].resumed_epochs == 1
    assert resumed[-1].test_loss == whole[-1].test_loss


def test_a_metric_is_measured_reported_and_judged(
    study: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    study.write_text(
        f"name: mine\nplugins: [mine.py]\ndatasets: stripes\nnetwork: one_layer\ntrain: {{{PLAIN}}}\nseeds: 3\n"
        "grid: {kind: [conv, depthwise]}\nregime: any\nclaims:\n"
        "- {name: A, test: difference, ours: depthwise, theirs: conv, metric: calibration_error, margin: 0.5}\n"
        "- {name: B, test: cost, ours: depthwise, theirs: conv, metric: calibration_error, at_most: 1000}\n"
    )
    run_serially(planned_run(study, [], tmp_path))
    store = Store(tmp_path / "mine")
    values = store.metrics()
    assert list(values["name"].unique()) == ["calibration_error"]
    assert len(values) == len(store.trials()) == 6
    assert values["value"].between(0, 1).all()
    (difference,), (multiple,) = (judged.findings for judged in judge(store))
    by_kind = store.trials().merge(values, on="trial_id").groupby("kind")["value"].mean()
    assert difference.effect is not None
    assert difference.effect.mean == pytest.approx(by_kind["depthwise"] - by_kind["conv"])
    assert (difference.unit, difference.test_noise, difference.over_images) == (
        "calibration error",
        None,
        None,
    )
    assert multiple.verdict == Verdict.SUPPORTED
    page = write_report(store, tmp_path / "report.html", verdicts=judge(store)).read_text()
    assert "calibration error" in page
    monkeypatch.chdir(tmp_path)
    assert verified(find_trial(store.trials()["trial_id"][0], str(tmp_path)), None) == []
    assert {str(name) for name in store.planned_trials().columns}.isdisjoint({"calibration_error"})


def test_a_figure_is_listed_drawn_and_shown_in_the_report(
    study: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    study.write_text(
        f"name: mine\nplugins: [mine.py]\ndatasets: stripes\nnetwork: one_layer\ntrain: {{{PLAIN}}}\n"
        "grid: {kind: [conv, depthwise]}\nmeasure: {metrics: [calibration_error]}\n"
    )
    run_serially(planned_run(study, [], tmp_path))
    monkeypatch.chdir(tmp_path)
    for named in (str(study), "mine"):
        OWN.clear()
        del sys.modules[plugins.read_plugins(["mine.py"], tmp_path)[0].module]  # as in another process
        plot(named, results=str(tmp_path), names=True)
        assert "calibration" in capsys.readouterr().out.splitlines()
    plot(str(study), results=str(tmp_path), out=tmp_path / "drawn", formats=["png"], only=["calibration"])
    assert (tmp_path / "drawn/calibration.png").read_bytes().startswith(b"\x89PNG")
    page = write_report(Store(tmp_path / "mine"), tmp_path / "report.html").read_text()
    assert "Calibration error against test accuracy" in page


def test_a_search_follows_a_metric_and_is_rebuilt_from_its_rows(study: Path, tmp_path: Path) -> None:
    study.write_text(
        f"name: mine\nplugins: [mine.py]\ntrain: {{{PLAIN}}}\nsearch:\n  dataset: stripes\n  network: one_layer\n"
        "  trials: 3\n  space: {kind: conv, train: {optimizer: [sgd, adamw, rmsprop]}}\n  sampler: brute_force\n"
        "  objectives: [{metric: calibration_error, direction: minimize}]\n"
        "  constraints: [{metric: calibration_error, max: 0.9}]\n"
    )
    run_serially(session := planned_run(study, [], tmp_path))
    store = Store(tmp_path / "mine")
    assert session.search is not None
    rows = store.with_metrics(store.planned_trials(), session.search.metrics)
    (record,) = as_records(best(rows, session.search), session.search)
    assert record["calibration_error"] == pytest.approx(store.metrics()["value"].min())
    journal = tmp_path / "mine" / "optuna.journal"
    journal.unlink()
    run_serially(planned_run(study, [], tmp_path))
    assert len(store.trials()) == 3
    storage = JournalStorage(JournalFileBackend(str(journal)))
    (made,) = optuna.get_all_study_summaries(storage)
    assert made.best_trial is not None
    assert made.best_trial.value == pytest.approx(record["calibration_error"])


@pytest.mark.parametrize(
    ("words", "line"),
    [
        ("measure={metrics: [calibration]}", "measure.metrics[0]: unknown value 'calibration'; did you mean"),
        (
            "search={dataset: stripes, trials: 1, space: {kind: conv}, "
            "objectives: [{metric: tested, direction: maximize}]}",
            "search.objectives[0].metric: tested is measured on the test split; a search chooses on validation only",
        ),
        (
            "claims=[{name: A, test: cost, ours: depthwise, theirs: conv, metric: minutes, at_most: 1}]",
            "claims[0].metric: unknown value 'minutes'",
        ),
    ],
)
def test_a_metric_that_cannot_serve_is_refused_in_one_line(
    study: Path, tmp_path: Path, words: str, line: str
) -> None:
    own = "\n\n@metric('tested', split='test')\ndef tested(evaluated):\n    return 0.5\n"
    (tmp_path / "mine.py").write_text((tmp_path / "mine.py").read_text() + own)
    with pytest.raises(StudyError) as caught:
        planned_run(study, [words], tmp_path)
    assert line in str(caught.value)


def install(site: Path, version: str, text: str) -> None:
    """A package as installed by pip: a module and its dist-info."""
    info = site / "lrlc_decay.dist-info"
    shutil.rmtree(site, ignore_errors=True)
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: lrlc-decay\nVersion: {version}\n")
    (info / "entry_points.txt").write_text("[lrlc.plugins]\ndecay = lrlc_decay\n")
    (site / "lrlc_decay.py").write_text(text)
    sys.modules.pop("lrlc_decay", None)
    plugins._installed.clear()


LINEAR = """
from lrlc.harness.training import schedule

@schedule("fading")
def fading(progress, training):
    return (1 - progress.share) ** 2
"""


def test_an_installed_package_works_in_every_study_and_its_version_is_part_of_its_trials(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    site, study = tmp_path / "site", tmp_path / "any.yaml"
    monkeypatch.syspath_prepend(str(site))
    study.write_text("name: any\ndatasets: digits\ngrid: {kind: conv, train.schedule: [fading, cosine]}\n")
    install(site, "1.0", LINEAR)
    list_names(as_json=True)
    assert "fading" in json.loads(capsys.readouterr().out)["training"]["schedule"]
    ids = [[trial.id for trial in planned_run(study, [], tmp_path).plan.trials]]
    with restored():
        install(site, "1.1", LINEAR)
        ids.append([trial.id for trial in planned_run(study, [], tmp_path).plan.trials])
    assert ids[0][0] != ids[1][0], "another version"
    assert ids[0][1] == ids[1][1], "what is shipped stays what it was"


def test_a_broken_package_is_named_and_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    site, study = tmp_path / "site", tmp_path / "any.yaml"
    monkeypatch.syspath_prepend(str(site))
    study.write_text("name: any\ndatasets: digits\ngrid: {kind: conv}\n")
    install(site, "1.0", "import nothing_of_that_name\n")
    assert len(planned_run(study, [], tmp_path).plan.trials) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert "the entry point 'decay' of lrlc-decay 1.0 failed and is left out: ModuleNotFoundError" in line
    with pytest.raises(StudyError, match="unknown schedule 'fading'"):
        planned_run(study, ["train.schedule=fading"], tmp_path)


def test_a_name_registered_by_another_file_is_refused(study: Path, tmp_path: Path) -> None:
    (tmp_path / "other.py").write_text(LINEAR.replace("fading", "cosine"))
    with pytest.raises(
        UserError, match=r"the schedule 'cosine' of .*other.py is already registered by .*schedules.py"
    ):
        planned_run(written(study, PLAIN, "[other.py]"), [], tmp_path)


NAMERS: dict[str, Callable[[str], object]] = {
    "figure": lambda name: figure(name, caption="What it shows."),
    "data set": dataset,
    "augmentation": lambda name: augmentation(name, draws=1),
    "layer kind": lambda name: layer_kind(name)(lambda *_: torch.nn.Identity()),
}


@pytest.mark.parametrize("what", NAMERS)
@pytest.mark.parametrize(
    "name", ["", "x\x1b[31m", "x\n", "x" * 101, {"figure": "../../x", "data set": "a@b"}]
)
def test_a_name_that_no_study_and_no_file_can_have_is_refused(what: str, name: str | dict[str, str]) -> None:
    given = name if isinstance(name, str) else name.get(what, "\0")
    with pytest.raises(
        (StoreError, DataError, UserError, LayerError), match=f"{what} '.*': expected 1 to 100"
    ):
        NAMERS[what](given)


BROKEN = """
import torch
from lrlc.harness.measuring import metric
from lrlc.harness.training.recipes import recipe
from lrlc.results.figures import figure


@metric("broken")
def broken(evaluated):
    return len(torch.tensor(1.0))


@metric("silent")
def silent(evaluated):
    return None


@recipe("scalar")
def scalar(network, training):
    return lambda batch: list(torch.tensor(0.0))


@figure("cracked", caption="Cracked.")
def cracked(selection):
    return {}["no such key"]


@metric("leaving")
def leaving(evaluated):
    raise SystemExit(0)


@recipe("leaves")
def leaves(network, training):
    raise SystemExit(0)


@figure("leaving", caption="Leaving.")
def leaving_figure(selection):
    raise SystemExit(0)
"""


@pytest.fixture
def faulty(tmp_path: Path) -> Path:
    """A study whose plugin's metrics, recipe and figure all fail."""
    (tmp_path / "bad.py").write_text(BROKEN)
    path = tmp_path / "mine.yaml"
    path.write_text(
        "name: mine\nplugins: [bad.py]\ndatasets: digits\ntrain_images: 100\nevaluation_images: 50\n"
        "grid: {kind: conv}\ntrain: {epochs: 1, batch_size: 50}\nmeasure: {metrics: [broken, silent, leaving]}\n"
    )
    return path


def test_a_metric_that_fails_costs_no_row_and_is_named(
    faulty: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run_serially(planned_run(faulty, [], tmp_path))
    store = Store(tmp_path / "mine")
    (row,) = store.trials().to_dict("records")
    assert (row["status"], len(store.metrics())) == ("finished", 0)
    assert 0 <= row["test_accuracy"] <= 1
    said = capsys.readouterr().err
    assert re.search(
        r"metric 'broken' failed and is left out: .*bad\.py, line 10: TypeError: len\(\) of", said
    )
    assert re.search(r"metric 'silent' failed and is left out: .*bad\.py: TypeError: float\(\)", said)
    assert re.search(r"metric 'leaving' failed and is left out: .*bad\.py, line 30: SystemExit: 0", said)


def test_a_plugins_figure_that_fails_leaves_the_others_and_the_report(
    faulty: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run_serially(planned_run(faulty, [], tmp_path))
    asked = {"results": str(tmp_path), "formats": ["png"], "only": ["cracked", "learning_curves"]}
    with pytest.raises(typer.Exit) as ended:
        plot(str(faulty), out=tmp_path / "drawn", **asked)
    assert ended.value.exit_code == 1
    assert [path.name for path in (tmp_path / "drawn").iterdir()] == ["learning_curves.png"]
    assert re.search(
        r"cracked: not drawn, it failed at .*bad\.py, line 25: KeyError: 'no such", capsys.readouterr().err
    )
    asked["only"] = ["leaving"]
    with pytest.raises(typer.Exit) as ended:
        plot(str(faulty), out=tmp_path / "drawn", **asked)
    assert ended.value.exit_code == 1
    assert "leaving: not drawn, it failed at " in capsys.readouterr().err
    assert (
        "Not drawn: cracked (it failed at "
        in write_report(Store(tmp_path / "mine"), tmp_path / "report.html").read_text()
    )


def test_a_fault_of_a_plugin_in_training_names_its_line(
    faulty: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run_serially(planned_run(faulty, ["train.recipe=scalar"], tmp_path))
    (row,) = Store(tmp_path / "mine").trials().to_dict("records")
    assert re.search(r"bad\.py, line 20: TypeError: iteration over a 0-d tensor$", row["error"])
    run_serially(planned_run(faulty, ["train.recipe=leaves"], tmp_path))
    errors = Store(tmp_path / "mine").trials()["error"]
    assert errors.str.contains(r"bad\.py, line 35: SystemExit: 0$").any()
    show(row["trial_id"][:8], results=str(tmp_path))
    assert 'bad.py", line 20, in <lambda>' in capsys.readouterr().out


def test_plugins_not_found_from_a_name_are_reported(
    faulty: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path / "..")
    run_serially(planned_run(faulty, [], tmp_path))
    load_plugins("mine", Store(tmp_path / "mine"), None)
    assert "not found" not in capsys.readouterr().err
    del sys.modules[plugins.read_plugins(["bad.py"], tmp_path)[0].module]  # as in another process
    load_plugins("mine", Store(tmp_path / "mine"), None)
    assert "mine: its plugins (bad.py) were not found" in capsys.readouterr().err
    monkeypatch.chdir(tmp_path)
    load_plugins("mine", Store(tmp_path / "mine"), None)
    assert "not found" not in capsys.readouterr().err, "the current folder has them"


def test_a_trial_of_a_plugin_in_a_new_process_is_told_to_name_its_file(faulty: Path, tmp_path: Path) -> None:
    config = {
        "dataset": "digits",
        "kind": "conv",
        "train_images": 50,
        "train": {"recipe": "scalar", "epochs": 1},
    }
    with pytest.raises(StudyError, match=r"unknown recipe 'scalar'.*add its file: \{\*\*config, 'plugins':"):
        single_trial(config, None)
    _, trial = single_trial({**config, "plugins": [str(tmp_path / "bad.py")]}, None)
    assert trial.config.train.recipe == "scalar"
