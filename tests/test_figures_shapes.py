"""Figures and reports of studies with unusual shapes: nothing is cut off, everything is distinguishable."""

import re
from base64 import b64decode
from dataclasses import dataclass, replace
from html import escape, unescape
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.axis import Axis, Tick
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.markers import CARETDOWN, CARETUP
from matplotlib.text import Text
from matplotlib.transforms import Bbox
from support.results_samples import noted
from support.shape_samples import PLUGINS, SHAPES, trial

from lrlc.results.claims import judge
from lrlc.results.figures import FIGURES, Selection, laid_out
from lrlc.results.figures.looks import kind_look
from lrlc.results.figures.style import COLUMN_INCHES, NOTE, TITLE, look
from lrlc.results.figures.words import LEGEND_POINTS
from lrlc.results.names import dataset_name, kind_name
from lrlc.results.report import Format, write_report
from lrlc.results.schema import TrialResult, TrialStatus, to_tables
from lrlc.results.statistics import LAYER_SETTINGS, TRAINING_SETTINGS
from lrlc.results.store import Store

WIDEST_INCHES, HIGHEST_INCHES = 7.2, 11.0
DRAWN = {
    "plugin_kinds_only": 5,
    "twelve_learning_rates": 7,
    "three_channels_of_options": 7,
    "two_objectives": 8,
    "names_that_are_markup": 8,
    "one_seed": 12,
    "failed_cells_only": 0,
    "very_long_names": 8,
    "perfect_accuracies_and_flat_weights": 8,
    "many_places_and_ranks": 7,
}
"""The number of figures that each study's rows allow."""


def selected(rows: list[TrialResult]) -> Selection:
    tables = {name: table.to_pandas() for name, table in to_tables(rows).items()}
    return Selection.of_frames(tables["trials"], tables["curves"], tables["weights"], measurements=tables)


def texts_of(figure: Figure) -> list[tuple[str, Bbox]]:
    """The texts of a figure and their positions; matplotlib keeps labels of ticks that it does not draw."""
    axes = [axis for ax in figure.axes for axis in (ax.xaxis, ax.yaxis)]
    kept = {id(label) for axis in axes for tick in _kept(axis) for label in (tick.label1, tick.label2)}
    texts = [text for text in figure.findobj(Text) if id(text) not in kept]
    texts += [label for axis in axes for label in tick_labels(axis)]
    return [
        (text.get_text(), text.get_window_extent())
        for text in texts
        if text.get_visible() and text.get_text().strip()
    ]


def _kept(axis: Axis) -> list[Tick]:
    return [*axis.majorTicks, *axis.minorTicks]  # type: ignore[attr-defined]


def tick_labels(axis: Axis) -> list[Text]:
    """The texts that are drawn."""
    labels = [tick.label1 for tick in axis._update_ticks()]  # type: ignore[attr-defined]
    return [label for label in labels if label.get_visible() and label.get_text() and axis.axes.axison]


def marks_of(ax: Axes) -> "np.ndarray[Any, np.dtype[np.float64]]":
    """The positions of marks and dots on the screen, (n, 2)."""
    lines = [
        line.get_transform().transform(line.get_xydata())
        for line in ax.lines
        if line.get_marker() not in ("None", "", None)
    ]
    dots = [
        each.get_offset_transform().transform(each.get_offsets())
        for each in ax.collections
        if len(each.get_offsets()) and type(each).__name__ == "PathCollection"
    ]
    found = np.concatenate([np.zeros((0, 2)), *lines, *dots])
    return found[~np.isnan(found).any(axis=1)]


def check_size(figure: Figure) -> None:
    width, height = figure.get_size_inches()
    assert width <= WIDEST_INCHES
    assert height <= HIGHEST_INCHES


def check_nothing_is_cut(figure: Figure) -> None:
    edges = figure.bbox
    for text, box in texts_of(figure):
        assert "mathdefault" not in text
        assert min(box.x0 - edges.x0, box.y0 - edges.y0) >= -1, text
        assert max(box.x1 - edges.x1, box.y1 - edges.y1) <= 1, text


def check_points_are_inside(figure: Figure) -> None:
    for ax in figure.axes:
        box, points = ax.get_window_extent(), marks_of(ax)
        slack = 3.0 * figure.dpi / 72  # kinds are shifted apart by this many points
        assert (points >= [box.x0 - slack, box.y0 - 1]).all(), ax.get_title(loc="left")
        assert (points <= [box.x1 + slack, box.y1 + 1]).all(), ax.get_title(loc="left")


def check_accuracies_are_possible(figure: Figure) -> None:
    for ax in figure.axes:
        if "accuracy (%)" in ax.get_ylabel():
            low, high = ax.get_ylim()
            assert low >= 0
            assert high <= 100


def check_titles_stand_apart(figure: Figure) -> None:
    """Titles, notes and horizontal axis labels of adjacent panels do not overlap."""
    boxes = []
    for ax in figure.axes:
        written = [ax._left_title, ax.xaxis.label, *ax.texts[:1]]  # type: ignore[attr-defined]
        boxes += [(ax, text.get_window_extent()) for text in written if text.get_text()]
    for number, (ax, box) in enumerate(boxes):
        for other, other_box in boxes[number + 1 :]:
            assert ax is other or not _meet(box, other_box), (ax.get_title(loc="left"), other.get_xlabel())


def _meet(one: Bbox, other: Bbox) -> bool:
    slack = 1.0
    return (
        min(one.x1, other.x1) - max(one.x0, other.x0) > slack
        and min(one.y1, other.y1) - max(one.y0, other.y0) > slack
    )


def check_ticks_stand_apart(figure: Figure) -> None:
    for ax in figure.axes:
        shown = tick_labels(ax.xaxis)
        boxes = sorted((each.get_window_extent() for each in shown), key=lambda box: box.x0)
        for left, right in pairwise(boxes):
            assert right.x0 >= left.x1 - 1, [each.get_text() for each in shown]


def check_legend_tells_all_apart(figure: Figure) -> None:
    """No two names and no two looks are the same."""
    for legend in figure.legends:
        lines = [each for each in legend.legend_handles if isinstance(each, Line2D)]
        names = [text.get_text() for text in legend.get_texts() if text.get_text().strip()]
        looks = [
            _look(line)
            for line, text in zip(lines, legend.get_texts(), strict=True)
            if text.get_text().strip()
        ]
        assert len(set(names)) == len(names)
        assert len(set(looks)) == len(looks), names


def _look(line: Line2D) -> tuple[str, ...]:
    looks = (
        line.get_color(),
        line.get_marker(),
        line.get_linestyle(),
        line.get_fillstyle(),
        line._dash_pattern,
    )  # type: ignore[attr-defined]
    return tuple(map(str, (*looks, line.get_markeredgecolor(), line.get_markerfacecolor())))


CHECKS = (
    check_size,
    check_nothing_is_cut,
    check_points_are_inside,
    check_accuracies_are_possible,
    check_titles_stand_apart,
    check_ticks_stand_apart,
    check_legend_tells_all_apart,
)


@dataclass(frozen=True)
class Drawn:
    """A study with an unusual shape, its report, and its figures as laid out."""

    name: str
    store: Store
    page: str
    figures: dict[str, Figure]


@pytest.fixture(
    scope="module", params=[pytest.param(name, marks=pytest.mark.xdist_group(name)) for name in SHAPES]
)
def drawn(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Drawn:
    """The studies, drawn once for the tests of their figures and reports."""
    folder, figures = tmp_path_factory.mktemp(request.param), dict[str, Figure]()

    def keep(name: str, selection: Selection) -> Figure:
        figures[name] = laid_out(name, selection)
        return figures[name]

    store = SHAPES[request.param]().store(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("lrlc.results.figures.laid_out", keep)
        page = write_report(store, folder / "report.html", verdicts=judge(store)).read_text()
    return Drawn(request.param, store, page, figures)


@pytest.mark.proof
def test_figures_fit_studies_of_any_shape(drawn: Drawn) -> None:
    wrong = []
    with look(Selection.of(drawn.store).kinds):
        for figure_name, figure in drawn.figures.items():
            figure.draw_without_rendering()
            for check in CHECKS:
                try:
                    check(figure)
                except AssertionError as error:
                    wrong.append(f"{figure_name}: {check.__name__}: {str(error).splitlines()[0]}")
    assert not wrong, "\n".join(wrong)
    assert len(drawn.figures) == DRAWN[drawn.name]


@pytest.mark.proof
def test_the_report_of_such_a_study_shows_every_figure_and_no_script_of_its_own(drawn: Drawn) -> None:
    images = re.findall(r'src="data:image/svg\+xml;base64,([^"]+)"', drawn.page)
    assert len(images) == DRAWN[drawn.name]
    heights = [float(re.findall(rb'height="([0-9.]+)pt"', b64decode(image))[0]) for image in images]
    assert all(height <= 72 * HIGHEST_INCHES for height in heights)
    lacking = re.findall(r"Not drawn: ([a-z ]+) \(", drawn.page)
    assert len(images) + len(lacking) == len(FIGURES)
    assert "<script>" not in drawn.page.partition("</header>")[0]


@pytest.mark.proof
def test_the_report_of_such_a_study_names_everything_and_has_a_line_for_each_cell(drawn: Drawn) -> None:
    rows, tables = drawn.store.trials(), tables_of(drawn.page)
    finished = rows[rows["status"] == TrialStatus.FINISHED]
    for dataset, of_dataset in finished.groupby("dataset"):
        named = dataset_name(str(dataset))
        lines = [
            line
            for caption, found in tables
            if caption == named or caption.startswith(f"{named} (")
            for line in found
        ]
        cells = of_dataset.groupby([*LAYER_SETTINGS, *TRAINING_SETTINGS], dropna=False)
        seeds = [line["seeds"] for line in lines if "test accuracy, % (95% interval)" in line]
        assert len(seeds) == cells.ngroups, named
        assert sum(map(int, seeds)) == len(of_dataset)
    for kind in rows["kind"].unique():
        assert escape(kind_name(kind)) in drawn.page


@pytest.mark.proof
def test_no_table_of_such_a_report_is_empty(drawn: Drawn) -> None:
    assert tables_of(drawn.page)
    for caption, lines in tables_of(drawn.page):
        assert lines, caption
        for name in lines[0]:
            column = [line[name] for line in lines]
            assert name == "error" or any(column), f"{caption}: nothing in {name}"
            wrong = [text for text in column if re.search(r"\b(nan|None|inf)\b", text)]
            assert not wrong or name == "trial id", (caption, name)


def tables_of(page: str) -> list[tuple[str, list[dict[str, str]]]]:
    """The caption of each table of a report, and its rows by header."""
    found = []
    for table in re.findall(r'<div class="table">\n<h3[^>]*>(.*?)</table>', page, re.DOTALL):
        header, *body = [re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row) for row in table.split("<tr>")[1:]]
        lines = [[unescape(re.sub(r"</?span[^>]*>", "", cell)) for cell in row] for row in body]
        caption = unescape(table.partition("</h3>")[0])
        found.append((caption, [dict(zip(map(unescape, header), line, strict=True)) for line in lines]))
    return found


def test_a_report_with_only_failures_says_so(tmp_path: Path) -> None:
    store = SHAPES["failed_cells_only"]().store(tmp_path)
    assert "none of its 3 trials has finished" in write_report(store, tmp_path / "report.html").read_text()
    text = write_report(store, tmp_path / "report.md", form=Format.MARKDOWN).read_text()
    assert "out of memory" in text


def test_characters_missing_from_the_font_are_readable_in_figures_and_unchanged_in_reports(
    tmp_path: Path,
) -> None:
    rows = [trial("数据 🚀", 2, "3", seed) for seed in range(2)] + [trial(seed=seed) for seed in range(2)]
    with look():
        names = {text for text, _ in texts_of(laid_out("differences", selected(rows)))}
    assert "\\u6570\\u636e [rocket] (3)" in names
    store = Store(tmp_path / "s")
    store.commit([replace(rows[0], status=TrialStatus.FAILED, error="bell \a, \x1b]0;title\a 数据")])
    page = write_report(store, tmp_path / "report.html").read_text()
    assert "bell \\x07, \\x1b]0;title\\x07 数据" in page


def test_a_note_without_room_wraps_and_loses_nothing(
    tmp_path: Path,
) -> None:
    selection = Selection.of(SHAPES["twelve_learning_rates"]().store(tmp_path))
    with look(selection.kinds):
        figure = laid_out("test_shift", selection)
        notes = [text.get_text() for ax in figure.axes for text in ax.texts if text.get_gid() == NOTE]
    rates = {note.partition("learning rate ")[2].split()[0] for note in notes if "learning rate" in note}
    assert rates == {f"{0.4 / 2**number:.10g}" for number in range(12)}


def test_titles_side_by_side_are_at_one_height_whatever_their_notes_need() -> None:
    selection = Selection.of(Store(Path(__file__).parent.parent / "results/reference/trained_16px"))
    with look(selection.kinds):
        figure = laid_out("learning_curves", selection)
        figure.draw_without_rendering()
    titles = [text for text in figure.findobj(Text) if text.get_gid() == TITLE and text.get_text()]
    notes = [text.get_text() for text in figure.findobj(Text) if text.get_gid() == NOTE]
    assert len(titles) == 3
    assert len({round(title.get_window_extent().y0, 3) for title in titles}) == 1
    assert len({len(note.rstrip().splitlines()) for note in notes}) > 1


def test_kinds_from_plugins_have_their_own_markers_in_every_figure() -> None:
    everything = [*PLUGINS, "conv", "lrlc", *(f"more_{number}" for number in range(8))]
    with look(everything):
        looks = {kind: kind_look(kind) for kind in everything}
        assert len({each.marker for each in looks.values()}) == len(everything)
        assert kind_look("conv").marker == "s"
    with look(reversed(everything)):
        assert {kind: kind_look(kind) for kind in everything} == looks


@pytest.mark.parametrize(
    ("shape", "name", "inches"),
    [
        ("twelve_learning_rates", "rank_vs_accuracy", COLUMN_INCHES),
        ("very_long_names", "differences", COLUMN_INCHES),
        ("many_places_and_ranks", "differences", 20.0),
    ],
)
def test_panels_stay_legible_at_a_given_width(shape: str, name: str, inches: float, tmp_path: Path) -> None:
    selection = Selection.of(SHAPES[shape]().store(tmp_path))
    with look(selection.kinds, inches):
        figure = laid_out(name, selection)
        figure.draw_without_rendering()
        for check in CHECKS[1:]:
            check(figure)
    assert figure.get_figwidth() == pytest.approx(inches)
    boxes = [ax.get_window_extent() for ax in figure.axes]
    assert min(min(box.height, box.width) for box in boxes) > figure.dpi / 2


def test_intervals_that_are_cut_end_in_arrowheads() -> None:
    rows = [trial(seed=seed, accuracy=0.8) for seed in range(2)]
    rows += [trial("lrlc", rank, "3", seed, accuracy=0.7 + seed / 10) for rank in (2, 4) for seed in range(2)]
    with look():
        (ax,) = laid_out("rank_vs_accuracy", selected(rows)).axes
        arrows = [line for line in ax.lines if line.get_marker() in (CARETUP, CARETDOWN)]
        low, high = ax.get_ylim()
    # For 70 and 80%, a t interval over two seeds reaches from 11% to beyond 100%, which is impossible.
    assert {line.get_marker() for line in arrows} == {CARETDOWN} or high < 100
    assert sorted({float(line.get_ydata()[0]) for line in arrows})[0] == low  # type: ignore[index]
    assert len([line for line in arrows if line.get_marker() == CARETDOWN]) == 2


def test_layers_that_differ_by_options_have_their_own_strokes_and_names() -> None:
    with look():
        figure = laid_out("rank_vs_accuracy", selected(SHAPES["three_channels_of_options"]().rows))
    (ax,) = figure.axes
    (legend,) = figure.legends
    names = {text.get_text() for text in legend.get_texts()}
    assert "LRLC, fixed, normalize l2, share none, start he" in names
    periods = [sum(handle._dash_pattern[1] or ()) for handle in legend.legend_handles]  # type: ignore[union-attr]
    assert 2 * max(periods) <= legend.handlelength * LEGEND_POINTS, "a handle shows its pattern of dashes"
    lines = [line for line in ax.lines if line.get_marker() == "^"]
    assert len({(str(line._dash_pattern), line.get_fillstyle()) for line in lines}) == len(lines) == 8  # type: ignore[attr-defined]
    bands = {text.get_text() for text in ax.texts}
    assert {"local (3)", "local (3, start keras)"} <= {band.partition(" ↓")[0] for band in bands}


def test_the_front_is_drawn_in_steps_with_intervals_and_names_kinds() -> None:
    rows = [trial(seed=seed, accuracy=0.7) for seed in range(3)]
    rows += [
        trial("lrlc", rank, "3", seed, accuracy=0.7 + rank / 50) for rank in (1, 2, 4) for seed in range(3)
    ]
    with look():
        above, _ = laid_out("pareto", selected(rows)).axes
    (front,) = [line for line in above.lines if line.get_drawstyle() == "steps-post"]
    assert (
        len(front.get_xdata()) == 3 + 1
    )  # rank 1 is equivalent to a convolution; the last step extends to the edge
    assert len([each for each in above.collections if type(each).__name__ == "LineCollection"]) == 3
    assert {"LRLC rank 4, layer 3", "conv"} <= {text.get_text() for text in above.texts}


def test_combining_weights_that_hardly_moved_look_so_and_are_named() -> None:
    with look():
        figure = laid_out("combining_weights", selected(SHAPES["perfect_accuracies_and_flat_weights"]().rows))
    maps = [image for ax in figure.axes for image in ax.images if image.get_cmap().name == "PuOr"]
    norms = {(image.norm.vmin, image.norm.vcenter, image.norm.vmax) for image in maps}  # type: ignore[attr-defined]
    assert norms == {(0.0, 1.0, 2.0)}
    shown = np.concatenate([np.asarray(image.get_array()).ravel() for image in maps])
    assert shown.min() == pytest.approx(2 * 0.492)
    assert shown.max() == pytest.approx(2 * 0.508)
    assert any("rank 2, seed 0" in ax.get_ylabel() for ax in figure.axes)


def test_a_search_shows_each_of_its_objectives(tmp_path: Path) -> None:
    selection = Selection.of(SHAPES["two_objectives"]().store(tmp_path))
    with look(selection.kinds):
        figure = laid_out("search_history", selection)
    assert [ax.get_ylabel() for ax in figure.axes] == ["validation accuracy (%)", "parameters"]
    falling = figure.axes[1].lines[0].get_ydata()
    assert (np.diff(np.asarray(falling, dtype=float)) <= 0).all()


def test_the_best_layer_is_on_the_panel_even_if_far_above_the_others() -> None:
    rows = [trial(seed=seed, accuracy=0.6) for seed in range(3)]
    rows += [trial("coord_conv", None, "1", seed, accuracy=0.95) for seed in range(3)]
    rows += [trial("lrlc", rank, "3", seed, accuracy=0.61) for rank in (2, 4) for seed in range(3)]
    with look():
        (ax,) = laid_out("rank_vs_accuracy", selected(rows)).axes
    low, high = ax.get_ylim()
    assert low < 60 < 95 < high
    assert not any("↑" in text.get_text() for text in ax.texts)


def test_gains_against_alignment_name_the_seeds_that_report() -> None:
    rows = [
        trial(kind, rank, "3" if rank else "", seed, dataset=name)
        for name in ("mnist", "cifar10")
        for kind, rank in (("conv", None), ("lrlc", 2), ("lrlc", 4))
        for seed in range(8)
    ]
    tables = {name: table.to_pandas() for name, table in to_tables(rows).items()}
    known = {"mnist": noted("mnist", 0.3), "cifar10": noted("cifar10", 0.2)}
    selection = Selection.of_frames(tables["trials"], tables["curves"], tables["weights"], known)
    with look():
        gains, ranks = laid_out("alignment", selection).axes
    assert "5 seeds (3 to 7)" in {text.get_text() for text in gains.texts}
    assert "8 seeds" in {text.get_text() for text in ranks.texts}
