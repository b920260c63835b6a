"""A study's training settings: every key of `train`, its bounds and default. See docs/studies.md, "Training"."""

from collections.abc import Collection, Iterable, Mapping
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from lrlc.studies.errors import StudyError, nearest
from lrlc.studies.fields import (
    MOST_DECAY,
    MOST_EPOCHS,
    MOST_RATE,
    OFF,
    Epochs,
    Images,
    Model,
    Name,
    Pixels,
    Real,
)
from lrlc.studies.lines import shown

Names = Mapping[str, Collection[str]]
"""The registered names for each key of `train` that refers to one."""
SHIPPED: Names = {
    "optimizer": ("sgd", "adamw"),
    "schedule": ("cosine", "constant", "step"),
    "augment": ("flip", "crop", "mixup"),
    "recipe": (),
}
CROSS_ENTROPY = "cross_entropy"
"""What a step minimises without a recipe; like `none`, it means no recipe."""
AUGMENT_KEYS = {"crop_padding": "crop", "mixup_alpha": "mixup"}
"""The keys that belong to an augmentation."""
NOUNS = {"augment": "augmentation"}
SCHEDULES_WITHOUT_STEPS = ("cosine", "constant")


def _augmentations(value: object) -> object:
    """'flip+crop', as in the tables, is [flip, crop]; 'none' is []."""
    return augment_of("none" if value is None else value) if isinstance(value, str | None) else value


Augment = Annotated[
    tuple[Name, ...],
    BeforeValidator(_augmentations, json_schema_input_type=str | list[str] | None),
]


def _recipe(value: object) -> object:
    return None if value in (OFF, CROSS_ENTROPY) else value


Recipe = Annotated[Name | None, BeforeValidator(_recipe, json_schema_input_type=str | None)]


class Training(Model):
    """How a trial is trained; by default only with SGD, Nesterov momentum, linear warm-up and cosine decay.

    Names of optimizers, schedules and augmentations are checked with the study, when plugins are loaded.
    """

    epochs: Epochs = 10
    batch_size: Annotated[Images, Field(ge=2)] = 512
    learning_rate: Annotated[Real, Field(gt=0, le=MOST_RATE)] = 0.1
    momentum: Annotated[Real, Field(ge=0, lt=1)] = 0.9
    """Nesterov momentum of sgd, or the first beta of adamw."""
    warmup_epochs: Annotated[Real, Field(ge=0, le=MOST_EPOCHS)] = 0.5
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    optimizer: Name = "sgd"
    weight_decay: Annotated[Real, Field(ge=0, le=MOST_DECAY)] = 0.0
    """Only weights decay, but not biases, norms or combining weights."""
    schedule: Name = "cosine"
    """How the learning rate falls after the warm-up."""
    decay_epochs: Annotated[Real, Field(gt=0, le=MOST_EPOCHS)] | None = None
    """Epochs between the steps of schedule step, counted from the start of training."""
    decay_rate: Annotated[Real, Field(gt=0, le=1)] = 0.1
    """The factor on the learning rate at each of these steps."""
    label_smoothing: Annotated[Real, Field(ge=0, lt=1)] = 0.0
    gradient_clipping: Annotated[Real, Field(gt=0, le=MOST_RATE)] | None = None
    """Upper bound on the norm of all gradients together."""
    augment: Augment = ()
    """Augmentations of training images, in this order."""
    crop_padding: Annotated[Pixels, Field(ge=1)] | None = None
    """Pixels of black border around images for crop; None is an eighth of their height."""
    mixup_alpha: Annotated[Real, Field(gt=0, le=MOST_DECAY)] = 0.2
    """Both parameters of the Beta distribution that mixup's share is drawn from."""
    ema: Annotated[Real, Field(gt=0, lt=1)] | None = None
    """Decay of the moving average of the weights, which is evaluated instead of the weights."""
    recipe: Recipe = None
    """A plugin's: what a step minimises. None is the cross-entropy, written `cross_entropy` or `none`."""

    def identity(self) -> dict[str, Any]:
        """JSON-able; newer keys are left out at their default, so that earlier ids stay the same."""
        fields = type(self).model_fields
        return {
            key: value
            for key, value in self.model_dump(mode="json").items()
            if key in _FIRST_KEYS or getattr(self, key) != fields[key].default
        }

    def without_unused(self) -> "Training":
        """The same training, with keys that have no effect at their defaults."""
        unused = {
            key for key in unused_keys(self.schedule, self.augment) if getattr(self, key) != _default(key)
        }
        return self.model_copy(update={key: _default(key) for key in unused}) if unused else self


_FIRST_KEYS = ("epochs", "batch_size", "learning_rate", "momentum", "warmup_epochs", "precision")


LATER_KEYS = tuple(key for key in Training.model_fields if key not in _FIRST_KEYS)
"""The newer keys; in the tables each is null at its default, as in rows written before it existed."""


def as_columns(training: Training) -> dict[str, Any]:
    """The newer keys as in the tables: null at the default, augmentations as 'flip+crop'."""
    values = {key: getattr(training, key) for key in LATER_KEYS}
    return {
        key: None if value == _default(key) else "+".join(value) if isinstance(value, tuple) else value
        for key, value in values.items()
    }


def augment_text(augment: Iterable[str]) -> str:
    """'flip+crop', or 'none'."""
    return "+".join(augment) or "none"


def augment_of(text: str) -> list[str]:
    """The augmentations in such a text."""
    return [] if text == "none" else text.split("+")


def usual(key: str) -> Any:
    """The value of a null in the column of a newer key; None for other keys."""
    return _default(key) if key in LATER_KEYS else None


def _default(key: str) -> Any:
    return Training.model_fields[key].default


def unused_keys(schedule: str, augment: Collection[str]) -> set[str]:
    """The keys of `train` that neither this schedule nor these augmentations use; a plugin's may use all."""
    unused = {"decay_epochs", "decay_rate"} if schedule in SCHEDULES_WITHOUT_STEPS else set()
    if set(augment) <= set(SHIPPED["augment"]):
        unused |= {key for key, name in AUGMENT_KEYS.items() if name not in augment}
    return unused


def check_names(training: Training, known: Names, where: str) -> None:
    """StudyError if the name given by a key is not registered."""
    for key, names in known.items():
        value = getattr(training, key)
        for given in value if isinstance(value, tuple) else (value,):
            if given is not None and given not in names:
                usual = [CROSS_ENTROPY] if key == "recipe" else []
                near = nearest(given, [*names, *usual])
                raise StudyError(f"{where}.{key}: unknown {NOUNS.get(key, key)} {shown(given)}; {near}")
        if isinstance(value, tuple) and len(set(value)) < len(value):
            raise StudyError(f"{where}.{key}: {'+'.join(value)} lists one twice")


def check_training(training: Training, known: Names, where: str) -> None:
    """StudyError if a name is not registered, or a key lacks another that it needs."""
    check_names(training, known, where)
    if training.schedule == "step" and training.decay_epochs is None:
        raise StudyError(f"{where}.decay_epochs: schedule 'step' needs it, the epochs between its steps")
