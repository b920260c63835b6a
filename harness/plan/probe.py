"""A few timed batches of a trial, trained as a worker would."""

import dataclasses

import torch

from lrlc.harness.data import Dataset
from lrlc.harness.training.train import train
from lrlc.harness.trial import Trial
from lrlc.results.schema import EpochRecord

RATE = 1e-6
"""The learning rate of timed batches, as a pilot's rate may diverge."""


def probe(trial: Trial, dataset: Dataset, batches: int, epochs: int) -> list[float]:
    """Seconds per image for each epoch on the data set's first `batches`; the first epoch is a warm-up."""
    settings = trial.config.train
    short = dataclasses.replace(
        dataset,
        train=dataset.train.head(batches * settings.batch_size),
        validation=dataset.validation.head(1),
        test=dataset.test.head(1),
    )
    config = dataclasses.replace(
        trial.config,
        dataset=trial.config.dataset.model_copy(update={"draw": "first"}),
        train=settings.model_copy(update={"epochs": epochs, "learning_rate": RATE}),
    )
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    records = train(dataclasses.replace(trial, config=config), short, device)
    return [record.seconds / len(short.train.labels) for record in records if isinstance(record, EpochRecord)]
