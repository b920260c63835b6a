"""A checked study's trials: those of the grid's cells, and of the cells that a search suggests."""

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain, product
from math import prod
from operator import attrgetter
from typing import Any, TypeVar, cast

from pydantic import BaseModel, ValidationError

from lrlc.studies.catalogue import Catalogue
from lrlc.studies.dataset_spec import DatasetSpec
from lrlc.studies.errors import StudyError, first_fault, nearest
from lrlc.studies.fields import MOST_CELLS, MOST_RANK, OptionValue, sensible
from lrlc.studies.lines import shown
from lrlc.studies.places import Places, placement_of, placements
from lrlc.studies.schema import Study
from lrlc.studies.training import Training, check_training
from lrlc.studies.trial_config import TrialConfig

Model = TypeVar("Model", bound=BaseModel)
Changes = tuple[tuple[str, OptionValue], ...]
_IDENTITY_TEXT = json.JSONEncoder(sort_keys=True, separators=(",", ":"))
AXES = ("dataset", "network", "kind", "rank", "placement")
GROUPS: Mapping[str, frozenset[str]] = {
    "train": frozenset(Training.model_fields),
    "dataset": frozenset(DatasetSpec.model_fields) - {"name", "path"},
}


@dataclass(frozen=True)
class GridCell:
    """A cell of the grid without a seed (0): the axes of its block, and the resulting configuration."""

    config: TrialConfig
    settings: Mapping[str, Any]
    where: str


@dataclass(frozen=True)
class Grid:
    """A checked study with the cells of its grid. A command expands it once, on opening the study."""

    study: Study
    catalogue: Catalogue
    cells: tuple[GridCell, ...]
    """The cells of all blocks, in order; a cell in two blocks is listed twice."""

    def trials(
        self,
        seeds: Sequence[int] | None = None,
        config_of: Callable[[GridCell], TrialConfig] = attrgetter("config"),
    ) -> list[TrialConfig]:
        """Every trial once: all cells with the first seed, then all with the second, and so on.

        An interrupted study is thus balanced over its cells. `seeds` are the study's if None; `config_of` may change a
        cell, as tuning does.
        """
        cells = dict.fromkeys(map(config_of, self.cells))
        asked = self.study.seeds if seeds is None else seeds
        return list(dict.fromkeys(with_seed(cell, seed) for seed in asked for cell in cells))


def expand(study: Study, catalogue: Catalogue) -> Grid:
    """List the cells of the study's grid; a StudyError names the wrong key."""
    blocks = (
        _block_cells(study, block, f"grid[{number}]", catalogue) for number, block in enumerate(study.grid)
    )
    return Grid(study, catalogue, tuple(chain.from_iterable(blocks)))


def with_settings(grid: Grid, cell: GridCell, changes: Mapping[str, Any]) -> TrialConfig:
    """A cell of the grid with some axes changed, such as `train.learning_rate`."""
    return _config(grid.study, {**cell.settings, **changes}, cell.where, grid.catalogue)


def suggested_configs(study: Study, catalogue: Catalogue, values: Mapping[str, Any]) -> list[TrialConfig]:
    """The trials of a search's suggestion, one per seed.

    `values` has `kind`, `placement` ('1+3') and `rank` if the kind has them, and `train.KEY` if searched.
    """
    if study.search is None:
        raise StudyError(f"study {study.name!r} has no search")
    search = study.search
    settings = {
        "dataset": search.dataset,
        "network": search.network,
        "kind": values["kind"],
        "placement": placement_of(str(values["placement"])) if "placement" in values else "all",
        **{key: value for key, value in values.items() if key not in ("kind", "placement")},
    }
    cell = _config(study, settings, "search.space", catalogue)
    return [with_seed(cell, seed) for seed in search.seeds]


def has_places(kind: str) -> bool:
    """Whether placement matters for the kind; it does not for plain convolutions, as all other layers are such."""
    return kind != "conv"


def trial_id(
    config: TrialConfig, *, data_digest: str, code_epoch: int, plugin_digest: str | None = None
) -> str:
    """16 hexadecimal digits: a hash of everything that defines a trial, excluding where or how fast it runs."""
    identity: dict[str, Any] = {"config": config.canonical(), "data": data_digest, "code_epoch": code_epoch}
    identity["config"]["dataset"].pop("path")  # the digest identifies the data, wherever they are stored
    if plugin_digest is not None:
        identity["plugins"] = plugin_digest
    text = _IDENTITY_TEXT.encode(identity)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _block_cells(
    study: Study, block: Mapping[str, Any], where: str, catalogue: Catalogue
) -> Iterator[GridCell]:
    for axis in block:
        _check_axis(axis, where, catalogue)
        if block[axis] == [] and axis not in ("train.augment", "placement"):
            raise StudyError(f"{where}.{axis}: an empty list; give a value, or leave it out")
        _check_values(block[axis], axis, where)
    if "kind" not in block:
        raise StudyError(f"{where}: no kind; known: {', '.join(sorted(catalogue.kinds))}")
    kinds = _values(block["kind"])
    for kind in kinds:
        if kind not in catalogue.kinds:
            raise StudyError(
                f"{where}.kind: unknown layer kind {shown(kind)}; {nearest(kind, catalogue.kinds)}"
            )
    if "rank" in block and not any(_needs_rank(kind, catalogue) for kind in kinds):
        raise StudyError(f"{where}.rank: {', '.join(map(str, kinds))} has no rank; leave it out")
    for option, _ in _group(block, "layer"):
        taken = {name for kind in kinds for name in catalogue.options.get(str(kind), ())}
        if option not in taken:
            raise StudyError(f"{where}.layer.{option}: no kind here takes it; {nearest(option, taken)}")
    axes: dict[str, Sequence[Any]] = {
        axis: _values(value) for axis, value in block.items() if axis != "placement"
    }
    if "dataset" not in block:
        if not study.datasets:
            raise StudyError(f"{where}: no dataset, and the study has no datasets")
        axes["dataset"] = study.datasets
    _check_count(axes, block, where)
    for combination in product(*axes.values()):
        settings = dict(zip(axes, combination, strict=True))
        network = settings.get("network", study.network)
        places = check_network(network, f"{where}.network", catalogue)
        try:
            chosen = placements(block.get("placement", "all"), places)
        except ValueError as error:
            raise StudyError(f"{where}.placement: {error}") from None
        for placement in chosen:
            placed = {**settings, "placement": list(placement)}
            yield GridCell(_config(study, placed, where, catalogue), placed, where)


def _config(study: Study, settings: Mapping[str, Any], where: str, catalogue: Catalogue) -> TrialConfig:
    """One cell without a seed (0); keys that cannot change its result are removed."""
    kind = str(settings["kind"])
    network = settings.get("network", study.network)
    places = check_network(network, f"{where}.network", catalogue)
    rank = _rank(settings.get("rank"), kind, where) if _needs_rank(kind, catalogue) else None
    try:
        (placement,) = placements(settings.get("placement", "all"), places)
    except ValueError as error:
        raise StudyError(f"{where}.placement: {error}") from None
    given = {**study.layer, **dict(_group(settings, "layer"))}
    taken = catalogue.options_of(kind, given)
    options = {
        name: _like(value, taken[name].default)
        for name, value in given.items()
        if name in taken and value != taken[name].default  # an explicit default gives the same trial
    }
    dataset = dataset_spec(settings["dataset"], f"{where}.dataset", catalogue)
    dataset = limited(dataset, study)
    train = _updated(study.train, settings, "train", where).without_unused()
    check_training(train, catalogue.training, f"{where}.train")
    return TrialConfig(
        dataset=_drawable(_updated(dataset, settings, "dataset", where), where),
        network=network,
        kind=kind,
        rank=rank,
        placement=placement if has_places(kind) else (),
        options=tuple(sorted(options.items())),
        train=train,
        seed=0,
    )


def _like(value: OptionValue, default: object) -> OptionValue:
    """2 as 2.0 where numbers are fractions, so that both are one trial."""
    is_whole = isinstance(value, int) and not isinstance(value, bool)
    return float(value) if is_whole and isinstance(default, float) else value


def _rank(given: object, kind: str, where: str) -> int:
    """A whole number, also as the float that it is in a frame of results."""
    rank = int(given) if isinstance(given, float) and given.is_integer() else given
    if not isinstance(rank, int) or isinstance(rank, bool) or rank < 1:
        told = "none was given" if given is None else f"got {shown(given)}"
        raise StudyError(f"{where}.rank: {kind} needs a whole rank of at least 1; {told}")
    if rank > MOST_RANK:
        raise StudyError(f"{where}.rank: at most {MOST_RANK:,}, got {rank:,}")
    return rank


def dataset_spec(given: object, where: str, catalogue: Catalogue) -> DatasetSpec:
    """A name, a folder's path (with a '/'), or a mapping; StudyError for an unknown name."""
    if isinstance(given, DatasetSpec):
        spec = given
    else:
        fields = {"path" if "/" in given else "name": given} if isinstance(given, str) else given
        if not isinstance(fields, dict):
            raise StudyError(f"{where}: expected a name, a folder's path or a mapping, got {shown(given)}")
        try:
            spec = DatasetSpec.model_validate(fields)
        except ValidationError as error:
            raise first_fault(error, DatasetSpec, where) from None
    if spec.name is not None and spec.name not in catalogue.datasets:
        raise StudyError(
            f"{where}: unknown data set {shown(spec.name)}; {nearest(spec.name, catalogue.datasets)}"
            " (a folder of Parquet files needs a path with a '/')"
        )
    return spec


def limited(dataset: DatasetSpec, study: Study) -> DatasetSpec:
    """Apply the study's limits, size and draw if the data set sets none."""
    limits = {key: getattr(study, key) for key in ("train_images", "evaluation_images", "size")}
    taken_over = {key: limit for key, limit in limits.items() if limit and getattr(dataset, key) is None}
    if "draw" not in dataset.model_fields_set and study.draw != dataset.draw:
        taken_over["draw"] = study.draw
    return _changed(dataset, tuple(taken_over.items()))


def _drawable(dataset: DatasetSpec, where: str) -> DatasetSpec:
    if dataset.draw == "seed" and dataset.train_images is None:
        raise StudyError(
            f"{where}.dataset.draw: 'seed' needs the number of images to draw; "
            f"give {dataset.title} `train_images` or `draw: first`"
        )
    return dataset


def with_seed(cell: TrialConfig, seed: int) -> TrialConfig:
    """The trial of a cell with this seed."""
    return TrialConfig(
        cell.dataset, cell.network, cell.kind, cell.rank, cell.placement, cell.options, cell.train, seed
    )


def _check_axis(axis: str, where: str, catalogue: Catalogue) -> None:
    group, dot, key = axis.partition(".")
    if axis in AXES or (group == "layer" and key):  # the kinds check which of them take the option
        return
    if dot and group in GROUPS:
        if key not in GROUPS[group]:
            raise StudyError(f"{where}.{axis}: unknown key; {nearest(key, GROUPS[group])}")
        return
    options = {f"layer.{option}" for taken in catalogue.options.values() for option in taken}
    known = {f"{group}.{key}" for group, keys in GROUPS.items() for key in keys}
    raise StudyError(f"{where}.{axis}: unknown axis; {nearest(axis, {*AXES, *known, *options})}")


def _check_values(given: object, axis: str, where: str) -> None:
    """Accept only names and numbers; data sets, sizes and placements are checked when they are parsed."""
    if axis in ("dataset", "placement"):
        return
    if axis == "dataset.size":
        for value in _values(given):
            sides = value if isinstance(value, list) else [value]
            if any(isinstance(side, list | dict) for side in sides):
                raise StudyError(f"{where}.{axis}: expected pixels or [height, width], got {shown(value)}")
        return
    for value in _values(given):
        if (
            axis == "train.augment"
            and isinstance(value, list)
            and all(isinstance(each, str) for each in value)
        ):
            continue
        if isinstance(value, list | dict):
            raise StudyError(f"{where}.{axis}: expected a name or a number, got {shown(value)}")
        if axis.startswith("layer."):
            try:
                sensible(value)
            except ValueError as error:
                raise StudyError(f"{where}.{axis}: {error}") from None


def _check_count(axes: Mapping[str, Sequence[Any]], block: Mapping[str, Any], where: str) -> None:
    """StudyError for a block with too many cells, which would take minutes to list."""
    cells = prod(map(len, axes.values())) * len(_values(block.get("placement", "all")))
    if cells > MOST_CELLS:
        raise StudyError(f"{where}: {cells:,} cells; a block has at most {MOST_CELLS:,}")


def check_network(network: object, where: str, catalogue: Catalogue) -> Places:
    """The network's places; StudyError for an unknown network."""
    try:
        return catalogue.places(str(network))
    except KeyError:
        known = nearest(network, catalogue.networks)
        raise StudyError(f"{where}: unknown network {shown(network)}; {known}") from None
    except ValueError as error:
        raise StudyError(f"{where}: {error}") from None


def _needs_rank(kind: object, catalogue: Catalogue) -> bool:
    return catalogue.kinds.get(str(kind), False)


def _group(settings: Mapping[str, Any], group: str) -> Changes:
    return tuple(
        (axis.partition(".")[2], value) for axis, value in settings.items() if axis.startswith(f"{group}.")
    )


def _updated(model: Model, settings: Mapping[str, Any], group: str, where: str) -> Model:
    try:
        changes = _group(settings, group)
        return _changed(model, tuple((key, _hashable(value)) for key, value in changes))
    except ValidationError as error:
        raise first_fault(error, type(model), f"{where}.{group}") from None


def _changed(model: Model, changes: Changes) -> Model:
    return cast(Model, _checked(model, changes)) if changes else model


@lru_cache(maxsize=4096)
def _checked(model: BaseModel, changes: Changes) -> BaseModel:
    """The model with the changes, validated; cached, as the cells of a large grid share them."""
    return type(model).model_validate({**model.model_dump(), **dict(changes)})


def _hashable(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _values(given: object) -> list[Any]:
    values = given if isinstance(given, list) else [given]
    return values or [None]
