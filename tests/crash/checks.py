"""What must be true after every restart."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import psycopg

from crash import books, facts, traces
from crash.account import digest
from crash.books import Family
from crash.calls import Call
from crash.clients import Client
from crash.facts import Drift, Facts

Connection = psycopg.Connection[Any]


class Checks:
    """The books of a run, kept from one check to the next."""

    def __init__(self, begin: datetime) -> None:
        self.count = 0
        self._begin = begin
        self._families: dict[int, Family] = {}
        self._traced: dict[str, int] = {}

    def check(self, conn: Connection, clients: Sequence[Client], at: datetime | None) -> None:
        """Raise unless the database holds what the journal says, and nothing else.

        Without a time the books are reconciled as of the run's begin: how old a hold may be that
        the next sweep has not ended is not what a crash decides.
        """
        found = facts.read(conn, self._begin)
        for client in clients:
            self._check_client(conn, client, found)
        if strangers := books.unknown_ledgers(self._families.values(), found):
            raise Drift(f"ledgers that nobody asked for: {strangers}")
        self._check_digests(conn)
        _check_reconciled(conn, at or self._begin)
        _check_jobs(conn, [call for client in clients for call in client.calls])
        self.count += 1

    def begin_anew(self) -> None:
        """Look for the traces of every call again, not only of those since the last check."""
        self._traced = {}

    def _check_client(self, conn: Connection, client: Client, found: Facts) -> None:
        done = None
        for person in client.people:
            family = self._families.setdefault(id(person), Family(person.calls, self._begin))
            told = family.book(found)
            family.check(found)
            if client.in_flight in person.calls:
                done = told
        call = client.in_flight
        if call and not call.repeats:
            told = _done_at_all(call, done)
            traces.check(conn, call, told, is_deleted=_is_deleted(client, call))
        answered = [call for call in client.calls if call.is_answered and not call.repeats]
        for call in answered[self._traced.get(client.name, 0) :]:
            traces.check(conn, call, _left_traces(call), is_deleted=_is_deleted(client, call))
        self._traced[client.name] = len(answered)

    def _check_digests(self, conn: Connection) -> None:
        """Compare the fingerprint of every ledger with that of what was played."""
        rows = conn.execute("select id, public.ledger_digest(id) from public.users").fetchall()
        expected = {
            user: digest(account.ledger, self._begin)
            for family in self._families.values()
            for user, account in family.state.accounts.items()
        }
        if dict(rows) != expected:
            users = {user for user, _ in dict(rows).items() ^ expected.items()}
            raise Drift(f"ledger_digest() is not the journal's for {users}")


def _check_reconciled(conn: Connection, at: datetime) -> None:
    conn.execute("select set_config('crash.now', %s, false)", [at.isoformat()])
    if found := conn.execute("select * from public.reconcile_credits()").fetchall():
        raise Drift(f"reconcile_credits(): {found}")


def _check_jobs(conn: Connection, calls: Sequence[Call]) -> None:
    """Raise when a job is in the archive and not, or when a sweep was half done."""
    if twice := conn.execute(
        "select job_id from public.video_jobs intersect"
        " select job_id from public.video_jobs_archive"
    ).fetchall():
        raise Drift(f"jobs that are in the archive and not: {twice}")
    row = conn.execute(
        "select count(*) from (select error_code from public.video_jobs union all"
        " select error_code from public.video_jobs_archive) as j where error_code = 'timed_out'"
    ).fetchone()
    swept = row[0] if row else 0
    sweeps = [call for call in calls if call.kind == "sweep"]
    told = sum(call.answer for call in sweeps if call.answer)
    is_sure = not any(call.lost for call in sweeps)
    if swept < told or (is_sure and swept != told):
        raise Drift(f"sweeps told of {told} jobs, {swept} have timed out")


def _is_deleted(client: Client, call: Call) -> bool:
    return any(
        other.kind == "delete" and not other.refusal
        for person in client.people
        if call in person.calls
        for other in person.calls
    )


def _done_at_all(call: Call, in_ledger: bool | None) -> bool | None:
    """Tell whether an unanswered call's traces must be there; None: all of them, or none."""
    if call.kind == "start":
        return None  # the worker and the webhook both record it
    if call.is_surely_undone:
        return False
    if call.kind in books.ENDINGS and not in_ledger:
        return None  # a report of a job that had ended is kept all the same
    return in_ledger


def _left_traces(call: Call) -> bool | None:
    """Tell whether an answered call's traces must be there."""
    replayed = isinstance(call.answer, dict) and call.answer.get("replayed")
    return None if call.kind == "refund" and replayed else True
