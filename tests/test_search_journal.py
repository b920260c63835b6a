"""A search's journal: after any loss, swap or alteration it is rebuilt from the rows, and the search completes."""

import re
import shutil
from dataclasses import dataclass
from pathlib import Path

import optuna
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from support.sessions import planned_run, run_serially

from lrlc.harness.search.journal_file import CheckedJournal
from lrlc.results.store import Store, StoreError

HUNT = """
name: hunt
train_images: 60
evaluation_images: 60
search:
  dataset: digits
  trials: 5
  sampler: brute_force
  space:
    kind: [conv, lrlc]
    rank: [1, 2]
    placement: [[1], [3]]
train: {epochs: 1, batch_size: 60, learning_rate: 0.05}
"""


@dataclass(frozen=True)
class Searched:
    """A search that has ended: the study's file, its folder, its rows and its journal."""

    file: Path
    root: Path
    rows: pd.DataFrame
    journal: bytes


def run(file: Path, root: Path, *overrides: str) -> pd.DataFrame:
    """Run the search as `lrlc run --serial` does, in this process; returns its rows by id."""
    run_serially(planned_run(file, overrides, root.parent))
    return Store(root).trials().set_index("trial_id").sort_index()


@pytest.fixture(scope="module")
def searched(tmp_path_factory: pytest.TempPathFactory) -> Searched:
    folder = tmp_path_factory.mktemp("hunt")
    file, root = folder / "hunt.yaml", folder / "runs" / "hunt"
    file.write_text(HUNT)
    rows = run(file, root)
    return Searched(file, root, rows, (root / "optuna.journal").read_bytes())


def mutated(content: bytes, draw: st.DataObject) -> bytes:
    """Mutations of a journal, as by disks, hands and careless tools."""
    lines = content.splitlines(keepends=True)
    at = draw.draw(st.integers(0, len(lines) - 1))
    other = draw.draw(st.integers(0, len(lines) - 1))
    match draw.draw(
        st.sampled_from(["flip", "cut", "zeros", "odd", "missing", "twice", "swapped", "lost tail"])
    ):
        case "flip":
            byte = draw.draw(st.integers(0, len(content) - 1))
            return (
                content[:byte]
                + bytes([content[byte] ^ 1 << draw.draw(st.integers(0, 7))])
                + content[byte + 1 :]
            )
        case "cut":
            return content[: draw.draw(st.integers(0, len(content)))]
        case "zeros":
            byte = draw.draw(st.integers(0, len(content)))
            return content[:byte] + bytes(len(content) - byte)
        case "odd":
            odd = draw.draw(
                st.sampled_from([b"{}\n", b"null\n", b"[]\n", b"7\n", b'{"op_code": 99}\n', b"\n"])
            )
            lines[at] = odd
        case "missing":
            del lines[at]
        case "twice":
            lines.insert(other, lines[at])
        case "swapped":
            lines[at], lines[other] = lines[other], lines[at]
        case "lost tail":
            del lines[at:]
    return b"".join(lines)


@settings(max_examples=10)
@given(draw=st.data())
def test_a_mutated_journal_costs_no_row_and_no_suggestion(searched: Searched, draw: st.DataObject) -> None:
    (searched.root / "optuna.journal").write_bytes(mutated(searched.journal, draw))
    try:
        pd.testing.assert_frame_equal(run(searched.file, searched.root), searched.rows)
        assert len(told(searched.root)) == 5
    finally:
        (searched.root / "optuna.journal").write_bytes(searched.journal)
        for aside in searched.root.glob("optuna.damaged*"):
            aside.unlink()


def told(root: Path) -> set[tuple[str, ...]]:
    """The distinct suggestions with an outcome in the journal's last Optuna study, by the trials that answered them."""
    storage = JournalStorage(JournalFileBackend(str(root / "optuna.journal")))
    study = optuna.load_study(study_name=storage.get_all_studies()[-1].study_name, storage=storage)
    return {tuple(trial.user_attrs["answered"]) for trial in study.trials if "answered" in trial.user_attrs}


@pytest.mark.parametrize("share", [0.4, 0.6, 0.8, 0.95])
def test_brute_force_makes_every_suggestion_after_a_power_cut(
    searched: Searched, share: float, tmp_path: Path
) -> None:
    """The journal is not synced, but rows are: both lose their end, the journal more of it."""
    root = tmp_path / "runs" / "hunt"
    Store(root).copy_from(Store(searched.root), list(searched.rows.index[:4]))
    lines = searched.journal.splitlines(keepends=True)
    (root / "optuna.journal").write_bytes(b"".join(lines[: int(share * len(lines))]))
    assert list(run(searched.file, root).index) == list(searched.rows.index)
    assert len(told(root)) == 5


def test_a_journal_of_an_earlier_version_is_continued_and_set_aside_if_damaged(
    searched: Searched, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = tmp_path / "runs" / "hunt"
    shutil.copytree(searched.root, root)
    journal = root / "optuna.journal"
    journal.write_bytes(re.sub(rb',"crc32":\d+}', b"}", searched.journal))
    run(searched.file, root)
    assert not (root / "optuna.damaged").exists()
    journal.write_bytes(re.sub(rb',"crc32":\d+}', b"}", searched.journal) + b"{}\n")
    run(searched.file, root)
    assert (root / "optuna.damaged").read_bytes().endswith(b"}\n{}\n")
    assert "optuna.journal was damaged (Optuna cannot read it: 'op_code')" in capsys.readouterr().err


def test_a_journal_that_is_a_link_is_set_aside_and_its_target_left_alone(
    searched: Searched, tmp_path: Path
) -> None:
    root, other = tmp_path / "runs" / "hunt", tmp_path / "notes.txt"
    shutil.copytree(searched.root, root)
    other.write_text("half a line")
    (root / "optuna.journal").unlink()
    (root / "optuna.journal").symlink_to(other)
    pd.testing.assert_frame_equal(run(searched.file, root), searched.rows)
    assert other.read_text() == "half a line"
    assert (root / "optuna.damaged").is_symlink()


def test_a_second_damaged_journal_does_not_take_the_place_of_the_first(
    searched: Searched, tmp_path: Path
) -> None:
    root = tmp_path / "runs" / "hunt"
    shutil.copytree(searched.root, root)
    for content in (b"null\n", b"7\n"):
        (root / "optuna.journal").write_bytes(content)
        run(searched.file, root)
    assert (root / "optuna.damaged").read_bytes() == b"null\n"
    assert (root / "optuna.damaged.1").read_bytes() == b"7\n"


def test_a_journal_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(StoreError) as caught:
        CheckedJournal(tmp_path / "nowhere" / "optuna.journal")
    assert str(caught.value).endswith(
        "No such file or directory; committed rows are kept, the same command resumes"
    )
    journal = CheckedJournal(tmp_path / "optuna.journal")
    journal.append_logs([{"op_code": 0}])
    (tmp_path / "optuna.journal").unlink()
    (tmp_path / "optuna.journal").mkdir()
    with pytest.raises(StoreError, match=r"cannot write .*optuna.journal: Is a directory"):
        journal.append_logs([{"op_code": 0}])


def test_a_wider_space_that_rows_fill_already_says_that_trials_must_be_raised(
    searched: Searched, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = tmp_path / "runs" / "hunt"
    shutil.copytree(searched.root, root)
    wider = "search.space.rank=[1, 2, 3]"
    assert len(run(searched.file, root, wider)) == 5
    line = "rows answer all 5 suggestions that search.trials asks for in this space; raise it"
    assert line in capsys.readouterr().err
    assert len(run(searched.file, root, wider, "search.trials=7")) == 7
    assert line not in capsys.readouterr().err
