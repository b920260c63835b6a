"""The shipped scaling studies do what their comments promise."""

from itertools import groupby
from math import ceil

from lrlc.harness.plan.catalogue import open_study
from lrlc.studies.trial_config import TrialConfig


def grid(name: str) -> list[TrialConfig]:
    """A study's cells with seed 0, before rates are tuned."""
    return open_study(name, profile=None, overrides=["seeds=1"]).grid.trials()


def test_every_network_takes_6000_steps_even_with_few_images() -> None:
    for cell in grid("scaling_images"):
        images = cell.dataset.train_images
        assert images is not None
        assert ceil(images / cell.train.batch_size) * cell.train.epochs >= 6000


def test_kinds_are_compared_at_equal_images_and_epochs() -> None:
    for name in ("scaling_images", "scaling_epochs"):

        def subset(cell: TrialConfig) -> tuple[str, int, int]:
            return cell.dataset.title, cell.dataset.train_images or 0, cell.train.epochs

        compared = groupby(sorted(grid(name), key=subset), subset)
        kinds = {key: sorted(cell.kind for cell in cells) for key, cells in compared}
        assert set(map(tuple, kinds.values())) == {("conv", "locally_connected", "lrlc")}
        assert {title for title, _, _ in kinds} == {"cifar10@16", "utkface@16"}


def test_trials_are_reused_from_the_trained_networks() -> None:
    trained = {str(cell.canonical()) for cell in grid("trained_16px")}
    for name in ("scaling_images", "scaling_epochs"):
        lent = [cell for cell in grid(name) if str(cell.canonical()) in trained]
        assert {(cell.dataset.train_images, cell.train.epochs) for cell in lent} == {(8000, 24)}
        assert len(lent) == 6
