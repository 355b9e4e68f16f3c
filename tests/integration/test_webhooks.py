"""fal's webhooks, signed, received and handled: early, twice, late, out of order and at once."""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from fal_sender import ACCOUNT, BASE, SECRET, Request, Sender
from psycopg.conninfo import conninfo_to_dict
from psycopg.pq import TransactionStatus
from rendio import AsyncClient, Client, errors
from rendio.providers import fal
from rpc import COST, App
from servers import Cluster
from waiting import until

pytestmark = pytest.mark.shapeless

GRANT = 10
Handle = Callable[..., Any]
Receive = Callable[[Request, bytes], fal.Event]


@pytest.fixture(scope="module")
def sender() -> Sender:
    return Sender()


@pytest.fixture(scope="module")
def receive(sender: Sender) -> Receive:
    """Let fal sign a report, and receive it."""
    keys = fal.FalKeys(sender.fetch)

    def call(request: Request, body: bytes) -> fal.Event:
        return fal.receive(
            request.webhook_url,
            sender.headers(request, body),
            body,
            keys=keys,
            account=ACCOUNT,
            secrets=[SECRET],
        )

    return call


def handle_sync(url: str, event: fal.Event, **options: Any) -> Any:
    with Client(url) as client:
        return fal.handle(client, event, **options)


def handle_async(url: str, event: fal.Event, **options: Any) -> Any:
    async def run() -> Any:
        async with AsyncClient(url) as client:
            return await fal.handle_async(client, event, **options)

    return asyncio.run(run())


@pytest.fixture(params=[handle_sync, handle_async], ids=["sync", "async"])
def handle(request: pytest.FixtureRequest, module_db: str) -> Handle:
    """Handle an event on a connection of its own."""
    return lambda event, **options: request.param(module_db, event, **options)


@pytest.fixture
def user(app: App) -> UUID:
    return app.new_user(GRANT)


@pytest.fixture
def job(app: App, user: UUID) -> UUID:
    return app.generate(user)


def claim(app: App, job: UUID) -> int:
    """Claim what waits, the job among it, and return its attempt."""
    jobs = app.call("claim_video_jobs", "w1", 100)["jobs"]
    (attempt,) = [found["attempt"] for found in jobs if found["job_id"] == str(job)]
    return int(attempt)


def end_lease(app: App, job: UUID) -> None:
    changed = app.owner.execute(
        "update public.video_jobs set lease_expires_at = rendio.clock() where job_id = %s", [job]
    )
    assert changed.rowcount == 1


def video(request: Request) -> str:
    return f"https://v3.fal.media/{request.id}.mp4"


def completed(app: App, user: UUID, job: UUID) -> str:
    """Return the video of a job that was paid for once."""
    assert app.reasons(user, job) == ["video_generation"]
    assert app.credits(user) == GRANT - COST
    found = app.call("get_video_status", user, job)
    assert found["status"] == "completed"
    return str(found["video_url"])


def refunded(app: App, user: UUID, job: UUID) -> str | None:
    """Return the error of a job that was paid back once."""
    assert app.reasons(user, job) == ["video_generation", "generation_failed_refund"]
    assert app.credits(user) == GRANT
    assert app.status(user, job)[0] == "failed"
    return app.status(user, job)[1]


def outcome(app: App, request: Request) -> tuple[str, str | None, str | None]:
    """Return what was kept of a report that no longer decided its job."""
    query = (
        "select outcome, video_url, error_message from public.provider_jobs"
        " where provider_job_id = %s"
    )
    row = app.owner.execute(query, [request.id]).fetchone()
    assert row is not None
    return tuple(row)


def events(app: App, request: Request) -> list[str]:
    query = "select event_id from public.webhook_events where subject = %s order by event_id"
    return [event_id for (event_id,) in app.owner.execute(query, [request.id])]


# --- order, and the worker ------------------------------------------------------------------------


def test_after_the_start_was_recorded(
    app: App, sender: Sender, receive: Receive, handle: Handle, user: UUID, job: UUID
) -> None:
    request = sender.take(user, job, claim(app, job))
    app.call("start_video_job", user, job, request.id, 1)
    still = "https://v3.fal.media/still.jpg"
    payload = {"video": {"url": video(request)}, "thumbnail": {"url": still}}
    ended = handle(receive(request, request.ok(payload=payload)))
    assert (ended.job_id, ended.status, ended.replayed) == (job, "completed", False)
    assert completed(app, user, job) == video(request)
    assert app.call("get_video_status", user, job)["thumbnail_url"] == still
    assert events(app, request) == [f"{request.id}:OK"]


def test_before_the_start_was_recorded(
    app: App, sender: Sender, receive: Receive, handle: Handle, user: UUID, job: UUID
) -> None:
    """fal was faster than the worker, who then hears that its submission has ended."""
    request = sender.take(user, job, claim(app, job))
    assert handle(receive(request, request.ok())).replayed is False
    started = app.call("start_video_job", user, job, request.id, 1)
    assert (started["status"], started["current"]) == ("completed", False)
    assert completed(app, user, job) == video(request)


def test_an_error_before_the_start_was_recorded(
    app: App, sender: Sender, receive: Receive, handle: Handle, user: UUID, job: UUID
) -> None:
    request = sender.take(user, job, claim(app, job))
    assert handle(receive(request, request.error())).credits_refunded == COST
    assert refunded(app, user, job) == "provider_error"
    told = app.call("get_video_status", user, job)["error_message"]
    assert told == "Invalid status code: 422: field required"
    assert app.call("start_video_job", user, job, request.id, 1)["current"] is False
    assert refunded(app, user, job) == "provider_error"


def test_twice(
    app: App, sender: Sender, receive: Receive, handle: Handle, user: UUID, job: UUID
) -> None:
    request = sender.take(user, job)
    event = receive(request, request.ok())
    first, second = handle(event), handle(receive(request, request.ok()))
    assert (first.replayed, second.replayed) == (False, True)
    assert (first.credits_charged, second.credits_charged) == (COST, COST)
    assert completed(app, user, job) == video(request)
    assert events(app, request) == [event.event_id]


def test_an_error_twice_gives_back_once(
    app: App, sender: Sender, receive: Receive, handle: Handle, user: UUID, job: UUID
) -> None:
    request = sender.take(user, job)
    ends = [handle(receive(request, request.error())) for _ in range(2)]
    assert [(end.replayed, end.credits_refunded) for end in ends] == [(False, COST), (True, COST)]
    assert refunded(app, user, job) == "provider_error"


def test_a_part_of_the_price(
    app: App, sender: Sender, receive: Receive, handle: Handle, user: UUID, job: UUID
) -> None:
    request = sender.take(user, job)
    for _ in range(2):
        ended = handle(receive(request, request.ok()), credits_charged=1)
        assert (ended.credits_charged, ended.credits_refunded) == (1, COST - 1)
    assert app.reasons(user, job) == ["video_generation", "partial_refund"]
    assert app.credits(user) == GRANT - 1


def test_ok_then_error(
    app: App, sender: Sender, receive: Receive, handle: Handle, user: UUID, job: UUID
) -> None:
    """The second event has another id, and pays nothing back."""
    request = sender.take(user, job)
    handle(receive(request, request.ok()))
    assert handle(receive(request, request.error())).replayed is True
    assert completed(app, user, job) == video(request)
    assert events(app, request) == [f"{request.id}:ERROR", f"{request.id}:OK"]


def test_error_then_ok(
    app: App, sender: Sender, receive: Receive, handle: Handle, user: UUID, job: UUID
) -> None:
    """A success after the refund charges nothing; its video is kept."""
    request = sender.take(user, job)
    handle(receive(request, request.error()))
    assert handle(receive(request, request.ok())).replayed is True
    assert refunded(app, user, job) == "provider_error"
    assert outcome(app, request) == ("succeeded", video(request), None)


def test_an_error_of_an_old_attempt(
    app: App, sender: Sender, receive: Receive, handle: Handle, user: UUID, job: UUID
) -> None:
    """It fails nothing while a later attempt is on its way."""
    old = sender.take(user, job, claim(app, job))
    end_lease(app, job)
    new = sender.take(user, job, claim(app, job))
    handle(receive(old, old.error("flagged")))
    assert app.status(user, job)[0] == "pending"
    app.call("start_video_job", user, job, new.id, 2)
    handle(receive(old, old.error("flagged")))
    assert app.status(user, job)[0] == "processing"
    assert outcome(app, old) == ("failed", None, "flagged: field required")
    handle(receive(new, new.ok()))
    assert completed(app, user, job) == video(new)


def test_a_worker_dead_between_fal_s_answer_and_ours(
    app: App, sender: Sender, receive: Receive, handle: Handle, user: UUID, job: UUID
) -> None:
    """Nobody knew of the first request but fal, and its video is the one that is kept."""
    first = sender.take(user, job, claim(app, job))
    end_lease(app, job)
    second = sender.take(user, job, claim(app, job))
    assert app.call("start_video_job", user, job, second.id, 2)["current"] is True

    late = handle(receive(first, first.ok()))
    assert (late.status, late.credits_charged, late.replayed) == ("completed", COST, False)
    assert completed(app, user, job) == video(first)
    assert handle(receive(second, second.ok())).replayed is True
    assert completed(app, user, job) == video(first)
    assert outcome(app, second) == ("succeeded", video(second), None)
    assert handle(receive(second, second.error())).replayed is True
    assert completed(app, user, job) == video(first)


def test_an_ok_without_a_video_gives_back(
    app: App, sender: Sender, receive: Receive, handle: Handle, user: UUID, job: UUID
) -> None:
    request = sender.take(user, job)
    handle(receive(request, request.ok(payload=None, payload_error="not JSON \0")))
    assert refunded(app, user, job) == "provider_error"
    assert app.call("get_video_status", user, job)["error_message"] == "not JSON"


# --- what is not let in ---------------------------------------------------------------------------


def test_a_genuine_report_aimed_at_another_s_job_never_gets_here(
    app: App, sender: Sender, receive: Receive, user: UUID, job: UUID
) -> None:
    """Without our secret the URL cannot be made; with it, a request still has one job for ever."""
    aimed = fal.webhook_url(BASE, user, job, 1, secret=bytes(32))
    with pytest.raises(fal.InvalidSignature):
        receive(Request(aimed), Request(aimed).ok())
    assert app.status(user, job) == ("pending", None)


def test_a_request_has_one_job(
    app: App, sender: Sender, receive: Receive, handle: Handle, user: UUID, job: UUID
) -> None:
    request = sender.take(user, job)
    handle(receive(request, request.ok()))
    other = app.new_user(GRANT)
    aimed = Request(sender.take(other, app.generate(other)).webhook_url, request.id)
    with pytest.raises(errors.InvalidTransition):
        handle(receive(aimed, aimed.ok()))
    assert app.credits(other) == GRANT - COST
    assert completed(app, user, job) == video(request)


def test_a_job_that_does_not_exist(
    app: App, sender: Sender, receive: Receive, handle: Handle, user: UUID
) -> None:
    request = sender.take(user, uuid4())
    with pytest.raises(errors.JobNotFound):
        handle(receive(request, request.ok()))
    assert app.credits(user) == GRANT


# --- one transaction ------------------------------------------------------------------------------


def test_the_start_is_undone_with_the_end(
    app: App, sender: Sender, receive: Receive, handle: Handle, user: UUID, job: UUID
) -> None:
    request = sender.take(user, job)
    with pytest.raises(errors.InvalidArgument):
        handle(receive(request, request.ok()), credits_charged=COST + 1)
    assert app.status(user, job) == ("pending", None)
    assert app.value("select count(*) from public.provider_jobs where job_id = %s", job) == 0


@pytest.mark.parametrize("commits", [True, False])
def test_within_the_caller_s_transaction_the_caller_decides(
    app: App, sender: Sender, receive: Receive, user: UUID, job: UUID, commits: bool
) -> None:
    request = sender.take(user, job)
    event = receive(request, request.ok())
    with psycopg.connect(app.url) as conn:
        conn.execute("select 1")
        fal.handle(Client(conn), event)
        assert app.status(user, job) == ("pending", None)
        conn.commit() if commits else conn.rollback()
    assert app.status(user, job) == ("completed" if commits else "pending", None)


async def _within(url: str, event: fal.Event, commits: bool) -> None:
    async with await psycopg.AsyncConnection.connect(url) as conn:
        await conn.execute("select 1")
        await fal.handle_async(AsyncClient(conn), event)
        await (conn.commit() if commits else conn.rollback())


@pytest.mark.parametrize("commits", [True, False])
def test_within_the_caller_s_transaction_async(
    app: App, sender: Sender, receive: Receive, user: UUID, job: UUID, commits: bool
) -> None:
    request = sender.take(user, job)
    asyncio.run(_within(app.url, receive(request, request.ok()), commits))
    assert app.status(user, job) == ("completed" if commits else "pending", None)


def test_a_refusal_within_the_caller_s_transaction(
    app: App, sender: Sender, receive: Receive, user: UUID, job: UUID
) -> None:
    """It has no savepoint: what writes in one costs the caller a transaction id of its own."""
    request = sender.take(user, job)
    event = receive(request, request.ok())

    async def refused() -> TransactionStatus:
        async with await psycopg.AsyncConnection.connect(app.url) as conn:
            await conn.execute("select 1")
            with pytest.raises(errors.InvalidArgument):
                await fal.handle_async(AsyncClient(conn), event, credits_charged=COST + 1)
            return conn.info.transaction_status

    with psycopg.connect(app.url) as conn:
        conn.execute("select 1")
        with pytest.raises(errors.InvalidArgument):
            fal.handle(Client(conn), event, credits_charged=COST + 1)
        assert conn.info.transaction_status == TransactionStatus.INERROR
    assert asyncio.run(refused()) == TransactionStatus.INERROR


# --- at the same moment ---------------------------------------------------------------------------


def at_once(app: App, handle: Handle, job: UUID, received: Sequence[fal.Event]) -> list[Any]:
    """Handle events, each on a connection of its own, all of which wait behind the job's row."""
    with ThreadPoolExecutor(len(received)) as threads, psycopg.connect(app.url) as referee:
        referee.execute("set local role rendio_owner")
        referee.execute("select from public.video_jobs where job_id = %s for no key update", [job])
        running = [threads.submit(handle, event) for event in received]
        until(lambda: waiting(app) == len(received) or any(done.done() for done in running))
        assert not any(done.done() for done in running), "no race: a webhook did not wait"
        referee.rollback()
        return [done.result() for done in running]


def waiting(app: App) -> int:
    """Return how many sessions of the database wait for a lock."""
    return int(
        app.value(
            "select count(distinct pid) from pg_locks join pg_stat_activity using (pid)"
            " where not granted and datname = current_database()"
        )
    )


@pytest.mark.parametrize("is_started", [True, False])
def test_the_same_report_on_two_connections(
    app: App,
    sender: Sender,
    receive: Receive,
    handle: Handle,
    user: UUID,
    job: UUID,
    is_started: bool,
) -> None:
    request = sender.take(user, job)
    if is_started:
        app.call("start_video_job", user, job, request.id, 1)
    event = receive(request, request.ok())
    ends = at_once(app, handle, job, [event, event])
    assert sorted(end.replayed for end in ends) == [False, True]
    assert completed(app, user, job) == video(request)
    assert events(app, request) == [event.event_id]


def test_ok_and_error_of_one_request_at_once(
    app: App, sender: Sender, receive: Receive, handle: Handle, user: UUID, job: UUID
) -> None:
    """Whichever is first ends the job, and only it moves credits."""
    request = sender.take(user, job)
    both = [receive(request, request.ok()), receive(request, request.error())]
    ends = at_once(app, handle, job, both)
    assert sorted(end.replayed for end in ends) == [False, True]
    if ends[0].replayed:
        assert refunded(app, user, job) == "provider_error"
    else:
        assert completed(app, user, job) == video(request)


def test_two_attempts_succeed_at_once(
    app: App, sender: Sender, receive: Receive, handle: Handle, user: UUID, job: UUID
) -> None:
    first = sender.take(user, job, claim(app, job))
    end_lease(app, job)
    second = sender.take(user, job, claim(app, job))
    both = {request: receive(request, request.ok()) for request in (first, second)}
    ends = dict(zip(both, at_once(app, handle, job, list(both.values())), strict=True))
    (kept,) = [request for request, end in ends.items() if not end.replayed]
    (other,) = set(both) - {kept}
    assert completed(app, user, job) == video(kept)
    assert outcome(app, other) == ("succeeded", video(other), None)


@pytest.mark.once
def test_a_deadlock_with_a_poller_is_repeated(
    server: Cluster,
    app: App,
    sender: Sender,
    receive: Receive,
    handle: Handle,
    user: UUID,
    job: UUID,
) -> None:
    """Who ends the same job without its start takes the two locks the other way round."""
    request = sender.take(user, job)
    app.call("start_video_job", user, job, request.id, 1)
    event = receive(request, request.ok())
    dbname = conninfo_to_dict(app.url)["dbname"]
    with ThreadPoolExecutor(1) as threads, server.admin(dbname) as poller:
        poller.execute("set deadlock_timeout = '5min'")  # so that the webhook is the one to go
        with poller.transaction():
            lock = "select from public.{} where {} = %s for no key update"
            poller.execute(lock.format("provider_jobs", "provider_job_id"), [request.id])
            running = threads.submit(handle, event)
            until(lambda: waiting(app) == 1 or running.done())
            poller.execute(lock.format("video_jobs", "job_id"), [job])
        ended = running.result()
    assert (ended.status, ended.replayed) == ("completed", False)
    assert completed(app, user, job) == video(request)
