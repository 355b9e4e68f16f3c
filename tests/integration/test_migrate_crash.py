"""The client dies at every step in turn; the next apply ends like a fresh build."""

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest
from migrate_trees import Release, catalogue, ledger, query, row_of
from rendio import migrate, sqlfiles

pytestmark = [pytest.mark.once, pytest.mark.thorough]

# Run as a program of its own: applies, and dies at the n-th commit (before or after it) or at the
# n-th statement. Prints nothing; the signal is the answer.
DYING = """
import json, os, signal, sys
from pathlib import Path
import psycopg
from rendio import migrate

url, root, kind, n = json.loads(sys.argv[1])
left = n

def count(*_):
    global left
    left -= 1
    if left < 0:
        os.kill(os.getpid(), signal.SIGKILL)

if kind == "statement":
    execute = psycopg.Connection.execute
    def dying(self, *args, **kwargs):
        count()
        return execute(self, *args, **kwargs)
    psycopg.Connection.execute = dying
migrate.apply(url, Path(root), on_step=count if kind == "step" else None)
"""


def die(url: str, root: Path, kind: str, n: int) -> bool:
    """Apply and die there; False when the apply ended before it came that far."""
    arguments = json.dumps([url, str(root), kind, n])
    done = subprocess.run([sys.executable, "-c", DYING, arguments], capture_output=True, text=True)
    assert done.returncode in (0, -signal.SIGKILL), done.stderr
    return done.returncode != 0


def test_killed_before_and_after_every_commit(
    release: Release, empty_db: str, small_template: str, new_database: Callable[[], str]
) -> None:
    events: list[migrate.StepEvent] = []
    release.apply(empty_db, on_step=events.append)
    assert {event.action for event in events} >= {"transaction", "running", "create index"}
    expected = catalogue(small_template), ledger(small_template)
    for n, event in enumerate(events):
        url = new_database()
        assert die(url, release.root, "step", n), event
        release.apply(url)
        assert (catalogue(url), ledger(url)) == expected, event


def test_the_release_itself_survives_death_before_and_after_every_step(
    empty_db: str, new_database: Callable[[], str], tmp_path: Path
) -> None:
    """One database, carried on by one apply after the other, each dying at its first commit."""
    for folder in sqlfiles.FOLDERS:
        shutil.copytree(sqlfiles.root() / folder, tmp_path / folder)
    fresh = new_database()
    migrate.apply(fresh, tmp_path)
    steps = len(migrate.plan(empty_db, tmp_path).steps)
    deaths = 0
    while deaths < steps and all(die(empty_db, tmp_path, "step", after) for after in (0, 1)):
        deaths += 1
    assert deaths == steps
    migrate.apply(empty_db, tmp_path)
    assert catalogue(empty_db) == catalogue(fresh)
    assert ledger(empty_db) == ledger(fresh)
    assert migrate.drift(empty_db, tmp_path) == []


@pytest.mark.parametrize("n", [30, 45, 61, 67, 90, 110])
def test_killed_between_two_statements(
    release: Release, empty_db: str, small_template: str, n: int
) -> None:
    assert die(empty_db, release.root, "statement", n)
    release.apply(empty_db)
    assert catalogue(empty_db) == catalogue(small_template)
    assert ledger(empty_db) == ledger(small_template)


def test_killed_while_the_server_builds_an_index(
    release: Release, empty_db: str, connect: Callable[..., psycopg.Connection[Any]]
) -> None:
    """The server does not notice at once; the next apply waits for that build, and builds anew."""
    index = "sql/0003_things_name_idx.sql"
    text = (release.root / index).read_text()
    release.remove(index)
    release.apply(empty_db)
    release.write(index, text)
    writer = connect(empty_db, autocommit=False)
    writer.execute("insert into public.things (name) values ('open')")

    arguments = json.dumps([empty_db, str(release.root), "never", 0])
    client = subprocess.Popen([sys.executable, "-c", DYING, arguments])
    building = "select count(*) from pg_stat_activity where query ~ '^create index' and state = %s"
    _until(lambda: query(empty_db, building, ["active"]) == [(1,)])
    os.kill(client.pid, signal.SIGKILL)
    client.wait()

    done = threading.Event()

    def again() -> None:
        release.apply(empty_db)
        done.set()

    thread = threading.Thread(target=again)
    thread.start()
    _until(lambda: row_of(empty_db, index)[1] == "running")
    assert not done.is_set()
    writer.commit()
    thread.join(60)
    assert done.is_set()
    valid = query(
        empty_db,
        "select indexrelid::regclass::text, indisvalid from pg_index"
        " where indrelid = 'public.things'::regclass order by 1",
    )
    assert valid == [("things_name_idx", True), ("things_pkey", True)]
    assert row_of(empty_db, index)[1] == "applied"
    assert migrate.drift(empty_db, release.root) == []


def _until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, "it never came to that"
        time.sleep(0.02)
