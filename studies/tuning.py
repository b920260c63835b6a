"""Tuning: a study's pilots, and its grid with the settings that they chose.

Cells that only differ in rank and placement share a setting, which is chosen for each kind (with its layer options) on
each data set and network, and for each way of training if the grid has several.
"""

from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

from lrlc.studies.expand import Grid, GridCell, with_seed, with_settings
from lrlc.studies.fields import OptionValue
from lrlc.studies.stages import LengthCheck, Tune, share_of_epochs
from lrlc.studies.training import Training
from lrlc.studies.trial_config import TrialConfig

Group = Hashable
"""The key shared by cells with the same tuned setting."""

Setting = tuple[tuple[str, OptionValue | None], ...]
"""A value for each tuned axis, in the order of `tune.grid`: (('train.learning_rate', 0.1),)."""


@dataclass(frozen=True)
class Pilots:
    """The pilots of a group of cells: for each setting, a trial per pilot seed of the representative cell."""

    group: Group
    cell: TrialConfig
    """The representative cell without the settings to try and without a seed (0)."""
    trials: Mapping[Setting, tuple[TrialConfig, ...]]


def pilots(grid: Grid) -> list[Pilots]:
    """The pilots of each group, in the order of the grid; none if the study tunes nothing.

    A ranked kind is represented by its first cell with a rank over 1 (rank 1 is a convolution), others by their first.
    """
    standing: dict[Group, GridCell] = {}
    for cell in grid.cells if grid.study.tune else ():
        group = group_of(grid, cell)
        if group is not None:
            first = standing.setdefault(group, cell)
            if first.config.rank == 1 and cell.config.rank != 1:
                standing[group] = cell
    return [_pilots(grid, group, cell) for group, cell in standing.items()]


def group_of(grid: Grid, cell: GridCell) -> Group | None:
    """The group whose setting the cell takes; None if its block names all that is tuned, or nothing applies."""
    free = _free_axes(grid, cell)
    return (free, replace(cell.config, rank=None, placement=())) if free else None


def tuned(grid: Grid, chosen: Mapping[Group, Setting]) -> Callable[[GridCell], TrialConfig]:
    """A function that gives a cell its group's chosen setting; without one, a cell keeps the study's own settings."""

    def config_of(cell: GridCell) -> TrialConfig:
        setting = chosen.get(group_of(grid, cell), ())
        return with_settings(grid, cell, dict(setting)) if setting else cell.config

    return config_of


def untuned(grid: Grid, chosen: Mapping[Group, Setting]) -> int:
    """The number of trials in the grid whose setting has not been chosen yet."""
    groups = ((cell.config, group_of(grid, cell)) for cell in grid.cells)
    waiting = {config for config, group in groups if group is not None and group not in chosen}
    return len(waiting) * len(grid.study.seeds)


def with_fewer_epochs(check: LengthCheck | None, grid: Sequence[TrialConfig]) -> list[TrialConfig]:
    """The trials of the length check: those of the grid with its first seeds, shortened."""
    if check is None:
        return []
    first = list(dict.fromkeys(config.seed for config in grid))[: check.seeds]
    short = [_shortened(config, check.epochs) for config in grid if config.seed in first]
    return list(dict.fromkeys(short))


def masked_settings(tune: Tune | None, configs: Iterable[TrialConfig]) -> dict[TrialConfig, tuple[str, ...]]:
    """For each trial of a grid, the tuned training settings, which do not distinguish panels.

    Settings of which the grid itself trains several values for a cell are excluded, so that no two trials become equal
    by masking.
    """
    found: dict[TrialConfig, tuple[str, ...]] = dict.fromkeys(configs, ())
    neutral = {config: config for config in found}
    for name in (axis.partition(".")[2] for axis in (tune.grid if tune else ()) if axis.startswith("train.")):
        without = {config: _without(rest, name) for config, rest in neutral.items()}
        count = Counter(without.values())
        for config, rest in without.items():
            if count[rest] == 1:
                found[config] += (name,)
                neutral[config] = rest
    return found


def _pilots(grid: Grid, group: Group, cell: GridCell) -> Pilots:
    tune = grid.study.tune
    assert tune is not None
    free = _free_axes(grid, cell)
    trials: dict[Setting, tuple[TrialConfig, ...]] = {}
    for values in product(*(tune.grid[axis] for axis in free)):
        setting = tuple(zip(free, values, strict=True))
        config = _shortened(with_settings(grid, cell, dict(setting)), tune.epochs)
        trials[setting] = tuple(with_seed(config, seed) for seed in tune.seeds)
    return Pilots(group, cell.config, trials)


def _free_axes(grid: Grid, cell: GridCell) -> tuple[str, ...]:
    """The axes that tuning decides: those not set in the block, and only options that the kind takes."""
    taken = grid.catalogue.options_of(cell.config.kind, dict(cell.config.options))
    axes = grid.study.tune.grid if grid.study.tune else ()
    return tuple(
        axis
        for axis in axes
        if axis not in cell.settings and (not axis.startswith("layer.") or axis[len("layer.") :] in taken)
    )


def _shortened(config: TrialConfig, epochs: int | str) -> TrialConfig:
    fewer = share_of_epochs(epochs, config.train.epochs)
    return replace(config, train=config.train.model_copy(update={"epochs": fewer}))


def _without(config: TrialConfig, name: str) -> TrialConfig:
    usual: Any = Training.model_fields[name].default
    return replace(config, train=config.train.model_copy(update={name: usual}))
