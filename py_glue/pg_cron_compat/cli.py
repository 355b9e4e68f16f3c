"""``pg-cron-compat``: pg_cron's jobs on a server without pg_cron."""

import asyncio
import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import click
import psycopg

from .handover import hand_over
from .install import CronError, install, look
from .runner import CannotRun, Runner

URL = click.option(
    "--url",
    envvar="DATABASE_URL",
    required=True,
    metavar="URL",
    help="The database, directly and not through a transaction pooler; or set DATABASE_URL.",
)


@contextmanager
def _connected(url: str) -> Iterator[psycopg.Connection[Any]]:
    try:
        with psycopg.connect(url, autocommit=True, application_name="pg-cron-compat") as conn:
            yield conn
    except (CronError, psycopg.Error) as error:
        raise click.ClickException(str(error).strip()) from error


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """Run pg_cron's jobs on a PostgreSQL server that has no pg_cron."""


@main.command("install")
@URL
def install_(url: str) -> None:
    """Make the schema cron as pg_cron has it; safe to repeat.

    Refuses where the real pg_cron is usable.
    """
    with _connected(url) as conn:
        install(conn)
        click.echo(f"Installed in {conn.info.dbname}. Start it with: pg-cron-compat run")


@main.command()
@URL
@click.option("--json", "as_json", is_flag=True, help="One JSON object, for machines.")
def status(url: str, as_json: bool) -> None:
    """Tell who runs the jobs, when each is due and how it last went.

    Exit code 1 when nobody does.
    """
    with _connected(url) as conn:
        found = look(conn)
        leader, jobs = _compat_jobs(conn) if found.compat else (None, [])
    runs = f"pg_cron {found.extension}" if found.extension else ""
    if leader:
        runs = f"pg-cron-compat run, server process {leader}"
    if as_json:
        told = {"runs": runs or None, "compat": found.compat, "usable": found.usable, "jobs": jobs}
        click.echo(json.dumps(told, default=str))
    else:
        click.echo(runs or _nobody(found.compat, found.usable))
        for job in jobs:
            click.echo(_line(job))
    raise SystemExit(0 if runs else 1)


def _compat_jobs(conn: psycopg.Connection[Any]) -> tuple[int | None, list[dict[str, Any]]]:
    (leader,) = conn.execute("select cron_compat.leader_pid()").fetchone() or (None,)
    cursor = conn.execute("select * from cron_compat.job_status")
    names = [column.name for column in cursor.description or ()]
    return leader, [dict(zip(names, row, strict=True)) for row in cursor]


def _nobody(compat: bool, usable: bool) -> str:
    if usable:
        remedy = "pg-cron-compat handover" if compat else "create extension pg_cron;"
        return f"Nothing runs jobs here, and pg_cron is usable: {remedy}"
    remedy = "pg-cron-compat run" if compat else "pg-cron-compat install"
    return f"Nothing runs jobs here: {remedy}"


def _line(job: dict[str, Any]) -> str:
    name = job["jobname"] or f"job {job['jobid']}"
    when = f"due {job['next_due']:%F %T%z}" if job["next_due"] else "not due"
    if not job["active"]:
        when = "switched off"
    elif job["running"]:
        when = "running"
    last = f", last {job['last_status']}: {job['last_message']}" if job["last_status"] else ""
    return f"  {name}  {job['schedule']}  {when}{last}"


@main.command()
@URL
@click.option(
    "--set-role",
    is_flag=True,
    help="Where a job's user cannot log in from here, set the role instead. Such a job can come "
    "back to the runner's login: let only roles you trust use the schema cron.",
)
@click.option(
    "--exit-when-down", is_flag=True, help="End when the server does, instead of waiting for it."
)
@click.option("-v", "--verbose", is_flag=True, help="Tell of every run.")
def run(url: str, set_role: bool, exit_when_down: bool, verbose: bool) -> None:
    """Run the jobs until SIGTERM, which lets running ones finish (a second one does not).

    Start as many as you like, on as many machines: one leads, the next takes over when it dies.
    """
    logging.basicConfig(
        level=logging.INFO if verbose else logging.WARNING, format="%(asctime)s %(message)s"
    )

    async def lead() -> None:
        await Runner(url, set_role=set_role, exit_when_down=exit_when_down).run()

    try:
        asyncio.run(lead())
    except (CannotRun, psycopg.Error) as error:
        raise click.ClickException(str(error).strip()) from error


@main.command()
@URL
@click.option("--timeout", default=300.0, show_default=True, help="Seconds to wait for jobs.")
def handover(url: str, timeout: float) -> None:
    """Replace the compat layer by the real pg_cron, jobs and history included.

    Run it as a superuser once pg_cron is loaded and this is its database. Runners end by
    themselves. Where it fails everything stays as it was.
    """
    with _connected(url) as conn:
        for line in hand_over(conn, timeout):
            click.echo(line)
        click.echo(f"pg_cron runs the jobs of {conn.info.dbname} now.")
