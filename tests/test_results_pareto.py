"""The best configurations and the Pareto front, from rows alone."""

import math
from itertools import product
from typing import Any

import numpy as np
import pandas as pd
import pytest
from support.results_samples import result

from lrlc.results.figures import NothingToDraw, Selection, render
from lrlc.results.schema import TrialStatus, to_tables
from lrlc.results.statistics.pareto import as_records, best, configurations, on_front
from lrlc.studies import Search

UP, DOWN = "maximize", "minimize"
ACCURACY = {"metric": "validation_accuracy", "direction": UP}
SMALL = {"metric": "parameters", "direction": DOWN}
CELLS = {1: (0.80, 100), 2: (0.90, 200), 3: (0.85, 300), 4: (0.95, 400)}
"""rank -> mean validation accuracy, parameters; rank 3 is beaten by rank 2."""


def search(**changes: Any) -> Search:
    dataset = {"name": "celeba", "translate": 8, "label": "Smiling"}
    asked = {
        "trials": 4,
        "dataset": dataset,
        "seeds": [0, 1],
        "space": {"kind": "lrlc", "rank": [1, 2, 3, 4]},
    }
    return Search.model_validate({**asked, "objectives": [ACCURACY, SMALL], **changes})


def rows(**changes: Any) -> pd.DataFrame:
    found = [
        result(
            f"{rank}-{seed}",
            **{
                "rank": rank,
                "seed": seed,
                "validation_accuracy": accuracy + (seed - 0.5) / 100,
                "test_accuracy": accuracy - 0.01,
                "parameters": parameters,
                **changes,
            },
        )
        for (rank, (accuracy, parameters)), seed in product(CELLS.items(), (0, 1))
    ]
    return to_tables(found)["trials"].to_pandas()


def test_the_front_is_the_points_that_no_other_beats() -> None:
    rng = np.random.default_rng(0)
    for directions in ((UP,), (DOWN,), (UP, DOWN), (DOWN, DOWN, UP)):
        values = rng.integers(0, 6, (60, len(directions))).astype(float)
        signs = np.array([-1 if direction == UP else 1 for direction in directions])
        expected = [
            not any(all(p * signs <= q * signs) and any(p * signs < q * signs) for p in values)
            for q in values
        ]
        assert on_front(values, directions).tolist() == expected
    assert on_front([[1.0, 1.0], [math.nan, 0.0], [1.0, 1.0]], (UP, DOWN)).tolist() == [True, False, True]
    assert on_front(np.empty((0, 2)), (UP, DOWN)).tolist() == []


def test_several_objectives_give_the_front_and_one_the_best() -> None:
    front = best(rows(), search())
    assert front["rank"].tolist() == [4, 2, 1]
    assert front["validation_accuracy"].tolist() == pytest.approx([0.95, 0.90, 0.80])
    assert front["test_accuracy"].tolist() == pytest.approx([0.94, 0.89, 0.79])
    assert best(rows(), search(objectives=[ACCURACY]))["rank"].tolist() == [4]
    assert best(rows(), search(objectives=[SMALL]))["rank"].tolist() == [1]
    record = as_records(front, search())[0]
    assert (record["rank"], record["parameters"], record["seeds"]) == (4, 400, 2)


def test_configurations_that_break_a_constraint_or_lack_a_seed_are_not_among_the_best() -> None:
    small = [{"metric": "parameters", "min": None, "max": 250}]
    assert best(rows(), search(constraints=small))["rank"].tolist() == [2, 1]
    accurate = [{"metric": "validation_accuracy", "min": 0.99, "max": None}]
    assert best(rows(), search(constraints=accurate)).empty
    found = rows()
    assert best(found[found["trial_id"] != "4-1"], search())["rank"].tolist() == [2, 1]
    pruned = found.assign(
        status=[str(TrialStatus.PRUNED) if rank == 4 else "finished" for rank in found["rank"]]
    )
    assert best(pruned, search())["rank"].tolist() == [2, 1]
    elsewhere = {**dict(search().dataset), "translate": 0}
    assert best(found, search(dataset=elsewhere)).empty
    assert best(found.iloc[:0], search()).empty


def test_a_cell_of_the_grid_counts_only_if_it_is_trained_like_the_suggestions() -> None:
    ours = rows(search_number=1)
    longer = rows(search_number=None, epochs=40, validation_accuracy=0.99).assign(
        trial_id=lambda all: "g" + all["trial_id"]
    )
    found = pd.concat([ours, longer])
    assert best(found, search(objectives=[ACCURACY]))["epochs"].tolist() == [ours["epochs"].iloc[0]]
    alike = ours.assign(search_number=ours["search_number"].mask(ours["rank"] == 4))
    assert best(alike, search(objectives=[ACCURACY]))["rank"].tolist() == [4]


def test_configurations_differ_in_training_settings_too() -> None:
    both = pd.concat([rows(), rows(learning_rate=0.5)])
    assert len(configurations(both)) == 8
    assert set(configurations(both)["seeds"]) == {2}


def test_the_figure_needs_something_to_choose_from() -> None:
    def selection(trials: pd.DataFrame) -> Selection:
        return Selection.of_frames(trials, trials[:0], trials[:0])

    found = rows()
    assert render("pareto", selection(found), ["svg"])["svg"]
    with pytest.raises(NothingToDraw, match="more than one"):
        render("pareto", selection(found[found["rank"] == 1]), ["svg"])
    with pytest.raises(NothingToDraw, match="different cost"):
        render("pareto", selection(rows(parameters=5)), ["svg"])
    with pytest.raises(NothingToDraw, match="no data set"):
        render("pareto", selection(found.assign(status="failed")), ["svg"])
    single = found[found["seed"] == 0].assign(rank=np.nan, placement="", kind=["a", "b", "c", "d"])
    assert render("pareto", selection(single), ["svg"])["svg"]
