"""A study's claims: statements that its rows can support or contradict. See docs/claims.md."""

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from lrlc.studies.fields import Listed, Model, Name, OptionValue, Rank, Real, SeedCount
from lrlc.studies.places import placement_of

Names = Annotated[list[str], Listed]
Direction = Literal["higher", "lower", "not_lower", "equal"]


MOST_TIMES = 1e9
COSTS = ("parameters", "flops_per_image", "train_seconds", "peak_memory_bytes")
"""The columns that a claim of cost may use."""


class Cells(Model):
    """Cells of the grid; several are represented by the one that the first seeds choose on validation."""

    kind: str
    rank: Annotated[list[Rank], Listed] = []
    """Ranks; any by default."""
    placement: list[str] = []
    """The placement as in the tables, '1+3'; any by default."""
    layer: dict[str, OptionValue] = {}
    """Options with these values, which are not their defaults."""
    defaults: dict[str, OptionValue] = {}
    """Options that must be at their defaults; written as `layer` in a study's file."""

    def as_in_file(self) -> dict[str, Any]:
        """As a study's file says it: places as numbers or names, defaults under `layer`, what is not given left out."""
        given = {
            "rank": self.rank,
            "placement": list(map(placement_of, self.placement)),
            "layer": {**self.layer, **self.defaults},
        }
        return {"kind": self.kind, **{key: value for key, value in given.items() if value}}


class _Claim(Model):
    name: str
    """Claims with the same name share a verdict: supported if all of them are."""
    says: str = ""
    """The statement, for the table of verdicts; only needed for the first claim of a name."""
    ours: Cells

    @property
    def expects(self) -> Direction:
        """The range of the effect if the claim is true."""
        return "higher"

    @property
    def tolerance(self) -> float:
        """The margin; 0 without one."""
        return 0.0

    @property
    def sides(self) -> dict[str, Cells]:
        """`ours`, and `theirs` if the claim compares."""
        return {"ours": self.ours}


class _Compared(_Claim):
    theirs: Cells
    matched: bool = False
    """Theirs has the same rank and placement as ours."""
    direction: Direction = "higher"
    margin: Annotated[Real, Field(gt=0, le=100)] | None = None
    """In points of accuracy: differences within it are irrelevant in practice."""

    @model_validator(mode="after")
    def _has_margin(self) -> "_Compared":
        if self.margin is None and self.direction in ("not_lower", "equal"):
            raise ValueError(f"direction {self.direction!r} needs a margin, in points of accuracy")
        return self

    @property
    def expects(self) -> Direction:
        return self.direction

    @property
    def tolerance(self) -> float:
        return self.margin or 0.0

    @property
    def sides(self) -> dict[str, Cells]:
        return {"ours": self.ours, "theirs": self.theirs}


class Difference(_Compared):
    """Ours against theirs, on each data set (by default the study's)."""

    test: Literal["difference"] = "difference"
    datasets: Names = []
    metric: Name | None = None
    """A plugin's metric, in its own units, as is the margin. None is test accuracy in points."""


class Change(_Compared):
    """The difference on `after` against that on `before`: pair by pair if their numbers match, else all pairs."""

    test: Literal["change"] = "change"
    before: Names
    after: Names


class Interaction(_Compared):
    """The difference on the data sets in `higher_on` against that on those in `than_on`, seed by seed."""

    test: Literal["interaction"] = "interaction"
    higher_on: Names
    than_on: Names


class BestRank(_Claim):
    """The best rank is higher on the data sets in `higher_on` than on those in `than_on`."""

    test: Literal["best_rank"] = "best_rank"
    higher_on: Names
    than_on: Names


class Trend(_Claim):
    """Accuracy rises, or falls, with rank."""

    test: Literal["trend"] = "trend"
    direction: Literal["higher", "lower"] = "higher"
    datasets: Names = []

    @property
    def expects(self) -> Direction:
        return self.direction


class Smooth(_Claim):
    """The learned combining weights vary more smoothly over the image than those learned from shuffled labels."""

    test: Literal["smooth"] = "smooth"
    datasets: Names = []


class Cost(_Claim):
    """The cost of ours as a multiple of theirs."""

    test: Literal["cost"] = "cost"
    theirs: Cells
    metric: Name
    """One of COSTS, or a plugin's metric with positive values."""
    at_most: Annotated[Real, Field(gt=0, le=MOST_TIMES)] | None = None
    at_least: Annotated[Real, Field(gt=0, le=MOST_TIMES)] | None = None
    datasets: Names = []

    @model_validator(mode="after")
    def _is_bounded(self) -> "Cost":
        if (self.at_most is None) == (self.at_least is None):
            raise ValueError("give either at_most or at_least, a multiple of theirs")
        return self

    @property
    def expects(self) -> Direction:
        return "higher" if self.at_most is None else "lower"

    @property
    def bound(self) -> float:
        """The bound on the cost of ours, as a multiple of theirs."""
        return self.at_most or self.at_least or 0.0

    @property
    def sides(self) -> dict[str, Cells]:
        return {"ours": self.ours, "theirs": self.theirs}


Claim = Annotated[
    Difference | Change | Interaction | BestRank | Trend | Smooth | Cost,
    Field(discriminator="test"),
]
DATASET_KEYS = ("datasets", "before", "after", "higher_on", "than_on")


SMALLEST_ALPHA = 1e-6
"""The level that 21 seeds can reach; far below it, quantiles of t distributions become inaccurate."""


class Decision(Model):
    """When claims are decided: with `looks`, only at these numbers of seeds, each with its share of `alpha`."""

    alpha: Annotated[Real, Field(ge=SMALLEST_ALPHA, lt=0.5)] = 0.05
    looks: list[Annotated[SeedCount, Field(ge=2)]] = []

    @model_validator(mode="after")
    def _rises(self) -> "Decision":
        if sorted(set(self.looks)) != self.looks:
            raise ValueError(f"looks {self.looks} must increase")
        return self
