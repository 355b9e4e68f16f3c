"""Notes, table and proof: SQL asks and judges, this only carries."""

import re
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

import psycopg


@dataclass(frozen=True)
class Row:
    """When, what was asked, what happened, what it cost, and the query that says so."""

    at: str | None
    asked: str
    happened: str
    credits: int
    query: str


@dataclass(frozen=True)
class Table:
    """The rows, and the credits that are left: what the rows must add up to."""

    rows: list[Row]
    total: Row

    @property
    def cells(self) -> list[list[str]]:
        """Heads, rows and foot in words; without times where there are none."""
        cells = [["", "What was asked", "What happened", "Credits"]]
        for row in self.rows:
            credits = f"{row.credits:+,}" if row.credits else "0"
            cells.append([row.at or "", row.asked, row.happened, credits])
        cells.append(["", self.total.asked, self.total.happened, f"{self.total.credits:,}"])
        return cells if any(row[0] for row in cells) else [row[1:] for row in cells]

    @property
    def adds_up(self) -> bool:
        return sum(row.credits for row in self.rows) == self.total.credits


@dataclass(frozen=True)
class Note:
    """A fact told beside the table, and the query that says so."""

    text: str
    query: str


@dataclass(frozen=True)
class Check:
    """A claim, whether it holds, what was found, and the query that says so."""

    claim: str
    ok: bool
    found: str
    query: str


def table(conn: psycopg.Connection[Any], name: str) -> Table:
    *rows, total = [
        Row(at, asked, happened, int(credits or 0), query)
        for query in queries(name)
        for at, asked, happened, credits in conn.execute(query.encode())
    ]
    return Table(rows, total)


def note(conn: psycopg.Connection[Any], query: str) -> Note:
    (text,) = conn.execute(query.encode()).fetchone() or ("",)
    return Note(str(text), query)


def proof(conn: psycopg.Connection[Any]) -> list[Check]:
    return [_check(conn, query) for query in queries("proof.sql")]


def _check(conn: psycopg.Connection[Any], query: str) -> Check:
    try:
        with conn.transaction():
            claim, ok, found = conn.execute(query.encode()).fetchone() or (None, None, "no answer")
    except psycopg.Error as error:
        claim, ok, found = None, False, str(error)
    return Check(claim or "A check cannot be made", bool(ok), found, query)


def text_of(name: str) -> str:
    """One of the demo's own files."""
    return files("rendio.demo").joinpath(name).read_text("utf-8")


def queries(name: str) -> list[str]:
    """The statements of one of the demo's SQL files, each of which ends with its line."""
    uncommented = re.sub(r"(?m)^--.*\n", "", text_of(name))
    statements = [statement.strip() for statement in uncommented.split(";\n")]
    return [f"{statement};" for statement in statements if statement]
