"""One server's life: without pg_cron, restarted with it under the runner, handed over."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest
from pg_cron_clock import server_with_a_clock
from pg_cron_compat.install import CronError, install
from servers import Cluster
from waiting import until

pytestmark = [pytest.mark.once, pytest.mark.thorough]

LOADED = {"shared_preload_libraries": "pg_cron", "cron.database_name": "app"}
WORKERS = {"cron.use_background_workers": "on"}


def query(cluster: Cluster, statement: str, *arguments: Any) -> list[tuple[Any, ...]]:
    with cluster.admin("app") as conn:
        cursor = conn.execute(statement.encode(), arguments)
        return cursor.fetchall() if cursor.description else []


def compat(cluster: Cluster, *words: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "pg_cron_compat", *words, "--url", cluster.url("app")]
    return subprocess.run(command, capture_output=True, text=True, timeout=90)


@pytest.fixture
def runner() -> Iterator[Callable[[Cluster], "subprocess.Popen[str]"]]:
    started = []

    def start(cluster: Cluster) -> "subprocess.Popen[str]":
        command = [sys.executable, "-m", "pg_cron_compat", "run", "--url", cluster.url("app")]
        started.append(subprocess.Popen(command, stderr=subprocess.PIPE, text=True))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.communicate()


def succeeded(cluster: Cluster) -> int:
    told = query(cluster, "select count(*) from cron.job_run_details where status = 'succeeded'")
    return int(told[0][0])


# The runner writes the first if its own connection still lives when the run's is ended.
CUT_OFF = ("FATAL: terminating connection due to administrator command", "server restarted")


def test_from_a_server_without_to_one_with_pg_cron(
    runner: Callable[[Cluster], "subprocess.Popen[str]"],
) -> None:
    with server_with_a_clock() as (start, set_clock):
        cluster = start({})
        cluster.create("app")
        with cluster.admin("app") as conn:
            install(conn)
            conn.execute("create role app_user login; grant usage on schema cron to app_user")
            conn.execute(
                "grant execute on function cron.alter_job(bigint, text, text, text, text, boolean)"
                " to app_user"
            )
            conn.execute("select cron.schedule('dropped', '@daily', 'select 0')")
            conn.execute("select cron.unschedule('dropped')")
            conn.execute("select cron.schedule('minutely', '* * * * *', 'select 1')")
            conn.execute("select cron.schedule('interval', '1 second', 'select 2')")
            conn.execute("select cron.schedule('hangs', '1 second', 'select pg_sleep(1000)')")
            conn.execute(
                "select cron.schedule_in_database('theirs', '@daily', 'select 3', 'postgres',"
                " 'app_user', false)"
            )
        told = compat(cluster, "handover")
        assert told.returncode == 1
        assert "pg_cron is not usable in this database" in told.stderr
        process = runner(cluster)
        until(lambda: succeeded(cluster) >= 2)

        # A restart, which brings pg_cron.
        cluster = start(LOADED | WORKERS)
        before = succeeded(cluster)
        until(lambda: succeeded(cluster) > before)
        hung = "select status, return_message from cron.job_run_details where command ~ 'sleep'"
        status, told_why = query(cluster, f"{hung} order by runid")[0]
        assert status == "failed"
        assert told_why in CUT_OFF
        assert process.poll() is None
        query(cluster, "select cron.unschedule('hangs')")
        until(lambda: ("failed", "job canceled") in query(cluster, hung))

        told = compat(cluster, "install")
        assert "pg_cron is usable in this database: pg-cron-compat handover" in told.stderr
        told = compat(cluster, "handover")
        assert told.returncode == 1
        assert "this pg_cron does not take the schedule '1 second'" in told.stderr
        before = succeeded(cluster)
        until(lambda: succeeded(cluster) > before)  # as if nothing had been
        query(cluster, "create view watched as select * from cron.job")
        query(cluster, "select cron.unschedule('interval')")
        told = compat(cluster, "handover")
        assert told.returncode == 1
        assert "view watched depends on table cron.job" in told.stderr
        query(cluster, "drop view watched")

        set_clock(datetime(2030, 6, 1, 11, 59, 57, tzinfo=UTC))
        minutes = (
            "select to_char(start_time at time zone 'UTC', 'HH24:MI') from cron.job_run_details"
            " where start_time > '2030-06-01 11:59:30 UTC' order by runid"
        )
        until(lambda: ("12:00",) in query(cluster, minutes))
        jobs = query(cluster, "select * from cron.job order by jobid")
        history = query(cluster, "select count(*) from cron.job_run_details")
        told = compat(cluster, "handover")
        assert (told.returncode, told.stdout) == (0, "pg_cron runs the jobs of app now.\n")
        assert process.wait(10) == 0
        assert query(cluster, "select extname::text from pg_extension where extname ~ 'cron'")
        assert query(cluster, "select to_regnamespace('cron_compat')") == [(None,)]
        assert query(cluster, "select * from cron.job order by jobid") == jobs
        assert query(cluster, "select count(*) from cron.job_run_details") == history
        assert query(
            cluster,
            "select has_schema_privilege('app_user', 'cron', 'usage'), has_function_privilege("
            "'app_user', 'cron.alter_job(bigint, text, text, text, text, boolean)', 'execute')",
        ) == [(True, True)]
        assert compat(cluster, "status").stdout.startswith("pg_cron 1.")

        # pg_cron goes on with the next minute, and has not run this one again.
        set_clock(datetime(2030, 6, 1, 12, 0, 58, tzinfo=UTC))
        until(lambda: ("12:01",) in query(cluster, minutes))
        ran = [minute for (minute,) in query(cluster, minutes)]
        assert ran.count("12:00") == 1
        assert ran.count("12:01") == 1
        (next_id,) = query(cluster, "select cron.schedule('later', '@daily', 'select 1')")
        assert next_id[0] > max(job[0] for job in jobs)


def test_where_pg_cron_is_there_is_nothing_to_install() -> None:
    with server_with_a_clock() as (start, _):
        cluster = start(LOADED)
        cluster.create("app")
        assert "create extension pg_cron;" in compat(cluster, "status").stdout
        told = compat(cluster, "install")
        assert (told.returncode, told.stderr) == (
            1,
            "Error: pg_cron is usable in this database: create extension pg_cron;\n",
        )
        query(cluster, "create extension pg_cron")
        for words in ("install", "handover"):
            told = compat(cluster, words)
            assert told.returncode == 1
            assert "is here" in told.stderr
        assert compat(cluster, "status").returncode == 0
        # pg_cron lives in one database; the others have the layer.
        with psycopg.connect(cluster.superuser_url, autocommit=True) as conn:
            install(conn)
            conn.execute("create role app_owner login")
        cluster.create("other", owner="app_owner")
        with psycopg.connect(cluster.url("other", "app_owner"), autocommit=True) as conn:
            with pytest.raises(CronError, match="a superuser or a member of pg_read_all_settings"):
                install(conn)
            with cluster.admin() as admin:
                admin.execute("grant pg_read_all_settings to app_owner")
            install(conn)
