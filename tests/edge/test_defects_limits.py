"""Known defects in how much is let in: the plan's rate limiter, and no limit to what is at work."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from time import monotonic, sleep
from typing import Any
from uuid import NAMESPACE_URL, UUID, uuid4, uuid5

import httpx
import psycopg
import pytest
from client_processes import install_npm
from edge_server import MODEL, SERVICE, WAIT_SECONDS, as_user, running
from plan import edge as plan
from plan.edge import Call, ask_limiter
from servers import Cluster, Run

pytestmark = [pytest.mark.once, pytest.mark.shapeless, pytest.mark.thorough]

Connection = psycopg.Connection[Any]


@pytest.fixture
def plan_db(server: Cluster, template_db: str, new_name: Callable[[], str]) -> Iterator[str]:
    """After ours, so that it is rendio who finds a cluster without the API roles."""
    with plan.database(server, new_name()) as url:
        yield url


# --- the rate limiter -----------------------------------------------------------------------------

MINUTE = 60_000  # the plan's window, of ten calls, in milliseconds
MONTH = 30 * 24 * 60 * MINUTE


class TestDefect2_45_LimiterInMemory:
    """Each isolate counts for itself, from a window's start to its end, and forgets nobody."""

    # One call opens the window, nine come before its edge and ten right after it.
    AT_THE_EDGE = (
        Call(0, 0, "ada"),
        *[Call(0, MINUTE - 1, "ada")] * 9,
        *[Call(0, MINUTE + 1, "ada")] * 10,
    )
    EVERYWHERE = tuple(Call(isolate, 0, "ada") for isolate in (0, 1, 2) for _ in range(10))
    ONCE_EACH = (*(Call(0, n, f"user {n}") for n in range(300)), Call(0, MONTH, "ada"))

    def test_succeeds_on_the_plan(self) -> None:
        assert self.allowed_by_the_plan(self.AT_THE_EDGE)[1:] == [True] * 19
        assert self.allowed_by_the_plan(self.EVERYWHERE) == [True] * 30
        assert ask_limiter([*self.ONCE_EACH])[-1]["remembered"] == 301

    @staticmethod
    def allowed_by_the_plan(calls: tuple[Call, ...]) -> list[bool]:
        return [answer["allowed"] for answer in ask_limiter([*calls])]

    def test_refused_by_ours(self, db: str, connect: Callable[..., Connection]) -> None:
        """The same calls, an isolate being a connection."""
        owner = connect(db)
        owner.execute(
            "create or replace function rendio.clock() returns timestamptz language sql volatile"
            " parallel safe begin atomic select timestamptz '2030-01-15 08:00:00+00'"
            " + current_setting('story.at')::bigint * interval '1 millisecond'; end"
        )
        isolates = [connect(db, role="service_role") for _ in range(3)]

        def allowed(calls: tuple[Call, ...]) -> list[bool]:
            owner.execute("truncate public.rate_limits")
            return [self.allowed(isolates[call.isolate], call) for call in calls]

        assert allowed(self.AT_THE_EDGE) == [True] * 11 + [False] * 9
        assert allowed(self.EVERYWHERE) == [True] * 10 + [False] * 20
        assert all(allowed(self.ONCE_EACH))
        owner.execute("select set_config('story.at', %s, false)", [str(MONTH)])
        assert one(owner, "select rendio.cleanup_rate_limits()") == 300
        assert one(owner, "select count(*) from public.rate_limits") == 1
        crons = "select count(*) from rendio.migrations where path = 'cron/cleanup-rate-limits.sql'"
        assert one(owner, crons) == 1

    @staticmethod
    def allowed(conn: Connection, call: Call) -> bool:
        conn.execute("select set_config('story.at', %s, false)", [str(call.at)])
        user = uuid5(NAMESPACE_URL, call.user)
        answer = one(conn, "select public.check_rate_limit(%s, 'generate')", user)
        return bool(answer["allowed"])


def one(conn: Connection, query: str, *args: object) -> Any:
    row = conn.execute(query, args).fetchone()
    assert row
    return row[0]


# --- what is at work ------------------------------------------------------------------------------

CALLERS = 24


class TestDefect2_63_NoAdmissionControl:
    """Whoever asks is handed on to the database, however many are at work there already."""

    def test_succeeds_on_the_plan(
        self, plan_db: str, connect: Callable[..., Connection], run: Run
    ) -> None:
        """The function holds nobody back; what it calls has a connection for each here."""
        with run.exclusive("npm"):
            install_npm()
        observer = connect(plan_db)
        with (
            running(plan_db, pool_size=CALLERS, statement_seconds=patient()) as edge,
            plan.function("generate-video", edge.url) as http,
            ThreadPoolExecutor(CALLERS) as threads,
        ):
            with locked(plan_db):
                asked = [threads.submit(generate, http, "/", uuid4()) for _ in range(CALLERS)]
                until(lambda: at_work(observer) == CALLERS)
            assert {answer.result().status_code for answer in asked} == {500}, "no such users"

    def test_refused_by_ours(self, db: str, connect: Callable[..., Connection]) -> None:
        observer = connect(db)
        limits = {"pool_size": 2, "pool_queue": 4, "pool_seconds": 60}
        with (
            running(db, statement_seconds=patient(), **limits) as edge,
            ThreadPoolExecutor(CALLERS) as threads,
        ):
            users = [edge.new_user() for _ in range(CALLERS)]
            with locked(db):
                asked = [threads.submit(generate, edge.http, PLACE, user) for user in users]
                until(lambda: sum(answer.done() for answer in asked) >= CALLERS - 2 - 4)
                until(lambda: at_work(observer) == 2)
                refused = [answer.result() for answer in asked if answer.done()]
            told = {(a.status_code, a.headers["Retry-After"], a.json()["code"]) for a in refused}
            assert told == {(503, "1", "PGRST003")}
            answers = [answer.result().status_code for answer in asked]
            assert set(answers) == {200, 503}
            assert 2 <= answers.count(200) <= 2 + 4

    def test_nor_does_one_statement_last_for_ever(
        self, db: str, connect: Callable[..., Connection]
    ) -> None:
        observer = connect(db)
        seconds = patient(anon=0.1, authenticated=0.2)
        with running(db, statement_seconds=seconds) as edge, ThreadPoolExecutor(1) as threads:
            user = edge.new_user()
            with locked(db):
                waits = threads.submit(edge.rpc, "get_models", {}, SERVICE)
                until(lambda: at_work(observer) == 1)
                ended = [edge.rpc("get_models"), generate(edge.http, PLACE, user)]
                assert [answer.json()["code"] for answer in ended] == ["57014"] * 2
                assert at_work(observer) == 1
            assert waits.result().status_code == 200


PLACE = "/functions/v1/generate-video"


def patient(**seconds: float) -> dict[str, float]:
    """How long each role's statements may take: a minute, but for some."""
    return {"anon": 60, "authenticated": 60, "service_role": 60} | seconds


def generate(http: httpx.Client, place: str, user: UUID) -> httpx.Response:
    given = {"user_id": str(user), "model_id": MODEL, "prompt": "a cat", "settings": {}}
    headers = as_user(user) | {"Idempotency-Key": str(uuid4())}
    return http.post(place, json=given, headers=headers)


@contextmanager
def locked(url: str) -> Iterator[None]:
    """Let every call that needs the catalogue wait until the end of the block."""
    with psycopg.connect(url) as conn:
        conn.execute("lock table public.models in access exclusive mode")
        yield
        conn.rollback()


def at_work(conn: Connection) -> int:
    """Return how many of the database's connections have come to the lock."""
    query = (
        "select count(*) from pg_locks where relation = 'public.models'::regclass and not granted"
    )
    return int(one(conn, query))


def until(condition: Callable[[], bool]) -> None:
    ended = monotonic() + WAIT_SECONDS
    while not condition():
        assert monotonic() < ended, "it does not come to that"
        sleep(0.01)
