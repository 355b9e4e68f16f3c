"""``rendio embedded`` and ``rendio psql``: the embedded database at hand."""

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

import click

from rendio.cli.common import Failure
from rendio.embedded import EmbeddedError, default_server, find_binaries


@contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except EmbeddedError as error:
        raise Failure(str(error)) from error


@click.group()
def embedded() -> None:
    """The PostgreSQL server that rendio starts for you: is it there, stop it, remove it."""


@embedded.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON object, for machines.")
def status(as_json: bool) -> None:
    """Tell whether the server runs, and where its data and its URL are."""
    with _told():
        found = default_server().status()
    if as_json:
        click.echo(json.dumps(asdict(found), default=str))
        return
    click.echo(f"{'state':10}{found.state}")
    click.echo(f"{'version':10}{found.version} ({found.bin_dir})")
    click.echo(f"{'data':10}{found.data_dir} ({found.bytes / 1e6:.0f} MB)")
    click.echo(f"{'url':10}{found.url}")
    if found.state != "running":
        click.echo("Start it with: rendio psql")


@embedded.command()
def stop() -> None:
    """Stop the server; its data stay."""
    with _told():
        server = default_server()
        stopped = server.stop()
    click.echo(f"{'Stopped' if stopped else 'It was not running'}: {server.data_dir}")


@embedded.command()
@click.option("--yes", is_flag=True, help="Do not ask.")
def remove(yes: bool) -> None:
    """Stop the server and delete its data."""
    with _told():
        server = default_server()
        if server.status().state == "absent":
            click.echo(f"Nothing to remove: {server.data_dir}")
            return
        if not yes:
            click.confirm(f"Delete {server.data_dir} and every database in it?", abort=True)
        server.remove()
    click.echo(f"Removed: {server.data_dir}")


@click.command(context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
@click.option("--url", metavar="URL", help="Another database than the embedded one.")
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED, metavar="[PSQL ARGUMENTS]...")
def psql(url: str | None, arguments: tuple[str, ...]) -> None:
    """Open psql on the embedded database, started when needed.

    Everything after --url goes to psql: rendio psql -c 'select rendio.version()'
    """
    with _told():
        if url:
            installed = shutil.which("psql")  # speaks TLS, which the carrier's does not
            program = Path(installed) if installed else find_binaries() / "psql"
        else:
            server = default_server().ensure_started()
            url, program = server.url(), server.psql_path
            for name in [n for n in os.environ if n.startswith("PG") and n != "PGOPTIONS"]:
                del os.environ[name]  # PGHOSTADDR and PGSERVICE would lead elsewhere
    os.execv(program, ["psql", f"--dbname={url}", *arguments])
