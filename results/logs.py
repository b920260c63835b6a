"""What trials printed: a text for each that printed anything, `logs/<trial>.txt`, of bounded length."""

from lrlc.results.files import Location

FOLDER = "logs"
_SUFFIX = ".txt"
HEAD_CHARACTERS, TAIL_CHARACTERS = 16_000, 48_000
"""Of a longer text its beginning and its end are kept."""


def shortened(text: str) -> str:
    """The text, its middle left out where it is too long."""
    beyond = len(text) - HEAD_CHARACTERS - TAIL_CHARACTERS
    if beyond <= 0:
        return text
    return f"{text[:HEAD_CHARACTERS]}\n[{beyond:,} characters left out]\n{text[-TAIL_CHARACTERS:]}"


def path(root: Location, trial_id: str) -> Location:
    return root / FOLDER / f"{trial_id}{_SUFFIX}"


def read(root: Location, trial_id: str) -> str:
    """All attempts, each under a line that says how it ended; '' for a trial that printed nothing."""
    try:
        return path(root, trial_id).read().decode(errors="replace")
    except FileNotFoundError:
        return ""


def add(root: Location, trial_id: str, heading: str, text: str) -> None:
    """Add what an attempt printed to what earlier ones did."""
    whole = shortened(f"{read(root, trial_id)}== {heading} ==\n{text.rstrip()}\n")
    path(root, trial_id).replace(lambda file: file.write(whole.encode(errors="replace")))


def trials(root: Location) -> set[str]:
    """The trials that printed something."""
    return set((root / FOLDER).names(_SUFFIX))
