"""The course of a demo: start over, apply, play; then the table and the proof."""

import textwrap
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from itertools import count
from typing import Any

import psycopg

from rendio import migrate
from rendio.demo import DemoError, database
from rendio.demo.cron import lead
from rendio.demo.day import Day, lines, told
from rendio.demo.report import Check, Note, Table, note, proof, queries, table, text_of
from rendio.demo.screen import Screen
from rendio.demo.size import Load
from rendio.embedded import Server

APPLIED, PLAYED, CRON = NOTES = queries("notes.sql")


@dataclass(frozen=True)
class Outcome:
    """The proof, and what it is a proof of."""

    proof: list[Check]
    table: Table | None = None
    notes: list[Note] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        return all(check.ok for check in self.proof) and (not self.table or self.table.adds_up)

    @property
    def cron(self) -> str | None:
        """Who ran the cron jobs."""
        return next((fact.text for fact in self.notes if fact.query == CRON), None)

    @property
    def queries(self) -> Iterator[str]:
        """What a person needs to ask it all again."""
        yield text_of("views.sql")
        for fact in self.notes:
            yield f"-- {textwrap.shorten(fact.text, 90, placeholder='…')}\n{fact.query}"
        if self.table:
            for row in [*self.table.rows, self.table.total]:
                yield f"-- {row.asked}: {row.happened}\n{row.query}"
        for check in self.proof:
            yield f"-- {check.claim}: {check.found}\n{check.query}"

    def as_json(self) -> dict[str, Any]:
        return {"ok": self.ok, **asdict(self)}


@contextmanager
def fresh_database(server: Server, screen: Screen) -> Iterator[psycopg.Connection[Any]]:
    """The embedded database, made anew with everything applied and an empty diary.

    Its cron jobs are the demo's to run until this ends, and the server's from then on.
    """
    with screen.stage("Starting PostgreSQL") as stage:
        server.ensure_started()
        stage.result = f"PostgreSQL {server.version} is running in {server.data_dir}"
    with database.alone(server) as admin:
        with screen.stage("Applying the SQL") as stage:
            database.start_over(server, admin)
            conn = psycopg.connect(server.url(), autocommit=True)
            lead(conn)  # before apply, which schedules the jobs where there is a schema cron
            steps = count(1)
            migrate.apply(server.url(), echo=lambda done: stage.step(done.split()[0], next(steps)))
            for name in ("diary.sql", "views.sql"):
                conn.execute(text_of(name).encode())
            stage.result = note(conn, APPLIED).text
        with conn:
            yield conn
        server.ensure_started()  # whoever ran the jobs lost the database when it was dropped


def play_day(conn: psycopg.Connection[Any], url: str, screen: Screen) -> None:
    with screen.stage("Playing the day", len(lines())) as stage:
        for done, line in enumerate(Day(conn, database.as_service(url)).play()):
            stage.step(told(line), done)
        stage.result = f"A day is played: {note(conn, PLAYED).text}"


def play_load(
    conn: psycopg.Connection[Any], url: str, screen: Screen, users: int, generations: int
) -> None:
    load = Load(url, database.as_service(url), users, generations)
    with screen.stage("Generating videos", generations) as stage:
        started = time.monotonic()
        for asked in load.play():
            rate = f"{asked / (time.monotonic() - started):,.0f} a second"
            stage.step("the last ones end" if asked == generations else rate, asked)
        stage.result = f"{generations:,} videos, {rate}: {note(conn, PLAYED).text}"


def report(conn: psycopg.Connection[Any], table_of: str) -> Outcome:
    """Ask for proof, table and notes, in one snapshot."""
    conn.execute("analyze")
    with _snapshot(conn):
        notes = [note(conn, query) for query in NOTES]
        return Outcome(proof(conn), table(conn, table_of), notes)


def proof_again(server: Server) -> Outcome:
    """Check what the last demo left, and who knows who after it."""
    server.ensure_started()
    if not database.has_table(server.url(), "demo.calls"):
        raise DemoError("No demo has left anything to check. Play one:  rendio demo")
    with psycopg.connect(server.url(), autocommit=True) as conn, _snapshot(conn):
        return Outcome(proof(conn))


@contextmanager
def _snapshot(conn: psycopg.Connection[Any]) -> Iterator[None]:
    with conn.transaction():
        conn.execute("set transaction isolation level repeatable read, read only")
        yield
