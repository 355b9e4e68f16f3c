"""The cron jobs of the applied files, run by the demo: its server has no pg_cron."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg
from pg_cron_compat.install import install_schedules

from rendio import sqlfiles
from rendio.demo.diary import Diary
from rendio.migrate.files import CronJob, cron_job, read_tree


@dataclass(frozen=True)
class Cron:
    """The jobs, and where they run."""

    conn: psycopg.Connection[Any]
    diary: Diary
    jobs: list[CronJob]

    @classmethod
    def of_applied_files(cls, conn: psycopg.Connection[Any], diary: Diary) -> "Cron":
        applied = {
            path
            for (path,) in conn.execute(
                "select path from rendio.migrations where path like 'cron/%'"
            )
        }
        files = [file for file in read_tree(sqlfiles.root()).cron if file.path in applied]
        install_schedules(conn)
        return cls(conn, diary, [cron_job(file) for file in files])

    def run_due(self, since: datetime, until: datetime) -> None:
        """Run what came due in between; like pg_cron, once for any number of missed runs."""
        due = "select from cron_compat.due_between(%s, %s, %s) limit 1"
        for job in self.jobs:
            if self.conn.execute(due, [job.schedule, since, until]).rowcount:
                self.run(job)

    def run(self, job: CronJob) -> int:
        """Run a job; tell what it answered, usually how many rows it took care of."""
        row = self.conn.execute(job.command.encode()).fetchone()
        self.diary.write(job.name)
        return int(row[0]) if row and isinstance(row[0], int) else 0
