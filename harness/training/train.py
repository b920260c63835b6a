"""One trial: build the network, train it, report every epoch, test it once at the end.

The study's `train` sets how: by default SGD with Nesterov momentum, linear warm-up, then cosine decay to zero, without
augmentation or weight decay, so that only the architecture matters. A layer's own penalty is added to the loss that is
minimised, not to the one that is reported. All choices use validation; the test set is used once, at the end.
"""

import json
import math
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import NamedTuple

import torch
from torch import nn

from lrlc import layers
from lrlc.harness import provenance
from lrlc.harness.data import Dataset, DeviceSplit, Shelf, device_splits
from lrlc.harness.measuring import measured
from lrlc.harness.measuring.evaluation import evaluate, resolve_precision
from lrlc.harness.seeds import derive_seed
from lrlc.harness.training import checkpoint, from_conv
from lrlc.harness.training.augmentations import draws_of_epoch
from lrlc.harness.training.averaging import Averaged
from lrlc.harness.training.batches import batch_sizes
from lrlc.harness.training.keeping import Keeper
from lrlc.harness.training.optimizers import make_optimizer
from lrlc.harness.training.recipes import StepLoss, make_recipe
from lrlc.harness.training.schedules import learning_rate
from lrlc.harness.training.step import TrainingStep
from lrlc.harness.trial import Checkpoint, Record, Trial, blank_result
from lrlc.results.schema import EpochRecord, TrialResult, TrialStatus
from lrlc.studies.training import Training
from lrlc.studies.trial_config import TrialConfig

CODE_EPOCH = 1
"""Raised when a change to training alters results; rows of earlier code epochs then count as missing."""


def train(
    trial: Trial,
    dataset: Dataset,
    device: torch.device,
    *,
    resume: Checkpoint | None = None,
    checkpoint_seconds: float = math.inf,
    shelf: Shelf | None = None,
) -> Iterator[Record]:
    """Yield a TrialResult as known at the start, one EpochRecord per epoch, and the final TrialResult.

    The first result (status FAILED, no metrics) has what is known before training: parameters, FLOPs and provenance. A
    caller that stops the trial early completes it. A loss that is not finite ends the trial as DIVERGED.

    A Checkpoint follows an epoch if `checkpoint_seconds` have passed since the last one. Passed as `resume`, training
    continues after it and ends with the same numbers (its seconds include those before). A checkpoint that does not
    fit the network is ignored, and `resumed_epochs` of the first result is then None.

    `shelf` has the data sets on `device`, kept from one trial to the next; without one the trial uses its own.
    """
    started, clock = datetime.now(UTC), time.perf_counter()
    shelf = Shelf(device) if shelf is None else shelf
    kernels = layers.record_choices()
    settings, seed = trial.config.train, trial.config.seed
    splits = device_splits(trial.config.dataset, seed, dataset, shelf)
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    network, model, curve, fitting = _begin(trial.config, dataset, device, resume)
    clock -= resume.seconds if resume and curve else 0.0
    result = _describe(trial, dataset, splits, device, network, started)
    result = replace(result, resumed_epochs=len(curve) or None)
    yield result

    precision = resolve_precision(settings.precision, device)
    sizes = batch_sizes(network, dataset.image_shape, splits["train"].count, settings.batch_size)
    before = from_conv.conv_epochs(trial.config)  # epochs as a convolution
    train_seconds, status = sum(record.seconds for record in curve), TrialStatus.FINISHED

    def step_of(model: nn.Module, fitting: _Fitting) -> TrainingStep:
        return TrainingStep(
            model,
            fitting.optimizer,
            splits["train"],
            precision,
            settings,
            dataset.num_classes,
            fitting.averaged,
            fitting.recipe,
        )

    step = step_of(model, fitting)
    kept_before = checkpoint.best_of(resume) if resume and curve and trial.keep else None
    keeper = Keeper(trial, dataset, curve[before:], kept_before)
    last_checkpoint = time.monotonic()
    for epoch in range(len(curve) + 1, settings.epochs + 1):
        if before and epoch == before + 1:
            fitting = _take_over(network, model, fitting.optimizer, settings, seed)
            model, step = network, step_of(network, fitting)
        torch.manual_seed(
            derive_seed(seed, "noise", epoch)
        )  # for dropout; our own networks draw no random numbers
        epoch_clock = time.perf_counter()
        train_loss, train_accuracy = _train_epoch(step, sizes, settings, seed, epoch)
        train_seconds += (seconds := time.perf_counter() - epoch_clock)
        evaluated = model if fitting.averaged is None else fitting.averaged.average
        held_out = evaluate(evaluated, splits["validation"], settings.batch_size, precision)
        curve.append(
            EpochRecord(
                epoch=epoch,
                train_loss=train_loss,
                train_accuracy=train_accuracy,
                validation_loss=held_out.loss,
                validation_accuracy=held_out.accuracy,
                learning_rate=learning_rate(settings, epoch * len(sizes) - 1, len(sizes)),
                seconds=seconds,
            )
        )
        if not (math.isfinite(train_loss) and math.isfinite(held_out.loss)):
            status = TrialStatus.DIVERGED
            break
        if model is network:  # weights of the convolution before the switch are not kept
            keeper.note(curve[-1], evaluated)
        yield curve[-1]
        if epoch < settings.epochs and time.monotonic() - last_checkpoint >= checkpoint_seconds:
            spent = time.perf_counter() - clock
            yield checkpoint.take(model, fitting.optimizer, tuple(curve), keeper.best, fitting.others, spent)
            last_checkpoint = time.monotonic()

    result = replace(
        result,
        status=status,
        error=None,
        curve=tuple(curve),
        epochs_run=len(curve),
        train_loss=curve[-1].train_loss,
        train_accuracy=curve[-1].train_accuracy,
        train_seconds=train_seconds,
        images_per_second=splits["train"].count * len(curve) / train_seconds,
        peak_memory_bytes=_peak_memory_bytes(device, shelf.bytes_beside(dataset)),
        kernels=json.dumps(kernels, sort_keys=True) if kernels else None,
    )
    if status is TrialStatus.FINISHED:
        last = curve[-1]
        yield from keeper.kept(last, evaluated)
        result = replace(
            result, validation_loss=last.validation_loss, validation_accuracy=last.validation_accuracy
        )
        result = measured(result, evaluated, splits, settings.batch_size, precision, trial.measure)
    yield replace(result, total_seconds=time.perf_counter() - clock, ended_at=datetime.now(UTC))


class _Fitting(NamedTuple):
    """The objects that update a model's parameters."""

    optimizer: torch.optim.Optimizer
    averaged: Averaged | None
    recipe: StepLoss | None

    @property
    def others(self) -> dict[str, checkpoint.Stateful]:
        """Further state for a checkpoint, besides the model and the optimizer."""
        found: dict[str, checkpoint.Stateful] = {}
        if self.averaged is not None:
            found["averaged"] = self.averaged
        if isinstance(self.recipe, nn.Module):
            found["recipe"] = self.recipe
        return found

    @staticmethod
    def of(model: nn.Module, settings: Training, device: torch.device) -> "_Fitting":
        """The objects for a model with its initial weights."""
        averaged = None if settings.ema is None else Averaged(model, settings.ema)
        return _Fitting(make_optimizer(model, settings, device), averaged, make_recipe(model, settings))


class _Begun(NamedTuple):
    """The start of training: `model` is the `network`, or, until the switch, the convolutional network before it."""

    network: nn.Module
    model: nn.Module
    curve: list[EpochRecord]
    fitting: _Fitting


def _begin(config: TrialConfig, dataset: Dataset, device: torch.device, resume: Checkpoint | None) -> _Begun:
    """The state at the start of the trial, or that of `resume` if it fits."""
    curve = list(resume.curve) if resume else []
    model = network = _build(config, dataset, device)
    before = from_conv.conv_epochs(config)
    if before and len(curve) <= before:
        model = _build(from_conv.as_conv(config), dataset, device)
    fitting = _Fitting.of(model, config.train, device)
    if resume is not None:
        fits = checkpoint.restore(resume, model, fitting.optimizer, device, fitting.others)
        if not fits:
            return _begin(config, dataset, device, None)
    return _Begun(network, model, curve, fitting)


def _take_over(
    network: nn.Module, trained: nn.Module, before: torch.optim.Optimizer, settings: Training, seed: int
) -> _Fitting:
    """Continue with `network` in place of the `trained` convolution, keeping the momentum of shared parameters."""
    copied = layers.take_over(network, trained, derive_seed(seed, "from_conv"))
    fitting = _Fitting.of(network, settings, next(network.parameters()).device)
    from_conv.hand_momentum(before, trained, fitting.optimizer, network, copied)
    return fitting


def _train_epoch(
    step: TrainingStep, sizes: Sequence[int], settings: Training, seed: int, epoch: int
) -> tuple[float, float]:
    """Mean loss and accuracy over the images of an epoch, counted from 1, in batches of these sizes."""
    images = sum(sizes)
    order = torch.randperm(images, generator=_generator(derive_seed(seed, "order", epoch)))
    batches = step.begin_epoch(order, draws_of_epoch(settings, seed, epoch, images), sizes)
    for number, batch in enumerate(batches, (epoch - 1) * len(batches)):
        step(batch, learning_rate(settings, number, len(batches)))
    loss_sum, correct = step.sums()
    return loss_sum / images, correct / images


def network_of(config: TrialConfig, dataset: Dataset) -> nn.Module:
    """The network in `config`, for the data set's images and classes, on torch's default device."""
    return layers.build_network(
        config.network,
        dataset.image_shape,
        dataset.num_classes,
        kind=config.kind,
        rank=config.rank,
        placement=config.placement,
        options=from_conv.layer_options(config.options),
    )


def _build(config: TrialConfig, dataset: Dataset, device: torch.device) -> nn.Module:
    model = network_of(config, dataset)
    layers.initialise(model, derive_seed(config.seed, "initialisation"))
    on_device = model.to(device)
    return on_device.to(memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]


def _peak_memory_bytes(device: torch.device, bytes_of_others: int) -> int | None:
    """The trial's peak GPU memory, excluding other data sets that are kept there."""
    return torch.cuda.max_memory_allocated(device) - bytes_of_others if device.type == "cuda" else None


def _describe(
    trial: Trial,
    dataset: Dataset,
    splits: Mapping[str, DeviceSplit],
    device: torch.device,
    model: nn.Module,
    started: datetime,
) -> TrialResult:
    costs = layers.cost(model, dataset.image_shape)
    device_name = torch.cuda.get_device_name(device) if device.type == "cuda" else provenance.cpu_name()
    return replace(
        blank_result(trial),
        precision=resolve_precision(trial.config.train.precision, device),
        image_height=dataset.image_shape[1],
        image_width=dataset.image_shape[2],
        train_images=splits["train"].count,
        validation_images=splits["validation"].count,
        test_images=splits["test"].count,
        parameters=costs.parameters,
        flops_per_image=costs.flops_per_image,
        device=device_name,
        started_at=started,
    )


def _generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)
