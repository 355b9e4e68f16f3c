"""What an apply refuses before it has written anything, and what it says to do."""

import secrets
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
import servers
from migrate_trees import Release, as_owner, error_of, query, row_of
from psycopg.conninfo import conninfo_to_dict
from rendio import migrate, sqlfiles
from rendio.embedded import Server
from servers import Cluster


@pytest.fixture
def admin(server: Cluster, empty_db: str) -> Iterator[psycopg.Connection[Any]]:
    """The superuser, in the empty database."""
    with server.admin(conninfo_to_dict(empty_db)["dbname"]) as conn:
        yield conn


@pytest.fixture
def dump(server: Cluster) -> Callable[[str], str]:
    """Dump a database's schema and data; equal texts say that nothing was written."""

    def run(url: str) -> str:
        parts = conninfo_to_dict(url)
        url = server.url(str(parts["dbname"]), conninfo_to_dict(server.superuser_url)["user"])
        program = Path(server.psql_path).with_name("pg_dump")
        text = subprocess.run([program, url], check=True, capture_output=True, text=True).stdout
        return "\n".join(line for line in text.splitlines() if not line.startswith("\\"))

    return run


def other_role(admin: psycopg.Connection[Any]) -> str:
    name = f"{admin.info.dbname}_other"
    admin.execute(f'create role "{name}"')
    return name


@pytest.fixture
def other(admin: psycopg.Connection[Any]) -> Iterator[str]:
    """A role that has nothing to do with rendio."""
    name = other_role(admin)
    yield name
    admin.execute(f'drop owned by "{name}" cascade')
    admin.execute(f'drop role "{name}"')


def test_foreign_objects_are_all_named_with_owner_and_remedy(
    empty_db: str, admin: psycopg.Connection[Any], other: str, dump: Callable[[str], str]
) -> None:
    """Somebody's own tables, functions and schema of our names; the whole list at once."""
    admin.execute(
        f"""
        create table public.users (id int);
        insert into public.users values (1);
        create view public.models as select 1 as id;
        create function public.add_credits(text) returns int language sql as 'select 1';
        create schema rendio;
        alter table public.users owner to "{other}";
        """
    )
    before = dump(empty_db)
    error = error_of(lambda: migrate.apply(empty_db))
    assert error.exit_code == 7
    lines = str(error).splitlines()
    for name in (
        f"table public.users, owner {other}",
        "view public.models, owner",
        "function public.add_credits(text), owner",
        "schema rendio, owner",
    ):
        assert [line for line in lines if name in line], name
    assert "alter table public.users rename to" in str(error)
    assert dump(empty_db) == before
    assert error_of(lambda: migrate.plan(empty_db)).exit_code == 7


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("returns integer language sql as 'select 1'", "returns integer, not uuid"),
        ("returns uuid language sql as 'select gen_random_uuid()'", "does not return what"),
        (
            "returns uuid language plpgsql as 'begin raise exception ''no''; end'",
            "fails when it is called (no)",
        ),
        (
            "returns uuid language sql as"
            " $$select coalesce(nullif(current_setting('request.jwt.claim.sub', true), ''),"
            " '00000000-0000-4000-8000-000000000000')::uuid$$",
            "names somebody when there are no claims",
        ),
    ],
)
def test_a_foreign_auth_function_is_refused(
    empty_db: str, admin: psycopg.Connection[Any], body: str, reason: str
) -> None:
    admin.execute("create schema if not exists auth")
    admin.execute("drop function if exists auth.uid()")
    admin.execute(f"create function auth.uid() {body}")
    admin.execute("grant usage on schema auth to public")
    error = error_of(lambda: migrate.apply(empty_db))
    assert error.exit_code == 7
    assert "function auth.uid(), owner" in str(error)
    assert reason in str(error)


def test_an_auth_function_of_an_unknown_role_is_never_called(
    empty_db: str, admin: psycopg.Connection[Any], other: str
) -> None:
    """It would show that it was: it takes a lock that a read-only transaction may take."""
    admin.execute(
        f"""
        create schema if not exists auth;
        drop function if exists auth.uid();
        create function auth.uid() returns uuid language plpgsql
        as 'begin perform pg_advisory_lock(4711); return null; end';
        alter function auth.uid() owner to "{other}";
        grant usage on schema auth to public;
        """
    )

    error = error_of(lambda: migrate.apply(empty_db))
    held = query(empty_db, "select pid from pg_locks where locktype = 'advisory' and objid = 4711")
    assert error.exit_code == 7
    assert f"function auth.uid(), owner {other}, belongs to a role" in str(error)
    assert held == []


def test_a_schema_auth_of_an_unknown_role_is_refused(
    empty_db: str, admin: psycopg.Connection[Any], other: str
) -> None:
    admin.execute("drop schema if exists auth cascade")
    admin.execute(f'create schema auth authorization "{other}"')
    error = error_of(lambda: migrate.apply(empty_db))
    assert error.exit_code == 7
    assert f"schema auth, owner {other}, belongs to a role" in str(error)


def test_a_schema_auth_that_the_login_may_not_extend_is_told(
    deployer_db: str, server: Cluster
) -> None:
    with server.admin(conninfo_to_dict(deployer_db)["dbname"]) as admin:
        admin.execute("drop schema if exists auth cascade")
        admin.execute("create schema auth")
    error = error_of(lambda: migrate.apply(deployer_db))
    login = conninfo_to_dict(deployer_db)["user"]
    assert f"grant usage, create on schema auth to {login};" in str(error)
    assert "to make auth.uid(), auth.role(), auth.jwt()" in str(error)


def test_functions_as_supabase_has_them_are_left_alone(
    empty_db: str, admin: psycopg.Connection[Any]
) -> None:
    definition = """
        create schema if not exists auth;
        create or replace function auth.uid() returns uuid language sql stable as $$
            select coalesce(
                nullif(current_setting('request.jwt.claim.sub', true), ''),
                (nullif(current_setting('request.jwt.claims', true), '')::jsonb ->> 'sub')
            )::uuid
        $$;
        grant usage, create on schema auth to public;
    """
    if query(empty_db, "select from pg_proc where pronamespace = to_regnamespace('auth')") == []:
        admin.execute(definition)
    source = "select oid, xmin::text from pg_proc where oid = 'auth.uid()'::regprocedure"
    before = query(empty_db, source)
    migrate.apply(empty_db)
    assert query(empty_db, source) == before


def test_a_foreign_publication_is_refused(
    empty_db: str, admin: psycopg.Connection[Any], other: str
) -> None:
    admin.execute("drop publication if exists supabase_realtime")
    admin.execute("create publication supabase_realtime")
    admin.execute(f'grant create on database "{admin.info.dbname}" to "{other}"')
    admin.execute(f'alter publication supabase_realtime owner to "{other}"')
    error = error_of(lambda: migrate.apply(empty_db))
    assert error.exit_code == 7
    assert f"publication supabase_realtime, owner {other}" in str(error)


def test_a_schema_that_only_looks_like_ours_is_refused(
    empty_db: str, admin: psycopg.Connection[Any]
) -> None:
    """A ledger that does not belong to our owner is not believed."""
    admin.execute("create schema rendio")
    admin.execute("create table rendio.migrations (path text, defines text[])")
    admin.execute("insert into rendio.migrations values ('x', '{table public.users}')")
    error = error_of(lambda: migrate.apply(empty_db))
    assert error.exit_code == 7
    assert "table rendio.migrations exists, owner" in str(error)


def test_a_newer_schema_is_refused(release: Release, applied: str) -> None:
    as_owner(applied, "update rendio.migrations set release = '99.1.0' where path ~ '0003'")
    for verb in (release.apply, lambda url: migrate.plan(url, release.root)):
        error = error_of(lambda verb=verb: verb(applied))  # type: ignore[misc]
        assert error.exit_code == 7
        assert "rendio 99.1.0" in str(error)
    status = migrate.status(applied, release.root)
    assert [problem.error.exit_code for problem in status.problems] == [7]


def test_a_pooler_of_transactions_is_refused(
    release: Release, empty_db: str, pooled_url: Callable[[str], str]
) -> None:
    url = pooled_url(empty_db)
    for _ in range(3):
        error = error_of(lambda: release.apply(url))
        assert error.exit_code == 7
        assert "transaction pooler" in str(error)
    assert query(empty_db, "select to_regnamespace('rendio')") == [(None,)]
    path = "select current_setting('search_path'), current_setting('application_name')"
    assert query(url, path)[0][0] != "", "the pooled sessions keep their settings"


def test_a_login_without_rights_is_told_all_of_them(
    release: Release, empty_db: str, server: Cluster, admin: psycopg.Connection[Any]
) -> None:
    login = f"{admin.info.dbname}_poor"
    admin.execute(f'create role "{login}" login')
    admin.execute(f'revoke create on schema public from "{login}"')
    try:
        error = error_of(lambda: release.apply(server.url(admin.info.dbname, login)))
    finally:
        admin.execute(f'drop role "{login}"')
    assert error.exit_code == 1
    assert "may not create schemas" in str(error)
    assert f"grant create on database {admin.info.dbname} to" in str(error)
    assert "may not let rendio_owner create in schema public" in str(error)


def test_a_login_that_is_no_member_of_the_owner_is_told(
    release: Release, applied: str, server: Cluster
) -> None:
    dbname = str(conninfo_to_dict(applied)["dbname"])
    login = f"{dbname}_stranger"
    admin = server.admin()
    admin.execute(f'create role "{login}" login')
    try:
        url = server.url(dbname, login)
        errors = [
            error_of(lambda: release.apply(url)),
            error_of(lambda: migrate.status(url, release.root)),
        ]
    finally:
        admin.execute(f'drop role "{login}"')
        admin.close()
    for error in errors:
        assert error.exit_code == 1
        assert f"grant rendio_owner to {login};" in str(error)


def test_a_standby_is_refused(release: Release, server: Cluster) -> None:
    folder = Path(tempfile.gettempdir()) / f"rendio-standby-{secrets.token_hex(4)}"
    standby = Server(Path(server.psql_path).parent, folder / "data", settings={"fsync": "off"})
    try:
        standby.ensure_started().stop()
        (standby.data_dir / "standby.signal").touch()
        url = standby.ensure_started().url("postgres")
        errors = [
            error_of(lambda: release.apply(url)),
            error_of(lambda: migrate.plan(url, release.root)),
        ]
        assert migrate.status(url, release.root).pending
    finally:
        standby.remove()
        folder.rmdir()
    for error in errors:
        assert error.exit_code == 7
        assert "standby" in str(error)


# --- roles ----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def role_cluster(server: Cluster) -> Iterator[Cluster]:
    """Roles are cluster-wide: a server of its own, so that nobody else meets these."""
    with servers.private_cluster(Path(server.psql_path).parent, superuser="postgres") as cluster:
        yield cluster


@pytest.fixture
def role_db(role_cluster: Cluster) -> Iterator[str]:
    """An empty database on a server without any role but its superuser, as it is left, too."""
    url = role_cluster.create("app")
    yield url
    role_cluster.drop("app")
    with role_cluster.admin() as admin:
        for (name,) in admin.execute(
            "select rolname from pg_roles where rolname !~ '^pg_' and rolname <> current_user"
        ).fetchall():
            admin.execute(f"drop role {name}")


DANGERS = [
    ("create role rendio_owner superuser", "role rendio_owner is superuser"),
    ("create role rendio_owner bypassrls login", "role rendio_owner is bypassrls"),
    ("create role rendio_owner createrole", "role rendio_owner is createrole"),
    ("create role rendio_owner createdb", "role rendio_owner is createdb"),
    ("create role rendio_owner replication", "role rendio_owner is replication"),
    ("create role anon superuser", "role anon is superuser"),
    ("create role authenticated bypassrls", "role authenticated is bypassrls"),
    ("create role anon createrole", "role anon is createrole"),
    (
        "create role service_role; create role anon; grant service_role to anon",
        "role anon is a member of service_role",
    ),
    (
        "create role service_role; create role authenticated noinherit;"
        " grant service_role to authenticated",
        "role authenticated is a member of service_role",
    ),
    (
        "create role rendio_owner; create role authenticated; grant rendio_owner to authenticated",
        "role authenticated is a member of rendio_owner",
    ),
    (
        "create role service_role; create role authenticator login noinherit; create role anon;"
        " grant service_role to authenticator; grant authenticator to anon",
        "role anon is a member of authenticator, and so every client can act as service_role",
    ),
    (
        "create role boss superuser; create role anon noinherit; grant boss to anon",
        "role anon is a member of boss, and so every client can act as boss",
    ),
    (
        "create role boss createrole; create role anon; create role staff role anon;"
        " grant boss to staff",
        "role anon is a member of staff, and so every client can act as boss",
    ),
]


@pytest.mark.parametrize(("statements", "named"), DANGERS, ids=[named for _, named in DANGERS])
@pytest.mark.shapeless
def test_a_role_that_makes_our_privileges_void_is_refused(
    release: Release, role_db: str, statements: str, named: str
) -> None:
    """Until the line that it says is run."""
    query(role_db, statements)
    error = error_of(lambda: release.apply(role_db))
    assert error.exit_code == 7
    [line] = [line for line in str(error).splitlines() if line.startswith("- ")]
    assert line.startswith(f"- {named}")
    assert query(role_db, "select to_regnamespace('rendio')") == [(None,)]
    query(role_db, line.split("as an administrator, ")[1])
    assert migrate.plan(role_db, release.root).steps


@pytest.mark.shapeless
def test_a_membership_is_revoked_from_whoever_granted_it(release: Release, role_db: str) -> None:
    """From PostgreSQL 16 on, a revoke by somebody else would only warn."""
    query(
        role_db,
        "create role service_role; create role anon; create role boss;"
        " grant service_role to boss with admin option; set role boss; grant service_role to anon",
    )
    error = error_of(lambda: release.apply(role_db))
    query(role_db, str(error).split("as an administrator, ")[1])
    assert migrate.plan(role_db, release.root).steps


@pytest.mark.shapeless
def test_roles_as_supabase_and_scaled_out_databases_have_them_are_left_alone(
    release: Release, role_db: str
) -> None:
    query(
        role_db,
        "create role anon; create role authenticated; create role service_role bypassrls;"
        " create role authenticator login noinherit;"
        " grant anon, authenticated, service_role to authenticator;"
        " create role boss login createdb createrole bypassrls;"
        " grant anon, authenticated, service_role to boss with admin option;"
        " create role rendio_owner login; grant authenticated to rendio_owner;"
        " create role worker login in role service_role",
    )
    release.apply(role_db)
    assert migrate.drift(role_db, release.root) == []


@pytest.mark.shapeless
def test_what_becomes_of_a_role_later_is_drift(release: Release, role_db: str) -> None:
    release.apply(role_db)
    query(role_db, "grant service_role to anon; alter role rendio_owner createdb")
    assert [str(difference) for difference in migrate.drift(role_db, release.root)] == [
        "role rendio_owner: is createdb, and our functions run with its rights",
        "role anon: is a member of service_role, and so every client can act as service_role",
    ]
    assert error_of(lambda: release.apply(role_db)).exit_code == 7


# --- what others made -----------------------------------------------------------------------------

REALTIME = [
    ("of another shape", "create table realtime.messages (id int)"),
    (
        "of other types",
        "create table realtime.messages (topic int, extension text, private boolean)",
    ),
    (
        "a view",
        "create view realtime.messages as"
        " select 'a'::text as topic, 'b'::text as extension, true as private",
    ),
]
TOPIC = "create function realtime.topic() returns text language sql as 'select null::text'"


@pytest.mark.shapeless
def test_a_realtime_that_is_not_supabase_s_is_refused(
    release: Release, empty_db: str, admin: psycopg.Connection[Any], other: str
) -> None:
    policies = "policies/broadcast.sql"
    release.write(policies, (sqlfiles.root() / policies).read_text())

    def refused(why: str) -> None:
        error = error_of(lambda: release.apply(empty_db))
        assert error.exit_code == 7, why
        assert "realtime.messages is not what Supabase makes" in str(error), why
        assert query(empty_db, "select to_regnamespace('rendio')") == [(None,)], why

    for why, theirs in REALTIME:
        admin.execute("drop schema if exists realtime cascade; create schema realtime")
        admin.execute(TOPIC)
        admin.execute(theirs)
        refused(why)
    admin.execute(
        "drop view realtime.messages;"
        " create table realtime.messages (topic text, extension text, private boolean)"
    )
    admin.execute(f'alter table realtime.messages owner to "{other}"')
    refused("another owner's")
    login = conninfo_to_dict(empty_db)["user"]
    admin.execute(f"alter schema realtime owner to {login}")
    admin.execute(f"alter table realtime.messages owner to {login}")
    admin.execute("drop function realtime.topic()")
    refused("without realtime.topic()")
    admin.execute(TOPIC)
    release.apply(empty_db)
    assert row_of(empty_db, policies)[1] == "applied"


CRON = """
    create schema cron;
    create table cron.job (jobid bigint, jobname text, schedule text, command text);
    create function cron.schedule(text, text, text) returns bigint
    language sql as 'select 1::bigint';
    grant usage on schema cron to public;
"""


@pytest.mark.shapeless
def test_a_schema_cron_of_somebody_s_own_is_refused(
    release: Release, empty_db: str, admin: psycopg.Connection[Any], dump: Callable[[str], str]
) -> None:
    admin.execute(CRON)
    before = dump(empty_db)
    for verb in (migrate.apply, migrate.plan, migrate.drift, migrate.status):
        error = error_of(lambda verb=verb: verb(empty_db, release.root))  # type: ignore[misc]
        assert error.exit_code == 7
        assert "schema cron, owner" in str(error)
        assert "alter schema cron rename to" in str(error)
    assert dump(empty_db) == before
    admin.execute("alter schema cron rename to theirs")
    release.apply(empty_db)


def test_a_schema_cron_in_the_way_of_the_extension_is_refused(
    release: Release, server: Cluster, empty_cron_db: str
) -> None:
    dbname = str(conninfo_to_dict(empty_cron_db)["dbname"])
    with server.admin(dbname) as admin:
        if not server.cron_database:
            pytest.skip("this server has no pg_cron")
        admin.execute("drop extension if exists pg_cron; create schema cron")
        error = error_of(lambda: release.apply(empty_cron_db))
        assert error.exit_code == 7
        assert "is in the way of the extension pg_cron" in str(error)
        assert query(empty_cron_db, "select to_regnamespace('rendio')") == [(None,)]
        admin.execute("drop schema cron")


def test_a_job_of_our_name_and_another_owner_is_refused_by_its_number(
    release: Release, server: Cluster, empty_cron_db: str
) -> None:
    """By name nobody but its owner could unschedule it."""
    dbname = str(conninfo_to_dict(empty_cron_db)["dbname"])
    if query(empty_cron_db, PASSES_ROW_SECURITY) == [(False,)]:
        pytest.skip("who migrates passes no row security here, and sees no other role's job")
    with server.admin(dbname) as admin:
        if server.cron_database:
            admin.execute("create extension if not exists pg_cron")
        other = other_role(admin)
        try:
            admin.execute(f'grant usage on schema cron to "{other}"')
            admin.execute(f'grant execute on all functions in schema cron to "{other}"')
            admin.execute(f'set role "{other}"')
            admin.execute("select cron.schedule('count-things', '0 0 * * *', 'select 1')")
            admin.execute("reset role")
            [(job,)] = admin.execute("select jobid from cron.job").fetchall()
            error = error_of(lambda: release.apply(empty_cron_db))
            assert error.exit_code == 7
            assert f"cron job count-things, owner {other}, in database {dbname}" in str(error)
            line = f"select cron.unschedule({job});"
            assert f"as {other} or a superuser, {line}" in str(error)
            assert query(empty_cron_db, "select to_regnamespace('rendio')") == [(None,)]
            admin.execute(line)
            release.apply(empty_cron_db)
        finally:
            admin.execute("reset role")
            admin.execute(f'drop owned by "{other}"; drop role "{other}"')


PASSES_ROW_SECURITY = """
    select rolsuper or rolbypassrls from pg_roles where rolname = current_user
"""


def test_a_read_only_database_is_told(
    release: Release, empty_db: str, admin: psycopg.Connection[Any]
) -> None:
    admin.execute(f'alter database "{admin.info.dbname}" set default_transaction_read_only = on')
    error = error_of(lambda: release.apply(empty_db))
    assert "read only" in str(error)


def test_an_overload_that_somebody_adds_later_is_refused(
    release: Release, applied: str, server: Cluster
) -> None:
    with server.admin(str(conninfo_to_dict(applied)["dbname"])) as admin:
        admin.execute(
            "create function public.count_things(text) returns int language sql as 'select 1'"
        )
    error = error_of(lambda: release.apply(applied))
    assert error.exit_code == 7
    assert "function public.count_things(text), owner" in str(error)
