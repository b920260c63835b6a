"""The schema of a study's search: objectives, constraints, sampler and pruner; its space is in `space`."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from lrlc.studies.dataset_spec import DatasetSpec
from lrlc.studies.fields import Model, Name, OptionValue, Real, Seed, SeedCount
from lrlc.studies.space import Interval, Space

SEARCHED_COLUMNS = ("validation_accuracy", "validation_loss", "parameters", "flops_per_image")
"""The columns of the trials table that a search may use, which exclude those of the test set."""


class Objective(Model):
    """A column of the trials table or a plugin's metric, and its direction."""

    metric: Name
    direction: Literal["maximize", "minimize"]


class Constraint(Model):
    """Bounds on a suggestion's mean over its seeds; the sampler learns from suggestions that violate them."""

    metric: Name
    min: Real | None = None
    max: Real | None = None

    @model_validator(mode="after")
    def _is_bounded(self) -> "Constraint":
        if self.min is None and self.max is None:
            raise ValueError("give a min, a max or both")
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError(f"min {self.min:g} is over max {self.max:g}")
        return self


class Search(Model):
    """An Optuna search. `trials` is the study's total number of suggestions over all its runs."""

    trials: SeedCount
    space: Space
    sampler: Literal["tpe", "gp", "nsga2", "random", "qmc", "brute_force"] = "tpe"
    sampler_options: dict[str, OptionValue] = {}
    pruner: Literal["none", "median", "successive_halving", "hyperband", "wilcoxon"] = "none"
    pruner_options: dict[str, OptionValue] = {}
    objectives: Annotated[list[Objective], Field(min_length=1)] = [
        Objective(metric="validation_accuracy", direction="maximize")
    ]
    constraints: list[Constraint] = []
    seeds: list[Seed] = [0]
    dataset: DatasetSpec
    network: str = "three_layer"
    """The network; by default the study's."""
    storage: str | None = None
    """An Optuna storage URL; a journal file beside the results by default."""

    @property
    def metrics(self) -> tuple[str, ...]:
        """All metrics that it uses."""
        wanted, kept = (each.metric for each in self.objectives), (each.metric for each in self.constraints)
        return tuple(dict.fromkeys([*wanted, *kept]))

    @model_validator(mode="after")
    def _can_prune(self) -> "Search":
        if len(self.objectives) > 1 and self.pruner != "none":
            raise ValueError(f"pruner {self.pruner!r} needs a single objective; Optuna cannot prune several")
        metric = self.objectives[0].metric
        if self.pruner != "none" and metric != "validation_accuracy":
            raise ValueError(
                f"pruner {self.pruner!r} watches validation_accuracy and cannot serve the objective {metric!r}"
            )
        return self

    @model_validator(mode="after")
    def _asks_once(self) -> "Search":
        metrics = [objective.metric for objective in self.objectives]
        if len(set(metrics)) < len(metrics):
            raise ValueError(f"the objectives {', '.join(metrics)} name a metric twice")
        bounded = [constraint.metric for constraint in self.constraints]
        if len(set(bounded)) < len(bounded):
            raise ValueError(f"the constraints on {', '.join(bounded)} name a metric twice; give min and max")
        return self

    @model_validator(mode="after")
    def _can_enumerate(self) -> "Search":
        for name, axis in self.space.settings.items():
            if self.sampler == "brute_force" and isinstance(axis, Interval):
                raise ValueError(f"sampler 'brute_force' cannot enumerate the interval space.{name}")
        return self
