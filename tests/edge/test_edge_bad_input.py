"""What nobody should send, and a database that is not there: the right answer, and no more."""

import json
import logging
import socket
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from threading import Event
from time import sleep
from typing import Any
from uuid import uuid4

import httpx
import jwt
import psycopg
import pytest
from edge_server import COST, MODEL, SERVICE, Edge, as_user, bearer, running, token, until
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict
from rendio.edge import pool
from rendio.edge.logs import JsonLines
from servers import Cluster, Run
from silent_wire import silent_wire

pytestmark = [pytest.mark.once, pytest.mark.shapeless]

RPC = "/rest/v1/rpc/get_user_credits"
ENDPOINT = "/functions/v1/generate-video"
FIELDS = {"code", "message", "details", "hint"}
LONG = """
create or replace function public.edge_long(p_size integer) returns text language sql immutable
begin atomic
    select repeat('a', p_size);
end;
grant execute on function public.edge_long(integer) to anon
"""
LEAKS = ("Traceback", "psycopg", "site-packages", ".py", "postgresql://")


def checked(answer: Any) -> Any:
    """Return an error's body once it is sure that it has the form, and tells nothing else."""
    body = answer.json()
    assert FIELDS <= set(body) <= FIELDS | {"error", "retry_after"}
    assert not [leak for leak in LEAKS if leak in answer.text]
    assert answer.headers["X-Request-Id"]
    return body


# --- tokens ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", [RPC, ENDPOINT, "/functions/v1/update-credits", "/rest/v1/users"])
def test_a_bad_token_is_refused_before_the_rest_is_read(edge: Edge, path: str) -> None:
    forged = [
        token("service_role", exp=1),
        token("service_role", secret="another project's secret, as long as ours"),
        jwt.encode({"role": "service_role", "exp": 9_999_999_999}, None, "none"),
        token("postgres"),
        "",
        "a.b",
    ]
    for text in forged:
        sent = bearer(text) if text else {"Authorization": "Bearer"}
        answer = edge.http.post(path, content=b"no JSON", headers=sent)
        assert answer.status_code == 401
        assert checked(answer)["code"] in ("PGRST301", "PGRST303")
        assert answer.headers["WWW-Authenticate"].startswith("Bearer")


# --- bodies ---------------------------------------------------------------------------------------


def talk(edge: Edge, *parts: bytes) -> bytes:
    """Send parts of a request, and return all that comes until the server hangs up."""
    received = b""
    with socket.create_connection(("127.0.0.1", edge.port), timeout=20) as connection:
        try:
            for part in parts:
                connection.sendall(part)
            while more := connection.recv(65536):
                received += more
        except (BrokenPipeError, ConnectionResetError):
            pass  # it hung up while we were still talking
    return received


def head(path: str, *lines: str) -> bytes:
    return "\r\n".join([f"POST {path} HTTP/1.1", "Host: x", *lines, "", ""]).encode()


@pytest.mark.parametrize("path", [RPC, ENDPOINT])
def test_a_body_of_50_mb(edge: Edge, path: str) -> None:
    size = 50 * 1024 * 1024
    authorization = f"Authorization: {SERVICE['Authorization']}"
    declared = talk(edge, head(path, authorization, f"Content-Length: {size}"))
    assert declared.startswith(b"HTTP/1.1 413 ")
    assert b"payload_too_large" in declared
    assert b"connection: close" in declared.lower()
    chunk = b"100000\r\n" + b" " * 0x100000 + b"\r\n"
    told = head(path, authorization, "Transfer-Encoding: chunked", "Expect: 100-continue")
    streamed = talk(edge, told, chunk, chunk)
    assert b"HTTP/1.1 413 " in streamed or streamed == b""
    assert edge.http.get("/healthz").is_success


def test_a_body_is_small_unless_it_is_told_otherwise(
    edge: Edge, start: Callable[..., Edge]
) -> None:
    """Whoever is at work on a body keeps all others waiting."""
    body = b'{"p_user_id": [' + b"[]," * 50_000 + b"1]}"
    for path in (RPC, ENDPOINT):
        answer = edge.http.post(path, content=body, headers=SERVICE)
        assert (answer.status_code, checked(answer)["message"]) == (413, "payload_too_large")
        assert json.loads(answer.json()["details"])["limit"] == 128 * 1024
    patient = start(body_limit=1024 * 1024)
    assert patient.http.post(RPC, content=body, headers=SERVICE).status_code == 400


def test_json_that_is_none(edge: Edge) -> None:
    deep = b'{"p_settings": ' + b"[" * 60_000 + b"]" * 60_000 + b"}"
    for body in (
        b"{",
        b"\xff\xfe",
        b"\xef\xbb\xbf{}",
        b'{"a": NaN}',
        b'{"a": 1}{}',
        deep,
        b'{"a": ' + b"9" * 5000 + b"}",
        b"\x00",
    ):
        for path in (RPC, ENDPOINT):
            answer = edge.http.post(path, content=body, headers=SERVICE)
            assert (answer.status_code, checked(answer)["code"]) == (400, "PGRST102")


def test_json_that_is_no_object(edge: Edge) -> None:
    for body in (b"1", b'"a"', b"null", b"[1]", b"[[]]", b"true"):
        answer = edge.http.post(RPC, content=body, headers=SERVICE)
        assert (answer.status_code, checked(answer)["code"]) == (404, "PGRST202")
        answer = edge.http.post(ENDPOINT, content=body, headers=SERVICE)
        assert (answer.status_code, checked(answer)["code"]) == (400, "PGRST102")


def test_settings_that_are_deep_or_odd(edge: Edge) -> None:
    user = edge.new_user()
    given = {"p_user_id": str(user), "p_model_id": MODEL, "p_prompt": "A fox"}
    given["p_idempotency_key"] = str(uuid4())
    for settings in (
        "[" * 900 + "]" * 900,
        '{"a": "\\u0000"}',
        '{"a": "\\ud800"}',
        '"a"',
        "1e999999",
    ):
        body = json.dumps(given)[:-1] + f', "p_settings": {settings}}}'
        answer = edge.http.post(
            "/rest/v1/rpc/generate_video_atomic", content=body, headers=as_user(user)
        )
        assert answer.status_code == 400
        checked(answer)
    left = edge.rpc("get_user_credits", {"p_user_id": str(user)}, SERVICE).json()
    assert left["credits_remaining"] == 10


def test_a_key_given_twice_is_one(edge: Edge) -> None:
    """Whoever reads first must not see another value than whoever acts."""
    mine, other = edge.new_user(), edge.new_user()
    body = f'{{"p_user_id": "{mine}", "p_user_id": "{other}"}}'
    answer = edge.http.post(RPC, content=body, headers=as_user(mine))
    assert (answer.status_code, checked(answer)["message"]) == (403, "not_your_account")


def test_other_kinds_of_content(edge: Edge) -> None:
    for kind in (
        "text/csv",
        "text/plain",
        "multipart/form-data; boundary=x",
        "image/png",
        "x" * 500,
    ):
        for path in (RPC, ENDPOINT):
            headers = SERVICE | {"Content-Type": kind}
            answer = edge.http.post(path, content=b"{}", headers=headers)
            assert (answer.status_code, checked(answer)["code"]) == (400, "PGRST102")


def test_unknown_arguments(edge: Edge) -> None:
    user = edge.new_user()
    given = {"p_user_id": str(user), "p_user": "x"}
    answer = edge.rpc("get_user_credits", given, as_user(user))
    assert (answer.status_code, checked(answer)["code"]) == (404, "PGRST202")
    given = {"model_id": MODEL, "prompt": "A fox", "setings": {}}
    answer = edge.endpoint("generate-video", given, as_user(user))
    assert (answer.status_code, checked(answer)["message"]) == (400, "invalid_argument")
    assert json.loads(answer.json()["details"])["argument"] == "setings"


def test_names_that_are_no_text(edge: Edge) -> None:
    """Half of a surrogate pair: JSON can name it, UTF-8 cannot."""
    for body in (b'{"\\ud800": 1}', b'[{"\\udfff": 1}]'):
        answer = edge.http.post(RPC, content=body, headers=SERVICE)
        assert (answer.status_code, checked(answer)["code"]) == (404, "PGRST202")
        assert "\\ud" in answer.text
        answer = edge.http.post("/functions/v1/get-video-jobs", content=body, headers=SERVICE)
        assert answer.status_code == 400
        checked(answer)


def test_an_answer_repeats_little_of_what_was_sent(edge: Edge) -> None:
    for names in (["a" * 100_000], [f"a{number}" for number in range(10_000)]):
        answer = edge.rpc("get_models", dict.fromkeys(names, 1))
        assert (answer.status_code, checked(answer)["code"]) == (404, "PGRST202")
        assert len(answer.content) < 2000
    assert len(edge.rpc("a" * 60_000).content) < 2000


def test_names_that_are_no_functions(edge: Edge) -> None:
    for name in ("%00", "a%22b", "é", "a" * 5000, "..%2Fhealthz", "%ff"):
        answer = edge.http.post(f"/rest/v1/rpc/{name}", json={}, headers=SERVICE)
        assert answer.status_code == 404
        checked(answer)


def test_what_is_no_http(edge: Edge) -> None:
    for text in (b"nonsense\r\n\r\n", b"\x16\x03\x01\x02\x00", b"GET / HTTP/9\r\n\r\n"):
        assert b"400" in talk(edge, text).partition(b"\r\n")[0]
    long = talk(edge, head(RPC, "X-Long: " + "a" * 200_000))
    assert long.startswith(b"HTTP/1.1 4") or long == b""
    assert edge.http.get("/healthz").is_success


# --- slow clients ---------------------------------------------------------------------------------


def test_slow_clients_are_sent_away(start: Callable[..., Edge]) -> None:
    edge = start(header_seconds=0.3, body_seconds=0.3)
    assert talk(edge) == b""  # who says nothing
    assert talk(edge, b"POST /rest/v1/rpc/x HTTP/1.1\r\nHost:") == b""
    with socket.create_connection(("127.0.0.1", edge.port), timeout=20) as kept:
        kept.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        assert kept.recv(65536).startswith(b"HTTP/1.1 200 ")
        kept.sendall(b"GET /hea")
        while kept.recv(65536):
            pass
    authorization = f"Authorization: {SERVICE['Authorization']}"
    for lines in (["Content-Length: 100"], ["Transfer-Encoding: chunked"]):
        late = talk(edge, head(RPC, authorization, *lines))
        assert late.startswith(b"HTTP/1.1 408 ")
        assert b"PGRST102" in late
    assert edge.http.get("/healthz").is_success


@contextmanager
def deaf(edge: Edge) -> Iterator[socket.socket]:
    """Yield a connection that takes next to nothing of what it is sent, at both ends."""
    listener = edge.server.servers[0].sockets[0]
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1)  # each connection's, from now on
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
        connection.connect(("127.0.0.1", edge.port))
        yield connection


@pytest.mark.parametrize("size", [40_000, 4_000_000])
def test_who_takes_no_answer_is_sent_away(
    start: Callable[..., Edge], edge_db: str, size: int
) -> None:
    """Whether or not the server had to wait before it had handed over all of the answer."""
    with psycopg.connect(edge_db, autocommit=True) as conn:
        conn.execute(LONG)
    edge = start(answer_seconds=0.3)
    path, state = f"/rest/v1/rpc/edge_long?p_size={size}", edge.server.server_state
    with httpx.Client() as patient:
        assert len(patient.get(f"{edge.url}{path}").content) > size
    with deaf(edge) as connection:
        connection.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        until(lambda: state.total_requests == 2)
        until(lambda: not state.connections and not state.tasks)


# --- a database that is not there -----------------------------------------------------------------


@pytest.fixture
def gone(server: Cluster, edge_db: str) -> Iterator[Callable[[bool], None]]:
    """Take the module's database away, and bring it back."""
    name = str(conninfo_to_dict(edge_db)["dbname"])

    def make(is_gone: bool) -> None:
        with server.admin() as admin:
            admin.execute(
                sql.SQL("alter database {} with allow_connections {}").format(
                    sql.Identifier(name), sql.Literal(not is_gone)
                )
            )
            if is_gone:
                admin.execute(
                    "select pg_terminate_backend(pid, 10000) from pg_stat_activity "
                    "where datname = %s",
                    [name],
                )

    yield make
    make(False)


@pytest.mark.parametrize("seconds", [0.5, pytest.param(10, marks=pytest.mark.thorough)])
def test_the_database_goes_and_comes_back_in_the_middle_of_traffic(
    seconds: float, start: Callable[..., Edge], gone: Callable[[bool], None]
) -> None:
    edge = start(pool_seconds=0.3, pool_queue=5)
    user = edge.new_user()
    more = {"p_user_id": str(user), "p_amount": 100_000, "p_reason": "promo_grant"}
    assert edge.rpc("add_credits", more | {"p_idempotency_key": str(uuid4())}, SERVICE).is_success
    given = {"model_id": MODEL, "prompt": "A fox"}
    stop, sent = Event(), list[str]()

    def generate(key: str) -> Any:
        return edge.endpoint("generate-video", given, as_user(user) | {"Idempotency-Key": key})

    def traffic() -> set[int]:
        found = set()
        while not stop.is_set():
            sent.append(key := str(uuid4()))
            answer = generate(key)
            if answer.status_code != 200:
                assert checked(answer)["code"] in ("PGRST001", "PGRST003", "57P01")
                assert answer.headers["Retry-After"] == "1"
                sleep(0.1)
            found.add(answer.status_code)
        return found

    with ThreadPoolExecutor(4) as threads:
        clients = [threads.submit(traffic) for _ in range(4)]
        try:
            sleep(0.3)
            gone(True)
            sleep(seconds)
            assert edge.http.get("/healthz").is_success
            assert edge.http.get("/readyz").status_code == 503
            gone(False)
            until_ready(edge)
            sleep(0.3)
        finally:
            stop.set()
        assert set.union(*(client.result() for client in clients)) == {200, 503}
    # Whoever was told 503 does not know what became of it; the same key tells.
    assert {generate(key).status_code for key in sent} == {200}
    left = edge.rpc("get_user_credits", {"p_user_id": str(user)}, SERVICE).json()
    assert left["credits_remaining"] == 100_010 - COST * len(sent)


def test_connections_that_died_idle_are_not_noticed(
    start: Callable[..., Edge], gone: Callable[[bool], None]
) -> None:
    edge = start()
    user = edge.new_user()
    gone(True)
    gone(False)
    assert edge.rpc("get_user_credits", {"p_user_id": str(user)}, as_user(user)).is_success


def until_ready(edge: Edge) -> None:
    for _ in range(100):
        if edge.http.get("/readyz").is_success:
            return
    pytest.fail("the server did not come back")


def test_a_database_that_falls_silent_is_hung_up_on(
    edge_db: str, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool, "PATIENCE_SECONDS", 0.1)
    monkeypatch.setattr(pool, "CHECK_SECONDS", 0.1)
    short = {"anon": 0.1, "authenticated": 0.1, "service_role": 0.1}
    with (
        silent_wire(edge_db, run.folder / "w") as (url, is_silent),
        running(url, statement_seconds=short, pool_size=2, pool_seconds=0.3) as edge,
    ):
        assert edge.http.get("/functions/v1/get-models").is_success
        is_silent.set()
        for _ in range(3):
            answer = edge.http.get("/functions/v1/get-models")
            assert answer.status_code == 503
            assert checked(answer)["code"] in ("PGRST001", "PGRST003")
        assert edge.http.get("/healthz").is_success
        is_silent.clear()
        until_ready(edge)
        assert edge.http.get("/functions/v1/get-models").is_success


# --- what is logged -------------------------------------------------------------------------------


def test_the_log_tells_nothing_that_it_should_not(
    edge: Edge, edge_db: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "rendio.edge")
    user, prompt = edge.new_user(), "a prompt that is nobody's business"
    headers = as_user(user) | {"Idempotency-Key": str(uuid4()), "apikey": token("anon")}
    edge.endpoint("generate-video", {"model_id": MODEL, "prompt": prompt}, headers)
    edge.rpc("get_user_credits", {"p_user_id": prompt}, headers)
    edge.http.get(RPC, params={"p_user_id": str(user)}, headers=headers)
    lines = [JsonLines().format(record) for record in caplog.records]
    told = "\n".join(lines)
    assert len([line for line in lines if json.loads(line)["event"] == "request"]) >= 3
    one = json.loads(next(line for line in lines if "generate-video" in line))
    assert (one["status"], one["role"], len(one["user"])) == (200, "authenticated", 12)
    for secret in (prompt, str(user), headers["Authorization"][7:], headers["apikey"]):
        assert secret not in told


def test_a_defect_of_ours_is_told_to_the_log_alone(
    edge: Edge, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    services = edge.server.config.app.state.services  # type: ignore[union-attr]

    async def broken(*_: object, **__: object) -> None:
        raise RuntimeError("hunter2")

    monkeypatch.setattr(services.calls.catalogue, "find", broken)
    answer = edge.rpc("get_models")
    assert (answer.status_code, checked(answer)["code"]) == (500, "PGRSTX00")
    told = [JsonLines().format(record) for record in caplog.records if record.exc_info]
    failed = json.loads(told[-1])
    assert (failed["exception"], failed["request_id"]) == (
        "RuntimeError",
        answer.headers["X-Request-Id"],
    )
    assert failed["places"]
    assert "hunter2" not in "".join(told) + answer.text


def test_a_retry_after_all_that_costs_once(edge: Edge, owner: psycopg.Connection[Any]) -> None:
    user = edge.new_user()
    headers = as_user(user) | {"Idempotency-Key": str(uuid4())}
    given = {"model_id": MODEL, "prompt": "A fox"}
    for _ in range(5):
        edge.endpoint("generate-video", given, headers)
    row = owner.execute(
        "select credits_remaining from public.users where id = %s", [user]
    ).fetchone()
    assert row == (10 - COST,)
