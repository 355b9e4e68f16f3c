"""Calls stopped inside, at any of their steps, while another runs into them.

``install`` puts gates into a test's database: in the clock, before the first statement of each kind
that writes to a table, and before the commit. A session is told at which of them to wait until the
referee opens. A write stops when its statement has its snapshot and none of its rows: the locks of
everything before it are held, and what the other call commits meanwhile is news to it. The other
call runs to its end or to a row that the first one holds, and reads that row when it has waited.
"""

import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import psycopg
from catalogue import tables
from psycopg import sql
from races import PATIENCE
from rpc import App, Call, Connection, value

GATE = 1
NEVER = 0
# Written by who holds the user's row or the job's: a stop there is one that was.
UNDER_LOCKS = {
    "quota_log", "credit_grants", "credit_draws", "purchase_revocations", "video_jobs_archive",
    "webhook_events",
}  # fmt: skip

INSTALL = (
    f"""
    create function rendio.take_step(p_name text) returns void language plpgsql as $$
    declare
        v_taken text [] := coalesce(nullif(current_setting('steps.taken', true), ''), '{{}}');
    begin
        if p_name = any(v_taken) then
            return;
        end if;
        v_taken := v_taken || p_name;
        perform set_config('steps.taken', v_taken::text, true);
        if cardinality(v_taken)::text = current_setting('steps.stop', true) then
            perform set_config('application_name', p_name, true);
            perform pg_advisory_lock_shared({GATE});
            perform pg_advisory_unlock_shared({GATE});
        end if;
    end;
    $$
    """,
    # The time is read before the stop: it is old when the call goes on.
    """
    create or replace function rendio.clock() returns timestamptz language plpgsql volatile as $$
    declare
        v_later text := nullif(current_setting('steps.later', true), '');
        v_now timestamptz := clock_timestamp() + coalesce(v_later, '0')::interval;
    begin
        perform rendio.take_step('clock');
        return v_now;
    end;
    $$
    """,
    """
    create function rendio.step_before_write() returns trigger language plpgsql as $$
    begin
        perform rendio.take_step(lower(tg_op) || ' ' || tg_table_name);
        return null;
    end;
    $$
    """,
)
TRIGGER = """
create trigger step_before_write before insert or update or delete on {}
for each statement execute function rendio.step_before_write()
"""


def install(app: App) -> None:
    """Let calls of this database be stopped."""
    for statement in INSTALL:
        app.owner.execute(statement)
    for table in tables(app.owner):
        if table.schema == "public" and not (table.is_view or table.name in UNDER_LOCKS):
            app.owner.execute(sql.SQL(TRIGGER).format(table.identifier))


@dataclass(frozen=True)
class Upkeep(Call):
    """One run of a maintenance function, by the migrating role as from cron."""

    def __call__(self, conn: Connection) -> Any:
        return value(conn, self.statement())

    def statement(self) -> sql.Composed:
        return sql.SQL("select rendio.{}()").format(sql.Identifier(self.rpc))


@dataclass(frozen=True)
class Ended:
    """How a call ended: with its result, or with an error's SQLSTATE, slug and facts."""

    result: Any = None
    error: tuple[str | None, str | None, str | None] | None = None


@dataclass(frozen=True)
class Overlap:
    """What two calls came to."""

    first: Ended
    second: Ended
    stopped_at: str | None  # the first call's step; none: it ended before the second began
    second_waited: bool


class Stage:
    """Two sessions, and a referee who holds the gate."""

    def __init__(self, first: Connection, second: Connection, referee: Connection) -> None:
        self._first, self._second, self._referee = first, second, referee
        self._pool = ThreadPoolExecutor(2)

    @classmethod
    @contextmanager
    def at(cls, url: str, later: str) -> Iterator["Stage"]:
        """Open the sessions of a stage whose clock is so much later."""
        with ExitStack() as stack:
            first, second, referee = (
                stack.enter_context(psycopg.connect(url, autocommit=True)) for _ in range(3)
            )
            for session in (first, second):
                session.execute(
                    "select set_config('steps.later', %s, false),"
                    # What no referee ends ends by itself, as a failure.
                    " set_config('statement_timeout', %s, false)",
                    [later, f"{PATIENCE}s"],
                )
            stage = cls(first, second, referee)
            stack.enter_context(stage._pool)
            yield stage

    def alone(self, call: Call) -> Ended:
        """Make a call that meets nobody."""
        return _ended(self._first, call, NEVER)

    def overlap(self, first: Call, second: Call, stop: int) -> Overlap:
        """Stop the first call at a step, let the second run to its end or into a lock, go on."""
        self._referee.execute(f"select pg_advisory_lock({GATE})")
        try:
            one = self._pool.submit(_ended, self._first, first, stop)
            stopped = self._waits(self._first, one)
            stopped_at = self._place() if stopped else None
            other = self._pool.submit(_ended, self._second, second, NEVER)
            waited = self._waits(self._second, other)
        finally:
            self._referee.execute(f"select pg_advisory_unlock({GATE})")
        return Overlap(one.result(), other.result(), stopped_at, waited)

    def _waits(self, session: Connection, running: Future[Any]) -> bool:
        """Return once a session waits for a lock, or has ended without."""
        query = "select exists (select from pg_locks where pid = %s and not granted)"
        deadline = time.monotonic() + PATIENCE
        while not running.done():
            if value(self._referee, query, session.info.backend_pid):
                return True
            time.sleep(0.001)
            assert time.monotonic() < deadline, "a call neither ended nor waited"
        return False

    def _place(self) -> str:
        query = "select application_name from pg_stat_activity where pid = %s"
        return str(value(self._referee, query, self._first.info.backend_pid))


def _ended(session: Connection, call: Call, stop: int) -> Ended:
    """Make a call in a transaction of its own, as the service: the migrating role is one."""
    try:
        with session.transaction():
            session.execute("select set_config('steps.stop', %s, true)", [str(stop)])
            result = value(session, call.statement(), *call.args)
            session.execute("select rendio.take_step('commit')")
            return Ended(result)
    except psycopg.Error as error:
        told = error.diag
        return Ended(error=(error.sqlstate, told.message_primary, told.message_detail))
