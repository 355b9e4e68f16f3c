"""The proof of the books: right while they are written, in chunks, and of large ones."""

import json
import random
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict
from rpc import App, Call, Connection, generation, outcome_of, value
from servers import Cluster

WRITERS = 8
ALL = "select user_id, problem, expected, actual from public.reconcile_credits() order by 1, 2, 3"
ONE = "select user_id, problem, expected, actual from public.reconcile_credits(%s)"


def set_chunk(conn: Connection, users: int) -> None:
    """Have chunks end after so many users."""
    written = value(conn, "select pg_get_functiondef('rendio.chunk_end'::regproc)")
    assert "offset 9999" in written
    conn.execute(written.replace("offset 9999", f"offset {users - 1}"))


# --- while they are written -----------------------------------------------------------------------


def act(app: App, conn: Connection, dice: random.Random, users: list[UUID]) -> None:
    """Do something with credits, refused or not."""

    def call(rpc: str, *args: object) -> Any:
        return outcome_of(Call(rpc, args), conn).result

    user, name = dice.choice(users), str(uuid4())
    match dice.choice(["grant", "take", "buy", "fold", *["video"] * 4]):
        case "grant":
            call("add_credits", user, 5, "promo_grant", uuid4())
        case "take":
            call("add_credits", user, -3, "admin_adjustment", uuid4())
        case "buy":
            call("record_iap_purchase", user, "app_store", "Production", name, "credits_20")
        case "fold":
            conn.execute("select rendio.fold_lots(%s)", [user])
        case "video":
            if made := outcome_of(generation(user), conn).result:
                call("start_video_job", user, made["job_id"], name)
                call("fail_video_job", "fal", name, "no")


@pytest.mark.once
def test_no_false_alarm_while_eight_write(db: str) -> None:
    stop, written = threading.Event(), [0] * WRITERS

    def write(app: App, users: list[UUID], n: int) -> None:
        dice = random.Random(n)
        with psycopg.connect(app.url, autocommit=True) as conn:
            while not stop.is_set():
                act(app, conn, dice, users)
                written[n] += 1

    with App(db) as app, ThreadPoolExecutor(WRITERS) as pool:
        set_chunk(app.owner, 700)
        app.login.execute(
            "select public.device_check(null, 'phone ' || n) from generate_series(1, 3000) as n"
        )
        users = [user for (user,) in app.owner.execute("select id from public.users")]
        # One hot user among them, so that each proof meets somebody who is being written.
        writers = [pool.submit(write, app, [*users, *users[:1] * 1000], n) for n in range(WRITERS)]
        try:
            for _ in range(6):
                before = list(written)
                assert app.login.execute(ALL).fetchall() == []
                busy = [now > then for now, then in zip(written, before, strict=True)]
                assert all(busy), "nobody wrote meanwhile"
        finally:
            stop.set()
        for writer in writers:
            writer.result()
        assert app.login.execute(ALL).fetchall() == []


# --- in chunks ------------------------------------------------------------------------------------


@pytest.mark.once
def test_chunks_find_what_the_whole_finds(conn: Connection) -> None:
    """Accounts that differ, ledgers without one between and beyond them, neighbours, both ends."""
    ends = ["00000000-0000-0000-0000-000000000000", "ffffffff-ffff-ffff-ffff-ffffffffffff"]
    conn.execute(
        """
        create temp table people as
        select md5(n::text)::uuid as id from generate_series(1, 60) as n
        union all
        select ('aaaaaaaa-0000-4000-8000-00000000' || lpad(to_hex(n), 4, '0'))::uuid
        from generate_series(250, 270) as n
        union all
        select unnest(%s::uuid[])
        """,
        [ends],
    )
    conn.execute(
        """
        insert into public.users (id, credits_remaining)
        select p.id, 7 from people as p where hashtext(p.id::text) % 3 <> 0
        """
    )
    conn.execute(
        """
        insert into public.quota_log (user_id, seq, created_at, balance_after, change, reason)
        select p.id, 2, now(), 1, 5, 'video_generation' from people as p
        where hashtext(p.id::text) % 3 <> 1 or p.id in (select min(id::text)::uuid from people)
        """
    )
    whole = conn.execute(ALL).fetchall()
    ids = [user for (user,) in conn.execute("select id from people order by id")]
    assert {ids[0], ids[-1]} == set(map(UUID, ends))
    assert {user for user, *_ in whole} == set(ids)
    one_by_one = [row for user in ids for row in conn.execute(ONE, [user])]
    assert sorted(map(str, one_by_one)) == sorted(map(str, whole))
    walk = "select r.* from public.reconcile_credits(null, %s, %s) as r order by 1, 2, 3"
    by_digit = [
        row
        for digit in "0123456789abcdef"
        for row in conn.execute(walk, [str(UUID(digit + c * 31)) for c in "0f"])
    ]
    assert by_digit == whole
    for users in (1, 2, 7, 55):
        with conn.transaction(force_rollback=True):
            set_chunk(conn, users)
            assert conn.execute(ALL).fetchall() == whole, users


# --- at size --------------------------------------------------------------------------------------


def fill(conn: Connection, users: int) -> None:
    """Add so many users with a purchase, a grant, three jobs and folded lots; the books agree."""
    psycopg.ClientCursor(conn).execute(
        """
        create temp table if not exists people (id uuid, jobs uuid []);
        truncate people;
        insert into people
        select gen_random_uuid(), array[gen_random_uuid(), gen_random_uuid(), gen_random_uuid()]
        from generate_series(1, %(users)s);

        insert into public.users (
            id, credits_remaining, credits_total, ledger_seq, created_at, ledger_at, lots_seq
        )
        select id, 18, 30, 6, now(), now(), 2 from people;
        insert into public.quota_log (
            user_id, seq, created_at, change, balance_after, reason, job_id
        )
        select p.id, e.seq, now(), e.change, e.balance, e.reason::rendio.ledger_reason,
            p.jobs[e.job]
        from people as p
        cross join (values
            (1, 10, 10, 'promo_grant', null), (2, 20, 30, 'iap_purchase', null),
            (3, -4, 26, 'video_generation', 1), (4, -4, 22, 'video_generation', 2),
            (5, -8, 14, 'video_generation', 3), (6, 4, 18, 'partial_refund', 3)
        ) as e (seq, change, balance, reason, job);
        insert into public.video_jobs (
            user_id, job_id, model_id, created_at, times_out_at, completed_at, credits_used,
            credits_refunded, status, provider, prompt
        )
        select p.id, p.jobs[n], gen_random_uuid(), now(), now(), now(),
            case n when 3 then 8 else 4 end, case n when 3 then 4 else 0 end, 'completed', 'fal', ''
        from people as p cross join generate_series(1, 3) as n;
        insert into public.credit_grants (
            user_id, seq, priority, kind, amount, remaining, created_at
        )
        select p.id, g.seq, 10, 'promotional', g.amount, g.amount, now()
        from people as p cross join (values (1, 10), (2, 20)) as g (seq, amount);
        insert into public.iap_transactions (
            store, environment, transaction_id, user_id, product_id, credits_added, ledger_seq,
            purchased_at, created_at
        )
        select 'app_store', 'Production', p.id, p.id, 'credits_20', 20, 2, now(), now()
        from people as p;
        """,
        {"users": users},
    )


@contextmanager
def explained(conn: Connection) -> Iterator[list[dict[str, Any]]]:
    """Collect the plans of all that runs, what functions run included."""
    plans: list[dict[str, Any]] = []

    def collect(notice: psycopg.errors.Diagnostic) -> None:
        said = notice.message_primary or ""
        if " plan:\n" in said:
            plans.append(json.loads(said.split(" plan:\n", 1)[1])["Plan"])

    options = {"min_duration": 0, "nested_statements": 1, "analyze": 1, "timing": 0}
    for option, setting in {**options, "format": "json"}.items():
        conn.execute(f"set local auto_explain.log_{option} = {setting}")
    conn.execute("set local client_min_messages = log")
    conn.add_notice_handler(collect)
    yield plans
    conn.remove_notice_handler(collect)
    conn.execute("set local client_min_messages = notice")


def rows_handled(plan: dict[str, Any]) -> int:
    """Return how many rows the nodes of a plan gave or threw away."""
    rows = sum(n for key, n in plan.items() if key == "Actual Rows" or key.startswith("Rows Rem"))
    return int(rows * plan["Actual Loops"]) + sum(map(rows_handled, plan.get("Plans", [])))


def work(conn: Connection, query: str, *args: object) -> int:
    """Return how many rows a proof that finds nothing handles."""
    with conn.transaction(), explained(conn) as plans:
        assert conn.execute(query, args).fetchall() == []
    assert len(plans) > 10
    return sum(map(rows_handled, plans))


@pytest.fixture
def superuser(server: Cluster, db: str) -> Iterator[Connection]:
    """A superuser's connection with auto_explain, which takes one to load."""
    with server.admin(str(conninfo_to_dict(db)["dbname"])) as conn:
        try:
            conn.execute("load 'auto_explain'")
        except psycopg.errors.UndefinedFile:
            pytest.skip("this server comes without auto_explain")
        yield conn


@pytest.mark.once
@pytest.mark.thorough
def test_four_times_the_users_are_four_times_the_work(superuser: Connection) -> None:
    """In one chunk, the largest for a join; before the tables are analyzed, and after."""
    set_chunk(superuser, 1_000_000)
    fill(superuser, 5_000)
    few = work(superuser, ALL)
    fill(superuser, 15_000)
    many = work(superuser, ALL)
    superuser.execute("analyze")
    known = work(superuser, ALL)
    alone = work(superuser, ONE, value(superuser, "select id from people limit 1"))
    print(f"rows handled: {few} of 5,000 users, {many} of 20,000, analyzed {known}, of one {alone}")
    assert many <= 5 * few
    assert known <= 5 * few
    assert alone * 20_000 <= 2 * known


# --- one long ledger ------------------------------------------------------------------------------


def watched(url: str, call: Call) -> tuple[Any, float]:
    """Make a call; return its result, and the most memory that its process had, in MB."""
    with psycopg.connect(url, autocommit=True) as conn, ThreadPoolExecutor(1) as pool:
        status, peak = Path(f"/proc/{conn.info.backend_pid}/status"), 0
        if not (conn.info.host.startswith("/") and status.exists()):
            pytest.skip("a process is only seen in /proc of its own machine")
        running = pool.submit(call, conn)
        while not running.done():
            (line,) = [line for line in status.read_text().splitlines() if "RssAnon" in line]
            peak = max(peak, int(line.split()[1]))
            time.sleep(0.005)
        return running.result(), peak / 1024


def long_ledger(conn: Connection, entries: int) -> UUID:
    """Make a user who was given credits once and spent them one at a time."""
    user = uuid4()
    psycopg.ClientCursor(conn).execute(
        """
        insert into public.users (id, credits_total, ledger_seq, created_at, ledger_at)
        values (
            %(user)s, %(n)s - 1, %(n)s, '2020-01-01', now() + %(n)s * interval '1 microsecond'
        );
        insert into public.quota_log (user_id, seq, created_at, change, balance_after, reason)
        select %(user)s, n, now() + n * interval '1 microsecond',
            case n when 1 then %(n)s - 1 else -1 end, %(n)s - n, 'admin_adjustment'
        from generate_series(1, %(n)s) as n;
        insert into public.credit_grants (
            user_id, seq, priority, kind, amount, remaining, created_at
        )
        values (%(user)s, 1, 10, 'promotional', %(n)s - 1, %(n)s - 1, now());
        """,
        {"user": user, "n": entries},
    )
    return user


@pytest.mark.once
@pytest.mark.thorough
def test_a_million_entries_take_the_memory_of_ten_thousand(db: str) -> None:
    peaks: dict[str, list[float]] = {"reconcile_credits": [], "ledger_digest": []}
    with App(db) as app:
        for user in (long_ledger(app.owner, 10_000), long_ledger(app.owner, 1_000_000)):
            for rpc, seen in peaks.items():
                found, peak = watched(app.url, Call(rpc, (user,)))
                assert found is None or rpc == "ledger_digest", found
                seen.append(peak)
    print({rpc: [f"{mb:.0f} MB" for mb in seen] for rpc, seen in peaks.items()})
    for few, many in peaks.values():
        assert many <= few + 40
