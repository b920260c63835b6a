"""Lines that describe a grid's cells: their labels and numbers of trials."""

from collections.abc import Collection, Sequence
from dataclasses import replace

from lrlc.harness.text import counted
from lrlc.harness.trial import Trial


def cell_lines(trials: Sequence[Trial], missing: Collection[str]) -> tuple[str, ...]:
    """One line per cell; a label has the settings in which the study's cells differ, and no others."""
    cells: dict[object, list[Trial]] = {}
    for trial in trials:
        cells.setdefault((replace(trial.config, seed=0), trial.tries), []).append(trial)
    return tuple(_line(of_cell, missing) for of_cell in cells.values())


def _line(of_cell: Sequence[Trial], missing: Collection[str]) -> str:
    left = sum(trial.id in missing for trial in of_cell)
    count = counted(len(of_cell), "trial")
    some = f", {left} missing" if 0 < left < len(of_cell) else ""
    return f"{of_cell[0].cell_label}: {count}{some}"
