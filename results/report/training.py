"""How a study's networks were trained, in sentences for the report."""

from collections.abc import Callable, Sequence
from typing import Any

import pandas as pd

from lrlc.results.names import setting_value, value_name
from lrlc.results.plans import TUNED
from lrlc.results.report.text import alternatives
from lrlc.studies.training import LATER_KEYS, Training

OPTIMIZERS = {"sgd": "stochastic gradient descent", "adamw": "AdamW", TUNED: "an optimizer tuned by kind"}
SCHEDULES = {
    "cosine": "cosine decay",
    "constant": "a constant learning rate",
    TUNED: "a schedule tuned by kind",
}
TOLD = ("momentum", "warmup_epochs", *LATER_KEYS)
Settings = dict[str, Any]
"""The settings of one way of training, by key of `train`."""


def sentences(training: Training, rows: pd.DataFrame) -> str:
    """The training according to the rows, all ways together; before there are any, the study's own settings."""
    ways = _ways(rows) or [{name: getattr(training, name) for name in TOLD}]
    optimizer = _either(ways, _optimizer)
    parts = [f"{optimizer[0].upper()}{optimizer[1:]}", _rate(ways)]
    others = filter(None, (_said(ways, name, said) for name, said in MORE.items()))
    augment, decay = (_said(ways, name, said) or NONE[name] for name, said in LAST.items())
    last = f"{augment}{',' * (' or ' in augment)} and {decay}"
    return (
        f"{', '.join([*parts, *others])}; {last}. Choices are made on the validation split; the test split is used "
        "once, at the end."
    )


MORE = {
    "recipe": "the recipe {}",
    "label_smoothing": "label smoothing {}",
    "gradient_clipping": "gradients clipped to a norm of {}",
    "ema": "evaluated on a moving average of the weights (decay {})",
}
LAST = {"augment": "augmentation by {}", "weight_decay": "weight decay {}"}
NONE = {"augment": "no augmentation", "weight_decay": "no weight decay"}


def _ways(rows: pd.DataFrame) -> list[Settings]:
    found = rows[list(TOLD)].drop_duplicates().astype(object).to_dict("records")
    ways = [{str(name): setting_value(str(name), value) for name, value in way.items()} for way in found]
    return sorted(ways, key=lambda way: [str(way[name]) for name in TOLD])


def _either(ways: Sequence[Settings], said: Callable[[Settings], str]) -> str:
    return alternatives(list(dict.fromkeys(map(said, ways))))


def _said(ways: Sequence[Settings], name: str, said: str) -> str:
    """'label smoothing 0.1 or none'; '' if no way of training has it."""
    values = sorted((way[name] for way in ways), key=lambda value: (not isinstance(value, float), str(value)))
    known = dict.fromkeys(_value(name, value) for value in values if not _is_off(value))
    off = dict.fromkeys(value_name(name, None) for value in values if _is_off(value))
    return said.format(alternatives([*known, *off])) if known else ""


def _is_off(value: object) -> bool:
    return value is None or value in ((), "none", 0)


def _value(name: str, value: object) -> str:
    return "tuned by kind" if value == TUNED else value_name(name, value)


def _optimizer(way: Settings) -> str:
    name = OPTIMIZERS.get(way["optimizer"], f"the optimizer {way['optimizer']}")
    return f"{name} with Nesterov momentum" if way["optimizer"] == "sgd" and way["momentum"] else name


def _warmup(way: Settings) -> str:
    return "linear warm-up" if way["warmup_epochs"] else "no warm-up"


def _rate(ways: Sequence[Settings]) -> str:
    """'linear warm-up and cosine decay'."""
    parts = [_either(ways, _warmup), _either(ways, _schedule)]
    return (", " if any(" or " in part for part in parts) else " and ").join(parts)


def _schedule(way: Settings) -> str:
    if way["schedule"] == "step" and way["decay_epochs"] is not None:
        rate, epochs = (_value(name, way[name]) for name in ("decay_rate", "decay_epochs"))
        return f"a learning rate times {rate} every {'epoch' if epochs == '1' else f'{epochs} epochs'}"
    return SCHEDULES.get(way["schedule"], f"the schedule {way['schedule']}")
