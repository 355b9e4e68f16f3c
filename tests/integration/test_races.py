"""Races: the same thing done at the same moment. How each proves that it was one: races.py."""

import random
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from races import hold_row, hold_table, race, wait_until_waiting, waiting
from rpc import COST, App, Call, Connection, Outcome, generation, outcome_of, value

pytestmark = pytest.mark.shapeless

ROUNDS = 4  # of the races that can end in more than one way


@pytest.fixture
def app(db: str) -> Iterator[App]:
    with App(db) as app:
        yield app
        assert app.discrepancies(swept=False) == []


def results(outcomes: list[Outcome]) -> list[Any]:
    """Return the results of sessions none of which may have failed."""
    assert [o for o in outcomes if o.sqlstate] == []
    return [o.result for o in outcomes]


def only_entry(job_reasons: list[str]) -> str:
    """Return the one entry after a job's charge."""
    assert job_reasons[0] == "video_generation"
    (last,) = job_reasons[1:]
    return last


def sweep(conn: Connection) -> int:
    return int(value(conn, "select rendio.sweep_stuck_jobs()"))


def ensure_partitions(conn: Connection) -> int:
    return int(value(conn, "select rendio.ensure_partitions()"))


def clean_up(conn: Connection) -> int:
    return int(value(conn, "select rendio.cleanup_idempotency_log()"))


def settle(conn: Connection) -> int:
    return int(value(conn, "select rendio.settle_expired_credits()"))


def expire(app: App, key: UUID) -> None:
    """Make a key as old as if it had been used yesterday."""
    app.owner.execute(
        "update public.idempotency_log set created_at = created_at - interval '25 hours',"
        " expires_at = expires_at - interval '25 hours' where idempotency_key = %s",
        [key],
    )


# --- the hot path ---------------------------------------------------------------------------------


def test_one_key_sixty_four_times(app: App) -> None:
    user, key = app.new_user(100), uuid4()
    call = generation(user, key, by=user)
    others_claim = (
        "insert into public.idempotency_log (user_id, idempotency_key, created_at, expires_at,"
        " operation_type, request_hash, response_data)"
        " values (%s, %s, now(), now() + interval '1 day', '', '', '{}')",
        (user, key),
    )
    found = results(race(app.url, [call] * 64, others_claim))

    assert Counter(r.pop("replayed") for r in found) == {False: 1, True: 63}
    assert all(r == found[0] for r in found)
    assert found[0]["job_id"] == str(app.value("select job_id from public.video_jobs"))
    assert app.credits(user) == 100 - COST


def test_more_generations_than_credits(app: App) -> None:
    user = app.new_user(10 * COST)
    calls = [generation(user, by=user) for _ in range(64)]
    outcomes = race(app.url, calls, hold_row("public.users", "id = %s", user))

    assert Counter((o.sqlstate, o.slug) for o in outcomes) == {
        (None, None): 10,
        ("PT402", "insufficient_credits"): 54,
    }
    assert app.value("select count(*) from public.video_jobs where user_id = %s", user) == 10
    assert app.value("select count(job_id) from public.idempotency_log") == 10
    assert app.credits(user) == 0


def test_one_key_for_different_requests(app: App) -> None:
    user, key = app.new_user(100), uuid4()
    calls = [
        Call("generate_video_atomic", (*generation(user, key).args[:2], prompt, "{}", key), user)
        for prompt in ("a cat", "a dog") * 8
    ]
    outcomes = race(app.url, calls, hold_table("public.idempotency_log"))

    assert Counter(o.slug for o in outcomes) == {None: 8, "idempotency_key_reused": 8}
    assert Counter(o.result["replayed"] for o in outcomes if o.result) == {False: 1, True: 7}
    assert app.credits(user) == 100 - COST


def test_an_expired_key_against_the_clean_up(app: App) -> None:
    for _ in range(ROUNDS):
        user, key = app.new_user(100), uuid4()
        first = generation(user, key)(app.login)
        expire(app, key)
        tasks = [generation(user, key, by=user)] * 16 + [clean_up] * 8
        random.shuffle(tasks)
        outcomes = results(race(app.url, tasks, hold_table("public.idempotency_log")))
        answers = [r for r in outcomes if isinstance(r, dict)]

        assert Counter(r["replayed"] for r in answers) == {False: 1, True: 15}
        assert {r["job_id"] for r in answers}.isdisjoint({first["job_id"]})
        assert len({r["job_id"] for r in answers}) == 1
        assert app.credits(user) == 100 - 2 * COST


def test_an_expired_key_that_is_replaced_between_the_look_and_the_delete(app: App) -> None:
    """The row that is deleted is not the one that was seen, and it is not expired."""
    user, key = app.new_user(100), uuid4()
    call = Call("add_credits", (user, 5, "promo_grant", key))
    call(app.login)
    expire(app, key)
    with (
        psycopg.connect(app.url, autocommit=True) as caller,
        ThreadPoolExecutor(1) as pool,
        psycopg.connect(app.url) as referee,
    ):
        referee.execute("set local role rendio_owner")
        # Readers pass, so what waits is the delete.
        referee.execute("lock table public.idempotency_log in share mode")
        running = pool.submit(outcome_of, call, caller)
        wait_until_waiting(app.login, [caller], [running])
        assert call(referee)["replayed"] is False
        referee.commit()
        (late,) = results([running.result()])

    assert late["replayed"] is True
    assert app.credits(user) == 100 + 2 * 5


def test_the_clean_up_passes_by_a_key_that_is_being_replaced(app: App) -> None:
    user, keys = app.new_user(100), [uuid4(), uuid4()]
    for key in keys:
        generation(user, key)(app.login)
    app.set_clock("clock_timestamp() + interval '25 hours'")
    with psycopg.connect(app.url) as caller:
        caller.execute("select")  # the call must not commit by itself
        assert generation(user, keys[0])(caller)["replayed"] is False
        app.login.execute("set lock_timeout = '10ms'")
        assert clean_up(app.login) == 2  # the other one, and the one that gave the credits
        caller.commit()
    assert app.value("select idempotency_key from public.idempotency_log") == keys[0]


# --- jobs -----------------------------------------------------------------------------------------


def completion(provider_job: str) -> Call:
    return Call("complete_video_job", ("fal", provider_job, "https://v/1.mp4", None, str(uuid4())))


def failure(provider_job: str) -> Call:
    return Call("fail_video_job", ("fal", provider_job, "it broke", str(uuid4())))


@pytest.mark.parametrize("first", ["complete", "fail", "any"])
def test_complete_against_fail(app: App, first: str) -> None:
    """Waiters on a row are served in the order in which they came, so both ends are seen."""
    user = app.new_user(100)
    job, provider_job = app.submit(user)
    tasks = [completion(provider_job) for _ in range(8)]
    tasks += [failure(provider_job) for _ in range(8)]
    if first == "fail":
        tasks.reverse()
    elif first == "any":
        random.shuffle(tasks)
    held = hold_row("public.provider_jobs", "provider_job_id = %s", provider_job)
    found = results(race(app.url, tasks, held))

    status, _ = app.status(user, job)
    assert Counter(r["replayed"] for r in found) == {False: 1, True: 15}
    assert {r["status"] for r in found} == {status}
    refund = [] if status == "completed" else ["generation_failed_refund"]
    assert app.reasons(user, job) == ["video_generation", *refund]
    assert app.credits(user) == 100 - (COST if status == "completed" else 0)
    assert app.value("select count(*) from public.webhook_events") == 16
    if first != "any":
        assert status == {"complete": "completed", "fail": "failed"}[first]


def test_sweep_against_webhook(app: App) -> None:
    ends = set()
    for _ in range(ROUNDS):
        user = app.new_user(100)
        job, provider_job = app.submit(user)
        app.owner.execute(
            "update public.video_jobs set times_out_at = now() where job_id = %s", [job]
        )
        tasks = [completion(provider_job)] * 4 + [failure(provider_job)] * 4 + [sweep] * 8
        random.shuffle(tasks)
        results(race(app.url, tasks, hold_table("public.video_jobs")))

        end = app.status(user, job)
        ends.add(end)
        refund = [] if end[0] == "completed" else ["generation_failed_refund"]
        assert app.reasons(user, job) == ["video_generation", *refund]
        assert app.credits(user) == 100 - (COST if end[0] == "completed" else 0)
    assert ends <= {("completed", None), ("failed", "provider_error"), ("failed", "timed_out")}


def test_a_webhook_waits_for_the_sweep_that_has_its_job(app: App) -> None:
    user = app.new_user(100)
    job, provider_job = app.submit(user)
    app.set_clock("clock_timestamp() + interval '31 minutes'")
    with psycopg.connect(app.url) as sweeper, ThreadPoolExecutor(8) as pool:
        assert sweep(sweeper) == 1
        sessions = [psycopg.connect(app.url, autocommit=True) for _ in range(8)]
        running = [pool.submit(outcome_of, completion(provider_job), s) for s in sessions]
        try:
            wait_until_waiting(app.login, sessions, running)
        finally:
            sweeper.commit()
        found = results([f.result() for f in running])
        for session in sessions:
            session.close()

    assert {(r["status"], r["credits_refunded"], r["replayed"]) for r in found} == {
        ("failed", COST, True)
    }
    assert app.status(user, job) == ("failed", "timed_out")
    assert app.value("select outcome from public.provider_jobs") == "succeeded"


def test_the_sweep_passes_by_what_a_webhook_has(app: App) -> None:
    user = app.new_user(100)
    job, provider_job = app.submit(user)
    app.set_clock("clock_timestamp() + interval '31 minutes'")
    with psycopg.connect(app.url) as webhook:
        webhook.execute("select")  # the call must not commit by itself
        completion(provider_job)(webhook)
        app.login.execute("set lock_timeout = '10ms'")
        assert sweep(app.login) == 0
        webhook.commit()
    assert app.status(user, job) == ("completed", None)


def test_eight_workers_claim_each_job_once(app: App) -> None:
    user = app.new_user(200)
    jobs = {str(app.generate(user)) for _ in range(40)}
    calls = [Call("claim_video_jobs", (f"worker {n}", 5)) for n in range(8)]
    found = results(race(app.url, calls, hold_table("public.video_jobs")))
    claimed = [job["job_id"] for r in found for job in r["jobs"]]

    assert len(claimed) == len(set(claimed))
    assert {job["attempt"] for r in found for job in r["jobs"]} <= {1}
    rest = app.call("claim_video_jobs", "last worker", 100)["jobs"]
    assert jobs == {*claimed, *(job["job_id"] for job in rest)}
    assert app.value("select max(attempt) from public.video_jobs") == 1


def test_a_worker_passes_by_what_another_is_claiming(app: App) -> None:
    user = app.new_user(100)
    jobs = [str(app.generate(user)) for _ in range(2)]
    with psycopg.connect(app.url) as other:
        other.execute("select")  # the call must not commit by itself
        (first,) = Call("claim_video_jobs", ("other worker", 1))(other)["jobs"]
        app.login.execute("set lock_timeout = '10ms'")
        (second,) = app.call("claim_video_jobs", "worker")["jobs"]
    assert [first["job_id"], second["job_id"]] == jobs


def test_eight_workers_on_one_ended_lease(app: App) -> None:
    user = app.new_user(100)
    job = app.generate(user)
    app.call("claim_video_jobs", "late worker")
    app.set_clock("clock_timestamp() + interval '3 minutes'")
    calls = [Call("claim_video_jobs", (f"worker {n}",)) for n in range(8)]
    found = results(race(app.url, calls, hold_table("public.video_jobs")))

    assert [(j["job_id"], j["attempt"]) for r in found for j in r["jobs"]] == [(str(job), 2)]
    late = app.call("start_video_job", user, job, "fal-late", 1)
    assert (late["current"], late["attempt"]) == (False, 2)


def test_eight_starts_of_one_submission(app: App) -> None:
    user = app.new_user(100)
    job = app.generate(user)
    calls = [Call("start_video_job", (user, job, "fal-one"))] * 8
    found = results(race(app.url, calls, hold_table("public.provider_jobs")))

    assert all(r == found[0] for r in found)
    assert (found[0]["status"], found[0]["current"]) == ("processing", True)
    assert app.value("select count(*) from public.provider_jobs") == 1


def test_cancel_against_claim(app: App) -> None:
    for _ in range(ROUNDS):
        user = app.new_user(100)
        job = app.generate(user)
        cancel = Call("cancel_video_job", (user, job), user)
        tasks = [cancel] * 8 + [Call("claim_video_jobs", ("worker",))] * 8
        random.shuffle(tasks)
        outcomes = race(app.url, tasks, hold_table("public.video_jobs"))
        claims = [j for o in outcomes if o.result for j in o.result.get("jobs", [])]

        if claims:
            assert [j["job_id"] for j in claims] == [str(job)]
            slugs = Counter(o.slug for o in outcomes)
            assert slugs == {None: 8, "invalid_transition": 8}
            assert app.status(user, job) == ("pending", None)
            app.call("refund_video_job", user, job)
        else:
            cancels = [r for r in results(outcomes) if "replayed" in r]
            assert Counter(r["replayed"] for r in cancels) == {False: 1, True: 7}
            assert app.status(user, job) == ("failed", "cancelled")
        assert only_entry(app.reasons(user, job)) == "generation_failed_refund"
        assert app.credits(user) == 100


def test_refund_against_complete(app: App) -> None:
    for _ in range(ROUNDS):
        user = app.new_user(100)
        job, provider_job = app.submit(user)
        tasks = [Call("refund_video_job", (user, job))] * 8 + [completion(provider_job)] * 8
        random.shuffle(tasks)
        outcomes = race(app.url, tasks, hold_table("public.video_jobs"))

        if app.status(user, job)[0] == "completed":
            assert Counter(o.slug for o in outcomes) == {None: 8, "job_not_refundable": 8}
            assert app.reasons(user, job) == ["video_generation"]
            assert app.credits(user) == 100 - COST
        else:
            assert Counter(r["replayed"] for r in results(outcomes)) == {False: 1, True: 15}
            assert only_entry(app.reasons(user, job)) == "generation_failed_refund"
            assert app.credits(user) == 100


# --- accounts and purchases -----------------------------------------------------------------------


def test_two_first_calls_of_one_device(app: App) -> None:
    calls = [Call("device_check", (None, "one phone"))] * 16
    found = results(race(app.url, calls, hold_table("public.account_identities")))

    assert len({r["user_id"] for r in found}) == 1
    assert Counter(r["is_new"] for r in found) == {True: 1, False: 15}
    assert {r["credits_remaining"] for r in found} == {10}
    assert app.value("select count(*) from public.users") == 1
    assert app.value("select count(*) from public.quota_log") == 1


def test_one_user_on_two_new_devices(app: App) -> None:
    user = uuid4()
    calls = [Call("device_check", (user, f"device {n % 2}")) for n in range(16)]
    found = results(race(app.url, calls, hold_table("public.account_identities")))

    assert {r["user_id"] for r in found} == {str(user)}
    assert Counter(r["is_new"] for r in found) == {True: 1, False: 15}
    assert {r["credits_remaining"] for r in found} == {10}
    assert app.credits(user) == 10
    assert app.value("select count(*) from public.quota_log") == 1


def test_one_device_for_many_new_users(app: App) -> None:
    """The grant is the device's, whoever comes first."""
    users = [uuid4() for _ in range(16)]
    calls = [Call("device_check", (user, "one phone")) for user in users]
    found = results(race(app.url, calls, hold_table("public.account_identities")))

    assert [r["user_id"] for r in found] == [str(user) for user in users]
    assert Counter(r["credits_remaining"] for r in found) == {10: 1, 0: 15}


def test_one_purchase_reported_sixteen_times(app: App) -> None:
    user = app.new_user(10)
    args = (user, "app_store", "Production", "2000000123", "credits_50")
    calls = [Call("record_iap_purchase", args)] * 16
    found = results(race(app.url, calls, hold_table("public.iap_transactions")))

    assert Counter(r["replayed"] for r in found) == {False: 1, True: 15}
    assert {(r["credits_added"], r["credits_remaining"]) for r in found} == {(50, 60)}


def test_one_purchase_reported_for_two_users(app: App) -> None:
    users = [app.new_user(10), app.new_user(10)]
    purchase = ("app_store", "Production", "2000000123", "credits_50")
    calls = [Call("record_iap_purchase", (users[n % 2], *purchase)) for n in range(16)]
    outcomes = race(app.url, calls, hold_table("public.iap_transactions"))

    assert Counter(o.slug for o in outcomes) == {None: 8, "purchase_belongs_to_another_user": 8}
    assert sorted(app.credits(user) for user in users) == [10, 60]


def test_sandbox_purchases_at_once_stay_under_the_cap(app: App) -> None:
    user = app.new_user(10)
    calls = [
        Call("record_iap_purchase", (user, "app_store", "Sandbox", f"s{n}", "credits_20"))
        for n in range(16)
    ]
    found = results(race(app.url, calls, hold_row("public.users", "id = %s", user)))

    assert sum(r["credits_added"] for r in found) == 100
    assert app.credits(user) == 110


def test_the_settling_passes_by_a_user_who_is_busy(app: App) -> None:
    soon = app.value("select now() + interval '1 hour'")
    busy, *_ = users = [app.new_user(10) for _ in range(3)]
    for user in users:
        app.call("add_credits", user, 5, "promo_grant", uuid4(), soon)
    app.set_clock("clock_timestamp() + interval '2 hours'")
    app.login.execute("set lock_timeout = '10ms'")
    with psycopg.connect(app.url) as holder:
        holder.execute("set local role rendio_owner")
        holder.execute(*hold_row("public.users", "id = %s", busy))
        assert settle(app.login) == 2
        assert [app.credits(user) for user in users] == [15, 10, 10]
    assert settle(app.login) == 1
    assert app.credits(busy) == 10


# --- partitions -----------------------------------------------------------------------------------


def months_later(app: App, months: int) -> None:
    app.set_clock(f"clock_timestamp() + interval '{months} months'")


def test_ensure_partitions_behind_a_reader_stops_no_sale(app: App) -> None:
    user = app.new_user(200)
    months_later(app, 2)  # two of the three months ahead are missing by then
    with (
        psycopg.connect(app.url) as reader,
        psycopg.connect(app.url) as manager,
        ThreadPoolExecutor(1) as pool,
    ):
        reader.execute("set role rendio_owner")
        reader.execute("select count(*) from public.quota_log")
        running = pool.submit(ensure_partitions, manager)
        wait_until_waiting(app.login, [manager], [running])
        seller = psycopg.connect(app.url, autocommit=True)
        seller.execute("set lock_timeout = '1ms'")
        for _ in range(8):
            assert generation(user)(seller)["replayed"] is False
        assert waiting(app.login, [manager.info.backend_pid]) == 1
        seller.close()
        assert running.result() == 0
        reader.rollback()
        assert ensure_partitions(manager) == 2


def test_sales_of_a_month_that_gets_its_partition_at_this_moment(app: App) -> None:
    """They had chosen the default partition and find that their month has left it."""
    users = [app.new_user(100) for _ in range(8)]
    months_later(app, 7)
    app.generate(users[0])
    with psycopg.connect(app.url) as manager, ThreadPoolExecutor(8) as pool:
        assert ensure_partitions(manager) == 4
        sessions = [psycopg.connect(app.url, autocommit=True) for _ in users]
        running = [
            pool.submit(outcome_of, generation(user), session)
            for user, session in zip(users, sessions, strict=True)
        ]
        try:
            wait_until_waiting(app.login, sessions, running)
        finally:
            manager.commit()
        results([f.result() for f in running])
        for session in sessions:
            session.close()
    assert app.value("select count(*) from rendio.quota_log_default") == 0


def test_partitions_are_made_once(app: App) -> None:
    """By whoever comes first: apply and cron can meet."""
    months_later(app, 2)
    outcomes = race(app.url, [ensure_partitions] * 8, hold_table("rendio.partition_policies"))
    assert Counter(results(outcomes)) == {2: 1, 0: 7}


# --- everything at once ---------------------------------------------------------------------------


class Shift:
    """A worker of the mixed load: some hundred calls on few users, chosen by a seeded die."""

    def __init__(self, number: int, users: list[UUID], running: list[tuple[UUID, UUID, str]]):
        self.die = random.Random(number)
        self.users = users
        self.running = running  # submissions of all workers
        self.outcomes: list[Outcome] = []

    def work(self, url: str, start: threading.Barrier) -> None:
        steps = [self.generate] * 4 + [
            self.claim_and_start, self.finish, self.cancel, self.refund, self.purchase,
            self.arrive, self.read, self.maintain,
        ]  # fmt: skip
        with psycopg.connect(url, autocommit=True) as conn:
            start.wait()
            for _ in range(120):
                self.do(conn, self.die.choice(steps)(conn))

    def do(self, conn: Connection, task: Any) -> Outcome:
        outcome = outcome_of(task, conn)
        self.outcomes.append(outcome)
        return outcome

    def generate(self, conn: Connection) -> Call:
        user = self.die.choice(self.users)
        return generation(user, UUID(int=self.die.randrange(40)), by=user)

    def claim_and_start(self, conn: Connection) -> Call:
        claimed = self.do(conn, Call("claim_video_jobs", ("worker", 3, "1 millisecond")))
        for job in claimed.result["jobs"] if claimed.result else []:
            start = (UUID(job["user_id"]), UUID(job["job_id"]), f"fal-{uuid4()}")
            self.running.append(start)
            self.do(conn, Call("start_video_job", (*start, job["attempt"])))
            if self.die.random() < 0.5:  # else the sweep gets it, or a webhook that comes later
                self.do(conn, self.die.choice([completion, failure])(start[2]))
        return Call("get_models")

    def finish(self, conn: Connection) -> Call:
        if not self.running:
            return Call("get_models")
        _, _, provider_job = self.die.choice(self.running)
        return self.die.choice([completion, failure])(provider_job)

    def cancel(self, conn: Connection) -> Call:
        user, job = self.some_job(conn)
        return Call("cancel_video_job", (user, job), user)

    def refund(self, conn: Connection) -> Call:
        return Call("refund_video_job", self.some_job(conn))

    def some_job(self, conn: Connection) -> tuple[UUID, UUID]:
        user = self.die.choice(self.users)
        jobs = Call("get_video_jobs", (user,), user)(conn)["jobs"]
        return user, UUID(self.die.choice(jobs)["job_id"]) if jobs else uuid4()

    def purchase(self, conn: Connection) -> Call:
        n = self.die.randrange(30)
        args = (self.users[n % len(self.users)], "app_store", "Production", f"t{n}", "credits_20")
        return Call("record_iap_purchase", args)

    def arrive(self, conn: Connection) -> Call:
        return Call("device_check", (None, f"device {self.die.randrange(10)}"))

    def read(self, conn: Connection) -> Call:
        user = self.die.choice(self.users)
        return Call(self.die.choice(["get_credit_history", "get_user_credits"]), (user,), user)

    def maintain(self, conn: Connection) -> Any:
        if self.die.random() < 0.2:
            return ensure_partitions
        return self.die.choice([sweep, clean_up])


def test_mixed_load_meets_no_deadlock_and_keeps_the_books(app: App) -> None:
    """Jobs time out at once and leases end at once, so that every end of a job competes."""
    app.owner.execute("update public.models set timeout = '1 microsecond'")
    users = [app.new_user(100) for _ in range(4)]
    running: list[tuple[UUID, UUID, str]] = []
    shifts = [Shift(number, users, running) for number in range(8)]
    start = threading.Barrier(len(shifts))
    with ThreadPoolExecutor(len(shifts)) as pool:
        for done in [pool.submit(shift.work, app.url, start) for shift in shifts]:
            done.result()

    ends = Counter(outcome.sqlstate for shift in shifts for outcome in shift.outcomes)
    assert set(ends) <= {None, "PT402", "PT404", "PT409", "PT422"}, ends
    query = "select error_code from public.video_jobs where status in ('completed', 'failed')"
    codes = {code for (code,) in app.owner.execute(query)}
    assert len(codes) >= 4, "too few of the five ends were met to call this a load"
