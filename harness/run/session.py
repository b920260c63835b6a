"""What the commands do, without the command line around it."""

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
import torch

from lrlc.harness.cli.display import Display
from lrlc.harness.cli.named_store import place_of_results, place_to_write
from lrlc.harness.cluster import ray_setup
from lrlc.harness.data import load_dataset
from lrlc.harness.data.summaries import note_baselines, note_datasets
from lrlc.harness.measuring.lacking import lacking
from lrlc.harness.plan.catalogue import OpenedStudy, open_study
from lrlc.harness.plan.forecast import forecast
from lrlc.harness.plan.planning import PilotTrials, Plan, Planner
from lrlc.harness.plan.widths import Widths
from lrlc.harness.run.driver import Driver, GridSource, TrialSource
from lrlc.harness.run.executor import Executor
from lrlc.harness.run.lease import Lease, LeaseWatch, refuse_if_taken
from lrlc.harness.run.processes import ProcessExecutor, visible_gpus
from lrlc.harness.run.serial import SerialExecutor
from lrlc.harness.run.tuning import choices, settled
from lrlc.harness.search.space import SearchSpace
from lrlc.harness.text import counted, say
from lrlc.harness.training.packing import Packing, measured_peaks
from lrlc.harness.training.worker import WorkerSettings, thread_count
from lrlc.harness.trial import Trial
from lrlc.results.plans import Stage, StagedPlan
from lrlc.results.schema import TrialStatus
from lrlc.results.store import Store
from lrlc.results.tuning import Tuned
from lrlc.studies import Search, Study, masked_settings

if TYPE_CHECKING:
    from lrlc.harness.cluster.submit import Submission


@dataclass(frozen=True)
class PlanSummary:
    """What `lrlc plan` says; counts are trials, or suggestions where they say so; `done` and `missing` the grid's."""

    study: str
    grid_trials: int
    done: int
    lent: int
    """Of those done, the trials whose rows a run takes from other studies."""
    missing: int
    pilots: int
    """What is tried to tune the grid's settings; they run before it."""
    pilots_missing: int
    untuned: int
    """Trials of the grid whose setting the pilots have not chosen yet: they count, and are forecast, with the
    study's own."""
    length_trials: int
    length_missing: int
    search_suggestions: int
    search_answered: int
    cells: tuple[str, ...]
    forecast_seconds: float | None
    from_rows: int
    from_probes: int

    def as_dict(self) -> dict[str, object]:
        return asdict(self)


@dataclass(frozen=True)
class Slots:
    """Where trials run: one after the other in this process, in processes of this machine, or on Ray at `address`."""

    serial: bool = False
    processes: int | None = None
    address: str = "local"
    max_in_flight: int | None = None


@dataclass(frozen=True)
class RunSession:
    """A study that is ready to run: its plan and its table. Nothing is written before `run`.

    One of a study that tunes is of its pilots alone, until `tuned` gives the one of its grid.
    """

    opened: OpenedStudy
    planner: Planner
    plan: Plan
    store: Store
    data_dir: Path | None
    profile: str | None
    overrides: tuple[str, ...]
    retry: Collection[TrialStatus]
    staged: StagedPlan
    """What is noted as the profile's plan: the trials by stage."""
    choices: tuple[Tuned, ...] = ()
    """What the pilots chose for the grid."""

    @property
    def study(self) -> Study:
        return self.opened.study

    @property
    def is_of_pilots(self) -> bool:
        return self.staged.is_of_pilots

    @property
    def search(self) -> Search | None:
        """What this session searches; pilots come before it."""
        return None if self.is_of_pilots else self.study.search

    def headline(self) -> str:
        search = f" and a search of {self.search.trials} suggestions" if self.search else ""
        what = "pilots" if self.is_of_pilots else "trials"
        done = f"{self.plan.done} of {len(self.plan.trials)} {what} done"
        return f"{self.study.name}: {done}{search}; tables in {self.store.root}"

    def tuned(self) -> "RunSession":
        """The session of the grid, with the settings that the pilots, which have run, chose."""
        chosen, found = choices(self.planner.pilots(), self.store)
        planner = self.planner.with_chosen(chosen)
        return replace(self, planner=planner, choices=tuple(found)).of_grid(planner.grid())

    def of_grid(self, grid: Sequence[Trial]) -> "RunSession":
        """This session with these trials of the grid, and the shorter ones that check their length."""
        shorter = self.planner.length_check(grid)
        pilots = self.staged.stages.get(Stage.TUNE, ())
        stages = {Stage.TUNE: pilots, Stage.GRID: _ids(grid), Stage.LENGTH: _ids(shorter)}
        tuned = {**_tuned_settings(self.study, shorter), **_tuned_settings(self.study, grid)}
        plan = Plan.of((*grid, *shorter), self.store, retry=self.retry)
        return replace(self, plan=plan, staged=StagedPlan(stages, tuned))

    def executor(self, slots: Slots) -> Executor:
        """Where the missing trials will run, on at most as many slots as there are trials.

        Where none is missing no cluster is started or joined, which takes seconds.
        """
        left = len(self.plan.missing) + (self.search.trials * len(self.search.seeds) if self.search else 0)
        if slots.serial or not left:
            return SerialExecutor(self._worker_settings(gpus=self._gpus(_cuda_count())))
        if slots.processes:
            settings = self._worker_settings(gpus=self._gpus(_cuda_count()))
            return ProcessExecutor(settings, min(left, slots.processes), visible_gpus())
        return self._ray_executor(slots.address, min(left, slots.max_in_flight or left))

    def _ray_executor(self, address: str, max_in_flight: int) -> Executor:
        ray_setup.prepare(joins_cluster=address != "local")
        from lrlc.harness.run.ray_pool import RayExecutor, cluster_gpus, connect, gpu_bytes

        connect(address)
        gpus = self._gpus(cluster_gpus())
        packing = None
        if self.study.resources.gpus is None and gpus:
            packing = self._packing(gpu_bytes(self.study.resources.accelerator_type))
        return RayExecutor(
            self._worker_settings(gpus),
            study=self.study.name,
            max_in_flight=max_in_flight,
            accelerator_type=self.study.resources.accelerator_type,
            can_grow=address != "local",
            share=packing.share if packing else None,
        )

    def run(self, executor: Executor) -> None:
        """Train what is missing, with a progress display, and join the parts at the end.

        Raises StoreError while another driver runs the study.
        """
        with Lease(self.store.root) as lease:
            self._run_alone(executor, Store(self.store.root, before_writing=lease.check), lease)

    def _run_alone(self, executor: Executor, store: Store, lease: Lease) -> None:
        for path in store.set_damaged_aside():
            say(f"damaged, moved to {path}; trials without a row are trained again")
        plan = Plan.of(self.plan.trials, store, retry=self.retry)  # another driver may have ended meanwhile
        for lent in plan.lent:
            store.copy_from(lent.store, lent.trial_ids)
            say(
                f"{counted(len(lent.trial_ids), 'trial')} taken from {lent.store.root}, trained there already"
            )
        measured = () if self.is_of_pilots else plan.trials
        for key, count in lacking(store, measured, self.study.measure).items():
            say(f"{counted(count, 'finished trial')} without measure.{key}: trained before it was asked for")
        store.write_study(self.study, self.profile, self.overrides)
        store.write_plan(self.profile, self.staged)
        store.write_tuning(self.choices, self.profile)
        store.write_widths(list(self.planner.widths.used.values()))
        specs = [trial.config.dataset for trial in plan.trials]
        if self.search is not None:
            specs.append(self.search.dataset)
        note_datasets(store, dict.fromkeys(specs), self.data_dir, min(self.study.seeds))
        # By share of a GPU, the largest first: a change of it starts every worker, and what it holds, anew.
        missing = sorted(plan.missing, key=executor.share, reverse=True)
        sources: list[TrialSource] = [LeaseWatch(lease), GridSource(missing)]
        total, done = len(plan.trials), plan.done
        search = None
        if self.search is not None:
            from lrlc.harness.search.source import SearchSource

            search = SearchSource(self.opened, self.planner, store, self.profile)
            seeds = len(self.search.seeds)
            total, done = total + search.total * seeds, done + search.trials_done
            sources.append(search)
        with Display(total, done) as display:
            Driver(sources, executor, store, self.study.resources, display).run()
        if search is not None:
            store.write_importance(search.importance(), self.profile)
        store.compact()
        if not self.is_of_pilots:
            # Last: rows are safe by now, and the workers gone that it would hold up.
            note_baselines(store, specs, self.data_dir, min(self.study.seeds))

    def _gpus(self, available: float) -> float:
        """The GPUs a trial asks for: what the study says, else one where there are any."""
        asked = self.study.resources.gpus
        return asked if asked is not None else min(1.0, available)

    def _packing(self, memory: int | None) -> Packing | None:
        """How trials share GPUs of `memory` bytes; None where that is unknown: each then has one to itself."""
        if memory is None:
            return None
        peaks = measured_peaks(self.store.trials(["config", "peak_memory_bytes"]))
        most = self.study.resources.trials_per_gpu
        return Packing(memory, most, lambda config: load_dataset(config.dataset, self.data_dir), peaks)

    def _worker_settings(self, gpus: float) -> WorkerSettings:
        asked = self.study.resources
        return WorkerSettings(
            self.data_dir,
            self.opened.plugins,
            asked.cpus,
            gpus,
            60 * asked.checkpoint_minutes,
            started_in=Path.cwd(),
        )


def open_run(
    name: str,
    overrides: Sequence[str],
    profile: str | None,
    results: str,
    data: Path | None,
    *,
    retry: Collection[TrialStatus] = (),
) -> RunSession:
    """Check the study, decode its data and plan its trials: of a study that tunes, its pilots."""
    opened = open_study(name, profile=profile, overrides=overrides)
    _check_search(opened.study)
    store = Store(place_to_write(results) / opened.study.name)
    refuse_if_taken(store.root)  # before Ray starts; the run itself makes sure
    _check_storage(opened.study)
    planner = Planner(opened, data, widths=_widths(opened.study, store))
    pilots = _all_of(planner.pilots())
    plan = Plan.of(pilots, store, retry=retry)
    staged = StagedPlan({Stage.TUNE: _ids(pilots)})
    session = RunSession(opened, planner, plan, store, data, profile, tuple(overrides), retry, staged)
    return session if pilots else session.of_grid(planner.grid())


def plan_study(
    name: str,
    overrides: Sequence[str],
    profile: str | None,
    results: str,
    data: Path | None,
    *,
    probe: bool,
) -> PlanSummary:
    """Compare the study with its table and forecast the rest; writes nothing."""
    opened = open_study(name, profile=profile, overrides=overrides)
    _check_search(opened.study)
    store = Store(place_of_results(results) / opened.study.name)
    planner = Planner(opened, data, widths=_widths(opened.study, store))
    groups = planner.pilots()
    known = settled(groups, store)
    planner = planner.with_chosen(choices(known, store)[0])
    grid = planner.grid()
    pilots, plan = Plan.of(_all_of(groups), store), Plan.of(grid, store)
    shorter = Plan.of(planner.length_check(grid), store)
    past = store.trials()
    torch.set_num_threads(
        thread_count(opened.study.resources.cpus)
    )  # as a worker would, for the timed batches
    expected = forecast((*pilots.missing, *plan.missing, *shorter.missing), past, data, probe=probe)
    space = SearchSpace(opened, planner) if opened.study.search else None
    return PlanSummary(
        study=opened.study.name,
        grid_trials=len(plan.trials),
        done=plan.done,
        lent=sum(len(each.trial_ids) for each in (*pilots.lent, *plan.lent, *shorter.lent)),
        missing=len(plan.missing),
        pilots=len(pilots.trials),
        pilots_missing=len(pilots.missing),
        untuned=planner.untuned(),
        length_trials=len(shorter.trials),
        length_missing=len(shorter.missing),
        search_suggestions=space.total if space else 0,
        search_answered=_answered(space, past) if space else 0,
        cells=_cells(plan.trials),
        forecast_seconds=expected.slot_seconds,
        from_rows=expected.from_rows,
        from_probes=expected.from_probes,
    )


def _widths(study: Study, store: Store) -> Widths:
    return Widths.of(store, threads=thread_count(study.resources.cpus))


def _check_search(study: Study) -> None:
    """Say what is wrong with a sampler's or pruner's option before anything starts."""
    if study.search is not None:
        from lrlc.harness.search.optuna_setup import check_options

        check_options(study.search, study.train.epochs)


def _check_storage(study: Study) -> None:
    if study.search is not None:
        from lrlc.harness.search.optuna_setup import check_storage

        check_storage(study.search)


def _answered(space: SearchSpace, past: pd.DataFrame) -> int:
    rows = {str(row["trial_id"]): {str(k): v for k, v in row.items()} for row in past.to_dict("records")}
    return sum(answer.is_whole for answer in space.answers(rows))


def submit_study(
    name: str,
    overrides: Sequence[str],
    *,
    address: str,
    working_dir: Path,
    runtime_env: Path | None,
    profile: str | None,
    results: str | None,
    data: str | None,
    max_in_flight: int | None,
) -> "Submission":
    """Check the study here, then send it; what is wrong with it is said before anything travels."""
    opened = open_study(name, profile=profile, overrides=overrides)
    ray_setup.prepare(joins_cluster=True)
    from lrlc.harness.cluster.submit import Order, on_nodes, refuse_secrets, shipped_path, submit

    refuse_secrets(overrides)
    results, data = on_nodes(results, data, address)
    order = Order(
        path=shipped_path(name, opened.plugins, working_dir, runtime_env),
        name=opened.study.name,
        overrides=tuple(overrides),
        profile=profile,
        results=results,
        data=data,
        max_in_flight=max_in_flight,
    )
    return submit(order, address=address, working_dir=working_dir, runtime_env_file=runtime_env)


def _cells(trials: Sequence[Trial]) -> tuple[str, ...]:
    """One line per cell of the grid: what it is and its number of trials."""
    cells = Counter(trial.label.rpartition(" seed ")[0] for trial in trials)
    return tuple(f"{cell}: {counted(count, 'trial')}" for cell, count in cells.items())


def _all_of(groups: Iterable[PilotTrials]) -> tuple[Trial, ...]:
    """Every pilot, seed by seed."""
    trials = [trial for each in groups for tried in each.trials.values() for trial in tried]
    return tuple(sorted(trials, key=lambda trial: trial.config.seed))


def _ids(trials: Iterable[Trial]) -> list[str]:
    return [trial.id for trial in trials]


def _tuned_settings(study: Study, trials: Sequence[Trial]) -> dict[str, tuple[str, ...]]:
    """By trial id, the columns of settings that tell no panels apart, where there are some."""
    masked = masked_settings(study.tune, [trial.config for trial in trials]) if study.tune else {}
    return {trial.id: names for trial in trials if (names := masked.get(trial.config))}


def _cuda_count() -> int:
    return torch.cuda.device_count()
