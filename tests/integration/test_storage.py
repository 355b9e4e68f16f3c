"""Who reads and writes which file: every bucket, client and verb, as the Storage API asks.

The API writes a row of storage.objects under the caller's role and claims before it takes the
file, and reads one before it signs a URL. Sizes and types it takes from the bucket's row.
"""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from migrate_trees import error_of, query, row_of
from profiles import Profile, run_files
from psycopg.conninfo import conninfo_to_dict
from rendio import migrate, sqlfiles
from rendio.migrate.files import read_tree
from servers import Cluster

Connection = psycopg.Connection[Any]

PATH = "policies/storage.sql"
BUCKETS = ("videos", "thumbnails", "user_uploads")
THEIRS = "avatars"
VERBS = ("select", "insert", "update", "delete")

ME, MY_GUEST, STRANGER = uuid4(), uuid4(), uuid4()
CLIENTS = {
    "nobody": ("anon", None),
    "no claims": ("authenticated", None),
    "stranger": ("authenticated", STRANGER),
    "owner": ("authenticated", ME),
    "service": ("service_role", None),
}
ALLOWED = {
    *(("service", bucket, verb) for bucket in BUCKETS for verb in VERBS),
    *(("owner", bucket, "select") for bucket in BUCKETS),
    ("owner", "user_uploads", "insert"),
}

# What projects have from the dashboard or from a tutorial: everything, for everybody.
WIDE = """
    create policy wide on storage.objects for all to public using (true) with check (true)
"""

# Ours do not lean on each other: what the restrictive ones hold, the permissive ones never gave.
DROP_RESTRICTIVE = """
    do $$
    declare
        v_policy name;
    begin
        for v_policy in
            select policyname from pg_policies
            where schemaname = 'storage' and permissive = 'RESTRICTIVE'
        loop
            execute format('drop policy %I on storage.objects', v_policy);
        end loop;
    end
    $$
"""


# --- databases ------------------------------------------------------------------------------------

MISSING_ROLE = """
    do $$
    begin
        create role supabase_storage_admin nologin;
    exception when duplicate_object or unique_violation then
        null;  -- another worker was first
    end
    $$
"""


def install_storage(server: Cluster, url: str) -> None:
    """Make the schema as Supabase does, in a database of a shape that comes without."""
    parts = conninfo_to_dict(url)
    with server.admin(str(parts["dbname"])) as admin:
        admin.execute(MISSING_ROLE)
        admin.execute(f"grant supabase_storage_admin to {parts['user']}")
        run_files(admin, ["storage.sql"])


@pytest.fixture(scope="module")
def storage_db(server: Cluster, profile: Profile, clone: Callable[[], str]) -> Iterator[str]:
    """The URL of a migrated database with storage; commit nothing there."""
    url = clone()
    if "storage.sql" not in profile.database_files:
        install_storage(server, url)
        migrate.apply(url)
    yield url
    server.drop(str(conninfo_to_dict(url)["dbname"]))


@pytest.fixture(params=["all of ours", "ours and a wide one", "permissive ones of ours"])
def world(request: pytest.FixtureRequest, storage_db: str) -> Iterator[Connection]:
    """A transaction with a user, a guest merged into it, and a bucket that is not ours."""
    with psycopg.connect(storage_db) as conn:
        conn.execute("set local role service_role")
        conn.execute("select public.device_check(%s, %s)", [MY_GUEST, f"phone of {MY_GUEST}"])
        conn.execute("select public.device_check(%s, %s)", [ME, f"phone of {ME}"])
        conn.execute("reset role")
        conn.execute("set local role rendio_owner")
        conn.execute(
            "update public.users set merged_into = %s, credits_remaining = 0 where id = %s",
            [ME, MY_GUEST],
        )
        conn.execute("reset role")
        conn.execute("insert into storage.buckets (id, name) values (%s, %s)", [THEIRS, THEIRS])
        if request.param == "ours and a wide one":
            conn.execute(WIDE)
        elif request.param == "permissive ones of ours":
            conn.execute(DROP_RESTRICTIVE)
        yield conn
        conn.rollback()


@contextmanager
def acting_as(conn: Connection, client: str) -> Iterator[None]:
    """Be a client for a moment; what it does is undone."""
    role, user = CLIENTS[client]
    claims = json.dumps({"sub": str(user), "role": role}) if user else ""
    with conn.transaction(force_rollback=True):
        conn.execute("select set_config('request.jwt.claims', %s, true)", [claims])
        # As the API does for a delete, so that row security alone decides.
        conn.execute("set local storage.allow_delete_query = 'true'")
        conn.execute(f"set local role {role}")
        yield


def put(conn: Connection, bucket: str | None, name: str | None) -> None:
    conn.execute("insert into storage.objects (bucket_id, name) values (%s, %s)", [bucket, name])


def reaches(conn: Connection, client: str, statement: str, args: list[str | None]) -> bool:
    """Whether a client's statement gets to its row, past row security."""
    try:
        with acting_as(conn, client):
            return conn.execute(statement, args).rowcount == 1
    except psycopg.errors.InsufficientPrivilege as refused:
        if "row-level security" not in str(refused):
            raise
        return False


def may(conn: Connection, client: str, verb: str, bucket: str | None, name: str | None) -> bool:
    """Whether a client may do this to a file, which is there unless it is to be put there."""
    statement = {
        "select": "select from storage.objects where bucket_id = %s and name = %s",
        "insert": "insert into storage.objects (bucket_id, name) values (%s, %s)",
        "update": "update storage.objects set metadata = '{}' where bucket_id = %s and name = %s",
        "delete": "delete from storage.objects where bucket_id = %s and name = %s",
    }[verb]
    with conn.transaction(force_rollback=True):
        if verb != "insert":
            put(conn, bucket, name)
        return reaches(conn, client, statement, [bucket, name])


# --- who may what ---------------------------------------------------------------------------------


def test_every_bucket_client_and_verb(world: Connection) -> None:
    name = f"{ME}/one.png"
    passes = "select from pg_roles where rolname = 'service_role' and rolbypassrls"
    # It passes row security wherever the platform makes the role.
    clients = {*CLIENTS} if world.execute(passes).rowcount else {*CLIENTS} - {"service"}
    allowed = {
        (client, bucket, verb)
        for client in clients
        for bucket in BUCKETS
        for verb in VERBS
        if may(world, client, verb, bucket, name)
    }
    assert allowed == {row for row in ALLOWED if row[0] in clients}


def test_files_of_a_merged_guest_are_read_and_not_added_to(world: Connection) -> None:
    name = f"{MY_GUEST}/one.png"
    for bucket in BUCKETS:
        reached = {verb for verb in VERBS if may(world, "owner", verb, bucket, name)}
        assert reached == {"select"}, bucket
        assert not may(world, "stranger", "select", bucket, name), bucket


def test_other_buckets_are_left_to_their_own_policies(world: Connection) -> None:
    wide = bool(world.execute("select from pg_policies where policyname = 'wide'").rowcount)
    for client in ("nobody", "no claims", "stranger", "owner"):
        for bucket in (THEIRS, None):
            verbs = VERBS if bucket else ("insert",)  # a null is equal to nothing
            reached = {verb for verb in verbs if may(world, client, verb, bucket, "one.png")}
            assert reached == (set(verbs) if wide else set()), (client, bucket)


GOOD_NAMES = (f"{ME}/one.png", f"{ME}/a/b/c.png", f"{ME}/..one", f"{ME}/two words.png")
BAD_NAMES = (
    None,
    "",
    "/",
    "one.png",
    f"{ME}",
    f"{ME}/",
    f"{ME}//one.png",
    f"/{ME}/one.png",
    f"./{ME}/one.png",
    f"{ME}/.",
    f"{ME}/..",
    f"{ME}/./one.png",
    f"{ME}/../{STRANGER}/one.png",
    f"../user_uploads/{ME}/one.png",
    f"{STRANGER}/one.png",
    f"{STRANGER}/{ME}/one.png",
    f"{STRANGER}/../{ME}/one.png",
    f"{ME}%2Fone.png",
    f"%2e%2e/{ME}/one.png",
    f"{ME}\\one.png",
    f"{str(ME).upper()}/one.png",
    f"{ME.hex}/one.png",
    f"{{{ME}}}/one.png",
    f" {ME}/one.png",
    f"{ME} /one.png",
    f"{ME}x/one.png",
    f"{ME}\n/one.png",
    f"{str(ME)[:-1]}_/one.png",
    f"{str(ME)[:-1]}%/one.png",
)


def test_names_that_a_user_may_upload_to(world: Connection) -> None:
    names = [*GOOD_NAMES, *BAD_NAMES]
    taken = [name for name in names if may(world, "owner", "insert", "user_uploads", name)]
    assert taken == list(GOOD_NAMES)
    for client in ("nobody", "no claims", "stranger"):
        for name in (*GOOD_NAMES, "one.png", None):
            assert not may(world, client, "insert", "user_uploads", name), (client, name)


def test_no_file_is_replaced_moved_or_moved_in(world: Connection) -> None:
    """What upload with upsert, move and copy do to the row."""
    mine, theirs = f"{ME}/one.png", "two.png"
    put(world, "user_uploads", mine)
    put(world, THEIRS, theirs)
    replace = """
        insert into storage.objects (bucket_id, name) values ('user_uploads', %s)
        on conflict (bucket_id, name) do update set metadata = '{"size": 1}'
    """
    move_out = "update storage.objects set bucket_id = 'avatars' where name = %s"
    move_in = """
        update storage.objects set bucket_id = 'user_uploads', name = %s
        where bucket_id = 'avatars'
    """
    assert not reaches(world, "owner", replace, [mine])
    assert not reaches(world, "owner", move_out, [mine])
    assert not reaches(world, "owner", move_in, [f"{ME}/new.png"])


# --- buckets --------------------------------------------------------------------------------------

ROWS = "select id, name, public, file_size_limit, allowed_mime_types from storage.buckets"
MEGABYTE = 1024 * 1024
IMAGES = ["image/jpeg", "image/png", "image/webp"]
LIMITS = {
    "videos": (200 * MEGABYTE, ["video/mp4", "video/webm", "video/quicktime"]),
    "thumbnails": (2 * MEGABYTE, IMAGES),
    "user_uploads": (5 * MEGABYTE, IMAGES),
}


def buckets(url: str) -> dict[str, tuple[Any, ...]]:
    return {bucket: rest for bucket, *rest in query(url, ROWS)}


def test_buckets_are_private_and_limited(storage_db: str) -> None:
    assert buckets(storage_db) == {name: [name, False, *LIMITS[name]] for name in BUCKETS}


def test_clients_see_and_change_no_bucket(world: Connection) -> None:
    for client in ("nobody", "owner"):
        with acting_as(world, client):
            assert world.execute("select from storage.buckets").rowcount == 0
            assert world.execute("update storage.buckets set public = true").rowcount == 0


@pytest.mark.once
@pytest.mark.shapeless
def test_the_file_does_only_what_supabase_lets_postgres_do() -> None:
    """There postgres may make policies on storage's tables, and neither alter nor comment them."""
    file = next(file for file in read_tree(sqlfiles.root()).policies if file.path == PATH)
    begins = {statement.words[:2] for statement in file.statements}
    assert begins == {("insert", "into"), ("do", ""), ("drop", "policy"), ("create", "policy")}
    [block] = [statement for statement in file.statements if statement.starts("do")]
    assert not block.creates
    assert "execute" not in block.text


# --- applying it ----------------------------------------------------------------------------------


@pytest.fixture
def without_storage(profile: Profile, db: str) -> str:
    """A migrated database whose server knows nothing of Supabase."""
    if profile.name != "plain":
        pytest.skip("takes a login that may make, own and drop schema storage, as a superuser may")
    return db


def changes(url: str) -> list[str]:
    return [str(difference) for difference in migrate.drift(url)]


@pytest.mark.once
@pytest.mark.shapeless
def test_storage_that_comes_later_is_taken_and_watched(
    server: Cluster, without_storage: str
) -> None:
    url = without_storage
    assert row_of(url, PATH)[1] == "recorded"
    install_storage(server, url)
    assert [step.path for step in migrate.apply(url).steps] == [PATH]
    assert not migrate.apply(url).changed
    assert len(row_of(url, PATH)[2]) == 7
    assert changes(url) == []

    query(url, "drop policy rendio_files_update_closed on storage.objects")
    query(url, "update storage.buckets set public = true, file_size_limit = 7 where id = 'videos'")
    assert changes(url) == [
        f"policy rendio_files_update_closed on storage.objects: is missing ({PATH})",
        f"storage bucket videos: is public ({PATH})",
    ]
    error = error_of(lambda: migrate.apply(url))
    assert error.exit_code == 7
    closing = "update storage.buckets set public = false where id = 'videos';"
    assert closing in str(error)
    query(url, closing)
    assert [step.path for step in migrate.apply(url).steps] == [PATH]
    assert changes(url) == []
    assert buckets(url)["videos"][2] == 7, "what somebody has set stays"


@pytest.mark.once
@pytest.mark.shapeless
def test_buckets_that_were_there_first(server: Cluster, without_storage: str) -> None:
    url = without_storage
    install_storage(server, url)
    query(
        url,
        "insert into storage.buckets (id, name, public, file_size_limit, allowed_mime_types)"
        " values ('videos', 'videos', true, null, '{video/mp4}'),"
        " ('thumbnails', 'thumbnails', false, 9, null), ('avatars', 'avatars', true, null, null)",
    )
    before = buckets(url)
    error = error_of(lambda: migrate.apply(url))
    assert error.exit_code == 7
    assert "storage bucket videos is public" in str(error)
    assert "avatars" not in str(error)
    # Nor when somebody runs the file by hand.
    text = (sqlfiles.root() / PATH).read_text()
    with psycopg.connect(url) as conn, pytest.raises(psycopg.errors.RaiseException) as refused:
        conn.execute(text)
    assert "'videos'" in str(refused.value)
    assert "avatars" not in str(refused.value)
    assert buckets(url) == before
    assert query(url, "select policyname from pg_policies where schemaname = 'storage'") == []

    query(url, "update storage.buckets set public = false where id = 'videos'")
    migrate.apply(url)
    assert buckets(url) == {
        "avatars": before["avatars"],
        "videos": ["videos", False, LIMITS["videos"][0], ["video/mp4"]],
        "thumbnails": ["thumbnails", False, 9, IMAGES],
        "user_uploads": ["user_uploads", False, *LIMITS["user_uploads"]],
    }


OTHERS = (
    "create schema storage; create table storage.objects (id int)",
    "create schema storage; create table storage.objects (id int);"
    " create table storage.buckets (id int, public boolean)",
)


@pytest.mark.once
@pytest.mark.shapeless
def test_a_storage_that_is_not_supabase_s_is_refused(server: Cluster, without_storage: str) -> None:
    url = without_storage

    def refusal() -> str:
        error = error_of(lambda: migrate.apply(url))
        assert error.exit_code == 7
        return str(error)

    for theirs in OTHERS:
        query(url, theirs)
        assert "storage.objects is not what Supabase makes" in refusal()
        query(url, "drop schema storage cascade")
    install_storage(server, url)
    query(url, "alter table storage.buckets rename allowed_mime_types to since_2023")
    assert "storage.objects is not what Supabase makes" in refusal()
    query(url, "alter table storage.buckets rename since_2023 to allowed_mime_types")
    query(url, "alter table storage.objects owner to rendio_owner")
    assert "storage.objects is not what Supabase makes" in refusal()


@pytest.mark.once
@pytest.mark.shapeless
def test_a_policy_of_ours_that_no_file_writes(server: Cluster, without_storage: str) -> None:
    """As after a release that renames one; policies of others stay out of it."""
    url = without_storage
    install_storage(server, url)
    migrate.apply(url)
    # What an administrator has run by hand is known by the file alone.
    query(url, f"update rendio.migrations set defines = '{{}}' where path = '{PATH}'")
    assert not migrate.apply(url).changed
    for name in ("rendio_files_old", "theirs"):
        query(url, f"create policy {name} on storage.objects for select to anon using (true)")
    error = error_of(lambda: migrate.apply(url))
    assert "marked --! as caller: drop policy rendio_files_old on storage.objects;" in str(error)
    assert "theirs" not in str(error)
