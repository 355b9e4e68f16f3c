"""``pgtap-runner``: run pgTAP tests as pg_prove does, without psql and Perl."""

import contextlib
import os
import random
import signal
import time
from pathlib import Path

import click
import psycopg
from psycopg.conninfo import make_conninfo

from . import console, jobs, loader
from .core import TIMEOUT, Result

FAILED, BAILED_OUT, INTERRUPTED = 1, 255, 130


@click.command(context_settings={"help_option_names": ["-H", "--help"]})
@click.argument("paths", nargs=-1, type=click.Path(exists=True, path_type=Path))
@click.option("-r", "--recurse", is_flag=True, help="Look for tests in the folders' folders too.")
@click.option(
    "--ext",
    "endings",
    multiple=True,
    default=[".sql"],
    show_default=True,
    help="How a test file's name ends; may be given again.",
)
@click.option("--shuffle", is_flag=True, help="Run the files in random order.")
@click.option("--reverse", is_flag=True, help="Run the files in reverse order.")
@click.option(
    "-j",
    "--jobs",
    "workers",
    default=1,
    metavar="N",
    type=click.IntRange(min=1),
    help="Run N files at a time.",
)
@click.option("-D", "--dry", is_flag=True, help="Print what would run.")
@click.option(
    "-R",
    "--runtests",
    is_flag=False,
    flag_value="",
    metavar="[SCHEMA]",
    help="Run xUnit tests: call pgTAP's runtests().",
)
@click.option("-s", "--schema", help="Schema of the xUnit tests.")
@click.option("-x", "--match", metavar="REGEX", help="Which xUnit functions are tests.")
@click.option("-v", "--verbose", is_flag=True, help="Print all TAP lines.")
@click.option("-q", "--quiet", is_flag=True, help="Print no diagnostics.")
@click.option("-Q", "--QUIET", "quietest", is_flag=True, help="Print the summary only.")
@click.option("-t", "--timer", is_flag=True, help="Print how long each file took.")
@click.option("-f", "--failures", is_flag=True, expose_value=False, help="Always done.")
@click.option("-o", "--comments", is_flag=True, expose_value=False, help="Always done.")
@click.option("-c/ ", "--color/--nocolor", default=None, help="Default: colour on a terminal.")
@click.option(
    "--timeout",
    default=TIMEOUT,
    show_default=True,
    metavar="SECONDS",
    help="How long a file may take; 0: as long as it likes.",
)
@click.option("--url", help="The database; what is not said comes from PG* variables.")
@click.option("-d", "--dbname", help="Name of the database.")
@click.option("-h", "--host", help="Host or folder of the socket.")
@click.option("-p", "--port", help="Port of the server.")
@click.option("-U", "--username", "user", help="Role to connect as.")
def main(
    paths: tuple[Path, ...],
    recurse: bool,
    endings: tuple[str, ...],
    shuffle: bool,
    reverse: bool,
    workers: int,
    dry: bool,
    runtests: str | None,
    schema: str | None,
    match: str | None,
    verbose: bool,
    quiet: bool,
    quietest: bool,
    timer: bool,
    color: bool | None,
    timeout: float,
    url: str | None,
    **parameters: str | None,
) -> None:
    """Run the pgTAP tests in PATHS (files and folders), or with -R those written as functions.

    Exit code: 0 all passed, 1 failed or no database, 2 usage, 130 interrupted, 255 a test
    bailed out.
    """
    if runtests is not None or schema or match:
        tests = [jobs.of_functions(schema or runtests, match)]
    else:
        tests = [jobs.of_file(file) for path in paths for file in _files(path, recurse, endings)]
    if not tests:
        raise click.UsageError("name the tests: files, folders, or --runtests")
    tests = tests[::-1] if reverse else tests
    if shuffle:
        random.shuffle(tests)
    if dry:
        click.echo("\n".join(test.name for test in tests))
        return
    verbosity = console.QUIETEST if quietest else verbose - quiet
    if color is None and os.environ.get("NO_COLOR"):
        color = False
    shown = console.Console(
        [test.name for test in tests], verbosity=verbosity, timer=timer, color=color
    )
    terminate = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        _run(tests, shown, _conninfo(url, parameters), timeout, workers)
    except (psycopg.Error, loader.PgtapMissing) as error:
        raise click.ClickException(str(error).strip()) from None
    except KeyboardInterrupt:
        click.echo("\nInterrupted", err=True)
        raise SystemExit(INTERRUPTED) from None
    finally:
        signal.signal(signal.SIGTERM, terminate)


def _run(
    tests: list[jobs.Test], shown: console.Console, conninfo: str, timeout: float, workers: int
) -> None:
    started = time.monotonic()
    results: list[Result] = []
    with loader.loaded(conninfo) as schema:
        running = jobs.run_all(
            tests, conninfo, schema=schema, timeout=timeout, jobs=workers, progress=shown.progress
        )
        with contextlib.closing(running):
            for result in running:
                shown.done(result)
                results.append(result)
                if result.report.bail_out is not None:
                    break
    passed = shown.summary(results, time.monotonic() - started)
    if (reason := results[-1].report.bail_out) is not None:
        click.echo(f"FAILED--Further testing stopped: {reason}".rstrip(": "), err=True)
        raise SystemExit(BAILED_OUT)
    raise SystemExit(0 if passed else FAILED)


def _conninfo(url: str | None, parameters: dict[str, str | None]) -> str:
    given = {key: value for key, value in parameters.items() if value is not None}
    name = given.get("dbname", "")
    if "=" in name or "://" in name:  # psql takes a connection string for a name, too
        return make_conninfo(given.pop("dbname"), **given)
    return make_conninfo(url or "", **given)


def _files(path: Path, recurse: bool, endings: tuple[str, ...]) -> list[Path]:
    if path.is_file():
        return [path]
    found = path.rglob("*") if recurse else path.glob("*")
    files = sorted(file for file in found if file.name.endswith(endings) and file.is_file())
    if not files:
        hint = "" if recurse else "; -r looks in its folders too"
        raise click.UsageError(f"no *{' or *'.join(endings)} in {path}{hint}")
    return files
