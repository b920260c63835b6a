"""A folder in which a user's own modules have the names of our packages."""

from pathlib import Path

OWN_MODULES = ("layers.py", "studies.py", "harness.py", "results/__init__.py")


def write_own_modules(folder: Path) -> None:
    """Write the modules into `folder`; each says that it is the user's own."""
    (folder / "results").mkdir(parents=True, exist_ok=True)
    for name in OWN_MODULES:
        (folder / name).write_text("OWN = True\n")
