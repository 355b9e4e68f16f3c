"""The cron jobs that `apply` scheduled, run by the demo while it plays, on the story's clock."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg
from pg_cron_compat.install import install

from rendio.demo.diary import Diary


def lead(conn: psycopg.Connection[Any]) -> None:
    """Make the schema cron, and be who runs its jobs for as long as the connection lives.

    A runner that somebody's `rendio psql` starts meanwhile waits for this lock, so the demo's jobs
    run once; whoever comes after the connection leads.
    """
    conn.execute("select pg_advisory_lock(hashtextextended('pg_cron_compat leader', 0))")
    install(conn)


@dataclass(frozen=True)
class Job:
    """A row of cron.job."""

    name: str
    schedule: str
    command: str


@dataclass(frozen=True)
class Cron:
    """The jobs, and where they run."""

    conn: psycopg.Connection[Any]
    diary: Diary
    jobs: list[Job]

    @classmethod
    def scheduled(cls, conn: psycopg.Connection[Any], diary: Diary) -> "Cron":
        found = conn.execute("select jobname, schedule, command from cron.job order by jobname")
        return cls(conn, diary, [Job(*row) for row in found])

    def run_due(self, since: datetime, until: datetime) -> None:
        """Run what came due in between; like pg_cron, once for any number of missed runs."""
        due = "select from cron_compat.due_between(%s, %s, %s) limit 1"
        for job in self.jobs:
            if self.conn.execute(due, [job.schedule, since, until]).rowcount:
                self.run(job)

    def run(self, job: Job) -> int:
        """Run a job; tell what it answered, usually how many rows it took care of."""
        row = self.conn.execute(job.command.encode()).fetchone()
        self.diary.write(job.name)
        return int(row[0]) if row and isinstance(row[0], int) else 0
