"""The software and machine of a run's driver: `environments/<time>.json`, written if it differs from the last."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from pydantic import AwareDatetime, TypeAdapter

from lrlc.results import damage, documents
from lrlc.results.damage import Damage
from lrlc.results.files import Location

FOLDER = "environments"
_SUFFIX = ".json"


@dataclass(frozen=True)
class Environment:
    """All installed packages, named as in `pip freeze`, and the machine they ran on."""

    since: AwareDatetime
    """When a run first used it, in UTC."""
    host: str
    platform: str
    python: str
    packages: Mapping[str, str]
    """Name -> version."""
    cuda: str | None = None
    """The CUDA version that torch was built with."""
    driver: str | None = None
    """The version of the GPUs' driver."""
    gpus: tuple[str, ...] = ()

    @property
    def line(self) -> str:
        """'node1, Linux-6.1, Python 3.11.7, 142 packages, CUDA 12.8, driver 570.86'."""
        parts = [self.host, self.platform, f"Python {self.python}", f"{len(self.packages)} packages"]
        parts += [f"CUDA {self.cuda}"] if self.cuda else []
        return ", ".join([*parts, f"driver {self.driver}"] if self.driver else parts)


_ENVIRONMENT = TypeAdapter(Environment)


def write(root: Location, now: Environment) -> None:
    """Save the environment, unless the last run had the same."""
    last = next(reversed(read_all(root)), None)
    if last is None or replace(last, since=now.since) != now:
        name = f"{now.since:%Y%m%dT%H%M%S.%fZ}"
        documents.write(root / FOLDER / f"{name}{_SUFFIX}", {**asdict(now), "since": now.since.isoformat()})


def read_all(root: Location) -> list[Environment]:
    """The environments, oldest first; results of earlier versions have none, and damaged files are left out."""
    return [found for path in _paths(root) if (found := damage.kept(_read(path))) is not None]


def damaged(root: Location) -> list[Damage]:
    """The files that read_all leaves out."""
    return [found for path in _paths(root) if isinstance(found := _read(path), Damage)]


def _paths(root: Location) -> list[Location]:
    folder = root / FOLDER
    return [folder / f"{name}{_SUFFIX}" for name in folder.names(_SUFFIX)]


def _read(path: Location) -> Environment | Damage | None:
    return documents.read(path, _parse)


def _parse(content: Mapping[str, Any]) -> Environment:
    return _ENVIRONMENT.validate_python(content)
