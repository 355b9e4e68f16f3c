"""The verbs that look after a database: apply, plan, status, drift, verify."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import click

from rendio import migrate
from rendio.cli.common import Exit, Failure, database_options, resolve_url

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON for machines.")


@contextmanager
def failures() -> Iterator[None]:
    """Errors of the runner end the command with their text and exit code."""
    try:
        yield
    except migrate.MigrateError as error:
        raise Failure(str(error), Exit(error.exit_code)) from error


def print_json(value: Any) -> None:
    click.echo(json.dumps(value, indent=2))


def show_notices(notices: list[str]) -> None:
    for notice in notices:
        click.echo(f"note: {notice}", err=True)


@click.command()
@database_options
@click.option(
    "--lock-wait",
    type=click.FloatRange(min=0),
    default=30.0,
    show_default=True,
    metavar="SECONDS",
    help="How long to wait for another apply to end.",
)
@click.option(
    "--lock-timeout",
    type=click.FloatRange(min=0.01),
    default=2.0,
    show_default=True,
    metavar="SECONDS",
    help="How long a step may wait for a table lock before it steps back and tries again.",
)
@json_option
def apply(
    url: str | None, embedded: bool, lock_wait: float, lock_timeout: float, as_json: bool
) -> None:
    """Bring a database up to date; safe to repeat, and from two machines at once."""
    with failures():
        result = migrate.apply(
            resolve_url(url, embedded),
            lock_wait=lock_wait,
            lock_timeout=lock_timeout,
            echo=None if as_json else click.echo,
        )
    if as_json:
        steps = [vars(step) for step in result.steps]
        print_json({"release": result.release, "steps": steps, "notices": result.notices})
        return
    if not result.changed:
        click.echo(f"Nothing to do: the database is at rendio {result.release}.")
    else:
        click.echo(f"The database is at rendio {result.release}: {len(result.steps)} steps.")
    show_notices(result.notices)


@click.command()
@database_options
@click.option("--sql", "as_sql", is_flag=True, help="Print the plan as a script for psql.")
@json_option
def plan(url: str | None, embedded: bool, as_sql: bool, as_json: bool) -> None:
    """Show what apply would do, with the locks it takes; changes nothing."""
    if as_sql and as_json:
        raise click.UsageError("--sql and --json exclude each other.")
    with failures():
        found = migrate.plan(resolve_url(url, embedded))
    if as_json:
        print_json(found.as_json())
        return
    click.echo(found.sql() if as_sql else "\n".join(found.lines()), nl=not as_sql)
    show_notices(found.notices)


@click.command()
@database_options
@click.option("--exit-code", is_flag=True, help="Exit 3 when something is pending.")
@json_option
def status(url: str | None, embedded: bool, exit_code: bool, as_json: bool) -> None:
    """Compare the files with what was applied, and say which cron jobs anything runs."""
    with failures():
        found = migrate.status(resolve_url(url, embedded))
    if as_json:
        print_json(found.as_json())
    else:
        click.echo("\n".join(found.lines()))
        show_notices(found.notices)
    if found.problems:
        worst = max(problem.error.exit_code for problem in found.problems)
        raise Failure("\n".join(problem.message for problem in found.problems), Exit(worst))
    if exit_code and found.pending:
        raise click.exceptions.Exit(Exit.PENDING)


@click.command()
@database_options
@json_option
def drift(url: str | None, embedded: bool, as_json: bool) -> None:
    """Show what was changed since it was applied, by anything but apply; exit 4 when there is."""
    with failures():
        _report(migrate.drift(resolve_url(url, embedded)), "No drift.", as_json)


@click.command()
@database_options
@click.option("--scratch", metavar="URL", help="Build on this server instead of beside.")
@json_option
def verify(url: str | None, embedded: bool, scratch: str | None, as_json: bool) -> None:
    """Compare a database with a fresh build of the files; exit 4 when they differ."""
    with failures():
        found = migrate.verify(resolve_url(url, embedded), scratch=scratch)
        _report(found, "The database equals a fresh build.", as_json)


def _report(found: list[migrate.Difference], none: str, as_json: bool) -> None:
    if as_json:
        print_json([vars(difference) for difference in found])
    else:
        click.echo("\n".join(map(str, found)) or none)
    if found:
        raise click.exceptions.Exit(Exit.DRIFT)
