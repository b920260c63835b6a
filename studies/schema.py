"""The schema of a study: the declarative form of its YAML file. See docs/studies.md."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator

from lrlc.studies.claims import COSTS, Claim, Decision
from lrlc.studies.dataset_spec import DatasetSpec, Draw
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
    Size,
    StudyName,
    Whole,
)
from lrlc.studies.lines import masked
from lrlc.studies.regime import AnyRegime, Regime
from lrlc.studies.search import SEARCHED_COLUMNS, Search
from lrlc.studies.stages import LengthCheck, Tune
from lrlc.studies.titles import Title
from lrlc.studies.training import Training


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
    keep_gb: Annotated[Real, Field(gt=0, le=1e9)] = 10
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

    def as_in_file(self) -> dict[str, Any]:
        """`described`, with claims as a study's file writes them: opened again, it is the same study."""
        described = self.described()
        for claim, written in zip(self.claims, described["claims"], strict=True):
            written |= {side: cells.as_in_file() for side, cells in claim.sides.items()}
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
