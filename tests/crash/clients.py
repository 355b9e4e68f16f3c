"""Connections that make calls until the server dies under them."""

import random
import threading
import time
from collections import deque
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import psycopg

from crash.calls import KINDS, MAINTENANCE, Call, Journal
from crash.people import Fal, Person, new_id

WEIGHTS = {
    "generate": 30, "grant": 6, "expiring_grant": 12, "take": 3, "purchase": 8, "claim": 10,
    "start": 6, "complete": 12, "fail": 10, "cancel": 6, "refund": 4, "upgrade": 3, "merge": 5,
    "store_refund": 4, "store_reversal": 2, "guest": 1, "delete": 2, "settle": 2, "sweep": 2,
    "archive": 1, "again": 8,
}  # fmt: skip
PEOPLE = 3
RETRYABLE = ("40001", "40P01")
LEASE = "2 minutes"


class Lost(Exception):
    """The connection is gone, and with it the answer."""


class Order:
    """Which call is to be held, and where; the first client with such a call takes it."""

    def __init__(self, kind: str = "", point: str = "", after: float = 0) -> None:
        self.kind = kind
        self.point = point
        self._opens_at = time.monotonic() + after
        self.call: Call | None = None
        self._lock = threading.Lock()

    @property
    def is_open(self) -> bool:
        is_time = time.monotonic() >= self._opens_at
        return bool(self.kind) and self.call is None and is_time

    def take(self, call: Call) -> str:
        with self._lock:
            if not self.is_open or call.kind != self.kind or call.repeats:
                return ""
            self.call = call
            return self.point

    def give_back(self, call: Call) -> None:
        """Let another try: this one was answered without having come that far."""
        with self._lock:
            if self.call is call:
                self.call = None


class Client:
    """One connection after the other, and the people who use them."""

    def __init__(self, name: str, seed: int, journal: Journal, fal: Fal) -> None:
        self.name = name
        self.calls: list[Call] = []
        self.people: list[Person] = []
        self.in_flight: Call | None = None
        self.backend_pid = 0
        self.repeated_transactions = 0
        self._chance = random.Random(f"{seed}/{name}")
        self._journal = journal
        self._fal = fal
        self._owners: dict[UUID, Person] = {}  # by the calls' keys
        self._claimed: deque[Call] = deque()

    def play(
        self,
        connect: Callable[[], psycopg.Connection[Any]],
        at: datetime,
        order: Order,
        stop: threading.Event,
    ) -> None:
        """Repeat what was not answered, then make call after call, until lost or stopped."""
        try:
            with connect() as conn:
                self.backend_pid = conn.info.backend_pid
                while not stop.is_set() or self.in_flight:
                    self.send(conn, self.in_flight or self._next(at, order), order)
        except (Lost, psycopg.OperationalError, psycopg.InterfaceError):
            self.backend_pid = 0

    # -- what to do

    def _next(self, at: datetime, order: Order) -> Call:
        wanted = order.kind if order.is_open and self._chance.random() < 0.9 else ""
        while True:
            kind = wanted or self._chance.choices(list(WEIGHTS), list(WEIGHTS.values()))[0]
            if kind == "claim" and wanted and self._chance.random() < 0.5:
                kind = "generate"  # something to claim
            if call := self._call_of(kind, at):
                break
            wanted = ""
        self.calls.append(call)
        return call

    def _call_of(self, kind: str, at: datetime) -> Call | None:
        if kind == "claim":
            at += timedelta(minutes=self._chance.choice([0, 0, 3, 6, 9]))
            args = (self.name, self._chance.randint(1, 5), LEASE)
            return Call(new_id(self._chance), kind, args, at)
        if kind in MAINTENANCE:
            at += timedelta(days=91 if kind == "archive" else 0)
            return Call(new_id(self._chance), kind, (), at)
        if kind == "start" and self._claimed:
            return self._claimed.popleft()
        return self._call_of_person(kind, at)

    def _call_of_person(self, kind: str, at: datetime) -> Call | None:
        alive = [person for person in self.people if not person.is_done]
        if len(alive) < PEOPLE or (kind == "upgrade" and all(p.account for p in alive)):
            alive.append(Person(self._chance, self._fal))
            self.people.append(alive[-1])
        person = self._chance.choice(alive)
        call = person.again(at) if kind == "again" else person.next(kind, at)
        if call:
            self._owners[call.key] = person
        return call

    # -- doing it

    def send(self, conn: psycopg.Connection[Any], call: Call, order: Order) -> None:
        kind = KINDS[call.kind]
        marks = ", ".join(["%s"] * len(call.args))
        hold = order.take(call)
        self.in_flight = call
        call.sent += 1
        call.is_surely_undone = False
        self._journal.sending(call)
        try:
            conn.execute(
                "select set_config('application_name', %s, false),"
                " set_config('crash.now', %s, false), set_config('crash.hold', %s, false),"
                " set_config('role', %s, false)",
                [call.name, call.at.isoformat(), hold, kind.role],
            )
            row = conn.execute(f"select {kind.function}({marks})", call.args).fetchone()
            call.answer = row and row[0]
        except psycopg.Error as error:
            if error.sqlstate in RETRYABLE:
                self.repeated_transactions += 1
                return
            if not (error.sqlstate or "").startswith("PT"):
                if not is_loss(error):
                    raise
                call.lost += 1
                raise Lost from error
            call.refusal = error.diag.message_primary
        self._journal.answered(call)
        self.in_flight = None
        order.give_back(call)
        self._answered(call)

    def _answered(self, call: Call) -> None:
        if call.kind == "claim" and call.answer:
            for job in call.answer["jobs"]:
                self._claimed.append(self._submission(call, job))
        elif call.kind == "start" and call.job:
            for sent in self._fal.of_job(call.job):
                if sent.provider_job == call.args[2]:
                    sent.started = not call.refusal
                    sent.reported |= bool(call.refusal)  # of an archived job: nothing to tell
        if person := self._owners.get(call.key):
            person.answered(call)

    def _submission(self, claim: Call, job: dict[str, Any]) -> Call:
        """Submit a claimed job to the provider; return the call that records it."""
        user, job_id = UUID(job["user_id"]), UUID(job["job_id"])
        sent = self._fal.accept(user, job_id, job["attempt"], new_id(self._chance))
        args = (user, job_id, sent.provider_job, sent.attempt)
        return Call(new_id(self._chance), "start", args, claim.at, user, job_id)


def is_loss(error: psycopg.Error) -> bool:
    """Tell whether an error means that the connection, not the call, has failed."""
    if isinstance(error, psycopg.InterfaceError):
        return True
    return isinstance(error, psycopg.OperationalError) and (error.sqlstate or "57P02")[:2] in (
        "57",
        "08",
    )
