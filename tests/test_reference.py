"""The committed results: README and findings have their verdicts and accuracies, and figures are reproducible."""

import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from lrlc.harness.data import load_dataset
from lrlc.results.claims import Judged, Verdict, judge, judge_together
from lrlc.results.claims.better_settings import better_settings
from lrlc.results.correct import correct_matrix
from lrlc.results.figures import Selection, alignment, draw_all
from lrlc.results.plans import Stage
from lrlc.results.statistics import Summary, summarise
from lrlc.results.statistics.smoothness import morans_i
from lrlc.results.store import Store
from lrlc.studies import DatasetSpec

pytestmark = pytest.mark.xdist_group("reference")  # what they share is made once

TOP = Path(__file__).parent.parent
REFERENCE = TOP / "results/reference"
OF_THE_TALK = ("trained_16px", "longer_16px", "shifted_16px", "smooth_16px")
Lrlc = Callable[..., subprocess.CompletedProcess[str]]
H100 = "NVIDIA H100 80GB HBM3"
LONGER = ("longer_16px",)
MOST_BYTES = 15_000_000
COLUMNS = {"MNIST 14×14": 2, "CIFAR-10 16×16": 3, "UTKFace 16×16": 4}


@pytest.fixture(scope="module")
def judged() -> list[Judged]:
    return judge_together([Store(REFERENCE / name) for name in OF_THE_TALK])


def test_the_readme_gives_the_verdict_on_each_data_set(judged: list[Judged]) -> None:
    rows = {
        row[1][:2]: row
        for row in ([cell.strip() for cell in line.split("|")] for line in _lines("README.md"))
        if len(row) == 6 and re.match(r"C\d ", row[1])
    }
    assert rows.keys() == {"C1", "C2", "C4", "C6"}
    for claim in judged:
        for where, verdict in claim.by_dataset.items():
            if claim.name in rows:
                assert rows[claim.name][COLUMNS[where]].startswith(verdict), (claim.name, where)
    told = {claim.name: claim for claim in judged}
    assert told["C3"].verdict == Verdict.OUT_OF_REGIME
    assert list(told["C5"].by_dataset.values()) == [Verdict.OUT_OF_REGIME, Verdict.UNDECIDED]


def test_the_page_gives_each_test(judged: list[Judged]) -> None:
    lines = _lines("docs/findings.md")
    findings = [(claim.name, finding) for claim in judged for finding in claim.findings]
    assert len(findings) == 26
    for name, finding in findings:
        assert finding.effect is not None
        effect = f"{finding.effect.mean:+.2f} ({finding.effect.low:+.2f} to {finding.effect.high:+.2f})"
        where = finding.where + (", 48 epochs" if finding.study in LONGER else "")
        assert f"| {name} | {finding.comparison} | {where} | {effect} | {finding.verdict} |" in lines


def test_both_pages_say_how_the_gain_on_photographs_fades_with_training(judged: list[Judged]) -> None:
    where = "CIFAR-10 16×16"
    told = [
        [float(number) for number in re.findall(r"[+-]\d+\.\d+", condition.detail)]
        for claim in judged
        for finding in claim.findings
        for condition in finding.regime
        if claim.name in ("C1", "C2") and finding.where == where and condition.detail and not condition.holds
    ]
    conv, wide, coord = ([f"{after_12:.2f}", f"{after_24:.2f}"] for after_24, after_12 in told)
    assert (
        f"ahead of convolution by {conv[0]} points with 12 epochs and by {conv[1]} with 24, of wide convolution by "
        f"{wide[0]} and {wide[1]}, of CoordConv by {coord[0]} and {coord[1]}"
    ) in _text("docs/findings.md")
    longer = _effects(judged, "longer_16px")[0]
    assert (
        f"| supported, {longer.mean:+.2f} with 48 epochs; {_effects(judged, 'trained_16px')[1].mean:+.1f} with 24 |"
    ) in _text("README.md")


def test_both_pages_say_what_longer_training_on_photographs_shows(judged: list[Judged]) -> None:
    conv, wide, coord, by_image = _effects(judged, "longer_16px")
    told, readme = _text("docs/findings.md"), _text("README.md")
    assert f"{conv.mean:+.2f} points ({conv.low:+.2f} to {conv.high:+.2f}), supported" in told
    assert f"LRLC is behind them by {-wide.mean:.2f} and {-coord.mean:.2f};" in told
    assert f"CoordConv is ahead by {-coord.mean:.2f} |" in readme
    assert (
        f"ahead by {-by_image.mean:.2f} ({-by_image.high:.2f} to {-by_image.low:.2f}) with 48 epochs" in told
    )
    assert f"out of regime, fixed {-by_image.mean:+.2f} |" in readme
    changes = [
        condition.number
        for claim in judged
        for finding in claim.findings
        for condition in finding.regime
        if finding.study == "longer_16px" and condition.over_seeds
    ]
    assert f"the leads change by {min(changes[:3]):.1f} to {max(changes[:3]):.1f} points" in told
    assert f"the lead grows by {changes[3]:.2f} over three seeds" in told
    needed = [
        re.search(r"about (\d+) evaluation seeds", finding.note)
        for claim in judged
        for finding in claim.findings
        if claim.name == "C2" and finding.study == "longer_16px"
    ]
    against_wide, against_coord = (found[1] for found in needed if found)
    assert f"{against_coord} seeds against CoordConv and {against_wide} against wide convolution" in told


def test_the_page_says_how_well_the_length_check_measures(judged: list[Judged]) -> None:
    conditions = [each for claim in judged for finding in claim.findings for each in finding.regime]
    failed = [(each, each.over_seeds) for each in conditions if each.over_seeds and not each.holds]
    above = sum(change.low > (each.needed or 0) for each, change in failed)
    around_0 = sum(change.low < 0 < change.high for _, change in failed)
    assert (
        f"Of the {len(failed)} comparisons that it puts out of regime, the 95% interval of the change lies above what "
        f"is allowed for {above} (CoordConv on CIFAR-10: 1.69, 0.54 to 2.85) and includes 0 for {around_0}."
    ) in _text("docs/findings.md")
    passed = [(each, each.over_seeds) for each in conditions if each.over_seeds and each.holds]
    wide = sum(max(abs(change.low), abs(change.high)) > (each.needed or 0) for each, change in passed)
    assert f"for {wide} of the {len(passed)} that do, the interval includes changes larger" in _text(
        "docs/findings.md"
    )
    first = next(
        change
        for each, change in passed
        if each.where.startswith("CIFAR") and each.what.endswith("minus conv")
    )
    assert f"passes with {first.mean:.2f} ({first.low:.2f} to {first.high:.2f})" in _text("docs/findings.md")


def test_the_page_gives_the_accuracies(judged: list[Judged]) -> None:
    rows = Store(REFERENCE / "trained_16px").planned_trials()
    cells = rows.assign(accuracy=100 * rows["test_accuracy"]).groupby(
        ["kind", "rank", "placement", "options", "dataset"], dropna=False
    )["accuracy"]
    told = _text("docs/findings.md")
    found = cells.agg(["mean", "std", "size"])
    assert len(found) == 39
    assert set(found["size"]) == {12}
    for (*_, dataset), mean, std in zip(found.index, found["mean"], found["std"], strict=True):
        digits = 2 if dataset.startswith("mnist") else 1
        assert f"| {mean:.{digits}f} ({std:.{digits}f}) |" in told


def test_the_page_says_which_leads_on_faces_the_validation_images_share() -> None:
    rows = Store(REFERENCE / "trained_16px").planned_trials().query("dataset == 'utkface@16'")
    conv, local, first = (
        rows.query(f"kind == {kind!r} and placement == {place!r} and options == '{{}}'").set_index("seed")
        for kind, place in (("conv", ""), ("locally_connected", "3"), ("lrlc", "1"))
    )
    of_local, of_first = (
        [summarise(100 * (of[f"{on}_accuracy"] - conv[f"{on}_accuracy"])) for on in ("test", "validation")]
        for of in (local, first)
    )
    assert (
        f"its lead of {of_local[0].mean:+.2f} over convolution is {of_local[1].mean:+.2f} "
        f"({of_local[1].low:+.2f} to {of_local[1].high:+.2f}); LRLC in the first layer is ahead on both, "
        f"by {of_first[0].mean:+.2f} and {of_first[1].mean:+.2f}."
    ) in _text("docs/findings.md")


def test_the_page_gives_the_accuracies_after_twice_the_epochs() -> None:
    rows = {
        name: Store(REFERENCE / name).planned_trials().query("dataset == 'cifar10@16'")
        for name in ("longer_16px", "trained_16px")
    }
    keys = ["kind", "placement", "rank", "options"]
    by_cell = {name: of.groupby(keys, dropna=False) for name, of in rows.items()}
    told = _text("docs/findings.md")
    for cell, longer in by_cell["longer_16px"]:
        shorter = by_cell["trained_16px"].get_group(cell)
        assert len(longer) == len(shorter) == 12
        spread = 100 * longer["test_accuracy"].std()
        after_48, fitted_48, after_24, fitted_24 = (
            f"{(100 * of[f'{on}_accuracy']).mean():.1f}"
            for of in (longer, shorter)
            for on in ("test", "train")
        )
        assert f"| {after_48} ({spread:.1f}) | {fitted_48} | {after_24} | {fitted_24} |" in told


def test_the_page_compares_trials_that_ran_on_both_devices() -> None:
    on_cpu, on_gpu = (
        Store(REFERENCE / name).trials(["trial_id", "test_accuracy"]).set_index("trial_id")["test_accuracy"]
        for name in ("longer_16px", "trained_16px")
    )
    apart = 100 * (on_cpu - on_gpu).dropna()
    assert (
        f"{len(apart)} of its pilots and length checks are also trials of `trained_16px`, and its accuracies "
        f"differ from the H100's by {apart.mean():.2f} points on average (standard deviation {apart.std():.2f})."
    ) in _text("docs/findings.md")


def test_the_page_says_what_faces_that_are_also_in_train_change(data_dir: Path) -> None:
    faces = load_dataset(DatasetSpec(name="utkface", size=(16, 16)), data_dir)
    labels = {
        image.tobytes(): label
        for split in (faces.train, faces.validation)
        for image, label in zip(split.images, split.labels, strict=True)
    }
    theirs = [labels.get(image.tobytes()) for image in faces.test.images]
    is_known = np.array([label is not None for label in theirs])
    others = sum(
        label not in (None, own) for label, own in zip(theirs, faces.test.labels.tolist(), strict=True)
    )
    store = Store(REFERENCE / "trained_16px")
    rows = store.planned_trials().query("dataset == 'utkface@16'")
    right = correct_matrix(store.correct(list(rows["trial_id"])).set_index("trial_id").loc[rows["trial_id"]])
    cells = rows.assign(all=100 * right.mean(axis=1), rest=100 * right[:, ~is_known].mean(axis=1)).pivot(
        index=["kind", "rank", "placement", "options"], columns="seed", values=["all", "rest"]
    )
    gains = {on: cells[on] - cells[on].loc["conv"].iloc[0] for on in ("all", "rest")}
    moved = (gains["rest"] - gains["all"]).mean(axis=1).abs()
    before, local = (
        summarise(gains[on].xs(("locally_connected", "{}"), level=("kind", "options")).iloc[0])
        for on in ("all", "rest")
    )
    assert (
        f"{is_known.sum()} of the {len(is_known):,} test images have the pixels of a training or validation image, "
        f"{others} of them with the other label. Without these {is_known.sum()} no mean gain over convolution changes "
        f"by more than {moved.max():.2f} points; that of a locally connected layer is {local.mean:+.2f} "
        f"({local.low:+.2f} to {local.high:+.2f}) instead of {before.mean:+.2f}:"
    ) in _text("docs/findings.md")


def test_a_figure_on_the_page_is_reproduced_from_the_tables_byte_for_byte(tmp_path: Path) -> None:
    draw_all(Store(REFERENCE / "trained_16px"), tmp_path, ["png"], only=["tuning"])
    shown = TOP / "docs/images/trained_16px/tuning.png"
    assert (tmp_path / "tuning.png").read_bytes() == shown.read_bytes()


def test_the_alignment_figure_compares_the_cells_of_the_claims(judged: list[Judged]) -> None:
    figure = alignment.draw(Selection.of(Store(REFERENCE / "trained_16px")))
    panel = next(ax for ax in figure.axes if ax.get_title().startswith("Fixed minus"))
    shown = [float(line.get_ydata()[0]) for line in panel.lines if line.get_marker() not in ("None", "")]
    effects = [
        finding.effect.mean * (1 if finding.comparison.startswith("LRLC (") else -1)
        for claim in judged
        for finding in claim.findings
        if claim.name == "C4" and finding.study == "trained_16px" and finding.effect
    ]
    assert len(effects) == 2
    for effect in effects:
        assert any(each == pytest.approx(effect) for each in shown)


def test_the_reference_is_small_and_shows_no_people() -> None:
    assert sum(path.stat().st_size for path in REFERENCE.rglob("*") if path.is_file()) < MOST_BYTES
    noted = [noted for store in _stores() for noted in store.datasets().values()]
    assert all(len(each.examples) == 0 for each in noted if each.dataset.startswith("utkface"))


def test_rows_record_their_provenance() -> None:
    for store in _stores():
        rows = store.trials(["git_commit", "git_dirty", "status", "device", "backend"])
        assert rows["git_commit"].str.fullmatch("[0-9a-f]{40}").all()
        assert not rows["git_dirty"].any()
        assert set(rows["status"]) == {"finished"}
        assert (rows.loc[rows["device"] == H100, "backend"] == "triton").all()


def test_the_numbers_of_trials_are_those_on_the_pages() -> None:
    stores = [Store(REFERENCE / name) for name in (*OF_THE_TALK, "rates_16px", "peers")]
    trials = pd.concat(
        [
            store.planned_trials(stage=stage, columns=["trial_id", "device"]).assign(stage=stage)
            for store in stores
            for stage in (Stage.GRID, Stage.LENGTH, Stage.TUNE)
        ]
    ).drop_duplicates(["trial_id", "device"])
    gpu = trials.loc[trials["device"] == H100, "stage"].value_counts()
    cpu = trials[trials["device"] != H100]
    page = _text("docs/findings.md")
    assert f"{gpu.sum():,} trials of three-layer networks on one H100: {gpu[Stage.GRID]} trained" in page
    assert f"{gpu[Stage.LENGTH]} for half as long (the length check) and {gpu[Stage.TUNE]} pilots" in page
    of_both = [cpu[cpu["trial_id"].isin(_ids(name))] for name in ("longer_16px", "rates_16px")]
    counts, same = (each["stage"].value_counts() for each in of_both)
    assert dict(counts) == dict(same)
    assert f"Then {len(cpu)} trials on CPUs: {counts.sum()} for the main comparisons" in page
    assert (
        f"(each {counts[Stage.GRID]} of full length, {counts[Stage.LENGTH]} of half the length and "
        f"{counts[Stage.TUNE]} pilots), and {len(cpu) - 2 * counts.sum()} that"
    ) in page
    full = gpu[Stage.GRID] + (cpu["stage"] == Stage.GRID).sum()
    assert f"{gpu.sum():,} trials on an H100 and {len(cpu)} on CPUs ({full} of full" in _text("README.md")


def test_both_pages_say_what_a_learning_rate_chosen_too_early_costs() -> None:
    columns = [
        "trial_id",
        "device",
        "dataset",
        "seed",
        "kind",
        "rank",
        "placement",
        "options",
        "test_accuracy",
    ]
    chosen = Store(REFERENCE / "trained_16px").planned_trials(columns=columns)
    chosen = chosen[(chosen["placement"].isin(["3", ""])) & (chosen["rank"].isna() | (chosen["rank"] == 4))]
    lower = Store(REFERENCE / "smooth_16px").planned_trials(columns=columns)
    lower = lower[lower["device"] == H100].set_index(["dataset", "seed"])["test_accuracy"]
    of_kinds = {
        "LRLC, rank 4": "lrlc",
        "a convolution": "conv",
        "wide convolution, as rank 4": "wide_conv",
        "CoordConv": "coord_conv",
        "input-dependent LRLC, rank 4": "lrlc_input_dependent",
        "locally connected": "locally_connected",
    }
    for name, kind in of_kinds.items():
        of_kind = chosen[(chosen["kind"] == kind) & (chosen["options"] == "{}")]
        apart = 100 * (lower - of_kind.set_index(["dataset", "seed"])["test_accuracy"]).dropna()
        found = [summarise(apart[title]) for title in ("mnist@14", "cifar10@16", "utkface@16")]
        assert [each.n for each in found] == [8, 8, 8]
        cells = [f"{each.mean:+.2f} ({each.low:+.2f} to {each.high:+.2f})" for each in found]
        assert f"| {name} | {' | '.join(cells)} |" in _lines("docs/findings.md")


def test_both_pages_give_the_comparisons_at_rates_chosen_at_full_length() -> None:
    store = Store(REFERENCE / "rates_16px")
    names = {
        "lrlc": "LRLC, rank 4",
        "coord_conv": "CoordConv",
        "wide_conv": "wide convolution, as rank 4",
        "lrlc_input_dependent": "input-dependent LRLC, rank 4",
        "conv": "a convolution",
    }
    chosen = {each.kind: each.chosen for each in store.tuning()}
    verdicts = {
        finding.comparison: f"{claim.name} {finding.verdict}"
        for claim in judge(store)
        for finding in claim.findings
    }
    compared = {
        "coord_conv": "LRLC minus CoordConv",
        "wide_conv": "LRLC minus wide conv",
        "lrlc_input_dependent": "LRLC i.d. minus LRLC",
        "conv": "LRLC minus conv",
    }
    trials = store.planned_trials().set_index("seed")
    ours = trials[trials["kind"] == "lrlc"]
    readme, lines = _text("README.md"), _lines("docs/findings.md")
    short = _text("docs/findings.md").partition("## Every test")[0]
    for kind, name in names.items():
        theirs = trials[trials["kind"] == kind]
        assert sorted(theirs.index) == list(range(12, 24))
        apart = 100 * (ours["test_accuracy"] - theirs["test_accuracy"])
        lead = summarise(apart)
        told = f"{lead.mean:+.2f} ({lead.low:+.2f} to {lead.high:+.2f})"
        test, fitted = (100 * theirs[f"{on}_accuracy"] for on in ("test", "train"))
        rate = f"{chosen[kind].setting['train.learning_rate']}".lstrip("0")
        cells = [name, rate, f"{100 * chosen[kind].mean:.1f}", f"{test.mean():.1f} ({test.std():.1f})"]
        line = "| " + " | ".join([*cells, f"{fitted.mean():.1f}"])
        if kind == "lrlc":
            assert f"{line} | | |" in lines
            continue
        assert f"{line} | {told} | {verdicts[compared[kind]]} |" in lines
        assert (apart > 0).all()
        for said in (f"{lead.mean:.2f}", f" ({lead.low:.2f} to {lead.high:.2f})"):
            assert said in readme
        assert f"{lead.mean:.2f} " in short


def test_claims_warn_of_that_learning_rate_and_the_report_names_the_longer_training(
    judged: list[Judged], lrlc: Lrlc, tmp_path: Path
) -> None:
    stores = [Store(REFERENCE / name) for name in OF_THE_TALK]
    (warning,) = better_settings(stores[0], None, stores[1:])
    assert warning.better == {"learning_rate": 0.05}
    said = f"On validation the difference to its own chosen rate is the same: {warning.gain.mean:.2f} points"
    assert said in _text("docs/findings.md")
    assert lrlc("claims", "--results", REFERENCE).stdout.splitlines()[-1] == f"  {warning}"
    lrlc("report", "trained_16px", "--results", REFERENCE, "--out", tmp_path, "--format", "markdown")
    report = (tmp_path / "report.md").read_text()
    assert f"- {warning}." in report
    tests = [finding for claim in judged for finding in claim.findings]
    replaced = {(each.where, each.comparison) for each in tests if each.longer is not None}
    assert (
        f"{len(replaced)} comparisons of networks that were trained for too few epochs here take their verdict from "
        "another study (see Verdicts). 1 layer is more accurate at another setting than at the one chosen here"
    ) in report
    first = _effects(judged, "longer_16px")[0]
    assert f"out of regime; with 48 epochs {first.mean:+.2f}, supported)" in report
    longer = [
        each for each in tests if each.study == "longer_16px" and (each.where, each.comparison) in replaced
    ]
    for each in longer:
        assert f"- {each.where}; {each.comparison}: {each.verdict}, " in report
    assert len(longer) == len(replaced)


def test_the_page_says_how_far_shuffled_labels_were_learned() -> None:
    trials = Store(REFERENCE / "smooth_16px").trials(["dataset", "train_accuracy", "weights_spatial_std"])
    fitted = trials.groupby("dataset")[["train_accuracy", "weights_spatial_std"]].mean()
    names = ("mnist@14", "cifar10@16", "utkface@16")
    learned = [f"{100 * fitted['train_accuracy'][f'{name}+shuffled']:.0f}%" for name in names]
    true = [f"{fitted['weights_spatial_std'][name]:.2f}".lstrip("0") for name in names]
    shuffled = [f"{fitted['weights_spatial_std'][f'{name}+shuffled']:.2f}".lstrip("0") for name in names]
    page = _text("docs/findings.md")
    assert (
        f"{learned[0]} of the training images on MNIST, {learned[1]} on CIFAR-10, {learned[2]} on faces"
        in page
    )
    assert (
        f"{shuffled[0]}, {shuffled[1]} and {shuffled[2]} against {true[0]}, {true[1]} and {true[2]}" in page
    )


def test_the_page_gives_the_smoothness_of_both_sides() -> None:
    store = Store(REFERENCE / "smooth_16px")
    trials = store.trials(["trial_id", "dataset"]).set_index("trial_id")["dataset"]
    maps = store.weights(list(trials.index))
    values = [
        float(morans_i(np.asarray(flat, dtype=np.float64).reshape(height, width)))
        for flat, height, width in zip(maps["values"], maps["height"], maps["width"], strict=True)
    ]
    means = pd.Series(values).groupby(maps["trial_id"].map(trials)).mean()
    told = {name: f"{value:.2f}".lstrip("0") for name, value in means.items()}
    for title, name in (("mnist@14", "MNIST"), ("cifar10@16", "CIFAR-10"), ("utkface@16", "faces")):
        assert f"{told[title]} against {told[f'{title}+shuffled']} on {name}" in _text("docs/findings.md")


def _ids(study: str) -> set[str]:
    return set(Store(REFERENCE / study).trials(["trial_id"])["trial_id"])


def _effects(judged: list[Judged], study: str) -> list[Summary]:
    """The effects of a study's tests, in the order of its claims."""
    tests = [finding for claim in judged for finding in claim.findings if finding.study == study]
    return [finding.effect for finding in tests if finding.effect is not None]


def _stores() -> list[Store]:
    return [Store(folder) for folder in sorted(REFERENCE.iterdir()) if folder.is_dir()]


def _lines(page: str) -> list[str]:
    return (TOP / page).read_text().splitlines()


def _text(page: str) -> str:
    """The page as one line."""
    return " ".join(line.strip() for line in _lines(page))
