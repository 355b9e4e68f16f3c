"""Partitions of the ledger in time: missed runs, rows that moved, doors that stay shut.

The clock stands in 2001, whatever the year: before all partitions of the template.
"""

from collections.abc import Iterator
from time import monotonic

import psycopg
import pytest
import servers
from catalogue import CLIENTS
from psycopg import sql
from rendio import migrate
from rpc import COST, App, Connection, outcome_of, value
from servers import Run

pytestmark = pytest.mark.shapeless

DEFAULT = "rendio.quota_log_default"


@pytest.fixture
def app(db: str) -> Iterator[App]:
    with App(db) as app:
        for conn in (app.owner, app.login):
            conn.execute("set timezone = 'UTC'")
        app.set_clock("'2001-03-15 12:00+00'")
        assert ensure(app.login) == 4
        yield app
        assert misplaced(app) == []


def ensure(conn: Connection) -> int:
    return int(value(conn, "select rendio.ensure_partitions()"))


def partitions(app: App) -> dict[str, str]:
    """Return the ledger's partitions of that time and their bounds."""
    query = """
        select c.relname, pg_get_expr(c.relpartbound, c.oid)
        from pg_catalog.pg_inherits as i
        join pg_catalog.pg_class as c on c.oid = i.inhrelid
        where i.inhparent = 'public.quota_log'::regclass and c.relname like 'quota_log_200%'
    """
    return dict(app.owner.execute(query).fetchall())


def month(name: str, start: str, end: str) -> tuple[str, str]:
    bounds = f"FOR VALUES FROM ('{start}-01 00:00:00+00') TO ('{end}-01 00:00:00+00')"
    return f"quota_log_{name}", bounds


def unhealthy(app: App) -> set[str]:
    query = "select name from rendio.health() where not ok"
    return {name for (name,) in app.owner.execute(query)}


def misplaced(app: App) -> list[tuple[object, ...]]:
    """Return where the books do not agree. Months pass here without the sweeper's run."""
    return app.discrepancies(swept=False)


def ledger(app: App) -> list[tuple[object, ...]]:
    return app.owner.execute("select * from public.quota_log order by user_id, seq").fetchall()


def in_default(app: App) -> int:
    return int(app.value(f"select count(*) from {DEFAULT}"))


# --- in time --------------------------------------------------------------------------------------


def test_current_month_and_three_ahead(app: App) -> None:
    found = partitions(app)
    assert found == dict(
        [
            month("2001_03", "2001-03", "2001-04"),
            month("2001_04", "2001-04", "2001-05"),
            month("2001_05", "2001-05", "2001-06"),
            month("2001_06", "2001-06", "2001-07"),
        ]
    )
    assert ensure(app.login) == 0
    app.set_clock("'2001-03-31 23:59:59.999999+00'")
    assert ensure(app.login) == 0
    app.set_clock("'2001-04-01 00:00:00+00'")
    assert ensure(app.login) == 1
    assert partitions(app) == found | dict([month("2001_07", "2001-07", "2001-08")])


@pytest.mark.parametrize(
    ("timezone", "datestyle"),
    [("UTC", "ISO, MDY"), ("Pacific/Kiritimati", "SQL, DMY"), ("America/St_Johns", "German")],
)
def test_months_without_a_run(app: App, timezone: str, datestyle: str) -> None:
    """Sales go on in the default partition; the next run moves them into months of their own."""
    user = app.new_user(100)
    sales = ["2001-08-31 23:59:59.999999+00", "2001-09-01 00:00:00+00", "2001-11-10 12:00+00"]
    for now in sales:
        app.set_clock(f"'{now}'")
        app.generate(user)
    assert in_default(app) == 3
    assert unhealthy(app) >= {
        "public.quota_log default partition empty",
        "public.quota_log partitions ahead",
    }
    assert misplaced(app) == [(user, "entries_in_default_partition", 0, 3)]
    history = app.call("get_credit_history", user)
    before = ledger(app)

    app.login.execute("select set_config('timezone', %s, false)", [timezone])
    app.login.execute("select set_config('datestyle', %s, false)", [datestyle])
    assert ensure(app.login) == 6
    app.login.execute("set timezone = 'UTC'; reset datestyle")

    assert in_default(app) == 0
    assert unhealthy(app).isdisjoint(
        {"public.quota_log default partition empty", "public.quota_log partitions ahead"}
    )
    assert ledger(app) == before
    assert app.call("get_credit_history", user) == history
    query = "select tableoid::regclass::text from public.quota_log where user_id = %s order by seq"
    where = [name for (name,) in app.owner.execute(query, [user])]
    assert where[-3:] == [f"rendio.quota_log_2001_{m}" for m in ("08", "09", "11")]
    made = partitions(app)
    for expected in (
        month("2001_08", "2001-08", "2001-09"),
        month("2001_09", "2001-09", "2001-10"),
        month("2001_12", "2001-12", "2002-01"),
        month("2002_02", "2002-02", "2002-03"),
    ):
        assert expected in made.items()
    assert "quota_log_2001_10" not in made  # nobody can sell in October any more


def test_balances_are_right_while_rows_are_in_the_default_partition(app: App) -> None:
    user = app.new_user(100)
    app.set_clock("'2001-09-10 12:00+00'")
    app.generate(user)
    for _ in range(2):
        assert app.call("balance_at", user, "2001-08-31 23:59:59+00") == 100
        assert app.call("balance_at", user, "2001-09-10 12:00+00") == 100 - COST
        ensure(app.login)


def test_days(app: App) -> None:
    """A policy by the day, of any other table."""
    app.owner.execute(
        """
        create table public.day_test (created_at timestamptz not null)
        partition by range (created_at);
        create table rendio.day_test_default partition of public.day_test default;
        insert into rendio.partition_policies (parent, step, ahead)
        values ('public.day_test', '1 day', 2);
        insert into public.day_test values ('2001-03-14 23:59:59.999999+00');
        """
    )
    assert ensure(app.login) == 4
    query = (
        "select inhrelid::regclass::text from pg_inherits where inhparent = 'day_test'::regclass"
    )
    names = {name.removeprefix("rendio.day_test_") for (name,) in app.owner.execute(query)}
    assert names == {"default", "2001_03_14", "2001_03_15", "2001_03_16", "2001_03_17"}
    assert app.value("select count(*) from rendio.day_test_2001_03_14") == 1


# --- in others' way -------------------------------------------------------------------------------


def test_behind_a_reader_it_leaves_the_month_to_the_next_run(app: App) -> None:
    warnings: list[str] = []
    app.login.add_notice_handler(lambda d: warnings.append(f"{d.severity}: {d.message_primary}"))
    app.set_clock("'2001-04-15 12:00+00'")
    before = partitions(app)
    with psycopg.connect(app.url) as reader:
        reader.execute("set role rendio_owner")
        reader.execute("select count(*) from public.quota_log")
        assert ensure(app.login) == 0
    assert warnings == [
        "WARNING: partition of public.quota_log from 2001-07-01 00:00:00+00 waits for the next run"
    ]
    assert partitions(app) == before
    assert "public.quota_log partitions ahead" in unhealthy(app)
    assert ensure(app.login) == 1
    assert "public.quota_log partitions ahead" not in unhealthy(app)


def test_behind_a_sale_it_leaves_the_month_to_the_next_run(app: App) -> None:
    user = app.new_user(100)
    app.set_clock("'2001-07-15 12:00+00'")
    with psycopg.connect(app.url) as seller:
        seller.execute("set role service_role")
        seller.execute("select public.add_credits(%s, 5, 'promo_grant', gen_random_uuid())", [user])
        app.owner.execute("update rendio.partition_policies set ahead = 1")  # two to wait for
        assert ensure(app.login) == 0
        seller.commit()
    assert in_default(app) == 1
    assert ensure(app.login) == 2
    assert in_default(app) == 0
    assert app.credits(user) == 105


@pytest.mark.once
def test_an_autovacuum_run_gives_way(run: Run) -> None:
    """It is stopped for who has waited for deadlock_timeout, so the wait here must be longer."""
    if not run.bin_dir:
        pytest.skip("needs a server of its own, whose autovacuum looks every second")
    with servers.private_cluster(run.bin_dir, settings={"autovacuum_naptime": "1"}) as cluster:
        url = cluster.create("slow_autovacuum")
        migrate.apply(url)
        with App(url) as app, cluster.admin("slow_autovacuum") as superuser:
            app.set_clock("'2001-03-15 12:00+00'")
            superuser.execute(
                f"""
                alter table {DEFAULT} set (
                    autovacuum_vacuum_threshold = 0, autovacuum_vacuum_scale_factor = 0,
                    autovacuum_vacuum_cost_limit = 1, autovacuum_vacuum_cost_delay = 100
                );
                insert into {DEFAULT} (user_id, seq, created_at, change, balance_after, reason)
                select gen_random_uuid(), n, '1999-01-01', 1, 1, 'promo_grant'
                from generate_series(1, 50000) as n;
                delete from {DEFAULT};
                """
            )
            query = f"select from pg_stat_progress_vacuum where relid = '{DEFAULT}'::regclass"
            deadline = monotonic() + 60
            while superuser.execute(query).fetchone() is None:
                assert monotonic() < deadline, f"no autovacuum of {DEFAULT}"
            assert ensure(app.login) == 4


# --- doors ----------------------------------------------------------------------------------------


def test_partitions_are_shut_like_their_parent(app: App) -> None:
    """Also those that rows were moved to, and the default that they were moved from."""
    user = app.new_user(100)
    app.set_clock("'2001-09-10 12:00+00'")
    app.generate(user)
    ensure(app.login)
    tables = [("rendio", name) for name in partitions(app)]
    assert len(tables) == 8
    for table in [*tables, ("rendio", "quota_log_default"), ("public", "quota_log")]:
        name = sql.Identifier(*table)
        query = sql.SQL("select relrowsecurity from pg_class where oid = %s::regclass")
        assert value(app.owner, query, ".".join(table))
        writes = ["update {} set change = 1", "delete from {}", "truncate {}"]
        for role in (*CLIENTS, "service_role", "rendio_owner"):
            reads = ["select from {}", "insert into {} default values"]
            allowed = role == "rendio_owner" or table[0] == "public"
            for statement in [*writes, *([] if allowed else reads)]:
                assert refused(app, role, sql.SQL(statement).format(name)), (role, statement, table)


def refused(app: App, role: str, statement: sql.Composed) -> bool:
    def attempt(conn: Connection) -> None:
        with conn.transaction(force_rollback=True):
            conn.execute(sql.SQL("set local role {}").format(sql.Identifier(role)))
            conn.execute(statement)

    return outcome_of(attempt, app.login).sqlstate == "42501"
