"""The README beside the parts, for reading them without this code."""

from lrlc.results.files import Location

FILE = "README.txt"
HOW_TO_READ = """\
The tables of one study, as `lrlc` writes them. `lrlc export STUDY` and, in Python, `lrlc.load("STUDY")` give them with
one row a trial.

The files in trials/ are parts of one table. A trial that was trained again has a row in several parts, and none of
them is marked: a finished row stands before any other, then the one in the part whose name sorts last. The last step
of a run joins the parts and keeps that row alone; while it does, a part may lie here that another one replaces, which
names it in its metadata under lrlc.part. The other folders of tables, such as curves/, hold rows of the same parts,
under the same names.

plans/ says what each trial was trained for, environments/ with which packages and driver; models/ and logs/ hold, by
trial, kept weights and what it printed. They are there where a run left something in them.
"""


def write(root: Location) -> None:
    """Write the note if there is none."""
    place = root / FILE
    if place.modified_at() is None:
        place.replace(lambda file: file.write(HOW_TO_READ.encode()))
