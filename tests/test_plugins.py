"""A study's plugin files and installed packages bring training of their own, which is part of its trials' identity."""

import re
import shutil
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from support.registries import restored
from support.sessions import planned_run, run_serially

from lrlc.harness import plugins
from lrlc.harness.data import load_dataset
from lrlc.harness.errors import UserError
from lrlc.harness.training.train import train
from lrlc.harness.trial import Checkpoint, Trial
from lrlc.results.schema import TrialResult
from lrlc.results.store import Store
from lrlc.studies import StudyError

DOC = Path(__file__).resolve().parent.parent / "docs/extending.md"
CPU = torch.device("cpu")
PLAIN = "epochs: 2, batch_size: 50, learning_rate: 0.01"
OWN = "optimizer: rmsprop, schedule: linear, augment: [brightness, flip], recipe: focal"


@pytest.fixture(autouse=True)
def _forgotten() -> Iterator[None]:
    with restored():
        yield


@pytest.fixture
def study(tmp_path: Path) -> Path:
    """A study whose plugin file holds every example of docs/extending.md."""
    examples = re.findall(r"```python\n(.*?)```", DOC.read_text(), re.DOTALL)
    (tmp_path / "mine.py").write_text("\n\n".join(examples))
    return written(tmp_path / "mine.yaml", f"{PLAIN}, {OWN}")


def written(path: Path, train: str, plugin: str = "[mine.py]") -> Path:
    path.write_text(
        f"name: mine\nplugins: {plugin}\ndatasets: stripes\nnetwork: one_layer\n"
        f"grid: {{kind: depthwise}}\ntrain: {{{train}}}\n"
    )
    return path


def only(study: Path, results: Path) -> Trial:
    (trial,) = planned_run(study, [], results).plan.trials
    return trial


def test_every_documented_example_works_in_one_study_and_resumes_alike(study: Path, tmp_path: Path) -> None:
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


def test_an_edited_plugin_makes_those_trials_new_that_use_it(study: Path, tmp_path: Path) -> None:
    before = only(study, tmp_path)
    with restored():
        (tmp_path / "mine.py").write_text((tmp_path / "mine.py").read_text() + "\n# an edit\n")
        assert only(study, tmp_path).id != before.id
    shipped = "name: mine\nplugins: [mine.py]\ndatasets: digits\ngrid: {kind: conv}\n"
    study.write_text(shipped)
    used = only(study, tmp_path).id
    study.write_text(shipped.replace("plugins: [mine.py]\n", ""))
    assert only(study, tmp_path).id == used


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


def install(site: Path, version: str, text: str) -> None:
    """A package as pip leaves it: a module and its dist-info."""
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


def test_an_installed_package_serves_every_study_and_its_version_is_part_of_its_trials(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site, study = tmp_path / "site", tmp_path / "any.yaml"
    monkeypatch.syspath_prepend(str(site))
    study.write_text("name: any\ndatasets: digits\ngrid: {kind: conv, train.schedule: [fading, cosine]}\n")
    install(site, "1.0", LINEAR)
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


def test_a_name_that_another_file_has_is_refused(study: Path, tmp_path: Path) -> None:
    (tmp_path / "other.py").write_text(LINEAR.replace("fading", "cosine"))
    with pytest.raises(
        UserError, match=r"the schedule 'cosine' of .*other.py is already registered by .*schedules.py"
    ):
        planned_run(written(study, PLAIN, "[other.py]"), [], tmp_path)
