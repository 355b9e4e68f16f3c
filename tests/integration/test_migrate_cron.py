"""Cron files are scheduled where something runs them, and otherwise kept and shown."""

from typing import Any

import pytest
from migrate_trees import Release, error_of, query, row_of, steps
from psycopg.conninfo import conninfo_to_dict
from rendio import migrate
from servers import Cluster

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
        "select cron.schedule_in_database('count-things', '7 * * * *',"
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
