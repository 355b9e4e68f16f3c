"""A real database as the credit machine sees it: told the time, called by anybody, read whole."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import psycopg
from credit_model import BY_SECOND, DAY, FLAT, World
from lot_model import NEVER
from psycopg import sql
from rpc import MODEL

BEGIN = datetime(2030, 1, 1, tzinfo=UTC)
END = 200 * DAY  # partitions are made until then
MODELS = {FLAT: MODEL, BY_SECOND: UUID("5f3b1e70-0000-4000-8000-0000000000f7")}
RULE = {"resolutions": {"sd": 1}, "default_resolution": "sd", "default_seconds": 5}
Books = dict[str, list[tuple[Any, ...]]]

WIPE = """
    delete from public.credit_grants;
    delete from public.credit_draws;
    delete from public.video_jobs;
    delete from public.video_jobs_archive;
    delete from public.purchase_revocations;
    delete from public.users;
    delete from public.account_identities;
    delete from public.idempotency_log;
    delete from public.quota_log;
    delete from public.provider_jobs;
    delete from public.webhook_events;
    delete from public.iap_transactions;
    delete from public.store_notifications;
    update public.models set is_available = true;
    update public.iap_products set is_available = true;
    update public.app_settings set value = '"capped"' where key = 'sandbox_purchases';
    update public.app_settings set value = '"debt"' where key = 'refund_shortfall';
"""

USERS = """
    select u.id, u.credits_remaining, u.credits_total, u.is_guest, u.merged_into,
        u.deleted_at is not null, u.is_blocked, rendio.credits_owed(u.id),
        case
            when u.deleted_at is null
                then (public.get_user_credits(u.id) ->> 'credits_remaining')::bigint
        end
    from public.users as u order by u.id
"""
LEDGER = """
    select user_id, seq, created_at, change, balance_after, reason::text, job_id, lot_seq, lot_n
    from public.quota_log order by user_id, seq
"""
LOTS = """
    select u.id, g.seq, g.n, g.kind, g.is_sandbox, g.amount, g.remaining,
        nullif(g.expires_at, 'infinity'), q.user_id, q.seq
    from public.users as u
    cross join lateral rendio.live_lots(u, rendio.clock()) as g
    left join public.quota_log as q on q.id = g.origin
    order by u.id, g.seq, g.n
"""
JOBS = """
    select job_id, user_id, status::text, error_code, credits_used::integer,
        credits_refunded::integer, attempt, deleted_at is not null, is_archived
    from (
        select *, false as is_archived from public.video_jobs
        union all
        select *, true from public.video_jobs_archive
    ) as j
    order by job_id
"""


def time_of(at: int) -> datetime:
    return BEGIN + timedelta(milliseconds=at)


def moment(value: datetime | str) -> int:
    at = datetime.fromisoformat(value) if isinstance(value, str) else value
    return (at - BEGIN) // timedelta(milliseconds=1)


@dataclass(frozen=True)
class Answer:
    """What a call came to, and whether it wrote anything."""

    result: Any = None
    error: str | None = None
    detail: str | None = None
    wrote: bool = False


class Database:
    """A migrated database, over a superuser's connection that becomes whoever calls."""

    def __init__(self, conn: psycopg.Connection[Any]) -> None:
        self.conn = conn
        self.is_changed = True
        conn.execute("set timezone = 'UTC'")
        conn.execute("set jit = off")  # never analyzed, the tables look large
        conn.execute(
            "create or replace function rendio.clock() returns timestamptz language sql volatile"
            " parallel safe begin atomic select current_setting('story.now')::timestamptz; end"
        )
        for day in range(0, END // DAY + 60, 60):
            self.set_clock(day * DAY)
            conn.execute("select rendio.ensure_partitions()")
        conn.execute(
            "insert into public.models (id, name, category, provider, cost_per_generation,"
            " price_rule, timeout) values (%s, 'By second', 'test', 'fal', 2, %s, '2 hours')",
            [MODELS[BY_SECOND], json.dumps(RULE | {"max_seconds": 12})],
        )

    def wipe(self) -> None:
        self.conn.execute(WIPE)

    def set_clock(self, now: int) -> None:
        self.conn.execute("select set_config('story.now', %s, false)", [str(time_of(now))])

    def set(self, setting: str, value: str) -> None:
        query = "update public.app_settings set value = %s where key = %s"
        self.conn.execute(query, [json.dumps(value), setting])

    def sell(self, what: str, on_sale: bool) -> None:
        self.conn.execute(
            "update public.models set is_available = %s where id = %s", [on_sale, MODELS.get(what)]
        )
        self.conn.execute(
            "update public.iap_products set is_available = %s where product_id = %s",
            [on_sale, what],
        )

    def call(
        self, now: int, function: str, args: tuple[Any, ...], role: str, user: UUID | None
    ) -> Answer:
        """Make a call in a transaction of its own, as a role and with a user's claims."""
        claims = json.dumps({"sub": str(user), "role": role}) if user else ""
        call = sql.SQL(
            "with answer as materialized (select {}({}))"
            " select a.*, pg_current_xact_id_if_assigned() is not null from answer as a"
        ).format(
            sql.Identifier(*function.split(".")),
            sql.SQL(", ").join([sql.Placeholder()] * len(args)),
        )
        try:
            with self.conn.transaction():
                self.conn.execute(
                    "select set_config('story.now', %s, true), set_config('role', %s, true),"
                    " set_config('request.jwt.claims', %s, true)",
                    [str(time_of(now)), role, claims],
                )
                row = self.conn.execute(call, args).fetchone()
        except psycopg.Error as error:
            told = f"{error.sqlstate} {error.diag.message_primary}"
            return Answer(error=told, detail=error.diag.message_detail)
        assert row
        self.is_changed |= row[1]
        return Answer(row[0], wrote=row[1])

    def discrepancies(self, now: int) -> list[tuple[Any, ...]]:
        self.set_clock(now)
        return self.conn.execute("select * from public.reconcile_credits()").fetchall()

    def books(self, now: int) -> Books:
        self.set_clock(now)
        users, ledger, lots, jobs = (
            self.conn.execute(query).fetchall() for query in (USERS, LEDGER, LOTS, JOBS)
        )
        return {
            "users": users,
            "ledger": [
                (*row[:2], moment(row[2]), *row[3:7], row[7] and (row[7], row[8])) for row in ledger
            ],
            "lots": [
                (*row[:7], NEVER if row[7] is None else moment(row[7]), row[8:]) for row in lots
            ],
            "jobs": jobs,
        }


def expected_books(world: World) -> Books:
    """The same of the model."""
    users = sorted(world.users.values(), key=lambda user: user.id)
    return {
        "users": [
            (
                *(u.id, u.account.balance, u.granted, u.is_guest, u.merged_into, u.is_deleted),
                *(u.is_blocked, u.owed),
                None if u.is_deleted else world.available(u),
            )
            for u in users
        ],
        "ledger": [
            (u.id, e.seq, e.at, e.change, e.balance, e.reason, e.job, e.lot)
            for u in users
            for e in u.account.ledger
        ],
        "lots": [
            (
                *(u.id, g.seq, g.n, g.kind, g.is_sandbox, g.amount, g.remaining, g.expires_at),
                g.origin,
            )
            for u in users
            for g in sorted(u.account.lots, key=lambda g: (g.seq, g.n))
            if g.remaining and g.expires_at > world.now
        ],
        "jobs": [
            (
                *(j.id, j.owner, j.status, j.error, j.price, j.refunded, j.attempt),
                *(j.is_deleted, j.is_archived),
            )
            for j in sorted(world.jobs.values(), key=lambda j: j.id)
        ],
    }
