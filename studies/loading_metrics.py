"""The metrics in a study: columns of the trials table, and those defined by plugins."""

from collections.abc import Collection

from lrlc.studies.catalogue import Catalogue
from lrlc.studies.claims import COSTS, Cost, Difference
from lrlc.studies.errors import StudyError, nearest
from lrlc.studies.lines import shown
from lrlc.studies.schema import Study
from lrlc.studies.search import SEARCHED_COLUMNS

CHOOSING = "validation"
"""The split that a search may use."""


def check_metrics(study: Study, catalogue: Catalogue) -> None:
    """StudyError for an undefined metric, or one with which a search would choose on the test set."""
    for number, name in enumerate(study.measure.metrics):
        _check(name, catalogue.metrics, f"measure.metrics[{number}]")
    if study.search is not None:
        for key in ("objectives", "constraints"):
            for number, each in enumerate(getattr(study.search, key)):
                _check_searched(each.metric, f"search.{key}[{number}].metric", catalogue)
    for number, claim in enumerate(study.claims):
        if isinstance(claim, Cost):
            _check(claim.metric, (*COSTS, *catalogue.metrics), f"claims[{number}].metric")
        elif isinstance(claim, Difference) and claim.metric is not None:
            _check(claim.metric, catalogue.metrics, f"claims[{number}].metric")


def _check_searched(name: str, where: str, catalogue: Catalogue) -> None:
    allowed = [metric for metric, split in catalogue.metrics.items() if split == CHOOSING]
    if name in catalogue.metrics and name not in allowed:
        split = catalogue.metrics[name]
        raise StudyError(
            f"{where}: {name} is measured on the {split} split; a search chooses on validation only"
        )
    _check(name, (*SEARCHED_COLUMNS, *allowed), where)


def _check(name: str, known: Collection[str], where: str) -> None:
    if name not in known:
        raise StudyError(f"{where}: unknown value {shown(name)}; {nearest(name, known)}")
