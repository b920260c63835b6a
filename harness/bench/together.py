"""Which number of simultaneous trials is fastest on this machine: each process trains the same small network."""

import multiprocessing
import time
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection

import torch

from lrlc.harness.bench.training import harness_epoch, random_dataset
from lrlc.harness.errors import UserError
from lrlc.harness.training.allocator import keep_freed_memory

WARM_UP_EPOCHS = 2
EPOCHS = 100_000
"""More epochs than there is time for."""


@dataclass(frozen=True)
class Together:
    """Images per second of all `processes` together."""

    processes: int
    images_per_second: float


def measure_together(
    counts: Sequence[int], seconds: float, batch: int, precision: str, device: torch.device
) -> list[Together]:
    """LRLC of rank 4 in all three layers, 32x32 images, a thread and a share of the GPU for each process."""
    return [_measure(count, seconds, batch, precision, device) for count in counts]


def _measure(count: int, seconds: float, batch: int, precision: str, device: torch.device) -> Together:
    context = multiprocessing.get_context("spawn")
    pipes = [context.Pipe() for _ in range(count)]
    processes = [
        context.Process(target=_train, args=(theirs, seconds, batch, precision, str(device)), daemon=True)
        for _, theirs in pipes
    ]
    for process, (_, theirs) in zip(processes, pipes, strict=True):
        process.start()
        theirs.close()
    try:
        for ours, _ in pipes:
            ours.recv()  # it is ready
        for ours, _ in pipes:
            ours.send(None)
        rate = sum(ours.recv() for ours, _ in pipes)
    except EOFError:
        raise UserError(f"lrlc bench together: a process of {count} died; its error is shown above") from None
    finally:
        for process in processes:
            process.kill()
            process.join()
    return Together(count, rate)


def _train(connection: Connection, seconds: float, batch: int, precision: str, device: str) -> None:
    """Warm up, wait for the start, then train for the given time and report the images per second."""
    keep_freed_memory()
    torch.set_num_threads(1)
    where = torch.device(device)
    images = batch * (32 if where.type == "cuda" else 2)
    epoch = harness_epoch(random_dataset(images), "lrlc", 4, batch, precision, EPOCHS, where)
    for _ in range(WARM_UP_EPOCHS):
        epoch()
    connection.send(None)
    connection.recv()
    started, trained = time.perf_counter(), 0
    while (elapsed := time.perf_counter() - started) < seconds or not trained:
        epoch()
        trained += images
    connection.send(trained / elapsed)
