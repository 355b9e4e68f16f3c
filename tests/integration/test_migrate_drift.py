"""What somebody changed by hand is found, and said by name."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from migrate_trees import Release, as_owner, error_of, query
from profiles import Profile
from psycopg.conninfo import conninfo_to_dict
from rendio import embedded, migrate
from servers import Cluster

CHANGES = [
    (
        "create or replace function rendio.double(p_n integer) returns integer language sql"
        " immutable begin atomic select p_n * 3; end",
        "function rendio.double(integer)",
        "body was changed",
    ),
    (
        "grant execute on function public.count_things(integer) to anon",
        "function public.count_things(integer)",
        "grants to anon was added",
    ),
    (
        "alter function public.count_things(integer) reset search_path",
        "function public.count_things(integer)",
        "attributes was changed",
    ),
    (
        "comment on function public.count_things(integer) is null",
        "function public.count_things(integer)",
        "comment is missing",
    ),
    (
        "alter table public.things alter column name drop not null",
        "table public.things",
        "column name was changed",
    ),
    ("alter table public.things add column extra int", "table public.things", "column extra was"),
    (
        "alter table public.things disable row level security",
        "table public.things",
        "row security was changed",
    ),
    (
        "create index things_extra_idx on public.things (size)",
        "table public.things",
        "index public.things_extra_idx was added",
    ),
    ("drop index public.things_name_idx", "table public.things", "index public.things_name_idx is"),
    ("grant insert on public.things to anon", "table public.things", "grants to anon was added"),
    (
        "grant update (name) on public.things to anon",
        "table public.things",
        "column name grants to anon was added",
    ),
    (
        "alter table public.things add constraint small check (size < 9)",
        "table public.things",
        "constraint small was added",
    ),
    (
        "alter policy things_select on public.things using (true)",
        "policy things_select on public.things",
        "definition was changed",
    ),
    (
        "drop policy things_select on public.things",
        "policy things_select on public.things",
        "is missing",
    ),
    (
        "create policy door on public.things using (true)",
        "policy door on public.things",
        "was not made by an apply",
    ),
    ("create table rendio.notes (id int)", "table rendio.notes", "was not made by an apply"),
    ("drop view rendio.big_things", "view rendio.big_things", "is missing"),
    ("comment on schema rendio is 'mine'", "schema rendio", "comment was changed"),
    ("grant usage on schema rendio to anon", "schema rendio", "grants to anon was added"),
]


def test_each_change_by_hand_is_named(release: Release, applied: str) -> None:
    """One after the other on one database, each found beside the earlier ones."""
    assert migrate.drift(applied, release.root) == []
    known: set[str] = set()
    for statement, thing, problem in CHANGES:
        as_owner(applied, statement)
        found = {str(difference) for difference in migrate.drift(applied, release.root)}
        new = [text for text in found - known if text.startswith(f"{thing}: {problem}")]
        assert new, f"{statement}: {sorted(found - known)}"
        known = found


def test_a_change_of_owner_is_drift(release: Release, applied: str, server: Cluster) -> None:
    with server.admin(str(conninfo_to_dict(applied)["dbname"])) as admin:
        admin.execute("alter table public.things owner to session_user")
    differences = [str(d) for d in migrate.drift(applied, release.root)]
    assert "table public.things: owner was changed (sql/0002_things.sql)" in differences


def test_a_dump_and_restore_is_no_drift(
    release: Release,
    applied: str,
    new_database: Callable[[], str],
    server: Cluster,
    profile: Profile,
) -> None:
    """But for what the default privileges of whoever restores open anew: that is drift indeed."""
    restored = new_database()
    dump = [str(Path(server.psql_path).with_name("pg_dump")), _as_superuser(server, applied)]
    text = subprocess.run(dump, check=True, capture_output=True, text=True).stdout
    psql = [str(server.psql_path), "-Xq", _as_superuser(server, restored)]
    subprocess.run(psql, check=True, input=text, capture_output=True, text=True)
    found = migrate.drift(restored, release.root)
    if profile.name == "supabase_open":
        opened = {"grants to anon", "grants to authenticated", "grants to service_role"}
        assert {difference.aspect for difference in found} == opened
    else:
        assert found == []
    assert not release.apply(restored).changed


def _as_superuser(server: Cluster, url: str) -> str:
    user = conninfo_to_dict(server.superuser_url)["user"]
    return server.url(str(conninfo_to_dict(url)["dbname"]), str(user))


def test_drift_stays_visible_through_an_apply(release: Release, applied: str) -> None:
    """An apply that touches the same object does not take the change by hand for its own."""
    as_owner(applied, "grant insert on public.things to anon")
    release.write("sql/0004_more.sql", "alter table public.things add column more int;\n")
    release.replace("policies/things.sql", "size < 100", "size < 50")
    release.apply(applied)
    found = [str(difference) for difference in migrate.drift(applied, release.root)]
    assert found == ["table public.things: grants to anon was added"]


def test_files_that_take_turns_at_one_table_are_no_drift(release: Release, applied: str) -> None:
    """The policy file granted first, then a versioned file; an edit of the first is later still."""
    release.write("sql/0004_grant.sql", "grant insert on public.things to authenticated;\n")
    release.apply(applied)
    release.replace("policies/things.sql", "size < 100", "size < 50")
    release.apply(applied)
    assert migrate.drift(applied, release.root) == []


def test_an_open_partition_is_drift(release: Release, empty_db: str) -> None:
    release.write(
        "sql/0004_events.sql",
        "create table public.events (at date primary key) partition by range (at);\n"
        "alter table public.events enable row level security;\n",
    )
    release.apply(empty_db)
    as_owner(
        empty_db,
        "create table rendio.events_1 partition of public.events"
        " for values from ('2026-01-01') to ('2026-02-01')",
        "grant select on rendio.events_1 to anon",
    )
    assert [str(difference) for difference in migrate.drift(empty_db, release.root)] == [
        "partition rendio.events_1: row security is disabled",
        "partition rendio.events_1: privileges were granted to anon",
    ]


def test_drift_of_nothing_says_what_to_do(release: Release, empty_db: str) -> None:
    for verb in (migrate.drift, migrate.verify):
        assert "run `rendio apply` first" in str(error_of(lambda v=verb: v(empty_db, release.root)))  # type: ignore[misc]


@pytest.fixture
def databases(server: Cluster) -> Callable[[], set[str]]:
    def names() -> set[str]:
        rows = query(
            server.superuser_url,
            "select datname::text from pg_database where datname ~ '^rendio_verify_'",
        )
        return {name for (name,) in rows}

    return names


def test_verify_compares_with_a_fresh_build(
    release: Release, applied: str, databases: Callable[[], set[str]]
) -> None:
    assert migrate.verify(applied, release.root) == []
    as_owner(
        applied,
        "alter table public.things alter column size set default 7",
        "create view rendio.extra as select 1 as one",
        # drift would not see this: the ledger agrees with the catalogue
        "update rendio.migrations set fingerprint = null",
    )
    found = [str(difference) for difference in migrate.verify(applied, release.root)]
    assert found == [
        "table public.things: column size differs from a fresh build",
        "view rendio.extra: is not in a fresh build",
    ]
    assert not databases()


def test_verify_without_createdb_builds_on_a_server_of_its_own(
    release: Release, deployer_db: str
) -> None:
    release.apply(deployer_db)
    assert migrate.verify(deployer_db, release.root) == []
    as_owner(deployer_db, "alter table public.things alter column size set default 7")
    found = [str(difference) for difference in migrate.verify(deployer_db, release.root)]
    assert found == ["table public.things: column size differs from a fresh build"]


def test_verify_without_any_server_says_what_to_do(
    release: Release, deployer_db: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def none(major: int) -> None:
        raise embedded.EmbeddedError(f"no PostgreSQL {major}")

    release.apply(deployer_db)
    monkeypatch.setattr(embedded, "system_binaries", none)
    monkeypatch.setattr(embedded, "carrier_binaries", none)
    error = error_of(lambda: migrate.verify(deployer_db, release.root))
    assert "createdb" in str(error)
    assert "--scratch" in str(error)


def test_verify_builds_on_another_server(
    release: Release, deployer_db: str, server: Cluster
) -> None:
    release.apply(deployer_db)
    assert migrate.verify(deployer_db, release.root, scratch=server.superuser_url) == []
