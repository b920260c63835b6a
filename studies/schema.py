"""The schema of a study: the declarative form of its YAML file. See docs/studies.md."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from lrlc.studies.claims import COSTS, Claim, Decision
from lrlc.studies.fields import (
    LEAST_SHARE,
    MOST_CPUS,
    Images,
    Listed,
    Minutes,
    Model,
    Name,
    OptionValue,
    Pixels,
    Real,
    Seed,
    SeedCount,
    Size,
    StudyName,
    Whole,
)
from lrlc.studies.lines import masked
from lrlc.studies.places import ModuleNames, Placement, Places
from lrlc.studies.regime import AnyRegime, Regime
from lrlc.studies.space import Interval, Space
from lrlc.studies.stages import LengthCheck, Tune
from lrlc.studies.titles import Title
from lrlc.studies.training import SHIPPED, Names, Training


@dataclass(frozen=True)
class KindOption:
    """An option of a layer kind: its default, and its JSON schema for editors."""

    default: object
    schema: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Catalogue:
    """The names a study may use, as registered by the shipped code and the study's plugins."""

    kinds: Mapping[str, bool]
    """Layer kind -> whether it needs a rank."""
    networks: Mapping[str, int]
    """Network -> how many places it has for layer kinds."""
    datasets: Collection[str]
    matched: Mapping[str, str] = field(default_factory=dict)
    """Layer kind -> the kind whose parameter count it is widened to."""
    options: Mapping[str, Mapping[str, KindOption]] = field(default_factory=dict)
    """Layer kind -> its options (`layer.share`)."""
    training: Names = field(default_factory=lambda: SHIPPED)
    """The registered names for keys of `train`."""
    metrics: Mapping[str, str] = field(default_factory=dict)
    """Metric of a plugin -> the split it is measured on."""
    library: Callable[[str], ModuleNames] | None = None
    """The places of a library's network ('timm/resnet18'); ValueError for an unknown network."""

    def places(self, network: str) -> Places:
        """The network's places; KeyError for an unknown network, ValueError for a library's."""
        if "/" in network and self.library is not None:
            return self.library(network)
        return self.networks[network]


Draw = Literal["first", "seed"]


class DatasetSpec(Model):
    """A data set, by its name or the path of a folder, and how it is modified."""

    name: str | None = None
    path: str | None = None
    translate: Pixels = 0
    label: str | None = None
    image: str | None = None
    """The column of images, if a user's folder has several."""
    train_images: Images | None = None
    """How many training images to use, after holding out validation; `draw` chooses which."""
    evaluation_images: Images | None = None
    """How many validation and test images to use, counted from the first."""
    size: Size | None = None
    """(H, W) to shrink images to when decoding; None keeps their size."""
    draw: Draw = "first"
    """Use the first `train_images`, or draw as many for each seed, stratified by label."""
    shuffle_labels: bool = False
    """Permute training and validation labels by seed (as a null); test labels are unchanged."""

    @model_validator(mode="after")
    def _is_one(self) -> "DatasetSpec":
        if (self.name is None) == (self.path is None):
            raise ValueError("give either a name or a path")
        if self.image is not None and self.path is None:
            raise ValueError(f"{self.name} has only one kind of image; leave `image` out")
        return self

    @property
    def title(self) -> str:
        """Its name in tables and figures: 'mnist', 'celeba:Smiling', 'mnist@14+t2'."""
        return str(Title.of(dict(self)))

    def identity(self) -> dict[str, Any]:
        """JSON-able; newer keys are left out at their default, so that earlier ids stay the same."""
        fields = type(self).model_fields
        return {
            key: value
            for key, value in self.model_dump().items()
            if key not in _LATER_KEYS or value != fields[key].default
        }


_LATER_KEYS = ("size", "draw", "shuffle_labels", "image")


class Resources(Model):
    """The resources reserved for a trial while it runs; never part of its identity."""

    cpus: Annotated[Real, Field(ge=LEAST_SHARE, le=MOST_CPUS)] = 1
    gpus: Annotated[Real, Field(ge=0)] | None = None
    """None: if there are GPUs, a share of one that fits the trial's memory. A fraction lets trials
    share one."""
    accelerator_type: str | None = None
    trials_per_gpu: Annotated[Whole, Field(ge=1, le=1_000)] = 4
    """Upper bound on the trials that share a GPU if `gpus` is None."""
    time_limit_minutes: Annotated[Minutes, Field(gt=0)] | None = None
    """A trial that runs longer is stopped and ends as timed_out."""
    checkpoint_minutes: Minutes = 10
    """Interval at which a trial is saved at the end of an epoch, to resume from there if its worker or driver dies."""
    max_attempts: Annotated[Whole, Field(ge=1, le=1_000)] = 3
    """A trial whose worker died this many times ends as failed; losing a whole node does not count."""

    @field_validator("gpus", "cpus")
    @classmethod
    def _whole_or_fraction(cls, value: float | None) -> float | None:
        if value is not None and value > 1 and value != int(value):
            raise ValueError(
                f"{value:g} is neither a fraction under 1 nor a whole number; Ray would never schedule it"
            )
        return value

    @field_validator("gpus")
    @classmethod
    def _one_at_most(cls, value: float | None) -> float | None:
        if value is not None and value > 1:
            raise ValueError(
                f"a trial only uses one GPU, but {value:g} would be reserved; give 1 or a fraction"
            )
        if value is not None and 0 < value < LEAST_SHARE:
            raise ValueError(f"{value:g} is too small a share; give 0 or at least {LEAST_SHARE}")
        return value


class Measure(Model):
    """Measurements of each trained network besides its accuracy; never part of a trial's identity."""

    shifts: Annotated[tuple[Pixels, ...], Listed] = ()
    """Distances in pixels by which test images and the inputs of each placed layer are shifted."""
    effective_rank: bool = False
    """Singular values of locally connected layers' filters, and accuracy with truncated filters."""

    metrics: Annotated[tuple[Name, ...], Listed] = ()
    """Metrics that plugins define."""

    @field_validator("shifts")
    @classmethod
    def _each_once(cls, value: tuple[int, ...]) -> tuple[int, ...]:
        if len(set(value)) < len(value):
            raise ValueError(f"{list(value)} lists a distance twice")
        return value


Kept = Literal["weights", "best_weights"]
"""A trained network's weights after the last epoch, or after the one with the best validation accuracy."""

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


class Study(Model):
    """A study: a question, the trials that answer it and how they are trained."""

    name: StudyName
    title: str = ""
    description: str = ""
    plugins: list[str] = []
    datasets: list[DatasetSpec] = []
    train_images: Images | None = None
    evaluation_images: Images | None = None
    size: Size | None = None
    draw: Draw = "first"
    """Limits, size and draw for every data set that sets none."""
    network: str = "three_layer"
    layer: dict[str, OptionValue] = {}
    grid: list[dict[str, Any]] = []
    tune: Tune | None = None
    length_check: LengthCheck | None = None
    search: Search | None = None
    seeds: list[Seed] = [0]
    claims: list[Claim] = []
    decision: Decision = Decision()
    regime: AnyRegime = Regime()
    train: Training = Training()
    resources: Resources = Resources()
    measure: Measure = Measure()
    keep: Annotated[tuple[Kept, ...], Listed] = ()
    """Weights that trials keep besides their rows; never part of their identity."""
    keep_gb: Annotated[Real, Field(gt=0)] = 10
    """Once the study's kept files reach this size, no more are kept."""
    profiles: dict[str, dict[str, Any]] = {}

    @field_validator("keep")
    @classmethod
    def _keeps_each_once(cls, value: tuple[Kept, ...]) -> tuple[Kept, ...]:
        if len(set(value)) < len(value):
            raise ValueError(f"{list(value)} lists one twice")
        return value

    def described(self) -> dict[str, Any]:
        """JSON-able: the study as run, for `recorded_study`, without the password of a search's storage."""
        described = self.model_dump(mode="json", exclude={"profiles"})
        if self.search is not None and self.search.storage is not None:
            described["search"]["storage"] = masked(self.search.storage)
        return described

    @property
    def measured(self) -> Measure:
        """The measurements in `measure`, plus the plugins' metrics used by the search and the claims."""
        searched = self.search.metrics if self.search else ()
        claimed = [getattr(claim, "metric", None) for claim in self.claims]
        named = [*self.measure.metrics, *searched, *filter(None, claimed)]
        metrics = tuple(name for name in dict.fromkeys(named) if name not in (*SEARCHED_COLUMNS, *COSTS))
        return self.measure.model_copy(update={"metrics": metrics})

    @property
    def trained_on(self) -> frozenset[str]:
        """The names of all data sets in grid and search, without modifications: 'celeba'."""
        specs = [*self.datasets, *([self.search.dataset] if self.search else [])]
        given: list[Any] = [dict(spec) for spec in specs]
        for block in self.grid:
            named = block.get("dataset", [])
            given += named if isinstance(named, list) else [named]
        return frozenset(
            (Title.of(each) if isinstance(each, Mapping) else Title.parse(str(each))).name for each in given
        )


@dataclass(frozen=True)
class TrialConfig:
    """Everything that defines a trial, except the data's content and the code; equal configurations, same trial."""

    dataset: DatasetSpec
    network: str
    kind: str
    rank: int | None
    placement: Placement
    options: tuple[tuple[str, OptionValue], ...]
    train: Training
    seed: int

    def canonical(self) -> dict[str, Any]:
        """JSON-able, with all defaults filled in, so that its hash is an identity."""
        return {
            "dataset": self.dataset.identity(),
            "network": self.network,
            "kind": self.kind,
            "rank": self.rank,
            "placement": list(self.placement),
            "options": dict(sorted(self.options)),
            "train": self.train.identity(),
            "seed": self.seed,
        }

    @staticmethod
    def of_canonical(given: Mapping[str, Any]) -> "TrialConfig":
        """The configuration written by `canonical` of this or an earlier version; raises pydantic's ValidationError."""
        return TrialConfig(
            dataset=DatasetSpec.model_validate(given["dataset"]),
            network=given["network"],
            kind=given["kind"],
            rank=given["rank"],
            placement=tuple(given["placement"]),
            options=tuple(sorted(given["options"].items())),
            train=Training.model_validate(given["train"]),
            seed=given["seed"],
        )


def seed_list(given: object) -> object:
    """A number n means the seeds 0..n-1."""
    if isinstance(given, int) and not isinstance(given, bool):
        return list(range(given))
    return given
