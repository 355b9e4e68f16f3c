"""This run stands on the server that it was asked to stand on."""

import psycopg
import pytest
from pg_cron_compat.install import look
from rendio import migrate
from servers import Cluster, Run

MAJORS = {"debian": {15, 16, 17, 18}, "embedded16": {16}, "embedded": {18}}


def test_the_version(run: Run, server: Cluster) -> None:
    if run.kind not in MAJORS:
        pytest.skip("a server that was given may be of any version")
    assert server.version_num // 10_000 in MAJORS[run.kind]
    assert run.version.split(".")[0] == str(server.version_num // 10_000)


def test_who_runs_cron_jobs(run: Run, cron_db: str) -> None:
    """The real pg_cron on an installed server, the compat layer on the embedded ones."""
    with psycopg.connect(cron_db) as conn:
        found = look(conn)
    real = run.kind == "debian"
    assert (found.extension is not None, found.compat) == (real, not real)
    assert all(job.runs.startswith("scheduled: ") for job in migrate.status(cron_db).jobs)
