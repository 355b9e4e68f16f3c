"""``rendio demo``: what the first two commands on a new machine show."""

import json
import os
import shlex
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import click
import psycopg
from pg_cron_compat.install import CronError

from rendio.cli.common import Exit, Failure, need_edge
from rendio.demo import DemoError, run
from rendio.demo.run import Outcome
from rendio.demo.screen import Screen, Silence
from rendio.embedded import EmbeddedError, Server, default_server
from rendio.errors import RendioError
from rendio.migrate import MigrateError

USERS, GENERATIONS = 1_000, 20_000

NEXT = """
  The database keeps running, and its cron jobs with it. Open it, or ask it something:
    {rendio} psql
    {rendio} psql -c "select at, who, call, error from demo.calls"
  Cheat, and be found out:
    {rendio} psql -c "update users set credits_remaining = 99"
    {rendio} demo --proof
  The same at size, over HTTP with lines to try, and the end:
    {rendio} demo --users 1000 --generations 20000
    {rendio} demo --serve
    {rendio} embedded stop"""


@click.command()
@click.option("-v", "--verbose", is_flag=True, help="Print the query behind every figure.")
@click.option("--users", type=click.IntRange(1), metavar="N", help="At size: by N guests.")
@click.option("--generations", type=click.IntRange(1), metavar="M", help="At size: M videos.")
@click.option("--proof", "proof_only", is_flag=True, help="Only check what the last demo left.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object, for machines.")
@click.option("--serve", is_flag=True, help="Then serve the calls over HTTP, with lines to try.")
@click.option("--port", type=click.IntRange(1, 65535), default=8000, show_default=True)
def demo(
    verbose: bool,
    users: int | None,
    generations: int | None,
    proof_only: bool,
    as_json: bool,
    serve: bool,
    port: int,
) -> None:
    """Play a day of the app on the embedded database, and prove that the books agree.

    Makes the embedded database anew and applies everything to it. Exits 1 when a check fails.
    """
    at_size = users is not None or generations is not None
    if proof_only and at_size:
        raise click.UsageError("--proof plays nothing: leave --users and --generations out.")
    if serve and (proof_only or as_json):
        raise click.UsageError("--serve follows a demo that people read: no --proof, no --json.")
    _forget_environment()
    screen = _screen(as_json)
    with _failures():
        if serve:
            need_edge()
            from rendio.demo.serving import check_port

            check_port(port)
        server = default_server()
        if proof_only:
            outcome = run.proof_again(server)
        elif at_size:
            outcome = _play_load(server, screen, users or USERS, generations or GENERATIONS)
        else:
            outcome = _play_day(server, screen)
    if as_json:
        click.echo(json.dumps(outcome.as_json(), indent=2))
    else:
        _show(outcome, screen, verbose)
    if not outcome.ok:
        raise click.exceptions.Exit(Exit.FAILED)
    if serve:
        _serve(server, screen, port)
    elif not proof_only:
        screen.say(NEXT.format(rendio=_program()))


def _serve(server: Server, screen: Screen, port: int) -> None:
    from rendio.demo import serving
    from rendio.edge.server import serve

    chosen = serving.settings(server.url())
    with psycopg.connect(server.url(), autocommit=True) as conn:
        screen.say(serving.text(conn, chosen, port))
    serve(chosen, serving.HOST, port)


def _play_day(server: Server, screen: Screen) -> Outcome:
    with run.fresh_database(server, screen) as conn:
        run.play_day(conn, server.url(), screen)
        return run.report(conn, "day.sql")


def _play_load(server: Server, screen: Screen, users: int, generations: int) -> Outcome:
    with run.fresh_database(server, screen) as conn:
        run.play_load(conn, server.url(), screen, users, generations)
        return run.report(conn, "size.sql")


def _show(outcome: Outcome, screen: Screen, verbose: bool) -> None:
    if verbose:
        screen.queries(outcome.queries)
    if outcome.table:
        screen.table(outcome.table)
    if outcome.cron:
        screen.paragraph(outcome.cron)
    screen.proof(outcome.proof)
    if outcome.ok:
        screen.verdict("Every check holds.", ok=True)
    elif all(check.ok for check in outcome.proof):
        screen.verdict("The table's credits do not add up to what is left.", ok=False)
    else:
        told = f"What is marked ✗ does not hold. Its query:  {_program()} demo --proof -v"
        screen.verdict(told, ok=False)


def _screen(as_json: bool) -> Screen:
    """What fits where the output goes."""
    if as_json:
        return Silence()
    if sys.stdout.isatty() and find_spec("rich") and os.environ.get("TERM") != "dumb":
        from rendio.demo.screen_rich import RichScreen

        return RichScreen()
    return Screen()


def _program() -> str:
    """How to call rendio from here, as a word for the shell."""
    called, found = shutil.which(sys.argv[0]), shutil.which("rendio")
    if not called or (found and Path(found).samefile(called)):
        return "rendio"
    path, here = Path(called), Path.cwd()
    if path.is_relative_to(here):
        path = path.relative_to(here)
    # A name without a folder would be looked for on the path alone.
    return shlex.quote(str(path) if len(path.parts) > 1 else f"./{path}")


def _forget_environment() -> None:
    """Leave no variable that would lead libpq to another server."""
    for name in [name for name in os.environ if name.startswith("PG")]:
        del os.environ[name]


@contextmanager
def _failures() -> Iterator[None]:
    try:
        yield
    except MigrateError as error:
        raise Failure(str(error), Exit(error.exit_code)) from error
    except (CronError, DemoError, EmbeddedError, RendioError) as error:
        raise Failure(str(error)) from error
    except psycopg.Error as error:
        raise Failure(f"The embedded database says: {error}") from error
