"""How a study trains its networks, in sentences for the report."""

from lrlc.studies.training import Training

OPTIMIZERS = {"sgd": "Stochastic gradient descent", "adamw": "AdamW"}
SCHEDULES = {"cosine": "cosine decay", "constant": "a constant learning rate"}


def sentences(training: Training) -> str:
    """The study's own settings; what its grid or search varies stands there."""
    parts = [f"{_optimizer(training)}, linear warm-up and {_schedule(training)}", *_more(training)]
    return (
        f"{', '.join(parts)}; {_augmentation(training)} and {_decay(training)}. Choices are made on the validation "
        "split; the test split is looked at once, at the end."
    )


def _optimizer(training: Training) -> str:
    name = OPTIMIZERS.get(training.optimizer, f"The optimizer {training.optimizer}")
    return f"{name} with Nesterov momentum" if training.optimizer == "sgd" and training.momentum else name


def _schedule(training: Training) -> str:
    if training.schedule == "step" and training.decay_epochs is not None:
        return f"a learning rate times {training.decay_rate:g} every {training.decay_epochs:g} epochs"
    return SCHEDULES.get(training.schedule, f"the schedule {training.schedule}")


def _more(training: Training) -> list[str]:
    found = []
    if training.recipe is not None:
        found.append(f"the recipe {training.recipe}")
    if training.label_smoothing:
        found.append(f"label smoothing {training.label_smoothing:g}")
    if training.gradient_clipping is not None:
        found.append(f"gradients clipped to a norm of {training.gradient_clipping:g}")
    if training.ema is not None:
        found.append(f"evaluated on a moving average of the weights (decay {training.ema:g})")
    return found


def _augmentation(training: Training) -> str:
    return f"augmentation by {', '.join(training.augment)}" if training.augment else "no augmentation"


def _decay(training: Training) -> str:
    return f"weight decay {training.weight_decay:g}" if training.weight_decay else "no weight decay"
