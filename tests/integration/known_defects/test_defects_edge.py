"""What the plans leave to their platform: secrets in the app, Realtime, files.

Realtime and the Storage API are not here. What they ask of the database is, and the tests ask it as
they do.
"""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import plan as the_plan
import profiles
import pytest
from psycopg import sql
from rendio import migrate
from worlds import ALICE, BOB, MODEL, Connection, Ours, Plan, World, generate, refused, value

pytestmark = [pytest.mark.once, pytest.mark.shapeless]

PLANS = Path(the_plan.__file__).parent
SAMPLE = Path(__file__).parents[2] / "edge/clients/functions/generate-video/index.ts"


# --- secrets --------------------------------------------------------------------------------------


class TestDefect2_46_SecretInTheApp:
    """A provider's key has a name that tells the app's bundler to build it in."""

    SECRET = "sk-nobody-may-see-this"

    def test_succeeds_on_the_plan(self) -> None:
        """Expo builds in what begins with EXPO_PUBLIC_; so says the plan's own file."""
        names = re.findall(r"^(\w+)=", (PLANS / "edge" / "app.env").read_text(), re.MULTILINE)
        built_in = {name for name in names if name.startswith("EXPO_PUBLIC_")}
        assert built_in - {"EXPO_PUBLIC_SUPABASE_URL", "EXPO_PUBLIC_SUPABASE_ANON_KEY"} == {
            "EXPO_PUBLIC_OPENAI_API_KEY"
        }

    def test_refused_by_ours(self, ours: Ours) -> None:
        """Even an Edge function needs no more than the address and the public key, and no secret
        is read with that, or with a user's token."""
        job = self.hide_everywhere(ours)
        needed = set(re.findall(r'Deno\.env\.get\("(\w+)"\)', SAMPLE.read_text()))
        assert needed == {"SUPABASE_URL", "SUPABASE_ANON_KEY"}
        assert self.SECRET in self.readable(ours.service), "it is there to be found"
        for client in (ours.as_anon(), ours.as_user(ALICE)):
            assert self.SECRET not in self.readable(client)
        answers = self.answers(ours.as_user(ALICE), job)
        assert {"get_models", "get_video_status", "get_credit_history"} <= answers.keys()
        assert self.SECRET not in str(answers)
        assert self.SECRET not in str(self.answers(ours.as_anon(), job))

    def hide_everywhere(self, ours: Ours) -> UUID:
        """Put the secret wherever the backend's side of the tables takes a text."""
        job = UUID(generate(ours.as_user(ALICE), ALICE)["job_id"])
        ours.call("claim_video_jobs", self.SECRET)
        ours.call("start_video_job", ALICE, job, self.SECRET)
        ours.owner.execute("update public.models set provider_model_id = %s", [self.SECRET])
        ours.owner.execute(
            "insert into public.app_settings (key, value) values ('key', to_jsonb(%s::text))",
            [self.SECRET],
        )
        return job

    @staticmethod
    def readable(client: Connection) -> str:
        """Return all that a client may read of all tables."""
        tables = client.execute(
            "select c.oid::regclass::text, string_agg(quote_ident(a.attname), ', ')"
            " from pg_class as c join pg_attribute as a on a.attrelid = c.oid and a.attnum > 0"
            " where c.relkind in ('r', 'p', 'v') and not a.attisdropped and c.relnamespace"
            " in (select oid from pg_namespace where nspname in ('public', 'rendio')"
            " and has_schema_privilege(oid, 'usage'))"
            " and has_column_privilege(c.oid, a.attnum, 'select') group by c.oid"
        ).fetchall()
        assert "models" in dict(tables)
        found = "select string_agg(t::text, '') from (select {} from {}) as t"
        return "".join(value(client, found.format(columns, name)) or "" for name, columns in tables)

    @staticmethod
    def answers(client: Connection, job: UUID) -> dict[str, Any]:
        """Return what the client's calls answer that change nothing."""
        known = {
            "p_user_id": ALICE,
            "p_job_id": job,
            "p_model_id": MODEL,
            "p_settings": "{}",
            "p_at": "2100-01-01",
            "p_from": "2000-01-01",
            "p_to": "2100-01-01",
        }
        calls = client.execute(
            "select proname, coalesce(proargnames[:pronargs - pronargdefaults], '{}') from pg_proc"
            " where pronamespace = 'public'::regnamespace and provolatile <> 'v'"
            " and has_function_privilege(oid, 'execute')"
        ).fetchall()
        return {
            name: client.execute(
                sql.SQL("select public.{}({})").format(
                    sql.Identifier(name),
                    sql.SQL(", ").join(
                        sql.SQL("{} => {}").format(sql.Identifier(a), known[a]) for a in arguments
                    ),
                )
            ).fetchall()
            for name, arguments in calls
        }


# --- a project of Supabase's ----------------------------------------------------------------------

PLATFORM_ROLES = """
    do $$
    declare
        v_role name;
    begin
        foreach v_role in array '{supabase_storage_admin,supabase_realtime_admin}'::name[] loop
            if to_regrole(quote_ident(v_role)) is null then
                execute format('create role %I nologin', v_role);
            end if;
        end loop;
    exception when duplicate_object or unique_violation then
        null;  -- another worker was first
    end
    $$
"""

# auth.uid() that counts how often it is asked, for as long as the count is wanted.
COUNTING = """
    create sequence public.asked minvalue 0 start 0;
    grant usage on sequence public.asked to public;
    create or replace function auth.uid() returns uuid language plpgsql stable as $$
    begin
        perform nextval('public.asked');
        return nullif(current_setting('request.jwt.claims', true), '')::jsonb ->> 'sub';
    end
    $$
"""


def install_platform(world: World) -> None:
    """Give a world Realtime's and Storage's schemas, and make it count its policies' questions."""
    world.owner.execute(PLATFORM_ROLES)
    profiles.run_files(world.owner, ("broadcast.sql", "storage.sql"))


def count_questions(world: World) -> Callable[[], int]:
    """Count how often policies ask who the user is; the function returns it since the last time."""
    world.owner.execute(COUNTING)

    def asked() -> int:
        before = world.value("select last_value + is_called::integer from public.asked")
        world.owner.execute("alter sequence public.asked restart")
        return int(before)

    return asked


@pytest.fixture
def plan_on_platform(plan: Plan) -> Plan:
    """The plans' schema in such a project, with their buckets and policies of files."""
    install_platform(plan)
    plan.owner.execute((PLANS / "storage.sql").read_text())
    return plan


@pytest.fixture
def ours_on_platform(ours: Ours) -> Ours:
    """Ours in such a project, applied again: only now is there something to guard."""
    install_platform(ours)
    migrate.apply(ours.url)
    return ours


# --- Realtime -------------------------------------------------------------------------------------


def is_shown(subscriber: Connection, job: UUID) -> bool:
    """Ask what Realtime asks of a published change, once for each who subscribed to it."""
    return bool(
        subscriber.execute("select 1 from public.video_jobs where job_id = %s", [job]).rowcount
    )


def joins(world: World, user: UUID, topic: str) -> bool:
    """Ask what Realtime asks when somebody joins a private topic: whether a message is shown."""
    with world.owner.transaction(force_rollback=True):
        world.owner.execute(
            "insert into realtime.messages (topic, extension, private)"
            " values (%s, 'broadcast', true)",
            [topic],
        )
        world.owner.execute(
            "select set_config('realtime.topic', %s, true), set_config('role', %s, true),"
            " set_config('request.jwt.claims', jsonb_build_object('sub', %s::text)::text, true)",
            [topic, "authenticated", user],
        )
        return bool(world.owner.execute("select 1 from realtime.messages").rowcount)


def told(world: World, topic: str) -> list[tuple[str, str]]:
    """Return the jobs and statuses that were broadcast on a topic."""
    rows = world.owner.execute(
        "select payload ->> 'job_id', payload ->> 'status' from realtime.messages"
        " where topic = %s and private order by payload ->> 'status' desc, 1",
        [topic],
    )
    return rows.fetchall()


def play(ours: Ours, jobs: list[UUID]) -> None:
    """Let the jobs start and complete."""
    ours.call("claim_video_jobs", "north")
    for job in jobs:
        ours.call("start_video_job", ALICE, job, f"fal-{job}")
        ours.call("complete_video_job", "fal", f"fal-{job}", "https://v.test/1.mp4")


def new_job(world: World) -> UUID:
    return UUID(generate(world.as_user(ALICE), ALICE)["job_id"])


SUBSCRIBERS = [ALICE, ALICE, ALICE, BOB, BOB]
SHOWN = [True, True, True, False, False]


class TestDefect2_48_QuestionForEachSubscriber:
    """Each change of a published table is checked against its policies for each subscriber."""

    def test_succeeds_on_the_plan(self, plan_on_platform: Plan) -> None:
        plan = plan_on_platform
        published = "select tablename from pg_publication_tables where pubname = %s"
        assert plan.value(published, "supabase_realtime") == "video_jobs"
        assert not joins(plan, ALICE, f"jobs:{ALICE}"), "there is no other way to be told"
        job = new_job(plan)
        connected = [plan.as_user(user) for user in SUBSCRIBERS]
        asked = count_questions(plan)
        for status in ("processing", "completed"):
            plan.owner.execute("update public.video_jobs set status = %s", [status])
            assert asked() == 0
            assert [is_shown(subscriber, job) for subscriber in connected] == SHOWN
            assert asked() >= len(SUBSCRIBERS)

    def test_refused_by_ours(self, ours_on_platform: Ours) -> None:
        """Whoever joins a topic is checked then, and never again; the publication may go unused."""
        ours = ours_on_platform
        job, topic = new_job(ours), f"jobs:{ALICE}"
        asked = count_questions(ours)
        assert [joins(ours, user, topic) for user in SUBSCRIBERS] == SHOWN
        assert asked() == len(SUBSCRIBERS)
        play(ours, [job])
        assert told(ours, topic) == [(str(job), "processing"), (str(job), "completed")]
        assert asked() == 0


class TestDefect2_59_OneFilterForEachSubscription:
    """A subscription to a table has one filter, which says whose rows are meant; that it is news,
    and what of it, cannot be said."""

    def test_succeeds_on_the_plan(self, plan_on_platform: Plan) -> None:
        """Its publication has no filter either, and there is nothing else to subscribe to."""
        plan = plan_on_platform
        unfiltered = "select rowfilter is null from pg_publication_tables where pubname = %s"
        assert plan.value(unfiltered, "supabase_realtime")
        alice, job = plan.as_user(ALICE), new_job(plan)
        heard = []
        for change in (
            "provider_job_id = 'fal-1'",
            "status = 'processing'",
            "thumbnail_url = 'https://v.test/1.jpg'",
            "status = 'completed'",
        ):
            plan.owner.execute(f"update public.video_jobs set {change}")
            heard += [change] if is_shown(alice, job) else []
        assert len(heard) == 4
        for topic in ("jobs", f"jobs:{ALICE}", f"video-job-{job}"):
            assert not joins(plan, ALICE, topic)

    def test_refused_by_ours(self, ours_on_platform: Ours) -> None:
        """A topic has all jobs of a user and nobody else's, and hears of a new status alone."""
        ours = ours_on_platform
        topic = f"jobs:{ALICE}"
        assert joins(ours, ALICE, topic)
        jobs = sorted([new_job(ours), new_job(ours)])
        bobs = generate(ours.as_user(BOB), BOB)["job_id"]
        ours.call("refund_video_job", BOB, bobs)
        play(ours, jobs)
        assert told(ours, topic) == [
            (str(job), status) for status in ("processing", "completed") for job in jobs
        ]
        assert told(ours, f"jobs:{BOB}") == [(bobs, "failed")]
        assert not joins(ours, BOB, topic)


# --- files ----------------------------------------------------------------------------------------

BUCKETS = ("videos", "thumbnails", "user_uploads")


class TestDefect2_49_FilesForEverybody:
    """Public buckets are read by URL whatever the policies say, and take any file of a client."""

    PAGE = '{"mimetype": "text/html", "size": 5000000000}'

    def test_succeeds_on_the_plan(self, plan_on_platform: Plan) -> None:
        plan = plan_on_platform
        self.put(plan.owner, "videos", BOB)
        assert self.open_by_url(plan) == {("videos", BOB)}
        self.put(plan.as_user(ALICE), "videos", ALICE)
        assert self.open_by_url(plan) == {("videos", BOB), ("videos", ALICE)}
        assert self.limits(plan) == {(bucket, None, None) for bucket in BUCKETS}
        with refused("42501"):
            self.put(plan.as_user(ALICE), "user_uploads", ALICE)
        assert self.questions(plan) > 50

    def test_refused_by_ours(self, ours_on_platform: Ours) -> None:
        ours = ours_on_platform
        for bucket in BUCKETS:
            self.put(ours.owner, bucket, BOB)
        assert self.open_by_url(ours) == set()
        for client in (ours.as_anon(), ours.as_user(ALICE)):
            assert value(client, "select count(*) from storage.objects") == 0
            for bucket in ("videos", "thumbnails"):
                with refused("42501"):
                    self.put(client, bucket, ALICE)
        with refused("42501"):
            self.put(ours.as_anon(), "user_uploads", ALICE)
        self.put(ours.as_user(ALICE), "user_uploads", ALICE)
        with refused("42501"):
            self.put(ours.as_user(ALICE), "user_uploads", BOB)
        limits = self.limits(ours)
        assert {bucket for bucket, size, types in limits if size and types} == set(BUCKETS)
        assert not any("text/html" in types for _, _, types in limits)
        assert self.questions(ours) < 10

    def put(self, client: Connection, bucket: str, folder: UUID) -> None:
        """Upload as the API does: a row under the caller's role, then the file."""
        client.execute(
            "insert into storage.objects (bucket_id, name, metadata) values (%s, %s, %s)",
            [bucket, f"{folder}/{uuid4()}", self.PAGE],
        )

    @staticmethod
    def open_by_url(world: World) -> set[tuple[str, UUID]]:
        """Return whose files the API gives to anybody: it asks the bucket alone."""
        rows = world.owner.execute(
            "select o.bucket_id, (storage.foldername(o.name))[1]::uuid from storage.objects as o"
            " join storage.buckets as b on b.id = o.bucket_id where b.public"
        )
        return set(rows.fetchall())

    @staticmethod
    def limits(world: World) -> set[tuple[Any, ...]]:
        rows = world.owner.execute(
            "select id, file_size_limit, allowed_mime_types::text from storage.buckets"
        )
        return set(rows.fetchall())

    def questions(self, world: World) -> int:
        """Return how often the policies ask who is reading, when fifty files are Bob's."""
        for _ in range(50):
            self.put(world.owner, "videos", BOB)
        asked = count_questions(world)
        assert value(world.as_user(BOB), "select count(*) from storage.objects") >= 50
        return asked()
