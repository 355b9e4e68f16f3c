"""``rendio gen``: write what is made from the database's catalogue, or check it."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click
import psycopg

from rendio import gen as generator
from rendio import migrate, sqlfiles
from rendio.cli.common import Failure
from rendio.embedded import EmbeddedError

SHOWN = 40  # lines of a difference


@click.command()
@click.option("--check", is_flag=True, help="Write nothing; exit 1 and show where a file is stale.")
@click.option(
    "--url", metavar="URL", help="An up-to-date database to ask, instead of a private one."
)
def gen(check: bool, url: str | None) -> None:
    """Write the Python calls, results and errors, the API reference and tests/schema.sql.

    For developers, in a checkout. Without --url a private server is started for the moment
    (RENDIO_PG_BIN chooses the binaries) and everything is applied to it.
    """
    root = sqlfiles.root()
    if not (root / "py_glue").is_dir():
        raise Failure(
            "rendio gen writes into the sources and this is an installed package: run it in a "
            "checkout, after  pip install -e '.[embedded]'"
        )
    with _told(), _database(url, root) as database:
        wanted = generator.files(database, root)
    diffs = {path: generator.diff(path, text, root) for path, text in wanted.items()}
    stale = {path: lines for path, lines in diffs.items() if lines}
    if check:
        _report(stale, root)
        return
    for path in stale:
        path.write_text(wanted[path])
        click.echo(f"wrote {path.relative_to(root)}")
    if not stale:
        click.echo(f"{len(wanted)} files are up to date")


def _report(stale: dict[Path, list[str]], root: Path) -> None:
    for lines in stale.values():
        click.echo("\n".join(lines[:SHOWN]))
        if len(lines) > SHOWN:
            click.echo(f"… {len(lines) - SHOWN} more lines")
    if stale:
        names = ", ".join(str(path.relative_to(root)) for path in stale)
        raise Failure(f"stale: {names}\nRun  rendio gen  and commit what it writes.")


@contextmanager
def _database(url: str | None, root: Path) -> Iterator[str]:
    if url is None:
        with generator.fresh_database(root) as made:
            yield made
        return
    if migrate.plan(url, root).steps:
        raise Failure(
            "that database is not up to date: run  rendio apply  on it with the same --url"
        )
    yield url


@contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except (EmbeddedError, generator.GenError, migrate.MigrateError) as error:
        raise Failure(str(error)) from error
    except psycopg.OperationalError as error:
        raise Failure(f"cannot reach the database: {error}") from error
