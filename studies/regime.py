"""The regime in which a comparison counts: networks trained well and long enough, and combining weights that moved."""

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from lrlc.studies.fields import Model, Real
from lrlc.studies.lines import shown

ANY = "any"


class Regime(Model):
    """Conditions that both sides of a comparison must meet on each of its data sets; otherwise it is out of regime."""

    no_divergence: bool = True
    """No seed of either side diverged: those that did not are not a fair sample."""
    linear: bool = True
    """Mean test accuracy above that of multinomial logistic regression on the same training pixels."""
    length: bool = True
    """With the length check's fewer epochs, the effect changes by less than the margin or half its interval's width."""
    weights_std: Annotated[Real, Field(ge=0, le=1e6)] = 0.05
    """The minimum standard deviation of combining weights over positions, within a bank, and for input-dependent ones
    also over images; 0 disables this."""

    @property
    def is_any(self) -> bool:
        """Whether there are no conditions."""
        return not (self.no_divergence or self.linear or self.length or self.weights_std)


def _any(given: object) -> object:
    """`any` sets no conditions."""
    if given == ANY:
        return Regime(no_divergence=False, linear=False, length=False, weights_std=0)
    if not isinstance(given, dict | Regime):
        raise ValueError(f"expected 'any' or a mapping of conditions, got {shown(given)}")
    return given


AnyRegime = Annotated[Regime, BeforeValidator(_any, json_schema_input_type=Literal["any"] | Regime)]
