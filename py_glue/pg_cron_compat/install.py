"""What a database has for cron jobs, and putting the compat layer where there is nothing."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg

SQL = Path(__file__).parent / "sql"
LOCK = 4917220638  # one install or handover at a time


class CronError(Exception):
    """What stands in the way, and what to do about it."""


@dataclass(frozen=True)
class Found:
    """What a database has under the name ``cron``.

    extension: version of pg_cron created here. usable: a pg_cron that could be created here.
    hidden: the server has pg_cron loaded, and this login may not know for which database.
    compat: our schema is here. owner: of a schema ``cron`` that neither made.
    """

    extension: str | None
    usable: bool
    hidden: bool
    compat: bool
    owner: str | None


def look(conn: psycopg.Connection[Any]) -> Found:
    """Find out, read-only, what is there."""
    row = conn.execute(
        """
        select
            (select extversion from pg_catalog.pg_extension where extname = 'pg_cron'),
            exists (select from pg_catalog.pg_available_extensions where name = 'pg_cron'),
            pg_catalog.to_regprocedure('cron_compat.tick(boolean)') is not null,
            (select nspowner::pg_catalog.regrole::text
             from pg_catalog.pg_namespace where nspname = 'cron')
        """
    ).fetchone()
    assert row
    extension, available, compat, owner = row
    hidden, home = False, None
    try:
        with conn.transaction():
            home = conn.execute(
                "select pg_catalog.current_setting('cron.database_name', true)"
            ).fetchone()
    except psycopg.errors.InsufficientPrivilege:
        hidden = True
    usable = available and home == (conn.info.dbname,)
    owner = None if extension or compat else owner
    return Found(extension, usable, hidden and available, compat, owner)


def install(conn: psycopg.Connection[Any]) -> None:
    """Make the schemas ``cron`` and ``cron_compat``, or bring their functions up to date."""
    with conn.transaction():
        conn.execute("select pg_catalog.pg_advisory_xact_lock(%s)", [LOCK])
        found = look(conn)
        if found.extension:
            raise CronError(f"pg_cron {found.extension} is here and runs the jobs itself")
        if found.usable:
            remedy = "pg-cron-compat handover" if found.compat else "create extension pg_cron;"
            raise CronError(f"pg_cron is usable in this database: {remedy}")
        if found.hidden:
            raise CronError(
                "this server has pg_cron loaded, and this login may not know for which database: "
                "install as a superuser or a member of pg_read_all_settings"
            )
        if found.owner:
            raise CronError(
                f"there is a schema cron, owner {found.owner}, that pg-cron-compat did not make: "
                "rename or drop it"
            )
        conn.execute("set local client_min_messages = warning")
        for file in sorted(SQL.glob("*.sql")):
            conn.execute(file.read_bytes())


def install_schedules(conn: psycopg.Connection[Any]) -> None:
    """Make only the functions that tell when a schedule is due, in the schema ``cron_compat``."""
    with conn.transaction():
        conn.execute("select pg_catalog.pg_advisory_xact_lock(%s)", [LOCK])
        conn.execute("set local client_min_messages = warning")
        conn.execute((SQL / "1_schedule.sql").read_bytes())
