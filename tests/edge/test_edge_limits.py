"""How much is let in: rate limits, the queue for a connection, readiness."""

import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from time import monotonic, sleep
from typing import Any
from uuid import UUID, uuid4

import httpx
import psycopg
import pytest
from edge_server import MODEL, SERVICE, WAIT_SECONDS, Edge, as_user, running

pytestmark = [pytest.mark.once, pytest.mark.shapeless]

# Two requests of each kind for everybody, and none comes back while the tests run.
TWO = """
update public.rate_limit_rules set requests = 2, period = '1 day';
update public.app_settings set value = 'true' where key = 'rate_limits';
truncate public.rate_limits
"""


# --- rate limits ----------------------------------------------------------------------------------


@pytest.fixture
def limited(edge_db: str, start: Callable[..., Edge]) -> Iterator[tuple[Edge, Any]]:
    with psycopg.connect(edge_db, autocommit=True) as conn:
        conn.execute(TWO)
        yield start(), conn
        switch(conn, False)


def switch(conn: psycopg.Connection[Any], is_on: bool) -> None:
    conn.execute(
        "update public.app_settings set value = to_jsonb(%s) where key = 'rate_limits'", [is_on]
    )


def counted(conn: psycopg.Connection[Any], who: str) -> list[str]:
    query = "select endpoint from public.rate_limits where subject = %s order by endpoint"
    return [endpoint for (endpoint,) in conn.execute(query, [who])]


def test_a_user_is_stopped_at_the_limit(limited: tuple[Edge, Any]) -> None:
    edge, conn = limited
    user = edge.new_user()
    given = {"p_user_id": str(user)}
    answers = [edge.rpc("get_user_credits", given, as_user(user)) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert [answer.headers["RateLimit-Limit"] for answer in answers] == ["2"] * 3
    assert [answer.headers["RateLimit-Remaining"] for answer in answers] == ["1", "0", "0"]
    assert [int(answer.headers["RateLimit-Reset"]) // 3600 for answer in answers] == [12, 24, 24]
    assert int(answers[2].headers["Retry-After"]) // 3600 in (11, 12)
    told = answers[2].json()
    assert str(json.loads(told["details"])["retry_after"]) == answers[2].headers["Retry-After"]
    assert (told["code"], told["message"]) == ("PT429", "rate_limited")
    assert set(told) == {"code", "message", "details", "hint"}
    other = edge.new_user()
    assert edge.rpc("get_user_credits", {"p_user_id": str(other)}, as_user(other)).is_success
    assert counted(conn, f"user:{user}") == ["general"]


def test_generation_is_counted_by_itself_in_both_faces(limited: tuple[Edge, Any]) -> None:
    edge, conn = limited
    user = edge.new_user()
    bad = {"p_user_id": str(user), "p_model_id": MODEL, "p_prompt": "", "p_settings": {}}
    refused = edge.rpc(
        "generate_video_atomic", bad | {"p_idempotency_key": str(uuid4())}, as_user(user)
    )
    assert refused.json()["code"] == "PT400"
    assert counted(conn, f"user:{user}") == ["generate"], "what fails later counts too"
    given = {"model_id": MODEL, "prompt": "A fox"}
    answers = [
        edge.endpoint("generate-video", given, as_user(user) | {"Idempotency-Key": str(uuid4())})
        for _ in range(2)
    ]
    assert [answer.status_code for answer in answers] == [200, 429]
    told = answers[1].json()
    assert told["error"] == "rate_limited"
    assert str(told["retry_after"]) == answers[1].headers["Retry-After"]
    assert edge.http.get("/functions/v1/get-video-jobs", headers=as_user(user)).is_success


def test_the_nameless_are_counted_by_address_and_the_service_is_not(
    limited: tuple[Edge, Any],
) -> None:
    edge, conn = limited
    answers = [edge.http.get("/functions/v1/get-models") for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert counted(conn, "subject:address:127.0.0.1") == ["general"]
    served = [edge.rpc("get_models", {}, SERVICE) for _ in range(4)]
    assert {answer.status_code for answer in served} == {200}
    assert "RateLimit-Limit" not in served[0].headers


def test_a_proxy_is_believed_only_when_it_is_trusted(
    limited: tuple[Edge, Any], start: Callable[..., Edge]
) -> None:
    edge, conn = limited
    told = {"X-Forwarded-For": "203.0.113.7"}
    edge.http.get("/functions/v1/get-models", headers=told)
    assert counted(conn, "subject:address:203.0.113.7") == []
    start(trusted_proxies="127.0.0.1").http.get("/functions/v1/get-models", headers=told)
    assert counted(conn, "subject:address:203.0.113.7") == ["general"]


def test_addresses_of_one_network_are_counted_together(
    limited: tuple[Edge, Any], start: Callable[..., Edge]
) -> None:
    _, conn = limited
    edge = start(trusted_proxies="127.0.0.1")
    for host in ("2001:db8::1", "2001:DB8::2", "2001:0db8::ffff:0:0:3"):
        answer = edge.http.get("/functions/v1/get-models", headers={"X-Forwarded-For": host})
    assert answer.status_code == 429
    assert counted(conn, "subject:address:2001:db8::/64") == ["general"]


def test_what_is_refused_is_not_read(limited: tuple[Edge, Any]) -> None:
    edge, _ = limited
    for path in ("/rest/v1/rpc/get_models", "/functions/v1/get-models"):
        for _ in range(2):
            edge.http.get(path)
        assert edge.http.post("/rest/v1/rpc/get_models", content=b"{").status_code == 429
        assert edge.http.get("/rest/v1/rpc/get_models", params={"limit": 1}).status_code == 429
    user = as_user(edge.new_user())
    for _ in range(2):
        edge.http.post("/functions/v1/update-credits", content=b"{", headers=user)
    answer = edge.http.post("/functions/v1/update-credits", content=b"{", headers=user)
    assert answer.status_code == 429, "what is no JSON counts too"


def test_a_row_of_the_settings_switches_limits_off(limited: tuple[Edge, Any]) -> None:
    edge, conn = limited
    switch(conn, False)
    answers = [edge.http.get("/functions/v1/get-models") for _ in range(4)]
    assert {answer.status_code for answer in answers} == {200}
    assert not [name for name in answers[0].headers if name.startswith("ratelimit")]


def test_a_database_without_limits_has_none(edge: Edge, edge_db: str) -> None:
    assert edge.http.get("/functions/v1/get-models").is_success
    services = edge.server.config.app.state.services  # type: ignore[union-attr]
    services.calls.catalogue._functions.pop("check_rate_limit")
    assert edge.http.get("/functions/v1/get-models").is_success


# --- the pool -------------------------------------------------------------------------------------


@contextmanager
def blocked(url: str) -> Iterator[None]:
    """Let every reader of the catalogue wait until the end of the block."""
    with psycopg.connect(url) as conn:
        conn.execute("lock table public.catalog_version in access exclusive mode")
        yield
        conn.rollback()


def until(edge: Edge, condition: Callable[[dict[str, int]], bool]) -> None:
    """Wait until the server's pool is in a state."""
    pool = edge.server.config.app.state.services.database._pool  # type: ignore[union-attr]
    ended = monotonic() + WAIT_SECONDS
    while not condition(pool.get_stats()):
        assert monotonic() < ended, pool.get_stats()
        sleep(0.01)


def test_whoever_finds_the_queue_full_is_refused_at_once(
    start: Callable[..., Edge], edge_db: str
) -> None:
    patient = {"anon": 60, "authenticated": 60, "service_role": 60}
    edge = start(pool_size=1, pool_queue=1, pool_seconds=60, statement_seconds=patient)
    assert edge.http.get("/functions/v1/get-models").is_success

    def ask() -> httpx.Response:
        return httpx.get(f"{edge.url}/functions/v1/get-models", timeout=60)

    with ThreadPoolExecutor(2) as threads:
        with blocked(edge_db):
            served = threads.submit(ask)
            until(edge, lambda now: now["pool_available"] == 0)
            queued = threads.submit(ask)
            until(edge, lambda now: now.get("requests_waiting") == 1)
            refused = ask()
            assert edge.http.get("/healthz").json() == {"status": "ok"}
        assert (refused.status_code, refused.headers["Retry-After"]) == (503, "1")
        assert refused.json()["code"] == "PGRST003"
        assert (served.result().status_code, queued.result().status_code) == (200, 200)


def test_whoever_waits_too_long_is_refused(start: Callable[..., Edge], edge_db: str) -> None:
    patient = {"anon": 60, "authenticated": 60, "service_role": 60}
    edge = start(pool_size=1, pool_seconds=0.2, statement_seconds=patient)
    assert edge.http.get("/functions/v1/get-models").is_success
    with ThreadPoolExecutor(1) as threads:
        with blocked(edge_db):
            place = f"{edge.url}/functions/v1/get-models"
            served = threads.submit(lambda: httpx.get(place, timeout=60))
            until(edge, lambda now: now["pool_available"] == 0)
            refused = edge.http.get("/functions/v1/get-models")
        assert (refused.status_code, refused.json()["code"]) == (503, "PGRST003")
        assert refused.headers["Retry-After"] == "1"
        assert served.result().status_code == 200


def test_a_transaction_pooler_may_stand_between(
    pooled_url: Callable[[str], str], edge_db: str
) -> None:
    with running(pooled_url(edge_db), pool_size=4) as edge:
        users = [edge.new_user() for _ in range(4)]

        def ask(user: UUID) -> set[tuple[int, str]]:
            given = {"p_user_id": str(user), "p_job_id": str(uuid4())}
            answers = [edge.rpc("get_video_status", given, as_user(user)) for _ in range(10)]
            return {(answer.status_code, answer.json()["message"]) for answer in answers}

        with ThreadPoolExecutor(4) as threads:
            assert set.union(*threads.map(ask, users)) == {(404, "job_not_found")}


# --- health ---------------------------------------------------------------------------------------


def test_health(edge: Edge) -> None:
    assert edge.http.get("/healthz").json() == {"status": "ok"}
    assert edge.http.get("/readyz").json() == {"status": "ready"}


def test_a_database_without_rendio_is_not_ready(empty_db: str, start: Callable[..., Edge]) -> None:
    with running(empty_db) as edge:
        answer = edge.http.get("/readyz")
        assert (answer.status_code, answer.headers["Retry-After"]) == (503, "1")
        assert answer.json()["reason"] == "rendio is not applied to the database"
        assert edge.rpc("get_models").json()["code"] == "PGRST202"
