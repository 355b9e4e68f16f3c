"""The runner as a process: who leads, what runs, and how it ends."""

import os
import signal
from collections.abc import Callable

import psycopg
import pytest
from pg_cron_compat.install import install
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from runners import RunnerProcess, leader, one, query, runs, schedule, until

Run = Callable[..., RunnerProcess]
ENDED = ("succeeded", "failed")


def starts_nothing(url: str) -> bool:
    """Whether no job of each second has started for longer than that."""
    last = "select cron_compat.clock() - max(start_time) from cron.job_run_details"
    return bool(one(url, f"select ({last}) > '2.5 s'"))


def test_runs_and_what_became_of_them(url: str, run: Run) -> None:
    login = one(url, "select current_user")
    query(url, "create table seen (who text, app text, application_name text)")
    query(url, "create procedure steps() language plpgsql as 'begin commit; end'")
    jobs = {
        "rows": ("select generate_series(1, 3)", "succeeded", "SELECT 3"),
        "two": ("create table a (b int); select 1/(select count(*) from a)", "failed", None),
        "commits": ("call steps()", "succeeded", "CALL"),
        "alone": ("vacuum seen", "succeeded", "VACUUM"),
        "percent": ("select '%s'", "succeeded", "SELECT 1"),
        "wrong": ("do $$begin raise 'no' using hint = 'none'; end$$", "failed", None),
        "whoami": ("insert into seen values (current_user, '', '')", "succeeded", "INSERT 0 1"),
    }
    for name, (command, _, _) in jobs.items():
        schedule(url, name, command)
    run(url)
    for name, (command, status, message) in jobs.items():
        first = until(lambda name=name: [r for r in runs(url, name) if r[0] in ENDED])[0]
        assert first[0] == status, (name, first)
        assert message in (None, first[1])
        assert command
    assert runs(url, "two")[0][1] == "ERROR: division by zero"
    assert one(url, "select to_regclass('a')") is None  # one transaction, undone as a whole
    assert runs(url, "wrong")[0][1] == (
        "ERROR: no\nHINT: none\nCONTEXT: PL/pgSQL function inline_code_block line 1 at RAISE"
    )
    assert one(url, "select who from seen limit 1") == login
    (details,) = query(
        url,
        "select d.jobid = j.jobid, d.database, d.username, d.command, d.job_pid > 0,"
        " d.end_time >= d.start_time from cron.job_run_details d join cron.job j using (jobid)"
        " where j.jobname = 'percent' and d.end_time is not null order by runid limit 1",
    )
    assert details == (
        True,
        conninfo_to_dict(url)["dbname"],
        login,
        "select '%s'",
        True,
        True,
    )


def test_one_instance_and_a_hanging_job_stops_no_other(url: str, run: Run) -> None:
    schedule(url, "hangs", "select pg_sleep(1000)")
    schedule(url, "goes on", "select 1")
    run(url)
    until(lambda: len(runs(url, "goes on")) >= 3)
    assert runs(url, "hangs") == [("running", None)]
    assert one(url, "select queued_at is not null from cron_compat.job_status where running")


def test_an_unscheduled_job_is_canceled(url: str, run: Run) -> None:
    job = schedule(url, "hangs", "select pg_sleep(1000)")
    run(url)
    until(lambda: runs(url, "hangs") == [("running", None)])
    query(url, "select cron.unschedule('hangs')")
    until(
        lambda: (
            query(url, "select status, return_message from cron.job_run_details")
            == [("failed", "job canceled")]
        )
    )
    assert not query(url, "select from pg_stat_activity where query like '%%pg_sleep(1000)'")
    assert not query(url, "select from cron_compat.task where jobid = %s", job)


def test_another_takes_over_when_the_leader_dies(url: str, run: Run) -> None:
    schedule(url, "works", "select 1")
    schedule(url, "hangs", "select pg_sleep(1000)")
    first = run(url)
    lead = until(lambda: leader(url))
    second = run(url)
    until(lambda: runs(url, "hangs") == [("running", None)])
    assert leader(url) == lead  # the second waits
    first.signal(signal.SIGKILL)
    until(lambda: leader(url) not in (None, lead))
    # What the dead one left is failed; it runs anew, and only once at a time.
    until(lambda: runs(url, "hangs") == [("failed", "runner restarted"), ("running", None)])
    hanging = "select count(*) from pg_stat_activity where query = 'select pg_sleep(1000)'"
    assert one(url, hanging) == 1
    before = len(runs(url, "works"))
    until(lambda: len(runs(url, "works")) > before)
    second.signal(signal.SIGTERM)
    until(lambda: starts_nothing(url))
    second.signal(signal.SIGTERM)
    assert second.ended() == 0


def test_sigterm_finishes_what_runs_and_starts_nothing(url: str, run: Run) -> None:
    query(url, "create table gate (open boolean)")
    schedule(
        url,
        "waits",
        "do $$begin while not exists (select from public.gate) loop perform pg_sleep(0.05);"
        " commit; end loop; end$$",
    )
    schedule(url, "works", "select 1")
    runner = run(url)
    until(lambda: runs(url, "waits") == [("running", None)])
    runner.signal(signal.SIGTERM)
    until(lambda: starts_nothing(url))
    assert runner.process.poll() is None
    query(url, "insert into gate values (true)")
    assert runner.ended() == 0
    assert runs(url, "waits") == [("succeeded", "DO")]
    assert leader(url) is None


def test_a_lost_connection_is_made_again(url: str, run: Run) -> None:
    schedule(url, "works", "select 1")
    run(url)
    lead = until(lambda: leader(url))
    query(url, "select pg_terminate_backend(%s)", lead)
    until(lambda: leader(url) not in (None, lead))
    before = len(runs(url, "works"))
    until(lambda: len(runs(url, "works")) > before)


def test_jobs_run_as_their_user(
    url: str, run: Run, role: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    user = role()
    login = one(url, "select current_user")
    query(url, "create table seen (session text, who text)")
    query(url, "grant insert on seen to public")
    query(
        url,
        "select cron.schedule_in_database('theirs', '1 second',"
        " 'insert into seen values (session_user, current_user)', current_database(), %s)",
        user,
    )
    runner = run(url)
    until(lambda: [r for r in runs(url, "theirs") if r[0] in ENDED])
    assert runs(url, "theirs")[0] == ("succeeded", "INSERT 0 1")
    assert query(url, "select distinct session, who from seen") == [(user, user)]
    runner.signal(signal.SIGTERM)
    runner.ended()

    query(url, f"alter role {user} connection limit 0")
    query(url, "truncate cron.job_run_details, seen")
    runner = run(url)
    until(lambda: [r for r in runs(url, "theirs") if r[0] == "failed"])
    assert "too many connections for role" in runs(url, "theirs")[0][1]
    assert query(url, "select from seen") == []
    runner.signal(signal.SIGTERM)
    runner.ended()

    query(url, "truncate cron.job_run_details")
    runner = run(url, "--set-role")
    until(lambda: [r for r in runs(url, "theirs") if r[0] == "succeeded"])
    assert query(url, "select distinct session, who from seen") == [(login, user)]
    runner.signal(signal.SIGTERM)
    runner.ended()
    assert f"role set to {user}" in runner.told()


def test_the_owner_of_a_database_needs_no_superuser(
    empty_url: str, run: Run, role: Callable[..., str]
) -> None:
    owner, other = role(), role()
    query(empty_url, f"alter database {conninfo_to_dict(empty_url)['dbname']} owner to {owner}")
    # Where a pg_cron is loaded, install asks for which database.
    query(empty_url, f"grant pg_read_all_settings to {owner}")
    own_url = make_conninfo(empty_url, user=owner)
    with psycopg.connect(own_url, autocommit=True) as conn:
        install(conn)
        conn.execute(f"grant usage on schema cron to {other}".encode())
    schedule(own_url, "own", "select 1")
    schedule(make_conninfo(empty_url, user=other), "other", "select 2")
    run(own_url)
    for name in ("own", "other"):
        until(lambda name=name: ("succeeded", "SELECT 1") in runs(empty_url, name))
    who = "select username from cron.job_run_details group by 1"
    assert {user for (user,) in query(empty_url, who)} == {owner, other}
    assert query(make_conninfo(empty_url, user=other), who) == [(other,)]
    query(
        empty_url, f"alter database {conninfo_to_dict(empty_url)['dbname']} owner to current_user"
    )


def test_without_the_layer_or_a_server_it_says_so(
    empty_url: str, run: Run, tmp_path: os.PathLike[str]
) -> None:
    lost = run(empty_url)
    assert lost.ended() == 1
    assert "pg-cron-compat install" in lost.told()
    nowhere = run(f"postgresql://nobody@/x?host={tmp_path}")
    until(lambda: nowhere.process.poll() is None)
    nowhere.signal(signal.SIGTERM)
    assert nowhere.ended() in (0, -signal.SIGTERM)


def test_it_ends_when_the_layer_is_dropped(url: str, run: Run) -> None:
    first, second = run(url), run(url)
    connected = "select count(*) from pg_stat_activity where application_name = 'pg_cron_compat'"
    until(lambda: leader(url) and one(url, connected + " and datname = current_database()") == 2)
    with psycopg.connect(url) as conn:
        conn.execute("drop schema cron_compat cascade; drop schema cron cascade")
    assert (first.ended(), second.ended()) == (0, 0)
    assert "is gone from this database" in first.told()
    assert "is gone from this database" in second.told()
