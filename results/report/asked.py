"""A study's question: its data, the layers that it compares and how they were trained."""

from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any

import pandas as pd

from lrlc.results.markup.content import Block, Column, Definitions, Section, Table, Text
from lrlc.results.names import SETTING_NAMES, dataset_name, kind_name, setting_value, value_name
from lrlc.results.report import glossary, training
from lrlc.results.report.text import alternatives, several, words
from lrlc.results.statistics import TRAINING_SETTINGS
from lrlc.results.store import DEFAULT_PROFILE, StudyRecord
from lrlc.studies import DatasetSpec, Interval, LengthCheck, Measure, Search, Tune, limited
from lrlc.studies.lines import counted
from lrlc.studies.training import LATER_KEYS

AXES = {
    "kind": "layer",
    "placement": "replaces layers",
    "dataset": "data set",
    "dataset.size": "shrunk to, px",
    "dataset.translate": "largest shift, px",
}
UNUSED_WHERE_NULL = ("decay_epochs", "crop_padding")
MEASURED = (*TRAINING_SETTINGS, "validation_images", "test_images")


def section(record: StudyRecord, rows: pd.DataFrame) -> Section:
    """The study's settings as run, and the training as recorded in its rows."""
    study = record.study
    entries = {
        "study": study.name,
        "profile": "" if record.profile == DEFAULT_PROFILE else record.profile,
        "overrides": ", ".join(record.overrides),
        "data sets": "; ".join(map(_dataset, study.datasets)),
        "network": glossary.network(study.network),
        "layer options": _pairs(study.layer),
        "seeds": ", ".join(map(str, study.seeds)),
        "tuned by kind": _tune(study.tune) if study.tune else "",
        "measured as well": _more_measured(study.measure),
        "length check": _length_check(study.length_check) if study.length_check else "",
    }
    blocks: list[Block] = [Definitions({term: text for term, text in entries.items() if text})]
    if study.grid:
        blocks.append(_grid(study.grid))
    if study.search:
        blocks.append(_search(study.search, limited(study.search.dataset, study)))
    if known := glossary.layers(rows["kind"]):
        blocks += [Text("The layers:"), Definitions(known)]
    blocks.append(Text(training.sentences(study.train, rows)))
    if not rows.empty:
        blocks.append(Definitions(_measured(rows)))
    return Section("Experimental setup", blocks)


def _measured(rows: pd.DataFrame) -> dict[str, str]:
    """The values in the rows by term; settings that no row has are left out."""
    found = {}
    for name in MEASURED:
        values = rows[name]
        if name in LATER_KEYS and name not in UNUSED_WHERE_NULL:
            values = values.astype(object).map(partial(_value, name))
        if name != "draw" and not (name in LATER_KEYS and rows[name].isna().all()):
            found[_measured_name(name)] = several(values)
    if (rows["draw"] == "seed").any():
        found[_measured_name("train_images")] += ", a new draw for each seed"
    if (rows["peak_memory_bytes"].notna() & (rows["precision"] == "float32")).any():
        found[_measured_name("precision")] += "; on GPUs convolutions use TF32, as torch does by default"
    return found


def _value(name: str, value: object) -> object:
    """The value: a number unchanged, which sorts before words such as 'none' or 'flip+crop'."""
    known = setting_value(name, value)
    return known if isinstance(known, int | float) else value_name(name, known)


def _measured_name(name: str) -> str:
    """'training images', as in all tables."""
    return SETTING_NAMES.get(name, name.replace("train_", "training ").replace("_", " "))


def _grid(blocks: Iterable[Mapping[str, Any]]) -> Table:
    """A row for each block of the grid; its cells are all combinations of the values."""
    found = list(blocks)
    axes = list(dict.fromkeys(axis for block in found for axis in block))
    columns = [Column(_axis_name(axis), "long") for axis in axes]
    rows = [[words(_axis(axis, block[axis]) if axis in block else "") for axis in axes] for block in found]
    return Table("The grid", columns, rows, "Each line stands for all combinations of its values.")


def _axis_name(axis: str) -> str:
    """'train.learning_rate' as 'learning rate'."""
    key = axis.rpartition(".")[2]
    return AXES.get(axis, SETTING_NAMES.get(key, key.replace("_", " ")))


def _axis(axis: str, value: object) -> str:
    if axis == "placement":
        return _placement(value)
    each = (value or [None]) if isinstance(value, list) else [value]
    if axis.startswith(("train.", "layer.")):
        return ", ".join(_values(axis, each))
    if axis == "kind":
        return "; ".join(kind_name(str(kind)) for kind in each)
    return ", ".join(_in_block(one) if axis == "dataset" else str(one) for one in each)


def _values(axis: str, values: Iterable[object]) -> list[str]:
    return [value_name(axis.rpartition(".")[2], value) for value in values]


def _placement(value: object) -> str:
    """Placements as in trials: [1, 2] is one placement, '1+2'; [[1], [2]] are two."""
    if not isinstance(value, list):
        return str(value)
    if any(isinstance(one, list) or one in ("all", "subsets") for one in value):
        return ", ".join(map(_placement, value))
    return "+".join(map(str, value))


def _in_block(given: object) -> str:
    """A data set as named in a block of the grid."""
    return (
        _dataset(DatasetSpec.model_validate(given))
        if isinstance(given, Mapping)
        else dataset_name(str(given))
    )


def _dataset(spec: DatasetSpec) -> str:
    """'CelebA Smiling, shifted ≤ 8 px (400 training images)'."""
    drawn = ", a new draw for each seed" if spec.draw == "seed" else ""
    limit = f" ({counted(spec.train_images, 'training image')}{drawn})" if spec.train_images else ""
    return dataset_name(spec.title) + limit


def _search(search: Search, dataset: DatasetSpec) -> Definitions:
    space = {
        name: value for name, value in dict(search.space).items() if value and name not in ("train", "layer")
    }
    chosen = [f"{AXES.get(axis, axis)} {_axis(axis, value)}" for axis, value in space.items()]
    ranges = [f"{_axis_name(name)} {_range(name, axis)}" for name, axis in search.space.settings.items()]
    return Definitions(
        {
            "search": f"{counted(search.trials, 'suggestion')} of Optuna's {search.sampler}, pruner {search.pruner}",
            "on": _dataset(dataset),
            "for": ", ".join(f"{one.direction} {one.metric}" for one in search.objectives),
            "among": "; ".join([*chosen, *ranges]),
            "seeds of the search": ", ".join(map(str, search.seeds)),
        }
    )


def _range(name: str, axis: Interval | list[Any]) -> str:
    if isinstance(axis, Interval):
        return f"{axis.low:g} to {axis.high:g}"
    return ", ".join(_values(name, axis))


def _tune(tune: Tune) -> str:
    """'learning rate 0.05, 0.1 or 0.2; pilots with 2 seeds and a third of the epochs'."""
    axes = [f"{_axis_name(axis)} {alternatives(_values(axis, values))}" for axis, values in tune.grid.items()]
    seeds = counted(len(tune.seeds), "seed")
    return f"{'; '.join(axes)}; pilots with {seeds} and {_epochs(tune.epochs)}"


def _length_check(check: LengthCheck) -> str:
    seeds = "the first seed" if check.seeds == 1 else f"the first {check.seeds} seeds"
    return f"{seeds} with {_epochs(check.epochs)} too"


def _epochs(asked: int | str) -> str:
    shares = {"full": "all epochs", "half": "half the epochs", "third": "a third of the epochs"}
    return shares.get(str(asked)) or counted(int(asked), "epoch")


def _more_measured(measure: Measure) -> str:
    """'accuracy on test images moved by 0, 1, 2 pixels; effective rank of local layers'."""
    shifts = ", ".join(map(str, measure.shifts))
    parts = [
        f"accuracy on test images moved by {shifts} pixels" if shifts else "",
        "effective rank of local layers" if measure.effective_rank else "",
    ]
    return "; ".join(part for part in parts if part)


def _pairs(settings: Mapping[str, object]) -> str:
    return ", ".join(f"{name} {value}" for name, value in settings.items())
