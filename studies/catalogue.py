"""The names that a study may use, as the shipped code and plugins register them."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from lrlc.studies.places import ModuleNames, Places
from lrlc.studies.training import SHIPPED, Names


@dataclass(frozen=True)
class KindOption:
    """An option of a layer kind: its default, its JSON schema for editors, and whether it takes only whole numbers."""

    default: object
    schema: Mapping[str, Any] = field(default_factory=dict)
    is_whole: bool = False


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
    sized: Mapping[str, Collection[str]] = field(default_factory=dict)
    """Layer kind -> its options that can change its size, which a kind matched to it takes too."""
    training: Names = field(default_factory=lambda: SHIPPED)
    """The registered names for keys of `train`."""
    metrics: Mapping[str, str] = field(default_factory=dict)
    """Metric of a plugin -> the split it is measured on."""
    library: Callable[[str], ModuleNames] | None = None
    """The places of a library's network ('timm/resnet18'); ValueError for an unknown network."""

    def options_of(self, kind: str, given: Mapping[str, object]) -> Mapping[str, KindOption]:
        """The options of a kind; for one that is matched to the kind in `given`, without those that this one lacks."""
        own = self.options.get(kind, {})
        usual, other = self.matched.get(kind), given.get("matched_to")
        if usual is None or not isinstance(other, str) or other not in self.sized:
            return own
        lacking = set(self.sized.get(usual, ())) - set(self.sized[other])
        return {name: option for name, option in own.items() if name not in lacking}

    def places(self, network: str) -> Places:
        """The network's places; KeyError for an unknown network, ValueError for a library's."""
        if "/" in network and self.library is not None:
            return self.library(network)
        return self.networks[network]
