"""Run one pgTAP file on a connection and tell what it said."""

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
from psycopg.pq import TransactionStatus

from . import script, tap
from .lasting import Lasting
from .limit import time_limit
from .session import Connection, connect

TIMEOUT = 300.0

# pgTAP is there, though not always as an extension.
_ASKS_FOR_PGTAP = ("create", "extension", "if", "not", "exists", "pgtap")

Progress = Callable[[tap.Report], None]


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
        return [self.describe(a) for a in self.report.assertions if a.todo_passed]

    def describe(self, assertion: tap.Assertion) -> str:
        """Name an assertion's place and say what it said."""
        return f"{self.name}:{assertion.line}: {assertion}"

    def tell(self, assertion: tap.Assertion) -> str:
        """Say of a failing assertion where it is, what it had and what it wanted."""
        return "\n    ".join([self.describe(assertion), *assertion.details()])

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

    def ending(self) -> list[str]:
        """Say what is wrong with the file rather than with an assertion."""
        lines = []
        if self.error is not None:
            planned = f" of {self.report.planned} planned" if self.report.planned else ""
            lines = [self.error, f"    after {len(self.report.assertions)}{planned} assertions"]
        return lines + self.report.diagnostics + self.notices

    def text(self) -> str:
        """Say everything that is wrong."""
        return "\n".join([self.headline(), *map(self.tell, self.report.failures), *self.ending()])


def run_file(
    conninfo: str,
    path: Path,
    *,
    schema: str = "tap",
    timeout: float | None = TIMEOUT,
    name: str | None = None,
    progress: Progress | None = None,
) -> Result:
    """Run a file on a connection of its own, with pgTAP's schema last on its search path."""
    with contextlib.closing(connect(conninfo, schema=schema)) as connection:
        return run(connection, path, timeout=timeout, name=name, progress=progress)


def run(
    connection: Connection,
    path: Path,
    *,
    timeout: float | None = TIMEOUT,
    name: str | None = None,
    progress: Progress | None = None,
) -> Result:
    """Run a file's statements as written, in autocommit, and roll back what it leaves open.

    A file without any transaction control runs in one transaction, so that it leaves nothing
    behind either. ``progress`` is called with the report so far after each statement.
    """
    name = name or str(path)
    try:
        statements = script.split(script.read(path))
    except script.ScriptError as error:
        return Result(name, tap.Report(), f"{name}:{error.line}: {error.message}")
    except OSError as error:
        return Result(name, tap.Report(), f"{name}: {error.strerror}")
    return run_statements(connection, name, statements, timeout=timeout, progress=progress)


def run_statements(
    connection: Connection,
    name: str,
    statements: list[script.Statement],
    *,
    timeout: float | None = TIMEOUT,
    progress: Progress | None = None,
) -> Result:
    """Run what a file, or a call of ``runtests()``, consists of; see ``run``."""
    run_ = _Run(connection, name, progress)
    started = time.monotonic()
    run_.execute(statements, timeout)
    run_.result.seconds = time.monotonic() - started
    return run_.result


class _Run:
    def __init__(self, connection: Connection, name: str, progress: Progress | None) -> None:
        self._connection = connection
        self._reader = tap.Reader()
        self._lasting = Lasting()
        self._progress = progress
        self._line = 1
        self.result = Result(name, self._reader.report)

    def execute(self, statements: list[script.Statement], timeout: float | None) -> None:
        connection = self._connection
        connection.add_notice_handler(self._notice)
        try:
            with time_limit(connection, timeout) as expired:
                try:
                    if not any(s.controls_transaction for s in statements):
                        connection.execute("begin")
                    for statement in statements:
                        self._statement(statement, expired)
                except psycopg.Error as error:
                    said = f"timed out after {timeout:g} s" if expired.is_set() else _explain(error)
                    self.result.error = f"{self.result.name}:{self._line}: {said}"
        finally:
            connection.remove_notice_handler(self._notice)
            with contextlib.suppress(psycopg.Error):
                connection.rollback()
        self._reader.finish(complete=self.result.error is None)

    def _statement(self, statement: script.Statement, expired: threading.Event) -> None:
        self._line = statement.line
        if expired.is_set():
            raise psycopg.errors.QueryCanceled
        if self._reader.report.bail_out is not None or statement.words[:6] == _ASKS_FOR_PGTAP:
            return
        if statement.prints is not None:
            self._reader.feed(statement.prints, statement.line)
            return
        before = self._connection.info.transaction_status
        try:
            cursor = self._connection.execute(statement.text.encode())
        except psycopg.Error as error:
            if position := error.diag.statement_position:
                self._line += statement.text.count("\n", 0, int(position) - 1)
            raise
        self._reader.feed("\n".join(_printed_rows(cursor)), statement.line)
        self._check_for_commit(statement, before, cursor.statusmessage or "")
        if self._progress is not None:
            self._progress(self._reader.report)

    def _check_for_commit(
        self, statement: script.Statement, before: TransactionStatus, tag: str
    ) -> None:
        """Hold it against the file when the next one will find what this one did."""
        outside, lasting = before == TransactionStatus.IDLE, self._lasting(statement)
        if lasting if outside else tag in ("COMMIT", "PREPARE TRANSACTION"):
            self._reader.report.problems.append(
                f"{self.result.name}:{statement.line}: {tag.lower()} stays in the database:"
                " a test ends with rollback"
            )

    def _notice(self, diagnostic: psycopg.errors.Diagnostic) -> None:
        severity = diagnostic.severity_nonlocalized
        self.result.notices.append(
            f"{self.result.name}:{self._line}: {severity}: {diagnostic.message_primary}"
        )


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
