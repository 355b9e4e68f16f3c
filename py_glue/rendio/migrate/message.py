"""How failures read: file and line, what the server says, who is in the way, what to do."""

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg

from rendio.migrate.errors import MigrateError
from rendio.migrate.files import File
from rendio.migrate.session import Conn
from rendio.migrate.sqltext import Lock, Statement


@contextmanager
def explained() -> Iterator[None]:
    """Turn what the server says outside of any step into an error for a person."""
    try:
        yield
    except psycopg.OperationalError as error:
        line = " ".join(str(error).split())
        raise MigrateError(
            f"The connection failed: {line}\nRun `rendio apply` again; it goes on where it stopped."
        ) from error
    except psycopg.Error as error:
        raise MigrateError(f"The server refused: {_text(error)}") from error


def describe(at: tuple[File, Statement] | None, path: str, error: psycopg.Error) -> str:
    """Name the file and the line that the server complains about."""
    if at is None:
        return f"{path}: {_text(error)}"
    file, statement = at
    return f"{file.path}:{line_of(file, statement, error)}: {_text(error)}"


def _text(error: psycopg.Error) -> str:
    diagnostic = error.diag
    if diagnostic.message_primary is None:
        return " ".join(str(error).split())
    lines = [f"{diagnostic.message_primary} ({diagnostic.sqlstate})"]
    for label, value in (
        ("detail", diagnostic.message_detail),
        ("hint", diagnostic.message_hint),
        ("in", diagnostic.context),
    ):
        if value:
            lines.append(f"  {label}: {value}")
    return "\n".join(lines)


def line_of(file: File, statement: Statement, error: psycopg.Error) -> int:
    """The line in the file: of the statement's position, or inside of a quoted body."""
    diagnostic = error.diag
    position, inner = diagnostic.statement_position, diagnostic.internal_query
    body = inner if inner and inner in statement.text else ""
    if body and diagnostic.internal_position:
        offset = statement.text.index(body) + int(diagnostic.internal_position) - 1
        return statement.line + statement.text.count("\n", 0, offset)
    if position and not _of_another_query(error):
        return statement.line + statement.text.count("\n", 0, int(position) - 1)
    return statement.line


def _of_another_query(error: psycopg.Error) -> bool:
    """A validator's position counts in the call of the validator, not in the file."""
    return error.diag.internal_query is not None


def blockers(holder: Conn, work: Conn, locks: list[Lock]) -> str:
    """Who holds the tables that a step could not lock."""
    rows = holder.execute(
        """
        select distinct
            a.pid, coalesce(nullif(a.application_name, ''), 'unnamed'), a.state, a.xact_start
        from pg_catalog.pg_locks as l
        inner join pg_catalog.pg_stat_activity as a on a.pid = l.pid
        where
            l.granted and l.locktype = 'relation' and l.pid not in (%s, pg_catalog.pg_backend_pid())
            and l.relation = any(
                select pg_catalog.to_regclass(n.name) from unnest(%s::text[]) as n (name)
            )
        order by a.xact_start
        limit 5
        """,
        [work.info.backend_pid, [str(lock.table) for lock in locks]],
    ).fetchall()
    return "".join(
        f"\n  in the way: pid {pid}, {name}, {state}"
        + (f", since {since:%Y-%m-%d %H:%M:%S} UTC" if since else "")
        for pid, name, state, since in rows
    )


def no_place_for(file: File) -> str:
    """Why a file is only recorded."""
    return f"this database has no {file.where}"


def skipped(file: File, reason: str | None) -> str:
    """The lines for somebody who has the right, and how to tell the ledger."""
    statements = "\n".join(f"{statement.text};" for statement in file.statements)
    return (
        f"{file.path} was skipped: {reason}. As a role that may, run:\n{statements}\n"
        f"update rendio.migrations set state = 'applied' where path = '{file.path}';"
    )
