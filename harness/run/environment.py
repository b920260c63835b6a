"""The environment of this process, for the record: every installed package, the GPUs and their driver."""

import importlib.metadata
import platform
import subprocess
from datetime import UTC, datetime

import torch

from lrlc.harness import provenance
from lrlc.results.environments import Environment


def environment() -> Environment:
    """The current environment. Workers on other machines may differ; their rows have the most important versions."""
    gpus = [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]
    return Environment(
        since=datetime.now(UTC),
        host=provenance.host(),
        platform=platform.platform(),
        python=platform.python_version(),
        packages=_packages(),
        cuda=torch.version.cuda,
        driver=_driver() if gpus else None,
        gpus=tuple(gpus),
    )


def _packages() -> dict[str, str]:
    """Versions by name, as in `pip freeze`; of a package installed twice, the one that is imported."""
    found: dict[str, str] = {}
    for each in importlib.metadata.distributions():
        found.setdefault(str(each.metadata["Name"]), each.version)
    return dict(sorted(found.items(), key=lambda item: item[0].lower()))


def _driver() -> str | None:
    asked = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
    try:
        done = subprocess.run(asked, capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return next(iter(done.stdout.split()), None) if done.returncode == 0 else None
