"""The whole credit API, called in any order, beside a model of it on integers and lists.

Hypothesis makes up histories: people on devices, sales, jobs, webhooks, upkeep, and time that
passes. Every answer and every error must be the model's (credit_model.py), and so must balances,
lots, jobs and ledgers whenever anything was written or time has passed; the books must agree.
RENDIO_EXAMPLES and RENDIO_SEED choose how many histories and which.
"""

import json
import os
from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from credit_database import BEGIN, END, MODELS, Answer, Database, expected_books, moment, time_of
from credit_model import DAY, HOUR, MINUTE, PRODUCTS, TIME_TO_START, Refused, World
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)
from psycopg.conninfo import conninfo_to_dict
from servers import Cluster

EXAMPLES = int(os.environ.get("RENDIO_EXAMPLES", "50"))
SEED = int(os.environ.get("RENDIO_SEED", "1"))

PEOPLE = [UUID(int=n) for n in range(1, 4)]
NOBODY, NOTHING = UUID(int=9), UUID(int=10)
KEYS = [UUID(int=100 + n) for n in range(16)]
SELF = [  # what users may call for themselves, and arguments after the user's id
    ("get_user_credits", ()),
    ("quote_generation", (MODELS["flat"], None)),
    ("generate_video_atomic", (MODELS["flat"], "A boat.", None, KEYS[0])),
    ("delete_account", ()),
]

SOMEBODY = st.integers(0, 7)
FEW = st.integers(0, 3)
MANY = st.integers(0, 15)
BOTH = st.booleans()
REASONS = st.sampled_from(["admin_adjustment", "admin_adjustment", "promo_grant"])
DAYS = st.sampled_from([None, 1, 2, 9, 40, 0])
GIFTS = st.sampled_from([30, 5, 1])
LOSSES = st.sampled_from([-1, -3, -9, 0])
LEASES = st.sampled_from([2 * MINUTE, 5 * MINUTE])
TOKENS = st.sampled_from([None, None, 0, 1])
SECONDS = st.sampled_from([None, 3, 12, 2.5, 13])
SALES = st.tuples(st.sampled_from(["Production", "Production", "Sandbox"]), FEW)
PRODUCT_NAMES = st.sampled_from([*PRODUCTS, *PRODUCTS, "credits_7"])
PAGES = st.integers(1, 3)
TASKS = [
    "settle_expired_credits",
    "sweep_stuck_jobs",
    "archive_jobs",
    "cleanup_idempotency_log",
]
THEN = st.sampled_from([None, None, "claim", *TASKS])
SPANS = [MINUTE, 3 * MINUTE, 16 * MINUTE, HOUR, 3 * HOUR, DAY, 8 * DAY, 31 * DAY, 92 * DAY]
WHOSE = st.sampled_from(["owner", "owner", "owner", "account", "somebody"])


JOB = {"n": FEW, "whose": WHOSE}
STEPS: dict[str, tuple[int, dict[str, st.SearchStrategy[Any]]]] = {  # how often, and arguments
    "send_again": (3, {"n": FEW}),
    "sign_in": (2, {"user": st.none() | st.sampled_from(PEOPLE), "device": FEW}),
    "sign_in_with_apple": (4, {"user": SOMEBODY, "sub": st.integers(0, 1)}),
    "delete_account": (1, {"user": SOMEBODY, "as_user": BOTH}),
    "give": (4, {"user": SOMEBODY, "amount": GIFTS, "reason": REASONS, "key": MANY, "days": DAYS}),
    "take": (2, {"user": SOMEBODY, "amount": LOSSES, "reason": REASONS, "key": MANY}),
    "buy": (5, {"user": SOMEBODY, "sale": SALES, "product": PRODUCT_NAMES, "token": TOKENS}),
    "be_notified": (
        6,
        {
            "name": MANY,
            "kind": st.sampled_from(["REFUND", "REFUND", "REFUND_REVERSED", "ONE_TIME_CHARGE"]),
            "sale": SALES,
            "late": st.sampled_from([0, 1, 5]),
            "percentage": st.sampled_from([None, 50_000, 33_333]),
            "token": SOMEBODY,
            "product": PRODUCT_NAMES,
        },
    ),
    "ask_for_video": (
        10,
        {
            "user": SOMEBODY,
            "model": st.sampled_from([*MODELS]),
            "seconds": SECONDS,
            "key": MANY,
            "as_user": BOTH,
        },
    ),
    "claim": (3, {"limit": st.sampled_from([100, 1]), "lease": LEASES}),
    "start": (7, JOB | {"name": MANY, "attempt": st.sampled_from([None, None, 1, 2])}),
    "complete": (3, {"n": FEW, "charged": st.sampled_from([None, 0, 1, 3, 5])}),
    "fail": (4, {"n": FEW}),
    "cancel": (2, JOB | {"as_user": BOTH}),
    "refund": (2, JOB | {"is_partial": BOTH}),
    "delete_job": (1, JOB | {"as_user": BOTH}),
    "pass_time": (3, {"span": st.sampled_from(SPANS)}),
    "come_due": (6, {"n": FEW, "early": st.sampled_from([0, 1, -1]), "then": THEN}),
    "maintain": (5, {"task": st.sampled_from(TASKS)}),
    "fold": (2, {"user": SOMEBODY}),
    "set_sandbox": (1, {"policy": st.sampled_from(["capped", "off"])}),
    "set_shortfall": (1, {"policy": st.sampled_from(["debt", "block", "forgive"])}),
    "retire_or_sell": (1, {"what": st.sampled_from([*MODELS, *PRODUCTS])}),
    "trespass": (1, {"user": SOMEBODY, "other": SOMEBODY, "call": st.sampled_from(SELF)}),
    "read_ledger": (
        2,
        {"user": SOMEBODY, "begin": MANY, "end": MANY, "limit": PAGES, "as_user": BOTH},
    ),
    "read_jobs": (1, {"user": SOMEBODY, "limit": PAGES, "as_user": BOTH}),
    "read_job": (1, JOB | {"as_user": BOTH}),
}
# One rule: of several Hypothesis leaves out half in any one history, and few would come to where a
# job ends after its account has changed.
ANY_STEP = st.sampled_from([name for name, (often, _) in STEPS.items() for _ in range(often)])


def with_arguments(name: str) -> st.SearchStrategy[tuple[str, dict[str, Any]]]:
    return st.tuples(st.just(name), st.fixed_dictionaries(STEPS[name][1]))


# The simplest history, which comes first and does nothing, and one other: those that Hypothesis
# tries after it are variations of it.
ONE_HISTORY = settings(
    max_examples=2,
    stateful_step_count=50,
    deadline=None,
    database=None,
    print_blob=False,
    report_multiple_bugs=False,
    phases=[Phase.generate, Phase.shrink],
    suppress_health_check=list(HealthCheck),
)


class Credits(RuleBasedStateMachine):
    def __init__(self, database: Database) -> None:
        super().__init__()
        self.database = database
        self.world = World()
        self.sent: list[tuple[Any, ...]] = []
        self.is_later = False
        database.wipe()

    @initialize(days=DAYS)
    def begin(self, days: int | None) -> None:
        """A guest, and an account with some credits that may expire."""
        self.device_check(PEOPLE[0], "device 0")
        self.device_check(PEOPLE[1], "device 1")
        self.link(PEOPLE[1], "sub 0")
        self.add_credits(PEOPLE[1], 9, "promo_grant", KEYS[0], self.midnight(days))

    @rule(step=ANY_STEP.flatmap(with_arguments))
    def step(self, step: tuple[str, dict[str, Any]]) -> None:
        name, arguments = step
        getattr(self, name)(**arguments)

    @invariant()
    def the_books_are_right(self) -> None:
        if self.database.is_changed or self.is_later:
            self.compare_books()
        if self.database.is_changed:
            found = set(self.database.discrepancies(self.world.now))
            assert found - self.world.overdue_holds() == set()
        self.database.is_changed = self.is_later = False

    def compare_books(self) -> None:
        found, expected = self.database.books(self.world.now), expected_books(self.world)
        for part in expected:
            assert found[part] == expected[part], part

    def teardown(self) -> None:
        self.compare_books()

    # --- how a step is made: the database is asked, then the model --------------------------------

    def send(self, call: Any, *args: Any) -> None:
        """Make a call that may be sent again."""
        self.sent.append((call, args))
        call(*args)

    def send_again(self, n: int) -> None:
        if self.sent:
            call, args = self.sent[-1 - n % len(self.sent)]
            call(*args)

    def ask(
        self, rpc: str, *args: Any, by: UUID | None = None, role: str = "service_role"
    ) -> Answer:
        name = rpc if "." in rpc else f"public.{rpc}"
        return self.database.call(self.world.now, name, args, "authenticated" if by else role, by)

    def compare(self, answer: Answer, *call: Any, shown: Any = None) -> Any:
        """Return the model's answer, which must be the database's; None for a refusal."""
        try:
            expected = self.world.call(*call)
        except Refused as refused:
            return self.compare_refusal(answer, refused)
        assert answer.error is None
        result = shown(answer.result) if shown else answer.result
        if isinstance(expected, dict):  # releases may add keys
            result = {key: result[key] for key in expected}
        assert result == expected
        return expected

    def compare_refusal(self, answer: Answer, refused: Refused) -> None:
        assert answer.error == refused.error
        told = json.loads(answer.detail or "{}")
        assert told | refused.detail == told

    def person(self, n: int) -> UUID:
        """Somebody, deleted ones too; number 7 is unknown."""
        people = [*self.world.users]
        return NOBODY if n == 7 else people[n % len(people)]

    def job(self, n: int, whose: str = "owner") -> tuple[UUID, UUID]:
        """Who asks for a job, and the job; number 0 is the newest that is active."""
        if not self.world.jobs:
            return self.person(n), NOTHING
        newest = reversed(self.world.jobs.values())
        jobs = sorted(newest, key=lambda job: not job.is_active)
        job = jobs[n % len(jobs)]
        if whose == "somebody":
            return self.person(n), job.id
        account = self.world.users[job.owner].merged_into
        return account if account and whose == "account" else job.owner, job.id

    def provider_id(self, n: int) -> str:
        """The provider's id of a submission; number 0 is the newest whose job is active."""
        submissions, jobs = self.world.submissions, self.world.jobs
        newest = reversed(submissions)
        ids = sorted(newest, key=lambda name: not jobs[submissions[name].job].is_active)
        return ids[n % len(ids)] if ids else "unknown"

    def midnight(self, days: int | None) -> int | None:
        """So many days from today, at an hour that lots have in common."""
        return None if days is None else (self.world.now // DAY + days) * DAY

    # --- accounts ---------------------------------------------------------------------------------

    def sign_in(self, user: UUID | None, device: int) -> None:
        self.device_check(user, f"device {device}")

    def device_check(self, user: UUID | None, device: str) -> None:
        self.world.tick()
        is_known = device in self.world.devices and user in self.world.users
        answer = self.ask("device_check", user, device)
        fresh = UUID(answer.result["user_id"]) if answer.result else None
        self.compare(answer, "device_check", user, device, fresh)
        assert not (is_known and answer.wrote)

    def sign_in_with_apple(self, user: int, sub: int) -> None:
        self.send(self.link, self.person(user), f"sub {sub}")

    def link(self, user: UUID, sub: str) -> None:
        self.world.tick()
        answer = self.ask("link_apple_account", user, sub)
        expected = self.compare(answer, "link_apple_account", user, sub)
        assert not (expected and expected["replayed"] and answer.wrote)

    def delete_account(self, user: int, as_user: bool) -> None:
        self.world.tick()
        who = self.person(user)
        answer = self.ask("delete_account", who, by=who if as_user else None)
        self.compare(answer, "delete_account", who)

    def trespass(self, user: int, other: int, call: tuple[str, tuple[Any, ...]]) -> None:
        """Nobody acts for another user, nor in the service's place."""
        rpc, args = call
        who, whose = self.person(user), self.person(other)
        if who != whose:
            assert self.ask(rpc, whose, *args, by=who).error == "PT403 not_your_account"
        args = (who, 5, "promo_grant", KEYS[0])
        refusal = "42501 permission denied for function add_credits"
        assert self.ask("add_credits", *args, by=who).error == refusal

    # --- credits ----------------------------------------------------------------------------------

    def give(self, user: int, amount: int, reason: str, key: int, days: int | None) -> None:
        until = self.midnight(days)
        self.send(self.add_credits, self.person(user), amount, reason, KEYS[key], until)

    def take(self, user: int, amount: int, reason: str, key: int) -> None:
        self.send(self.add_credits, self.person(user), amount, reason, KEYS[key], None)

    def add_credits(
        self, user: UUID, amount: int, reason: str, key: UUID, until: int | None
    ) -> None:
        self.world.tick()
        expires_at = None if until is None else time_of(until)
        answer = self.ask("add_credits", user, amount, reason, key, expires_at)
        expected = self.compare(answer, "add_credits", user, amount, reason, key, until)
        assert not (expected and expected["replayed"] and answer.wrote)

    def buy(self, user: int, sale: tuple[str, int], product: str, token: int | None) -> None:
        environment, number = sale
        account_token = None if token is None else self.person(token)
        args = (self.person(user), environment, f"sale {number}", product, account_token)
        self.send(self.record_purchase, *args)

    def record_purchase(
        self, user: UUID, environment: str, transaction: str, product: str, token: UUID | None
    ) -> None:
        self.world.tick()
        sale = (user, "app_store", environment, transaction, product, BEGIN, token)
        answer = self.ask("record_iap_purchase", *sale)
        call = ("record_iap_purchase", user, environment, transaction, product, token)
        expected = self.compare(answer, *call)
        assert not (expected and expected["replayed"] and answer.wrote)

    def be_notified(
        self,
        name: int,
        kind: str,
        sale: tuple[str, int],
        late: int,
        percentage: int | None,
        token: int,
        product: str,
    ) -> None:
        at = (self.world.now // DAY - late) * DAY
        transaction = f"sale {sale[1]}"
        told = (at, percentage, self.person(token), product)
        self.send(self.notify, sale[0], f"notice {name}", kind, transaction, *told)

    def notify(
        self,
        environment: str,
        name: str,
        kind: str,
        transaction: str,
        at: int,
        percentage: int | None,
        token: UUID,
        product: str,
    ) -> None:
        self.world.tick()
        payload: dict[str, Any] = {"appAccountToken": str(token), "productId": product}
        if percentage:
            payload["revocationPercentage"] = percentage
        call = (environment, name, kind, transaction)
        told = ("app_store", *call, json.dumps(payload), time_of(at))
        answer = self.ask("apply_store_notification", *told)
        args = (*call, at, percentage, token, product)
        expected = self.compare(answer, "apply_store_notification", *args)
        assert not (expected and expected["replayed"] and answer.wrote)

    # --- generation -------------------------------------------------------------------------------

    def ask_for_video(
        self, user: int, model: str, seconds: float | None, key: int, as_user: bool
    ) -> None:
        self.send(self.generate, self.person(user), model, seconds, KEYS[key], as_user)

    def generate(
        self, user: UUID, model: str, seconds: float | None, key: UUID, as_user: bool
    ) -> None:
        by = user if as_user else None
        given = None if seconds is None else json.dumps({"duration": seconds})
        self.world.tick(TIME_TO_START)
        quote = self.ask("quote_generation", user, MODELS[model], given, by=by)
        self.compare(quote, "quote_generation", user, model, seconds, shown=quoted)
        assert not quote.wrote

        args = (user, MODELS[model], "A boat.", given, key)
        answer = self.ask("generate_video_atomic", *args, by=by)
        fresh = UUID(answer.result["job_id"]) if answer.result else None
        call = ("generate_video_atomic", user, model, seconds, key, fresh)
        expected = self.compare(answer, *call)
        assert not (expected and expected["replayed"] and answer.wrote)

    def claim(self, limit: int, lease: int) -> None:
        self.world.tick()
        answer = self.ask("claim_video_jobs", "a worker", limit, timedelta(milliseconds=lease))
        self.compare(answer, "claim_video_jobs", limit, lease, shown=claimed)

    def start(self, n: int, whose: str, name: int, attempt: int | None) -> None:
        user, job = self.job(n, whose)
        self.world.tick(self.world.jobs[job].timeout if job in self.world.jobs else 0)
        args = (user, job, f"fal {name}", attempt)
        self.compare(self.ask("start_video_job", *args), "start_video_job", *args)

    def complete(self, n: int, charged: int | None) -> None:
        self.world.tick()
        name = self.provider_id(n)
        args = ("fal", name, "https://video", None, None, charged)
        answer = self.ask("complete_video_job", *args)
        self.compare(answer, "complete_video_job", name, charged)

    def fail(self, n: int) -> None:
        self.world.tick()
        name = self.provider_id(n)
        self.compare(self.ask("fail_video_job", "fal", name, "No."), "fail_video_job", name)

    def cancel(self, n: int, whose: str, as_user: bool) -> None:
        self.world.tick()
        user, job = self.job(n, whose)
        answer = self.ask("cancel_video_job", user, job, by=user if as_user else None)
        self.compare(answer, "cancel_video_job", user, job)

    def refund(self, n: int, whose: str, is_partial: bool) -> None:
        self.world.tick()
        reason = "partial_refund" if is_partial else "generation_failed_refund"
        args = (*self.job(n, whose), reason)
        self.compare(self.ask("refund_video_job", *args), "refund_video_job", *args)

    def delete_job(self, n: int, whose: str, as_user: bool) -> None:
        self.world.tick()
        user, job = self.job(n, whose)
        answer = self.ask("delete_video_job", user, job, by=user if as_user else None)
        self.compare(answer, "delete_video_job", user, job)

    # --- time, upkeep, what operators change ------------------------------------------------------

    def pass_time(self, span: int) -> None:
        self.world.now = min(self.world.now + span, END)
        self.is_later = True

    def come_due(self, n: int, early: int, then: str | None) -> None:
        """A call comes when something ends, or just before or after."""
        if moments := self.world.moments():
            self.world.now = max(self.world.now, moments[n % len(moments)] - 1 - early)
            self.is_later = True
        if then == "claim":
            self.claim(100, 2 * MINUTE)
        elif then:
            self.maintain(then)

    def maintain(self, task: str) -> None:
        self.world.tick()
        self.compare(self.ask(f"rendio.{task}", role="rendio_owner"), task)

    def fold(self, user: int) -> None:
        """Changes nothing that anybody can see."""
        self.ask("rendio.fold_lots", self.person(user), role="rendio_owner")

    def set_sandbox(self, policy: str) -> None:
        self.world.sandbox = policy
        self.database.set("sandbox_purchases", policy)

    def set_shortfall(self, policy: str) -> None:
        self.world.shortfall = policy
        self.database.set("refund_shortfall", policy)

    def retire_or_sell(self, what: str) -> None:
        self.world.retired ^= {what}
        self.database.sell(what, what not in self.world.retired)

    # --- reading ----------------------------------------------------------------------------------

    def read_ledger(self, user: int, begin: int, end: int, limit: int, as_user: bool) -> None:
        """A statement between the times of two entries adds up, page by page."""
        who = self.person(user)
        by = who if as_user else None
        times = sorted({e.at for u in self.world.users.values() for e in u.account.ledger})
        first, last = sorted((times[begin % len(times)], times[end % len(times)] + 1))
        answer = self.ask("balance_at", who, time_of(first), by=by)
        if self.compare(answer, "balance_at", who, first) is None:
            return
        at, before, seqs = None, None, []
        while True:
            args = (who, time_of(first), time_of(last), at, limit, before)
            page = self.ask("get_credit_statement", *args, by=by).result
            seqs += [entry["seq"] for entry in page["entries"]]
            at, before = page["next_before_at"], page["next_before_seq"]
            if before is None:
                break
        found = page["opening_balance"], page["closing_balance"], seqs
        assert found == self.world.get_credit_statement(who, first, last)

    def read_jobs(self, user: int, limit: int, as_user: bool) -> None:
        who = self.person(user)
        before, found = None, []
        while True:
            page = self.ask("get_video_jobs", who, before, limit, by=who if as_user else None)
            found += [job["job_id"] for job in page.result["jobs"]]
            before = page.result["next_before"]
            if before is None:
                break
        assert found == self.world.get_video_jobs(who)

    def read_job(self, n: int, whose: str, as_user: bool) -> None:
        user, job = self.job(n, whose)
        answer = self.ask("get_video_status", user, job, by=user if as_user else None)
        self.compare(answer, "get_video_status", user, job, shown=job_figures)
        assert not answer.wrote


def quoted(result: dict[str, Any]) -> dict[str, Any]:
    lots = [{k: v for k, v in lot.items() if k != "expires_at"} for lot in result["lots"]]
    return result | {"lots": lots}


def claimed(result: dict[str, Any]) -> list[tuple[UUID, int]]:
    return [(UUID(job["job_id"]), job["attempt"]) for job in result["jobs"]]


def job_figures(job: dict[str, Any]) -> tuple[Any, ...]:
    ended = job["completed_at"]
    return (
        *(job["status"], job["error_code"], job["credits_used"], job["credits_refunded"]),
        *(moment(job["created_at"]), ended and moment(ended)),
    )


@pytest.fixture
def database(server: Cluster, db: str) -> Iterator[Database]:
    with server.admin(str(conninfo_to_dict(db)["dbname"])) as conn:
        yield Database(conn)


@pytest.mark.once
@pytest.mark.shapeless
@pytest.mark.thorough
def test_every_history_is_the_models(database: Database) -> None:
    for number in range(SEED, SEED + EXAMPLES):
        print(f"RENDIO_SEED={number} RENDIO_EXAMPLES=1")
        run_state_machine_as_test(seed(number)(lambda: Credits(database)), settings=ONE_HISTORY)
