"""The harness's training epoch compared with the simple loop that a researcher would write first."""

import multiprocessing
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from multiprocessing.connection import Connection

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader
from torch.utils.data import Dataset as TorchDataset

from lrlc.harness.bench.timing import Ratio, Step, interleave, ratio, timed
from lrlc.harness.data import Dataset, Split
from lrlc.harness.training import train as training
from lrlc.harness.trial import Trial
from lrlc.results.schema import EpochRecord
from lrlc.studies.dataset_spec import DatasetSpec
from lrlc.studies.training import Training
from lrlc.studies.trial_config import TrialConfig

CLASSES = 10
LEARNING_RATE = 0.01
PLAIN_LOOP = "plain loop, conv"


@dataclass(frozen=True)
class TrainingMeasured:
    """`ratio` compares epochs of the same `batch`; a step is an epoch over `steps`."""

    batch: int
    steps: int
    precision: str
    ratio: Ratio
    goal: float | None

    @property
    def microseconds_per_image(self) -> float:
        return 1e3 * self.ratio.milliseconds / (self.steps * self.batch)


def measure_training(
    batches: Sequence[int], ranks: Sequence[int], precision: str, rounds: int, device: torch.device
) -> list[TrainingMeasured]:
    """Time interleaved epochs over random 32x32 RGB images; the largest batch determines the images per epoch.

    The plain loop runs in its own process, with none of the harness's settings except the thread count.
    """
    images = 2 * max(batches)
    dataset = random_dataset(images)
    steps: dict[str, Step] = {}
    with ExitStack() as processes:
        for batch in batches:
            plain = processes.enter_context(_PlainLoop(images, batch, device))
            steps[f"{PLAIN_LOOP} {batch}"] = plain.epoch
            for kind, rank in [("conv", None), *(("lrlc", rank) for rank in ranks)]:
                steps[_ours(kind, rank, batch)] = harness_epoch(
                    dataset, kind, rank, batch, precision, rounds, device
                )
        times = interleave(steps, rounds)
    found: list[TrainingMeasured] = []
    for batch in batches:
        conv = _ours("conv", None, batch)
        pairs: list[tuple[str, str, float | None]] = [(f"{PLAIN_LOOP} {batch}", conv, None)]
        pairs += [(_ours("lrlc", rank, batch), conv, 1.5 if rank == 4 else None) for rank in ranks]
        if batch != batches[0]:
            pairs.append((conv, _ours("conv", None, batches[0]), 1.0))
        count = images // batch
        found += [
            TrainingMeasured(batch, count, precision, ratio(times, name, peer), goal)
            for name, peer, goal in pairs
        ]
    return found


def _ours(kind: str, rank: int | None, batch: int) -> str:
    return f"lrlc-bench, {kind}{'' if rank is None else f' K={rank}'} {batch}"


def random_dataset(images: int) -> Dataset:
    generator = np.random.default_rng(0)

    def split(count: int) -> Split:
        pixels = generator.integers(0, 256, (count, 32, 32, 3), dtype=np.uint8)
        return Split(pixels, generator.integers(0, CLASSES, count))

    return Dataset("random", split(images), split(2), split(2), CLASSES, (-1.0, 1.0), "random")


def harness_epoch(
    dataset: Dataset,
    kind: str,
    rank: int | None,
    batch: int,
    precision: str,
    rounds: int,
    device: torch.device,
) -> Step:
    """A trial as `lrlc run` trains it; each step is its next epoch, with the seconds recorded in its row."""
    config = TrialConfig(
        dataset=DatasetSpec(name="random"),
        network="three_layer",
        kind=kind,
        rank=rank,
        placement=() if kind == "conv" else (1, 2, 3),
        options=(),
        train=Training.model_validate(
            {
                "epochs": rounds + 2,
                "batch_size": batch,
                "learning_rate": LEARNING_RATE,
                "precision": precision,
            }
        ),
        seed=0,
    )
    trial = Trial(
        id="bench", config=config, study="bench", data_digest="random", code_epoch=training.CODE_EPOCH
    )
    reports = training.train(trial, dataset, device)
    next(reports)

    def epoch() -> float:
        record = next(reports)
        assert isinstance(record, EpochRecord)
        return record.seconds

    return epoch


class _Images(TorchDataset[tuple[Tensor, int]]):
    """Images one by one, as from torchvision's data sets and transforms."""

    def __init__(self, split: Split) -> None:
        self.split = split

    def __len__(self) -> int:
        return len(self.split.labels)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        image = torch.from_numpy(self.split.images[index]).permute(2, 0, 1).contiguous()
        return image.float().div(255).sub(0.5).div(0.5), int(self.split.labels[index])


def _plain_network() -> nn.Sequential:
    blocks: list[nn.Module] = []
    for channels in (3, 64, 64):
        blocks += [nn.Conv2d(channels, 64, 3, bias=False), nn.BatchNorm2d(64), nn.ReLU()]
    return nn.Sequential(*blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, CLASSES))


class _PlainLoop:
    """A process with a plain training loop that trains one epoch per request."""

    def __init__(self, images: int, batch: int, device: torch.device) -> None:
        context = multiprocessing.get_context("spawn")
        self._ours, theirs = context.Pipe()
        asked = (theirs, images, batch, str(device), torch.get_num_threads())
        self._process = context.Process(target=_serve_plain_epochs, args=asked, daemon=True)
        self._process.start()
        theirs.close()

    def __enter__(self) -> "_PlainLoop":
        return self

    def __exit__(self, *error: object) -> None:
        self._ours.close()
        self._process.join()

    def epoch(self) -> float:
        """The seconds of one epoch; EOFError if the process died."""
        self._ours.send(None)
        seconds: float = self._ours.recv()
        return seconds


def _serve_plain_epochs(requests: Connection, images: int, batch: int, device: str, threads: int) -> None:
    torch.set_num_threads(threads)
    where = torch.device(device)
    epoch = timed(_plain_epoch(random_dataset(images).train, batch, where), where)
    try:
        while True:
            requests.recv()
            requests.send(epoch())
    except EOFError:  # the parent has closed the pipe
        pass


def _plain_epoch(split: Split, batch: int, device: torch.device) -> Callable[[], None]:
    """float32, NCHW, a DataLoader without workers, the loss read at every step."""
    torch.manual_seed(0)
    model = _plain_network().to(device)
    optimizer = torch.optim.SGD(model.parameters(), lr=LEARNING_RATE, momentum=0.9, nesterov=True)
    loader = DataLoader(_Images(split), batch_size=batch, shuffle=True)

    def epoch() -> None:
        model.train()
        total, correct = 0.0, 0
        for images, labels in loader:
            images, labels = images.to(device), labels.to(device)
            optimizer.zero_grad()
            logits = model(images)
            loss = F.cross_entropy(logits, labels)
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            total += loss.item() * len(labels)
            correct += int((logits.argmax(1) == labels).sum())

    return epoch
