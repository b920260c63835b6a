"""The configuration of a trial, and the form of it that its id is a hash of."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lrlc.studies.dataset_spec import DatasetSpec
from lrlc.studies.fields import OptionValue
from lrlc.studies.places import Placement
from lrlc.studies.training import Training


@dataclass(frozen=True)
class TrialConfig:
    """Everything that defines a trial, except the data's content and the code; equal configurations, same trial."""

    dataset: DatasetSpec
    network: str
    kind: str
    rank: int | None
    placement: Placement
    options: tuple[tuple[str, OptionValue], ...]
    train: Training
    seed: int

    def canonical(self) -> dict[str, Any]:
        """JSON-able, with all defaults filled in, so that its hash is an identity."""
        return {
            "dataset": self.dataset.identity(),
            "network": self.network,
            "kind": self.kind,
            "rank": self.rank,
            "placement": list(self.placement),
            "options": dict(sorted(self.options)),
            "train": self.train.identity(),
            "seed": self.seed,
        }

    @staticmethod
    def of_canonical(given: Mapping[str, Any]) -> "TrialConfig":
        """The configuration written by `canonical` of this or an earlier version; raises pydantic's ValidationError."""
        return TrialConfig(
            dataset=DatasetSpec.model_validate(given["dataset"]),
            network=given["network"],
            kind=given["kind"],
            rank=given["rank"],
            placement=tuple(given["placement"]),
            options=tuple(sorted(given["options"].items())),
            train=Training.model_validate(given["train"]),
            seed=given["seed"],
        )
