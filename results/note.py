"""The README beside the parts, for reading them without this code."""

from lrlc.results.files import Location

FILE = "README.txt"
HOW_TO_READ = """\
The tables of one study, as written by `lrlc`. `lrlc export STUDY` and, in Python, `lrlc.load("STUDY")` give them with
one row per trial.

The files in trials/ are parts of one table. A trial that was trained again has a row in several parts, and none of
them is marked: a finished row takes precedence, then the one in the part whose name sorts last. The last step of a run
merges the parts and keeps only that row; meanwhile there may be parts that have been replaced by another one, which
lists them in its metadata under lrlc.part. The other folders of tables, such as curves/, hold rows of the same parts,
under the same names.

plans/ says what each trial was trained for, environments/ with which packages and driver; models/ and logs/ have each
trial's kept weights and output. These folders only exist if a run wrote to them.
"""


def write(root: Location) -> None:
    """Write the note if there is none."""
    place = root / FILE
    if place.modified_at() is None:
        place.replace(lambda file: file.write(HOW_TO_READ.encode()))
