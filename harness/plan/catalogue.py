"""Open the study that the user names, and check it against the kinds, networks and data sets that exist here."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lrlc import layers
from lrlc.harness import plugins
from lrlc.harness.data import DATASETS
from lrlc.harness.measuring.metrics import METRICS
from lrlc.harness.plugins import Installed
from lrlc.harness.training import from_conv
from lrlc.harness.training.augmentations import AUGMENTATIONS
from lrlc.harness.training.optimizers import OPTIMIZERS
from lrlc.harness.training.recipes import RECIPES
from lrlc.harness.training.schedules import SCHEDULES
from lrlc.studies import (
    Catalogue,
    Grid,
    Interval,
    KindOption,
    Study,
    StudyError,
    TrialConfig,
    checked_grid,
    merge,
    pilots,
    read_study,
    shipped_studies,
    with_fewer_epochs,
)
from lrlc.studies.fields import OptionValue
from lrlc.studies.places import Placement
from lrlc.studies.space import Space


@dataclass(frozen=True)
class OpenedStudy:
    """A checked study, the names it was checked against and the plugins that define some of them.

    `profile` and `overrides` are the command line's changes to its file.
    """

    grid: Grid
    """The expanded study, which is expanded only once."""
    plugins: tuple[plugins.Plugin, ...]
    profile: str | None
    overrides: tuple[str, ...]
    installed: tuple[Installed, ...] = ()
    """The packages that may define some of them."""
    file: str | None = None
    """The study's file, as named by the command; None for a shipped study or one without a file."""

    @property
    def study(self) -> Study:
        return self.grid.study

    @property
    def catalogue(self) -> Catalogue:
        return self.grid.catalogue

    def plugin_digest(self, config: TrialConfig) -> str | None:
        """Digest of the plugin files that define parts of the trial; None if all parts are shipped."""
        if not self.plugins and not self.installed:
            return None
        sources = self._sources(config)
        digests = [plugin.digest for plugin in self.plugins if plugin.source in sources]
        for package in self.installed:
            found = (package.digest_of(source) for source in sorted(sources))
            digests += [digest for digest in found if digest is not None]
        return "+".join(digests) or None

    def _sources(self, config: TrialConfig) -> set[str]:
        """The files that register the parts of the trial."""
        train, kind = config.train, layers.LAYER_KINDS[config.kind]
        named: list[Any] = [
            kind,
            *([layers.match_of(kind, dict(config.options)).to] if kind.matched_to else []),
            layers.find_network(config.network),
            *([DATASETS[config.dataset.name]] if config.dataset.name else []),
            OPTIMIZERS[train.optimizer],
            SCHEDULES[train.schedule],
            *(AUGMENTATIONS[name] for name in train.augment),
            *([RECIPES[train.recipe]] if train.recipe is not None else []),
            *(METRICS[name] for name in self.study.measured.metrics),
        ]
        return {each.source for each in named}


def plain(content: Any) -> Any:
    """The content of a study given in Python, with tuples, paths and numpy's numbers and arrays as YAML has them."""
    match content:
        case Mapping():
            return {key: plain(value) for key, value in content.items()}
        case list() | tuple() | range():
            return [plain(value) for value in content]
        case Path():
            return str(content)
    as_list = getattr(content, "tolist", None)
    return content if as_list is None else as_list()


def open_study(
    given: str | Path | Mapping[str, Any], *, profile: str | None, overrides: Sequence[str]
) -> OpenedStudy:
    """Read a study, load its plugins and check it; StudyError or UserError says in one line what is wrong.

    It is given by its file or shipped name, or as the content of a file, whose plugins are then relative to the
    current folder.
    """
    content = plain(given)
    raw, path = (content, None) if isinstance(content, dict) else read_study(content)
    source = "study" if path is None else str(path)
    try:
        merged = merge(raw, profile, overrides)
        names = _plugin_names(merged)
    except StudyError as error:
        raise StudyError(f"{source}: {error}") from None
    files = plugins.read_plugins(names, beside=path.parent if path else Path())
    installed = plugins.load_installed()
    plugins.install(files)
    grid = checked_grid(merged, catalogue(), source=source)
    _check_options(grid, source)
    file = content if isinstance(content, str) and content not in shipped_studies() else None
    return OpenedStudy(grid, files, profile, tuple(overrides), installed, file)


def catalogue() -> Catalogue:
    """The currently registered names."""
    return Catalogue(
        kinds={name: kind.ranked or bool(kind.matched_to) for name, kind in layers.LAYER_KINDS.items()},
        matched={name: kind.matched_to for name, kind in layers.LAYER_KINDS.items() if kind.matched_to},
        networks={name: network.placements for name, network in layers.NETWORKS.items()},
        datasets=frozenset(DATASETS),
        library=_library,
        options={name: _options(kind) for name, kind in layers.LAYER_KINDS.items()},
        sized={name: _sized(kind) for name, kind in layers.LAYER_KINDS.items()},
        training={
            "optimizer": frozenset(OPTIMIZERS),
            "schedule": frozenset(SCHEDULES),
            "augment": frozenset(AUGMENTATIONS),
            "recipe": frozenset(RECIPES),
        },
        metrics={name: METRICS[name].settings for name in METRICS},
    )


def _library(network: str) -> layers.ModulePlaces:
    modules = layers.find_network(network).modules
    assert modules is not None  # the '/' in its name means a library's network
    return modules


def _check_widths(study: Study, cells: Sequence[TrialConfig], source: str) -> None:
    """StudyError if a kind changes widths that a network fixes."""
    asked = {(cell.network, cell.kind) for cell in cells}
    asked |= {(study.search.network, kind) for kind in study.search.space.kind} if study.search else set()
    for network, kind in sorted(asked):
        try:
            layers.check_widths(layers.find_network(network), layers.LAYER_KINDS[kind])
        except layers.LayerError as error:
            raise StudyError(f"{source}: network: {error}") from None


def _check_options(grid: Grid, source: str) -> None:
    """Check the values of layer options, which only the layers can judge."""
    study, known = grid.study, grid.catalogue
    cells = [cell.config for cell in grid.cells]
    cells += [tried[0] for of_group in pilots(grid) for tried in of_group.trials.values()]
    _check_widths(study, cells, source)
    short = with_fewer_epochs(study.length_check, [cell.config for cell in grid.cells])
    channels: dict[tuple[str, Placement], Collection[tuple[int, int]]] = {}
    asked = {
        (cell.kind, cell.options, cell.train.epochs, cell.network, cell.placement): where
        for where, configs in (("length_check", short), ("layer", cells))
        for cell in configs
        if cell.options
    }
    for (kind, options, epochs, network, placement), where in sorted(asked.items(), key=str):
        place = (network, placement)
        channels[place] = channels.get(place) or layers.placed_channels(*place)
        if fault := _fault(layers.LAYER_KINDS[kind], options, epochs, channels[place]):
            raise StudyError(f"{source}: {where}: {kind}: {fault}")
    _check_searched_options(study, known, source)
    searched = study.search.space.kind if study.search else ()
    if study.layer.get("match") == "train_seconds" and "width" not in study.layer:
        for kind in set(searched) & known.matched.keys():
            raise StudyError(
                f"{source}: layer.match: the width of {kind} cannot be measured for a search; give layer.width"
            )


def _check_searched_options(study: Study, known: Catalogue, source: str) -> None:
    """Check each value of an option in the search's space, with the study's values of the others."""
    space = study.search.space if study.search else Space(kind=["conv"])
    for option, axis in space.layer.items():
        for kind in (kind for kind in space.kind if option in known.options.get(kind, ())):
            taken = known.options[kind]
            given = {name: value for name, value in study.layer.items() if name in taken}
            for value in _extremes(axis, taken[option]):
                asked = tuple({**given, option: value}.items())
                if fault := _fault(layers.LAYER_KINDS[kind], asked, study.train.epochs):
                    raise StudyError(f"{source}: search.space.layer.{option}: {kind}: {fault}")


def _extremes(axis: Interval | list[Any], option: KindOption) -> list[Any]:
    """The values to choose from, or both ends of an interval, as integers if the option takes only these."""
    if not isinstance(axis, Interval):
        return axis
    return [int(end) if option.is_whole else end for end in (axis.low, axis.high)]


def _fault(
    kind: layers.LayerKind,
    options: Sequence[tuple[str, OptionValue]],
    epochs: int,
    channels: Collection[tuple[int, int]] = (layers.USUAL_CHANNELS,),
) -> str | None:
    try:
        layers.check_options(kind, from_conv.layer_options(options), channels)
    except layers.LayerError as error:
        return str(error)
    return from_conv.fault(options, epochs)


def _options(kind: layers.LayerKind) -> dict[str, KindOption]:
    """The options that a study may set for a kind; whether a layer has a bias is up to the network.

    A matched kind has the options of the kind it is matched to that can change its size, plus those for matching.
    """
    options = {name: option for name, option in kind.options.items() if name != "bias"}
    if kind.matched_to:
        other = layers.LAYER_KINDS[kind.matched_to]
        options = {name: other.options[name] for name in _sized(other)} | layers.match_options(kind)
    if kind.from_conv:
        options[from_conv.FROM_CONV] = from_conv.OPTION
    return {
        name: KindOption(option.default, option.json_schema(), option.is_whole)
        for name, option in options.items()
    }


def _sized(kind: layers.LayerKind) -> list[str]:
    """The options that can change a kind's size."""
    return [name for name, option in kind.options.items() if name != "bias" and not option.learning]


def _plugin_names(merged: dict[str, object]) -> list[str]:
    names = merged.get("plugins", [])
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise StudyError(f"plugins: expected a list of Python files, got {names!r}")
    return names
