"""What a store says of a purchase, while the buyer buys, spends, signs in or leaves.

Two ways to meet, and both are seen to be one: in turn, where a call waits for another that has not
committed, so that each order has its test; and at once (races.py). In either nobody is told to
repeat, and the books agree.
"""

import random
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from threading import Barrier
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from races import Task, hold_row, race, wait_until_waiting
from rpc import COST, App, Call, Connection, Outcome, generation, outcome_of

pytestmark = pytest.mark.shapeless

EARLIER = datetime(2026, 3, 1, tzinfo=UTC)
LATER = EARLIER + timedelta(days=1)
BOTH_ORDERS = pytest.mark.parametrize("turn", [1, -1], ids=["in this order", "in the other"])


# --- calls ----------------------------------------------------------------------------------------


def purchase(user: UUID, transaction: str, product: str = "credits_20") -> Call:
    return Call("record_iap_purchase", (user, "app_store", "Production", transaction, product))


def notice(type_: str, transaction: str, at: datetime | None = None, **payload: object) -> Call:
    """Return the call of a notification with an id of its own; calling it again repeats it."""
    args = ("app_store", "Production", str(uuid4()), type_, transaction, payload, at)
    return Call("apply_store_notification", args)


def refund(transaction: str, at: datetime | None = None) -> Call:
    return notice("REFUND", transaction, at)


def reversal(transaction: str, at: datetime | None = None) -> Call:
    return notice("REFUND_REVERSED", transaction, at)


def charge(user: UUID, transaction: str) -> Call:
    return notice("ONE_TIME_CHARGE", transaction, productId="credits_20", appAccountToken=str(user))


def link(guest: UUID, sub: str) -> Call:
    return Call("link_apple_account", (guest, sub))


# --- meetings -------------------------------------------------------------------------------------


def in_turn(app: App, first: Call, second: Call) -> tuple[Outcome, Outcome]:
    """Make the second call while the first has done its work and not committed."""
    with psycopg.connect(app.url) as one, psycopg.connect(app.url, autocommit=True) as other:
        one.execute("select")  # the call must not commit by itself
        ended = outcome_of(first, one)
        with ThreadPoolExecutor(1) as pool:
            running = pool.submit(outcome_of, second, other)
            try:
                wait_until_waiting(app.login, [other], [running])
            finally:
                one.commit()
            return ended, running.result()


def meet(app: App, turn: int, *calls: Call) -> list[Any]:
    """Make two calls in turn, in one order or the other; return their results as given."""
    outcomes = in_turn(app, *calls[::turn])
    return results(outcomes[::turn])


def results(outcomes: Sequence[Outcome]) -> list[Any]:
    """Return the results of calls none of which may have failed."""
    assert [o for o in outcomes if o.sqlstate] == []
    return [o.result for o in outcomes]


Held = tuple[str, tuple[object, ...]]  # what the referee of a race does


def row_of(user: UUID) -> Held:
    return hold_row("public.users", "id = %s", user)


def claim_of(transaction: str) -> Held:
    return hold_row("public.iap_transactions", "transaction_id = %s", transaction)


def first_claim_of(transaction: str) -> Held:
    """Claim a transaction that nobody has named, and give it up again."""
    return (
        "insert into public.iap_transactions (store, environment, transaction_id, created_at)"
        " values ('app_store', 'Production', %s, now())",
        (transaction,),
    )


def first_claim_of_notice(call: Call) -> Held:
    return (
        "insert into public.store_notifications (store, environment, notification_id, type,"
        " payload, occurred_at, received_at, action)"
        " values ('app_store', 'Production', %s, 'REFUND', '{}', now(), now(), 'waiting')",
        (call.args[2],),
    )


# --- people ---------------------------------------------------------------------------------------


def buyer(app: App, product: str = "credits_20", *, spent: int = 0) -> tuple[UUID, str]:
    """Create a guest who has nothing but what is left of one purchase."""
    user, transaction = app.new_user(0), str(uuid4())
    purchase(user, transaction, product)(app.login)
    if spent:
        app.call("add_credits", user, -spent, "admin_adjustment", uuid4())
    return user, transaction


def debtor(app: App, owed: int) -> UUID:
    """Create a guest who owes so much of a purchase of 50, and has nothing."""
    user, transaction = buyer(app, "credits_50", spent=owed)
    refund(transaction)(app.login)
    assert balance(app, user) == (0, owed)
    return user


def balance(app: App, user: UUID) -> tuple[int, int]:
    """Return what a user has, and what it owes."""
    found = app.call("get_user_credits", user)
    return found["credits_remaining"], found["credits_owed"]


def entries(app: App, user: UUID) -> Counter[str]:
    """Return the sum of a user's ledger entries by reason."""
    query = "select reason, sum(change)::int from public.quota_log where user_id = %s group by 1"
    return Counter(dict(app.owner.execute(query, [user]).fetchall()))


def debt(app: App, user: UUID) -> tuple[int, int, str]:
    """Return of a user's one revoked purchase what was revoked, what taken, and the policy."""
    query = """
        select revoked, recovered + repaid, policy
        from public.purchase_revocations
        where user_id = %s
    """
    (row,) = app.owner.execute(query, [user]).fetchall()
    return row


# --- a refund, and the same once more -------------------------------------------------------------


def test_one_refund_notified_sixteen_times(app: App) -> None:
    user, transaction = buyer(app, "credits_50")
    call = refund(transaction)
    found = results(race(app.url, [call] * 16, first_claim_of_notice(call)))

    assert Counter(r["replayed"] for r in found) == {False: 1, True: 15}
    assert {(r["action"], r["credits_changed"], r["credits_remaining"]) for r in found} == {
        ("revoked", -50, 0)
    }
    assert entries(app, user)["iap_refund"] == -50
    assert balance(app, user) == (0, 0)


def test_sixteen_refunds_of_one_purchase(app: App) -> None:
    """A store that repeats itself under new ids: a purchase is taken back once."""
    user, transaction = buyer(app, spent=5)
    tasks = [refund(transaction, EARLIER + timedelta(n)) for n in range(16)]
    found = results(race(app.url, tasks, claim_of(transaction)))

    assert sorted(r["credits_changed"] for r in found) == [-15, *[0] * 15]
    assert debt(app, user) == (20, 15, "debt")


@BOTH_ORDERS
@pytest.mark.parametrize("last", ["refund", "reversal"])
def test_a_refund_meets_its_reversal(app: App, turn: int, last: str) -> None:
    """The later by the store's clock holds, whichever comes first."""
    user, transaction = buyer(app, spent=4)
    at = {"refund": EARLIER, "reversal": EARLIER} | {last: LATER}
    refunded, reversed_ = meet(
        app, turn, refund(transaction, at["refund"]), reversal(transaction, at["reversal"])
    )

    first = "refund" if turn == 1 else "reversal"
    assert refunded["action"] == ("outdated" if first == last == "reversal" else "revoked")
    assert reversed_["action"] == ("outdated" if first == last == "refund" else "reversed")
    assert balance(app, user) == ((0, 4) if last == "refund" else (16, 0))


def test_refunds_and_reversals_at_once(app: App) -> None:
    user, transaction = buyer(app, "credits_50", spent=30)
    days = [EARLIER + timedelta(n) for n in range(16)]
    tasks = [(refund, reversal)[n % 2](transaction, at) for n, at in enumerate(days)]
    results(race(app.url, tasks[::-1], claim_of(transaction)))

    assert balance(app, user) == (20, 0)
    last = refund(transaction, LATER + timedelta(16))(app.login)
    assert (last["credits_changed"], balance(app, user)) == (-20, (0, 30))


# --- a refund, and its purchase -------------------------------------------------------------------


@BOTH_ORDERS
def test_a_refund_meets_the_report_of_its_purchase(app: App, turn: int) -> None:
    """The purchase ends revoked; nobody need have heard of it before the refund."""
    user, transaction = app.new_user(7), str(uuid4())
    refunded, bought = meet(app, turn, refund(transaction), purchase(user, transaction))

    assert (refunded["action"], refunded["credits_changed"]) == (
        ("waiting", 0) if turn == 1 else ("revoked", -20)
    )
    assert (bought["credits_added"], bought["replayed"]) == (20, False)
    assert bought["credits_remaining"] == (7 if turn == 1 else 27)
    assert balance(app, user) == (7, 0)
    assert debt(app, user) == (20, 20, "debt")


def test_refunds_and_reports_of_one_purchase_at_once(app: App) -> None:
    user, transaction = app.new_user(0), str(uuid4())
    call = purchase(user, transaction)
    tasks = [task for n in range(8) for task in (call, refund(transaction))]
    found = results(race(app.url, tasks, first_claim_of(transaction)))

    bought = [(r["credits_added"], r["replayed"]) for r in found if "credits_added" in r]
    assert Counter(bought) == {(20, False): 1, (20, True): 7}
    assert entries(app, user)["iap_purchase"] == -entries(app, user)["iap_refund"] == 20
    assert balance(app, user) == (0, 0)


@BOTH_ORDERS
def test_a_charge_meets_the_report_of_its_purchase(app: App, turn: int) -> None:
    user, transaction = app.new_user(0), str(uuid4())
    charged, bought = meet(app, turn, charge(user, transaction), purchase(user, transaction))

    assert charged["action"] == ("credited" if turn == 1 else "already_credited")
    assert (bought["credits_added"], bought["replayed"]) == (20, turn == 1)
    assert balance(app, user) == (20, 0)


def test_charges_and_reports_of_one_purchase_at_once(app: App) -> None:
    user, transaction = app.new_user(0), str(uuid4())
    call = purchase(user, transaction)
    tasks = [task for n in range(8) for task in (call, charge(user, transaction))]
    found = results(race(app.url, tasks, first_claim_of(transaction)))

    by_charge = [r for r in found if r.get("action") == "credited"]
    by_report = [r for r in found if "credits_added" in r and not r["replayed"]]
    assert len(by_charge) + len(by_report) == 1
    assert entries(app, user)["iap_purchase"] == 20
    assert balance(app, user) == (20, 0)


# --- a refund, and what is done with the credits --------------------------------------------------


@BOTH_ORDERS
def test_a_refund_meets_the_last_generation(app: App, turn: int) -> None:
    """What was spent is owed, or it is not spent."""
    user, transaction = buyer(app, spent=20 - COST)
    outcomes = in_turn(app, *(refund(transaction), generation(user, by=user))[::turn])

    refunded, made = outcomes[::turn]
    assert refunded.sqlstate is None
    assert (made.sqlstate, made.slug) == (
        ("PT402", "insufficient_credits") if turn == 1 else (None, None)
    )
    assert debt(app, user) == (20, COST if turn == 1 else 0, "debt")
    assert balance(app, user) == (0, 20 - COST if turn == 1 else 20)


@pytest.mark.parametrize("place", [0, 3, 12])
def test_a_refund_among_more_generations_than_credits(app: App, place: int) -> None:
    user, transaction = buyer(app)
    tasks = [generation(user, by=user) for _ in range(12)]
    outcomes = race(app.url, [*tasks[:place], refund(transaction), *tasks[place:]], row_of(user))

    ends = Counter(o.slug for o in outcomes)
    made = ends[None] - 1
    assert ends == {None: made + 1, "insufficient_credits": 12 - made}
    assert made <= 20 // COST
    assert entries(app, user)["video_generation"] == -COST * made
    assert debt(app, user) == (20, 20 - COST * made, "debt")
    assert balance(app, user) == (0, COST * made)


@BOTH_ORDERS
def test_a_refund_meets_the_end_of_a_job_that_holds_its_credits(app: App, turn: int) -> None:
    """What the job gives back goes out again: taken with the rest, or as soon as it comes."""
    user, transaction = buyer(app)
    job = app.generate(user)
    end = Call("refund_video_job", (user, job))
    given_back, refunded = meet(app, turn, end, refund(transaction))

    assert given_back["credits_refunded"] == COST
    assert given_back["credits_remaining"] == (20 if turn == 1 else 0)
    assert refunded["credits_changed"] == (-20 if turn == 1 else COST - 20)
    assert entries(app, user)["iap_refund"] == -20
    assert balance(app, user) == (0, 0)


def test_refunds_of_jobs_and_of_their_purchase_at_once(app: App) -> None:
    user, transaction = buyer(app)
    jobs = [app.generate(user) for _ in range(20 // COST)]
    ends = [Call("refund_video_job", (user, job)) for job in jobs]
    tasks = [*ends[:2], refund(transaction), *ends[2:]] * 2
    found = results(race(app.url, tasks, row_of(user)))

    assert Counter(r["replayed"] for r in found) == {False: 6, True: 6}
    assert entries(app, user)["iap_refund"] == -20
    assert balance(app, user) == (0, 0)


# --- a refund, and who the buyer is ---------------------------------------------------------------


@BOTH_ORDERS
def test_a_refund_meets_the_sign_in_of_its_buyer(app: App, turn: int) -> None:
    """The credits are taken once, where they are, and what is missing is the account's to owe."""
    sub, account = str(uuid4()), app.new_user(10)
    link(account, sub)(app.login)
    guest, transaction = buyer(app, spent=4)
    refunded, linked = meet(app, turn, refund(transaction), link(guest, sub))

    assert (refunded["action"], refunded["credits_changed"]) == ("revoked", -16)
    assert refunded["credits_remaining"] == (0 if turn == 1 else 10)
    assert linked["credits_remaining"] == (10 if turn == 1 else 26)
    taken_from = guest if turn == 1 else account
    assert entries(app, taken_from)["iap_refund"] == -16
    assert entries(app, guest)["iap_refund"] + entries(app, account)["iap_refund"] == -16
    assert debt(app, account) == (20, 16, "debt")
    assert balance(app, account) == (10, 4)


def test_refunds_and_sign_ins_of_a_buyer_at_once(app: App) -> None:
    sub, account = str(uuid4()), app.new_user(10)
    link(account, sub)(app.login)
    guest, transaction = buyer(app, spent=4)
    tasks = [task for n in range(8) for task in (refund(transaction), link(guest, sub))]
    found = results(race(app.url, tasks, row_of(guest)))

    assert Counter(r["credits_changed"] for r in found if "action" in r) == {-16: 1, 0: 7}
    assert Counter(r["replayed"] for r in found if "user_id" in r) == {False: 1, True: 7}
    assert entries(app, guest)["iap_refund"] + entries(app, account)["iap_refund"] == -16
    assert debt(app, account) == (20, 16, "debt")
    assert balance(app, account) == (10, 4)


@BOTH_ORDERS
def test_a_refund_meets_the_deletion_of_its_buyer(app: App, turn: int) -> None:
    """What the store takes back of somebody gone is taken if it is there, and owed by nobody."""
    user, transaction = buyer(app, spent=4)
    refunded, _ = meet(app, turn, refund(transaction), Call("delete_account", (user,)))

    taken = 16 if turn == 1 else 0
    assert (refunded["action"], refunded["credits_changed"]) == ("revoked", -taken)
    assert debt(app, user) == (20, taken, "debt" if turn == 1 else "forgive")
    assert app.value("select rendio.credits_owed(%s)", user) == 0
    assert entries(app, user)["credit_expired"] == taken - 16
    assert app.credits(user) == 0


# --- what is owed ---------------------------------------------------------------------------------


@BOTH_ORDERS
def test_a_waiver_meets_the_purchase_that_would_pay(app: App, turn: int) -> None:
    user = debtor(app, 8)
    waiver = Call("waive_credit_debt", (user,))
    waived, bought = meet(app, turn, waiver, purchase(user, str(uuid4())))

    assert waived["credits_waived"] == (8 if turn == 1 else 0)
    assert waived["replayed"] == (turn == -1)
    left = 20 if turn == 1 else 12
    assert (bought["credits_added"], bought["credits_remaining"]) == (20, left)
    assert balance(app, user) == (left, 0)


def test_waivers_and_purchases_at_once(app: App) -> None:
    """What is waived is not paid, and what is paid is not waived."""
    user = debtor(app, 30)
    waiver = Call("waive_credit_debt", (user,))
    tasks = [purchase(user, str(uuid4())), *[waiver] * 4, *[purchase(user, str(uuid4()))] * 4]
    found = results(race(app.url, tasks, row_of(user)))

    waived = sum(r["credits_waived"] for r in found if "credits_waived" in r)
    assert waived in (0, 10)
    assert entries(app, user)["iap_refund"] == -20 - 30 + waived
    assert balance(app, user) == (40 - 30 + waived, 0)


@BOTH_ORDERS
def test_two_purchases_pay_one_debt(app: App, turn: int) -> None:
    user = debtor(app, 40)
    small, large = meet(
        app, turn, purchase(user, str(uuid4())), purchase(user, str(uuid4()), "credits_50")
    )

    assert (small["credits_added"], large["credits_added"]) == (20, 50)
    assert (small["credits_remaining"], large["credits_remaining"]) == (
        (0, 30) if turn == 1 else (30, 10)
    )
    assert balance(app, user) == (30, 0)


@pytest.mark.parametrize("policy", ["debt", "block"])
def test_eight_purchases_pay_one_debt_at_once(app: App, policy: str) -> None:
    setting = "update public.app_settings set value = to_jsonb(%s::text) where key = %s"
    app.owner.execute(setting, [policy, "refund_shortfall"])
    user = debtor(app, 50)
    app.owner.execute(setting, ["debt", "refund_shortfall"])
    tasks = [purchase(user, str(uuid4())) for _ in range(8)]
    results(race(app.url, tasks, row_of(user)))

    assert debt(app, user) == (50, 50, policy)
    assert entries(app, user)["iap_refund"] == -50
    assert balance(app, user) == (8 * 20 - 50, 0)
    app.generate(user)


def test_a_debtor_signs_in_to_an_account_that_is_being_deleted(app: App) -> None:
    account, sub = app.new_user(0), str(uuid4())
    link(account, sub)(app.login)
    guest = debtor(app, 20)
    held = hold_row("public.account_identities", "kind = 'apple' and identifier = %s", sub)
    calls = [Call("delete_account", (account,)), link(guest, sub)]
    _, linked = results(race(app.url, calls, held, fewest=2))
    assert linked["user_id"] == str(guest)
    assert balance(app, guest) == (0, 20)


def test_a_guest_s_refund_meets_the_deletion_of_its_account(app: App) -> None:
    """The account's own job, which nobody has claimed, is cancelled by the deletion."""
    account, (guest, transaction) = app.new_user(10), buyer(app)
    for person in (account, guest):
        link(person, transaction)(app.login)
    app.generate(account)
    calls = [refund(transaction), Call("delete_account", (account,))]
    results(race(app.url, calls, hold_row("public.users", "id = %s", guest), fewest=2))
    assert app.credits(account) == 0


# --- everything at once ---------------------------------------------------------------------------

SEED = 20261121


def next_task(die: random.Random, people: list[UUID], sub: str, transactions: list[str]) -> Task:
    """Choose what happens next; a transaction is always the same person's."""
    user, number = die.choice(people), die.randrange(len(transactions))
    transaction, owner = transactions[number], people[number % len(people)]
    at = EARLIER + timedelta(die.randrange(30))
    return die.choice(
        [
            purchase(owner, transaction),
            charge(owner, transaction),
            refund(transaction, at),
            notice("REFUND", transaction, at, revocationPercentage=30_000),
            reversal(transaction, at),
            generation(user, by=user),
            generation(user, by=user),
            link(user, sub),
            Call("waive_credit_debt", (user,)),
            give_back(user),
            *([Call("delete_account", (user,))] if die.random() < 0.02 else []),
        ]
    )


def give_back(user: UUID) -> Task:
    """Return the task of refunding whatever job is the user's newest."""

    def task(conn: Connection) -> Any:
        jobs = Call("get_video_jobs", (user,))(conn)["jobs"]
        return jobs and Call("refund_video_job", (user, UUID(jobs[0]["job_id"])))(conn)

    return task


def test_all_of_it_at_once_meets_no_deadlock(app: App) -> None:
    print("seed", SEED)
    people, sub = [app.new_user(10) for _ in range(5)], str(uuid4())
    transactions = [str(uuid4()) for _ in range(10)]
    link(people[0], sub)(app.login)
    start = Barrier(8)

    def work(number: int) -> Counter[str]:
        die, ends = random.Random(SEED + number), Counter[str]()
        with psycopg.connect(app.url, autocommit=True) as conn:
            start.wait()
            for _ in range(60):
                outcome = outcome_of(next_task(die, people, sub, transactions), conn)
                action = (outcome.result or {}).get("action")
                ends[outcome.sqlstate or action or "done"] += 1
        return ends

    with ThreadPoolExecutor(8) as pool:
        ends = sum(pool.map(work, range(8)), Counter[str]())
    done = {"done", "credited", "already_credited", "waiting", "revoked", "reversed", "outdated"}
    assert ends.keys() <= done | {"PT402", "PT404", "PT409"}, ends
    assert ends.keys() >= {"credited", "revoked", "reversed", "outdated", "PT409"}, ends
