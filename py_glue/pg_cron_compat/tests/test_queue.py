"""What is queued, started, made up for and purged, by a clock that the test sets."""

from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest

Conn = psycopg.Connection[Any]
NOON = datetime(2026, 6, 1, 12, 0, 30, tzinfo=UTC)


@pytest.fixture
def at(conn: Conn) -> Any:
    """Let the leader look at a time; returns the ids of the jobs whose runs it starts."""
    conn.execute("update cron_compat.settings set server_started = pg_postmaster_start_time()")

    def tick(seconds: float, start: bool = True) -> list[int]:
        time = NOON + timedelta(seconds=seconds)
        conn.execute(
            "create or replace function cron_compat.clock() returns timestamptz language sql"
            f" as $$ select '{time.isoformat()}'::timestamptz $$"
        )
        row = conn.execute("select cron_compat.tick(%s)", [start]).fetchone()
        assert row
        return [run["jobid"] for run in row[0]["start"]]

    return tick


def schedule(conn: Conn, when: str, name: str = "job") -> int:
    row = conn.execute("select cron.schedule(%s, %s, 'select 1')", [name, when]).fetchone()
    assert row
    return int(row[0])


def end_runs(conn: Conn) -> None:
    conn.execute(
        "select cron_compat.run_ended(runid, true, '') from cron.job_run_details"
        " where end_time is null"
    )


def test_a_minute_is_run_once(conn: Conn, at: Any) -> None:
    job = schedule(conn, "* * * * *")
    assert at(0) == []
    assert at(29.9) == []
    assert at(30) == [job]
    end_runs(conn)
    assert at(31) == []
    assert at(89) == []
    assert at(90.5) == [job]


def test_what_came_due_while_it_ran_runs_once_afterwards(conn: Conn, at: Any) -> None:
    job = schedule(conn, "* * * * *")
    at(0)
    assert at(30) == [job]
    for minutes in (1, 2, 3):
        assert at(30 + 60 * minutes) == []
    end_runs(conn)
    assert at(225) == [job]
    end_runs(conn)
    assert at(226) == []
    assert at(270) == [job]


def test_an_interval_counts_from_the_start_and_begins_when_it_is_learnt(
    conn: Conn, at: Any
) -> None:
    job = schedule(conn, "25 seconds")
    assert at(0) == []
    assert at(24) == []
    assert at(26) == [job]
    assert at(52) == []  # it still runs
    end_runs(conn)
    assert at(60) == [job]
    end_runs(conn)
    assert at(84) == []
    assert at(85) == [job]


@pytest.mark.parametrize(("away", "made_up_for"), [(170, True), (190, False)])
def test_what_nobody_saw_is_made_up_for_within_three_hours(
    conn: Conn, at: Any, away: int, made_up_for: bool
) -> None:
    job = schedule(conn, "1 12 * * *")
    at(0)
    assert at(30 + 60 * away) == ([job] if made_up_for else [])
    end_runs(conn)
    assert at(60 + 60 * away) == []
    assert at(30 + 24 * 3600) == [job]


def test_a_job_switched_off_forgets_what_it_missed(conn: Conn, at: Any) -> None:
    job = schedule(conn, "* * * * *")
    at(0)
    conn.execute("select cron.alter_job(%s, active := false)", [job])
    assert at(45) == []
    conn.execute("select cron.alter_job(%s, active := true)", [job])
    assert at(46) == []
    assert at(90) == [job]


def test_a_changed_schedule_counts_at_once(conn: Conn, at: Any) -> None:
    job = schedule(conn, "@daily")
    at(0)
    schedule(conn, "1 12 * * *")
    at(1)
    assert at(30) == [job]


def test_no_more_run_than_allowed_and_nobody_starves(conn: Conn, at: Any) -> None:
    conn.execute("update cron_compat.settings set max_running_jobs = 2")
    jobs = [schedule(conn, "* * * * *", name) for name in "abc"]
    at(0)
    assert at(30) == jobs[:2]
    end_runs(conn)
    assert at(90) == [jobs[2], jobs[0]]


def test_nothing_starts_while_it_ends_and_the_next_leader_catches_up(conn: Conn, at: Any) -> None:
    job = schedule(conn, "* * * * *")
    at(0)
    assert at(30, start=False) == []
    assert at(35) == [job]


def test_at_a_restart_of_the_server(conn: Conn, at: Any) -> None:
    boot = schedule(conn, "@reboot", "boot")
    work = schedule(conn, "* * * * *", "work")
    assert at(0) == []
    conn.execute("select cron_compat.take_over()")
    assert at(1) == []
    assert at(30) == [work]
    conn.execute("update cron.job_run_details set status = 'running', start_time = '2001-01-01'")
    conn.execute("update cron_compat.settings set server_started = '2001-01-01'")
    conn.execute("select cron_compat.take_over()")
    details = conn.execute("select status, return_message, end_time from cron.job_run_details")
    assert details.fetchall() == [("failed", "server restarted", None)]
    assert at(31) == [boot]
    end_runs(conn)
    conn.execute("select cron_compat.take_over()")
    assert at(32) == []


def test_an_idle_leader_writes_nothing(conn: Conn, at: Any) -> None:
    schedule(conn, "@daily")
    at(0)
    conn.commit()
    try:
        for statement in ("select cron_compat.tick(true)", "select cron_compat.purge_history()"):
            conn.execute(statement.encode())
        assert conn.execute("select pg_current_xact_id_if_assigned()").fetchone() == (None,)
    finally:
        conn.execute("truncate cron.job, cron_compat.task")
        conn.execute(
            "create or replace function cron_compat.clock() returns timestamptz language sql"
            " as 'select pg_catalog.clock_timestamp()'"
        )
        conn.commit()


def test_history_goes_by_the_policy(conn: Conn) -> None:
    conn.execute(
        "insert into cron.job_run_details (status, end_time)"
        " select 'succeeded', now() - make_interval(days => n) from generate_series(1, 10) as n"
    )
    conn.execute("update cron_compat.settings set keep_history = null")
    assert conn.execute("select cron_compat.purge_history()").fetchone() == (0,)
    conn.execute("update cron_compat.settings set keep_history = '4 days 12 hours'")
    assert conn.execute("select cron_compat.purge_history()").fetchone() == (6,)
    assert conn.execute("select count(*) from cron.job_run_details").fetchone() == (4,)


@pytest.mark.parametrize("function", ["tick(true)", "take_over()", "purge_history()"])
def test_the_runners_functions_are_its_owners(conn: Conn, role: Any, function: str) -> None:
    conn.commit()
    name = role()
    conn.execute(f"set local role {name}")
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        conn.execute(f"select cron_compat.{function}")
