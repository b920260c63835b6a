"""The worker that runs a trial, in this process or as a Ray actor: one entry point, one stream of records."""

import contextlib
import gc
import os
import traceback
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from pathlib import Path

import torch

from lrlc.harness import plugins
from lrlc.harness.data import Dataset, Shelf, as_loaded, load_dataset
from lrlc.harness.training.allocator import keep_freed_memory
from lrlc.harness.training.train import train
from lrlc.harness.trial import Checkpoint, KeptWeights, Record, Trial, blank_result, stopped_result
from lrlc.results.schema import EpochRecord, TrialResult, TrialStatus
from lrlc.studies import DatasetSpec


@dataclass(frozen=True)
class WorkerSettings:
    """What a worker must know before its first trial."""

    data_dir: Path | None
    plugins: tuple[plugins.Plugin, ...]
    cpus: float
    gpus: float
    checkpoint_seconds: float
    started_in: Path | None = None
    """The driver's folder, from which relative paths of data sets start, if the worker's machine has it."""


def thread_count(cpus: float) -> int:
    """Threads of a trial with `cpus` CPUs."""
    return max(1, int(cpus))


OUT_OF_MEMORY = (
    "DefaultCPUAllocator: can't allocate memory",
    "CUDA error: out of memory",
    "CUBLAS_STATUS_ALLOC_FAILED",
    "CUDNN_STATUS_ALLOC_FAILED",
)
"""torch's messages for lack of memory without an exception type: for a CPU, a CUDA context, libraries."""


def _out_of_memory(error: BaseException) -> bool:
    """Whether a GPU or this process ran out of memory."""
    typed = isinstance(error, MemoryError | torch.OutOfMemoryError)
    return typed or any(words in str(error) for words in OUT_OF_MEMORY)


class Worker:
    """Runs one trial at a time, and holds what trials share: the device and decoded data sets."""

    def __init__(self, settings: WorkerSettings) -> None:
        keep_freed_memory()
        if settings.started_in is not None:
            with contextlib.suppress(OSError):
                os.chdir(settings.started_in)
        # The thread count changes the order of floating-point sums, so it depends on the study, never on the machine.
        torch.set_num_threads(thread_count(settings.cpus))
        # So that a trial gives the same numbers each time, also on a GPU; cuBLAS needs a fixed workspace for this.
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        # use_deterministic_algorithms(True, warn_only=True) would load torch's compiler, which takes 2 s per process.
        torch.set_deterministic_debug_mode("warn")
        # Otherwise each tensor is first filled with NaN, which takes a pass over memory, or a kernel on a GPU.
        torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
        torch.backends.cudnn.benchmark = False
        plugins.load_installed()
        plugins.install(settings.plugins)
        self._settings = settings
        # Ray does not set CUDA_VISIBLE_DEVICES for an actor without GPUs, which would then see all of them.
        use_gpu = settings.gpus > 0 and torch.cuda.is_available()
        self._device = torch.device("cuda" if use_gpu else "cpu")
        self._datasets: dict[DatasetSpec, Dataset] = {}
        self._shelf = Shelf(self._device)

    def run(self, trial: Trial, resume: Checkpoint | None = None) -> Iterator[tuple[Record, ...]]:
        """Yield what `train` yields, with the last epoch and the result together, as each item sent costs Ray 1 ms.

        An exception in the trial becomes its row, with the traceback.
        """
        known, curve = blank_result(trial), list(resume.curve if resume else ())
        held: tuple[Record, ...] = ()
        ended: TrialStatus | None = None
        # Closed together with this generator, as a stopped trial must release its memory immediately.
        with self._given_back(), contextlib.closing(self.records(trial, resume)) as records:
            try:
                for record in records:
                    if isinstance(record, TrialResult):
                        known = record
                        if record.resumed_epochs is None:  # its checkpoint did not fit
                            curve.clear()
                    elif isinstance(record, EpochRecord):
                        curve.append(record)
                        if len(curve) == trial.config.train.epochs:
                            held = (record,)
                            continue
                    elif isinstance(record, KeptWeights):
                        held = (*held, record)
                        continue
                    yield (*held, record)
            except (Exception, SystemExit) as error:  # a plugin may call sys.exit
                ended = TrialStatus.OUT_OF_MEMORY if _out_of_memory(error) else TrialStatus.FAILED
                told = traceback.format_exc() + (plugins.blamed(error) or "")  # messages show its last line
        if ended is not None:
            yield (*held, stopped_result(known, tuple(curve), ended, told))

    @contextlib.contextmanager
    def _given_back(self) -> Iterator[None]:
        """Release the trial's GPU memory for other trials on the GPU, however it ended."""
        try:
            yield
        finally:
            if self._device.type == "cuda":
                gc.collect()
                with contextlib.suppress(
                    RuntimeError
                ):  # after a CUDA error all later calls in the process fail
                    torch.cuda.empty_cache()

    def records(self, trial: Trial, resume: Checkpoint | None = None) -> Generator[Record]:
        """What `train` yields, with an exception as a result."""
        dataset, seconds = self._dataset(trial), self._settings.checkpoint_seconds
        if trial.alone:  # it needs all of the memory
            self._shelf.clear()
        yield from train(
            trial, dataset, self._device, resume=resume, checkpoint_seconds=seconds, shelf=self._shelf
        )

    def _dataset(self, trial: Trial) -> Dataset:
        spec = trial.config.dataset
        key = as_loaded(spec)
        if key not in self._datasets:
            self._datasets[key] = load_dataset(key, self._settings.data_dir)
        dataset = self._datasets[key]
        if dataset.digest != trial.data_digest:
            raise RuntimeError(
                f"data set {spec.title} differs on this machine: digest {dataset.digest} here, "
                f"{trial.data_digest} where the trial was planned"
            )
        return dataset
