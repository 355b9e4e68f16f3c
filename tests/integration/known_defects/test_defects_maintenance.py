"""Indexes, policies, partitions, clean-up: what costs little at first and stops the app later."""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from rendio import migrate, sqlfiles
from worlds import (
    ALICE,
    BOB,
    MODEL,
    Connection,
    Ours,
    Plan,
    World,
    add_model,
    call,
    generate,
    refused,
    value,
)

pytestmark = pytest.mark.shapeless

# Everything of the application, where it lies; other schemas are the platform's.
APPLICATION = (
    "relation.relnamespace in (select oid from pg_namespace where nspname in ('public', 'rendio'))"
)


class TestDefect2_37_SameIndexTwice:
    """Five indexes repeat another one, unique constraints counted."""

    REDUNDANT = f"""
        select narrow.indexrelid::regclass::text
        from pg_index as narrow
        join pg_class as relation on relation.oid = narrow.indexrelid and {APPLICATION}
        join pg_index as wide on wide.indrelid = narrow.indrelid
        join pg_class as other on other.oid = wide.indexrelid and other.relam = relation.relam
        where narrow.indexrelid <> wide.indexrelid
            and not narrow.indisunique
            and narrow.indexprs is null
            and (wide.indkey::int2[])[0:narrow.indnkeyatts - 1]
                = (narrow.indkey::int2[])[0:narrow.indnkeyatts - 1]
            and (wide.indoption::int2[])[0:narrow.indnkeyatts - 1]
                = (narrow.indoption::int2[])[0:narrow.indnkeyatts - 1]
            and (wide.indpred is null
                or pg_get_expr(wide.indpred, wide.indrelid)
                = pg_get_expr(narrow.indpred, narrow.indrelid))
            -- Of two that are the same, the later one is to go.
            and (wide.indisunique
                or wide.indnkeyatts > narrow.indnkeyatts
                or (wide.indpred is null) > (narrow.indpred is null)
                or wide.indexrelid < narrow.indexrelid)
        order by 1
    """

    def test_succeeds_on_the_plan(self, plan: Plan) -> None:
        assert column(plan.owner, self.REDUNDANT) == [
            "idx_quota_log_transaction",
            "idx_quota_log_user_created",
            "idx_users_apple_sub",
            "idx_users_device_id",
            "idx_video_jobs_provider_job_id",
        ]

    def test_refused_by_ours(self, ours: Ours) -> None:
        assert column(ours.owner, self.REDUNDANT) == []


class TestDefect2_38_ForeignKeyWithoutIndex:
    """Deleting one row reads whole tables that refer to it."""

    UNINDEXED = f"""
        select relation.relname || '.' || (
            select string_agg(attname, ',' order by attnum)
            from pg_attribute
            where attrelid = relation.oid and attnum = any (con.conkey)
        )
        from pg_constraint as con
        join pg_class as relation on relation.oid = con.conrelid and {APPLICATION}
        where con.contype = 'f' and not exists (
            select from pg_index as i
            where i.indrelid = con.conrelid
                and i.indpred is null
                and (i.indkey::int2[])[0:cardinality(con.conkey) - 1] @> con.conkey
        )
        order by 1
    """

    def test_succeeds_on_the_plan(self, plan: Plan) -> None:
        assert column(plan.owner, self.UNINDEXED) == [
            "idempotency_log.job_id",
            "quota_log.job_id",
            "video_jobs.model_id",
        ]

    def test_refused_by_ours(self, ours: Ours) -> None:
        assert column(ours.owner, self.UNINDEXED) == []


class TestDefect2_39_CallerAskedForEveryRow:
    """A bare auth.uid() in a policy runs once for every row, and the policy is for everybody."""

    BARE = """
        select policyname from pg_policies
        where schemaname in ('public', 'rendio')
            and replace(
                concat(qual, with_check), '( SELECT auth.uid() AS uid)', ''
            ) like '%auth.uid()%'
    """
    FOR_EVERYBODY = """
        select policyname from pg_policies
        where schemaname in ('public', 'rendio') and 'public' = any (roles)
    """

    def test_succeeds_on_the_plan(self, plan: Plan) -> None:
        assert len(column(plan.owner, self.BARE)) == 6
        assert len(column(plan.owner, self.FOR_EVERYBODY)) == 7

    def test_refused_by_ours(self, ours: Ours) -> None:
        assert ours.value("select count(*) from pg_policies where schemaname = 'public'") > 0
        assert column(ours.owner, self.BARE) == []
        assert column(ours.owner, self.FOR_EVERYBODY) == []


class TestDefect2_40_SamePolicyTwice:
    """A second policy for Realtime repeats the first: both are evaluated for every row."""

    REPEATED = """
        select tablename || ' ' || command || ' ' || role
        from pg_policies
        cross join unnest(roles) as role
        cross join unnest(
            case cmd when 'ALL' then '{SELECT,INSERT,UPDATE,DELETE}' else array[cmd] end
        ) as command
        where schemaname in ('public', 'rendio') and permissive = 'PERMISSIVE'
        group by schemaname, tablename, command, role
        having count(*) > 1
    """

    def test_succeeds_on_the_plan(self, plan: Plan) -> None:
        assert column(plan.owner, self.REPEATED) == ["video_jobs SELECT public"]

    def test_refused_by_ours(self, ours: Ours) -> None:
        assert column(ours.owner, self.REPEATED) == []


class TestDefect2_41_SoftDelete:
    """Policies ignore deleted_at, and its index stores the same null for every row."""

    CONSTANT_KEY = f"""
        select relation.relname
        from pg_index as i
        join pg_class as relation on relation.oid = i.indexrelid and {APPLICATION}
        where pg_get_expr(i.indpred, i.indrelid)
            = format('(%s IS NULL)', pg_get_indexdef(i.indexrelid, 1, true))
    """

    def test_succeeds_on_the_plan(self, plan: Plan) -> None:
        assert column(plan.owner, self.CONSTANT_KEY) == ["idx_video_jobs_deleted"]
        alice = plan.as_user(ALICE)
        generate(alice, ALICE)
        plan.as_service().execute("update public.video_jobs set deleted_at = now()")
        assert value(alice, "select count(*) from public.video_jobs") == 1

    def test_refused_by_ours(self, ours: Ours) -> None:
        assert column(ours.owner, self.CONSTANT_KEY) == []
        alice = ours.as_user(ALICE)
        job = generate(alice, ALICE)["job_id"]
        call(alice, "delete_video_job", ALICE, job)
        assert call(alice, "get_video_jobs", ALICE)["jobs"] == []
        assert value(alice, "select count(*) from public.video_jobs") == 0


class TestDefect2_42_IndexConcurrently:
    """A concurrent index cannot be built by a migration that runs in a transaction, and a failed
    one stays behind, invalid: taking space and writes, answering nothing."""

    def test_succeeds_on_the_plan(self, plan: Plan) -> None:
        plan.owner.autocommit = False
        with refused("25001"):
            plan.owner.execute(
                "create index concurrently idx_again on public.quota_log (user_id, created_at desc)"
            )
        plan.owner.rollback()

        plan.owner.autocommit = True
        plan.owner.execute("update public.users set email = 'one@example.org'")
        statement = (
            "create unique index concurrently if not exists one_mail on public.users (email)"
        )
        with refused("23505"):
            plan.owner.execute(statement)
        plan.owner.execute("update public.users set email = id::text")
        plan.owner.execute(statement)
        assert not self.is_valid(plan, "one_mail")

    def test_refused_by_ours(self, ours: Ours, tmp_path: Path) -> None:
        for folder in ("sql", "functions", "policies", "cron"):
            shutil.copytree(sqlfiles.root() / folder, tmp_path / folder)
        (tmp_path / "sql" / "9998_notes.sql").write_text(
            "create table public.notes (body text);\n"
            "insert into public.notes values ('the same'), ('the same');\n"
        )
        (tmp_path / "sql" / "9999_notes_body_idx.sql").write_text(
            "--! no-transaction\n"
            "create unique index concurrently notes_body_idx on public.notes (body);\n"
        )
        with pytest.raises(migrate.MigrateError, match="9999_notes_body_idx"):
            migrate.apply(ours.url, tmp_path)
        assert not self.is_valid(ours, "notes_body_idx")
        ours.owner.execute("delete from public.notes where ctid = '(0,1)'")
        migrate.apply(ours.url, tmp_path)
        assert self.is_valid(ours, "notes_body_idx")

    @staticmethod
    def is_valid(world: World, index: str) -> bool:
        """Say whether the index can answer queries."""
        oid = f"'public.{index}'::regclass"
        return bool(world.value(f"select indisvalid from pg_index where indexrelid = {oid}"))


class TestDefect2_43_UnboundedCleanUp:
    """Once a day one statement deletes whatever there is, waiting for every lock on its way."""

    def test_succeeds_on_the_plan(self, plan: Plan) -> None:
        [(schedule, command)] = plan.owner.execute("select schedule, command from cron.job")
        assert schedule == "0 2 * * *"
        plan.owner.execute(
            "insert into public.idempotency_log (idempotency_key, operation_type, expires_at)"
            " select gen_random_uuid(), 'x', now() - interval '1 hour'"
            " from generate_series(1, 1000)"
        )
        with plan.connect(plan.url, autocommit=False) as somebody:
            somebody.execute("select * from public.idempotency_log limit 1 for update")
            plan.owner.execute("set lock_timeout = '100ms'")
            with refused("55P03"):
                plan.owner.execute(command)
        assert plan.owner.execute(command).rowcount == 1000
        plan.owner.execute("set search_path = ''")
        with refused("42P01"):
            plan.owner.execute(command)

    def test_refused_by_ours(self, ours: Ours) -> None:
        schedule, command = scheduled("cleanup-idempotency-log")
        assert re.fullmatch(r"[1-9]\d? \* \* \* \*", schedule), "every hour, off the round minute"
        ours.owner.execute(
            "insert into public.idempotency_log (user_id, idempotency_key, created_at,"
            " expires_at, operation_type, request_hash, response_data)"
            " select %s, gen_random_uuid(), now() - interval '2 days', now() - interval '1 day',"
            " 'x', '', '{}' from generate_series(1, 1000)",
            [ALICE],
        )
        generate(ours.as_user(ALICE), ALICE)
        assert ours.value("select rendio.cleanup_idempotency_log(100)") == 100
        with ours.connect(ours.url, autocommit=False) as somebody:
            somebody.execute(
                "select * from public.idempotency_log where operation_type = 'x' limit 1 for update"
            )
            ours.owner.execute("set lock_timeout = '5s'; set search_path = ''")
            ours.owner.execute(command)
            assert ours.value("select count(*) from public.idempotency_log") == 2
        ours.owner.execute(command)
        assert ours.value("select operation_type from public.idempotency_log") != "x"


class TestDefect2_47_ModelList:
    """The list is ordered by a name that may repeat, so its tag flaps; and it leaks how the
    provider calls a model, to everybody."""

    LIST = (
        "select array_agg(id order by position) from (select id, row_number() over () as position"
        " from (select * from public.models where name = 'Twin'"
        " order by is_featured desc, name) as sorted) as numbered"
    )

    def test_succeeds_on_the_plan(self, plan: Plan) -> None:
        twins = self.add_twins(plan)
        before = plan.value(self.LIST)
        plan.owner.execute("update public.models set name = name where id = %s", [before[0]])
        assert plan.value(self.LIST) == before[::-1]
        assert sorted(before) == twins
        leaked = value(plan.as_anon(), "select max(provider_model_id) from public.models")
        assert leaked == "fal-ai/veo3.1"

    def test_refused_by_ours(self, ours: Ours) -> None:
        twins = self.add_twins(ours)
        anon = ours.as_anon()
        first = call(anon, "get_models")
        assert call(anon, "get_models", first["etag"]) == {
            "etag": first["etag"],
            "not_modified": True,
            "models": None,
        }
        ours.owner.execute("update public.models set name = name where id = %s", [twins[0]])
        second = call(anon, "get_models", first["etag"])
        assert not second["not_modified"]
        assert second["models"] == first["models"]
        assert [UUID(m["id"]) for m in second["models"] if m["name"] == "Twin"] == twins

        assert "fal-ai/veo3.1" not in json.dumps(second)
        for attempt in ("provider_model_id", "*"):
            with refused("42501"):
                anon.execute(f"select {attempt} from public.models")

    @staticmethod
    def add_twins(world: World) -> list[UUID]:
        """Put two models of one name on sale."""
        twins = sorted([uuid4(), uuid4()])
        for twin in twins:
            add_model(world.owner, model=twin, name="Twin")
        return twins


class TestDefect2_54_PartitionByTrigger:
    """A trigger that makes the partition a row needs fires when it is too late."""

    PARTITIONED = """
        create table public.views (at timestamptz) partition by range (at);
        create table public.views_2026_01 partition of public.views
        for values from ('2026-01-01') to ('2026-02-01');
        create function public.make_partition() returns trigger language plpgsql as $$
        begin
            execute 'create table public.views_2026_02 partition of public.views'
                ' for values from (''2026-02-01'') to (''2026-03-01'')';
            return new;
        end $$;
    """

    @pytest.mark.parametrize(
        ("level", "sqlstate"),
        [
            ("before insert on public.views for each row", "23514"),
            ("before insert on public.views for each statement", "55006"),
        ],
        ids=["row", "statement"],
    )
    def test_succeeds_on_the_plan(self, plan: Plan, level: str, sqlstate: str) -> None:
        plan.owner.execute(self.PARTITIONED)
        plan.owner.execute(f"create trigger t {level} execute function public.make_partition()")
        with refused(sqlstate):
            plan.owner.execute("insert into public.views values ('2026-02-14')")

    def test_refused_by_ours(self, ours: Ours) -> None:
        # Nobody made a partition for half a year: sales go on, and nothing is out of place after.
        ours.pass_time("190 days")
        alice = ours.as_user(ALICE)
        generate(alice, ALICE)
        in_default = "select count(*) from rendio.quota_log_default"
        assert ours.value(in_default) == 1
        ours.owner.execute("select rendio.ensure_partitions()")
        assert ours.value(in_default) == 0
        assert ours.reasons(ALICE) == ["initial_grant", "video_generation"]
        generate(alice, ALICE)
        ours.pass_time("270 days")
        generate(ours.as_user(BOB), BOB)
        assert ours.value(in_default) == 0
        problems = {problem for _, problem, _, _ in ours.discrepancies()}
        assert problems <= {"hold_older_than_sweep"}  # no sweeper ran either


class TestDefect2_57_TransactionPooling:
    """Behind a transaction pooler what one client sets in its session another client inherits."""

    CLAIMS = json.dumps({"sub": str(ALICE), "role": "authenticated"})

    def test_succeeds_on_the_plan(self, plan: Plan, pooled_url: Callable[[str], str]) -> None:
        one, two = self.clients(plan, pooled_url(plan.url))
        one.execute("select set_config('request.jwt.claims', %s, false)", [self.CLAIMS])
        one.execute("set role authenticated")
        assert value(two, "select id from public.users") == ALICE

    def test_refused_by_ours(self, ours: Ours, pooled_url: Callable[[str], str]) -> None:
        one, two = self.clients(ours, pooled_url(ours.url))
        with one.transaction():
            one.execute("select set_config('request.jwt.claims', %s, true)", [self.CLAIMS])
            one.execute("set local role authenticated")
            job = generate(one, ALICE)["job_id"]
            pid = value(one, "select pg_backend_pid()")
        with two.transaction():
            assert value(two, "select pg_backend_pid()") == pid, "not the same session"
            two.execute("set local role authenticated")
            with refused("PT401", "not_authenticated"), two.transaction():
                generate(two, ALICE)
            two.execute("set local role service_role")
            call(two, "start_video_job", ALICE, job, "fal-1")
            call(two, "complete_video_job", "fal", "fal-1", "https://cdn/1.mp4")
        # Nothing that outlives its transaction: no lock, no temporary table, no listener.
        locks = "select count(*) from pg_locks where locktype = 'advisory' and pid = %s"
        assert value(one, locks, pid) == 0
        assert value(one, "select pg_my_temp_schema()") == 0
        assert value(one, "select count(*) from pg_listening_channels()") == 0

    @staticmethod
    def clients(world: World, url: str) -> tuple[Connection, Connection]:
        """Connect twice through the pooler."""
        one, two = (world.connect(url, prepare_threshold=None) for _ in range(2))
        return one, two


class TestDefect2_60_UnboundedText:
    """Prompt and settings may be of any size and any shape."""

    CALL = "select public.generate_video_atomic(%s, %s, %s, %s, gen_random_uuid())"

    def test_succeeds_on_the_plan(self, plan: Plan) -> None:
        alice = plan.as_user(ALICE)
        alice.execute(self.CALL, [ALICE, MODEL, "a" * 1_000_000, '["any", "shape"]'])
        assert plan.value("select length(prompt) from public.video_jobs") == 1_000_000

    def test_refused_by_ours(self, ours: Ours) -> None:
        alice = ours.as_user(ALICE)
        big = json.dumps({"seed": "1" * 16_400})
        for prompt, settings, sqlstate, slug in (
            ("a" * 4_001, "{}", "PT413", "payload_too_large"),
            ("", "{}", "PT400", "invalid_argument"),
            ("a cat", big, "PT413", "payload_too_large"),
            ("a cat", '["any", "shape"]', "PT400", "invalid_argument"),
        ):
            with refused(sqlstate, slug):
                alice.execute(self.CALL, [ALICE, MODEL, prompt, settings])
        alice.execute(self.CALL, [ALICE, MODEL, "\N{CAT}" * 4_000, "{}"])
        # There is no way round the function, for the backend neither.
        with refused("42501"):
            ours.service.execute("update public.video_jobs set prompt = prompt || 'a'")


class TestDefect2_62_HistoryForEver:
    """The job is due at an hour that nobody chose, and what pg_cron did is kept for ever."""

    def test_succeeds_on_the_plan(self, plan: Plan) -> None:
        commands = column(plan.owner, "select command from cron.job")
        assert len(commands) == 1
        assert "job_run_details" not in commands[0]

    def test_refused_by_ours(
        self, cron_db: str, server: Any, connect: Callable[..., Connection]
    ) -> None:
        conn = connect(cron_db)
        jobs = dict(conn.execute("select jobname, command from cron.job").fetchall())
        assert {"cleanup-idempotency-log", "purge-cron-history"} <= jobs.keys()
        superuser = connect(server.url(conn.info.dbname))
        for run, age in enumerate(("1 hour", "100 days")):
            superuser.execute(
                "insert into cron.job_run_details (jobid, runid, username, status, end_time)"
                " values (-1, %s, %s, 'succeeded', now() - %s::interval)",
                [run, conn.info.user, age],
            )
        conn.execute(jobs["purge-cron-history"])
        left = "select array_agg(runid) from cron.job_run_details where jobid = -1"
        assert value(superuser, left) == [0]


def column(conn: Connection, query: str) -> list[str]:
    """Return the first column of all rows."""
    return [row[0] for row in conn.execute(query)]


def scheduled(job: str) -> tuple[str, str]:
    """Return schedule and command of one of our cron jobs."""
    text = (sqlfiles.root() / "cron" / f"{job}.sql").read_text()
    found = re.search(
        rf"cron\.schedule\(\s*'{job}',\s*'([^']+)',\s*\$\$(.+?)\$\$\s*\)", text, re.DOTALL
    )
    assert found, text
    return found[1], found[2]
