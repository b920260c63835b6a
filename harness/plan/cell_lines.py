"""Lines that describe a grid's cells: their labels, distinguishing settings and numbers of trials."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from lrlc.harness.text import counted
from lrlc.harness.trial import Trial
from lrlc.results.names import setting_name
from lrlc.studies.training import LATER_KEYS, as_columns


def cell_lines(trials: Sequence[Trial], missing: Collection[str]) -> tuple[str, ...]:
    """One line per cell, with the settings beyond its label in which the cells differ."""
    cells: dict[object, list[Trial]] = {}
    for trial in trials:
        cells.setdefault((replace(trial.config, seed=0), trial.tries), []).append(trial)
    settings = [_settings(of_cell[0]) for of_cell in cells.values()]
    varying = _varying(settings)
    return tuple(
        _line(of_cell, {name: found[name] for name in varying if name in found}, missing)
        for found, of_cell in zip(settings, cells.values(), strict=True)
    )


def _settings(trial: Trial) -> dict[str, object]:
    """Settings that may distinguish cells with the same label; newer training settings are None at their default."""
    config = trial.config
    limits = {"training images": config.dataset.train_images, "draw": config.dataset.draw}
    training = {**config.train.model_dump(), **as_columns(config.train)}
    return {"network": config.network, **limits, **dict(config.options), **training}


def _varying(settings: Sequence[Mapping[str, object]]) -> list[str]:
    names = dict.fromkeys(name for found in settings for name in found)
    return [name for name in names if len({str(found.get(name)) for found in settings}) > 1]


def _is_open(name: str, value: object) -> bool:
    """Whether the label lacks this setting; it has newer training settings that are not at their defaults."""
    return value is None if name in LATER_KEYS else value is not None


def _line(of_cell: Sequence[Trial], told: Mapping[str, object], missing: Collection[str]) -> str:
    named = [setting_name(name, value) for name, value in told.items() if _is_open(name, value)]
    left = sum(trial.id in missing for trial in of_cell)
    count = counted(len(of_cell), "trial")
    some = f", {left} missing" if 0 < left < len(of_cell) else ""
    return f"{', '.join([of_cell[0].cell_label, *named])}: {count}{some}"
