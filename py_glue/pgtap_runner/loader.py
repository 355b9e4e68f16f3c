"""Find pgTAP in a database, or load it for as long as somebody runs tests there."""

import contextlib
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg

from .session import connect

SCHEMA = "tap"

_SCRIPTS = (
    "/usr/share/postgresql/*/extension",
    "/usr/pgsql-*/share/extension",
    "/usr/share/pgsql/extension",
    "/usr/local/share/postgresql*/extension",
    "/opt/homebrew/share/postgresql*/extension",
)
_VERSION = re.compile(r"pgtap--([0-9]+(?:\.[0-9]+)*)\.sql")
_MARK = "pgTAP, loaded by pgtap_runner; the last run to end drops it"
_MISSING = f"""\
no pgTAP: the server has no extension pgtap and no script of it is installed here.
Install it (Debian: apt-get install postgresql-15-pgtap; else https://pgtap.org), or set PGTAP_SQL
to a pgtap--VERSION.sql, or load it into the database: create extension pgtap schema {SCHEMA}"""

# Loading and dropping exclude each other; running tests only excludes dropping.
_LOADING = "pgtap_runner loading"
_RUNNING = "pgtap_runner running"


class PgtapMissing(Exception):
    """pgTAP is neither in the database nor to be had; the message says what to install."""


@contextlib.contextmanager
def loaded(conninfo: str) -> Iterator[str]:
    """Yield the schema of the database's pgTAP, loaded if need be and dropped by the last user."""
    with contextlib.closing(connect(conninfo)) as connection:
        with connection.transaction():
            _lock(connection)
            found = find(connection)
            schema = found or ensure(connection)
            if found is None:
                connection.execute(f"comment on schema {SCHEMA} is '{_MARK}'")
            _lock(connection, "pg_advisory_lock_shared", _RUNNING)
        try:
            yield schema
        finally:
            with contextlib.suppress(psycopg.OperationalError):
                _release(connection)


def ensure(connection: psycopg.Connection[Any]) -> str:
    """Return the schema that holds pgTAP; load it into schema ``tap`` when there is none."""
    with connection.transaction():
        _lock(connection)
        schema = find(connection)
        if schema is None:
            _load(connection)
            schema = SCHEMA
    return schema


def find(connection: psycopg.Connection[Any]) -> str | None:
    """Return the schema that holds pgTAP, whether as an extension or from a script."""
    row = connection.execute(
        "select n.nspname from pg_catalog.pg_proc as p"
        " join pg_catalog.pg_namespace as n on n.oid = p.pronamespace"
        " where p.proname = 'pgtap_version' and p.pronargs = 0"
        " order by n.nspname <> %s, n.nspname limit 1",
        [SCHEMA],
    ).fetchone()
    return None if row is None else str(row[0])


def _lock(
    connection: psycopg.Connection[Any],
    function: str = "pg_advisory_xact_lock",
    key: str = _LOADING,
) -> bool:
    row = connection.execute(
        f"select pg_catalog.{function}(pg_catalog.hashtextextended(%s, 0))", [key]
    ).fetchone()
    return row is not None and row[0] is True


def _load(connection: psycopg.Connection[Any]) -> None:
    source = None
    if os.environ.get("PGTAP_SQL") or not _is_available(connection):
        source = _script()
    try:
        connection.execute(f"create schema {SCHEMA}")
    except psycopg.errors.DuplicateSchema:
        raise PgtapMissing(
            f"schema {SCHEMA} exists but holds no pgTAP: load it there"
            f" (create extension pgtap schema {SCHEMA}) or drop the schema"
        ) from None
    if source is None:
        connection.execute(f"create extension pgtap schema {SCHEMA}")
    else:
        path = connection.execute("select pg_catalog.current_setting('search_path')").fetchone()
        connection.execute(f"set local search_path = {SCHEMA}")
        connection.execute(source)
        connection.execute("select pg_catalog.set_config('search_path', %s, true)", path)
    # Tests change roles, and default privileges may have taken execute away from public.
    connection.execute(f"grant usage on schema {SCHEMA} to public")
    connection.execute(f"grant execute on all functions in schema {SCHEMA} to public")


def _is_available(connection: psycopg.Connection[Any]) -> bool:
    row = connection.execute(
        "select from pg_catalog.pg_available_extensions where name = 'pgtap'"
    ).fetchone()
    return row is not None


def _script() -> bytes:
    """Return PGTAP_SQL or the newest script installed, without its psql commands."""
    if named := os.environ.get("PGTAP_SQL"):
        path = Path(named)
    else:
        found = [
            (tuple(map(int, match[1].split("."))), path)
            for pattern in _SCRIPTS
            for path in Path("/").glob(pattern.removeprefix("/") + "/pgtap--*.sql")
            if (match := _VERSION.fullmatch(path.name))
        ]
        if not found:
            raise PgtapMissing(_MISSING)
        path = max(found)[1]
    try:
        lines = path.read_bytes().splitlines(keepends=True)
    except OSError as error:
        raise PgtapMissing(f"pgTAP's script {path}: {error.strerror}") from None
    return b"".join(line for line in lines if not line.startswith(b"\\"))


def _release(connection: psycopg.Connection[Any]) -> None:
    """Drop what ``loaded`` loaded, unless another run still uses it."""
    _lock(connection, "pg_advisory_unlock_shared", _RUNNING)
    with connection.transaction():
        _lock(connection)
        row = connection.execute(
            "select from pg_catalog.pg_namespace as n where n.nspname = %s"
            " and pg_catalog.obj_description(n.oid, 'pg_namespace') = %s",
            [SCHEMA, _MARK],
        ).fetchone()
        if row is not None and _lock(connection, "pg_try_advisory_xact_lock", _RUNNING):
            connection.execute("set local client_min_messages = warning")
            connection.execute(f"drop schema {SCHEMA} cascade")
