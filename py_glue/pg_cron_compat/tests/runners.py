"""Runner processes and what tests ask of them."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import psycopg

PATIENCE = 20.0  # seconds


def query(url: str, statement: str, *arguments: Any) -> list[tuple[Any, ...]]:
    with psycopg.connect(url, autocommit=True) as conn:
        cursor = conn.execute(statement.encode(), arguments)
        return cursor.fetchall() if cursor.description else []


def one(url: str, statement: str, *arguments: Any) -> Any:
    return query(url, statement, *arguments)[0][0]


def until(what: Callable[[], Any]) -> Any:
    """Wait until something is true, and return it."""
    deadline = time.monotonic() + PATIENCE
    while not (found := what()):
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)
    return found


class RunnerProcess:
    """``pg-cron-compat run`` in a process of its own."""

    def __init__(self, url: str, *options: str) -> None:
        command = [sys.executable, "-m", "pg_cron_compat", "run", "-v", "--url", url, *options]
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)

    def signal(self, number: signal.Signals) -> None:
        os.kill(self.process.pid, number)

    def ended(self) -> int:
        """Wait for its end and return its exit code."""
        return self.process.wait(PATIENCE)

    def told(self) -> str:
        assert self.process.stderr
        return self.process.stderr.read()

    def end(self) -> None:
        self.process.kill()
        self.process.wait()
        if self.process.stderr:
            self.process.stderr.close()


def leader(url: str) -> int | None:
    return one(url, "select cron_compat.leader_pid()")


def runs(url: str, job: str) -> list[tuple[Any, ...]]:
    """Status and message of each run of a job, oldest first."""
    return query(
        url,
        "select d.status, d.return_message from cron.job_run_details as d"
        " join cron.job as j using (jobid) where j.jobname = %s order by d.runid",
        job,
    )


def schedule(url: str, name: str, command: str, when: str = "1 second") -> int:
    return int(one(url, "select cron.schedule(%s, %s, %s)", name, when, command))
