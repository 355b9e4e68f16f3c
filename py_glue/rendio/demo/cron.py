"""The cron jobs of the applied files, run by the demo: its server has no pg_cron."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg
from pg_cron_compat import schedule

from rendio import sqlfiles
from rendio.demo.diary import Diary
from rendio.migrate.files import CronJob, cron_job, read_tree


@dataclass(frozen=True)
class Cron:
    """The jobs by name, each with its parsed schedule."""

    conn: psycopg.Connection[Any]
    diary: Diary
    jobs: list[tuple[CronJob, schedule.Schedule]]

    @classmethod
    def of_applied_files(cls, conn: psycopg.Connection[Any], diary: Diary) -> "Cron":
        applied = {
            path
            for (path,) in conn.execute(
                "select path from rendio.migrations where path like 'cron/%'"
            )
        }
        files = [file for file in read_tree(sqlfiles.root()).cron if file.path in applied]
        jobs = [cron_job(file) for file in files]
        return cls(conn, diary, [(job, schedule.parse(job.schedule)) for job in jobs])

    def run_due(self, since: datetime, until: datetime) -> None:
        """Run what came due in between; like pg_cron, once for any number of missed runs."""
        for job, times in self.jobs:
            if next(times.due_between(since, until), None):
                self.run(job)

    def run(self, job: CronJob) -> int:
        """Run a job; tell what it answered, usually how many rows it took care of."""
        row = self.conn.execute(job.command.encode()).fetchone()
        self.diary.write(job.name)
        return int(row[0]) if row and isinstance(row[0], int) else 0
