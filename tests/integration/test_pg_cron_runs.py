"""The same jobs in the same minute, run by pg_cron and by the compat layer, leave the same."""

import subprocess
import sys
import time
from datetime import UTC, datetime
from typing import Any

import pytest
from pg_cron_clock import server_with_a_clock
from pg_cron_compat.install import install
from servers import Cluster

pytestmark = [pytest.mark.once, pytest.mark.thorough]

COMMANDS = {
    "rows": "select generate_series(1, 3)",
    "inserts": "insert into seen values (1), (2)",
    "several": "insert into seen values (3); select 1; delete from seen where n = 9",
    "fails": "do $$begin raise 'no' using detail = 'none', hint = 'ask'; end$$",
    "half": "insert into seen values (4); select 1 / 0",
    "syntax": "selec 1",
    "commits": "call twice()",
    "vacuums": "vacuum seen",
    "does": "do $$begin end$$",
    "percent": "select '100%'",
}
SETUP = """
create table seen (n int);
create procedure twice() language plpgsql as $$
begin insert into seen values (5); commit; insert into seen values (6); end $$;
"""
ENDED = """
select j.jobname::text, d.status, d.return_message, d.database = current_database(),
    d.username = current_user, d.command = j.command, d.job_pid > 0, d.end_time >= d.start_time
from cron.job_run_details as d join cron.job as j using (jobid)
where d.end_time is not null order by d.runid
"""


def test_they_leave_the_same_details() -> None:
    with server_with_a_clock() as (start, set_clock):
        cluster = start(
            {
                "shared_preload_libraries": "pg_cron",
                "cron.database_name": "real",
                "cron.use_background_workers": "on",
                "max_worker_processes": "32",
            }
        )
        for name in ("real", "compat"):
            cluster.create(name)
            with cluster.admin(name) as conn:
                if name == "real":
                    conn.execute("create extension pg_cron")
                else:
                    install(conn)
                conn.execute(SETUP)
                for job, command in COMMANDS.items():
                    conn.execute("select cron.schedule(%s, '* * * * *', %s)", [job, command])
        compat = [sys.executable, "-m", "pg_cron_compat", "run", "--url", cluster.url("compat")]
        set_clock(datetime(2030, 6, 1, 11, 59, 57, tzinfo=UTC))
        with subprocess.Popen(compat) as runner:
            try:
                left = {name: _runs(cluster, name) for name in ("real", "compat")}
            finally:
                runner.terminate()
        assert left["compat"] == left["real"]
        assert _seen(cluster, "compat") == _seen(cluster, "real") == [1, 2, 3, 5, 6]


def _runs(cluster: Cluster, name: str) -> dict[str, tuple[Any, ...]]:
    """What the first run of each job left."""
    deadline = time.monotonic() + 30
    with cluster.admin(name) as conn:
        while len(found := {row[0]: row[1:] for row in conn.execute(ENDED)}) < len(COMMANDS):
            assert time.monotonic() < deadline, f"{name}: only {found} ended"
            time.sleep(0.05)
        return found


def _seen(cluster: Cluster, name: str) -> list[int]:
    with cluster.admin(name) as conn:
        return [n for (n,) in conn.execute("select n from seen order by n")]
