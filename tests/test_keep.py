"""`keep: [weights]`: which weights trials keep, how many, and reading them back."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from support.sessions import planned_run

import lrlc
from lrlc.harness.data import load_dataset
from lrlc.harness.plan.catalogue import open_study
from lrlc.harness.plan.planning import Planner
from lrlc.harness.run.display import Display
from lrlc.harness.run.kept_models import _digest, _metadata
from lrlc.harness.run.slots import Slots, make_executor
from lrlc.harness.training.keeping import Best
from lrlc.harness.training.train import train
from lrlc.harness.trial import Checkpoint, KeptWeights
from lrlc.results.models import SHA256, path, total_bytes
from lrlc.results.store import Store

pytest.importorskip("safetensors")

STUDY = """
name: kept
datasets: digits
train_images: 200
grid: [{kind: conv}, {kind: lrlc, rank: 2, placement: [3]}]
train: {epochs: 3, batch_size: 32, learning_rate: 0.05}
"""


@pytest.fixture(scope="module")
def study_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("kept") / "kept.yaml"
    file.write_text(STUDY)
    return file


def run(study: Path, results: Path, *overrides: str) -> lrlc.StudyResults:
    session = planned_run(study, overrides, results)
    session.run(make_executor(session, Slots(serial=True)), Display)
    return lrlc.load("kept", results=str(results))


@pytest.fixture(scope="module")
def kept(study_file: Path) -> lrlc.StudyResults:
    return run(study_file, study_file.parent / "runs", "keep=[weights, best_weights]")


def accuracy(model: torch.nn.Module) -> tuple[float, float]:
    data = load_dataset(lrlc.studies.DatasetSpec(name="digits", train_images=200), None)
    found = []
    for split in (data.validation, data.test):
        images = torch.from_numpy(split.images.copy()).permute(0, 3, 1, 2) / 255
        found.append((model(images).argmax(1).numpy() == split.labels).mean())
    return found[0], found[1]


def test_kept_weights_give_the_accuracies_of_the_row(kept: lrlc.StudyResults) -> None:
    for row in kept.trials.itertuples():
        validation, test = accuracy(kept.model(row.trial_id[:9]))
        assert (validation, test) == pytest.approx((row.validation_accuracy, row.test_accuracy))


def test_the_best_weights_are_those_of_the_first_best_epoch(kept: lrlc.StudyResults) -> None:
    for trial_id, curve in kept.curves.groupby("trial_id"):
        validation, _ = accuracy(kept.model(trial_id, best=True))
        assert validation == pytest.approx(curve["validation_accuracy"].max())


def test_keeping_does_not_change_trials(
    kept: lrlc.StudyResults, study_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plain = run(study_file, tmp_path / "runs")
    assert list(plain.trials["trial_id"]) == list(kept.trials["trial_id"])
    assert list(plain.trials["test_accuracy"]) == list(kept.trials["test_accuracy"])
    with pytest.raises(lrlc.UserError, match=r"`keep: \[weights\]` in the study keeps them"):
        plain.model(plain.trials["trial_id"][0])
    run(study_file, tmp_path / "runs", "keep=weights")
    assert (
        "2 finished trials without keep.weights: trained before the study asked for it"
        in capsys.readouterr().err
    )


def test_no_more_than_keep_gb_is_kept_and_a_line_says_so(
    study_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    study = run(study_file, tmp_path, "keep=weights", "keep_gb=0.0005")
    assert set(study.trials["status"]) == {"finished"}
    assert total_bytes(study.store.root) <= 500_000
    assert len(study.store.kept_models("weights")) == 1
    assert capsys.readouterr().err.count("keep_gb: kept weights have reached 0.0005 GB") == 1


def test_another_study_copies_weights_with_the_rows(kept: lrlc.StudyResults, study_file: Path) -> None:
    run(study_file, study_file.parent / "runs", "name=heir", "keep=weights", "grid=[{kind: conv}]")
    heir = Store(study_file.parent / "runs/heir")
    assert heir.kept_models("weights") == set(heir.trials()["trial_id"])


def test_damaged_weights_are_refused(kept: lrlc.StudyResults) -> None:
    (trial_id, other), root = kept.trials["trial_id"], kept.store.root
    where = path(root, trial_id, "weights")
    content = where.read()
    assert Store(root).model(trial_id, "weights") == content
    header = content.find(b"}", 8)
    flipped = [content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :] for at in (3, 9, header // 2, -5)]
    swapped = [path(root, other, "weights").read(), path(root, trial_id, "best_weights").read()]
    for wrong in [*flipped, *swapped, content[:50], b"", (100_000).to_bytes(8, "little") + b"[" * 100_000]:
        where.replace(lambda file, wrong=wrong: file.write(wrong))
        with pytest.raises(lrlc.UserError, match="is damaged"):
            kept.model(trial_id)
    where.replace(lambda file: file.write(content))
    kept.model(trial_id)


def test_weights_of_an_earlier_version_are_read_and_must_be_the_trials_own(kept: lrlc.StudyResults) -> None:
    from safetensors.torch import load, save

    (trial_id, other), root = kept.trials["trial_id"], kept.store.root
    where, content = path(root, trial_id, "weights"), path(root, trial_id, "weights").read()
    state, about = load(content), dict(_metadata(content))
    del about[SHA256]

    def earlier(**changed: str) -> None:
        where.replace(lambda file: file.write(save(state, {**about, "sha256": _digest(state), **changed})))

    earlier()
    assert accuracy(kept.model(trial_id))
    earlier(trial_id=other)
    with pytest.raises(lrlc.UserError, match=f"holds the weights of trial {other}"):
        kept.model(trial_id)
    state = {
        name: tensor.view(torch.int32) if tensor.is_floating_point() else tensor
        for name, tensor in state.items()
    }
    earlier()  # the same bytes under another type
    with pytest.raises(lrlc.UserError, match="its tensors do not fit the network"):
        kept.model(trial_id)
    where.replace(lambda file: file.write(content))


def test_a_resumed_trial_keeps_the_same_weights_as_an_unbroken_one(study_file: Path) -> None:
    opened = open_study(str(study_file), profile=None, overrides=["keep=[weights, best_weights]"])
    trial = Planner(opened, None).grid()[0]
    data, device = load_dataset(trial.config.dataset, None), torch.device("cpu")
    records = list(train(trial, data, device, checkpoint_seconds=0))
    middle = [record for record in records if isinstance(record, Checkpoint)][-1]
    resumed = list(train(trial, data, device, resume=middle))
    assert _weights(resumed) == _weights(records)
    assert Best(**torch.load(_file(middle), weights_only=True)["best"]).epoch in (1, 2)


def _weights(records: list[Any]) -> dict[str, tuple[str, list[float]]]:
    kept = [record for record in records if isinstance(record, KeptWeights)]
    return {each.what: (json.dumps(each.about), _numbers(each)) for each in kept}


def _numbers(kept: KeptWeights) -> list[float]:
    return [tensor.double().sum().item() for tensor in torch.load(_file(kept), weights_only=True).values()]


def _file(saved: KeptWeights | Checkpoint) -> Any:
    import io

    return io.BytesIO(saved.state)


@pytest.mark.parametrize(
    ("override", "says"),
    [
        ("keep=[weight]", "keep[0]: unknown value 'weight'; did you mean 'weights'?"),
        ("keep=[weights, weights]", "keep: ['weights', 'weights'] lists one twice"),
        ("keep_gb=0", "keep_gb: expected more than 0, got 0"),
        ("keep_gb=1e308", "keep_gb: expected at most 1,000,000,000.0, got 1e+308"),
    ],
)
def test_a_wrong_keep_is_refused(override: str, says: str, study_file: Path) -> None:
    with pytest.raises(lrlc.StudyError) as raised:
        open_study(str(study_file), profile=None, overrides=[override])
    assert str(raised.value).endswith(says)


def test_weights_of_a_kind_that_is_not_registered_name_the_plugin(kept: lrlc.StudyResults) -> None:
    trial_id = kept.trials["trial_id"][1]
    content = path(kept.store.root, trial_id, "best_weights").read()
    changed = content.replace(b'\\"kind\\": \\"lrlc\\"', b'\\"kind\\": \\"mine\\"')
    assert changed != content
    kept.store.keep_model(trial_id, "best_weights", changed)
    with pytest.raises(lrlc.UserError, match=r"mine.*; if a plugin defines it, import it first"):
        kept.model(trial_id, best=True)
    kept.store.keep_model(trial_id, "best_weights", content)
