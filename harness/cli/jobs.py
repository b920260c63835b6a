"""The commands for jobs on a Ray cluster: `lrlc submit | jobs | logs | stop`."""

import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lrlc.harness.cli.options import (
    RESULTS,
    AsJson,
    LogTargets,
    MaxInFlight,
    Overrides,
    ProfileName,
    ResultsDir,
    StudyName,
)
from lrlc.harness.cli.trial_log import trial_log
from lrlc.harness.cluster import ray_setup
from lrlc.harness.text import aligned, duration, pass_on, print_json, say, show

if TYPE_CHECKING:
    from lrlc.harness.cluster.jobs import Job

Dashboard = Annotated[
    str,
    typer.Option(
        "--address", envvar="RAY_API_SERVER_ADDRESS", help="The cluster's dashboard, as a URL or host:port."
    ),
]
JobName = Annotated[
    str, typer.Argument(metavar="JOB_OR_STUDY", help="A job's id, or a study's name or file.")
]

DASHBOARD = "http://127.0.0.1:8265"


def submit(
    study: StudyName,
    overrides: Overrides = None,
    address: Dashboard = DASHBOARD,
    working_dir: Annotated[
        Path, typer.Option(file_okay=False, exists=True, help="The folder to ship, with your study in it.")
    ] = Path(),
    runtime_env: Annotated[
        Path | None, typer.Option(help="A YAML file of Ray's runtime environment.")
    ] = None,
    profile: ProfileName = None,
    results: Annotated[
        str | None, typer.Option(help="An absolute folder on the cluster, or a URI such as s3://bucket/runs.")
    ] = None,
    data: Annotated[
        str | None, typer.Option(help="The folder of data sets on the nodes; their LRLC_DATA by default.")
    ] = None,
    max_in_flight: MaxInFlight = None,
    log: LogTargets = None,
    follow: Annotated[
        bool, typer.Option("--follow", "--wait", help="Follow its log to the end; exit code 1 if it failed.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Send a study to a Ray cluster as a job, and return. Submitting the same again attaches to it."""
    from lrlc.harness.loggers import named_tracker
    from lrlc.harness.plan.catalogue import open_study

    opened = open_study(study, profile=profile, overrides=overrides or [])
    for target in log or ():
        named_tracker(target)
    ray_setup.prepare(joins_cluster=True)
    from lrlc.harness.cluster.submit import submit_study

    sent = submit_study(
        opened,
        study,
        address=address,
        working_dir=working_dir,
        runtime_env=runtime_env,
        results=results,
        data=data,
        max_in_flight=max_in_flight,
        log=log or (),
    )
    job_id = sent.job.id
    if as_json:
        print_json({"job": job_id, "address": address, "attached": sent.attached})
    else:
        show(job_id)
    say("it was already running" if sent.attached else "sent")
    if follow:
        _follow(job_id, address, log_to_stderr=as_json)
    else:
        say(f"`lrlc logs {job_id} -f` shows its log, `lrlc stop {job_id}` ends it")


def jobs(address: Dashboard = DASHBOARD, as_json: AsJson = False) -> None:
    """List the cluster's jobs submitted by lrlc."""
    ray_setup.prepare(joins_cluster=True)
    from lrlc.harness.cluster.jobs import all_jobs, cluster

    with cluster(address) as client:
        found = all_jobs(client)
    if as_json:
        print_json([job.as_dict() for job in found])
        return
    if not found:
        say("no jobs of lrlc on this cluster")
        return
    lines = [("job", "study", "status", "started", "duration"), *(_cells(job) for job in found)]
    for line in aligned(lines):
        show(line)


def logs(
    name: JobName,
    address: Dashboard = DASHBOARD,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Follow the log to the end; exit code 1 if the job failed.")
    ] = False,
    trial: Annotated[
        str | None, typer.Option(help="What this trial of the study printed, from its results.")
    ] = None,
    results: ResultsDir = RESULTS,
) -> None:
    """Show a job's log or, with --trial, what one of a study's trials printed."""
    if trial is not None:
        show(trial_log(name, trial, results))
        return
    ray_setup.prepare(joins_cluster=True)
    from lrlc.harness.cluster.jobs import all_jobs, cluster, find

    with cluster(address) as client:
        job = find(all_jobs(client), name)
        if not follow:
            pass_on(client.get_job_logs(job.id))
    if follow:
        _follow(job.id, address)


def stop(name: JobName, address: Dashboard = DASHBOARD) -> None:
    """Stop a job: finished trials are committed, and submitting it again resumes from there."""
    ray_setup.prepare(joins_cluster=True)
    from lrlc.harness.cluster.jobs import all_jobs, cluster, find
    from lrlc.harness.cluster.jobs import stop as stop_job

    with cluster(address) as client:
        job = find(all_jobs(client), name, running_only=True)
        if job.ended:
            say(f"{job.id}: nothing to stop, it has ended: {_ending(job)}")
        else:
            say(f"{job.id}: {_ending(stop_job(client, job))}")


def register(app: typer.Typer) -> None:
    """Add the commands to the program."""
    for command in (submit, jobs, logs, stop):
        app.command()(command)


def _follow(job_id: str, address: str, *, log_to_stderr: bool = False) -> None:
    """Follow the log until the job ends; exit code 1 unless it succeeded. Ctrl-C does not stop the job."""
    from lrlc.harness.cluster.jobs import cluster, follow

    try:
        with cluster(address) as client:
            job = follow(client, job_id, partial(pass_on, to=sys.stderr) if log_to_stderr else pass_on)
    except KeyboardInterrupt:
        say(f"the job continues; `lrlc logs {job_id} -f` shows it again, `lrlc stop {job_id}` ends it")
        raise typer.Exit(130) from None
    say(f"{job.id}: {_ending(job)}")
    if job.status != "succeeded":
        raise typer.Exit(1)


def _ending(job: "Job") -> str:
    """'succeeded', or 'failed: Job entrypoint command failed with exit code 2'."""
    told = (job.message or "").strip().splitlines()
    return f"failed: {told[0]}" if job.status == "failed" and told else job.status


def _cells(job: "Job") -> tuple[str, str, str, str, str]:
    started = f"{job.started_at.astimezone():%Y-%m-%d %H:%M:%S}" if job.started_at else "not yet"
    return job.id, job.study, job.status, started, duration(job.seconds or 0)
