"""Tables of a study with several ways of training: one for each data set, with a line for each way."""

import shutil
from pathlib import Path
from typing import Any

import pandas as pd
from support.latex import compiled
from support.results_samples import result

from lrlc.results.figures.selection import panels
from lrlc.results.markup.latex import to_latex
from lrlc.results.report.cell_tables import MOST_LINES, cell_tables
from lrlc.results.report.outcome import section
from lrlc.results.report.paper import accuracies
from lrlc.results.schema import to_tables
from lrlc.studies.training import LATER_KEYS

SEEDS = range(7)
PLAIN = {"kind": "conv", "rank": None, "placement": "", "options": "{}", **dict.fromkeys(LATER_KEYS)}


def trained(*cells: dict[str, Any]) -> pd.DataFrame:
    """Each cell with seven seeds, every one 5 points better than the one before it."""
    rows = [
        result(
            **{**PLAIN, **cell},
            trial_id=f"{at:08x}{seed:08x}",
            seed=seed,
            test_accuracy=0.5 + 0.05 * at + 0.001 * seed * (1 + at % 2),
            validation_accuracy=0.5 + 0.05 * at,
        )
        for at, cell in enumerate(cells)
        for seed in SEEDS
    ]
    return to_tables(rows)["trials"].to_pandas()


AUGMENTED = (
    {},
    {"augment": "flip"},
    {"augment": "flip+crop"},
    {"augment": "flip", "kind": "wide_conv", "rank": 2},
)


def test_ways_of_training_share_a_table_and_are_compared_with_the_convolution_trained_alike() -> None:
    rows = trained(*AUGMENTED)
    (table,) = section(rows).blocks[1:]
    names = [column.name for column in table.columns]
    said = [[line[names.index(name)].text for name in ("layer", "training")] for line in table.rows]
    assert said == [
        ["convolution", "no augmentation"],
        ["convolution", "augment flip"],
        ["wide convolution ★", "augment flip"],
        ["convolution", "augment flip+crop"],
    ]
    difference = next(at for at, name in enumerate(names) if name.startswith("minus conv"))
    assert [line[difference].text.partition(" ")[0] for line in table.rows] == ["", "", "+10.00", ""]


def test_places_are_in_the_order_of_the_network() -> None:
    places = ["10", "2+10", "2", "1+3", "1", "layer1"]
    cells = [{"kind": "lrlc", "rank": 2, "placement": place} for place in places]
    (table,) = cell_tables(panels(trained({}, *cells)))
    found = [line.layer["placement"] for line in table.lines]
    assert [place for place in found if place] == ["layer1", "1", "2", "10", "1+3", "2+10"]


def test_a_paper_marks_the_best_way_of_training() -> None:
    (table,) = cell_tables(panels(trained(*AUGMENTED[:3])))
    latex = accuracies(table, "s", 0.05)
    assert [line[1] for line in latex.rows] == ["no augmentation", "augment flip", "augment flip+crop"]
    assert [r"\textbf" in " ".join(line) for line in latex.rows] == [False, False, True]


def test_more_images_longer_training_and_many_lines_get_separate_tables() -> None:
    few = trained({"epochs": 10}, {"epochs": 20}, {"epochs": 20, "ema": 0.9})
    assert [(table.detail, len(table.lines)) for table in cell_tables(panels(few))] == [
        ("epochs 10, no EMA", 1),
        ("epochs 20", 2),
    ]
    cells = [{"kind": "lrlc", "rank": rank, "placement": "3"} for rank in range(1, MOST_LINES)]
    assert [table.detail for table in cell_tables(panels(trained({}, cells[0])))] == [""]
    many = trained(*cells, {}, {"ema": 0.9})
    assert [table.detail for table in cell_tables(panels(many))] == ["no EMA", "EMA 0.9"]


def test_a_table_of_ways_of_training_fits_the_page(tmp_path: Path) -> None:
    way = {"label_smoothing": 0.1, "augment": "flip+crop", "ema": 0.9, "optimizer": "adamw"}
    other = {"kind": "lrlc_input_dependent", "rank": 4, "placement": "1+2+3"}
    rows = trained({}, other, way, {**way, **other})
    tables = [accuracies(each, "s", 0.05) for each in cell_tables(panels(rows))]
    latex = to_latex(tables, "Tables.")
    if shutil.which("pdflatex"):
        assert "Overfull" not in compiled(latex, tmp_path)
