"""Transactions over many users, in the order of their ids, among all that takes several rows.

That the plan's batches lock each other out is shown with defect 2.33, in known_defects/.
"""

import random
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import cycle
from threading import Barrier, Event
from uuid import UUID, uuid4

import psycopg
import pytest
from races import wait_until_waiting
from rpc import App, Call, generation, outcome_of
from steps import Upkeep

pytestmark = [pytest.mark.once, pytest.mark.shapeless, pytest.mark.thorough]

SEED = 20261121
BATCH = 25
BATCHES = 10  # of each connection that makes them
PEOPLE, ACCOUNTS = 80, 20
HOUR = 3600  # times as fast as the server's clock is the one of the calls

# As the hours pass, keys end, jobs come to be of the archive, and credits and jobs expire.
STAGGER = (
    "update public.idempotency_log as l set expires_at = created_at + interval '2 minutes' * n.n"
    " from (select user_id, idempotency_key, row_number() over () as n"
    " from public.idempotency_log) as n"
    " where (l.user_id, l.idempotency_key) = (n.user_id, n.idempotency_key)",
    "update public.video_jobs as j"
    " set completed_at = now() - interval '90 days' + interval '4 minutes' * n.n,"
    " times_out_at = now() - interval '90 days' + interval '4 minutes' * n.n"
    " from (select job_id, row_number() over () as n from public.video_jobs"
    " where status = 'completed') as n where j.job_id = n.job_id",
)
UPKEEP = ("sweep_stuck_jobs", "settle_expired_credits", "archive_jobs", "cleanup_idempotency_log")

Work = Iterator[list[Call]]  # for one connection: the calls of one transaction, and the next
Ends = Counter[tuple[str | None, str]]  # how calls ended: SQLSTATE, and what the server said


def credit(user: UUID, amount: int = 5) -> Call:
    return Call("add_credits", (user, amount, "admin_adjustment", uuid4()))


def sign_in(guest: UUID, apple: str = "apple") -> Call:
    return Call("link_apple_account", (guest, apple))


class Crowd:
    """People, and what is done to them at once: the works of connections."""

    def __init__(self, app: App) -> None:
        people = [app.new_user(20) for _ in range(PEOPLE)]
        self.everybody = sorted(people)
        self.accounts = {f"apple {n}": people[n] for n in range(ACCOUNTS)}
        self.guests = people[ACCOUNTS:]
        self.die = random.Random(SEED)
        for apple, account in self.accounts.items():
            sign_in(account, apple)(app.login)
        soon = "select now() + interval '1 minute' * %s"
        for n, person in enumerate(people):
            ends_at = app.value(soon, 10 + 4 * n)
            # More than the jobs take, so that some are left to expire.
            app.call("add_credits", person, 40, "promo_grant", uuid4(), ends_at)
            _, ended = app.submit(person)
            app.call("complete_video_job", "fal", ended, "https://v")
            app.submit(person)
        for statement in STAGGER:
            app.owner.execute(statement)

    def batches(self, number: int) -> Work:
        """Charge and credit 25 users, with keys that another batch may have in hand."""
        die = random.Random(SEED + number)
        for _ in range(BATCHES):
            users = sorted(die.sample(self.everybody, BATCH))
            keys = [UUID(int=die.randrange(8)) for _ in users]
            calls = [
                (generation(user, key), credit(user, die.choice([4, 5, -3])))
                for user, key in zip(users, keys, strict=True)
            ]
            yield [call for pair in calls for call in pair]

    def upkeep(self) -> Work:
        for function in cycle(UPKEEP):
            time.sleep(0.002)
            yield [Upkeep(function)]

    def sign_ins(self) -> Work:
        while self.guests:
            yield [sign_in(self.guests.pop(), self.die.choice(list(self.accounts)))]

    def deletions(self) -> Work:
        for account in list(self.accounts.values())[::2]:
            yield [Call("delete_account", (account,))]


def at_once(url: str, works: Sequence[Work]) -> Ends:
    """Do works on a connection each, a list a transaction, until the first has ended.

    Returns how the calls ended: by SQLSTATE, with what the server said of it.
    """
    begin, over = Barrier(len(works)), Event()

    def do(work: Work) -> Ends:
        ends: Ends = Counter()
        with psycopg.connect(url, autocommit=True) as conn:
            begin.wait()
            for calls in work:
                with conn.transaction():
                    for call in calls:
                        outcome = outcome_of(call, conn)
                        ends[outcome.sqlstate, outcome.slug or ""] += 1
                if over.is_set():
                    break
        return ends

    with ThreadPoolExecutor(len(works)) as pool:
        running = [pool.submit(do, work) for work in works]
        try:
            running[0].result()
        finally:
            over.set()
        return sum((future.result() for future in running), Counter())


@pytest.fixture
def app(db: str) -> Iterator[App]:
    with App(db) as app:
        yield app
        assert app.discrepancies(swept=False) == []


REFUSALS = {None, "PT402", "PT404", "PT409", "PT422"}


def meet(app: App, *company: str) -> None:
    """Let batches on three connections meet the crowd's works of these names on five."""
    crowd = Crowd(app)
    begin = app.value("select clock_timestamp()")
    app.set_clock(f"clock_timestamp() + {HOUR} * (clock_timestamp() - '{begin}'::timestamptz)")
    works = [crowd.batches(n) for n in range(3)] + [getattr(crowd, name)() for name in company]
    ends = at_once(app.url, works)

    assert {sqlstate for sqlstate, _ in ends} <= REFUSALS, (SEED, ends)
    for work_of_upkeep in (
        "public.video_jobs where error_code = 'timed_out'",
        "public.video_jobs_archive",
        "public.quota_log where lot_seq is not null",  # what expired
    ):
        assert app.value(f"select exists (select from {work_of_upkeep})"), work_of_upkeep


def test_batches_among_upkeep_and_deletions(app: App) -> None:
    meet(app, "upkeep", "upkeep", "upkeep", "upkeep", "deletions")


def test_batches_among_upkeep_deletions_and_sign_ins(app: App) -> None:
    meet(app, "upkeep", "upkeep", "sign_ins", "sign_ins", "deletions")


# --- those that take a guest's row and then an account's ------------------------------------------


def test_a_batch_meets_a_sign_in_to_an_account_before_its_guest(app: App) -> None:
    account, guest = sorted_people(app)
    sign_in(account)(app.login)
    assert_no_deadlock(app, [credit(account), credit(guest)], sign_in(guest))


def test_a_batch_meets_a_sign_in_to_an_account_after_its_guest(app: App) -> None:
    guest, account = sorted_people(app)
    sign_in(account)(app.login)
    assert_no_deadlock(app, [credit(guest), credit(account)], sign_in(guest))


@pytest.mark.parametrize("rpc", ["refund_video_job", "delete_account"])
def test_a_batch_meets_what_follows_a_guest_to_an_account_before_it(app: App, rpc: str) -> None:
    account, guest = sorted_people(app)
    job = app.generate(guest)
    for person in (account, guest):
        sign_in(person)(app.login)
    args = (guest, job) if rpc == "refund_video_job" else (account,)
    assert_no_deadlock(app, [credit(account), credit(guest)], Call(rpc, args))


def sorted_people(app: App) -> list[UUID]:
    return sorted(app.new_user(10) for _ in range(2))


def assert_no_deadlock(app: App, batch: list[Call], call: Call) -> None:
    """Let a call run into a batch after the batch's first call."""
    with (
        psycopg.connect(app.url) as batching,
        psycopg.connect(app.url, autocommit=True) as calling,
        ThreadPoolExecutor(1) as pool,
    ):
        batching.execute("select")  # one transaction
        ends = [outcome_of(batch[0], batching)]
        running = pool.submit(outcome_of, call, calling)
        try:
            wait_until_waiting(app.owner, [calling], [running])
            ends += [outcome_of(later, batching) for later in batch[1:]]
        finally:
            batching.commit()
        ends.append(running.result())
    assert {end.sqlstate for end in ends} <= REFUSALS, ends
