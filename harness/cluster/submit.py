"""Send a study to a Ray cluster as a job, which runs without the submitting machine."""

import hashlib
import json
import os
import re
import shlex
import sys
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ray.job_submission import JobSubmissionClient

import lrlc
from lrlc.harness import provenance
from lrlc.harness.cluster.jobs import STOP_SECONDS, STUDY_KEY, Job, all_jobs, cluster, is_local, look_up
from lrlc.harness.cluster.runtime_env import read_runtime_env
from lrlc.harness.cluster.shipped import check_sent, not_files
from lrlc.harness.errors import UserError, first_line
from lrlc.harness.plan.catalogue import OpenedStudy
from lrlc.harness.plugins import Plugin
from lrlc.studies.lines import holds_secret, masked
from lrlc.studies.paths import absolute

READY_SECONDS = 60
"""`ray start --head` returns up to a minute before its node takes jobs."""

EXCLUDED = [".git", ".venv", ".data", "runs", "**/__pycache__"]


@dataclass(frozen=True)
class Order:
    """A request to the cluster. `path` is the study as the driver names it, `name` the study's own name."""

    path: str
    name: str
    overrides: tuple[str, ...]
    profile: str | None
    results: str
    data: str | None
    max_in_flight: int | None
    log: tuple[str, ...] = ()

    @property
    def job_id(self) -> str:
        """'lrlc-quickstart-1a2b3c4d': determined by the study, profile, overrides and results folder."""
        overrides = sorted(self.overrides, key=lambda override: override.partition("=")[0])
        identity = json.dumps([self.path, self.name, self.profile, overrides, self.results])
        digest = hashlib.sha256(identity.encode()).hexdigest()[:8]
        return f"lrlc-{re.sub(r'[^A-Za-z0-9_.]+', '-', self.name)}-{digest}"

    @property
    def words(self) -> list[str]:
        """The arguments of `lrlc run` on the cluster."""
        words = ["run", self.path, *self.overrides, "--address", "auto", "--results", self.results]
        words += ["--profile", self.profile] if self.profile else []
        words += ["--data", self.data] if self.data else []
        words += ["--max-in-flight", str(self.max_in_flight)] if self.max_in_flight else []
        return words + [word for target in self.log for word in ("--log", target)]


@dataclass(frozen=True)
class Submission:
    """The order's job on the cluster; `attached` if it was already running."""

    job: Job
    attached: bool


def refuse_secrets(overrides: Sequence[str], log: Sequence[str] = ()) -> None:
    """UserError for a password in an override or a tracker: the dashboard shows a job's command."""
    elsewhere = [(override, "put this key into the study's file") for override in overrides]
    elsewhere += [(target, "set it in the nodes' environment (--runtime-env, env_vars)") for target in log]
    for word, advice in elsewhere:
        if holds_secret(word):
            raise UserError(
                f"{masked(word)}: the password would stand in the job's command, which the dashboard shows; {advice}"
            )


def submit_study(
    opened: OpenedStudy,
    name_or_path: str,
    *,
    address: str,
    working_dir: Path,
    runtime_env: Path | None,
    results: str | None,
    data: str | None,
    max_in_flight: int | None,
    log: Sequence[str] = (),
) -> Submission:
    """Submit an opened study as a job, or attach to its job if that is running.

    `name_or_path` is how the study was named, `log` holds the trackers as `--log` names them. Raises
    UserError, before anything is sent, if the nodes could not read the study or its folders, or if the cluster refuses
    the job.
    """
    refuse_secrets(opened.overrides, log)
    for tracker in log:
        _check_place(tracker)
    results, data = on_nodes(results, data, address)
    order = Order(
        path=shipped_path(name_or_path, opened.plugins, working_dir, runtime_env),
        name=opened.study.name,
        overrides=opened.overrides,
        profile=opened.profile,
        results=results,
        data=data,
        max_in_flight=max_in_flight,
        log=tuple(log),
    )
    return _submit(order, address=address, working_dir=working_dir, runtime_env_file=runtime_env)


def _submit(order: Order, *, address: str, working_dir: Path, runtime_env_file: Path | None) -> Submission:
    """Start the order's job, or find it running. UserError if the cluster does not answer or refuses it."""
    runtime_env = _runtime_env(working_dir, runtime_env_file)
    deadline = time.monotonic() + READY_SECONDS
    with cluster(address) as client:
        while True:
            earlier = [job for job in all_jobs(client) if _is_run_of(order, job.id)]
            if running := [job for job in earlier if not job.ended]:
                return Submission(running[-1], attached=True)
            job_id = _next_id(order, [job.id for job in earlier])
            try:
                _start(client, job_id, order, runtime_env)
            except (RuntimeError, ValueError) as error:
                # Another submission was faster, or the head node has only just started.
                soon = any(words in str(error) for words in ("already", "try again later"))
                if not soon or time.monotonic() > deadline:
                    raise UserError(_refusal(error, address, working_dir)) from error
                time.sleep(1)
            else:
                return Submission(look_up(client, job_id), attached=False)


def shipped_path(
    name: str, plugin_files: Sequence[Plugin], working_dir: Path, runtime_env_file: Path | None = None
) -> str:
    """The study's name on the cluster: its file and plugins must be in the shipped folder and not be excluded."""
    path, shipped = Path(name), working_dir.resolve()
    if not path.is_file():
        return name
    files = [path.resolve(), *(Path(plugin.path) for plugin in plugin_files)]
    for file in files:
        if not file.is_relative_to(shipped):
            raise UserError(
                f"{file} lies outside --working-dir {working_dir}, which is all the cluster gets; "
                "name a folder that holds the study and its plugins"
            )
    check_sent(files, shipped, _excludes(read_runtime_env(runtime_env_file) if runtime_env_file else {}))
    return path.resolve().relative_to(shipped).as_posix()


def on_nodes(results_place: str | None, data: str | None, address: str) -> tuple[str, str | None]:
    """Where the job's tables and data are: folders on the nodes, or URIs, which are passed on unchanged.

    A relative folder would be in the copy of the working folder that Ray deletes. A cluster on this machine is
    given ./runs and LRLC_DATA by default.
    """
    if is_local(address):
        results_place = results_place or _absolute("runs")
        data = data or _absolute(os.environ.get("LRLC_DATA"))
    if results_place is None:
        raise UserError(
            "--results: name a folder that the head node can write, or a URI such as s3://bucket/runs"
        )
    for option, place in (("--results", results_place), ("--data", data)):
        if place and "://" not in place and not Path(place).is_absolute():
            raise UserError(
                f"{option} {place}: a relative folder would be in the job's temporary folder on the node; "
                f"give an absolute one{' or a URI such as s3://bucket/runs' if option == '--results' else ''}"
            )
    return results_place, data


def _check_place(tracker: str) -> None:
    """UserError if what 'tensorboard:FOLDER' or 'mlflow:URI' names would be lost with the job's temporary folder."""
    name, _, target = tracker.partition(":")
    relative = target.startswith("sqlite:///") and not target.startswith("sqlite:////")
    relative |= "://" not in target and not Path(target).is_absolute()
    if name != "wandb" and relative:
        raise UserError(
            f"--log {tracker}: a relative path would lie in the job's temporary folder on the node; "
            "give an absolute one or a server's URI"
        )


def _absolute(folder: str | None) -> str | None:
    return str(absolute(folder)) if folder else None


def _start(client: JobSubmissionClient, job_id: str, order: Order, runtime_env: Mapping[str, object]) -> None:
    """Let the job reserve nothing: its driver mostly waits, and the head node may have no GPU."""
    client.submit_job(
        entrypoint=_entrypoint(order.words),
        submission_id=job_id,
        runtime_env=dict(runtime_env),
        metadata={STUDY_KEY: order.name},
        entrypoint_num_cpus=0,
        entrypoint_num_gpus=0,
    )


def _refusal(error: Exception, address: str, working_dir: Path) -> str:
    if "status code 413" in str(error):
        return (
            f"--working-dir {working_dir}: packed, it is more than the 100 MiB that Ray's dashboard takes; "
            "name a smaller folder, or list what to leave out in .rayignore"
        )
    return f"--address {address}: the cluster refused the job: {first_line(error)}"


def _is_run_of(order: Order, job_id: str) -> bool:
    return re.fullmatch(rf"{re.escape(order.job_id)}(-\d+)?", job_id) is not None


def _next_id(order: Order, taken: Collection[str]) -> str:
    """Ray never accepts an id twice, even after its job is deleted, so the second run of an order is called ...-2."""
    last = max((int(job_id.removeprefix(order.job_id).strip("-") or 1) for job_id in taken), default=0)
    return order.job_id if not last else f"{order.job_id}-{last + 1}"


def _entrypoint(words: Sequence[str]) -> str:
    """Run with the node's `python3` if it has the packages, else with our own interpreter's path, which a node with
    the same layout also has. Ray does not add the environment that it was started from to a job's PATH."""
    pythons = " ".join(dict.fromkeys(["python3", shlex.quote(sys.executable)]))
    return (
        f"for python in {pythons}; do "
        "\"$python\" -c \"import importlib.util as u; assert u.find_spec('ray') and u.find_spec('torch')\" "
        f'2>/dev/null && exec "$python" -m lrlc {shlex.join(words)}; done; '
        "echo 'lrlc: no python3 with ray and torch on this node: put one on the PATH of its `ray start`, "
        "or name the packages in --runtime-env'; exit 1"
    )


def _runtime_env(working_dir: Path, file: Path | None) -> dict[str, object]:
    """The user's runtime environment plus the code, its commit and the time allowed for ending."""
    given: dict[str, Any] = read_runtime_env(file) if file else {}
    variables = {
        "LRLC_GIT": provenance.code().as_variable(),
        "RAY_JOB_STOP_WAIT_TIME_S": str(STOP_SECONDS),
    }
    return {
        "working_dir": str(working_dir),
        **given,
        "excludes": [*_excludes(given), *not_files(working_dir, _excludes(given))],
        "py_modules": [*_packages(working_dir), *given.get("py_modules", [])],
        "env_vars": {**variables, **given.get("env_vars", {})},
    }


def _excludes(runtime_env: Mapping[str, Any]) -> list[str]:
    """Patterns of files not to send, besides those in .gitignore and .rayignore."""
    return [*EXCLUDED, *runtime_env.get("excludes", [])]


def _packages(working_dir: Path) -> list[str]:
    """The folder of our own code, unless the working folder is a checkout that contains it."""
    if (working_dir / "lrlc" / "__init__.py").is_file():
        return []
    return [str(Path(lrlc.__path__[0]))]
