"""Send a study to a Ray cluster as a job and return: the laptop can be closed."""

import hashlib
import json
import os
import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import yaml
from ray.exceptions import AuthenticationError
from ray.job_submission import JobSubmissionClient

from harness import provenance, ray_setup
from harness.errors import UserError

EXCLUDED = [".git", ".venv", ".data", "runs", "**/__pycache__"]


@dataclass(frozen=True)
class Submission:
    """A job on the cluster; `attached` if it ran there already."""

    id: str
    dashboard: str
    attached: bool


def submit(
    study: str,
    run_arguments: Sequence[str],
    *,
    address: str,
    working_dir: Path,
    runtime_env_file: Path | None = None,
) -> Submission:
    """Start `lrlc run STUDY --address auto RUN_ARGUMENTS` on the cluster whose dashboard is at `address`.

    The job's id follows from the study and the arguments, so submitting the same again attaches to the job that
    runs. Raises UserError where the cluster does not answer or refuses.
    """
    client, job_id = _connect(address), submission_id(study, run_arguments)
    status = {job.submission_id: job.status for job in client.list_jobs()}.get(job_id)
    if status is not None and not status.is_terminal():
        return Submission(job_id, address, attached=True)
    if status is not None:
        client.delete_job(job_id)  # an id that has ended can be used again only after its deletion
    local = urlsplit(address).hostname in {"127.0.0.1", "localhost", "::1"}
    # A cluster on this machine may have been started from an environment that is not on its PATH.
    python = sys.executable if local else "python3"
    command = shlex.join([python, "-m", "harness.cli", "run", study, "--address", "auto", *run_arguments])
    try:
        client.submit_job(
            entrypoint=command,
            submission_id=job_id,
            runtime_env=_runtime_env(working_dir, runtime_env_file),
            metadata={"lrlc_study": study},
        )
    except (RuntimeError, ValueError) as error:
        raise UserError(f"--address {address}: the cluster refused the job: {_first_line(error)}") from error
    return Submission(job_id, address, attached=False)


def submission_id(study: str, run_arguments: Sequence[str]) -> str:
    """'lrlc-quickstart-1a2b3c4d': the same for the same study and arguments."""
    digest = hashlib.sha256(json.dumps([study, *run_arguments]).encode()).hexdigest()[:8]
    return f"lrlc-{Path(study).stem}-{digest}"


def _connect(address: str) -> JobSubmissionClient:
    try:
        return JobSubmissionClient(address)
    except AuthenticationError as error:
        raise UserError(f"--address {address}: {ray_setup.NO_TOKEN}") from error
    except (ConnectionError, RuntimeError, ValueError) as error:
        raise UserError(
            f"--address {address}: no Ray dashboard answered there ({_first_line(error)}); "
            "give the address that `ray start --head` printed, for example http://127.0.0.1:8265"
        ) from error


def _runtime_env(working_dir: Path, file: Path | None) -> dict[str, object]:
    """The user's runtime environment with the code, its commit and Ray's token mode added."""
    given = yaml.safe_load(file.read_text()) if file else {}
    if not isinstance(given, Mapping):
        raise UserError(f"--runtime-env {file}: expected a mapping such as {{pip: [...], env_vars: {{...}}}}")
    code = provenance.code()
    variables = {"LRLC_GIT": f"{code.git_commit or ''}:{'dirty' if code.git_dirty else 'clean'}"}
    if mode := os.environ.get("RAY_AUTH_MODE"):
        variables["RAY_AUTH_MODE"] = mode
    return {
        "working_dir": str(working_dir),
        "excludes": EXCLUDED,
        **given,
        "env_vars": {**variables, **given.get("env_vars", {})},
    }


def _first_line(error: Exception) -> str:
    return next(iter(str(error).strip().splitlines()), type(error).__name__)
