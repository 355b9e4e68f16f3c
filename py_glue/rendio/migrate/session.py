"""The two connections of an apply: one works, one holds the lock; and how a step is retried."""

import random
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, TypeVar

import psycopg
from psycopg import Connection
from psycopg.errors import InsufficientPrivilege

from rendio.migrate.errors import LockNotObtained, MigrateError, NotOurs
from rendio.migrate.ledger import OWNER

Conn = Connection[Any]
T = TypeVar("T")

# The advisory lock, as two int4 keys ('rend', 'io' in ASCII); the second connection holds it in an
# open transaction. The working backend holds FENCE for its session: if the client dies in the
# middle of a statement, the server finishes that statement first, and the next apply waits for it.
LOCK = (1919250020, 26991)
FENCE = (1919250020, 26992)

# What a login, a role or a database may have set must not change what a file does or how the
# catalogue is printed.
SETTINGS = {
    "search_path": "",
    "client_min_messages": "notice",
    "statement_timeout": "0",
    "idle_in_transaction_session_timeout": "0",
    "default_transaction_read_only": "off",
    "default_tablespace": "",
    "default_table_access_method": "heap",
    "standard_conforming_strings": "on",
    "check_function_bodies": "on",
    "row_security": "on",
    "quote_all_identifiers": "off",
    "timezone": "UTC",
    "datestyle": "ISO, MDY",
    "intervalstyle": "postgres",
    "bytea_output": "hex",
    "extra_float_digits": "1",
    "xmloption": "content",
}
_SNAPSHOT_SETTINGS = {k: v for k, v in SETTINGS.items() if k != "default_transaction_read_only"}
_BEST_EFFORT = {
    "transaction_timeout": "0",  # from 17
    "client_connection_check_interval": "1s",  # Linux servers: a dead client's statement ends soon
}

_RETRYABLE = ("40001", "40P01", "55P03")
_ATTEMPTS = 8


def connect(url: str, name: str) -> Conn:
    """Connect. Nothing is set yet: behind a pooler it would stick to other people's sessions."""
    try:
        return psycopg.connect(
            url,
            autocommit=True,
            application_name=name,
            prepare_threshold=None,
            connect_timeout=15,
            keepalives_idle=30,  # the connection that holds the lock is silent during long steps
        )
    except psycopg.ProgrammingError:
        raise MigrateError(_BAD_URL) from None
    except psycopg.OperationalError as error:
        raise MigrateError(_connect_error(url, error)) from None


def settle(conn: Conn) -> None:
    """Give a session of our own the settings that every file may rely on."""
    _set(conn, SETTINGS, local=False)
    for setting, value in _BEST_EFFORT.items():
        with suppress(psycopg.Error):
            _set(conn, {setting: value}, local=False)


def _set(conn: Conn, settings: dict[str, str], *, local: bool) -> None:
    calls = ", ".join(["pg_catalog.set_config(%s, %s, %s)"] * len(settings))
    values: list[Any] = []
    for setting, value in settings.items():
        values += [setting, value, local]
    conn.execute(f"select {calls}", values)


_BAD_URL = (
    "The connection URL cannot be read. It looks like postgresql://user:password@host:5432/dbname;"
    " in a password write / as %2F, @ as %40, : as %3A, # as %23, ? as %3F, % as %25."
)


def _connect_error(url: str, error: psycopg.Error) -> str:
    """One line without the password, not even a part that libpq took for a host or port."""
    userinfo = re.match(r"\w+://([^\s]*)@", url)
    password = userinfo[1].partition(":")[2] if userinfo else ""
    if re.search(r"[/@:#?]", password):
        return f"Cannot connect. {_BAD_URL}"
    line = " ".join(str(error).split())
    if password:
        line = line.replace(password, "***")
    return f"Cannot connect: {line}"


@contextmanager
def transaction(conn: Conn, mode: str = "read write", role: str | None = None) -> Iterator[None]:
    """One transaction, read committed; ``role`` is set for its length."""
    conn.execute(f"begin isolation level read committed {mode}")
    try:
        if role:
            conn.execute(f"set local role {role}")
        yield
        conn.execute("commit")
    except BaseException:
        with suppress(psycopg.Error):
            conn.execute("rollback")
        raise


@contextmanager
def snapshot(conn: Conn) -> Iterator[None]:
    """A read-only transaction in which all statements see the same state."""
    conn.execute("begin isolation level repeatable read read only")
    try:
        _set(conn, _SNAPSHOT_SETTINGS, local=True)
        yield
    finally:
        with suppress(psycopg.Error):
            conn.execute("rollback")


def one(conn: Conn, query: str, params: list[Any] | None = None) -> Any:
    """The single value of a query."""
    row = conn.execute(query, params).fetchone()
    return row[0] if row else None


def require_direct(work: Conn, other: Conn) -> None:
    """Refuse a transaction pooler: it hands one backend to several clients.

    While ``other`` keeps a backend in an open transaction, ``work`` must be on its own backend
    before, meanwhile and after. A pooler that only pools sessions passes.
    """
    query = "select pg_catalog.pg_backend_pid()"
    first = one(work, query)
    for _ in range(3):
        other.execute("begin")
        shared = one(other, query) == first  # asked first: a pool of one would now keep us waiting
        moved = not shared and one(work, query) != first
        other.execute("rollback")
        if shared or moved or one(work, query) != first:
            raise NotOurs(
                "This URL goes through a transaction pooler: two sessions were given the same"
                " server process.\nApply needs a session of its own; use the direct URL of the"
                " server (Supabase: the direct connection, port 5432 of db.<project>.supabase.co)."
            )


@contextmanager
def lock(work: Conn, holder: Conn, wait: float, echo: Callable[[str], None]) -> Iterator[None]:
    """Hold the lock of this database; wait for it in short transactions.

    A session that waits inside one long statement would keep a snapshot, and the create index
    concurrently of the apply that it waits for would wait for it.
    """
    deadline = time.monotonic() + wait
    told = False
    while not _try(work, holder):
        who = _holders(work)
        if time.monotonic() >= deadline:
            raise LockNotObtained(
                f"Another apply holds the lock of this database: {who}.\n"
                f"Waited {wait:g} s. Wait for it to end, or pass --lock-wait SECONDS."
            )
        if not told:
            echo(f"waiting up to {wait:g} s for another apply: {who}")
            told = True
        time.sleep(0.2)
    try:
        yield
    finally:
        with suppress(psycopg.Error):
            holder.execute("rollback")
            work.execute("select pg_catalog.pg_advisory_unlock(%s::int4, %s::int4)", list(FENCE))


def _try(work: Conn, holder: Conn) -> bool:
    lock = "select pg_catalog.pg_try_advisory_xact_lock(%s::int4, %s::int4)"
    fence = "select pg_catalog.pg_try_advisory_lock(%s::int4, %s::int4)"
    holder.execute("begin")
    if one(holder, lock, list(LOCK)) and one(work, fence, list(FENCE)):
        return True
    holder.execute("rollback")
    return False


def _holders(conn: Conn) -> str:
    rows = conn.execute(
        """
        select distinct l.pid, coalesce(a.application_name, 'a session that you may not see'),
            coalesce(a.xact_start, a.backend_start)
        from pg_catalog.pg_locks as l
        left join pg_catalog.pg_stat_activity as a on a.pid = l.pid
        where
            l.locktype = 'advisory' and l.classid = %s and l.objid in (%s, %s) and l.granted
            and l.database = (
                select d.oid from pg_catalog.pg_database as d
                where d.datname = pg_catalog.current_database()
            )
        """,
        [LOCK[0], LOCK[1], FENCE[1]],
    ).fetchall()
    if not rows:
        return "one that ended just now"
    return "; ".join(
        f"{name}, pid {pid}" + (f", since {since:%Y-%m-%d %H:%M:%S} UTC" if since else "")
        for pid, name, since in rows
    )


def still_locked(holder: Conn) -> None:
    """Stop before a step when the connection that holds the lock is gone."""
    try:
        holder.execute("select 1")
    except psycopg.Error:
        raise MigrateError(
            "The connection that holds the lock was closed. Nothing of the next step was done;"
            " run `rendio apply` again."
        ) from None


def retried(step: Callable[[], T], retryable: Callable[[psycopg.Error], bool]) -> T:
    """Run a step again, with growing pauses, while it fails for reasons that pass."""
    for attempt in range(_ATTEMPTS):
        try:
            return step()
        except psycopg.Error as error:
            if attempt == _ATTEMPTS - 1 or not retryable(error):
                raise
            time.sleep(min(2.0, 0.05 * 2**attempt) * random.uniform(0.5, 1.5))
    raise AssertionError("unreachable")


def passes(error: psycopg.Error) -> bool:
    """Whether an error goes away by itself: lock timeouts, deadlocks, cluster-wide races.

    Roles are cluster-wide and our lock is not: two databases applied at once meet in pg_authid.
    """
    code = error.sqlstate or ""
    if code in _RETRYABLE:
        return True
    message = error.diag.message_primary or ""
    if code == "XX000":
        return message.startswith("tuple concurrently ")
    return code == "23505" and (error.diag.table_name or "").startswith(("pg_auth", "pg_db_role"))


def may_use_owner(conn: Conn) -> bool:
    """Whether this login can become the owner of our objects."""
    try:
        with conn.transaction():
            conn.execute(f"set local role {OWNER}")
            conn.execute("reset role")
        return True
    except InsufficientPrivilege:
        return False
