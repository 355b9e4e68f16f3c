"""Cron files: scheduled where something in this database runs them, otherwise only recorded."""

import hashlib
from dataclasses import dataclass, field
from typing import Any

import psycopg

from rendio.migrate.files import CronJob, File, cron_job
from rendio.migrate.ledger import Row
from rendio.migrate.session import Conn, one

_PURGES_HISTORY = "select rendio.purge_cron_history()"
# The history is in pg_cron's database, where that function is not. As in the function, pg_cron's
# row security leaves each role its own runs.
_PURGE_THERE = "delete from cron.job_run_details where end_time < now() - interval '7 days'"
_NAME_BYTES = 63  # of a job, which pg_cron keeps as type name


@dataclass(frozen=True)
class ScheduledJob:
    """A row of ``cron.job``."""

    schedule: str
    command: str
    database: str
    username: str
    active: bool


@dataclass(frozen=True)
class Scheduler:
    """What this database offers for running jobs.

    mode: ``here`` (cron.schedule may be called), ``installable`` (create extension is missing),
    ``elsewhere`` (pg_cron lives in another database), ``none``. runner: who runs the jobs that are
    here, when it is not pg_cron itself.
    """

    mode: str
    note: str
    login: str
    superuser: bool = False
    database: str = ""
    runner: str = ""
    jobs: dict[str, list[ScheduledJob]] = field(default_factory=dict)

    def may_hold(self, row: Row) -> bool:
        """Whether a job may exist that this login cannot see."""
        return row.applied_by != self.login and not self.superuser

    def mine(self, name: str) -> ScheduledJob | None:
        """The job that cron.schedule would update; a superuser also reaches other logins'."""
        jobs = self.jobs.get(name, [])
        own = [job for job in jobs if job.username == self.login]
        return own[0] if own else (jobs[0] if jobs else None)


def inspect(conn: Conn) -> Scheduler:
    """Find out, read-only, whether jobs can run from this database."""
    login, superuser, database = conn.execute(
        "select r.rolname::text, r.rolsuper, pg_catalog.current_database()::text"
        " from pg_catalog.pg_roles as r where r.rolname = current_user"
    ).fetchone() or ("", False, "")
    home = _home(conn)
    available = one(
        conn, "select true from pg_catalog.pg_available_extensions where name = 'pg_cron'"
    )

    def scheduler(mode: str, note: str, **jobs: Any) -> Scheduler:
        return Scheduler(mode, note, login, superuser, database, **jobs)

    function = _schedule_function(conn)
    if function and (not function.of_pg_cron or home in (None, database)):
        if function.usable:
            runner = "" if function.of_pg_cron else _runner(conn)
            return scheduler("here", "", runner=runner, jobs=_jobs(conn))
        return scheduler(
            "none", f'run as an administrator: grant usage on schema cron to "{login}";'
        )
    if available and home == database:
        return scheduler("installable", "run as a superuser: create extension pg_cron;")
    if available and home:
        return scheduler("elsewhere", f"pg_cron lives in database {home}")
    if available:
        return scheduler(
            "none",
            "pg_cron is available and not set up: shared_preload_libraries and cron.database_name",
        )
    return scheduler("none", "this server has no pg_cron")


def _home(conn: Conn) -> str | None:
    """The database of the pg_cron worker; None when it cannot be told.

    Not every login may read the setting.
    """
    try:
        with conn.transaction():
            home = one(conn, "select pg_catalog.current_setting('cron.database_name', true)")
            return str(home) if home else None
    except psycopg.Error:
        return None


def _runner(conn: Conn) -> str:
    """Who runs the jobs of pg_cron_compat: its leader holds an advisory lock."""
    leads = one(
        conn,
        """
        select exists (
            select from pg_catalog.pg_locks as l
            where
                l.locktype = 'advisory' and l.granted and l.objsubid = 1
                and (l.classid::bigint << 32 | l.objid::bigint)
                    = pg_catalog.hashtextextended('pg_cron_compat leader', 0)
                and l.database = (
                    select oid from pg_catalog.pg_database
                    where datname = pg_catalog.current_database()
                )
        )
        """,
    )
    return "by pg-cron-compat" if leads else "once this runs: pg-cron-compat run --url …"


@dataclass(frozen=True)
class _Schedule:
    """cron.schedule(text, text, text), of pg_cron itself or of something with the same API."""

    usable: bool
    of_pg_cron: bool


def _schedule_function(conn: Conn) -> _Schedule | None:
    """Find cron.schedule; that of a role which is not to be trusted does not count."""
    row = conn.execute(
        """
        select
            pg_catalog.has_schema_privilege(n.oid, 'usage')
            and pg_catalog.has_function_privilege(p.oid, 'execute'),
            e.oid is not null
        from pg_catalog.pg_proc as p
        inner join pg_catalog.pg_namespace as n on n.oid = p.pronamespace
        inner join pg_catalog.pg_roles as r on r.oid = p.proowner
        left join pg_catalog.pg_depend as d
            on d.objid = p.oid and d.classid = 'pg_proc'::regclass and d.deptype = 'e'
        left join pg_catalog.pg_extension as e on e.oid = d.refobjid and e.extname = 'pg_cron'
        where
            n.nspname = 'cron' and p.proname = 'schedule'
            and pg_catalog.oidvectortypes(p.proargtypes) = 'text, text, text'
            and (r.rolsuper or r.rolname = current_user or e.oid is not null)
        """
    ).fetchone()
    return _Schedule(*row) if row else None


def _jobs(conn: Conn) -> dict[str, list[ScheduledJob]]:
    if not one(conn, "select pg_catalog.has_table_privilege('cron.job', 'select')"):
        return {}
    jobs: dict[str, list[ScheduledJob]] = {}
    for name, *columns in conn.execute(
        "select jobname::text, schedule, command, database, username, active from cron.job"
        " where jobname is not null order by jobid"
    ):
        jobs.setdefault(name, []).append(ScheduledJob(*columns))
    return jobs


def identity(file: File) -> str:
    return f"cron job {file.stem}"


def why_pending(scheduler: Scheduler, file: File, row: Row | None) -> str | None:
    """Why a cron file has to be applied; None when it is up to date."""
    if row is None:
        return "new"
    if row.checksum != file.checksum:
        return "changed"
    if row.state == "recorded":
        if scheduler.mode == "here" or (scheduler.mode == "installable" and scheduler.superuser):
            return "pg_cron can run it now"
        return None
    if scheduler.may_hold(row):
        return None
    if scheduler.mode != "here":
        return "nothing runs it any more"
    job, wanted = scheduler.mine(file.stem), cron_job(file)
    if job is None:
        return "missing in cron.job"
    if (job.schedule, job.command.strip()) != (wanted.schedule, wanted.command):
        return "differs in cron.job"
    return None


def who_runs(scheduler: Scheduler, file: File, row: Row | None) -> str:
    """For a person: whether anything runs this job."""
    if row is None:
        return "not applied yet"
    job = scheduler.mine(file.stem)
    if job is not None:
        state = "scheduled" if job.active else "scheduled but not active"
        return f"{state}: {job.schedule} as {job.username} {scheduler.runner}".rstrip()
    if row.state == "applied" and scheduler.may_hold(row):
        return f"scheduled by {row.applied_by}, whose jobs you may not see"
    return f"nothing in this database runs it: {scheduler.note or 'run `rendio apply`'}"


def elsewhere_lines(scheduler: Scheduler, files: list[File]) -> list[str]:
    """The lines to run in pg_cron's own database."""
    if scheduler.mode != "elsewhere":
        return []
    return [_line_there(job, scheduler.database) for job in map(cron_job, files)]


def _line_there(job: CronJob, database: str) -> str:
    what = [_name_there(job.name, database), job.schedule]
    if job.command == _PURGES_HISTORY:
        return _call("cron.schedule", *what, _PURGE_THERE)
    return _call("cron.schedule_in_database", *what, job.command, database)


def _call(function: str, *arguments: str) -> str:
    return f"select {function}({', '.join(map(literal, arguments))});"


def _name_there(name: str, database: str) -> str:
    """The job's name among those of all databases.

    Scheduling a name again leaves the job in the database that it was made for.
    """
    full = f"{name} {database}"
    if len(full.encode()) <= _NAME_BYTES:
        return full
    return f"{name} {hashlib.sha256(database.encode()).hexdigest()[:16]}"


def literal(text: str) -> str:
    """A SQL string literal, with standard_conforming_strings on."""
    return "'" + text.replace("'", "''") + "'"


def elsewhere_notice(scheduler: Scheduler, files: list[File]) -> list[str]:
    """The same as one notice, or none."""
    lines = elsewhere_lines(scheduler, files)
    if not lines:
        return []
    return [
        f"{scheduler.note}; to have the jobs run, run there as a role that may:\n"
        + "\n".join(lines)
    ]
