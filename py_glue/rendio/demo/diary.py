"""The demo's diary: a client that writes down what it was asked and what the database answered."""

import re
from collections.abc import Callable
from dataclasses import astuple, dataclass, field, fields, replace
from typing import Any, Self, TypeVar
from uuid import UUID

import psycopg
from psycopg.types.json import Jsonb

from rendio._wire import Given
from rendio.client import Client
from rendio.errors import RendioError

T = TypeVar("T")

SUBJECTS = ("p_device_id", "p_transaction_id", "p_provider_job_id")


@dataclass
class Entry:
    """A row of demo.calls."""

    at: str | None
    scene: str
    who: str
    call: str = ""
    caller_id: UUID | None = None
    user_id: UUID | None = None
    job_id: UUID | None = None
    key: UUID | None = None
    subject: str | None = None
    answer: Jsonb | None = None
    error: str | None = None


COPY = f"copy demo.calls ({', '.join(f.name for f in fields(Entry))}) from stdin"


@dataclass
class Diary:
    """What one thread's actors did since the last `save`."""

    scene: str = ""
    who: str = ""
    at: str | None = None
    entries: list[Entry] = field(default_factory=list)

    def write(self, call: str, **facts: Any) -> None:
        self.entries.append(Entry(self.at, self.scene, self.who, call, **facts))

    def lose_answer(self) -> None:
        """Forget the answer to the last call, as a phone in a tunnel does."""
        self.entries[-1] = replace(self.entries[-1], job_id=None, answer=None)

    def save(self, conn: psycopg.Connection[Any]) -> None:
        with conn.cursor() as cursor, cursor.copy(COPY) as copy:
            for entry in self.entries:
                copy.write_row(astuple(entry))
        self.entries.clear()


class DiaryClient(Client):
    """A `Client` whose calls go into a diary."""

    def __init__(self, database: str | psycopg.Connection[Any], diary: Diary) -> None:
        super().__init__(database)
        self._diary = diary
        self._caller_id: UUID | None = None

    def as_user(self, user_id: UUID) -> Self:
        view = super().as_user(user_id)
        view._caller_id = user_id
        return view

    def _call(self, query: str, read: Callable[[Any], T], *arguments: Given) -> T:
        facts = _facts(arguments) | {"caller_id": self._caller_id}
        name = re.findall(r"public\.(\w+)", query)[0]
        try:
            raw, answer = super()._call(query, lambda raw: (raw, read(raw)), *arguments)
        except RendioError as error:
            self._diary.write(name, **facts, error=error.slug, answer=Jsonb(error.detail))
            raise
        if isinstance(raw, dict):
            facts = {key: raw.get(key) or fact for key, fact in facts.items()}
        self._diary.write(name, **facts, answer=Jsonb(raw))
        return answer


def _facts(arguments: tuple[Given, ...]) -> dict[str, Any]:
    """Return what a call is about, by the names of its arguments."""
    given = {part.partition(" ")[0]: value for part, value in arguments}
    return {
        "user_id": given.get("p_user_id"),
        "job_id": given.get("p_job_id"),
        "key": given.get("p_idempotency_key"),
        "subject": next((given[name] for name in SUBJECTS if name in given), None),
    }
