"""What the database holds, to be compared with the journal."""

from collections.abc import Mapping, Set
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import lot_model
import psycopg

Connection = psycopg.Connection[Any]
Debt = tuple[int, int, int]  # taken back by a store, recovered and repaid


class Drift(Exception):
    """The database does not hold what the journal says."""


@dataclass(frozen=True)
class Facts:
    """What the database holds, read in one snapshot."""

    ledgers: Mapping[UUID, list[lot_model.Entry]]
    ids: Mapping[tuple[UUID, int], UUID]  # of the entries, which are random
    debts: Mapping[UUID, dict[UUID, Debt]]  # by the purchase's entry
    ended: Mapping[UUID, str]  # a failed job's error code
    jobs_by_key: Mapping[UUID, UUID]
    notified: Set[str]  # which of a store's notifications have come


def read(conn: Connection, begin: datetime) -> Facts:
    """Read everything as of one moment."""
    with conn.transaction():
        conn.execute("set transaction isolation level repeatable read")
        rows = conn.execute(
            "select id, user_id, created_at, seq, change, balance_after, reason, job_id, lot_seq,"
            " lot_n from public.quota_log order by user_id, seq"
        ).fetchall()
        ended = conn.execute(
            "select job_id, error_code from public.video_jobs where status = 'failed' union all"
            " select job_id, error_code from public.video_jobs_archive where status = 'failed'"
        ).fetchall()
        keys = conn.execute(
            "select idempotency_key, job_id from public.idempotency_log where job_id is not null"
        ).fetchall()
        told = conn.execute("select notification_id from public.store_notifications").fetchall()
        debts = _debts(conn)
    ledgers: dict[UUID, list[lot_model.Entry]] = {}
    for _, user, *rest in rows:
        ledgers.setdefault(user, []).append(_entry(user, begin, *rest))
    ids = {(user, seq): name for name, user, _, seq, *_ in rows}
    return Facts(ledgers, ids, debts, dict(ended), dict(keys), {name for (name,) in told})


def _entry(user: UUID, begin: datetime, created_at: datetime, *rest: Any) -> lot_model.Entry:
    seq, change, balance, reason, job, lot_seq, lot_n = rest
    hours = (created_at - begin) / timedelta(hours=1)
    if hours != int(hours):
        raise Drift(f"entry {seq} of {user} is of {created_at}, when nothing was called")
    lot = (lot_seq, lot_n) if lot_seq is not None else None
    return lot_model.Entry(seq, int(hours), change, balance, reason, lot, job)


def _debts(conn: Connection) -> dict[UUID, dict[UUID, Debt]]:
    debts: dict[UUID, dict[UUID, Debt]] = {}
    for user, origin, *debt in conn.execute(
        "select user_id, origin, revoked, recovered, repaid from public.purchase_revocations"
    ):
        debts.setdefault(user, {})[origin] = debt[0], debt[1], debt[2]
    return debts
