"""Run many tests, several at a time when asked, and give their results in order."""

import contextlib
import threading
import time
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import CancelledError, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import psycopg

from . import core, tap
from .script import Statement
from .session import Connection, connect


@dataclass(frozen=True, slots=True)
class Test:
    """A file, or one call of pgTAP's ``runtests()``."""

    name: str
    run: Callable[[Connection, float, core.Progress], core.Result]


def of_file(path: Path) -> Test:
    """Return the test that a file is."""

    def run(connection: Connection, timeout: float, progress: core.Progress) -> core.Result:
        return core.run(connection, path, timeout=timeout, progress=progress)

    return Test(str(path), run)


def of_functions(schema: str | None, match: str | None) -> Test:
    """Return the test that calls a schema's test functions (the search path's if none is given)."""
    arguments = [
        f"'{value.replace(chr(39), chr(39) * 2)}'::{kind}"
        for value, kind in ((schema, "name"), (match, "text"))
        if value
    ]
    call = f"runtests({', '.join(arguments)})"

    def run(connection: Connection, timeout: float, progress: core.Progress) -> core.Result:
        statements = [Statement(" ".join(["select * from", call]), 1)]
        return core.run_statements(connection, call, statements, timeout=timeout, progress=progress)

    return Test(call, run)


def run_all(
    tests: Sequence[Test],
    conninfo: str,
    *,
    schema: str,
    timeout: float,
    jobs: int,
    progress: Callable[[str, tap.Report], None],
) -> Generator[core.Result, None, None]:
    """Yield the tests' results in their order; who stops listening ends what still runs."""
    live: set[Connection] = set()
    stopped = threading.Event()

    def run(test: Test) -> core.Result:
        with contextlib.closing(connect(conninfo, schema=schema)) as connection:
            live.add(connection)
            try:
                if stopped.is_set():
                    raise CancelledError
                return test.run(connection, timeout, lambda report: progress(test.name, report))
            finally:
                live.discard(connection)

    if jobs == 1:
        yield from map(run, tests)
        return
    with ThreadPoolExecutor(jobs) as pool:
        try:
            yield from pool.map(run, tests)
        except BaseException:
            stopped.set()
            pool.shutdown(wait=False, cancel_futures=True)
            while live:  # a cancel that comes between two statements is lost
                for connection in list(live):
                    with contextlib.suppress(psycopg.Error):
                        connection.cancel_safe(timeout=2)
                time.sleep(0.05)
            raise
