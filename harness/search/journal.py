"""The location of Optuna's journal, which needs a local file and can be rebuilt from the rows."""

import re
import uuid
from pathlib import Path

from lrlc.harness.data.cache import cache_dir
from lrlc.results.files import Location


def journal_folder(root: Location) -> Path:
    """The folder of local tables; for others a folder in this machine's cache, named in a note beside the tables.

    Only the machine that ran the study last has that folder. Any other machine lacks the latest results, so it
    names a new folder, and the search rebuilds the journal there from the rows.
    """
    if (local := root.local) is not None:
        return local
    note = root / "journal.txt"
    try:
        name = note.read().decode(errors="replace")
    except FileNotFoundError:
        name = ""
    journals = cache_dir() / "journals"
    if not re.fullmatch("[0-9a-f]{32}", name) or not (journals / name).is_dir():
        name = uuid.uuid4().hex
        note.replace(lambda file: file.write(name.encode()))
    return journals / name
