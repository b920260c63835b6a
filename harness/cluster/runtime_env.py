"""The file of `--runtime-env`: what the nodes need beyond their own Python, in Ray's format.

Imports Ray, so call `ray_setup.prepare` first.
"""

from pathlib import Path
from typing import Any

from ray.runtime_env import RuntimeEnv

from lrlc.harness.errors import UserError, first_line
from lrlc.studies.errors import nearest
from lrlc.studies.yaml_text import YamlError, read_yaml_file

FIELDS = sorted(field for field in RuntimeEnv.known_fields if not field.startswith("_"))

LISTS = ("py_modules", "excludes")
"""Lists of strings to which ours are prepended."""


def read_runtime_env(file: Path) -> dict[str, Any]:
    """The runtime environment in `file`; a one-line UserError for anything that Ray would refuse or ignore."""
    given = _mapping(file)
    for field in given:
        if field not in FIELDS:
            raise UserError(f"--runtime-env {file}: {field}: unknown key; {nearest(str(field), FIELDS)}")
    if isinstance(variables := given.get("env_vars"), dict):
        # Ray only accepts strings, but a file may have OMP_NUM_THREADS: 2.
        given["env_vars"] = {name: _text(value) for name, value in variables.items()}
    for name in LISTS:
        if not _is_list_of_texts(given.get(name, [])):
            raise UserError(f"--runtime-env {file}: {name}: expected a list of texts, got {given[name]!r}")
    checked = {name: value for name, value in given.items() if name not in ("working_dir", *LISTS)}
    try:
        RuntimeEnv(**checked)
    except (TypeError, ValueError, OSError) as error:
        raise UserError(f"--runtime-env {file}: {first_line(error)}") from error
    return given


def _mapping(file: Path) -> dict[str, Any]:
    expected = "expected a YAML mapping such as {pip: [...], env_vars: {...}}"
    try:
        given = read_yaml_file(file)
    except OSError as error:
        raise UserError(f"--runtime-env {file}: {error.strerror}") from None
    except YamlError as error:
        raise UserError(f"--runtime-env {file}: {error}; {expected}") from None
    if not isinstance(given, dict):
        raise UserError(f"--runtime-env {file}: {expected}")
    return {name: value for name, value in given.items() if value is not None}


def _text(value: object) -> object:
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value


def _is_list_of_texts(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)
