"""Guests that become an account's: whatever meets on the way, nothing is lost or doubled."""

from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from races import hold_row, hold_table, race, wait_until_waiting
from rpc import COST, App, Call, generation, outcome_of

Connection = psycopg.Connection[Any]
SUB = "001234.apple"


@pytest.fixture
def app(db: str) -> Iterator[App]:
    with App(db) as app:
        yield app
        assert app.discrepancies() == []


def link(guest: UUID, sub: str = SUB) -> Call:
    return Call("link_apple_account", (guest, sub))


def account_of(app: App, credits: int = 10, sub: str = SUB) -> UUID:
    """Create a guest that has signed in."""
    account = app.new_user(credits)
    app.call("link_apple_account", account, sub)
    return account


def total(app: App) -> int:
    return int(app.value("select sum(credits_remaining) from public.users"))


def live_lots(app: App, user: UUID) -> list[tuple[str, int]]:
    lots = app.call("get_credit_lots", user)["lots"]
    return sorted((lot["kind"], lot["remaining"]) for lot in lots)


# --- races ----------------------------------------------------------------------------------------


def test_the_same_apple_id_from_ten_devices_at_once(app: App) -> None:
    """One becomes the account; the others' credits come to it."""
    guests = [app.new_user(10 + n) for n in range(10)]
    before = total(app)
    outcomes = race(app.url, [link(g) for g in guests], hold_table("public.account_identities"))

    assert [o for o in outcomes if o.sqlstate] == []
    (account,) = {UUID(o.result["user_id"]) for o in outcomes}
    merged = {UUID(o.result["merged_from"]) for o in outcomes if o.result["merged_from"]}
    assert merged == set(guests) - {account}
    assert app.credits(account) == before == total(app)


def test_one_guest_signs_in_eight_times_at_once(app: App) -> None:
    account = account_of(app, 10)
    guest = app.new_user(30)
    held = hold_row("public.users", "id = %s", guest)
    outcomes = race(app.url, [link(guest)] * 8, held)

    assert [o for o in outcomes if o.sqlstate] == []
    assert Counter(o.result["replayed"] for o in outcomes) == {False: 1, True: 7}
    assert {o.result["user_id"] for o in outcomes} == {str(account)}
    assert app.credits(account) == 40


def test_a_guest_spends_while_it_is_merged(app: App) -> None:
    """Either it spends first, and the rest is moved, or it is closed."""
    account = account_of(app, 0)
    guest = app.new_user(10 * COST)
    calls = [generation(guest) for _ in range(7)]
    held = hold_row("public.users", "id = %s", guest)
    outcomes = race(app.url, [*calls[:4], link(guest), *calls[4:]], held)

    made = [o for o in outcomes if o.result and "job_id" in o.result]
    refused = [o for o in outcomes if o.sqlstate]
    assert {(o.sqlstate, o.slug) for o in refused} <= {("PT409", "account_merged")}
    assert len(made) + len(refused) == 7
    assert app.credits(guest) == 0
    assert app.credits(account) == 10 * COST - COST * len(made)
    assert len(app.call("get_video_jobs", account)["jobs"]) == len(made)


def test_a_refund_comes_while_its_guest_is_merged(app: App) -> None:
    account = account_of(app, 0)
    guest = app.new_user(10 * COST)
    jobs = [app.submit(guest)[1] for _ in range(9)]
    calls = [Call("fail_video_job", ("fal", job, "no")) for job in jobs]
    held = hold_row("public.users", "id = %s", guest)
    outcomes = race(app.url, [*calls[:4], link(guest), *calls[4:]], held)

    assert [o for o in outcomes if o.sqlstate] == []
    assert (app.credits(guest), app.credits(account)) == (0, 10 * COST)


def test_two_guests_of_two_accounts_change_hands(app: App) -> None:
    """Merges, refunds and sweeps that meet in every order end without a deadlock."""
    first, second = account_of(app, 0, "first"), account_of(app, 0, "second")
    guests = [app.new_user(2 * COST) for _ in range(8)]
    jobs = [app.submit(guest)[1] for guest in guests]
    app.owner.execute("update public.video_jobs set times_out_at = '-infinity' where attempt > 0")
    tasks: list[Callable[[Connection], Any]] = [
        link(guest, "first" if n % 2 else "second") for n, guest in enumerate(guests)
    ]
    tasks += [Call("fail_video_job", ("fal", job, "no")) for job in jobs]
    tasks += [lambda conn: conn.execute("select rendio.sweep_stuck_jobs()").fetchone()] * 2
    outcomes = race(app.url, tasks, hold_table("public.users"))

    assert [o for o in outcomes if o.sqlstate] == []
    app.login.execute("select rendio.sweep_stuck_jobs()")
    assert app.credits(first) + app.credits(second) == 16 * COST == total(app)


def test_an_account_is_deleted_while_a_guest_is_merged_into_it(app: App) -> None:
    """The guest goes with the account, or keeps what it has and finds no account."""
    account = account_of(app, 10)
    guests = [app.new_user(20) for _ in range(7)]
    tasks = [link(g) for g in guests]
    tasks.insert(3, Call("delete_account", (account,)))
    identity = ("public.account_identities", "kind = 'apple' and identifier = %s", SUB)
    outcomes = race(app.url, tasks, hold_row(*identity))

    assert {o.sqlstate for o in outcomes} <= {None, "PT404"}
    for guest, outcome in zip(guests, [*outcomes[:3], *outcomes[4:]], strict=True):
        left = app.value("select deleted_at is null from public.users where id = %s", guest)
        assert left == (outcome.sqlstate == "PT404" or outcome.result["user_id"] != str(account))
    assert app.credits(account) == 0


def test_a_webhook_meets_a_deletion(app: App, connect: Callable[..., Connection]) -> None:
    """Deletion takes all jobs before the first row in users, as a webhook takes its one."""
    account, guest = account_of(app, 100), app.new_user(100)
    job, _ = app.submit(account)
    app.generate(guest)
    app.call("link_apple_account", guest, SUB)
    deleter = connect(app.url)
    webhook = connect(app.url, autocommit=False)
    webhook.execute("set local role rendio_owner")
    webhook.execute("select rendio.lock_job(%s, %s)", [account, job])
    with ThreadPoolExecutor(1) as pool:
        deletion = pool.submit(outcome_of, Call("delete_account", (account,)), deleter)
        wait_until_waiting(app.owner, [deleter], [deletion])
        webhook.execute(
            "select rendio.end_failed_job(j, 'provider_error', null, now())"
            " from public.video_jobs as j where job_id = %s",
            [job],
        )
        webhook.commit()
        assert deletion.result().sqlstate is None
    assert total(app) == 0


def test_a_repeated_sign_in_waits_for_no_row(app: App, connect: Callable[..., Connection]) -> None:
    """Whoever credits a merged guest locks guest, then account; a repeat must not hold either.

    Called inside, where a repeat comes that began before the first had ended.
    """
    account, guest = account_of(app), app.new_user()
    app.call("link_apple_account", guest, SUB)
    crediting = connect(app.url, autocommit=False)
    crediting.execute("select from public.users where id = any (%s) for update", [[account, guest]])
    device = connect(app.url)
    device.execute("set role rendio_owner; set lock_timeout = '5s'")
    row = device.execute(
        "select * from rendio.join_apple_account(%s, %s, null, now())", [guest, SUB]
    ).fetchone()
    assert row == (account, True)
    crediting.rollback()


def test_a_lost_answer_is_told_to_the_account_too(app: App) -> None:
    """What was given to a guest is told with what the account has now."""
    account, guest, key = account_of(app, 10), app.new_user(10), uuid4()
    first = app.call("add_credits", guest, 5, "promo_grant", key)
    app.call("link_apple_account", guest, SUB)

    again = app.call("add_credits", guest, 5, "promo_grant", key)
    assert again == first | {"credits_remaining": app.credits(account), "replayed": True}


# --- what follows the guest -----------------------------------------------------------------------


def test_credits_keep_kind_and_expiry(app: App) -> None:
    account, guest = account_of(app, 10), app.new_user(10)
    app.call("add_credits", guest, 7, "promo_grant", uuid4(), "2100-01-01")
    app.call("record_iap_purchase", guest, "app_store", "Production", "t1", "credits_20")
    app.generate(guest)
    moved = live_lots(app, guest)
    app.call("link_apple_account", guest, SUB)

    assert moved == [("paid", 20), ("promotional", 3), ("promotional", 10)]
    assert live_lots(app, account) == sorted([*moved, ("promotional", 10)])
    lots = app.call("get_credit_lots", account)["lots"]
    assert [lot["remaining"] for lot in lots if lot["expires_at"]] == [3]


def test_what_comes_to_the_guest_later_follows(app: App) -> None:
    account, guest = account_of(app, 0), app.new_user(3 * COST)
    (failed, by_failed), (partly, by_partly) = app.submit(guest), app.submit(guest)
    app.call("link_apple_account", guest, SUB)
    assert app.credits(account) == COST

    app.call("fail_video_job", "fal", by_failed, "no")
    app.call("complete_video_job", "fal", by_partly, "https://v", None, None, 1)
    app.call("record_iap_purchase", guest, "app_store", "Production", "t1", "credits_20")
    assert (app.credits(guest), app.credits(account)) == (0, COST + COST + COST - 1 + 20)
    shown = {
        UUID(job["job_id"]) for job in app.call("get_video_jobs", account, user=account)["jobs"]
    }
    assert shown == {failed, partly}
    assert app.call("get_video_status", account, failed, user=account)["status"] == "failed"
    assert app.call("delete_video_job", account, failed, user=account)["deleted"]
    assert len(app.call("get_video_jobs", account, user=account)["jobs"]) == 1


def test_a_purchase_comes_to_who_is_closed_while_credits_end(app: App) -> None:
    account, guest, gone = account_of(app, 0), app.new_user(10), app.new_user(10)
    for user in (guest, gone):
        app.call("add_credits", user, 5, "promo_grant", uuid4(), "2100-01-01")
    app.call("link_apple_account", guest, SUB)
    app.call("delete_account", gone)
    app.set_clock("'2100-01-02'")
    for user, left in ((guest, 30), (gone, 0)):
        purchase = (user, "app_store", "Production", str(user), "credits_20")
        for replayed in (False, True):
            answer = app.call("record_iap_purchase", *purchase)
            assert (answer["credits_added"], answer["replayed"]) == (20, replayed)
            assert answer["credits_remaining"] == left
    assert (app.credits(guest), app.credits(gone), app.credits(account)) == (0, 0, 30)
    app.login.execute("select rendio.ensure_partitions()")


def test_a_guests_purchase_is_the_accounts_to_claim(app: App) -> None:
    account, guest, stranger = account_of(app, 0), app.new_user(0), app.new_user(0)
    purchase = ("app_store", "Production", "t1", "credits_20")
    app.call("record_iap_purchase", guest, *purchase)
    app.call("link_apple_account", guest, SUB)

    again = app.call("record_iap_purchase", account, *purchase, "2030-01-01", guest)
    assert (again["replayed"], again["credits_remaining"]) == (True, 20)
    with pytest.raises(psycopg.Error) as refused:
        app.call("record_iap_purchase", stranger, *purchase)
    assert refused.value.sqlstate == "PT409"


def test_who_is_no_guest_is_not_merged(app: App) -> None:
    account_of(app, 10)
    other, guest = account_of(app, 10, "other"), app.new_user(10)
    app.call("link_apple_account", guest, SUB)
    for user, sub, slug in [
        (other, SUB, "invalid_transition"),  # would give one person's credits to another
        (other, "a third", "invalid_transition"),
        (guest, "other", "account_merged"),
        (guest, "a third", "account_merged"),
    ]:
        with pytest.raises(psycopg.Error, match=slug):
            app.call("link_apple_account", user, sub)
    query = "select count(*) from public.account_identities where identifier = 'a third'"
    assert app.value(query) == 0


def test_a_device_of_a_thousand_users_grants_once(app: App) -> None:
    for _ in range(1000):
        app.call("device_check", uuid4(), "one device")
    assert total(app) == 10


# --- deletion -------------------------------------------------------------------------------------


def test_nothing_personal_is_left(app: App) -> None:
    secret = "zebra-4711"
    account = app.new_user(0)
    app.call("link_apple_account", account, f"sub {secret}", f"{secret}@example.com")
    guest = UUID(app.call("device_check", None, f"device {secret}")["user_id"])
    args = ("5f3b1e70-0000-4000-8000-000000000001", f"prompt {secret}", f'{{"seed": "{secret}"}}')
    jobs = []
    for user in (account, guest):
        app.call("add_credits", user, 10 * COST, "promo_grant", uuid4())
        for _ in range(4):
            made = app.call("generate_video_atomic", user, *args, uuid4())
            jobs.append((user, made["job_id"]))
            if len(jobs) % 4:
                app.call("start_video_job", user, made["job_id"], f"p{len(jobs)}")
    app.call("link_apple_account", guest, f"sub {secret}")
    app.call("complete_video_job", "fal", "p1", f"https://{secret}/v", f"https://{secret}/t")
    app.call("fail_video_job", "fal", "p2", f"error {secret}")
    assert places_of(app, secret) >= {"account_identities", "video_jobs"}

    app.call("delete_account", account, user=account)
    # What was at a provider ends unseen; its credits are nobody's.
    app.call("complete_video_job", "fal", "p3", f"https://{secret}/v", f"https://{secret}/t")
    app.call("complete_video_job", "fal", "p5", f"https://{secret}/v")
    app.call("fail_video_job", "fal", "p6", "no")
    assert places_of(app, secret) == set()
    assert total(app) == 0
    assert app.call("delete_account", account)["replayed"]
    for call in (
        generation(account),
        Call("get_user_credits", (account,)),
        Call("add_credits", (account, 5, "promo_grant", uuid4())),
        Call("device_check", (account, "a device")),
    ):
        with pytest.raises(psycopg.Error, match="user_not_found"):
            call(app.login)

    # The device and the Apple id are somebody new's, and had their credits.
    newcomer = app.call("device_check", None, f"device {secret}")
    assert (newcomer["is_new"], newcomer["credits_remaining"]) == (True, 0)
    again = app.call("link_apple_account", newcomer["user_id"], f"sub {secret}")
    assert again["user_id"] == newcomer["user_id"]


def test_what_comes_late_about_a_deleted_account_is_not_kept(app: App) -> None:
    user = app.new_user(100)
    (refunded, by_refunded), (_, by_running) = app.submit(user), app.submit(user)
    app.call("refund_video_job", user, refunded)
    app.generate(user)
    app.call("claim_video_jobs", "a worker", 1, "1 second")
    app.call("delete_account", user)
    app.call("complete_video_job", "fal", by_refunded, "https://zebra-4711/v")
    app.call("fail_video_job", "fal", by_running, "error zebra-4711")
    assert places_of(app, "zebra-4711") == set()
    app.set_clock("now() + interval '1 minute'")
    assert app.call("claim_video_jobs", "another worker") == {"jobs": []}


def test_a_digest_is_no_device(app: App) -> None:
    """What is kept of one device can neither be claimed as another nor survive as one."""
    device = app.value("select rendio.forgotten('a phone')")
    stranger = app.call("device_check", None, device)
    assert app.call("device_check", None, "a phone")["credits_remaining"] == 10
    app.call("delete_account", stranger["user_id"])
    assert places_of(app, device) == set()


def places_of(app: App, secret: str) -> set[str]:
    """Return the tables that hold a text anywhere."""
    tables = app.owner.execute(
        "select c.oid::regclass::text from pg_class as c where c.relkind = 'r'"
        " and c.relnamespace in ('public'::regnamespace, 'rendio'::regnamespace)"
        " and c.relowner = 'rendio_owner'::regrole"
    ).fetchall()
    query = "select count(*) from {} as t where t::text like %s"
    found = (t for (t,) in tables if app.value(query.format(t), f"%{secret}%"))
    return {table.split(".")[-1] for table in found}


# --- the archive ----------------------------------------------------------------------------------


def test_jobs_of_the_archive_are_listed_with_the_others(app: App) -> None:
    user = app.new_user(10 * COST)
    jobs = []
    for n in range(6):
        job, by_provider = app.submit(user)
        app.call("complete_video_job", "fal", by_provider, "https://v")
        jobs.append(job)
        if n % 2:
            app.owner.execute(
                "update public.video_jobs set completed_at = now() - interval '91 days',"
                " times_out_at = now() - interval '91 days' where job_id = %s",
                [job],
            )
    before = app.call("get_video_jobs", user)
    assert app.value("select rendio.archive_jobs(2)") == 2
    assert app.value("select rendio.archive_jobs()") == 1
    assert app.value("select rendio.archive_jobs()") == 0
    assert app.value("select count(*) from public.video_jobs_archive") == 3

    after = app.call("get_video_jobs", user)
    assert [j["job_id"] for j in after["jobs"]] == [j["job_id"] for j in before["jobs"]]
    pages, cursor = [], None
    while True:
        page = app.call("get_video_jobs", user, cursor, 2)
        pages += [UUID(j["job_id"]) for j in page["jobs"]]
        if (cursor := page["next_before"]) is None:
            break
    assert pages == jobs[::-1]
    assert app.call("get_video_status", user, jobs[1], user=user)["status"] == "completed"
    with pytest.raises(psycopg.Error, match="job_not_refundable"):
        app.call("refund_video_job", user, jobs[1])
    assert app.call("delete_video_job", user, jobs[1], user=user)["deleted"]
    assert len(app.call("get_video_jobs", user)["jobs"]) == 5
