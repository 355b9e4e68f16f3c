"""What each RPC may cost: WAL bytes, transaction ids and buffers, whatever the machine.

Measured on a server where nothing else runs, on a warm connection, with ``wal_level = logical`` and
without full page images. Of some calls the cheapest counts: what disturbs only adds (a page split,
the header of a WAL page, a checkpointer's record).
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from uuid import UUID, uuid4

import psycopg
import pytest
import servers
from profiles import Profile
from psycopg import sql
from rendio import migrate
from rpc import COST, MODEL, App, Call, Connection, generation, value
from servers import Cluster, Run

pytestmark = pytest.mark.shapeless

# Beside what was observed, for calls that write: the header of a page of the WAL, and the page that
# a row goes to when the one before is full.
ROOM_WAL = 24
ROOM_BUFFERS = 2

WARM_UP = 10  # plans are generic after five executions, catalogue caches full after one
MEASURED = 9

Calls = Callable[[App, int], Sequence[Call]]


@dataclass(frozen=True)
class Budget:
    """What one kind of call may cost, and how to make so many calls of that kind."""

    wal: int
    xids: int
    buffers: int
    calls: Calls


@dataclass(frozen=True)
class Cost:
    wal: int
    xids: int
    buffers: int


# --- how to make calls of a kind ------------------------------------------------------------------

PROMPT = "A lighthouse on a cliff at dusk, waves breaking below, slow aerial shot"
VIDEO = "https://v3.fal.media/files/zebra/kXq2vZ8J0f3lB7nS_output.mp4"


def one(make: Callable[[App, UUID], Call]) -> Calls:
    """Make calls each of which is for a new user with credits for a video."""
    return lambda app, n: [make(app, app.new_user(100)) for _ in range(n)]


def same(make: Callable[[App, UUID], Call]) -> Calls:
    """Make one call so many times, the first one ahead of the measured ones."""

    def calls(app: App, n: int) -> Sequence[Call]:
        call = make(app, app.new_user(100))
        call(app.login)
        return [call] * n

    return calls


def of_one_user(make: Callable[[App, UUID], Call]) -> Calls:
    """Make calls of one user."""

    def calls(app: App, n: int) -> Sequence[Call]:
        user = app.new_user(1000)
        return [make(app, user) for _ in range(n)]

    return calls


def generate(app: App, user: UUID) -> Call:
    args = (user, MODEL, PROMPT, '{"resolution": "1080p"}', uuid4())
    return Call("generate_video_atomic", args, user)


def device(app: App, user: UUID) -> Call:
    return Call("device_check", (user, f"{uuid4()}"))


def new_device(app: App, n: int) -> Sequence[Call]:
    return [Call("device_check", (None, f"{uuid4()}")) for _ in range(n)]


def grant(app: App, user: UUID) -> Call:
    return Call("add_credits", (user, 5, "promo_grant", uuid4()))


def claim(app: App, n: int) -> Sequence[Call]:
    user = app.new_user(1000)
    for _ in range(n):
        app.generate(user)
    return [Call("claim_video_jobs", ("worker-1", 1))] * n


def start(app: App, user: UUID) -> Call:
    return Call("start_video_job", (user, app.generate(user), str(uuid4())))


def complete(app: App, user: UUID, charged: int | None = None) -> Call:
    _, provider_job = app.submit(user)
    return Call("complete_video_job", ("fal", provider_job, VIDEO, None, str(uuid4()), charged))


def complete_in_part(app: App, user: UUID) -> Call:
    return complete(app, user, 1)


def fail(app: App, user: UUID) -> Call:
    _, provider_job = app.submit(user)
    return Call("fail_video_job", ("fal", provider_job, "out of memory", str(uuid4())))


def refund(app: App, user: UUID) -> Call:
    return Call("refund_video_job", (user, app.generate(user)))


def purchase(app: App, user: UUID) -> Call:
    args = (user, "app_store", "Production", f"{uuid4().int % 10**16}", "credits_50")
    return Call("record_iap_purchase", args)


def bought(app: App, user: UUID) -> str:
    transaction = f"{uuid4().int % 10**16}"
    product = (user, "app_store", "Production", transaction, "credits_50")
    app.call("record_iap_purchase", *product)
    return transaction


def notification(kind: str) -> Callable[[App, UUID], Call]:
    def make(app: App, user: UUID) -> Call:
        notified = ("app_store", "Production", f"{uuid4()}", kind, bought(app, user), "{}")
        return Call("apply_store_notification", notified)

    return make


def owing(app: App, user: UUID) -> Call:
    refund = notification("REFUND")(app, user)
    app.call("add_credits", user, -140, "admin_adjustment", uuid4())
    refund(app.login)
    return Call("waive_credit_debt", (user,))


def question(app: App, user: UUID) -> Call:
    asked = notification("CONSUMPTION_REQUEST")(app, user)
    asked(app.login)
    return Call("answer_consumption_request", asked.args[:3])


def questions(app: App, n: int) -> Sequence[Call]:
    user = app.new_user(10)
    app.call("set_consumption_consent", user, True)
    for _ in range(5):
        question(app, user)
    return [Call("get_consumption_requests", (5,))] * n


def limited(app: App, user: UUID) -> Call:
    return Call("check_rate_limit", (user, "general"))


def hook(app: App, user: UUID) -> Call:
    return Call("check_request", (), user)


def consent(app: App, user: UUID) -> Call:
    return Call("set_consumption_consent", (user, True), user)


def sign_in(app: App, user: UUID) -> Call:
    return Call("link_apple_account", (user, f"{uuid4()}", "somebody@privaterelay.appleid.com"))


def merge(app: App, user: UUID) -> Call:
    account, sub = app.new_user(10), f"{uuid4()}"
    app.call("link_apple_account", account, sub)
    return Call("link_apple_account", (user, sub))


def leave(app: App, user: UUID) -> Call:
    app.submit(user)
    return Call("delete_account", (user,), user)


def of_job(rpc: str) -> Callable[[App, UUID], Call]:
    return lambda app, user: Call(rpc, (user, app.generate(user)), user)


def of_user(rpc: str, *more: object, by_service: bool = False) -> Callable[[App, UUID], Call]:
    return lambda app, user: Call(rpc, (user, *more), None if by_service else user)


def models(app: App, n: int) -> Sequence[Call]:
    return [Call("get_models")] * n


def models_again(app: App, n: int) -> Sequence[Call]:
    return [Call("get_models", (app.call("get_models")["etag"],))] * n


# The first word is the RPC. Observed on PostgreSQL 15, 16 and 18, the largest of the three; they
# hardly differ. Webhooks, starts, refunds, sign-ins and deletions take an id when repeated too: a
# row lock decides whether they are.
BUDGETS = {
    "generate_video_atomic": Budget(1288, 1, 20, of_one_user(generate)),
    "generate_video_atomic, replayed": Budget(0, 0, 6, same(generate)),
    "device_check, new": Budget(1576, 1, 36, new_device),
    "device_check, known": Budget(0, 0, 4, same(device)),
    "link_apple_account": Budget(720, 1, 22, one(sign_in)),
    "link_apple_account, merged": Budget(2128, 1, 98, one(merge)),
    "link_apple_account, replayed": Budget(0, 0, 4, same(sign_in)),
    "delete_account": Budget(1704, 1, 82, one(leave)),
    "delete_account, replayed": Budget(0, 0, 2, same(leave)),
    "get_user_credits": Budget(0, 0, 4, same(of_user("get_user_credits"))),
    "get_credit_history": Budget(0, 0, 5, same(of_user("get_credit_history"))),
    "get_credit_lots": Budget(0, 0, 10, same(of_user("get_credit_lots"))),
    "get_credit_statement": Budget(
        0, 0, 8, same(of_user("get_credit_statement", "2020-01-01", "2100-01-01"))
    ),
    "quote_generation": Budget(0, 0, 12, same(of_user("quote_generation", MODEL, "{}"))),
    "balance_at": Budget(0, 0, 4, same(of_user("balance_at", "infinity"))),
    "add_credits": Budget(1064, 1, 18, of_one_user(grant)),
    "add_credits, replayed": Budget(0, 0, 4, same(grant)),
    "ledger_digest": Budget(0, 0, 12, same(of_user("ledger_digest", by_service=True))),
    "reconcile_credits": Budget(0, 0, 224, same(of_user("reconcile_credits", by_service=True))),
    "cancel_video_job": Budget(880, 1, 30, of_one_user(of_job("cancel_video_job"))),
    "claim_video_jobs": Budget(304, 1, 10, claim),
    "start_video_job": Budget(880, 1, 24, of_one_user(start)),
    "start_video_job, again": Budget(104, 1, 11, same(start)),
    "complete_video_job": Budget(1000, 1, 32, of_one_user(complete)),
    "complete_video_job, in part": Budget(1416, 1, 43, of_one_user(complete_in_part)),
    "complete_video_job, replayed": Budget(160, 1, 12, same(complete)),
    "fail_video_job": Budget(1384, 1, 43, of_one_user(fail)),
    "fail_video_job, replayed": Budget(160, 1, 10, same(fail)),
    "refund_video_job": Budget(880, 1, 32, of_one_user(refund)),
    "refund_video_job, replayed": Budget(104, 1, 7, same(refund)),
    "get_video_status": Budget(0, 0, 6, same(of_job("get_video_status"))),
    "get_video_jobs": Budget(0, 0, 6, same(of_user("get_video_jobs"))),
    "delete_video_job": Budget(296, 1, 12, of_one_user(of_job("delete_video_job"))),
    "record_iap_purchase": Budget(1456, 1, 41, of_one_user(purchase)),
    "record_iap_purchase, replayed": Budget(0, 0, 4, same(purchase)),
    "apply_store_notification, purchase taken back": Budget(
        2048, 1, 98, one(notification("REFUND"))
    ),
    "apply_store_notification, replayed": Budget(0, 0, 8, same(notification("REFUND"))),
    "apply_store_notification, declined": Budget(416, 1, 9, one(notification("REFUND_DECLINED"))),
    "waive_credit_debt": Budget(256, 1, 16, one(owing)),
    "get_consumption_requests": Budget(0, 0, 142, questions),
    "answer_consumption_request": Budget(416, 1, 6, one(question)),
    "answer_consumption_request, replayed": Budget(0, 0, 4, same(question)),
    "set_consumption_consent": Budget(304, 1, 18, one(consent)),
    "set_consumption_consent, replayed": Budget(0, 0, 6, same(consent)),
    "check_rate_limit": Budget(48, 1, 8, of_one_user(limited)),
    "check_request": Budget(48, 1, 8, of_one_user(hook)),
    "get_models": Budget(0, 0, 3, models),
    "get_models, not modified": Budget(0, 0, 2, models_again),
}


# --- measuring ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def quiet_server(run: Run, profile: Profile) -> Iterator[Cluster]:
    """A server where nothing else runs, with a migrated database to be copied."""
    if not run.bin_dir:
        pytest.skip("costs are measured on a private server, not on one that was given")
    settings = {**profile.settings, "autovacuum": "off"}
    with servers.private_cluster(
        run.bin_dir, superuser=profile.superuser, settings=settings
    ) as cluster:
        profile.prepare_cluster(cluster.superuser_url)
        url = profile.create_database(cluster.superuser_url, "template")
        migrate.apply(url)
        with psycopg.connect(url) as conn:  # a broadcast writes a row of the platform's
            conn.execute("set local role rendio_owner")
            conn.execute(
                "update public.app_settings set value = '\"notify\"'"
                " where key = 'job_notifications'"
            )
        profile.let_login_set_role(cluster.superuser_url)
        yield cluster


@pytest.fixture
def app(quiet_server: Cluster, profile: Profile) -> Iterator[App]:
    """A database of its own: what is read depends on how much is there."""
    name = f"budgets_{uuid4().hex}"
    quiet_server.create(name, "template", owner=profile.login)
    with App(quiet_server.url(name, profile.login)) as app:
        yield app
    quiet_server.drop(name)


@pytest.fixture
def conn(app: App, connect: Callable[..., Connection]) -> Connection:
    """The connection that is measured; what is prepared is prepared on others."""
    return connect(app.url)


def wal_and_xids(observer: Connection) -> tuple[int, int]:
    """Return how much WAL the server has written and how many transaction ids it has given out."""
    row = observer.execute(
        "select pg_current_wal_insert_lsn() - '0/0', pg_snapshot_xmax(pg_current_snapshot())::text"
    ).fetchone()
    assert row
    return int(row[0]), int(row[1])


def buffers(conn: Connection, call: Call) -> int:
    """Return how many shared buffers a call reads, in the cache or not."""

    class Explained(Call):
        def statement(self) -> sql.Composed:
            return sql.SQL("explain (analyze, buffers, format json) ") + super().statement()

    (plan,) = Explained(call.rpc, call.args, call.user)(conn)
    node = plan["Plan"]
    return int(node["Shared Hit Blocks"] + node["Shared Read Blocks"])


def warm_up(conn: Connection, calls: Sequence[Call]) -> None:
    for call in calls[:WARM_UP]:
        call(conn)


def cost(app: App, conn: Connection, make: Calls) -> Cost:
    """Return what the cheapest of some calls of a kind cost."""
    calls = make(app, WARM_UP + 2 * MEASURED)
    warm_up(conn, calls)
    seen = [wal_and_xids(app.login)]
    for call in calls[WARM_UP : WARM_UP + MEASURED]:
        call(conn)
        seen.append(wal_and_xids(app.login))
    read = [buffers(conn, call) for call in calls[WARM_UP + MEASURED :]]
    steps = list(pairwise(seen))
    return Cost(
        wal=min(after[0] - before[0] for before, after in steps),
        xids=min(after[1] - before[1] for before, after in steps),
        buffers=min(read),
    )


# --- tests ----------------------------------------------------------------------------------------


def rpcs(conn: Connection) -> set[str]:
    query = """
        select proname from pg_catalog.pg_proc
        where pronamespace = 'public'::regnamespace and proowner = 'rendio_owner'::regrole
    """
    return {name for (name,) in conn.execute(query)}


def test_every_rpc_has_a_budget(conn: Connection) -> None:
    assert {name.split(",")[0] for name in BUDGETS} == rpcs(conn)


@pytest.mark.parametrize("name", BUDGETS)
def test_cost(app: App, conn: Connection, name: str) -> None:
    budget = BUDGETS[name]
    found = cost(app, conn, budget.calls)
    assert found.xids == budget.xids
    assert found.wal <= budget.wal + (ROOM_WAL if budget.wal else 0)
    assert found.buffers <= budget.buffers + (ROOM_BUFFERS if budget.wal else 0)


def test_a_generation_writes_at_most_1500_bytes_page_splits_included(
    app: App, conn: Connection
) -> None:
    """On average, and exactly one transaction id each."""
    users = [app.new_user(200) for _ in range(50)]
    calls = [generate(app, users[n % len(users)]) for n in range(WARM_UP + 1000)]
    warm_up(conn, calls)
    before = wal_and_xids(app.login)
    for call in calls[WARM_UP:]:
        call(conn)
    after = wal_and_xids(app.login)
    assert after[1] - before[1] == 1000
    assert (after[0] - before[0]) / 1000 <= 1500


# --- what must not grow ---------------------------------------------------------------------------


def warm_buffers(conn: Connection, call: Call) -> int:
    warm_up(conn, [call] * WARM_UP)
    return min(buffers(conn, call) for _ in range(MEASURED))


def test_an_unchanged_catalogue_costs_the_same_at_any_size(app: App, conn: Connection) -> None:
    def matched() -> int:
        call = Call("get_models", (app.call("get_models")["etag"],))
        found = warm_buffers(conn, call)
        assert call(conn)["not_modified"]
        return found

    few, whole_of_few = matched(), warm_buffers(conn, Call("get_models"))
    app.owner.execute(
        "insert into public.models (name, category, description, provider)"
        " select 'model ' || n, 'test', repeat('x', 200), 'fal' from generate_series(1, 2000) n"
    )
    assert matched() == few
    assert warm_buffers(conn, Call("get_models")) > whole_of_few + 20  # the measure sees size


def test_first_page_of_jobs_costs_the_same_at_any_number(app: App, conn: Connection) -> None:
    """But for the index, a level higher, and the page that the twenty jobs may straddle."""
    user = app.new_user(COST)
    generation(user)(app.login)
    first_page = Call("get_video_jobs", (user,), user)
    found = []
    for more in (2_000, 50_000):  # ever older ones, behind the others on disk too
        app.owner.execute(
            "insert into public.video_jobs"
            " (user_id, job_id, model_id, created_at, times_out_at, credits_used, provider, prompt)"
            " select j.user_id, rendio.uuid_v7(j.created_at - n * interval '1 second'), j.model_id,"
            " j.created_at - n * interval '1 second', j.times_out_at, j.credits_used, j.provider,"
            " j.prompt from (select * from public.video_jobs order by job_id limit 1) as j,"
            " generate_series(1, %s) as n",
            [more],
        )
        app.owner.execute("analyze public.video_jobs")
        found.append(warm_buffers(conn, first_page))
    few, many = found
    assert many <= few + 2


@pytest.mark.parametrize("months_active", [36, 3], ids=["to this day", "for 3 months"])
def test_ledger_reads_cost_the_same_after_3_and_36_months(
    app: App, conn: Connection, months_active: int
) -> None:
    user, found = uuid4(), {}
    for month in range(1, 37):
        app.set_clock(f"timestamptz '2023-01-15 12:00+00' + interval '{month} months'")
        value(app.owner, "select rendio.ensure_partitions()")
        if month == 1:
            app.call("device_check", user, "a phone")
        for _ in range(25 if month <= months_active else 0):
            app.call("add_credits", user, 1, "promo_grant", uuid4())
        if month in (3, 36):
            found[month] = ledger_reads(app, conn, user)
    assert app.value("select count(*) from rendio.quota_log_default") == 0
    for read, few in found[3].items():
        assert found[36][read] <= few, read


def ledger_reads(app: App, conn: Connection, user: UUID) -> dict[str, int]:
    """Return what reads of a ledger cost, at its newest end and at its oldest."""
    born = app.value("select created_at from public.users where id = %s", user)
    page = app.call("get_credit_history", user)
    rest = (user, page["next_before_seq"], 20, page["next_before_at"])
    calls = {
        "first page": Call("get_credit_history", (user,), user),
        "second page": Call("get_credit_history", rest, user),
        "statement at first": Call("get_credit_statement", (user, born, "2023-04-01"), user),
        "balance now": Call("balance_at", (user, "infinity"), user),
        "balance at first": Call("balance_at", (user, born), user),
    }
    return {name: warm_buffers(conn, call) for name, call in calls.items()}
