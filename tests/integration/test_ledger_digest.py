"""Who has the journal of calls, and not the database, arrives at the digest of each ledger."""

import random
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from rpc import MODEL

BEGIN = datetime(2030, 1, 1, tzinfo=UTC)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
HOUR = 3600 * 10**6
GRACE = 7 * 24 * HOUR
NEVER = 2**63
USERS, CALLS = 3, 120


# --- the auditor ----------------------------------------------------------------------------------


@dataclass
class Lot:
    seq: int
    priority: int
    expires_at: int
    is_sandbox: bool
    remaining: int
    n: int = 1


@dataclass
class Ledger:
    """One user's ledger as it must be. Times are microseconds since 1970."""

    digest: bytes = sha256().digest()
    seq: int = 0
    balance: int = 0
    lots: list[Lot] = field(default_factory=list)
    draws: dict[str, list[tuple[Lot, int]]] = field(default_factory=dict)

    def write(
        self,
        at: int,
        change: int,
        reason: str,
        job: str = "",
        lot: str = ",",
        sandbox: bool = False,
    ) -> None:
        self.seq += 1
        self.balance += change
        flag = "true" if sandbox else "false"
        line = f"{self.seq},{change},{self.balance},{reason},{job},{lot},{flag},{at}"
        self.digest = sha256(self.digest + line.encode()).digest()

    def settle(self, at: int) -> None:
        for lot in sorted(self.lots, key=lambda lot: (lot.expires_at, lot.seq, lot.n)):
            if lot.remaining and lot.expires_at <= at:
                lost, lot.remaining = lot.remaining, 0
                self.write(at, -lost, "credit_expired", "", f"{lot.seq},{lot.n}", lot.is_sandbox)

    def grant(
        self, at: int, credits: int, reason: str, expires_at: int = NEVER, sandbox: bool = False
    ) -> None:
        self.settle(at)
        self.write(at, credits, reason, sandbox=sandbox)
        is_paid = reason == "iap_purchase" and not sandbox
        self.lots.append(Lot(self.seq, 20 if is_paid else 10, expires_at, sandbox, credits))

    def spend(self, at: int, credits: int, reason: str, job: str = "") -> None:
        self.settle(at)
        self.write(at, -credits, reason, job)
        for lot in sorted(
            self.lots, key=lambda lot: (lot.priority, lot.expires_at, lot.seq, lot.n)
        ):
            drawn = min(credits, lot.remaining)
            lot.remaining -= drawn
            credits -= drawn
            self.draws.setdefault(job, []).append((lot, drawn))

    def refund(self, at: int, credits: int, reason: str, job: str) -> None:
        if credits:
            self.write(at, credits, reason, job)
        n = 0
        for lot, drawn in reversed(self.draws.pop(job)):
            back = min(credits, drawn)
            credits -= back
            if lot.expires_at > at:
                lot.remaining += back
            elif back:
                n += 1
                self.lots.append(Lot(self.seq, lot.priority, at + GRACE, lot.is_sandbox, back, n))


@dataclass(frozen=True)
class Event:
    """A call as the journal has it: when, whose, what was asked, what was answered."""

    at: int
    user: str
    rpc: str
    args: tuple[Any, ...]
    answer: Any


def replay(journal: list[Event]) -> dict[str, str]:
    """Return each user's digest, from what was called and answered alone."""
    ledgers: dict[str, Ledger] = {}
    for event in journal:
        post(ledgers.setdefault(event.user, Ledger()), event)
    return {user: ledger.digest.hex() for user, ledger in ledgers.items() if user}


def post(ledger: Ledger, event: Event) -> None:
    at, answer = event.at, event.answer
    match event.rpc, event.args:
        case "device_check", _:
            if answer["is_new"]:
                ledger.grant(at, answer["credits_remaining"], "initial_grant")
        case "add_credits", (_, amount, reason, _, expires_at) if not answer["replayed"]:
            if amount > 0:
                ledger.grant(at, amount, reason, micros(expires_at) if expires_at else NEVER)
            else:
                ledger.spend(at, -amount, reason)
        case "record_iap_purchase", (_, _, environment, *_) if answer["credits_added"]:
            sandbox = environment == "Sandbox"
            if not answer["replayed"]:
                ledger.grant(at, answer["credits_added"], "iap_purchase", sandbox=sandbox)
        case "generate_video_atomic", _ if not answer["replayed"]:
            ledger.spend(at, answer["credits_used"], "video_generation", answer["job_id"])
        case "complete_video_job", _ if not answer["replayed"]:
            ledger.refund(at, answer["credits_refunded"], "partial_refund", answer["job_id"])
        case "fail_video_job" | "cancel_video_job", _ if not answer["replayed"]:
            back = answer["credits_refunded"]
            ledger.refund(at, back, "generation_failed_refund", answer["job_id"])


def micros(time: datetime) -> int:
    return (time - EPOCH) // timedelta(microseconds=1)


# --- the app --------------------------------------------------------------------------------------


class Recorded:
    """The app's backend: whatever it calls is in its journal, unless it was refused."""

    def __init__(self, conn: psycopg.Connection[Any], seed: int) -> None:
        self.conn, self.dice = conn, random.Random(seed)
        self.journal: list[Event] = []
        self.open_jobs: list[tuple[str, str]] = []
        self.now = BEGIN

    def call(self, user: str, rpc: str, *args: Any) -> Any:
        self.conn.execute("select set_config('story.now', %s, true)", [str(self.now)])
        marks = ", ".join(["%s"] * len(args))
        try:
            with self.conn.transaction():
                row = self.conn.execute(f"select public.{rpc}({marks})", args).fetchone()
        except psycopg.Error as error:
            if error.sqlstate != "PT402":
                raise
            return None
        assert row
        self.journal.append(Event(micros(self.now), user, rpc, args, row[0]))
        return row[0]

    def play(self) -> None:
        users = [str(uuid4()) for _ in range(USERS)]
        for user in users:
            self.call(user, "device_check", user, f"phone-{user}")
        for _ in range(CALLS):
            self.now += timedelta(microseconds=self.dice.randrange(HOUR))
            self._act(self.dice.choice(users))

    def _act(self, user: str) -> None:
        match self.dice.choice(["visit", "grant", "grant", "take", "buy", *["video"] * 4]):
            case "visit":
                self.call(user, "device_check", user, f"phone-{user}")
                self.call(user, "get_user_credits", user)
            case "grant":
                life = self.dice.choice([None, 2 * HOUR, 9 * HOUR])
                until = life and self.now + timedelta(microseconds=life)
                grant = (user, self.dice.randint(1, 9), "promo_grant", uuid4(), until)
                for _ in range(self.dice.choice([1, 2])):
                    self.call(user, "add_credits", *grant)
            case "take":
                amount = -self.dice.randint(1, 9)
                self.call(user, "add_credits", user, amount, "admin_adjustment", uuid4(), None)
            case "buy":
                store = ("app_store", self.dice.choice(["Production", "Sandbox"]))
                purchase = (user, *store, str(uuid4()), "credits_20")
                for _ in range(self.dice.choice([1, 2])):
                    self.call(user, "record_iap_purchase", *purchase)
            case "video":
                self._make_video(user)

    def _make_video(self, user: str) -> None:
        """Ask for one, and have it end in some way minutes later."""
        request = (user, MODEL, "A boat.", None, uuid4())
        made = self.call(user, "generate_video_atomic", *request)
        if not made:
            return
        self.call(user, "generate_video_atomic", *request)
        self.now += timedelta(microseconds=self.dice.randrange(HOUR // 10))
        job, provider_job = made["job_id"], str(uuid4())
        end = self.dice.choice(["complete", "complete in part", "fail", "cancel"])
        if end == "cancel":
            self.call(user, "cancel_video_job", user, job)
            return
        self.call(user, "start_video_job", user, job, provider_job)
        for _ in range(self.dice.choice([1, 2])):
            if end == "fail":
                self.call(user, "fail_video_job", "fal", provider_job, "no")
            else:
                charged = 1 if end == "complete in part" else made["credits_used"]
                rest = ("https://v", None, None, charged)
                self.call(user, "complete_video_job", "fal", provider_job, *rest)


@pytest.fixture
def books(conn: psycopg.Connection[Any]) -> psycopg.Connection[Any]:
    """A connection whose clock the test sets; nothing is kept."""
    conn.execute(
        "create or replace function rendio.clock() returns timestamptz language sql volatile"
        " parallel safe begin atomic select current_setting('story.now')::timestamptz; end"
    )
    return conn


@pytest.mark.shapeless
@pytest.mark.parametrize("seed", range(3))
def test_the_journal_tells_the_digest(books: psycopg.Connection[Any], seed: int) -> None:
    app = Recorded(books, seed)
    app.play()
    expected = replay(app.journal)
    assert len(expected) == USERS
    found = {user: app.call("", "ledger_digest", user) for user in expected}
    assert found == expected
    reasons = {r for (r,) in books.execute("select distinct reason from public.quota_log")}
    assert reasons >= {"credit_expired", "partial_refund", "generation_failed_refund"}
