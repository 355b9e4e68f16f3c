"""``pgtap-runner``: run pgTAP files as pg_prove does, without psql and Perl."""

import time
from pathlib import Path

import click
import psycopg
from psycopg.conninfo import make_conninfo

from . import loader
from .core import TIMEOUT, Result, run_file

FAILED, BAILED_OUT = 1, 255


@click.command()
@click.argument("paths", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@click.option("-r", "--recurse", is_flag=True, help="Look for tests in the folders' folders too.")
@click.option("--ext", default=".sql", show_default=True, help="How a test file's name ends.")
@click.option("-v", "--verbose", is_flag=True, help="Print every assertion.")
@click.option("-q", "--quiet", is_flag=True, help="Print failures and the result only.")
@click.option("--url", help="The database; what is not said comes from PG* variables.")
@click.option("-d", "--dbname", help="Name of the database.")
@click.option("-h", "--host", help="Host or folder of the socket.")
@click.option("-p", "--port", help="Port of the server.")
@click.option("-U", "--username", "user", help="Role to connect as.")
@click.option(
    "--timeout", default=TIMEOUT, show_default=True, help="Seconds a file may take; 0: no limit."
)
def main(
    paths: tuple[Path, ...],
    recurse: bool,
    ext: str,
    verbose: bool,
    quiet: bool,
    url: str | None,
    timeout: float,
    **parameters: str | None,
) -> None:
    """Run the pgTAP tests in PATHS (files and folders).

    Exit code: 0 all passed, 1 failed or no database, 2 usage, 255 a test bailed out.
    """
    files = [file for path in paths for file in _files(path, recurse, ext)]
    given = {key: value for key, value in parameters.items() if value is not None}
    started = time.monotonic()
    results = []
    try:
        conninfo = make_conninfo(url or "", **given)
        with loader.loaded(conninfo) as schema:
            for file in files:
                result = run_file(conninfo, file, schema=schema, timeout=timeout)
                _print(result, verbose, quiet)
                results.append(result)
                if result.report.bail_out is not None:
                    click.echo(f"Bail out! {result.report.bail_out}")
                    raise SystemExit(BAILED_OUT)
    except (psycopg.OperationalError, psycopg.ProgrammingError, loader.PgtapMissing) as error:
        raise click.ClickException(str(error).strip()) from None
    passed = _summarize(results, time.monotonic() - started)
    raise SystemExit(0 if passed else FAILED)


def _files(path: Path, recurse: bool, ext: str) -> list[Path]:
    if path.is_file():
        return [path]
    found = path.rglob(f"*{ext}") if recurse else path.glob(f"*{ext}")
    files = sorted(file for file in found if file.is_file())
    if not files:
        hint = "" if recurse else "; -r looks in its folders too"
        raise click.UsageError(f"no *{ext} in {path}{hint}")
    return files


def _print(result: Result, verbose: bool, quiet: bool) -> None:
    report = result.report
    verdict = "ok" if result.ok else "FAILED"
    if result.ok and report.skip_all is not None:
        verdict = f"skipped: {report.skip_all or '(no reason given)'}"
    if not quiet or not result.ok:
        click.echo(f"{result.name} .. {verdict}")
    if verbose:
        for a in report.assertions:
            directive = f" # {a.directive} {a.reason}" if a.directive else ""
            said = "ok" if a.ok else "not ok"
            click.echo(f"{said} {a.number} - {a.name}{directive}")
    if not result.ok:
        click.echo(result.text())


def _summarize(results: list[Result], seconds: float) -> bool:
    for result in results:
        for place in result.todo_passed:
            click.echo(f"TODO passed: {place}")
    passed = all(result.ok for result in results)
    if passed:
        click.echo("All tests successful.")
    tests = sum(len(result.report.assertions) for result in results)
    click.echo(f"Files={len(results)}, Tests={tests}, {seconds:.1f} s")
    click.echo(f"Result: {'PASS' if passed else 'FAIL'}")
    return passed
