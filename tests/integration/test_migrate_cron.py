"""Cron files are scheduled where something runs them, and otherwise kept and shown."""

from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest
from migrate_trees import Release, error_of, query, row_of, steps
from profiles import Profile
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict
from rendio import migrate, sqlfiles
from rendio.migrate.files import cron_job, read_tree
from rendio.migrate.session import one
from servers import CRON_DATABASE, Cluster

FILE = "cron/count-things.sql"
JOBS = "select schedule, command, username::text, active from cron.job where jobname = %s"


def jobs(url: str, name: str = "count-things") -> list[Any]:
    return query(url, JOBS, [name])


def test_where_pg_cron_lives_jobs_are_scheduled(
    release: Release, server: Cluster, empty_cron_db: str
) -> None:
    release.apply(empty_cron_db)
    login = query(empty_cron_db, "select session_user::text")[0][0]
    assert jobs(empty_cron_db) == [("7 * * * *", "select public.count_things(1)", login, True)]
    assert row_of(empty_cron_db, FILE)[1:3] == ["applied", ["cron job count-things"]]
    assert not release.apply(empty_cron_db).changed
    job = migrate.status(empty_cron_db, release.root).jobs[0]
    by = "" if server.cron_database else " once this runs: pg-cron-compat run --url …"
    assert job.runs == f"scheduled: 7 * * * * as {login}{by}"


def test_a_job_follows_its_file(release: Release, empty_cron_db: str) -> None:
    release.apply(empty_cron_db)
    jobid = query(empty_cron_db, "select jobid from cron.job")
    release.replace(FILE, "7 * * * *", "8 * * * *")
    assert steps(release.apply(empty_cron_db)) == [FILE]
    assert jobs(empty_cron_db)[0][0] == "8 * * * *"
    assert query(empty_cron_db, "select jobid from cron.job") == jobid

    query(empty_cron_db, "select cron.unschedule('count-things')")
    assert "is missing" in str(migrate.drift(empty_cron_db, release.root)[0])
    assert steps(release.apply(empty_cron_db)) == [FILE]

    query(empty_cron_db, "select cron.alter_job(jobid, active := false) from cron.job")
    assert "is not active" in str(migrate.drift(empty_cron_db, release.root)[0])
    assert "not active" in migrate.status(empty_cron_db, release.root).jobs[0].runs

    release.remove(FILE)
    release.apply(empty_cron_db)
    assert jobs(empty_cron_db) == []
    assert not release.apply(empty_cron_db).changed


def test_a_foreign_job_of_our_name_is_refused(
    release: Release, server: Cluster, empty_cron_db: str
) -> None:
    if server.cron_database:
        query(empty_cron_db, "create extension if not exists pg_cron")
    query(empty_cron_db, "select cron.schedule('count-things', '0 0 * * *', 'select 1')")
    error = error_of(lambda: release.apply(empty_cron_db))
    assert error.exit_code == 7
    assert "cron job count-things, owner" in str(error)
    assert "cron.unschedule('count-things')" in str(error)
    assert query(empty_cron_db, "select to_regnamespace('rendio')") == [(None,)]
    assert jobs(empty_cron_db)[0][1] == "select 1"


def test_elsewhere_the_lines_to_run_there_are_printed(
    release: Release, server: Cluster, empty_db: str
) -> None:
    if not server.cron_database:
        pytest.skip("this server has no pg_cron")
    result = release.apply(empty_db)
    dbname = conninfo_to_dict(empty_db)["dbname"]
    line = (
        f"select cron.schedule_in_database('count-things {dbname}', '7 * * * *',"
        f" 'select public.count_things(1)', '{dbname}');"
    )
    readable = query(empty_db, "select pg_has_role('pg_read_all_settings', 'member')") == [(True,)]
    status = migrate.status(empty_db, release.root)
    assert row_of(empty_db, FILE)[1] == "recorded"
    assert status.jobs[0].runs.startswith("nothing in this database runs it")
    if readable:
        assert line in result.notices[-1]
        assert line in status.notices[-1]
        assert line in migrate.plan(empty_db, release.root).notices[-1]


@pytest.fixture
def cron_home(server: Cluster, profile: Profile, request: pytest.FixtureRequest) -> str:
    """The URL of the real pg_cron's database, for the login that migrates the others."""
    name = server.cron_database
    if not name:
        pytest.skip("this server has no pg_cron")
    if name == CRON_DATABASE:
        request.getfixturevalue("empty_cron_db")
    with server.admin(name) as admin:
        admin.execute("create extension if not exists pg_cron")
    return server.url(name, profile.login)


@pytest.fixture(params=["", "_" + "x" * 60], ids=["short names", "long names"])
def neighbours(
    request: pytest.FixtureRequest, server: Cluster, profile: Profile, new_name: Callable[[], str]
) -> Iterator[list[str]]:
    """The names of two databases that differ in the last character alone."""
    stem = f"{new_name()}{request.param}"[:61]
    names = [f"{stem}_{last}" for last in "ab"]
    for name in names:
        profile.create_database(server.superuser_url, name)
    yield names
    for name in names:
        server.drop(name)


def lines_there(server: Cluster, dbname: str) -> list[str]:
    """What the whole release has one run in pg_cron's database; not every login may read which."""
    return migrate.status(server.url(dbname)).notices[-1].splitlines()[1:]


def purge_line(server: Cluster, url: str) -> str:
    dbname = str(conninfo_to_dict(url)["dbname"])
    (line,) = [line for line in lines_there(server, dbname) if "'purge-cron-history" in line]
    return line


JOBS_THERE = """
select split_part(jobname::text, ' ', 1), schedule, command, database, jobname::text
from cron.job
where jobid = any(%s)
order by jobid
"""


def test_elsewhere_every_database_has_jobs_of_its_own(
    server: Cluster, cron_home: str, neighbours: list[str]
) -> None:
    """Rolled back, so that pg_cron never runs them."""
    jobs = [cron_job(file) for file in read_tree(sqlfiles.root()).cron]
    lines = [line for dbname in neighbours for line in lines_there(server, dbname)]
    with psycopg.connect(cron_home, autocommit=True) as conn, conn.transaction(force_rollback=True):
        ids = [one(conn, line) for line in lines]
        found = conn.execute(JOBS_THERE, [ids]).fetchall()
        assert [row[:4] for row in found if row[0] != "purge-cron-history"] == [
            (job.name, job.schedule, job.command, dbname)
            for dbname in neighbours
            for job in jobs
            if job.name != "purge-cron-history"
        ]
        assert len(found) == len(jobs) * len(neighbours)
        for *_, jobname in found:
            assert one(conn, "select cron.unschedule(%s)", [jobname])
        assert conn.execute(JOBS_THERE, [ids]).fetchall() == []


def test_elsewhere_the_history_is_purged_where_it_is(
    server: Cluster, profile: Profile, cron_home: str, empty_db: str
) -> None:
    """Of the role that scheduled it; one who passes row security purges that of all."""
    line = purge_line(server, empty_db)
    home = str(conninfo_to_dict(cron_home)["dbname"])
    with server.admin(home) as conn, conn.transaction(force_rollback=True):
        conn.execute(
            "insert into cron.job_run_details (runid, username, end_time) values"
            " (-1, %(me)s, now() - interval '8 days'), (-2, %(me)s, now() - interval '6 days'),"
            " (-3, %(me)s, null), (-4, 'somebody else', now() - interval '8 days')",
            {"me": profile.login},
        )
        conn.execute(sql.SQL("set local role {}").format(sql.Identifier(profile.login)))
        jobid = one(conn, line)
        ((_, _, command, database, _),) = conn.execute(JOBS_THERE, [[jobid]]).fetchall()
        assert database == home
        conn.execute(command)
        bounded = one(conn, "select row_security_active('cron.job_run_details')")
        conn.execute("reset role")
        left = conn.execute(
            "select runid from cron.job_run_details where runid < 0 order by runid desc"
        ).fetchall()
    assert left == [(-2,), (-3,), (-4,)][: 3 if bounded else 2]


def test_elsewhere_the_history_lasts_as_long_as_here(server: Cluster, db: str) -> None:
    if not server.cron_database:
        pytest.skip("this server has no pg_cron")
    line = purge_line(server, db)
    with psycopg.connect(db, autocommit=True) as conn, conn.transaction(force_rollback=True):
        conn.execute(HISTORY)
        values = line.replace("select cron.schedule(", "values (")
        ((_, _, command),) = conn.execute(values).fetchall()
        with conn.transaction(force_rollback=True):
            there = conn.execute(command).rowcount
        assert 0 < there < 480
        assert one(conn, "select rendio.purge_cron_history()") == there


# Runs that ended within the last twenty days, an hour apart; never quite at the hour.
HISTORY = """
create schema cron;
create table cron.job_run_details (end_time timestamptz);
insert into cron.job_run_details
select now() - make_interval(hours => n, mins => 30) from generate_series(0, 479) as n;
"""


def test_what_was_recorded_is_scheduled_once_something_can_run_it(
    release: Release, empty_db: str
) -> None:
    """A schedule function in the database, of the login itself, stands for what came later."""
    release.apply(empty_db)
    assert row_of(empty_db, FILE)[1] == "recorded"
    query(empty_db, STAND_IN)
    assert migrate.status(empty_db, release.root).pending
    assert steps(release.apply(empty_db)) == [FILE]
    assert jobs(empty_db)[0][0] == "7 * * * *"


STAND_IN = """
create schema cron;
create table cron.job (
    jobid bigint generated always as identity, schedule text, command text,
    database text default current_database(), username text default current_user,
    active boolean default true, jobname text
);
create function cron.schedule(job_name text, schedule text, command text) returns bigint
language sql as $$
    insert into cron.job (jobname, schedule, command) values ($1, $2, $3) returning jobid
$$;
"""
