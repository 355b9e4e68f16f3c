"""The runner: leads when nobody else does, starts what the database says is due, tells it the end.

Everything the database is told goes through the connection that holds the leader's lock, so a
runner that has lost it can write nothing more.
"""

import asyncio
import logging
import signal
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import psycopg
from psycopg import AsyncConnection
from psycopg.conninfo import conninfo_to_dict, make_conninfo

log = logging.getLogger("pg_cron_compat")

RETRY_SECONDS = 1.0  # between two tries to connect or to lead
START_SECONDS = 10  # for connecting, and for waiting until a former instance has ended
PURGE_SECONDS = 60.0

# The lock must not outlive a leader by much: neither one whose host vanished nor one that froze.
LEADER = (
    "-c tcp_keepalives_idle=5 -c tcp_keepalives_interval=2 -c tcp_keepalives_count=3"
    " -c idle_session_timeout=30s -c statement_timeout=30s"
)
# What a dead runner left running ends too, so a job never has two instances.
JOB = "-c client_connection_check_interval=1s"

LEAD = """
    select
        pg_catalog.to_regprocedure('cron_compat.tick(boolean)') is not null,
        case
            when pg_catalog.pg_is_in_recovery() then false
            when pg_catalog.to_regprocedure('cron_compat.tick(boolean)') is null then false
            else pg_catalog.pg_try_advisory_lock(
                pg_catalog.hashtextextended('pg_cron_compat leader', 0))
        end,
        pg_catalog.pg_backend_pid()
"""

# Of statements after the layer was dropped; the next look at it says so.
GONE = (
    psycopg.errors.InvalidSchemaName,
    psycopg.errors.UndefinedFunction,
    psycopg.errors.UndefinedTable,
)


POOLER = "this is a connection pooler: give the server's own URL"


class CannotRun(Exception):
    """What a runner cannot serve, and what to do about it."""


class Runner:
    """Runs the jobs of one database until it is told to stop.

    set_role: where a job's user cannot log in from here, connect as the URL's user and set the
    role. exit_when_down: end when the server does, instead of waiting for it.
    """

    def __init__(self, url: str, *, set_role: bool = False, exit_when_down: bool = False) -> None:
        self.url = url
        self.set_role = set_role
        self.exit_when_down = exit_when_down
        self._stopping = asyncio.Event()
        self._changed = asyncio.Event()  # a run ended, or it is time to stop
        self._runs: dict[int, asyncio.Task[None]] = {}
        self._served = False  # the compat layer was found here once

    async def run(self) -> None:
        """Lead whenever possible, until SIGTERM or SIGINT; the second one ends running jobs."""
        loop = asyncio.get_running_loop()
        for name in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(name, self.stop)
        trouble = ""  # told once, however often it is met
        while not self._stopping.is_set():
            try:
                async with await self._connect(self.url, LEADER) as control:
                    await self._serve(control)
                    return
            except psycopg.OperationalError as error:
                if "unsupported startup parameter" in str(error):
                    raise CannotRun(POOLER) from error
                if str(error) != trouble:
                    trouble = str(error)
                    log.warning("%s", trouble.strip())
                if self.exit_when_down:
                    return
            await self._pause(RETRY_SECONDS)

    def stop(self) -> None:
        """Start nothing more; told twice, end what runs."""
        if self._stopping.is_set():
            for task in self._runs.values():
                task.cancel()
        self._stopping.set()
        self._changed.set()

    async def _serve(self, control: AsyncConnection[Any]) -> None:
        try:
            while not self._stopping.is_set():
                if await self._lead(control):
                    with suppress(*GONE):
                        await control.execute("select cron_compat.take_over()")
                        log.info("leading")
                        await self._work(control)
                await self._pause(RETRY_SECONDS)
        finally:
            # Only when the control connection is lost is there anything left: others may lead now.
            left = list(self._runs.values())
            for task in left:
                task.cancel()
            await asyncio.gather(*left, return_exceptions=True)

    async def _lead(self, control: AsyncConnection[Any]) -> bool:
        installed, leads, pid = await _row(control, LEAD)
        if pid != control.info.backend_pid:
            raise CannotRun(POOLER)
        if not installed and not self._served:
            raise CannotRun("no cron_compat in this database: run  pg-cron-compat install")
        if not installed:
            log.warning("cron_compat is gone from this database")
            self.stop()
        self._served = True
        return bool(leads)

    async def _work(self, control: AsyncConnection[Any]) -> None:
        loop = asyncio.get_running_loop()
        purge_at = loop.time()
        while self._runs or not self._stopping.is_set():
            start = not self._stopping.is_set()
            (todo,) = await _row(control, "select cron_compat.tick(%s)", [start])
            if todo["handing_over"] and start:
                log.warning("handing over to pg_cron")
                self.stop()
            for run in todo["start"]:
                self._start(control, run)
            for run_id in todo["cancel"]:
                if run_id in self._runs:
                    self._runs[run_id].cancel()
            if loop.time() >= purge_at:
                await control.execute("select cron_compat.purge_history()")
                purge_at = loop.time() + PURGE_SECONDS
            await self._pause(todo["wait"])

    async def _pause(self, seconds: float) -> None:
        with suppress(TimeoutError):
            await asyncio.wait_for(self._changed.wait(), seconds)
        self._changed.clear()

    # -- one run

    def _start(self, control: AsyncConnection[Any], run: dict[str, Any]) -> None:
        task = asyncio.create_task(self._run_and_record(control, run))
        self._runs[run["runid"]] = task

        def forget(_: asyncio.Task[None]) -> None:
            self._runs.pop(run["runid"], None)
            self._changed.set()

        task.add_done_callback(forget)

    async def _run_and_record(self, control: AsyncConnection[Any], run: dict[str, Any]) -> None:
        try:
            ended = True, await self._execute(control, run)
        except asyncio.CancelledError:
            ended = False, "job canceled"
        except psycopg.Error as error:
            ended = False, _message(error)
        except OSError as error:
            ended = False, f"connection failed: {error}"
        log.info("run %d of job %d: %s", run["runid"], run["jobid"], ended[1])
        # With the control connection the lead is lost: whoever takes over says how this run ended.
        with suppress(psycopg.OperationalError):
            await control.execute(
                "select cron_compat.run_ended(%s, %s, %s)", [run["runid"], *ended]
            )

    async def _execute(self, control: AsyncConnection[Any], run: dict[str, Any]) -> str:
        async with await self._connect_as_user(run) as conn:
            await conn.execute(f"set lock_timeout = '{START_SECONDS}s'")
            await conn.execute("select pg_catalog.pg_advisory_lock(%s)", [run["lock_key"]])
            await conn.execute("reset lock_timeout")
            await control.execute(
                "select cron_compat.run_started(%s, %s)", [run["runid"], conn.info.backend_pid]
            )
            # Without parameters: one simple query, so several statements are one transaction and a
            # procedure that commits may be the only one.
            cursor = await conn.execute(run["command"].encode())
            while cursor.nextset():
                pass
            return cursor.statusmessage or ""

    async def _connect_as_user(self, run: dict[str, Any]) -> AsyncConnection[Any]:
        login = conninfo_to_dict(self.url).get("user")
        own = make_conninfo(self.url, dbname=run["database"])
        if run["username"] == login:
            return await self._connect(own, JOB)
        # The password in the URL is for the runner's login; others have theirs in a password file.
        parts = conninfo_to_dict(own) | {"user": run["username"]}
        parts.pop("password", None)
        try:
            return await self._connect(make_conninfo("", **parts), JOB)
        except psycopg.OperationalError:
            if not self.set_role:
                raise
        conn = await self._connect(own, JOB)
        try:
            await conn.execute("select pg_catalog.set_config('role', %s, false)", [run["username"]])
        except BaseException:
            await conn.close()
            raise
        log.info("job %d: role set to %s", run["jobid"], run["username"])
        return conn

    async def _connect(self, url: str, options: str) -> AsyncConnection[Any]:
        given = conninfo_to_dict(url)
        return await AsyncConnection.connect(
            make_conninfo(
                url,
                options=f"{given.get('options') or ''} {options}".strip(),
                connect_timeout=given.get("connect_timeout") or START_SECONDS,
                application_name="pg_cron_compat" if options is LEADER else "pg_cron",
            ),
            autocommit=True,
            prepare_threshold=None,
        )


async def _row(conn: AsyncConnection[Any], query: str, arguments: Sequence[Any] = ()) -> Any:
    return await (await conn.execute(query.encode(), arguments)).fetchone()


def _message(error: psycopg.Error) -> str:
    """Word an error as pg_cron does."""
    told = error.diag
    if told.message_primary is None:
        return f"connection failed: {error}".strip()
    parts = (
        (told.severity, told.message_primary),
        ("\nDETAIL", told.message_detail),
        ("\nHINT", told.message_hint),
        ("\nCONTEXT", told.context),
    )
    return "".join(f"{name}: {text}" for name, text in parts if text)
