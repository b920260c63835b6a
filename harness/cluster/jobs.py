"""lrlc's jobs on a Ray cluster: connect, list jobs, find one, follow its log, stop it.

Imports Ray, so call `ray_setup.prepare` first.
"""

import asyncio
import contextlib
import http.client
import logging
import os
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp
from ray.exceptions import AuthenticationError
from ray.job_submission import JobDetails, JobSubmissionClient

from lrlc.harness.cluster import ray_setup
from lrlc.harness.errors import UserError, first_line
from lrlc.studies import study_name
from lrlc.studies.errors import nearest
from lrlc.studies.lines import masked

STUDY_KEY = "lrlc_study"
"""The entry of a Ray job's metadata that makes it one of ours."""

STOP_SECONDS = 60
"""How long a stopped driver has for its last commit before Ray kills it (Ray's default is 3 s)."""

ANSWER_SECONDS = 10

TALKATIVE = (
    "ray.dashboard.modules.dashboard_sdk",
    "ray.dashboard.modules.job.sdk",
    "ray._private.runtime_env.packaging",
)
"""Ray's loggers whose output would mix with ours."""

SECONDS_BETWEEN_LOOKS = 0.3


@dataclass(frozen=True)
class Job:
    """A study's job; `status` is Ray's in small letters: pending, running, stopped, succeeded or failed."""

    id: str
    study: str
    status: str
    started_at: datetime | None
    ended_at: datetime | None
    message: str | None

    @property
    def ended(self) -> bool:
        return self.status not in ("pending", "running")

    @property
    def seconds(self) -> float | None:
        if self.started_at is None:
            return None
        return ((self.ended_at or datetime.now(UTC)) - self.started_at).total_seconds()

    def as_dict(self) -> dict[str, object]:
        return {
            "id": self.id,
            "study": self.study,
            "status": self.status,
            "started": self.started_at.isoformat() if self.started_at else None,
            "duration_seconds": self.seconds,
        }


def is_local(address: str) -> bool:
    return urlsplit(_url(address)).hostname in {"127.0.0.1", "localhost", "::1"}


@contextlib.contextmanager
def cluster(address: str) -> Iterator[JobSubmissionClient]:
    """A client for the cluster whose dashboard is at `address`; its errors are raised as one-line UserErrors."""
    # Ray gives these two precedence over the address passed to it.
    for variable in ("RAY_API_SERVER_ADDRESS", "RAY_ADDRESS"):
        os.environ.pop(variable, None)
    for name in TALKATIVE:
        logging.getLogger(name).setLevel(logging.WARNING)
    url = _url(address)
    _reach_directly(url)
    _look(url)
    try:
        yield JobSubmissionClient(url)
    except UserError:
        raise
    except AuthenticationError as error:
        wrong = "Authentication failed" in str(error)
        raise UserError(
            f"--address {url}: {ray_setup.wrong_token() if wrong else ray_setup.NO_TOKEN}"
        ) from error
    except (OSError, RuntimeError, ValueError, aiohttp.ClientError) as error:
        raise UserError(f"--address {url}: {first_line(error)}{_through_proxy(url)}") from error


def _reach_directly(url: str) -> None:
    """Bypass proxies for an address on this machine: a proxy would look for the dashboard on itself."""
    if is_local(url):
        for name in ("no_proxy", "NO_PROXY"):
            hosts = [host for host in os.environ.get(name, "").split(",") if host]
            os.environ[name] = ",".join([*hosts, str(urlsplit(url).hostname)])


def _through_proxy(url: str) -> str:
    """The note in an error message about an address reached through a proxy."""
    parts = urlsplit(url)
    proxy = urllib.request.getproxies().get(parts.scheme)
    if proxy is None or urllib.request.proxy_bypass(str(parts.hostname)):
        return ""
    said = f"set in {parts.scheme}_proxy; no_proxy={parts.hostname} bypasses it"
    return f" (through the proxy {masked(proxy)}, {said})"


def _url(address: str) -> str:
    return (address if "://" in address else f"http://{address}").rstrip("/")


def _look(url: str) -> None:
    """Refuse an address that does not answer in time: Ray's client would wait for minutes."""
    try:
        urllib.request.urlopen(f"{url}/api/version", timeout=ANSWER_SECONDS).close()
    except urllib.error.HTTPError:
        return  # it answered; the client checks the token
    except (OSError, ValueError, http.client.HTTPException) as error:
        reason = getattr(error, "reason", None) or str(error) or type(error).__name__
        raise UserError(
            f"--address {url}: no Ray dashboard answered there ({reason}){_through_proxy(url)}; "
            "give the address that `ray start --head` printed, for example http://127.0.0.1:8265"
        ) from error


def all_jobs(client: JobSubmissionClient) -> list[Job]:
    """All jobs that `lrlc submit` created on the cluster, the latest last."""
    found = [_job(details) for details in client.list_jobs() if STUDY_KEY in (details.metadata or {})]
    return sorted(found, key=lambda job: (job.started_at or datetime.now(UTC), job.id))


def find(jobs: list[Job], name: str, *, running_only: bool = False) -> Job:
    """The job with this id, or else the study's running job, or else its latest one.

    UserError if there is none, or if several are running and the name is ambiguous.
    """
    for job in jobs:
        if job.id == name:
            return job
    study = study_name(name) if Path(name).is_file() else name
    of_study = [job for job in jobs if job.study == study]
    if not of_study:
        known = nearest(name, {job.id if name.startswith("lrlc-") else job.study for job in jobs})
        raise UserError(f"{name}: no such job or study on the cluster; {known}")
    running = [job for job in of_study if not job.ended]
    if running_only and len(running) > 1:
        raise UserError(
            f"{name}: {len(running)} of its jobs are running; name one: {', '.join(job.id for job in running)}"
        )
    return (running or of_study)[-1]


def look_up(client: JobSubmissionClient, job_id: str) -> Job:
    return _job(client.get_job_info(job_id))


def follow(client: JobSubmissionClient, job_id: str, write: Callable[[str], object]) -> Job:
    """Write the job's log as it grows and return how the job ended; reconnects if the connection breaks."""
    shown = 0
    while True:
        try:
            shown = asyncio.run(_tail(client, job_id, shown, write))
        except (aiohttp.ClientError, RuntimeError):
            time.sleep(SECONDS_BETWEEN_LOOKS)
        job = look_up(client, job_id)
        if job.ended:
            write(client.get_job_logs(job_id)[shown:])
            return job
        time.sleep(SECONDS_BETWEEN_LOOKS)


async def _tail(client: JobSubmissionClient, job_id: str, shown: int, write: Callable[[str], object]) -> int:
    """Write the log after its first `shown` characters and return how many have been written in total."""
    read = 0
    async for text in client.tail_job_logs(job_id):
        write(text[max(0, shown - read) :])
        read += len(text)
    return max(read, shown)


def stop(client: JobSubmissionClient, job: Job) -> Job:
    """Ask the driver to commit and end, and wait for it; a job that has already ended is returned unchanged."""
    if not job.ended:
        client.stop_job(job.id)
    deadline = time.monotonic() + STOP_SECONDS + 30
    while not (job := look_up(client, job.id)).ended:
        if time.monotonic() > deadline:
            raise UserError(
                f"{job.id}: asked to stop, but still {job.status}; `lrlc jobs` shows when it has stopped"
            )
        time.sleep(SECONDS_BETWEEN_LOOKS)
    return job


def _job(details: JobDetails) -> Job:
    return Job(
        id=details.submission_id or "",
        study=(details.metadata or {}).get(STUDY_KEY, ""),
        status=details.status.value.lower(),
        started_at=_time(details.start_time),
        ended_at=_time(details.end_time),
        message=details.message,
    )


def _time(milliseconds: int | None) -> datetime | None:
    return datetime.fromtimestamp(milliseconds / 1000, UTC) if milliseconds else None
