"""rendio on every shape of database: a server of one's own, Supabase, a managed server.

And on one where somebody else was first: there it refuses, before it writes anything.
"""

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import profiles
import psycopg
import pytest
import servers
from profiles import Profile
from psycopg import sql
from psycopg.conninfo import make_conninfo
from rendio import migrate

pytestmark = pytest.mark.shapeless

Connection = psycopg.Connection[Any]

API_ROLES = ["anon", "authenticated", "service_role"]

# All that an API role may write by itself: two preferences of one's own, and what is on sale.
WRITABLE = {
    ("authenticated", "public.users.language", "UPDATE"),
    ("authenticated", "public.users.theme_preference", "UPDATE"),
}
WRITABLE_TABLES = {
    ("service_role", "public.models", "INSERT"),
    ("service_role", "public.models", "UPDATE"),
    ("service_role", "public.iap_products", "INSERT"),
    ("service_role", "public.iap_products", "UPDATE"),
}


# --- shapes ---------------------------------------------------------------------------------------


@dataclass
class Clusters:
    """Private clusters, one for each name that a shape has for its superuser."""

    bin_dir: Path
    stack: ExitStack
    running: dict[str, servers.Cluster] = field(default_factory=dict)

    def of(self, profile: Profile) -> servers.Cluster:
        """Return the profile's cluster, started and with the profile's roles."""
        if profile.superuser not in self.running:
            self.running[profile.superuser] = self.stack.enter_context(
                servers.private_cluster(
                    self.bin_dir, superuser=profile.superuser, settings=profile.settings
                )
            )
        cluster = self.running[profile.superuser]
        profile.prepare_cluster(cluster.superuser_url)
        return cluster


@dataclass
class Shape:
    """A database of one shape that rendio was applied to, twice."""

    profile: Profile
    cluster: servers.Cluster
    url: str
    first: Any
    second: Any

    def superuser(self) -> Connection:
        """Connect as the superuser that the shape may or may not give to its users."""
        with psycopg.connect(self.url) as conn:
            dbname = conn.info.dbname
        return self.cluster.admin(dbname)

    @contextmanager
    def request(self, role: str, user: UUID | None = None) -> Iterator[Connection]:
        """Serve one request as PostgREST does: through a login that is nobody by itself."""
        with psycopg.connect(make_conninfo(self.url, user="authenticator")) as conn:
            conn.execute(sql.SQL("set local role {}").format(sql.Identifier(role)))
            if user:
                claims = json.dumps({"sub": str(user), "role": role})
                conn.execute("select set_config('request.jwt.claims', %s, true)", [claims])
            yield conn


@pytest.fixture(scope="module")
def clusters() -> Iterator[Clusters]:
    """Clusters made of the binaries that the session runs on."""
    kind = servers.chosen_kind()
    bin_dir = servers.bin_dir_of(kind if kind in ("embedded", "embedded16") else "debian")
    with ExitStack() as stack:
        yield Clusters(bin_dir, stack)


@pytest.fixture(scope="module")
def make_shape(clusters: Clusters) -> Callable[[str], Shape]:
    """Build a shape and apply rendio to it; each is built once."""
    made: dict[str, Shape] = {}

    def make(name: str) -> Shape:
        if name not in made:
            profile = profiles.PROFILES[name]
            cluster = clusters.of(profile)
            url = profile.create_database(cluster.superuser_url, f"app_{name}")
            made[name] = Shape(profile, cluster, url, migrate.apply(url), migrate.apply(url))
            let_in_api_requests(url)
        return made[name]

    return make


def let_in_api_requests(url: str) -> None:
    """Make the login of PostgREST where the platform has none, by the hand of who migrates."""
    with psycopg.connect(url, autocommit=True) as conn:
        if not value(conn, "select to_regrole('authenticator') is not null"):
            conn.execute("create role authenticator login noinherit")
            conn.execute("grant anon, authenticated, service_role to authenticator")


@pytest.fixture(scope="module", params=profiles.PROFILES)  # all tests of one together
def shape(request: pytest.FixtureRequest, make_shape: Callable[[str], Shape]) -> Shape:
    """Each shape in turn."""
    return make_shape(request.param)


def value(conn: Connection, query: str, *args: object) -> Any:
    """Return the first column of the first row."""
    row = conn.execute(query, args).fetchone()
    assert row is not None, query
    return row[0]


# --- what holds on each of them -------------------------------------------------------------------


def test_apply_is_complete_and_done_once(shape: Shape) -> None:
    assert shape.first.changed
    assert not shape.second.changed
    status = migrate.status(shape.url)
    assert not status.pending
    assert {entry.state for entry in status.entries} <= {"applied", "recorded"}
    assert migrate.drift(shape.url) == []


def test_migrating_role_is_what_the_profile_says(shape: Shape) -> None:
    with psycopg.connect(shape.url) as conn:
        is_superuser = value(conn, "select current_setting('is_superuser') = 'on'")
        owns_ours = value(
            conn,
            "select every(relowner = 'rendio_owner'::regrole) from pg_class"
            " where relnamespace = 'rendio'::regnamespace or oid = 'public.users'::regclass",
        )
    assert is_superuser == (shape.profile.name == "plain")
    assert owns_ours


def test_a_day_of_calls(shape: Shape) -> None:
    user, key = uuid4(), uuid4()
    with shape.request("service_role") as service:
        created = value(service, "select public.device_check(%s, %s)", user, f"phone of {user}")
    assert created["credits_remaining"] == 10

    with shape.request("anon") as anon:
        model = min(
            value(anon, "select public.get_models()")["models"],
            key=lambda model: int(model["cost_per_generation"]),
        )
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            anon.execute("select * from public.users")

    generate = "select public.generate_video_atomic(%s, %s, 'a cat', '{}', %s)"
    with shape.request("authenticated", user) as me:
        job = value(me, generate, user, model["id"], key)
        assert value(me, "select count(*) from public.users") == 1
        assert value(me, "select array_agg(job_id::text) from public.video_jobs") == [job["job_id"]]
        assert value(me, "select count(*) from public.quota_log") == 2
    with shape.request("authenticated", uuid4()) as stranger:
        assert value(stranger, "select count(*) from public.users") == 0
        with pytest.raises(psycopg.Error) as refused:
            stranger.execute(generate, [user, model["id"], uuid4()])
        assert refused.value.sqlstate == "PT403"
    with shape.request("authenticated") as nobody, pytest.raises(psycopg.Error) as refused:
        nobody.execute(generate, [user, model["id"], uuid4()])
    assert refused.value.sqlstate == "PT401"

    with shape.request("service_role") as service:
        claimed = value(service, "select public.claim_video_jobs('worker', 100)")["jobs"]
        assert job["job_id"] in [one["job_id"] for one in claimed]
        provider_id = f"fal-{user}"
        service.execute(
            "select public.start_video_job(%s, %s, %s)", [user, job["job_id"], provider_id]
        )
        done = value(
            service, "select public.complete_video_job('fal', %s, 'https://cdn/1.mp4')", provider_id
        )
        assert done["credits_charged"] == job["credits_used"]
        assert value(service, "select count(*) from public.reconcile_credits()") == 0


def test_maintenance_runs_as_the_migrating_role(shape: Shape) -> None:
    with psycopg.connect(shape.url) as conn:
        assert value(conn, "select rendio.sweep_stuck_jobs()") == 0
        assert value(conn, "select rendio.cleanup_idempotency_log()") == 0
        conn.execute("select rendio.ensure_partitions()")
        in_stock = value(
            conn,
            "select count(*) from pg_inherits where inhparent = 'public.quota_log'::regclass",
        )
    assert in_stock == 5, "this month, three ahead and the default"


def test_jobs_are_published(shape: Shape) -> None:
    with psycopg.connect(shape.url) as conn:
        published = value(
            conn,
            "select array_agg(tablename::text) from pg_publication_tables"
            " where pubname = 'supabase_realtime'",
        )
    assert published == ["video_jobs"]


def test_a_change_is_broadcast_to_its_user_alone(make_shape: Callable[[str], Shape]) -> None:
    """A broadcast is a row; whoever joins a topic is asked whether its policies show one."""
    shape = make_shape("supabase")
    user, stranger = uuid4(), uuid4()
    with shape.request("service_role") as service:
        service.execute("select public.device_check(%s, %s)", [user, f"phone of {user}"])
        model = value(service, "select min(id::text) from public.models")
        generate = "select public.generate_video_atomic(%s, %s, 'a cat', '{}', %s)"
        job = value(service, generate, user, model, uuid4())["job_id"]
        service.execute("select public.start_video_job(%s, %s, %s)", [user, job, f"fal-{job}"])
        complete = "select public.complete_video_job('fal', %s, 'https://cdn/1.mp4')"
        service.execute(complete, [f"fal-{job}"])
        service.execute(complete, [f"fal-{job}"])

    def joins(role: str, who: UUID, topic: str) -> list[Any]:
        with shape.request(role, who) as conn:
            conn.execute("select set_config('realtime.topic', %s, true)", [topic])
            query = (
                "select event, private, payload - 'id' from realtime.messages"
                " where topic = %s order by payload ->> 'status' desc"
            )
            return conn.execute(query, [topic]).fetchall()

    told = {"user_id": str(user), "job_id": job}
    assert joins("authenticated", user, f"jobs:{user}") == [
        ("job_status", True, told | {"status": "processing"}),
        ("job_status", True, told | {"status": "completed"}),
    ]
    assert joins("authenticated", stranger, f"jobs:{user}") == []
    assert joins("anon", user, f"jobs:{user}") == []


def test_clients_broadcast_nothing_in_our_name(make_shape: Callable[[str], Shape]) -> None:
    shape, user = make_shape("supabase"), uuid4()
    insert = (
        "insert into realtime.messages (topic, extension, private) values (%s, 'broadcast', true)"
    )
    for role in ("anon", "authenticated"):
        with (
            shape.request(role, user) as conn,
            pytest.raises(psycopg.errors.InsufficientPrivilege),
        ):
            conn.execute(insert, [f"jobs:{user}"])


def test_where_it_may_not_broadcast_a_job_goes_on(make_shape: Callable[[str], Shape]) -> None:
    shape, user = make_shape("supabase"), uuid4()
    with shape.superuser() as conn:
        conn.execute("revoke insert on realtime.messages from rendio_owner")
        conn.execute("revoke usage on schema realtime from rendio_owner cascade")
        conn.execute("set local role postgres")
        before = value(conn, "select count(*) from realtime.messages")
        conn.execute("select public.device_check(%s, %s)", [user, f"phone of {user}"])
        model = value(conn, "select min(id::text) from public.models")
        generate = "select public.generate_video_atomic(%s, %s, 'a cat', '{}', %s)"
        job = value(conn, generate, user, model, uuid4())["job_id"]
        warnings: list[str] = []
        conn.add_notice_handler(lambda notice: warnings.append(str(notice.message_primary)))
        refunded = value(conn, "select public.refund_video_job(%s, %s)", user, job)
        assert refunded["credits_refunded"] > 0
        assert value(conn, "select count(*) from realtime.messages") == before
        assert warnings == []
        conn.rollback()


# --- privileges, whatever the platform gives by default -------------------------------------------

RELATIONS = """
    select c.oid, n.nspname || '.' || c.relname as name, c.relrowsecurity, c.relkind
    from pg_class as c
    join pg_namespace as n on n.oid = c.relnamespace
    where c.relkind in ('r', 'p', 'v') and n.nspname in ('public', 'rendio')
"""

PRIVILEGES = f"""
    with relation as ({RELATIONS}),
    role (role) as (select unnest(%(roles)s::text[]))
    select role, name, privilege
    from relation, role,
        unnest('{{SELECT,INSERT,UPDATE,DELETE,TRUNCATE,REFERENCES,TRIGGER}}'::text[]) as privilege
    where has_table_privilege(role, oid, privilege)
    union all
    select role, name || '.' || attname, privilege
    from relation
    join pg_attribute on attrelid = oid and attnum > 0 and not attisdropped,
        role, unnest('{{SELECT,INSERT,UPDATE,REFERENCES}}'::text[]) as privilege
    where has_column_privilege(role, oid, attnum, privilege)
        and not has_table_privilege(role, oid, privilege)
    union all
    select role, p.oid::regprocedure::text, 'EXECUTE'
    from pg_proc as p, role
    where p.pronamespace in ('public'::regnamespace, 'rendio'::regnamespace)
        and has_function_privilege(role, p.oid, 'EXECUTE')
    union all
    select role, 'schema ' || nspname, privilege
    from pg_namespace, role, unnest('{{USAGE,CREATE}}'::text[]) as privilege
    where nspname in ('public', 'rendio') and has_schema_privilege(role, oid, privilege)
"""


def privileges(shape: Shape) -> set[tuple[str, str, str]]:
    """Return what each API role may do to each object of ours, and to columns alone."""
    with psycopg.connect(shape.url) as conn:
        return set(conn.execute(PRIVILEGES, {"roles": API_ROLES}).fetchall())


def test_api_roles_write_nothing(shape: Shape) -> None:
    writes = {held for held in privileges(shape) if held[2] not in ("SELECT", "EXECUTE", "USAGE")}
    assert writes == WRITABLE | WRITABLE_TABLES


def test_api_roles_may_do_the_same_everywhere(
    shape: Shape, make_shape: Callable[[str], Shape]
) -> None:
    assert privileges(shape) == privileges(make_shape("plain"))


def test_engine_room_is_closed(shape: Shape) -> None:
    inside = {held for held in privileges(shape) if "rendio" in held[1].split(".")[0]}
    # What a default of a table calls, its writer must be allowed to execute.
    assert inside == {("service_role", "rendio.clock()", "EXECUTE")}


def test_row_security_everywhere(shape: Shape) -> None:
    with psycopg.connect(shape.url) as conn:
        found = conn.execute(RELATIONS).fetchall()
    assert len(found) > 15
    assert [name for _, name, secured, kind in found if not secured and kind != "v"] == []


def test_open_project_really_is_open(make_shape: Callable[[str], Shape]) -> None:
    """Without this the tests above would prove nothing about default privileges."""
    shape = make_shape("supabase_open")
    with psycopg.connect(shape.url) as conn:
        conn.execute("create table public.somebody_elses ()")
        conn.execute("create function public.somebody_elses() returns int return 1")
        everything = {
            (role, "public.somebody_elses", privilege)
            for role in API_ROLES
            for privilege in ("SELECT", "INSERT", "UPDATE", "DELETE", "TRUNCATE")
        } | {(role, "somebody_elses()", "EXECUTE") for role in API_ROLES}
        assert everything <= set(conn.execute(PRIVILEGES, {"roles": API_ROLES}).fetchall())
        conn.rollback()


# --- cron -----------------------------------------------------------------------------------------

JOBS = {"cleanup-idempotency-log", "sweep-stuck-jobs", "ensure-partitions", "purge-cron-history"}


def test_supabase_schedules_on_its_pg_cron(clusters: Clusters) -> None:
    profile = profiles.PROFILES["supabase"]
    cluster = clusters.of(profile)
    if not cluster.cron_database:
        pytest.skip("these binaries have no pg_cron")
    url = profile.create_database(cluster.superuser_url, cluster.cron_database)
    for _ in range(2):
        migrate.apply(url)
    with psycopg.connect(url) as conn:
        jobs: dict[str, str] = dict(
            conn.execute("select jobname, username::text from cron.job").fetchall()
        )
        assert jobs.keys() >= JOBS
        assert set(jobs.values()) == {"postgres"}
        for (command,) in conn.execute("select command from cron.job").fetchall():
            conn.execute(command)


def test_cron_elsewhere_is_recorded(make_shape: Callable[[str], Shape]) -> None:
    shape = make_shape("rds")
    states = {entry.path: entry.state for entry in migrate.status(shape.url).entries}
    assert {states[f"cron/{job}.sql"] for job in JOBS} == {"recorded"}


# --- somebody else was first ----------------------------------------------------------------------

OTHERS = {
    "table users": "create table public.users (id bigint primary key, login text)",
    "view models": "create view public.models as select 'T' as letter",
    "function of ours": (
        "create function public.generate_video_atomic(text) returns text return 'theirs'"
    ),
    "schema rendio": "create schema rendio",
    "auth.uid() of another type": (
        "create schema auth; create function auth.uid() returns bigint return 7"
    ),
    "auth.uid() that believes anybody": (
        "create schema auth; create function auth.uid() returns uuid"
        " return '00000000-0000-4000-8000-000000000001'::uuid"
    ),
    "publication": (
        "create table public.theirs (id int primary key);"
        " create publication supabase_realtime for table public.theirs"
    ),
}


@pytest.fixture
def their_db(clusters: Clusters) -> Iterator[str]:
    """The URL of a plain database that other people use."""
    cluster = clusters.of(profiles.PROFILES["plain"])
    cluster.create("theirs")
    yield cluster.url("theirs")
    cluster.drop("theirs")


def catalogue(url: str) -> dict[str, Any]:
    """Return every row version of what an apply could touch, roles of the cluster included."""
    tables = (
        "pg_namespace pg_class pg_attribute pg_proc pg_type pg_policy pg_trigger pg_default_acl"
        " pg_publication pg_publication_rel pg_authid pg_auth_members pg_db_role_setting"
        " pg_database"
    )
    with psycopg.connect(url) as conn:
        return {
            table: conn.execute(
                f"select ctid, xmin, t::text from {table} as t order by 1"
            ).fetchall()
            for table in tables.split()
        }


def assert_refused(url: str, *named: str) -> None:
    """Expect an apply to refuse with exit code 7, to name the objects, and to write nothing."""
    before = catalogue(url)
    with pytest.raises(migrate.MigrateError) as refused:
        migrate.apply(url)
    assert refused.value.exit_code == 7
    for name in named:
        assert name in str(refused.value)
    assert catalogue(url) == before


@pytest.mark.parametrize("theirs", OTHERS)
def test_refuses_what_is_not_ours(their_db: str, theirs: str) -> None:
    with psycopg.connect(their_db) as conn:
        conn.execute(OTHERS[theirs])
    named = theirs.removeprefix("table ").removeprefix("view ").split(" of ")[0].split(" that ")[0]
    assert_refused(their_db, {"function": "generate_video_atomic(text)"}.get(named, named))


def test_names_all_that_is_not_ours_at_once(their_db: str) -> None:
    with psycopg.connect(their_db) as conn:
        for theirs in ("table users", "view models", "auth.uid() of another type"):
            conn.execute(OTHERS[theirs])
    assert_refused(their_db, "table public.users", "view public.models", "function auth.uid()")


def test_refuses_a_cron_job_of_somebody_else(clusters: Clusters) -> None:
    profile = profiles.PROFILES["plain"]
    cluster = clusters.of(profile)
    if not cluster.cron_database:
        pytest.skip("these binaries have no pg_cron")
    url = profile.create_database(cluster.superuser_url, cluster.cron_database)
    with psycopg.connect(url, autocommit=True) as conn:
        conn.execute("create extension pg_cron")
        conn.execute("select cron.schedule('sweep-stuck-jobs', '0 0 1 1 *', 'select 1')")
    assert_refused(url, "sweep-stuck-jobs")
    with psycopg.connect(url) as conn:
        assert conn.execute("select jobname, command from cron.job").fetchall() == [
            ("sweep-stuck-jobs", "select 1")
        ]
