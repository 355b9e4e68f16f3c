"""Watching a job: who is told, when, and how a watch goes on where nothing can be told."""

import asyncio
import json
import socket
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from math import inf
from threading import Thread
from typing import Any
from uuid import UUID, uuid4

import psycopg
import psycopg_pool
import pytest
from rendio import AsyncClient, Client, watch
from rpc import App
from waiting import until

pytestmark = pytest.mark.shapeless

PLAN = (2, 4, 8, 16, *[30] * 55)  # seconds between the sixty reads
VIDEO = "https://v.test/1.mp4"


@pytest.fixture(scope="module")
def app(module_app: App) -> App:
    """The module's database; whether its books agree is for other modules to see."""
    return module_app


@pytest.fixture(params=["sync", "async"])
def watching(request: pytest.FixtureRequest, app: App) -> Iterator["Watching"]:
    with Watching(request.param == "async", app.url) as watching:
        yield watching


@pytest.fixture
def setting(app: App) -> Iterator[Callable[[str], None]]:
    """Set how changes are told, for this test."""

    def put(way: str) -> None:
        query = "update public.app_settings set value = to_jsonb(%s::text) where key = %s"
        app.owner.execute(query, [way, "job_notifications"])

    yield put
    put("both")


# --- both halves of the client behind one interface -----------------------------------------------


@dataclass
class FakeTime:
    """Time that passes only in sleep; what the world does meanwhile is planned for a second."""

    at: float = 0
    slept: list[float] = field(default_factory=list)
    plans: list[tuple[float, Callable[[], object]]] = field(default_factory=list)

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.at += seconds
        for plan in [plan for plan in self.plans if plan[0] <= self.at]:
            self.plans.remove(plan)
            plan[1]()

    async def sleep_async(self, seconds: float) -> None:
        self.sleep(seconds)


class Counting(Client):
    reads = 0

    def get_video_status(self, **arguments: Any) -> Any:
        self.reads += 1
        return super().get_video_status(**arguments)


class AsyncCounting(AsyncClient):
    reads = 0

    async def get_video_status(self, **arguments: Any) -> Any:
        self.reads += 1
        return await super().get_video_status(**arguments)


class Watching:
    """A client, and the watch that it has begun."""

    def __init__(self, is_async: bool, url: str) -> None:
        self.is_async = is_async
        self.time = FakeTime()
        self._url = url
        self._runner = asyncio.Runner()

    def __enter__(self) -> "Watching":
        self.open(self._url)
        return self

    def open(self, url: str) -> None:
        """Use another way to the database."""
        self.client: Any = AsyncCounting(url) if self.is_async else Counting(url)

    def __exit__(self, *_: object) -> None:
        self._await(self.client.close())
        self._runner.close()

    def begin(self, user: UUID, job: UUID, url: str | None, reader: Any = None) -> None:
        """Begin a watch whose sleeps are not slept; it listens at a URL."""
        arguments = (reader or self.client, url, user, job, watch.TIMEOUT)
        time = self.time
        if self.is_async:
            clock = watch.AsyncClock(lambda: time.at, time.sleep_async)
            self.seen: Any = watch.watch_async(*arguments, clock)
        else:
            self.seen = watch.watch(*arguments, watch.Clock(lambda: time.at, time.sleep))

    def begin_as_callers_do(self, user: UUID, job: UUID, **more: Any) -> None:
        self.seen = self.client.watch_job(user_id=user, job_id=job, **more)

    def next(self) -> str | None:
        """Return the next status, None at the end. To be woken takes less than ten seconds."""
        if self.is_async:
            return self._await(asyncio.wait_for(self._next_async(), 10))
        with ThreadPoolExecutor(1) as thread:
            found = thread.submit(self._next)
            if not wait([found], 10).done:
                self.time.at = inf  # so that the watch, and its thread, come to an end
                pytest.fail("the watch was not woken")
            return found.result()

    def _next(self) -> str | None:
        job = next(self.seen, None)
        return job and job.status

    async def _next_async(self) -> str | None:
        job = await anext(self.seen, None)
        return job and job.status

    def rest(self) -> list[str]:
        return list(iter(self.next, None))

    def stop(self) -> None:
        self._await(self.seen.aclose() if self.is_async else self.seen.close())

    def _await(self, result: Any) -> Any:
        async def finished() -> Any:
            return await result

        return self._runner.run(finished()) if self.is_async else result


@pytest.fixture(autouse=True)
def _precaution_comes_too_late(monkeypatch: pytest.MonkeyPatch) -> None:
    """A read as a precaution must not stand in for a notification that never came."""
    monkeypatch.setattr(watch, "PRECAUTION", 15.0)


def listeners(app: App) -> list[tuple[int, str]]:
    query = """
        select pid, state from pg_catalog.pg_stat_activity
        where application_name = 'rendio watch' and datname = current_database()
    """
    return app.login.execute(query).fetchall()


def start(app: App, user: UUID, job: UUID) -> str:
    provider_job = f"fal-{uuid4()}"
    app.call("start_video_job", user, job, provider_job)
    return provider_job


def complete(app: App, provider_job: str) -> None:
    app.call("complete_video_job", "fal", provider_job, VIDEO)


# --- what is told ---------------------------------------------------------------------------------


def heard(app: App, ear: psycopg.Connection[Any], job: UUID) -> list[Any]:
    """Return all that was told of a job until now, and not rolled back."""
    app.login.execute("select pg_notify(%s, 'null')", [f"rendio_job_{job}"])
    told = [json.loads(n.payload) for n in iter_until_null(ear)]
    assert told.pop() is None
    return told


def iter_until_null(ear: psycopg.Connection[Any]) -> Iterator[psycopg.Notify]:
    for notification in ear.notifies(timeout=30):
        yield notification
        if notification.payload == "null":
            return


@pytest.fixture
def ear(app: App, connect: Callable[..., psycopg.Connection[Any]]) -> Callable[[UUID], Any]:
    def listen(job: UUID) -> psycopg.Connection[Any]:
        conn = connect(app.url)
        conn.execute(f'listen "rendio_job_{job}"')
        return conn

    return listen


def completed(app: App, user: UUID, job: UUID) -> None:
    complete(app, start(app, user, job))


def failed(app: App, user: UUID, job: UUID) -> None:
    app.call("claim_video_jobs", "north", 100)
    app.call("fail_video_job", "fal", start(app, user, job), "out of memory")


def cancelled(app: App, user: UUID, job: UUID) -> None:
    app.call("cancel_video_job", user, job, user=user)


def refunded(app: App, user: UUID, job: UUID) -> None:
    app.call("refund_video_job", user, job)


def swept(app: App, user: UUID, job: UUID) -> None:
    query = "update public.video_jobs set times_out_at = created_at where job_id = %s"
    app.owner.execute(query, [job])
    app.login.execute("select rendio.sweep_stuck_jobs()")


def forgotten(app: App, user: UUID, job: UUID) -> None:
    app.call("delete_account", user, user=user)


@pytest.mark.parametrize(
    ("end", "statuses"),
    [
        (completed, ["processing", "completed"]),
        (failed, ["processing", "failed"]),
        (cancelled, ["failed"]),
        (refunded, ["failed"]),
        (swept, ["failed"]),
        (forgotten, ["failed"]),
    ],
)
def test_each_change_of_status_is_told_once(
    app: App,
    ear: Callable[[UUID], psycopg.Connection[Any]],
    end: Callable[[App, UUID, UUID], None],
    statuses: list[str],
) -> None:
    user = app.new_user()
    job, other = app.generate(user), app.generate(user)
    conn, others = ear(job), ear(other)
    end(app, user, job)
    assert heard(app, conn, job) == [
        {"user_id": str(user), "job_id": str(job), "status": status} for status in statuses
    ]
    of_other = [] if end is not forgotten else ["failed"]
    assert [told["status"] for told in heard(app, others, other)] == of_other


def test_nothing_is_told_of_what_did_not_happen(
    app: App, ear: Callable[[UUID], psycopg.Connection[Any]]
) -> None:
    user = app.new_user()
    job = app.generate(user)
    conn = ear(job)
    with app.login.transaction(force_rollback=True):
        start(app, user, job)
    app.call("get_video_status", user, job)
    app.call("claim_video_jobs", "north", 100)
    assert heard(app, conn, job) == []
    provider_job = start(app, user, job)
    app.call("start_video_job", user, job, provider_job)
    start(app, user, job)
    with app.login.transaction(force_rollback=True):
        complete(app, provider_job)
    assert [told["status"] for told in heard(app, conn, job)] == ["processing"]
    complete(app, provider_job)
    complete(app, provider_job)
    app.call("fail_video_job", "fal", provider_job, "late")
    app.call("delete_video_job", user, job)
    app.call("delete_account", user)
    assert [told["status"] for told in heard(app, conn, job)] == ["completed"]


def test_the_generate_path_tells_nothing(app: App) -> None:
    """It must not wait for the lock that NOTIFY takes: whatever tells anything raises here."""
    user = app.new_user()
    provider_job = start(app, user, app.generate(user))
    with app.login.transaction(force_rollback=True):
        app.login.execute("set local role rendio_owner")
        app.login.execute(
            """
            create or replace function rendio.announce_job(
                p_user_id uuid, p_job_id uuid, p_status rendio.job_status
            )
            returns void language plpgsql as $$ begin raise 'told'; end $$
            """
        )
        app.generate(user)
        app.call("claim_video_jobs", "north", 100)
        with pytest.raises(psycopg.errors.RaiseException, match="told"):
            complete(app, provider_job)


@pytest.mark.parametrize("way", ["off", "broadcast"])
def test_a_setting_turns_it_off(
    app: App,
    ear: Callable[[UUID], psycopg.Connection[Any]],
    setting: Callable[[str], None],
    way: str,
) -> None:
    setting(way)
    user = app.new_user()
    job = app.generate(user)
    conn = ear(job)
    complete(app, start(app, user, job))
    assert heard(app, conn, job) == []


# --- a watch that is told -------------------------------------------------------------------------


def test_it_is_woken_by_each_change(app: App, watching: Watching) -> None:
    user = app.new_user()
    job = app.generate(user)
    watching.begin_as_callers_do(user, job)
    assert watching.next() == "pending"
    ((_, state),) = listeners(app)
    assert state == "idle", "it holds no transaction"
    provider_job = start(app, user, job)
    assert watching.next() == "processing"
    complete(app, provider_job)
    assert watching.rest() == ["completed"]
    assert watching.client.reads <= 5
    until(lambda: not listeners(app))


def test_it_misses_nothing_between_listening_and_reading(app: App, watching: Watching) -> None:
    user = app.new_user()
    job = app.generate(user)

    class Late:
        """Reads, and is told only after the job has gone on."""

        provider_job = ""

        def get_video_status(self, **arguments: Any) -> Any:
            if not watching.is_async:
                return self._then_start(Counting.get_video_status(watching.client, **arguments))
            return self._async(**arguments)

        async def _async(self, **arguments: Any) -> Any:
            return self._then_start(
                await AsyncCounting.get_video_status(watching.client, **arguments)
            )

        def _then_start(self, found: Any) -> Any:
            self.provider_job = self.provider_job or start(app, user, job)
            return found

    late = Late()
    watching.begin(user, job, app.url, late)
    assert watching.next() == "pending"
    assert watching.next() == "processing"
    complete(app, late.provider_job)
    assert watching.rest() == ["completed"]
    assert watching.time.slept == []


def test_it_closes_its_connection_when_it_is_left(app: App, watching: Watching) -> None:
    user = app.new_user()
    watching.begin_as_callers_do(user, app.generate(user))
    watching.next()
    assert len(listeners(app)) == 1
    watching.stop()
    until(lambda: not listeners(app))


def test_a_job_of_a_guest_that_became_an_account(app: App, watching: Watching) -> None:
    account, guest, sub = app.new_user(), app.new_user(), f"{uuid4()}"
    app.call("link_apple_account", account, sub)
    job = app.generate(guest)
    app.call("link_apple_account", guest, sub)
    watching.begin_as_callers_do(account, job)
    assert watching.next() == "pending"
    complete(app, start(app, guest, job))
    assert watching.rest()[-1] == "completed"


def test_a_user_watches_its_own_jobs_alone(app: App, watching: Watching) -> None:
    user, stranger = app.new_user(), app.new_user()
    job = app.generate(user)
    watching.client = watching.client.as_user(user)
    watching.begin_as_callers_do(user, job)
    assert watching.next() == "pending"
    complete(app, start(app, user, job))
    assert watching.rest()[-1] == "completed"
    watching.client = watching.client.as_user(stranger)
    watching.begin_as_callers_do(user, job)
    with pytest.raises(Exception, match="not_your_account"):
        watching.next()


def test_a_pool_is_not_held_between_reads(app: App) -> None:
    user = app.new_user()
    job = app.generate(user)
    kwargs = {"prepare_threshold": None, "autocommit": True}
    with psycopg_pool.ConnectionPool(app.url, kwargs=kwargs, min_size=1, max_size=1) as pool:
        seen = Client(pool).watch_job(user_id=user, job_id=job, listen_url=app.url)
        assert next(seen).status == "pending"
        with pool.connection(timeout=5) as conn:
            assert conn.execute("select count(*) from pg_listening_channels()").fetchone() == (0,)
        complete(app, start(app, user, job))
        assert [job.status for job in seen][-1] == "completed"


# --- a watch that must ask ------------------------------------------------------------------------


def test_sixty_reads_with_the_plans_backoff(app: App, watching: Watching) -> None:
    user = app.new_user()
    watching.begin(user, app.generate(user), None)
    assert watching.next() == "pending"
    with pytest.raises(TimeoutError, match="is still pending after 0:28:00"):
        watching.next()
    assert watching.time.slept == [*PLAN]
    assert watching.client.reads == 60


def test_it_asks_until_the_job_ends(app: App, watching: Watching) -> None:
    user = app.new_user()
    job = app.generate(user)
    watching.time.plans = [
        (5, lambda: start(app, user, job)),
        (40, lambda: app.call("refund_video_job", user, job)),
    ]
    watching.begin(user, job, None)
    assert watching.rest() == ["pending", "processing", "failed"]
    assert watching.time.slept == [2, 4, 8, 16, 30]


def test_a_job_that_has_ended_is_read_once(app: App, watching: Watching) -> None:
    user = app.new_user()
    job = app.generate(user)
    app.call("cancel_video_job", user, job)
    watching.begin(user, job, None)
    assert watching.rest() == ["failed"]
    assert watching.client.reads == 1


def assert_it_asks(app: App, watching: Watching, url: str) -> None:
    """Expect a watch that would listen at a URL to ask instead, and to leave nothing open."""
    user = app.new_user()
    job = app.generate(user)
    watching.time.plans = [(6, lambda: app.call("refund_video_job", user, job))]
    watching.begin(user, job, url, watching.client.as_user(user))
    assert watching.next() == "pending"
    until(lambda: not listeners(app))
    assert watching.rest() == ["failed"]
    assert watching.time.slept == [2, 4]


def test_through_a_pooler_it_asks(
    app: App, watching: Watching, pooled_url: Callable[[str], str]
) -> None:
    watching.open(pooled_url(app.url))
    user = app.new_user()
    job = app.generate(user)
    watching.time.plans = [(6, lambda: app.call("refund_video_job", user, job))]
    watching.begin(user, job, pooled_url(app.url))
    assert watching.rest() == ["pending", "failed"]
    assert watching.time.slept == [2, 4]
    channels = "select count(*) from pg_listening_channels()"
    with psycopg.connect(pooled_url(app.url), prepare_threshold=None) as next_client:
        assert next_client.execute(channels).fetchone() == (0,), "nothing stays in the session"


def test_a_pooled_client_is_told_through_another_url(
    app: App, watching: Watching, pooled_url: Callable[[str], str]
) -> None:
    watching.open(pooled_url(app.url))
    user = app.new_user()
    job = app.generate(user)
    watching.begin_as_callers_do(user, job, listen_url=app.url)
    assert watching.next() == "pending"
    app.call("refund_video_job", user, job)
    assert watching.rest() == ["failed"]


@pytest.mark.parametrize("way", ["off", "broadcast"])
def test_where_nothing_is_told_it_asks(
    app: App, watching: Watching, setting: Callable[[str], None], way: str
) -> None:
    setting(way)
    assert_it_asks(app, watching, app.url)


def test_where_it_may_not_know_it_asks(app: App, watching: Watching) -> None:
    as_client = psycopg.conninfo.make_conninfo(app.url, options="-c role=authenticated")
    assert_it_asks(app, watching, as_client)


def test_where_it_cannot_connect_it_asks(app: App, watching: Watching) -> None:
    nowhere = psycopg.conninfo.make_conninfo(app.url, dbname="no_such_database")
    assert_it_asks(app, watching, nowhere)


@contextmanager
def silent(greeting: bytes) -> Iterator[str]:
    """Yield the URL of a server that says this to whoever connects, and nothing more."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        kept = []

        def accept() -> None:
            with suppress(OSError):
                while True:
                    kept.append(server.accept()[0])
                    kept[-1].sendall(greeting)

        thread = Thread(target=accept, daemon=True)
        thread.start()
        port = server.getsockname()[1]
        yield f"postgresql://x@127.0.0.1:{port}/x?sslmode=disable&gssencmode=disable"
        server.shutdown(socket.SHUT_RDWR)
        thread.join()
        for connection in kept:
            connection.close()


# Authentication is not needed; ready for a query: a pooler that waits for its server.
WELCOME = b"R\0\0\0\x08\0\0\0\0Z\0\0\0\x05I"


@pytest.mark.once
@pytest.mark.parametrize("greeting", [b"", WELCOME], ids=["at once", "when asked"])
def test_where_nobody_answers_it_asks(app: App, watching: Watching, greeting: bytes) -> None:
    user = app.new_user()
    job = app.generate(user)
    with silent(greeting) as url:
        short = timedelta(seconds=1)
        watching.begin_as_callers_do(user, job, listen_url=url, timeout=short)
        assert watching.next() == "pending"
        with pytest.raises(TimeoutError):
            watching.next()


def test_when_the_connection_is_lost_it_asks(app: App, watching: Watching) -> None:
    user = app.new_user()
    job = app.generate(user)
    watching.time.plans = [(6, lambda: app.call("refund_video_job", user, job))]
    watching.begin(user, job, app.url)
    assert watching.next() == "pending"
    ((pid, _),) = listeners(app)
    app.login.execute("select pg_terminate_backend(%s)", [pid])
    assert watching.rest() == ["failed"]
    assert watching.time.slept == [2, 4]


def test_a_read_that_lost_its_connection_is_made_once_more(app: App, watching: Watching) -> None:
    user = app.new_user()
    job = app.generate(user)

    def lose() -> None:
        pid = watching.client._connections._conn.info.backend_pid
        app.login.execute("select pg_terminate_backend(%s, 10000)", [pid])

    watching.time.plans = [(2, lose), (6, lambda: app.call("refund_video_job", user, job))]
    watching.begin(user, job, None)
    assert watching.rest() == ["pending", "failed"]
    assert watching.time.slept == [2, 4]
    assert watching.client.reads == 4


def test_a_read_that_failed_otherwise_is_not_made_again(
    app: App, watching: Watching, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads = []

    def fail(**_: Any) -> None:
        reads.append(1)
        raise psycopg.errors.QueryCanceled

    monkeypatch.setattr(watching.client, "get_video_status", fail)
    watching.begin(app.new_user(), uuid4(), None)
    with pytest.raises(psycopg.errors.QueryCanceled):
        watching.next()
    assert len(reads) == 1


# --- what a video costs ---------------------------------------------------------------------------


def test_calls_per_video(
    app: App,
    watching: Watching,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A video of five minutes, started after five seconds; every call is made, and counted."""

    def calls(url: str | None) -> int:
        user = app.new_user()
        job, provider_job = app.generate(user), f"fal-{uuid4()}"
        begins = (5.0, lambda: app.call("start_video_job", user, job, provider_job))
        ends = (300.0, lambda: complete(app, provider_job))
        before = watching.client.reads
        watching.time = FakeTime(plans=[] if url else [begins, ends])
        watching.begin(user, job, url)
        seen = [watching.next()]
        for _, happens in [begins, ends] if url else []:
            happens()
            seen.append(watching.next())
        assert [*seen, *watching.rest()] == ["pending", "processing", "completed"]
        return int(watching.client.reads - before)

    def asked_every(seconds: float) -> int:
        with monkeypatch.context() as patch:
            patch.setattr(watch.Course, "pause", lambda course, is_listening: seconds)
            return calls(None)

    found = {
        "asked every 2 seconds": asked_every(2),
        "asked every 4 seconds": asked_every(4),
        "asked after 2, 4, 8, 16, 30 ... seconds": calls(None),
        "told by NOTIFY": calls(app.url),
    }
    with capsys.disabled():
        print(f"\n{type(watching.client).__name__}: get_video_status per video of five minutes")
        for way, count in found.items():
            print(f"  {way:<42}{count:>5}")
    assert [*found.values()] == [151, 76, 14, 3]
