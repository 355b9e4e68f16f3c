"""Stepping aside for the real pg_cron: its extension takes our jobs, history and grants."""

import time
from typing import Any

import psycopg
from psycopg import sql

from .install import LOCK, CronError, look

# pg_cron looks at each minute once, when it begins. Between these seconds the compat layer has
# already seen this minute, and pg_cron will first see the jobs in the next one.
SAFE_SECONDS = (5, 45)

TABLES = ("job", "job_run_details")
SEQUENCES = ("jobid_seq", "runid_seq")


def hand_over(conn: psycopg.Connection[Any], timeout: float) -> list[str]:
    """Replace the compat layer by the extension in one transaction.

    Waits until running jobs have ended, at most ``timeout`` seconds. Returns what a person should
    know: the jobs that came due while nobody ran them.
    """
    found = look(conn)
    if found.extension:
        raise CronError(f"pg_cron {found.extension} is here already")
    if not found.compat:
        raise CronError("no compat layer in this database: nothing to hand over")
    if not found.usable:
        raise CronError(
            "pg_cron is not usable in this database: install it, then set shared_preload_libraries "
            f"= 'pg_cron' and cron.database_name = '{conn.info.dbname}' and restart the server"
        )
    with conn.transaction(force_rollback=True):
        _replace(conn)  # a rehearsal: what would fail does so before anything stops
    deadline = time.monotonic() + timeout
    _wait(conn, "extract(second from clock_timestamp()) between %s and %s", SAFE_SECONDS, deadline)
    conn.execute("update cron_compat.settings set handing_over = true")
    try:
        _wait(conn, "pg_try_advisory_lock(cron_compat.lock_key('leader'))", (), deadline)
        _wait(
            conn,
            "extract(second from clock_timestamp()) between %s and %s",
            SAFE_SECONDS,
            deadline + 60,
        )
        with conn.transaction():
            return _replace(conn)
    except BaseException:
        if look(conn).compat:
            conn.execute("update cron_compat.settings set handing_over = false")
            conn.execute("select pg_advisory_unlock(cron_compat.lock_key('leader'))")
        raise


def _wait(
    conn: psycopg.Connection[Any], condition: str, arguments: tuple[int, ...], deadline: float
) -> None:
    while not _all(conn, f"select 1 where {condition}", arguments):
        if time.monotonic() > deadline:
            raise CronError(
                "jobs are still running: wait for them or unschedule them, then hand over again"
            )
        time.sleep(0.2)


def _replace(conn: psycopg.Connection[Any]) -> list[str]:
    conn.execute("select pg_catalog.pg_advisory_xact_lock(%s)", [LOCK])
    conn.execute("set local client_min_messages = warning")
    conn.execute("lock table cron.job, cron.job_run_details in access exclusive mode")
    missed = _missed(conn)
    grants = _grants(conn)
    for table in TABLES:
        conn.execute(
            sql.SQL("create temporary table {} on commit drop as select * from {}").format(
                sql.Identifier(f"kept_{table}"), sql.Identifier("cron", table)
            )
        )
    numbers = [
        conn.execute(
            sql.SQL("select last_value, is_called from {}").format(sql.Identifier("cron", name))
        ).fetchone()
        for name in SEQUENCES
    ]
    _drop(conn)
    conn.execute("create extension pg_cron")
    _check_schedules(conn)
    for table in TABLES:
        conn.execute(_copy(conn, table))
    for name, number in zip(SEQUENCES, numbers, strict=True):
        conn.execute("select setval(%s, %s, %s)", [f"cron.{name}", *(number or ())])
    for grant in grants:
        conn.execute(grant.encode())
    return missed


def _missed(conn: psycopg.Connection[Any]) -> list[str]:
    rows = _all(
        conn,
        "select coalesce(j.jobname, j.jobid::text), t.next_due::text from cron_compat.task t"
        " join cron.job j using (jobid)"
        " where j.active and (t.next_due <= cron_compat.clock() or t.queued_at is not null)"
        " and (cron_compat.parse(j.schedule)).seconds is null order by j.jobid",
    )
    return [f"job {name} was due while handing over and did not run" for name, _ in rows]


def _grants(conn: psycopg.Connection[Any]) -> list[str]:
    """What an administrator granted, as statements; pg_cron makes its own grants itself."""
    rows = _all(
        conn,
        """
        with granted as (
            select 'usage on schema cron' as what, nspowner as owner, nspacl as acl
            from pg_catalog.pg_namespace where nspname = 'cron'
            union all
            select 'execute on function ' || oid::regprocedure, proowner, proacl
            from pg_catalog.pg_proc
            where oid in (
                'cron.alter_job(bigint, text, text, text, text, boolean)'::regprocedure,
                'cron.schedule_in_database(text, text, text, text, text, boolean)'::regprocedure
            )
        )
        select format('grant %s to %s', what,
            case acl.grantee when 0 then 'public' else acl.grantee::regrole::text end)
        from granted, aclexplode(granted.acl) as acl
        where acl.privilege_type in ('USAGE', 'EXECUTE') and acl.grantee <> owner
        """,
    )
    return [statement for (statement,) in rows]


def _drop(conn: psycopg.Connection[Any]) -> None:
    """Drop what is ours; where something else depends on it, the server says what."""
    conn.execute("drop schema cron_compat cascade")
    functions = _all(
        conn,
        "select oid::regprocedure::text from pg_proc where pronamespace = 'cron'::regnamespace",
    )
    for (function,) in functions:
        conn.execute(f"drop function {function}".encode())
    conn.execute("drop table cron.job, cron.job_run_details")
    conn.execute("drop schema cron")


def _check_schedules(conn: psycopg.Connection[Any]) -> None:
    """An older pg_cron takes fewer schedules; it would only log the others, never run them."""
    refused = []
    for (schedule,) in _all(conn, "select distinct schedule from kept_job"):
        try:
            with conn.transaction(force_rollback=True):
                conn.execute("select cron.schedule(%s, 'select')", [schedule])
        except psycopg.errors.InvalidParameterValue:
            refused.append(repr(schedule))
    if refused:
        raise CronError(f"this pg_cron does not take the schedule {', '.join(sorted(refused))}")


def _copy(conn: psycopg.Connection[Any], table: str) -> sql.Composed:
    rows = _all(
        conn,
        "select attname from pg_attribute where attrelid = %s::regclass and attnum > 0",
        (f"cron.{table}",),
    )
    columns = sql.SQL(", ").join(sql.Identifier(name) for (name,) in rows)
    return sql.SQL("insert into {} ({}) select {} from {}").format(
        sql.Identifier("cron", table), columns, columns, sql.Identifier(f"kept_{table}")
    )


def _all(
    conn: psycopg.Connection[Any], query: str, arguments: tuple[Any, ...] = ()
) -> list[tuple[Any, ...]]:
    return conn.execute(query.encode(), arguments or None).fetchall()
