"""Lots, folded whenever: the same as an eager account of the same history.

Each history is played three times: by a user whose lots are folded after every call, by one whose
lots never are, and by one whose lots are by chance.
"""

import random
from collections.abc import Iterator
from dataclasses import astuple
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import lot_model
import psycopg
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from rpc import MODEL

pytestmark = pytest.mark.shapeless

BEGIN = datetime(2030, 1, 1, tzinfo=UTC)
MODELS = {4: MODEL, 7: UUID("5f3b1e70-0000-4000-8000-0000000000f7")}
FOLDS = ("always", "never", "sometimes")
LATE = {"entries_in_default_partition", "hold_older_than_sweep"}  # no cron job runs here

HISTORY = st.lists(
    st.one_of(
        st.tuples(st.just("grant"), st.integers(1, 12), st.sampled_from([None, 2, 5, 9, 30, 300])),
        st.tuples(st.just("buy")),
        st.tuples(st.just("take"), st.integers(1, 9)),
        st.tuples(st.just("generate"), st.sampled_from(sorted(MODELS))),
        st.tuples(st.just("generate"), st.sampled_from(sorted(MODELS))),
        st.tuples(st.just("complete"), st.integers(0, 5), st.integers(0, 7)),
        st.tuples(st.just("fail"), st.integers(0, 5)),
        st.tuples(st.just("cancel"), st.integers(0, 5)),
        st.tuples(st.just("pass"), st.sampled_from([1, 4, 26, 175, -2])),
    ),
    min_size=30,
    max_size=60,
)


def time_of(hours: int) -> datetime | str:
    return "infinity" if hours >= lot_model.NEVER else BEGIN + timedelta(hours=hours)


class Played:
    """One user in the database, playing a history."""

    def __init__(self, conn: psycopg.Connection[Any], folds: str, chance: random.Random) -> None:
        self.conn, self.folds, self.chance = conn, folds, chance
        self.user = uuid4()
        self.call("device_check", self.user, f"device-{self.user}")
        self.fold()

    def call(self, rpc: str, *args: object) -> Any:
        marks = ", ".join(["%s"] * len(args))
        try:
            with self.conn.transaction():
                row = self.conn.execute(f"select public.{rpc}({marks})", args).fetchone()
        except psycopg.Error as error:
            if error.sqlstate not in ("PT400", "PT402"):  # over when it is given, too little
                raise
            return None
        assert row
        return row[0]

    def fold(self) -> None:
        if self.folds == "always" or (self.folds == "sometimes" and self.chance.random() < 0.3):
            self.conn.execute("select rendio.fold_lots(%s)", [self.user])

    def play(self, step: tuple[Any, ...], now: int, jobs: list[tuple[str, int]]) -> Any:
        """Make the step's call; ``jobs`` are this user's open ones, by id and price."""
        result = None
        match step:
            case ("grant", amount, life):
                expires_at = life and time_of(now + life)
                self.call("add_credits", self.user, amount, "promo_grant", uuid4(), expires_at)
            case ("buy",):
                purchase = ("app_store", "Production", str(uuid4()), "credits_20")
                self.call("record_iap_purchase", self.user, *purchase)
            case ("take", amount):
                done = self.call("add_credits", self.user, -amount, "admin_adjustment", uuid4())
                result = done is not None
            case ("generate", price):
                args = (self.user, MODELS[price], "A boat.", None, uuid4())
                made = self.call("generate_video_atomic", *args)
                result = made and made["job_id"]
            case ("complete", n, charged):
                job, price = jobs[n % len(jobs)]
                self.call("start_video_job", self.user, job, job)
                url, kept = "https://v", min(charged, price)
                self.call("complete_video_job", "fal", job, url, None, None, kept)
            case ("fail", n):
                job, _ = jobs[n % len(jobs)]
                self.call("start_video_job", self.user, job, job)
                self.call("fail_video_job", "fal", job, "no")
            case ("cancel", n):
                self.call("cancel_video_job", self.user, jobs[n % len(jobs)][0])
        self.fold()
        return result

    def ledger(self) -> list[tuple[Any, ...]]:
        query = """
            select seq, created_at, change, balance_after, reason::text,
                case when lot_seq is not null then (lot_seq, lot_n)::text end
            from public.quota_log where user_id = %s order by seq
        """
        return self.conn.execute(query, [self.user]).fetchall()

    def lots(self) -> list[tuple[Any, ...]]:
        query = """
            select seq, n, priority, amount, remaining, expires_at::text from public.credit_grants
            where user_id = %s order by seq, n
        """
        return self.conn.execute(query, [self.user]).fetchall()

    def refolded(self) -> list[tuple[Any, ...]]:
        """The lots that a fold from the first entry comes to."""
        query = """
            with anew as (
                select u.*::public.users from public.users as u where u.id = %s
            ),
            state as (
                select (rendio.project_lots(jsonb_populate_record(
                    u, '{"lots_seq": 0}'::jsonb))).lots
                from anew as a (u)
            )
            select g.seq, g.n, g.priority, g.amount, g.remaining, g.expires_at::text
            from state, unnest(state.lots) as g order by g.seq, g.n
        """
        return self.conn.execute(query, [self.user]).fetchall()


def expected_ledger(account: lot_model.Account) -> list[tuple[Any, ...]]:
    return [
        (e.seq, time_of(e.at), e.change, e.balance, e.reason, f"({e.lot[0]},{e.lot[1]})")
        if e.lot
        else (e.seq, time_of(e.at), e.change, e.balance, e.reason, None)
        for e in account.ledger
    ]


def expected_lots(account: lot_model.Account) -> list[tuple[Any, ...]]:
    lots = sorted(account.lots, key=lambda lot: (lot.seq, lot.n))
    return [
        (*astuple(lot)[:5], f"{time:%Y-%m-%d %H:%M:%S+00}" if lot.expires_at < 10**9 else time)
        for lot in lots
        if (time := time_of(lot.expires_at))
    ]


def apply_to_model(
    account: lot_model.Account, step: tuple[Any, ...], now: int, jobs: list[tuple[int, int]]
) -> bool:
    """Play the step on the model; return whether it was not refused. Ended jobs leave ``jobs``."""
    try:
        match step:
            case ("grant", amount, life):
                until = now + life if life else lot_model.NEVER
                if until <= account.at:  # which stands still while the clock is behind it
                    raise lot_model.Refused
                account.grant(now, amount, "promo_grant", expires_at=until)
            case ("buy",):
                account.grant(now, 20, "iap_purchase", priority=lot_model.PAID)
            case ("take", amount):
                account.spend(now, amount, "admin_adjustment")
            case ("generate", price):
                number = len(account.draws)
                account.draws[str(number)] = []
                try:
                    account.spend(now, price, "video_generation", str(number))
                except lot_model.Refused:
                    del account.draws[str(number)]
                    raise
                jobs.append((number, price))
            case ("complete", n, charged):
                number, price = jobs.pop(n % len(jobs))
                if back := price - min(charged, price):
                    account.refund(now, back, "partial_refund", str(number))
            case ("fail" | "cancel", n):
                number, price = jobs.pop(n % len(jobs))
                account.refund(now, price, "generation_failed_refund", str(number))
    except lot_model.Refused:
        return False
    return True


@pytest.fixture(scope="module")
def books(shared_db: str) -> Iterator[psycopg.Connection[Any]]:
    """A connection whose clock the test sets; nothing is kept."""
    with psycopg.connect(shared_db) as conn:
        conn.execute("set timezone = 'UTC'")
        set_clock(conn, 0)
        conn.execute(
            "create or replace function rendio.clock() returns timestamptz language sql volatile"
            " parallel safe begin atomic select current_setting('story.now')::timestamptz; end"
        )
        conn.execute(
            "insert into public.models (id, name, category, provider, cost_per_generation)"
            " values (%s, 'Seven', 'test', 'fal', 7)",
            [MODELS[7]],
        )
        yield conn
        conn.rollback()


@settings(
    deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(history=HISTORY, seed=st.integers(0, 2**16))
@example(  # refunded after its lot had expired, and not spent in the days of grace
    history=[
        *(("grant", 4, 2), ("generate", 4), ("pass", 4), ("fail", 0), ("pass", 175)),
        ("generate", 4),
    ],
    seed=0,
)
def test_the_fold_is_the_eager_account(
    books: psycopg.Connection[Any], history: list[tuple[Any, ...]], seed: int
) -> None:
    with books.transaction(force_rollback=True):
        now = 0
        set_clock(books, now)
        chance = random.Random(seed)
        users = [Played(books, folds, chance) for folds in FOLDS]
        account = lot_model.Account(at=0)
        account.grant(0, 10, "initial_grant")
        open_jobs: list[tuple[int, int]] = []
        ids: list[dict[int, str]] = [{} for _ in users]

        for step in history:
            if step[0] == "pass":
                now = max(0, now + step[1])
                set_clock(books, now)
                continue
            if step[0] in ("complete", "fail", "cancel") and not open_jobs:
                continue
            before = list(open_jobs)
            balance = account.balance
            snapshot = [len(account.ledger), account.at, account.next_expiry_at]
            accepted = apply_to_model(account, step, now, open_jobs)
            for user, known in zip(users, ids, strict=True):
                mine = [(known[number], price) for number, price in before]
                result = user.play(step, now, mine)
                if step[0] in ("take", "generate"):
                    assert bool(result) == accepted
                if step[0] == "generate" and accepted:
                    known[open_jobs[-1][0]] = result
            if not accepted:  # the call was rolled back, with what it had settled
                undo(account, snapshot, balance)

        for user in users:
            assert user.ledger() == expected_ledger(account), user.folds
            available = user.call("get_user_credits", user.user)["credits_remaining"]
            assert available == account.available(now)
            live = {(g["seq"], g["n"]): g["remaining"] for g in lots_of(user)}
            assert live == {
                (lot.seq, lot.n): lot.remaining
                for lot in account.lots
                if lot.remaining and lot.expires_at > max(account.at, now)
            }
            books.execute("select rendio.fold_lots(%s)", [user.user])
            assert user.lots() == expected_lots(account), user.folds
            assert user.refolded() == expected_lots(account), user.folds
            problems = books.execute(
                "select * from public.reconcile_credits(%s)", [user.user]
            ).fetchall()
            assert {p[1] for p in problems} <= LATE


def lots_of(user: Played) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = user.call("get_credit_lots", user.user)["lots"]
    return found


def undo(account: lot_model.Account, snapshot: list[int], balance: int) -> None:
    """Take back what a refused call had settled."""
    length, account.at, account.next_expiry_at = snapshot
    for entry in account.ledger[length:]:
        assert entry.lot
        (lot,) = [lot for lot in account.lots if (lot.seq, lot.n) == entry.lot]
        lot.remaining -= entry.change
    del account.ledger[length:]
    account.balance = balance


def set_clock(conn: psycopg.Connection[Any], now: int) -> None:
    conn.execute("select set_config('story.now', %s, false)", [str(time_of(now))])


@pytest.mark.once
def test_a_fold_costs_what_came_since_the_last(books: psycopg.Connection[Any]) -> None:
    """About as many buffers with a million entries behind it as with ten thousand."""
    read = {entries: fold_after(books, entries) for entries in (10_000, 1_000_000)}
    print(f"buffers of a fold: {read}")
    assert read[1_000_000] <= 1.5 * read[10_000]  # a level of the index, and dead rows on the way


def fold_after(conn: psycopg.Connection[Any], entries: int) -> int:
    """Fold the last 20 of a user's entries; return how many buffers that read.

    The cheapest of three times: what disturbs only adds (a cold plan, other sessions' DDL).
    """
    with conn.transaction(force_rollback=True):
        set_clock(conn, 0)
        user = Played(conn, "never", random.Random(0))
        conn.execute("select rendio.fold_lots(%s)", [user.user])
        conn.execute(
            """
            insert into public.quota_log (
                user_id, seq, created_at, change, balance_after, reason
            )
            select %(user)s, 1 + n, %(at)s::timestamptz + n * interval '1 second',
                case when n %% 2 = 0 then 1 else -1 end, 9 + (n + 1) %% 2, 'admin_adjustment'
            from generate_series(1, %(entries)s) as n
            """,
            {"user": user.user, "at": BEGIN, "entries": entries},
        )
        conn.execute(
            """
            update public.users set ledger_seq = 1 + %(entries)s, lots_seq = 1 + %(entries)s,
                ledger_at = %(at)s::timestamptz + %(entries)s * interval '1 second'
            where id = %(user)s
            """,
            {"user": user.user, "at": BEGIN, "entries": entries},
        )
        conn.execute("analyze rendio.quota_log_default")
        for change in (5, -3) * 10:
            user.call("add_credits", user.user, change, "admin_adjustment", uuid4())
        return min(buffers_of_fold(conn, user.user) for _ in range(3))


def buffers_of_fold(conn: psycopg.Connection[Any], user: UUID) -> int:
    """Return how many buffers a fold reads that is undone."""
    with conn.transaction(force_rollback=True):
        row = conn.execute(
            "explain (analyze, buffers, format json) select rendio.fold_lots(%s)", [user]
        ).fetchone()
    assert row
    plan = row[0][0]["Plan"]
    return int(plan["Shared Hit Blocks"] + plan["Shared Read Blocks"])
