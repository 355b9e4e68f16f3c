"""What stores and callers say of purchases that makes no sense, or that no honest one says.

Whatever it is ends in a registered error with no row of any table changed, or in a result that
moves the credits that it must and no others.
"""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from catalogue import digest, tables
from rpc import COST, App, Call, outcome_of

pytestmark = pytest.mark.shapeless

MILLION = 1_000_000
MEGABYTES_10 = "x" * 10 * 1024 * 1024
NEVER_A_NUMBER = ['"3"', "-1", "2.5", "1e300", "1e-300", "9" * 30, "true", "[]", "[1]", '{"a": 1}']
DEEP = "[" * 5000 + "]" * 5000
FAR = "294276-12-31 23:59:59.999999+00"  # the last moment of all


@pytest.fixture(scope="module", autouse=True)
def _products(module_app: App) -> None:
    """Sell the most credits and the fewest."""
    module_app.owner.execute(
        "insert into public.iap_products (store, environment, product_id, credits)"
        " values ('app_store', 'Production', 'million', %s),"
        " ('app_store', 'Production', 'one', 1)",
        [MILLION],
    )


@pytest.fixture
def user(app: App) -> UUID:
    return app.new_user(0)


# --- calls, and what they change ------------------------------------------------------------------


def notice(
    type_: str,
    transaction: str | None,
    payload: dict[str, Any] | str = "{}",
    *,
    id_: str | None = None,
    store: str = "app_store",
    environment: str = "Production",
    at: str | None = None,
) -> Call:
    args = (store, environment, id_ or str(uuid4()), type_, transaction, payload, at)
    return Call("apply_store_notification", args)


def purchase(
    user: UUID | None,
    transaction: str,
    product: str = "credits_20",
    *,
    store: str = "app_store",
    environment: str = "Production",
    at: str | None = "2026-01-01",
    token: UUID | None = None,
    quantity: int | None = 1,
) -> Call:
    args = (user, store, environment, transaction, product, at, token, quantity)
    return Call("record_iap_purchase", args)


def charge(token: object, transaction: str, product: object = "credits_20", **more: Any) -> Call:
    payload = {"productId": product, "appAccountToken": token} | more.pop("payload", {})
    return notice("ONE_TIME_CHARGE", transaction, json.dumps(payload, default=str), **more)


def bought(app: App, user: UUID, product: str = "credits_50", quantity: int = 1) -> str:
    """Buy something, and return the transaction."""
    transaction = str(uuid4())
    purchase(user, transaction, product, quantity=quantity)(app.login)
    return transaction


@contextmanager
def untouched(app: App) -> Iterator[None]:
    """See that no row of any table changes."""
    everything = tables(app.owner)
    before = digest(app.owner, everything)
    yield
    assert digest(app.owner, everything) == before


def refused(app: App, call: Call, slug: str) -> None:
    outcome = outcome_of(call, app.login)
    assert outcome.slug == slug, f"{call}"[:500] + f" came to {outcome}"
    assert str(outcome.sqlstate).startswith("PT")


def answer(app: App, call: Call) -> tuple[str, int]:
    """Return what a notification came to: what was done, and the credits given or taken."""
    found = call(app.login)
    return found["action"], found["credits_changed"]


# --- forms ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("type_", "field", "also"),
    [
        ("REFUND", "revocationPercentage", ["100001"]),
        ("REFUND", "quantity", ["101"]),
        ("VOIDED_PURCHASE", "voidedQuantity", ["101"]),
        ("ONE_TIME_CHARGE", "quantity", ["101"]),
        ("ONE_TIME_CHARGE", "purchaseDate", ["253402300800000", '"2026-01-01"']),
    ],
)
def test_numbers_of_a_payload_that_are_none(
    app: App, user: UUID, type_: str, field: str, also: list[str]
) -> None:
    transaction = bought(app, user)
    payload = '{"productId": "credits_20", "appAccountToken": "%s", "%s": %s}'
    with untouched(app):
        for value in [*NEVER_A_NUMBER, *also]:
            told = payload % (user, field, value)
            refused(app, notice(type_, transaction, told), "invalid_argument")
            refused(app, notice(type_, str(uuid4()), told), "invalid_argument")


def test_payloads_of_any_size_and_depth(app: App, user: UUID) -> None:
    with untouched(app):
        for text in (MEGABYTES_10, "x" * 16_384):
            refused(app, notice("REFUND", "t", {"a": text}), "payload_too_large")
            refused(app, charge(user, "t", text), "payload_too_large")
        for payload in ("[]", "1", "null", '"text"', DEEP, f'{{"revocationPercentage": {DEEP}}}'):
            refused(app, notice("REFUND", "t", payload), "invalid_argument")
    unread = f'{{"a": {DEEP}}}'
    assert answer(app, notice("REFUND", bought(app, user), unread)) == ("revoked", -50)


def test_words_that_are_no_store_product_or_moment(app: App, user: UUID) -> None:
    with untouched(app):
        for where in (
            {"store": "stripe"}, {"store": "APP_STORE"}, {"environment": "production"},
            {"environment": "Xcode"}, {"at": "infinity"}, {"at": "-infinity"},
        ):  # fmt: skip
            for call in (notice("REFUND", "t", **where), purchase(user, "t", **where)):
                refused(app, call, "invalid_argument")
        for quantity in (0, -1, 101, 2_147_483_647, None):
            refused(app, purchase(user, "t", quantity=quantity), "invalid_argument")
        for product in ("credits_7", "CREDITS_20", "credits_20 ", "null", "million "):
            refused(app, purchase(user, "t", product), "product_not_found")
            refused(app, charge(user, "t", product), "product_not_found")
        for product in (1, {"productId": "credits_20"}, ["credits_20"], True):
            refused(app, charge(user, "t", product), "product_not_found")
        for product in ("", None):
            refused(app, charge(user, "t", product), "invalid_argument")
        refused(app, charge(user, "t", "x" * 256), "payload_too_large")
        refused(app, purchase(uuid4(), "t"), "user_not_found")
        refused(app, purchase(None, "t"), "invalid_argument")
        for type_ in ("REFUND", "ONE_TIME_CHARGE", "CONSUMPTION_REQUEST", "REFUND_DECLINED"):
            refused(app, notice(type_, None), "invalid_argument")


@pytest.mark.parametrize("at", ["4714-11-24 00:00:00+00 BC", "epoch", FAR])
def test_moments_that_no_store_has_seen(app: App, user: UUID, at: str) -> None:
    """A finite moment is taken as told; what is later by it holds."""
    transaction = str(uuid4())
    assert purchase(user, transaction, at=at)(app.login)["credits_added"] == 20
    assert answer(app, notice("REFUND", transaction, at=at)) == ("revoked", -20)
    is_last = at == FAR
    reversal = notice("REFUND_REVERSED", transaction)
    assert answer(app, reversal) == (("outdated", 0) if is_last else ("reversed", 20))
    assert app.credits(user) == (0 if is_last else 20)


@pytest.mark.parametrize("at", [0, 253402300799999])
def test_purchase_dates_at_the_edges(app: App, user: UUID, at: int) -> None:
    assert answer(app, charge(user, str(uuid4()), payload={"purchaseDate": at})) == (
        "credited",
        20,
    )


# --- amounts --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("share", "taken"),
    [
        ("0", 0), ("1", 10), ("99999", 999_990), ("100000", MILLION), ("5e4", 500_000),
        ("50000.0", 500_000), ("null", MILLION),
    ],
)  # fmt: skip
def test_shares_at_the_edges(app: App, user: UUID, share: str, taken: int) -> None:
    transaction = bought(app, user, "million")
    refund = notice("REFUND", transaction, f'{{"revocationPercentage": {share}}}')
    assert answer(app, refund)[1] == -taken
    assert app.credits(user) == MILLION - taken
    assert answer(app, notice("REFUND_REVERSED", transaction))[1] == taken
    assert app.credits(user) == MILLION


def test_a_part_of_a_credit_stays(app: App, user: UUID) -> None:
    for share in (1, 50_000, 99_999):
        refund = notice("REFUND", bought(app, user, "one"), {"revocationPercentage": share})
        assert answer(app, refund) == ("revoked", 0)
    assert app.credits(user) == 3


@pytest.mark.parametrize(
    ("payload", "taken"),
    [
        ({"voidedQuantity": 2, "quantity": 4}, 40),
        ({"voidedQuantity": 5, "quantity": 4}, 80),
        ({"voidedQuantity": 100, "quantity": 1}, 80),
        ({"voidedQuantity": 4, "quantity": 4, "revocationPercentage": 1}, 80),
        ({"refundType": 2}, 0),
        ({"refundType": 2, "quantity": 4}, 0),
        ({"refundType": 2, "voidedQuantity": 1, "quantity": 0}, 0),
        ({"refundType": 1}, 80),
        ({}, 80),
    ],
)
def test_what_google_took_back_of_four(
    app: App, user: UUID, payload: dict[str, int], taken: int
) -> None:
    """Never more than all, and nothing while it does not say how much."""
    transaction = str(uuid4())
    purchase(user, transaction, store="google_play", quantity=4)(app.login)
    voided = notice("VOIDED_PURCHASE", transaction, payload, store="google_play")
    action = "revoked" if taken else "ignored"
    assert answer(app, voided) == (action, -taken)
    assert app.credits(user) == 80 - taken


def test_a_million_is_the_most_of_one_purchase(app: App, user: UUID) -> None:
    with untouched(app):
        refused(app, purchase(user, "t", "million", quantity=2), "invalid_argument")
        refused(app, purchase(user, "t", "million", quantity=100), "invalid_argument")
        told = {"quantity": 2}
        refused(app, charge(user, "t", "million", payload=told), "invalid_argument")
    assert answer(app, charge(user, str(uuid4()), "million")) == ("credited", MILLION)
    transaction = bought(app, user, "million")
    assert app.credits(user) == 2 * MILLION
    assert answer(app, notice("REFUND", transaction)) == ("revoked", -MILLION)


# --- the sandbox ----------------------------------------------------------------------------------


@pytest.fixture
def sandbox(app: App) -> Iterator[Callable[..., None]]:
    """Set the policy of sandbox purchases; as it was when the test ends."""

    def put(**settings: Any) -> None:
        for key, value in settings.items():
            app.owner.execute(
                "update public.app_settings set value = %s where key = %s",
                [json.dumps(value, default=str), key],
            )

    yield put
    put(sandbox_purchases="capped", sandbox_credit_cap=100, sandbox_testers=[])


@pytest.mark.parametrize("by_store", [False, True], ids=["reported", "notified"])
@pytest.mark.parametrize(
    ("policy", "is_tester", "given"),
    [("off", True, [0, 0]), ("listed", False, [0, 0]), ("listed", True, [120, 120]),
     ("capped", False, [100, 0])],
)  # fmt: skip
def test_what_the_sandbox_brings(
    app: App,
    user: UUID,
    sandbox: Callable[..., None],
    policy: str,
    is_tester: bool,
    given: list[int],
    by_store: bool,
) -> None:
    """No policy makes it real money: it is promotional, marked, and never owed."""
    sandbox(sandbox_purchases=policy, sandbox_testers=[user] if is_tester else [])
    transactions = [str(uuid4()), str(uuid4())]
    make = charge if by_store else purchase
    calls = [make(user, t, "credits_120", environment="Sandbox") for t in transactions]
    found = [call(app.login) for call in calls]
    assert [r["credits_changed" if by_store else "credits_added"] for r in found] == given
    lots = app.call("get_credit_lots", user)["lots"]
    assert {lot["kind"] for lot in lots} <= {"promotional"}
    assert app.value(
        "select coalesce(bool_and(is_sandbox), true) from public.quota_log"
        " where user_id = %s and reason = 'iap_purchase'",
        user,
    )

    sandbox(sandbox_purchases="listed", sandbox_testers=[user])  # too late for these two
    for call in calls:
        assert call(app.login)["replayed"]
    assert app.credits(user) == sum(given)
    if given[0]:
        app.call("add_credits", user, -given[0], "admin_adjustment", uuid4())
    for transaction in transactions:
        notice("REFUND", transaction, environment="Sandbox")(app.login)
    assert app.credits(user) == 0
    assert app.call("get_user_credits", user)["credits_owed"] == 0


# --- names that mean something else elsewhere -----------------------------------------------------


def test_a_store_says_nothing_of_another_s_purchases(app: App, user: UUID) -> None:
    transaction, id_ = bought(app, user), str(uuid4())
    for where in ({"store": "google_play"}, {"environment": "Sandbox"}):
        refund = notice("REFUND", transaction, id_=id_, **where)
        assert answer(app, refund) == ("waiting", 0)
    assert app.credits(user) == 50
    assert answer(app, notice("REFUND", transaction, id_=id_)) == ("revoked", -50)


def test_an_id_that_comes_again_about_something_else(app: App, user: UUID) -> None:
    transaction, other, id_ = bought(app, user), bought(app, user), str(uuid4())
    share = {"revocationPercentage": 50_000}
    assert answer(app, notice("REFUND", transaction, share, id_=id_)) == ("revoked", -25)
    with untouched(app):
        for call in (
            notice("REFUND", other, id_=id_),
            notice("REFUND_REVERSED", transaction, id_=id_),
            notice("TEST", None, id_=id_),
        ):
            refused(app, call, "idempotency_key_reused")
        # What it says now does not count: it was heard before.
        assert notice("REFUND", transaction, id_=id_, at=FAR)(app.login)["replayed"]


def test_a_refund_of_what_nobody_bought_and_then_somebody_does(app: App, user: UUID) -> None:
    transaction = str(uuid4())
    half = {"revocationPercentage": 50_000}
    for call in (
        notice("REFUND", transaction, at="2026-03-01"),
        notice("REFUND_REVERSED", transaction, at="2026-03-02"),
        notice("REFUND", transaction, half, at="2026-03-03"),
    ):
        found = call(app.login)
        assert (found["action"], found["credits_remaining"]) == ("waiting", None)
        assert call(app.login) == found | {"replayed": True}
    assert answer(app, notice("REFUND", transaction, at="2026-02-28")) == ("outdated", 0)

    done = purchase(user, transaction, quantity=2)(app.login)
    assert (done["credits_added"], done["credits_remaining"]) == (40, 20)
    late = notice("REFUND_REVERSED", transaction, at="2026-03-02 12:00")
    assert answer(app, late) == ("outdated", 0)
    assert answer(app, notice("REFUND_REVERSED", transaction, at="2026-03-04")) == ("reversed", 20)
    assert app.credits(user) == 40


# --- whose it is ----------------------------------------------------------------------------------


def test_tokens_that_are_nobody_s(app: App, user: UUID) -> None:
    """The purchase waits for whoever brings the signed transaction."""
    for token in (
        "not-a-uuid", "", "x" * 36, f"{{{user}}}", user.hex, f" {user}", f"{user}\n", 7, None, True,
        [str(user)], {"id": str(user)}, uuid4(),
    ):  # fmt: skip
        transaction = str(uuid4())
        assert answer(app, charge(token, transaction)) == ("waiting", 0), token
        assert not purchase(user, transaction)(app.login)["replayed"]
    assert app.credits(user) == 13 * 20


def test_a_token_of_another_user(app: App, user: UUID) -> None:
    thief, transaction = app.new_user(0), str(uuid4())
    with untouched(app):
        for token in (user, uuid4()):
            refused(
                app, purchase(thief, transaction, token=token), "purchase_belongs_to_another_user"
            )
    assert answer(app, charge(str(user).upper(), transaction)) == ("credited", 20)
    with untouched(app):
        for token in (None, thief, user):
            call = purchase(thief, transaction, token=token)
            refused(app, call, "purchase_belongs_to_another_user")
        assert purchase(user, transaction, token=user)(app.login)["replayed"]
        refused(app, purchase(user, transaction, "credits_50"), "idempotency_key_reused")
    assert answer(app, charge(thief, transaction)) == ("already_credited", 0)
    assert (app.credits(user), app.credits(thief)) == (20, 0)


def test_a_token_of_a_guest_that_was_merged(app: App) -> None:
    sub, account, guest = str(uuid4()), app.new_user(0), app.new_user(0)
    for user in (account, guest):
        app.call("link_apple_account", user, sub)
    first, second = str(uuid4()), str(uuid4())
    assert answer(app, charge(guest, first)) == ("credited", 20)
    assert purchase(account, first, token=guest)(app.login)["replayed"]
    assert not purchase(account, second, token=guest)(app.login)["replayed"]
    assert (app.credits(guest), app.credits(account)) == (0, 40)
    for transaction in (first, second):
        assert answer(app, notice("REFUND", transaction)) == ("revoked", -20)
    assert app.credits(account) == 0


def test_a_token_of_a_deleted_account(app: App, user: UUID) -> None:
    """The money was paid, the purchase is known, and nobody has its credits."""
    app.call("delete_account", user)
    heir, transaction = app.new_user(0), str(uuid4())
    assert answer(app, charge(user, transaction)) == ("credited", 20)
    for call in (purchase(heir, transaction), purchase(heir, str(uuid4()), token=user)):
        refused(app, call, "purchase_belongs_to_another_user")
    assert answer(app, notice("REFUND", transaction)) == ("revoked", 0)
    assert answer(app, notice("REFUND_REVERSED", transaction)) == ("reversed", 0)
    assert (app.credits(user), app.credits(heir)) == (0, 0)


def test_chains_of_merges(app: App) -> None:
    """A merged guest is nobody's a second time, and what it bought stays one account's."""
    subs = [str(uuid4()) for _ in range(2)]
    accounts = [app.new_user(0) for _ in subs]
    for account, sub in zip(accounts, subs, strict=True):
        app.call("link_apple_account", account, sub)
    guests = [app.new_user(0) for _ in range(3)]
    transactions = [bought(app, guest) for guest in guests]
    for guest in guests:
        app.call("add_credits", guest, -20, "admin_adjustment", uuid4())
        app.call("link_apple_account", guest, subs[0])
    assert app.credits(accounts[0]) == 90

    with untouched(app):
        for guest in guests:
            for sub in (subs[1], "new", str(uuid4())):
                refused(app, Call("link_apple_account", (guest, sub)), "account_merged")
            assert app.call("link_apple_account", guest, subs[0])["replayed"]
        for account in accounts:
            for sub in (*subs, "new"):
                call = Call("link_apple_account", (account, sub))
                if sub != subs[accounts.index(account)]:
                    refused(app, call, "invalid_transition")
    for transaction in transactions:
        assert answer(app, notice("REFUND", transaction)) == ("revoked", -30)
    assert app.call("get_user_credits", accounts[0])["credits_owed"] == 60
    assert app.call("get_user_credits", accounts[1])["credits_owed"] == 0
    assert [app.credits(user) for user in (*guests, *accounts)] == [0] * 5


# --- our own clock --------------------------------------------------------------------------------


@pytest.fixture
def set_day(app: App) -> Iterator[Callable[[int], None]]:
    """Set the database's clock to a day after today; right again when the test ends."""
    today = app.value("select date_trunc('day', now())")
    yield lambda day: app.set_clock(f"timestamptz '{today}' + interval '{day} days'")
    app.set_clock("clock_timestamp()")


def test_our_clock_runs_backwards(app: App, user: UUID, set_day: Callable[[int], None]) -> None:
    """The ledger's time stands until the clock has caught up, and decides what has expired."""
    today = app.value("select date_trunc('day', now())")

    def gift(credits: int, ends_on: int) -> None:
        args = (user, credits, "promo_grant", uuid4(), today + timedelta(ends_on))
        app.call("add_credits", *args)

    set_day(10)
    transaction = bought(app, user, "credits_20")
    gift(6, ends_on=12)
    set_day(9)
    _, first = app.submit(user)
    set_day(13)
    _, second = app.submit(user)
    set_day(5)
    app.call("fail_video_job", "fal", first, "no")
    set_day(4)
    assert answer(app, notice("REFUND", transaction)) == ("revoked", COST - 20)
    set_day(3)
    app.call("fail_video_job", "fal", second, "no")
    with pytest.raises(psycopg.Error, match="invalid_argument"):
        gift(3, ends_on=8)  # over, by the ledger's time
    assert app.call("get_user_credits", user)["credits_remaining"] == COST
    set_day(21)
    app.login.execute("select rendio.settle_expired_credits()")

    entries = app.owner.execute(
        "select reason, change, extract(day from created_at - %s)::int from public.quota_log"
        " where user_id = %s order by seq offset 2",
        [today, user],
    ).fetchall()
    assert entries == [
        ("iap_purchase", 20, 10),
        ("promo_grant", 6, 10),
        ("video_generation", -COST, 10),
        ("credit_expired", COST - 6, 13),
        ("video_generation", -COST, 13),
        ("generation_failed_refund", COST, 13),
        ("iap_refund", COST - 20, 13),
        ("generation_failed_refund", COST, 13),
        ("iap_refund", -COST, 13),
        ("credit_expired", -COST, 21),
    ]
    assert app.credits(user) == 0


@pytest.mark.parametrize("policy", ["off", "listed"])
def test_nobody_buys_in_the_sandbox(app: App, policy: str) -> None:
    with app.owner.transaction(force_rollback=True):
        setting = "update public.app_settings set value = to_jsonb(%s::text) where key = %s"
        app.owner.execute(setting, [policy, "sandbox_purchases"])
        app.owner.execute("set local role service_role")
        buys = "select public.record_iap_purchase(%s, 'app_store', 'Sandbox', 't', 'credits_20')"
        with pytest.raises(psycopg.Error, match="user_not_found"):
            app.owner.execute(buys, [uuid4()])


def test_a_question_at_the_end_of_time(app: App, user: UUID) -> None:
    question = notice("CONSUMPTION_REQUEST", bought(app, user), at=FAR)
    assert answer(app, question) == ("consumption_requested", 0)


def test_one_of_three_is_a_third(app: App, user: UUID) -> None:
    transaction = str(uuid4())
    purchase(user, transaction, store="google_play", quantity=3)(app.login)
    payload = {"refundType": 2, "voidedQuantity": 1, "quantity": 3}
    voided = notice("VOIDED_PURCHASE", transaction, payload, store="google_play")
    assert answer(app, voided) == ("revoked", -20)
