"""A study's trials, and which of them have no row yet."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import torch

from lrlc import layers
from lrlc.harness.cell_names import varying_names
from lrlc.harness.data import Dataset, as_loaded, load_dataset
from lrlc.harness.data.loading import packed_title
from lrlc.harness.plan.catalogue import OpenedStudy
from lrlc.harness.plan.reuse import Lent, lent_rows
from lrlc.harness.plan.widths import Widths
from lrlc.harness.text import DecodingLines
from lrlc.harness.training.train import CODE_EPOCH
from lrlc.harness.trial import Trial
from lrlc.results.names import setting_name
from lrlc.results.schema import BROKEN, TrialStatus
from lrlc.results.store import Store
from lrlc.studies import (
    DatasetSpec,
    Group,
    Measure,
    Pilots,
    Setting,
    StudyError,
    TrialConfig,
    pilots,
    trial_id,
    tuned,
    untuned,
    with_fewer_epochs,
)

FIT_ALL = 16
"""Images of this size and more fit all networks of lrlc's own."""


@dataclass(frozen=True)
class PilotTrials:
    """The pilots of a group of cells, by the setting they try."""

    pilots: Pilots
    trials: Mapping[Setting, tuple[Trial, ...]]

    @property
    def ids(self) -> set[str]:
        return {trial.id for tried in self.trials.values() for trial in tried}


class Planner:
    """Gives configurations their ids, which depend on the data's digests, the code epoch and the plugins.

    `chosen` has the settings that a tuning study's pilots have chosen so far; `widths` those of layers matched by
    training time.
    """

    def __init__(
        self,
        opened: OpenedStudy,
        data_dir: Path | None,
        chosen: Mapping[Group, Setting] | None = None,
        widths: Widths | None = None,
    ) -> None:
        self._opened, self._data_dir, self._chosen = opened, data_dir, chosen or {}
        self.widths = widths or Widths()
        self._digests: dict[DatasetSpec, str] = {}
        self._shapes: dict[DatasetSpec, tuple[int, int, int]] = {}
        self._fitting: set[tuple[str, tuple[int, int, int]]] = set()
        self._paths: dict[str, str] = {}

    def with_chosen(self, chosen: Mapping[Group, Setting]) -> "Planner":
        """This planner with these chosen settings."""
        planner = Planner(self._opened, self._data_dir, chosen, self.widths)
        planner._digests, planner._shapes, planner._paths = self._digests, self._shapes, self._paths
        planner._fitting = self._fitting
        return planner

    def trial(self, config: TrialConfig, search_number: int | None = None) -> Trial:
        """The trial for `config`; the first trial of a data set decodes it into the cache."""
        digest = self._digest(config.dataset)
        shape = self._shapes[config.dataset]
        _check_moves(config, shape[1:])
        self._check_fits(config, shape)
        plugins = self._opened.plugin_digest(config)
        config = self.widths.resolved(
            config, lambda: load_dataset(as_loaded(config.dataset), self._data_dir), plugins
        )
        identity = trial_id(config, data_digest=digest, code_epoch=CODE_EPOCH, plugin_digest=plugins)
        study = self._opened.study
        return Trial(
            identity, config, study.name, digest, CODE_EPOCH, search_number, study.measured, study.keep
        )

    def grid(self, seeds: Sequence[int] | None = None) -> tuple[Trial, ...]:
        """The trials of the study's grid with its seeds, or these, each once, in the order they should run.

        Cells whose setting has not been chosen yet have the study's own.
        """
        grid, config_of = self._opened.grid, tuned(self._opened.grid, self._chosen)
        names = varying_names(map(config_of, grid.cells))
        return self._named(grid.trials(seeds, config_of), names)

    def _named(self, configs: Iterable[TrialConfig], names: tuple[str, ...]) -> tuple[Trial, ...]:
        return tuple(replace(self.trial(config), distinguishing=names) for config in configs)

    def untuned(self) -> int:
        """The number of trials in the grid whose setting has not been chosen yet."""
        return untuned(self._opened.grid, self._chosen)

    def pilots(self) -> tuple[PilotTrials, ...]:
        """The pilots of each group of cells; none if the study tunes nothing."""
        names = varying_names(cell.config for cell in self._opened.grid.cells)
        return tuple(
            PilotTrials(each, {setting: self._tried(setting, each, names) for setting in each.trials})
            for each in pilots(self._opened.grid)
        )

    def _tried(self, setting: Setting, of_group: Pilots, varying: tuple[str, ...]) -> tuple[Trial, ...]:
        """The pilots of a setting, labelled by what they try; only the grid's trials measure and keep things."""
        keys = {axis.partition(".")[2]: value for axis, value in setting}
        trials = self._named(of_group.trials[setting], tuple(name for name in varying if name not in keys))
        label = ", ".join(setting_name(key, value) for key, value in keys.items())
        return tuple(replace(trial, tries=label, measure=Measure(), keep=()) for trial in trials)

    def length_check(self, grid: Iterable[Trial]) -> tuple[Trial, ...]:
        """The length check's trials for these of the grid, with fewer epochs; none if the study has no length check."""
        full = [trial.config for trial in grid]
        shorter = with_fewer_epochs(self._opened.study.length_check, full)
        return self._named(shorter, varying_names([*full, *shorter]))

    def _digest(self, spec: DatasetSpec) -> str:
        if spec not in self._digests:
            # Images are shifted and labels shuffled during training, not in the cache.
            whole = spec.model_copy(update={"translate": 0, "shuffle_labels": False})
            if whole not in self._digests:
                loaded = load_dataset(whole, self._data_dir, DecodingLines(whole.title))
                _check_shifts(self._opened.study.measure, loaded)
                self._check_one_path(whole, loaded.digest)
                self._digests[whole], self._shapes[whole] = loaded.digest, loaded.image_shape
            self._digests[spec], self._shapes[spec] = self._digests[whole], self._shapes[whole]
        return self._digests[spec]

    def _check_fits(self, config: TrialConfig, shape: tuple[int, int, int]) -> None:
        """StudyError if images are too small for a network of lrlc's own, with convolutions."""
        if min(shape[1:]) >= FIT_ALL or (config.network, shape) in self._fitting:
            return
        self._fitting.add((config.network, shape))
        if Path(layers.find_network(config.network).source).parent != Path(layers.__file__).parent:
            return
        try:
            with torch.no_grad(), torch.random.fork_rng(devices=[]):
                layers.build_network(config.network, shape, 2).eval()(torch.zeros(1, *shape))
        except layers.InputError as error:
            size = f"{shape[1]}x{shape[2]}"
            raise StudyError(
                f"{config.dataset.title}: images of {size} are too small for {config.network}; give a larger size "
                f"({error})"
            ) from None

    def _check_one_path(self, spec: DatasetSpec, digest: str) -> None:
        """StudyError if a study names the same images by two paths, as their trials would have the same ids."""
        if spec.path is None:
            return
        other = self._paths.setdefault(digest, spec.path)
        if other != spec.path:
            raise StudyError(f"{other} and {spec.path} hold the same images; name them by one path")


def _check_shifts(measure: Measure, dataset: Dataset) -> None:
    """StudyError if a shift would move the images out of sight."""
    _, height, width = dataset.image_shape
    for pixels in measure.shifts:
        if pixels >= min(height, width):
            raise StudyError(
                f"measure.shifts: {pixels} pixels move the {height}x{width} images of {dataset.title} out of sight; "
                f"give less than {min(height, width)}"
            )


def _check_moves(config: TrialConfig, size: tuple[int, int]) -> None:
    """StudyError if images are moved so far that most of them are black."""
    title, padding = config.dataset.title, config.train.crop_padding or 0
    for what, pixels, most in (
        ("train.crop_padding", padding if "crop" in config.train.augment else 0, min(size) - 1),
        ("dataset.translate", config.dataset.translate, 2 * min(size)),
    ):
        if pixels > most:
            raise StudyError(
                f"{what}: {pixels} pixels move most {size[0]}x{size[1]} images of {title} out of sight; "
                f"give {most} at most"
            )


def all_pilots(groups: Iterable[PilotTrials]) -> tuple[Trial, ...]:
    """Every pilot of the groups, seed by seed."""
    trials = [trial for each in groups for tried in each.trials.values() for trial in tried]
    return tuple(sorted(trials, key=lambda trial: trial.config.seed))


def studied_datasets(*studies: OpenedStudy) -> list[DatasetSpec]:
    """The data sets of studies' grids and searches, each once, regardless of modifications after decoding.

    StudyError if two would be packed under the same title.
    """
    specs: list[DatasetSpec] = []
    for opened in studies:
        specs += [cell.config.dataset for cell in opened.grid.cells]
        if opened.study.search is not None:
            specs.append(opened.study.search.dataset)
    packed: dict[str, DatasetSpec] = {}
    for spec in specs:
        other = packed.setdefault(packed_title(spec), spec)
        if (other.name, other.path) != (spec.name, spec.path):
            raise StudyError(
                f"{other.name or other.path} and {spec.name or spec.path} would both be packed as "
                f"{packed_title(spec)}; rename one of the folders"
            )
    return list(packed.values())


def settled_ids(store: Store, *, retry: Collection[TrialStatus] = ()) -> set[str]:
    """Trials of a grid that have a row: finished, diverged or broken, except those with a status in `retry`.

    A row that the search pruned does not count, as the grid needs the whole training.
    """
    settled = {TrialStatus.FINISHED, TrialStatus.DIVERGED, *BROKEN} - set(retry)
    rows = store.trials(["trial_id", "status", "gpu_fraction"])
    ended = rows["status"].isin([str(status) for status in settled])
    crowded = (rows["status"] == TrialStatus.OUT_OF_MEMORY) & (
        rows["gpu_fraction"] < 1
    )  # to be retrained alone
    return set(rows.loc[ended & ~crowded, "trial_id"])


@dataclass(frozen=True)
class Plan:
    """A study's grid against its table and those of other studies."""

    trials: tuple[Trial, ...]
    finished_ids: AbstractSet[str]
    lent: tuple[Lent, ...] = ()
    """Rows to be copied from other studies before their trials count as done."""

    @staticmethod
    def of(trials: tuple[Trial, ...], store: Store, *, retry: Collection[TrialStatus] = ()) -> "Plan":
        """Which of `trials` are settled (see `settled_ids`), here or beside the store; each trial counts once."""
        trials = tuple({trial.id: trial for trial in trials}.values())
        settled = settled_ids(store, retry=retry)
        lent = lent_rows(store, {trial.id for trial in trials} - settled)
        return Plan(trials, settled.union(*(each.trial_ids for each in lent)), lent)

    @cached_property
    def missing(self) -> tuple[Trial, ...]:
        return tuple(trial for trial in self.trials if trial.id not in self.finished_ids)

    @property
    def done(self) -> int:
        return len(self.trials) - len(self.missing)
