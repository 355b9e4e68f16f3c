"""The publication: what a subscriber of Supabase's Realtime gets to know of a job.

Realtime reads a slot of wal2json, keeps the columns that the subscriber's role may select, and asks
the row's policies as the subscriber. The tests do the same.
"""

import json
from collections.abc import Callable, Iterator
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict
from rpc import App, Connection
from servers import Cluster

pytestmark = [pytest.mark.once, pytest.mark.shapeless]

VIDEO = "https://v.test/1.mp4"


@pytest.fixture
def app(db: str) -> Iterator[App]:
    with App(db) as app:
        yield app


@pytest.fixture
def changes(app: App, server: Cluster) -> Iterator[Callable[[], list[dict[str, Any]]]]:
    """Return what happened to the published tables since the last time of asking."""
    with server.admin(str(conninfo_to_dict(app.url)["dbname"])) as conn:
        try:
            conn.execute("select pg_create_logical_replication_slot(%s, 'wal2json', true)", [SLOT])
        except psycopg.errors.UndefinedFile:
            pytest.skip("this server has no wal2json, which Realtime reads through")
        yield lambda: [json.loads(data) for (data,) in conn.execute(READ, [SLOT, PUBLICATION])]
        conn.execute("select pg_drop_replication_slot(%s)", [SLOT])  # else the database is in use


SLOT = f"rendio_test_{uuid4().hex}"
PUBLICATION = "supabase_realtime"
READ = """
    select data
    from pg_logical_slot_get_changes(
        %s, null, null, 'format-version', '2', 'include-pk', 'true', 'include-transaction', 'false',
        'add-tables', (
            select string_agg(format('%%s.%%s', schemaname, tablename), ',')
            from pg_publication_tables
            where pubname = %s
        )
    )
"""


def visible(change: dict[str, Any], subscriber: Connection) -> dict[str, Any] | None:
    """Return what a subscriber may see of a change: None, where its policies hide the row."""
    record = {column["name"]: column["value"] for column in change["columns"]}
    key = [record[column["name"]] for column in change["pk"]]
    query = "select 1 from public.video_jobs where user_id = %s and job_id = %s"
    if not subscriber.execute(query, key).rowcount:
        return None
    table = f"{change['schema']}.{change['table']}"
    may = "select has_column_privilege(%s, %s, 'select')"
    return {
        name: value
        for name, value in record.items()
        if subscriber.execute(may, [table, name]).fetchone() == (True,)
    }


def test_its_user_sees_each_change_of_a_job(
    app: App,
    changes: Callable[[], list[dict[str, Any]]],
    connect: Callable[..., Connection],
) -> None:
    me, stranger = app.new_user(), app.new_user()
    mine = connect(app.url, role="authenticated", user_id=me)
    others = connect(app.url, role="authenticated", user_id=stranger)
    job = app.generate(me)
    app.call("claim_video_jobs", "north")
    provider_job = f"fal-{uuid4()}"
    app.call("start_video_job", me, job, provider_job)
    app.call("complete_video_job", "fal", provider_job, VIDEO)

    happened = changes()
    assert {change["table"] for change in happened} == {"video_jobs"}
    assert [change["action"] for change in happened] == ["I", "U", "U", "U"]
    seen = [visible(change, mine) for change in happened]
    assert [record and record["status"] for record in seen] == [
        "pending", "pending", "processing", "completed"
    ]  # fmt: skip
    assert seen[-1] is not None
    assert (seen[-1]["job_id"], seen[-1]["video_url"]) == (str(job), VIDEO)
    hidden = {"lease_owner", "lease_expires_at", "provider_job_id", "provider", "attempt"}
    assert not hidden & set().union(*(record or {} for record in seen))
    answer = app.call("get_video_status", me, job)
    assert answer.keys() - seen[-1].keys() == {"model_name"}, "there is nothing left to ask for"
    assert "north" in json.dumps(happened), "the slot itself has them"
    assert [visible(change, others) for change in happened] == [None] * 4


def test_what_changes_nothing_is_not_published(
    app: App, changes: Callable[[], list[dict[str, Any]]]
) -> None:
    user = app.new_user()
    job, provider_job = app.submit(user)
    changes()
    app.call("start_video_job", user, job, provider_job)
    with app.login.transaction(force_rollback=True):
        app.call("complete_video_job", "fal", provider_job, VIDEO)
    app.call("get_video_status", user, job)
    assert changes() == []
    app.call("complete_video_job", "fal", provider_job, VIDEO)
    assert statuses(changes(), job) == ["completed"]
    app.call("complete_video_job", "fal", provider_job, VIDEO)
    app.call("fail_video_job", "fal", provider_job, "late")
    assert changes() == []


def statuses(happened: list[dict[str, Any]], job: UUID) -> list[str]:
    records = [{c["name"]: c["value"] for c in change["columns"]} for change in happened]
    return [record["status"] for record in records if record["job_id"] == str(job)]
