"""Run one pgTAP file on a connection and tell what it said."""

import contextlib
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psycopg

from . import script, tap

TIMEOUT = 300.0
_GRACE = 2.0  # seconds between asking politely and ending the session

Connection = psycopg.Connection[tuple[object, ...]]


@dataclass(slots=True)
class Result:
    """What a file said, and how it ended."""

    name: str
    report: tap.Report
    error: str | None = None  # "file.sql:LINE: SQLSTATE message" and its details
    notices: list[str] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def ok(self) -> bool:
        return self.error is None and self.report.ok

    @property
    def todo_passed(self) -> list[str]:
        return [self._describe(a) for a in self.report.assertions if a.todo_passed]

    def headline(self) -> str:
        """Say in one line what is wrong."""
        report = self.report
        said = []
        if failed := len(report.failures):
            said.append(f"{failed} of {len(report.assertions)} assertions failed")
        if report.bail_out is not None:
            said.append(f"Bail out! {report.bail_out}".rstrip())
        said += report.problems
        if self.error is not None:
            said.append(self.error.partition("\n")[0])
        return "; ".join(said)

    def text(self) -> str:
        """Say everything that is wrong, each failing assertion with its place and diagnostics."""
        headline = self.headline()
        lines = [headline]
        for assertion in self.report.failures:
            lines.append(self._describe(assertion))
            lines += [f"    {line}" for line in _details(assertion)]
        if self.error is not None:
            first, _, rest = self.error.partition("\n")
            lines += [first] * (first != headline) + [rest] * bool(rest)
            lines.append(f"    after {_count(self.report)} assertions")
        return "\n".join(lines + self.report.diagnostics + self.notices)

    def _describe(self, assertion: tap.Assertion) -> str:
        said = "ok" if assertion.ok else "not ok"
        directive = f" # {assertion.directive} {assertion.reason}" if assertion.directive else ""
        unplanned = "" if assertion.planned else " (not planned)"
        return (
            f"{self.name}:{assertion.line}: {said} {assertion.number}"
            f" - {assertion.name}{directive}{unplanned}"
        )


def run_file(
    conninfo: str,
    path: Path,
    *,
    schema: str = "tap",
    timeout: float | None = TIMEOUT,
    name: str | None = None,
) -> Result:
    """Run a file on a connection of its own, with pgTAP's schema last on its search path."""
    with contextlib.closing(connect(conninfo)) as connection:
        connection.execute(
            "select set_config('search_path', concat_ws(', ',"
            " nullif(current_setting('search_path'), ''), quote_ident(%s)), false)",
            [schema],
        )
        return run(connection, path, timeout=timeout, name=name)


def connect(conninfo: str, password: str | None = None) -> Connection:
    return psycopg.connect(
        conninfo,
        password=password,
        autocommit=True,
        prepare_threshold=None,
        client_encoding="utf8",
        fallback_application_name="pgtap_runner",
    )


def run(
    connection: Connection,
    path: Path,
    *,
    timeout: float | None = TIMEOUT,
    name: str | None = None,
) -> Result:
    """Run a file's statements as written, in autocommit, and roll back what it leaves open.

    A file without any transaction control runs in one transaction, so that it leaves nothing
    behind either.
    """
    name = name or str(path)
    started = time.monotonic()
    try:
        statements = script.split(script.read(path))
    except script.ScriptError as error:
        return Result(name, tap.Report(), f"{name}:{error.line}: {error.message}")
    except OSError as error:
        return Result(name, tap.Report(), f"{name}: {error.strerror}")
    run_ = _Run(connection, name)
    run_.execute(statements, timeout)
    run_.result.seconds = time.monotonic() - started
    return run_.result


class _Run:
    def __init__(self, connection: Connection, name: str) -> None:
        self._connection = connection
        self._reader = tap.Reader()
        self._line = 1
        self.result = Result(name, self._reader.report)

    def execute(self, statements: list[script.Statement], timeout: float | None) -> None:
        connection, result = self._connection, self.result
        connection.add_notice_handler(self._notice)
        try:
            with _time_limit(connection, timeout) as expired:
                try:
                    if not any(s.controls_transaction for s in statements):
                        connection.execute("begin")
                    for statement in statements:
                        self._statement(statement, expired)
                except psycopg.Error as error:
                    place = f"{result.name}:{self._line}"
                    if expired.is_set():
                        result.error = f"{place}: timed out after {timeout:g} s"
                    else:
                        result.error = f"{place}: {_explain(error)}"
        finally:
            connection.remove_notice_handler(self._notice)
            with contextlib.suppress(psycopg.Error):
                connection.rollback()
        self._reader.finish(complete=result.error is None)

    def _statement(self, statement: script.Statement, expired: threading.Event) -> None:
        self._line = statement.line
        if expired.is_set():
            raise psycopg.errors.QueryCanceled
        if self._reader.report.bail_out is not None:
            return
        try:
            cursor = self._connection.execute(statement.text.encode())
        except psycopg.Error as error:
            if position := error.diag.statement_position:
                self._line += statement.text.count("\n", 0, int(position) - 1)
            raise
        for row in _printed_rows(cursor):
            self._reader.feed(row, statement.line)

    def _notice(self, diagnostic: psycopg.errors.Diagnostic) -> None:
        severity = diagnostic.severity_nonlocalized
        self.result.notices.append(
            f"{self.result.name}:{self._line}: {severity}: {diagnostic.message_primary}"
        )


@contextlib.contextmanager
def _time_limit(connection: Connection, seconds: float | None) -> Iterator[threading.Event]:
    """Cancel what the connection runs after some seconds, and end its session if that won't do.

    statement_timeout would count each statement alone, and a file may set it itself.
    """
    done, expired = threading.Event(), threading.Event()

    def watch() -> None:
        if done.wait(seconds):
            return
        expired.set()
        with contextlib.suppress(psycopg.Error):
            connection.cancel_safe(timeout=_GRACE)
        while not done.wait(_GRACE):
            with contextlib.suppress(psycopg.Error):
                _terminate(connection)

    if not seconds:
        yield expired
        return
    watcher = threading.Thread(target=watch, name="pgtap time limit", daemon=True)
    watcher.start()
    try:
        yield expired
    finally:
        done.set()
        watcher.join()


def _terminate(connection: Connection) -> None:
    """End the server's process: a file can catch query_canceled, but not this."""
    info = connection.info
    with contextlib.closing(connect(info.dsn, password=info.password)) as other:
        other.execute("select pg_terminate_backend(%s)", [info.backend_pid])


def _printed_rows(cursor: psycopg.Cursor[tuple[object, ...]]) -> Iterator[str]:
    """Yield rows as psql prints them unaligned: the server's text, columns joined by a bar."""
    result = cursor.pgresult
    if result is None:
        return
    for row in range(result.ntuples):
        values = (result.get_value(row, column) or b"" for column in range(result.nfields))
        yield b"|".join(values).decode("utf-8", "replace")


def _explain(error: psycopg.Error) -> str:
    diagnostic = error.diag
    if error.sqlstate is None or diagnostic.message_primary is None:
        return str(error).strip()
    lines = [f"{error.sqlstate} {diagnostic.message_primary}"]
    for label, value in (
        ("detail", diagnostic.message_detail),
        ("hint", diagnostic.message_hint),
        ("context", diagnostic.context),
    ):
        if value:
            lines.append(f"    {label}: " + value.replace("\n", "\n        "))
    return "\n".join(lines)


def _details(assertion: tap.Assertion) -> list[str]:
    """Return an assertion's diagnostics without the line that repeats its name."""
    lines = assertion.diagnostics
    if lines and lines[0] == f'# Failed test {assertion.number}: "{assertion.name}"':
        return lines[1:]
    return lines


def _count(report: tap.Report) -> str:
    planned = f" of {report.planned} planned" if report.planned else ""
    return f"{len(report.assertions)}{planned}"
