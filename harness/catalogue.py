"""A study as the user named it, checked against the kinds, networks and data sets that exist here."""

import inspect
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import layers
from harness import plugins
from harness.data import DATASETS
from studies import Catalogue, Study, StudyError, TrialConfig, parse_study, read_study


@dataclass(frozen=True)
class OpenedStudy:
    """A checked study, the names it was checked against and the plugins that define some of them."""

    study: Study
    catalogue: Catalogue
    plugins: tuple[plugins.Plugin, ...]

    def plugin_digest(self, config: TrialConfig) -> str | None:
        """Digest of the plugin files that define the trial's kind, network or data set; None if all are shipped."""
        sources = {
            layers.LAYER_KINDS[config.kind].source,
            layers.NETWORKS[config.network].source,
            DATASETS[config.dataset.name].source if config.dataset.name else None,
        }
        digests = [plugin.digest for plugin in self.plugins if plugin.path in sources]
        return "+".join(digests) or None


def open_study(name_or_path: str, *, profile: str | None, overrides: Sequence[str]) -> OpenedStudy:
    """Read, extend by its plugins and check a study; StudyError or UserError says in a line what is wrong."""
    raw, path = read_study(name_or_path)
    files = plugins.read_plugins(_plugin_names(raw, path), beside=path.parent)
    plugins.install(files)
    known = catalogue()
    return OpenedStudy(
        parse_study(raw, known, profile=profile, overrides=overrides, source=str(path)), known, files
    )


def catalogue() -> Catalogue:
    """The names that are registered now."""
    return Catalogue(
        kinds={name: kind.ranked or bool(kind.matched_to) for name, kind in layers.LAYER_KINDS.items()},
        matched={name: kind.matched_to for name, kind in layers.LAYER_KINDS.items() if kind.matched_to},
        networks={name: network.placements for name, network in layers.NETWORKS.items()},
        datasets=frozenset(DATASETS),
        options={name: _options(kind) for name, kind in layers.LAYER_KINDS.items()},
    )


def _options(kind: layers.LayerKind) -> frozenset[str]:
    """The keywords of a kind's builder beyond those every network passes; a matched kind's are its model's."""
    build = layers.LAYER_KINDS[kind.matched_to or kind.name].build
    parameters = inspect.signature(build).parameters.values()
    passed = {"input_size", "stride", "padding", "bias", "rank"}
    return frozenset(p.name for p in parameters if p.kind is p.KEYWORD_ONLY and p.name not in passed)


def _plugin_names(raw: dict[str, object], path: Path) -> list[str]:
    names = raw.get("plugins", [])
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise StudyError(f"{path}: plugins: expected a list of Python files, got {names!r}")
    return names
