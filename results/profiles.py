"""Documents per profile, in JSON files beside the tables: the study as run, and the results of its stages."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Generic, TypeVar

from pydantic import TypeAdapter

from lrlc.results import damage, documents
from lrlc.results.damage import Damage
from lrlc.results.files import Location
from lrlc.results.importance import Importance
from lrlc.results.tuning import Tuned
from lrlc.studies import Study, recorded_study

DEFAULT_PROFILE = "default"

T = TypeVar("T")


@dataclass(frozen=True)
class StudyRecord:
    """A study as last run with a profile, and its overrides."""

    profile: str
    study: Study
    overrides: tuple[str, ...]
    file: str | None = None
    """The study's file, as named in the command; None for a shipped study, or if an earlier version recorded it."""

    @staticmethod
    def of_entry(profile: str, entry: Mapping[str, Any]) -> "StudyRecord":
        study, overrides = entry["study"], entry["overrides"]
        if not isinstance(study, dict) or not isinstance(overrides, list):
            raise ValueError(f"profile {profile}: expected a study and a list of overrides")
        file = entry.get("file")
        told = None if file is None else str(file)
        return StudyRecord(profile, recorded_study(study), tuple(map(str, overrides)), told)

    def as_entry(self) -> dict[str, Any]:
        file = {} if self.file is None else {"file": self.file}
        return {"study": self.study.described(), "overrides": list(self.overrides), **file}


@dataclass(frozen=True)
class ProfileFile(Generic[T]):
    """A JSON file with an entry for each profile, the latest last."""

    name: str
    of_entry: Callable[[str, Mapping[str, Any]], T]
    as_entry: Callable[[T], dict[str, Any]]

    def read(self, root: Location) -> dict[str, T]:
        """The entries by profile; none if the file is missing or damaged."""
        return damage.kept(self._read(root)) or {}

    def write(self, root: Location, profile: str, value: T) -> None:
        """Save the value, replacing the profile's earlier one; a damaged file is first moved to `damaged/`."""
        found = self._read(root)
        damage.make_way(root, found)
        others = found if isinstance(found, dict) else {}
        entries = {name: self.as_entry(value) for name, value in others.items() if name != profile}
        documents.write(root / self.name, {"profiles": {**entries, profile: self.as_entry(value)}})

    def damage(self, root: Location) -> Damage | None:
        """The file, if it is damaged."""
        found = self._read(root)
        return found if isinstance(found, Damage) else None

    def _read(self, root: Location) -> dict[str, T] | Damage | None:
        return documents.read(root / self.name, self._parse)

    def _parse(self, content: Mapping[str, Any]) -> dict[str, T]:
        return {str(profile): self.of_entry(profile, entry) for profile, entry in content["profiles"].items()}


_IMPORTANCE = TypeAdapter(list[Importance])
_TUNED = TypeAdapter(list[Tuned])


def _importance(_: str, entry: Mapping[str, Any]) -> list[Importance]:
    return _IMPORTANCE.validate_python(entry["objectives"])


def _tuning(_: str, entry: Mapping[str, Any]) -> list[Tuned]:
    return _TUNED.validate_python(entry["tuned"])


STUDY = ProfileFile("study.json", StudyRecord.of_entry, StudyRecord.as_entry)
IMPORTANCE: ProfileFile[list[Importance]] = ProfileFile(
    "importance.json", _importance, lambda found: {"objectives": [asdict(each) for each in found]}
)
TUNING: ProfileFile[list[Tuned]] = ProfileFile(
    "tuning.json", _tuning, lambda found: {"tuned": [each.as_dict() for each in found]}
)
