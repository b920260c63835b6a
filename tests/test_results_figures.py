"""Figures: made from tables alone, deterministic, and honest about missing data."""

import math
import os
import re
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest
from matplotlib.text import Text
from scipy import stats
from support.report_samples import small_store
from support.results_samples import measured, noted, result, searched, study, translated, tuned

from lrlc.results.export import export_tables
from lrlc.results.figures import FIGURES, NothingToDraw, Selection, draw_all, laid_out, render
from lrlc.results.figures.looks import kind_colour
from lrlc.results.figures.style import look, spread
from lrlc.results.importance import Importance
from lrlc.results.schema import SCHEMAS, TrialResult, WeightMap, to_tables
from lrlc.results.statistics import binomial_sd, paired_difference, summarise
from lrlc.results.store import Store, StoreError

SMALL = {"datasets": ("mnist", "utkface"), "seeds": 3, "ranks": (1, 2, 4), "placements": ("3", "1+2+3")}
IMPORTANCE = [
    Importance("validation_accuracy", "maximize", 30, {"kind": 0.6, "rank": 0.4}),
    Importance("parameters", "minimize", 30, {"rank": 0.9, "kind": 0.1}),
]
TINY = {"datasets": ("mnist",), "seeds": 3, "ranks": (1, 2), "placements": ("3",)}


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return small_store(tmp_path_factory.mktemp("runs"))


@pytest.fixture(scope="module")
def full_store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """Rows for every figure."""
    store = small_store(tmp_path_factory.mktemp("full"))
    rows = measured(study(("utkface",), 3, (2, 4), ("1", "3"))) + translated()
    more = [
        replace(row, trial_id=f"{count}{row.trial_id}", dataset="fashion_mnist", train_images=count)
        for row in study(("mnist",), 3, (2,), ("3",), wide_ranks=())
        for count in (1000, 3000)
    ]
    hunted = [replace(row, trial_id=f"s{row.trial_id}", dataset="digits") for row in searched()]
    store.commit([*rows, *more, *hunted])
    store.write_importance(IMPORTANCE, "smoke")
    store.write_tuning([tuned("mnist", "conv", 0.1), tuned("mnist", "lrlc", 0.4)], "smoke")
    for score, title in enumerate(store.trials(["dataset"])["dataset"].unique()):
        store.write_dataset(noted(title, score / 10))
    store.write_plan("smoke", store.trials()["trial_id"].tolist())
    return store


def selected(rows: list[TrialResult], importance: Sequence[Importance] = ()) -> Selection:
    tables = {name: table.to_pandas() for name, table in to_tables(rows).items()}
    return Selection.of_frames(
        tables["trials"], tables["curves"], tables["weights"], importance=importance, measurements=tables
    )


def frames(**chosen: object) -> Selection:
    return selected(study(**chosen))  # type: ignore[arg-type]


def test_importing_results_is_quick_and_brings_nothing_heavy() -> None:
    code = (
        "import sys\nfrom lrlc.results import export, figures, report, statistics, store\n"
        "print(*{'torch', 'ray', 'optuna', 'scipy', 'matplotlib', 'seaborn'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


def test_every_figure_is_drawn_and_deterministic(full_store: Store, tmp_path: Path) -> None:
    formats = ("png", "svg")
    first = draw_all(full_store, tmp_path / "first", formats)
    assert first.skipped == {}
    assert {path.name for path in first.paths} == {f"{name}.{ext}" for name in FIGURES for ext in formats}
    draw_all(full_store, tmp_path / "first", ("pdf",), only=("pareto",))  # a PDF takes the longest
    code = (
        "import sys; from pathlib import Path; "
        "from lrlc.results.store import Store; from lrlc.results.figures import draw_all;"
        "store, out = map(Path, sys.argv[1:]); draw_all(Store(store), out, ('png', 'svg'));"
        "draw_all(Store(store), out, ('pdf',), only=('pareto',))"
    )
    folder = tmp_path / "again"
    subprocess.run(
        [sys.executable, "-c", code, str(full_store.root), folder], check=True, env={"PYTHONHASHSEED": "7"}
    )
    again = sorted(folder.iterdir())
    assert len(again) == 2 * len(FIGURES) + 1
    different = [
        path.name for path in again if path.read_bytes() != (tmp_path / "first" / path.name).read_bytes()
    ]
    assert different == []


def test_the_rank_figure_has_a_panel_per_data_set_and_names_its_baselines() -> None:
    from lrlc.results.figures import rank_vs_accuracy

    rows = study(**SMALL)  # type: ignore[arg-type]
    shuffled = [
        replace(row, trial_id=f"{row.trial_id}s", dataset=f"{row.dataset}+shuffled")
        for row in rows
        if (row.kind, row.rank) == ("lrlc", 4)
    ]
    with look():
        figure = rank_vs_accuracy.draw(selected([*rows, *shuffled]))
    titles = [ax.get_title(loc="left").strip() for ax in figure.axes]
    assert titles == ["MNIST", "UTKFace"]
    for ax in figure.axes:
        texts = [text.get_text() for text in ax.texts]
        assert "3 seeds, 10,000 test images" in texts
        assert any(text.startswith("conv") for text in texts)
        assert any(text.startswith("CoordConv (1)") for text in texts)
        assert any(text.startswith("local (3)") for text in texts)
        assert [int(tick) for tick in ax.get_xticks()] == [1, 2, 4, 7]  # 7: the widest matched convolution
    (legend,) = figure.legends
    labels = {text.get_text() for text in legend.get_texts()}
    assert {"layer 3", "layers 1+2+3", "LRLC, fixed", "LRLC, input-dependent", "wide convolution"} <= labels


def test_a_wide_convolution_matched_at_one_rank_is_a_band() -> None:
    from lrlc.results.figures import rank_vs_accuracy

    with look():
        figure = rank_vs_accuracy.draw(frames(**{**TINY, "wide_ranks": (4,)}))
    assert any(text.get_text().startswith("wide conv (3, as rank 4)") for text in figure.axes[0].texts)
    assert "wide convolution" not in {text.get_text() for text in figure.legends[0].get_texts()}


@pytest.mark.parametrize("seeds", [1, 2])
def test_few_seeds_are_drawn(seeds: int, tmp_path: Path) -> None:
    selection = frames(**{**TINY, "seeds": seeds})
    drawn = draw_all(selection, tmp_path, ["png"])
    assert set(drawn.skipped) == {
        "translated",
        "scaling",
        "placement_rank",
        "alignment",
        "search_history",
        "search_importance",
        "tuning",
        "effective_rank",
        "test_shift",
    }
    dial = study(("utkface",), seeds, (2,), ("1", "3")) + translated(seeds=seeds)
    drawn = draw_all(selected(dial), tmp_path, ["png"], only=["translated"])
    assert [path.name for path in drawn.paths] == ["translated.png"]


def test_figures_without_data_say_so(tmp_path: Path) -> None:
    conv_alone = frames(datasets=["mnist"], seeds=2, ranks=(), wide_ranks=(), local_placements=())
    drawn = draw_all(conv_alone, tmp_path, ["svg"])
    assert drawn.skipped["rank_vs_accuracy"] == "no trial of a layer with a rank has finished"
    assert "combining weights" in drawn.skipped["combining_weights"]
    assert {path.stem for path in drawn.paths} == set(FIGURES) - set(drawn.skipped)
    nothing = draw_all(Store(tmp_path / "none"), tmp_path, ["svg"])
    assert set(nothing.skipped) == set(FIGURES)
    assert set(nothing.skipped.values()) == {"no trial has a row yet"}


def test_gains_along_a_translation_are_paired_and_named() -> None:
    from lrlc.results.figures import translated as figure

    rows = [row for row in study(("utkface",), 3, (2, 4), ("3",)) if row.kind != "coord_conv"]
    with look():
        above, below = figure.draw(selected(rows + translated())).axes
    shown = [line for line in above.lines if line.get_marker() == "o"]
    (fixed,) = shown
    conv, lrlc = (
        {
            row.seed: row.test_accuracy
            for row in translated((8,))
            if row.kind == kind and row.rank in (None, 2)
        }
        for kind in ("conv", "lrlc")
    )
    rank_2 = sum(100 * (lrlc[seed] - conv[seed]) for seed in conv) / 3  # type: ignore[operator]
    heights = list(fixed.get_ydata())
    assert heights[0] > heights[1] > heights[2]
    assert heights[2] == pytest.approx(rank_2, abs=0.5)
    assert [label.get_text() for label in below.get_xticklabels()] == ["0", "2", "8"]
    # Unshifted, a seed chooses between ranks 2 and 4 and does not report.
    assert [text.get_text() for text in above.texts] == ["2 to 3 seeds, 10,000 test images"]


def forest(rows: list[TrialResult]) -> tuple[dict[str, float], list[str]]:
    """Means by the name of a line in the forest plot, and all texts beside it."""
    from lrlc.results.figures import differences

    with look():
        (ax,) = differences.draw(selected(rows)).axes
    names = [label.get_text() for label in ax.get_yticklabels()]
    means = [line for line in ax.lines if line.get_marker() in list("ovsDP^")]
    found = {names[int(line.get_ydata()[0])]: float(line.get_xdata()[0]) for line in means}  # type: ignore[index]
    return found, [text.get_text() for text in ax.texts]


def test_the_forest_plot_has_lrlc_beside_a_wide_convolution_with_as_many_parameters() -> None:
    rows = study(("utkface",), 8, (1, 2, 4), ("3",), ("lrlc",), wide_ranks=(2, 4, 7))
    found, texts = forest(rows)
    assert (
        texts.count("rank 4*, 186 k") == 2
    )  # LRLC as the first three seeds chose it, and the wide one of its rank
    assert "5 to 8 seeds, 10,000 test images, * seeds 3 to 7" in texts
    by_kind = {(row.kind, row.rank, row.seed): 100 * (row.test_accuracy or 0) for row in rows}
    for name, kind in (("LRLC (3)", "lrlc"), ("wide conv (3)", "wide_conv")):
        gains = [by_kind[kind, 4, seed] - by_kind["conv", None, seed] for seed in range(3, 8)]
        assert found[name] == pytest.approx(sum(gains) / 5)


def test_layers_far_from_the_others_are_numbers_at_the_edge_of_the_forest_plot() -> None:
    rows = study(("cifar10",), 5, (2, 4), ("3",), local_placements=("1", "3"))
    near, texts = forest(rows)
    assert not [text for text in texts if "←" in text]
    local = [row for row in rows if row.kind == "locally_connected"]
    worse = [replace(row, test_accuracy=(row.test_accuracy or 0) - 0.2) for row in local]
    far, texts = forest([row for row in rows if row not in local] + worse)
    assert near.keys() - far.keys() == {"local (1)", "local (3)"}
    assert {text for text in texts if "←" in text} == {
        f"← −{20 - near[name]:.1f}" for name in ("local (1)", "local (3)")
    }


def test_the_forest_plot_leaves_rank_1_out_only_of_lines_with_other_ranks() -> None:
    rows = study(("utkface",), 3, (1, 2), ("3",), ("lrlc",), wide_ranks=())
    others = [
        replace(row, trial_id=f"{row.trial_id}r", kind="relaxed_conv")
        for row in rows
        if (row.kind, row.rank) == ("lrlc", 1)
    ]
    _, texts = forest(rows + others)
    ranks = [text.partition(",")[0] for text in texts if text.startswith("rank")]
    assert sorted(ranks) == ["rank 1", "rank 2"]  # of the relaxed convolution and of LRLC


def test_settings_without_a_usual_value_are_named_in_every_figure(tmp_path: Path) -> None:
    rows = study(("mnist",), 3, (2,), ("3",), ("lrlc",), wide_ranks=())
    averaged = [
        replace(row, trial_id=f"{row.trial_id}{ema}", ema=ema, gradient_clipping=2 * ema)
        for ema in (0.5, 0.9)
        for row in rows
    ]
    from lrlc.results.figures import pareto

    with look():
        figure = pareto.draw(selected(averaged))
    assert any("gradient clipping 1.8, EMA 0.9" in text.get_text() for text in figure.findobj(Text))
    store = Store(tmp_path / "s")
    store.commit(averaged)
    assert "pareto" in {path.stem for path in draw_all(store, tmp_path / "figures", ["svg"]).paths}


def test_lines_of_the_forest_plot_that_differ_by_an_option_are_distinguishable() -> None:
    rows = study(("utkface",), 3, (2,), ("3",), ("lrlc",), wide_ranks=())
    shared = [replace(row, trial_id=f"{row.trial_id}s", options='{"share": "rows"}') for row in rows]
    found, _ = forest(rows + [row for row in shared if row.kind == "lrlc"])
    assert {"LRLC (3)", "LRLC (3, share rows)"} <= set(found)


def test_losses_that_hardly_fall_have_several_labels() -> None:
    rows = [
        replace(row, curve=tuple(replace(each, train_loss=0.9 - each.epoch / 20) for each in row.curve))
        for row in study(("mnist",), 2, (2,), ("3",), wide_ranks=())
    ]
    with look():
        figure = laid_out("learning_curves", selected(rows))
        figure.draw_without_rendering()
        low, high = figure.axes[0].get_ylim()
        labels = [each for each in figure.axes[0].get_yticks() if low <= each <= high]
    assert high < 4 * low
    assert len(labels) >= 3


def test_many_ways_of_training_have_curves_and_a_legend_that_fits() -> None:
    from lrlc.results.figures import alignment, learning_curves

    rows = study(("mnist", "cifar10", "utkface"), 1, (2,), ("3",), wide_ranks=())
    rates = [
        replace(row, trial_id=f"{row.trial_id}{rate}", learning_rate=rate)
        for row in rows
        for rate in (0.1, 0.2, 0.4)
    ]
    known = {
        name: noted(name, score) for name, score in (("mnist", 0.3), ("cifar10", 0.02), ("utkface", 0.2))
    }
    tables = {name: table.to_pandas() for name, table in to_tables(rates).items()}
    selection = Selection.of_frames(tables["trials"], tables["curves"], tables["weights"], known)
    with look():
        curves = learning_curves.draw(selection)
        assert len(curves.axes) == 2 * 9
        curves.draw_without_rendering()
        assert min(ax.get_window_extent().width for ax in curves.axes) > 100
        drawn = alignment.draw(selection)
        drawn.draw_without_rendering()
    (legend,) = drawn.legends
    marks = [handle.get_marker() for handle in legend.legend_handles if handle.get_marker() != "None"]  # type: ignore[union-attr]
    assert len(set(marks)) == 9  # no two data sets share one
    box = legend.get_window_extent()
    assert box.x0 >= 0
    assert box.x1 <= drawn.bbox.width


def test_kinds_with_one_rank_are_distinguished_by_their_marks() -> None:
    from lrlc.results.figures import rank_vs_accuracy

    with look():
        figure = rank_vs_accuracy.draw(frames(**{**TINY, "ranks": (4,), "wide_ranks": ()}))
    fills = {line.get_fillstyle() for line in figure.axes[0].lines if line.get_marker() == "^"}
    assert fills == {"full", "left"}


def test_the_heat_map_marks_differences_whose_interval_excludes_0() -> None:
    from lrlc.results.figures import placement_rank

    rows = study(("utkface",), 5, (1, 2, 7), ("1", "3"), ("lrlc",))
    with look():
        ax, _ = placement_rank.draw(selected(rows)).axes
    frame = to_tables(rows)["trials"].to_pandas()
    conv = frame[frame["kind"] == "conv"]
    numbers = [text for text in ax.texts if text.get_text()[0] in "+−"]
    assert len(numbers) == 6
    for text in numbers:
        column, row = text.get_position()
        cell = frame[(frame["kind"] == "lrlc") & (frame["placement"] == ("1", "3")[int(row)])]
        found = paired_difference(cell[cell["rank"] == (1, 2, 7)[int(column)]], conv).scaled(100)
        assert float(text.get_text().replace("−", "-")) == pytest.approx(found.mean, abs=0.051)
        assert (text.get_fontweight() == "bold") == (found.low > 0 or found.high < 0)
    assert {text.get_fontweight() for text in numbers} == {"bold", "normal"}


def test_each_of_many_data_sets_has_its_maps() -> None:
    from lrlc.results.figures import combining_weights_by_image

    few = study(("mnist",), 1, (2,), ("3",))
    rows = [
        replace(row, trial_id=f"{row.trial_id}{n}", dataset=f"mnist+t{n}") for row in few for n in range(1, 8)
    ]
    with look():
        drawn = combining_weights_by_image.draw(selected(rows))
    named = sorted(label for ax in drawn.axes if (label := ax.get_ylabel()))
    assert named == [f"MNIST\nshifted ≤ {n} px\nrank 2, seed 0\nimage 1" for n in range(1, 8)]


def test_maps_of_a_place_with_several_layers_are_named_by_their_modules() -> None:
    """As for a stage of a ResNet; if each place has one layer, it is named by its place."""
    from lrlc.results.figures import combining_weights

    def labels(placement: str, *modules: str) -> list[str]:
        maps = [WeightMap(name, bank, None, 2, 2, (0.5,) * 4) for name in modules for bank in (0, 1)]
        row = result(dataset="mnist", rank=2, placement=placement, weights=tuple(maps))
        with look():
            axes = combining_weights.draw(selected([row])).axes
        return [text.splitlines()[-1] for ax in axes if (text := ax.get_ylabel())]

    assert labels("1+3", "layer1", "layer3") == ["layer 1", "layer 3"]
    assert labels("2", "stage2.0.first", "stage2.0.second") == ["stage2.0.first", "stage2.0.second"]


def test_a_search_is_shown_in_its_order() -> None:
    from lrlc.results.figures import search_history

    rows = searched()
    with look():
        (ax,) = search_history.draw(selected(rows)).axes
    means: dict[int, float] = {}
    for row in rows:
        if row.search_number:  # the first lost a seed
            means[row.search_number] = means.get(row.search_number, 0.0) + 50 * (row.validation_accuracy or 0)
    steps = list(ax.lines[0].get_ydata())
    assert steps[:-1] == pytest.approx([max(list(means.values())[: n + 1]) for n in range(len(means))])
    assert any("1 not complete" in text.get_text() for text in ax.texts)


def test_importances_are_drawn_for_each_measured_objective() -> None:
    from lrlc.results.figures import search_importance

    loss = Importance("validation_loss", "minimize", 30, {"rank": 0.9, "kind": 0.1})
    with look():
        first, second = search_importance.draw(selected(searched(), [*IMPORTANCE, loss])).axes
    assert [label.get_text() for label in first.get_yticklabels()] == ["rank", "kind"]  # from below
    assert [[bar.get_width() for bar in ax.patches] for ax in (first, second)] == [[40, 60], [90, 10]]
    with pytest.raises(NothingToDraw, match="counted, not measured"):
        search_importance.draw(selected(searched(), IMPORTANCE[1:]))


def test_the_pilots_choices_are_marked_and_edges_pointed_out() -> None:
    from lrlc.results.figures import tuning

    conv, lrlc = tuned("mnist", "conv", 0.1), tuned("mnist", "lrlc", 0.4, diverged=(0.05,))
    empty = pd.DataFrame({"trial_id": ["a"]})
    with look():
        (ax,) = tuning.draw(Selection.of_frames(empty, empty, empty, tuning=[conv, lrlc])).axes
    assert [label.get_text() for label in ax.get_xticklabels()] == ["0.05", "0.1", "0.2", "0.4"]
    drawn = [line.get_ydata() for line in ax.lines]
    for heights, of_kind in zip(drawn, (conv, lrlc), strict=True):
        assert heights == pytest.approx([100 * each.mean for each in of_kind.tried], nan_ok=True)
    texts = [text.get_text() for text in ax.texts]
    assert texts.count("→") == 1
    assert "2 pilot seeds, 1 choice at the edge" in texts


def test_figures_are_chosen_by_name(store: Store, tmp_path: Path) -> None:
    drawn = draw_all(store, tmp_path, ["pdf"], only=["pareto", "translated"])
    assert [path.name for path in drawn.paths] == ["pareto.pdf"]
    assert set(drawn.skipped) == {"translated"}
    with pytest.raises(StoreError, match=r"unknown figure 'parto'; did you mean 'pareto'\?"):
        draw_all(store, tmp_path, only=["parto"])


NOT_IN_THE_REFERENCE = {"scaling"}
"""Figures without rows in results/reference, which the gallery describes without an image."""


def test_the_gallery_shows_every_figure() -> None:
    docs = Path(__file__).parent.parent / "docs"
    page = (docs / "gallery.md").read_text()
    assert set(re.findall(r"### (\w+)\n\n    lrlc plot \w+ --only \1\n", page)) == set(FIGURES)
    shown = re.findall(r"### (\w+)\n\n    lrlc plot \w+ --only (\w+)\n\n!\[[^]]+\]\((images/\S+)\)", page)
    assert {name for name, _, _ in shown} == set(FIGURES) - NOT_IN_THE_REFERENCE
    for name, drawn, image in shown:
        assert name == drawn
        assert (docs / image).stat().st_size < 1_000_000


def test_truncated_layers_are_drawn_at_the_ranks_that_were_evaluated_and_end_at_the_layer_itself() -> None:
    from lrlc.results.figures import effective_rank

    rows = measured(study(("mnist", "cifar10"), 3, (2,), ("3",), local_placements=("3",)))
    with look():
        figure = effective_rank.draw(selected(rows))
    assert len(figure.axes) == 4
    own = [row for row in rows if row.kind == "locally_connected" and row.dataset == "mnist"]
    (drawn,) = [line for line in figure.axes[0].lines if line.get_marker() == "o"]
    assert drawn.get_xdata().tolist() == [1, 2, 3, 4, 5, 6, 7, 10, 15, 25, 36]
    mean = 100 * sum(row.test_accuracy or 0 for row in own) / len(own)
    assert drawn.get_ydata()[-1] == pytest.approx(mean)
    energies = [line for line in figure.axes[1].lines if len(line.get_xdata()) == 36]
    assert [line.get_ydata()[-1] for line in energies] == pytest.approx([100, 100])  # and of the dotted line
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["locally connected, layer 3"]


def test_accuracy_on_moved_images_starts_at_the_accuracy_and_a_convolution_moves_along() -> None:
    from lrlc.results.figures import shifted_test

    rows = measured(study(("mnist",), 3, (2,), ("3",), ("lrlc",), wide_ranks=()))
    with look():
        figure = shifted_test.draw(selected(rows))
    above, below = figure.axes
    by_colour = {line.get_color(): line for line in above.lines if len(line.get_xdata()) > 1}
    for kind in ("conv", "lrlc", "locally_connected"):
        accuracies = [100 * (row.test_accuracy or 0) for row in rows if row.kind == kind]
        drawn = by_colour[kind_colour(kind)].get_ydata()
        assert drawn[0] == pytest.approx(sum(accuracies) / len(accuracies))
        assert (drawn[1:] < drawn[:-1]).all()
    errors = {line.get_color(): line.get_ydata().tolist() for line in below.lines}
    assert errors[kind_colour("conv")] == [0, 0, 0]
    assert errors[kind_colour("locally_connected")] == [0, 0, 0.25]
    assert "(moved by 1 px)" in below.get_xlabel()


def test_an_equivariance_error_over_1_lies_within_its_interval() -> None:
    from lrlc.results.figures import shifted_test

    rows = [
        replace(
            row, equivariance=tuple(replace(each, error=1.3 + row.seed / 100) for each in row.equivariance)
        )
        for row in measured(study(("mnist",), 3, (2,), ("3",), ("lrlc",), wide_ranks=()))
    ]
    with look():
        _, below = shifted_test.draw(selected(rows)).axes
    means = [mean for line in below.lines for mean in line.get_ydata()]
    intervals = [path.vertices[:, 1] for drawn in below.collections for path in drawn.get_paths()]
    assert means == pytest.approx([1.31] * len(means))
    assert len(intervals) == len(means)
    assert all(low < 1.31 < high for low, high in intervals)


def test_a_study_without_measurements_says_so(store: Store, tmp_path: Path) -> None:
    skipped = draw_all(store, tmp_path, ["png"], only=["effective_rank", "test_shift"]).skipped
    assert "does not have measure.effective_rank" in skipped["effective_rank"]
    assert "does not have measure.shifts" in skipped["test_shift"]


def test_a_search_over_many_settings_is_not_pooled_into_one_line() -> None:
    rows = [result(str(i), learning_rate=0.1 + i / 100, curve=(), weights=()) for i in range(20)]
    trials = to_tables(rows)["trials"].to_pandas()
    empty = {name: schema.empty_table().to_pandas() for name, schema in SCHEMAS.items()}
    selection = Selection.of_frames(trials, empty["curves"], empty["weights"])
    with pytest.raises(NothingToDraw, match="differ in learning_rate"):
        render("rank_vs_accuracy", selection, ["png"])


def test_the_plan_selects_the_rows_to_draw(store: Store, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="no plan of profile 'paper'"):
        draw_all(store, tmp_path, profile="paper")
    with pytest.raises(StoreError, match="unknown figure format 'gif'"):
        draw_all(store, tmp_path, ["gif"])


def test_tables_are_exported_completely(store: Store, tmp_path: Path) -> None:
    rows = store.trials()
    for to in ("csv", "parquet"):
        paths = export_tables(store, tmp_path, to)
        assert {path.name for path in paths} == {f"{name}.{to}" for name in (*SCHEMAS, "plans")}
    read = pd.read_csv(tmp_path / "trials.csv")
    assert list(read.columns) == [*rows.columns, "planned"]
    assert read["test_accuracy"].tolist() == pytest.approx(rows["test_accuracy"].tolist(), nan_ok=True)
    assert pq.read_table(tmp_path / "weights.parquet").equals(store.table("weights"))
    with pytest.raises(StoreError, match="cannot export to 'xlsx'; known: csv, parquet"):
        export_tables(store, tmp_path, "xlsx")


def test_intervals_match_scipy() -> None:
    values = [0.71, 0.74, 0.69, 0.75, 0.72]
    summary = summarise(values)
    low, high = stats.t.interval(0.95, 4, loc=summary.mean, scale=stats.sem(values))
    assert (summary.n, summary.mean, summary.sd) == (
        5,
        pytest.approx(0.722),
        pytest.approx(pd.Series(values).std()),
    )
    assert (summary.low, summary.high) == (pytest.approx(low), pytest.approx(high))
    wider = summarise(values, confidence=0.99)
    assert wider.low < summary.low


@pytest.mark.parametrize(("values", "n", "mean"), [([], 0, None), ([0.5], 1, 0.5), ([0.5, math.nan], 1, 0.5)])
def test_fewer_than_two_values_have_no_interval(values: list[float], n: int, mean: float | None) -> None:
    summary = summarise(values)
    assert summary.n == n
    assert math.isnan(summary.mean) if mean is None else summary.mean == mean
    assert all(map(math.isnan, (summary.sd, summary.low, summary.high)))


def test_differences_are_paired_by_seed() -> None:
    def cell(kind: str, accuracies: dict[int, float]) -> pd.DataFrame:
        rows = [
            result(f"{kind}{seed}", kind=kind, seed=seed, test_accuracy=a) for seed, a in accuracies.items()
        ]
        return to_tables(rows)["trials"].to_pandas()

    ours = cell("lrlc", {2: 0.9, 0: 0.7, 1: 0.8, 7: 0.1})
    theirs = cell("conv", {0: 0.6, 1: 0.65, 2: 0.8, 9: 0.99})
    found = paired_difference(ours, theirs)
    expected = stats.ttest_rel([0.7, 0.8, 0.9], [0.6, 0.65, 0.8])
    interval = expected.confidence_interval(0.95)
    assert (found.n, found.mean) == (3, pytest.approx(0.35 / 3))
    assert (found.low, found.high) == (
        pytest.approx(interval.low),
        pytest.approx(interval.high),
    )
    with pytest.raises(ValueError, match="seed 2 appears twice"):
        paired_difference(pd.concat([ours, ours]), theirs)


def test_test_set_noise_is_that_of_the_field_notes() -> None:
    assert 100 * binomial_sd(0.99, 10_000) == pytest.approx(0.10, abs=0.005)
    assert 100 * binomial_sd(0.75, 10_000) == pytest.approx(0.43, abs=0.005)


def test_labels_keep_their_order_and_distance() -> None:
    placed = spread([0.5, 0.52, 0.1, 0.99, 1.0], gap=0.1, low=0.0, high=1.0)
    ordered = [placed[index] for index in (2, 0, 1, 3, 4)]
    assert all(later - earlier >= 0.1 - 1e-9 for earlier, later in pairwise(ordered))
    assert max(placed) <= 1.0
    assert placed[2] == 0.1


def test_a_note_names_the_reporting_seeds_if_others_chose() -> None:
    from lrlc.results.figures.style import seeds_note

    rows = frames(**{**SMALL, "datasets": ("mnist",), "seeds": 9}).trials
    assert seeds_note(rows, [6], range(3, 9)) == "6 seeds (3 to 8), 10,000 test images"
    assert seeds_note(rows, [9], range(9)) == "9 seeds, 10,000 test images"


def test_neither_a_matplotlibrc_nor_a_backend_changes_the_figures(tmp_path: Path) -> None:
    store = Store(tmp_path / "runs" / "sample")
    store.commit(study(seeds=2))
    draw = (
        "import sys; from pathlib import Path; from lrlc.results.figures import draw_all;"
        "from lrlc.results.store import Store;"
        "draw_all(Store(sys.argv[1]), Path(sys.argv[2]), ('png',), only=['rank_vs_accuracy'])"
    )
    theirs = (
        "text.usetex: True\nsavefig.bbox: tight\nfigure.autolayout: True\naxes.labelpad: 20\nfont.size: 20\n"
    )
    inline, nonsense = {"MPLBACKEND": "module://matplotlib_inline.backend_inline"}, {"MPLBACKEND": "nonsense"}
    drawn = set()
    for name, rc, variables in (
        ("plain", "", {}),
        ("inline", theirs, inline),
        ("nonsense", theirs, nonsense),
    ):
        (tmp_path / name).mkdir()
        (tmp_path / name / "matplotlibrc").write_text(rc)
        command = [sys.executable, "-c", draw, str(tmp_path / "runs/sample"), str(tmp_path / name)]
        subprocess.run(command, cwd=tmp_path / name, env={**os.environ, **variables}, check=True)
        drawn.add((tmp_path / name / "rank_vs_accuracy.png").read_bytes())
    assert len(drawn) == 1
