"""Where Optuna's journal lies: it needs a local file, and is a view of the rows that can be built anew."""

import re
import uuid
from pathlib import Path

from lrlc.harness.data.cache import cache_dir
from lrlc.results.files import Location


def journal_folder(root: Location) -> Path:
    """Beside local tables; for others a folder of this machine's cache, which a note beside the tables names.

    Only the machine that ran the study last has the folder of that name. Any other lacks what was told meanwhile:
    it names a new one, and the search rebuilds it from the rows.
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
