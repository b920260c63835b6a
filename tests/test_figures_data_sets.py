"""Figures about data sets: the linear classifier's line, gains against position, gains against scale."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from support.results_samples import noted, study
from test_report import cells_of

from lrlc.results.datasets import Baseline, DatasetSummary
from lrlc.results.figures import NothingToDraw, Selection, rank_vs_accuracy, scaling
from lrlc.results.figures import alignment as alignment_figure
from lrlc.results.figures.style import look
from lrlc.results.report import write_report
from lrlc.results.schema import TrialResult, to_tables
from lrlc.results.store import Store

KINDS = ("lrlc",)


def known(title: str, score: float, linear: float, probe: float, images: Sequence[int]) -> DatasetSummary:
    baselines = [Baseline(count, 10_000, linear, count, 0.1, probe, count, 16, 16) for count in images]
    return replace(noted(title, score), baselines=tuple(baselines))


def selected(rows: list[TrialResult], *noted_sets: DatasetSummary) -> Selection:
    tables = {name: table.to_pandas() for name, table in to_tables(rows).items()}
    summaries = {each.dataset: each for each in noted_sets}
    return Selection.of_frames(tables["trials"], tables["curves"], tables["weights"], summaries)


def scaled(images: Sequence[int], epochs: Sequence[int]) -> list[TrialResult]:
    """Faces and photographs: the more images, the better, and LRLC a point per step better than convolution."""
    found = []
    for step, (count, length) in enumerate(zip(images, epochs, strict=True)):
        for row in study(("cifar10", "utkface"), 4, (4,), ("3",), KINDS, wide_ranks=()):
            accuracy = (row.test_accuracy or 0) + 0.03 * step + 0.01 * step * (row.kind == "lrlc")
            settings = {"train_images": count, "epochs": length, "test_accuracy": accuracy, "weights": ()}
            found.append(replace(row, trial_id=f"{row.trial_id}-{count}-{length}", **settings))
    return found


def marks(ax: Axes) -> list[tuple[float, float]]:
    """The positions of marks, as shares of the axes."""
    shares = []
    for line in ax.lines:
        if line.get_marker() not in ("None", "", None):
            on_screen = line.get_transform().transform(line.get_xydata())
            shares += [tuple(place) for place in ax.transAxes.inverted().transform(on_screen)]
    return shares


def assert_all_inside(figure: Figure, count: int) -> None:
    """At least `count` marks, none of them outside its axes."""
    figure.draw_without_rendering()
    shares = [share for ax in figure.axes for share in marks(ax)]
    assert len(shares) >= count
    assert all(0 <= x <= 1 and 0 <= y <= 1 for x, y in shares), shares


def lines_of(ax: Axes, stroke: str) -> list[list[float]]:
    return [list(line.get_ydata()) for line in ax.lines if line.get_linestyle() == stroke]  # type: ignore[arg-type]


def test_the_linear_classifier_is_drawn_among_the_layers_without_a_rank() -> None:
    rows = study(("utkface", "mnist"), 3, (1, 2, 4), ("3",), KINDS, wide_ranks=())
    near = known("utkface", 0.2, 0.84, 0.7, [1000])
    far = known("mnist", 0.3, 0.5, 0.5, [1000])
    with look():
        faces, digits = sorted(
            rank_vs_accuracy.draw(selected(rows, near, far)).axes, key=lambda ax: ax.get_title(loc="left")
        )[::-1]
    assert [84.0, 84.0] in lines_of(faces, "--")
    low, high = faces.get_ylim()
    assert low < 84 < high
    assert "linear classifier" in {text.get_text() for text in faces.texts}
    assert "linear classifier ↓ 50.0" in {text.get_text() for text in digits.texts}


def test_a_linear_classifier_of_other_images_is_not_drawn() -> None:
    rows = study(("utkface",), 3, (1, 2), ("3",), KINDS, wide_ranks=())
    with look():
        (ax,) = rank_vs_accuracy.draw(selected(rows, known("utkface", 0.2, 0.84, 0.7, [5000]))).axes
    assert not any(text.get_text().startswith("linear") for text in ax.texts)


@pytest.mark.parametrize("score", [0.2, 0.03, 0.0])
def test_gains_against_alignment_are_inside_the_panel(score: float) -> None:
    """Alignments that differ by little, so much that the scale is logarithmic, or down to zero."""
    rows = study(("mnist", "cifar10"), 3, (2, 4), ("3",), wide_ranks=())
    with look():
        figure = alignment_figure.draw(selected(rows, noted("mnist", 0.3), noted("cifar10", score)))
        assert_all_inside(figure, 2 * 3)
    assert {ax.get_xlabel() for ax in figure.axes} == {"alignment (mean correlation)"}
    labels = {text.get_text() for text in figure.legends[0].get_texts()}
    assert {"locally connected", "LRLC, fixed", "LRLC, input-dependent"} <= labels


def test_gains_are_also_drawn_against_the_value_of_position() -> None:
    rows = study(("mnist", "cifar10", "utkface"), 3, (4,), ("3",), KINDS, wide_ranks=())
    faces = known("utkface", 0.2, 0.86, 0.70, [1000])
    photographs = known("cifar10", 0.02, 0.31, 0.39, [1000])
    with look():
        figure = alignment_figure.draw(selected(rows, faces, photographs, noted("mnist", 0.3)))
        assert_all_inside(figure, 2 * 3 + 2 * 2)
    by_alignment, by_position = figure.axes
    assert by_position.get_xlabel() == "value of position (points)"
    at = {
        round(float(line.get_xdata()[0]), 6)  # type: ignore[index]
        for line in by_position.lines
        if line.get_marker() not in ("None", "", None)
    }
    assert at == {16.0, -8.0}
    assert len(marks(by_alignment)) > len(marks(by_position))


def test_gains_and_accuracies_are_drawn_against_the_number_of_images() -> None:
    counts = (1000, 3000, 8000)
    rows = scaled(counts, (48, 24, 24))
    sets = known("cifar10", 0.02, 0.4, 0.4, counts), known("utkface", 0.2, 0.82, 0.7, counts)
    with look():
        figure = scaling.draw(selected(rows, *sets))
        assert_all_inside(figure, 2 * 3 * 5)
    above, below, faces, _ = figure.axes
    assert below.get_xscale() == "log"
    assert [label.get_text() for label in below.get_xticklabels()] == ["1,000", "3,000", "8,000"]
    assert below.get_xlabel() == "training images"
    gains = {
        count: [
            100 * ((ours.test_accuracy or 0) - (theirs.test_accuracy or 0))
            for ours in rows
            for theirs in rows
            if (ours.kind, theirs.kind) == ("lrlc", "conv")
            and ours.dataset == theirs.dataset == "cifar10"
            and (ours.seed, ours.train_images, count) == (theirs.seed, theirs.train_images, ours.train_images)
        ]
        for count in counts
    }
    means = [sum(values) / len(values) for values in gains.values()]
    assert any(line == pytest.approx(means) for line in lines_of(below, "-") if len(line) == 3)
    assert [82.0] * 3 in lines_of(faces, "--")
    assert "linear ↓ 40.0" in {text.get_text() for text in above.texts}
    assert "epochs 48 to 24 · 4 seeds, 10,000 test images" in {text.get_text() for text in above.texts}


def test_a_study_that_crosses_images_and_epochs_has_a_panel_for_each() -> None:
    rows = scaled((1000, 1000, 3000, 3000), (6, 12, 6, 12))
    with look():
        figure = scaling.draw(selected([row for row in rows if row.dataset == "cifar10"]))
        assert_all_inside(figure, 4)
    notes = {text.get_text().partition(" · ")[0] for ax in figure.axes[::2] for text in ax.texts}
    assert notes == {"epochs 6", "epochs 12", "images 1000", "images 3000"}
    assert {ax.get_xlabel() for ax in figure.axes[1::2]} == {"training images", "epochs"}


def test_a_single_number_of_images_and_epochs_gives_no_scaling_figure() -> None:
    with pytest.raises(NothingToDraw, match="two numbers of training images or epochs"):
        scaling.draw(selected(study(("mnist",), 2, (2,), ("3",))))


def test_the_report_has_a_table_of_the_data_sets(tmp_path: Path) -> None:
    store = Store(tmp_path / "s")
    store.commit(scaled((1000, 3000), (10, 10)))
    store.write_dataset(known("utkface", 0.1891, 0.862, 0.716, [1000, 3000]))
    limited = Baseline(1000, 10_000, 0.31, 500, 0.1, 0.39, 400, 16, 16)
    store.write_dataset(replace(noted("cifar10", 0.02), baselines=(limited,)))
    page = write_report(store, tmp_path / "report.html").read_text()
    photographs, more, faces, many = cells_of("Before training", page)
    assert faces == {
        "data set": "UTKFace",
        "label": "gender",
        "training images": "1,000",
        "test images": "10,000",
        "alignment": "0.189",
        "linear classifier, %": "86.2",
        "probe, %": "71.6",
        "value of position, points": "+14.6",
        "fitted to (linear / probe)": "",
    }
    assert many["training images"] == "3,000"
    assert (photographs["value of position, points"], photographs["fitted to (linear / probe)"]) == (
        "−8.0",
        "500 / 400",
    )
    assert (more["data set"], more["alignment"], more["linear classifier, %"]) == ("CIFAR-10", "0.020", "")


def test_without_summaries_the_report_has_no_such_table(tmp_path: Path) -> None:
    store = Store(tmp_path / "s")
    store.commit(scaled((1000,), (10,)))
    assert "Before training" not in write_report(store, tmp_path / "report.html").read_text()
