"""pg_cron's API, asked of the compat layer and, where there is one, of pg_cron itself.

What the pg_cron at hand lacks is in LACKS, by its version; everything else both must pass.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import psycopg
import pytest
from psycopg import sql

LACKS = {
    "1.4": {
        "intervals": "[1-59] seconds came with 1.5",
        "last day": "$ came with 1.5",
        "hint": "the hint of an invalid schedule came with intervals, in 1.5",
        "database": "naming a job again moves it to the other database since 1.6",
        "text names": "job names became text with 1.5",
    }
}


@dataclass
class Cron:
    """A database with a schema cron, and who it is of."""

    conn: psycopg.Connection[Any]
    lacks: dict[str, str]

    def all(self, query: str, *arguments: Any) -> list[tuple[Any, ...]]:
        return self.conn.execute(query.encode(), arguments).fetchall()

    def one(self, query: str, *arguments: Any) -> Any:
        return self.all(query, *arguments)[0][0]

    def needs(self, what: str) -> None:
        if what in self.lacks:
            pytest.skip(f"this pg_cron lacks it: {self.lacks[what]}")

    def refused(self, query: str, *arguments: Any) -> psycopg.errors.Diagnostic:
        with pytest.raises(psycopg.Error) as caught, self.conn.transaction():
            self.all(query, *arguments)
        return caught.value.diag

    @contextmanager
    def role(self, name: str) -> Iterator[None]:
        self.conn.execute(sql.SQL("set local role {}").format(sql.Identifier(name)))
        yield
        self.conn.execute("reset role")


@pytest.fixture(params=["compat", "real"])
def cron(request: pytest.FixtureRequest, role: Callable[..., str]) -> Iterator[Cron]:
    """A superuser in a transaction that is rolled back (before the roles that it uses go)."""
    if request.param == "compat":
        with psycopg.connect(request.getfixturevalue("shared_url")) as conn:
            yield Cron(conn, {})
            conn.rollback()
        return
    real_url = os.environ.get("PG_CRON_COMPAT_TEST_REAL_URL")
    if not real_url:
        pytest.skip("no pg_cron to ask: PG_CRON_COMPAT_TEST_REAL_URL")
    with psycopg.connect(real_url) as conn:
        conn.execute("create extension pg_cron")
        version = conn.execute("select extversion from pg_extension where extname = 'pg_cron'")
        (version,) = version.fetchone() or ("",)
        yield Cron(conn, LACKS.get(version[:3], {}))
        conn.rollback()


@pytest.fixture
def user(cron: Cron, role: Callable[..., str]) -> str:
    """A role that may use the schema."""
    name = role()
    cron.conn.execute(sql.SQL("grant usage on schema cron to {}").format(sql.Identifier(name)))
    return name


JOB = "select * from cron.job where jobid = %s"


def test_the_tables_have_these_columns(cron: Cron) -> None:
    def columns(table: str) -> list[tuple[Any, ...]]:
        return cron.all(
            "select attname::text, atttypid::regtype::text, attnotnull from pg_attribute"
            " where attrelid = %s::regclass and attnum > 0 order by attnum",
            table,
        )

    name = "name" if "text names" in cron.lacks else "text"
    assert columns("cron.job") == [
        ("jobid", "bigint", True),
        ("schedule", "text", True),
        ("command", "text", True),
        ("nodename", "text", True),
        ("nodeport", "integer", True),
        ("database", "text", True),
        ("username", "text", True),
        ("active", "boolean", True),
        ("jobname", name, False),
    ]
    assert columns("cron.job_run_details") == [
        ("jobid", "bigint", False),
        ("runid", "bigint", True),
        ("job_pid", "integer", False),
        ("database", "text", False),
        ("username", "text", False),
        ("command", "text", False),
        ("status", "text", False),
        ("return_message", "text", False),
        ("start_time", "timestamp with time zone", False),
        ("end_time", "timestamp with time zone", False),
    ]


def test_the_functions_have_these_signatures(cron: Cron) -> None:
    found = cron.all(
        "select format('%%s(%%s) %%s', proname, pg_get_function_arguments(oid),"
        " prorettype::regtype),"
        " proisstrict, has_function_privilege('public', oid, 'execute')"
        " from pg_proc where pronamespace = 'cron'::regnamespace"
        " and proname <> 'job_cache_invalidate'"
    )
    name = "name" if "text names" in cron.lacks else "text"
    assert sorted(found) == [
        (
            "alter_job(job_id bigint, schedule text DEFAULT NULL::text,"
            " command text DEFAULT NULL::text, database text DEFAULT NULL::text,"
            " username text DEFAULT NULL::text, active boolean DEFAULT NULL::boolean) void",
            False,
            False,
        ),
        ("schedule(job_name text, schedule text, command text) bigint", False, True),
        ("schedule(schedule text, command text) bigint", True, True),
        (
            "schedule_in_database(job_name text, schedule text, command text, database text,"
            " username text DEFAULT NULL::text, active boolean DEFAULT true) bigint",
            False,
            False,
        ),
        ("unschedule(job_id bigint) boolean", True, True),
        (f"unschedule(job_name {name}) boolean", True, True),
    ]


def test_public_may_read_and_nothing_else(cron: Cron) -> None:
    assert not cron.one("select has_schema_privilege('public', 'cron', 'usage')")
    granted = cron.all(
        "select c.relname::text, a.privilege_type from pg_class c, aclexplode(c.relacl) a"
        " where c.relnamespace = 'cron'::regnamespace and a.grantee = 0"
    )
    expected = {("job", "SELECT"), ("job_run_details", "DELETE"), ("job_run_details", "SELECT")}
    if "sequences" not in cron.lacks:
        expected |= {("jobid_seq", "SELECT"), ("runid_seq", "SELECT")}
    assert set(granted) == expected


def test_a_job_is_made_changed_and_removed_by_name(cron: Cron) -> None:
    job = cron.one("select cron.schedule('nightly', '0 3 * * *', 'select 1')")
    database, port = cron.all("select current_database(), current_setting('port')::int")[0]
    made = cron.all(JOB, job)
    login = cron.one("select current_user")
    assert made == [
        (job, "0 3 * * *", "select 1", "localhost", port, database, login, True, "nightly")
    ]
    cron.all("select cron.alter_job(%s, active := false)", job)
    assert cron.one("select cron.schedule('nightly', '@daily', 'select 2')") == job
    assert cron.all(JOB, job) == [
        (job, "@daily", "select 2", "localhost", port, database, login, False, "nightly")
    ]
    assert cron.one("select cron.unschedule('nightly')") is True
    assert cron.all(JOB, job) == []


def test_a_job_without_a_name_is_known_by_its_number(cron: Cron) -> None:
    first = cron.one("select cron.schedule('* * * * *', 'select 1')")
    second = cron.one("select cron.schedule('* * * * *', 'select 1')")
    assert second == first + 1
    assert cron.all("select jobname from cron.job where jobid = %s", first) == [(None,)]
    assert cron.one("select cron.unschedule(%s)", first) is True
    assert len(cron.all("select from cron.job")) == 1


@pytest.mark.parametrize("schedule", ["", "* * * *", "60 * * * *", "5 minutes", "@every_minute"])
def test_an_invalid_schedule_is_refused(cron: Cron, schedule: str) -> None:
    job = cron.one("select cron.schedule('@daily', 'select 1')")
    for query, arguments in (
        ("select cron.schedule(%s, 'select 1')", (schedule,)),
        ("select cron.schedule('x', %s, 'select 1')", (schedule,)),
        ("select cron.schedule_in_database('x', %s, 'select 1', 'nowhere')", (schedule,)),
        ("select cron.alter_job(%s, schedule := %s)", (job, schedule)),
    ):
        told = cron.refused(query, *arguments)
        assert (told.sqlstate, told.message_primary) == ("22023", f"invalid schedule: {schedule}")
        if "hint" not in cron.lacks:
            assert told.message_hint == (
                "Use cron format (e.g. 5 4 * * *), or interval format '[1-59] seconds'"
            )


@pytest.mark.parametrize(
    ("what", "schedule"), [("intervals", "5 seconds"), ("last day", "0 0 $ * *")]
)
def test_what_came_with_1_5_is_taken(cron: Cron, what: str, schedule: str) -> None:
    cron.needs(what)
    assert cron.one("select cron.schedule(%s, 'select 1')", schedule)


def test_nulls(cron: Cron) -> None:
    assert cron.one("select cron.schedule(null, 'select 1')") is None
    assert cron.one("select cron.unschedule(null::bigint)") is None
    for query, message in (
        ("select cron.schedule(null, '@daily', 'select 1')", "job_name can not be NULL"),
        ("select cron.schedule('x', null, 'select 1')", "schedule can not be NULL"),
        ("select cron.schedule('x', '@daily', null)", "command can not be NULL"),
        ("select cron.alter_job(null)", "job_id can not be NULL"),
    ):
        told = cron.refused(query)
        assert (told.sqlstate, told.message_primary) == ("XX000", message)


def test_what_is_not_there_is_said(cron: Cron) -> None:
    for query, message in (
        ("select cron.unschedule(7000)", "could not find valid entry for job 7000"),
        ("select cron.unschedule('nope')", "could not find valid entry for job 'nope'"),
        (
            "select cron.alter_job(7000, active := true)",
            "Job 7000 does not exist or you don't own it",
        ),
    ):
        told = cron.refused(query)
        assert (told.sqlstate, told.message_primary) == ("XX000", message)


def test_alter_job_changes_what_it_is_given(cron: Cron, user: str) -> None:
    job = cron.one("select cron.schedule('@daily', 'select 1')")
    cron.all("select cron.alter_job(%s, schedule := '@hourly', command := 'select 2')", job)
    cron.all("select cron.alter_job(%s, username := %s, database := 'postgres')", job, user)
    assert cron.all("select schedule, command, username::text, database, active from cron.job") == [
        ("@hourly", "select 2", user, "postgres", True)
    ]


def test_alter_job_wants_something_to_change(cron: Cron) -> None:
    cron.needs("no updates")
    job = cron.one("select cron.schedule('@daily', 'select 1')")
    told = cron.refused("select cron.alter_job(%s)", job)
    assert (told.sqlstate, told.message_primary) == ("XX000", "no updates specified")


def test_a_superuser_schedules_for_others_elsewhere(cron: Cron, user: str) -> None:
    query = "select cron.schedule_in_database('there', '@daily', 'select 1', %s, %s, %s)"
    job = cron.one(query, "postgres", user, False)
    assert cron.all("select username::text, database, active from cron.job") == [
        (user, "postgres", False)
    ]
    assert cron.one(query, "template1", user, True) == job
    if "database" not in cron.lacks:
        assert cron.all("select database, active from cron.job") == [("template1", False)]


def test_a_job_needs_a_role_and_a_database_that_are_there(
    cron: Cron, role: Callable[..., str]
) -> None:
    closed, sleeper = role(), role("nologin")
    query = "select cron.schedule_in_database('there', '@daily', 'select 1', %s, %s)"
    told = cron.refused(query, "postgres", "nobody_at_all")
    assert (told.sqlstate, told.message_primary) == (
        "XX000",
        'role "nobody_at_all" does not exist',
    )
    told = cron.refused(query, "postgres", sleeper)
    assert told.message_primary == f'role "{sleeper}" can not log in'
    assert told.message_detail == "Jobs may only be run by roles that have the LOGIN attribute."
    told = cron.refused(query, "nowhere", closed)
    assert (told.sqlstate, told.message_primary) == ("3D000", 'database "nowhere" does not exist')
    cron.conn.execute("revoke connect on database template0 from public")
    told = cron.refused(query, "template0", closed)
    assert told.message_primary == f"User {closed} does not have CONNECT privilege on template0"


def test_without_usage_nothing_is_to_be_had(cron: Cron, role: Callable[..., str]) -> None:
    with cron.role(role()):
        told = cron.refused("select cron.schedule('* * * * *', 'select 1')")
        assert (told.sqlstate, told.message_primary) == (
            "42501",
            "permission denied for schema cron",
        )


def test_a_role_sees_and_touches_its_own_jobs_only(cron: Cron, user: str) -> None:
    others = cron.one("select cron.schedule('theirs', '@daily', 'select 1')")
    with cron.role(user):
        own = cron.one("select cron.schedule('theirs', '@hourly', 'select 2')")
        assert own != others
        assert cron.all("select jobid, username::text from cron.job") == [(own, user)]
        told = cron.refused("select cron.unschedule(%s)", others)
        assert (told.sqlstate, told.message_primary) == (
            "42501",
            "permission denied for table job",
        )
        assert cron.one("select cron.unschedule('theirs')")
        told = cron.refused("select cron.unschedule('theirs')")
        assert told.message_primary == "could not find valid entry for job 'theirs'"
        for statement in (
            "insert into cron.job (schedule, command) values ('@daily', 'select 1')",
            "update cron.job set command = 'select 3'",
            "delete from cron.job",
            "insert into cron.job_run_details (jobid) values (1)",
        ):
            with pytest.raises(psycopg.errors.InsufficientPrivilege), cron.conn.transaction():
                cron.conn.execute(statement.encode())
    assert cron.all("select jobid from cron.job") == [(others,)]


def test_elsewhere_and_alter_are_for_whom_they_are_granted_to(cron: Cron, user: str) -> None:
    elsewhere = "select cron.schedule_in_database('there', '@daily', 'select 1', 'postgres')"
    with cron.role(user):
        job = cron.one("select cron.schedule('@daily', 'select 1')")
        told = cron.refused(elsewhere)
        assert told.message_primary == "permission denied for function schedule_in_database"
        told = cron.refused("select cron.alter_job(%s, active := false)", job)
        assert told.message_primary == "permission denied for function alter_job"
    cron.conn.execute(
        sql.SQL("grant execute on all functions in schema cron to {}").format(sql.Identifier(user))
    )
    with cron.role(user):
        assert cron.one(elsewhere) > job
        cron.all("select cron.alter_job(%s, active := false)", job)
        for query, message in (
            (
                "select cron.schedule_in_database('x', '@daily', 'y', 'postgres', current_user)",
                "must be superuser to create a job for another role",
            ),
            (
                "select cron.alter_job(1, username := current_user)",
                "must be superuser to alter username",
            ),
        ):
            assert cron.refused(query).message_primary == message
    others = cron.one("select cron.schedule('@daily', 'select 1')")
    with cron.role(user):
        told = cron.refused("select cron.alter_job(%s, active := false)", others)
        assert told.message_primary == f"Job {others} does not exist or you don't own it"


def test_who_may_delete_rows_may_unschedule(cron: Cron, user: str) -> None:
    others = cron.one("select cron.schedule('@daily', 'select 1')")
    cron.conn.execute(sql.SQL("grant delete on cron.job to {}").format(sql.Identifier(user)))
    with cron.role(user):
        assert cron.one("select cron.unschedule(%s)", others)


def test_a_role_reads_and_deletes_its_own_history(cron: Cron, user: str) -> None:
    for name in (user, "somebody else"):
        cron.conn.execute(
            "insert into cron.job_run_details (jobid, username) values (1, %s)", [name]
        )
    with cron.role(user):
        assert cron.all("select username::text from cron.job_run_details") == [(user,)]
        cron.conn.execute("delete from cron.job_run_details")
    assert cron.all("select username from cron.job_run_details") == [("somebody else",)]


def test_a_job_belongs_to_the_role_in_effect(cron: Cron, user: str) -> None:
    """A function that runs as its owner schedules as its owner, whoever called it."""
    cron.conn.execute(
        sql.SQL(
            "create function public.planted() returns bigint language sql security definer"
            " as $$ select cron.schedule('planted', '@daily', 'select 1') $$;"
            " alter function public.planted() owner to {}"
        ).format(sql.Identifier(user))
    )
    job = cron.one("select public.planted()")
    assert cron.all("select username::text from cron.job where jobid = %s", job) == [(user,)]
