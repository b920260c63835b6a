"""Checkpoints of trials in mid-training, `checkpoints/<trial>.pt`: opaque bytes, one file a trial."""

from lrlc.results.files import Location

FOLDER = "checkpoints"
_SUFFIX = ".pt"


def path(root: Location, trial_id: str) -> Location:
    return root / FOLDER / f"{trial_id}{_SUFFIX}"


def read(root: Location, trial_id: str) -> bytes | None:
    """The last checkpoint, as it was written; None if there is none."""
    try:
        return path(root, trial_id).read()
    except FileNotFoundError:
        return None


def write(root: Location, trial_id: str, content: bytes) -> None:
    """Replace the trial's earlier checkpoint."""
    path(root, trial_id).replace(lambda file: file.write(content))


def trials(root: Location) -> set[str]:
    """The trials that have a checkpoint."""
    return set((root / FOLDER).names(_SUFFIX))
