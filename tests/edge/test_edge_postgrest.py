"""The PostgREST face: what goes in and out as PostgREST does it."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from edge_server import SERVICE, Edge, as_user, bearer, token

pytestmark = [pytest.mark.once, pytest.mark.shapeless]

OBJECT = {"Accept": "application/vnd.pgrst.object+json"}


@pytest.fixture(scope="module", autouse=True)
def functions(edge_db: str) -> None:
    with psycopg.connect(edge_db, autocommit=True) as conn:
        conn.execute((Path(__file__).parent / "functions.sql").read_text())
        granted = conn.execute(
            "select format('grant execute on function %s to anon, authenticated, service_role', "
            "oid::regprocedure) from pg_proc where prokind = 'f' and proname like 'edge\\_%' "
            "and pronamespace = 'public'::regnamespace"
        ).fetchall()
        for (statement,) in granted:
            conn.execute(statement)


def code(answer: Any) -> tuple[int, str]:
    assert set(answer.json()) == {"code", "message", "details", "hint"}
    return answer.status_code, answer.json()["code"]


def written(owner: psycopg.Connection[Any]) -> int:
    with psycopg.connect(owner.info.dsn) as conn:
        row = conn.execute("select count(*) from public.edge_calls").fetchone()
    assert row
    return int(row[0])


# --- answers --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "given", "body"),
    [
        ("edge_text", {"p_text": "ä", "p_times": 2}, '"ää"'),
        ("edge_text", {"p_text": "a"}, '"a"'),
        ("edge_null", {}, "null"),
        ("edge_number", {}, "1234567890123456789.01234567890123456789"),
        ("edge_numbers", {"p_rows": 2}, "[1,2]"),
        ("edge_numbers", {"p_rows": 0}, "[]"),
        ("edge_set", {"p_rows": 1}, '[{"n":1,"word":"zwölf"}]'),
        ("edge_row", {}, '{"key":"a","value":{"b":1},"description":"c"}'),
    ],
)
def test_an_answer_is_json(edge: Edge, name: str, given: dict[str, Any], body: str) -> None:
    answer = edge.rpc(name, given)
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "application/json; charset=utf-8"
    assert "".join(answer.text.split()) == body


def test_void_has_no_content(edge: Edge) -> None:
    answer = edge.rpc("edge_void")
    assert (answer.status_code, answer.content) == (204, b"")
    assert "Content-Type" not in answer.headers
    assert edge.rpc("edge_void", headers=OBJECT).status_code == 204


def test_one_row_can_be_asked_for(edge: Edge, owner: psycopg.Connection[Any]) -> None:
    one = edge.rpc("edge_set", {"p_rows": 1}, OBJECT)
    assert one.json() == {"n": 1, "word": "zwölf"}
    assert one.headers["Content-Type"] == "application/vnd.pgrst.object+json; charset=utf-8"
    assert edge.rpc("edge_text", {"p_text": "a"}, OBJECT).json() == "a"
    short = edge.rpc("edge_set", {"p_rows": 1}, {"Accept": OBJECT["Accept"].removesuffix("+json")})
    assert (short.text, short.headers["Content-Type"]) == (one.text, one.headers["Content-Type"])
    before = written(owner)
    for rows in (0, 2):
        other = edge.rpc("edge_set", {"p_rows": rows}, OBJECT)
        assert code(other) == (406, "PGRST116")
        assert other.json()["details"] == f"The result contains {rows} rows"
    assert written(owner) == before


def test_a_count_can_be_asked_for(edge: Edge) -> None:
    answer = edge.rpc("edge_numbers", {"p_rows": 3}, {"Prefer": "count=exact"})
    assert answer.headers["Content-Range"] == "0-2/3"
    assert edge.rpc("edge_numbers", {"p_rows": 3}).headers["Content-Range"] == "0-2/*"
    assert edge.rpc("edge_numbers", {"p_rows": 0}).headers["Content-Range"] == "*/*"


def test_a_function_sets_status_and_headers(edge: Edge) -> None:
    headers = '[{"Set-Cookie": "a"}, {"Set-Cookie": "b"}, {"Content-Type": "text/x"}]'
    answer = edge.rpc("edge_respond", {"p_status": "418", "p_headers": headers})
    assert (answer.status_code, answer.json()) == (418, {"a": 1})
    assert answer.headers.get_list("set-cookie") == ["a", "b"]
    assert answer.headers["Content-Type"] == "text/x"
    later = [edge.rpc("edge_text", {"p_text": "a"}) for _ in range(5)]
    assert {(a.status_code, a.headers.get("set-cookie")) for a in later} == {(200, None)}


def test_a_function_does_not_frame_the_answer(edge: Edge) -> None:
    headers = '[{"Content-Length": "1"}, {"Transfer-Encoding": "chunked"}, {"A": "b"}]'
    answer = edge.rpc("edge_respond", {"p_status": "200", "p_headers": headers})
    assert (answer.json(), answer.headers["A"]) == ({"a": 1}, "b")
    assert "Transfer-Encoding" not in answer.headers


def test_not_modified_has_no_content(edge: Edge) -> None:
    answer = edge.rpc("edge_respond", {"p_status": "304", "p_headers": '[{"ETag": "\\"x\\""}]'})
    assert (answer.status_code, answer.content) == (304, b"")
    assert answer.headers["ETag"] == '"x"'
    assert "Content-Type" not in answer.headers


@pytest.mark.parametrize(
    ("status", "headers", "expected"),
    [
        ("abc", "[]", "PGRST112"),
        ("99", "[]", "PGRST112"),
        ("200", '{"A": "b"}', "PGRST111"),
        ("200", '[{"A": "b", "C": "d"}]', "PGRST111"),
        ("200", '[{"A": 1}]', "PGRST111"),
        ("200", '[{"A": "b\\r\\nSet-Cookie: c"}]', "PGRST111"),
        ("200", "nonsense", "PGRST111"),
    ],
)
def test_what_cannot_be_sent_is_an_error(
    edge: Edge, status: str, headers: str, expected: str
) -> None:
    answer = edge.rpc("edge_respond", {"p_status": status, "p_headers": headers})
    assert code(answer) == (500, expected)


# --- requests -------------------------------------------------------------------------------------


def test_arguments_become_their_types(edge: Edge) -> None:
    given = {"p_day": "2026-03-01", "p_tags": ["a", 'b"c'], "p_facts": {"x": [1]}, "p_flag": False}
    expected = {"day": "2026-03-01", "tags": ["a", 'b"c'], "facts": {"x": [1]}, "flag": False}
    assert edge.rpc("edge_kinds", given).json() == expected
    asked = edge.http.get(
        "/rest/v1/rpc/edge_kinds",
        params=[
            ("p_day", "1999-01-01"),
            ("p_day", "2026-03-01"),
            ("p_tags", '{a,"b\\"c"}'),
            ("p_facts", '{"x": [1]}'),
            ("p_flag", "false"),
            ("select", "*"),
        ],
    )
    assert asked.json() == expected
    form = {"p_text": "a&b=ä", "p_times": "2"}
    assert edge.http.post("/rest/v1/rpc/edge_text", data=form).json() == "a&b=äa&b=ä"


def test_a_body_may_be_missing_or_several(edge: Edge) -> None:
    post = edge.http.post
    assert post("/rest/v1/rpc/edge_null").json() is None
    assert post("/rest/v1/rpc/edge_null", json=[]).json() is None
    several = [{"p_text": "a"}, {"p_text": "b"}]
    assert post("/rest/v1/rpc/edge_text", json=several).json() == "a"
    given = {"p_text": "a", "p_ignored": 1}
    assert post("/rest/v1/rpc/edge_text?columns=p_text", json=given).json() == "a"


def test_the_database_is_told_of_the_request(edge: Edge) -> None:
    user = uuid4()
    headers = as_user(user) | {
        "X-Custom": 'a "b"',
        "Cookie": "a=1; b=2",
        "apikey": "public",
        "X-Request-Id": "req-1",
    }
    answer = edge.rpc("edge_told", {}, headers)
    told = answer.json()
    assert (told["user"], told["role"], told["sub"]) == ("authenticated",) * 2 + (str(user),)
    assert told["claims"]["role"] == "authenticated"
    assert (told["method"], told["path"], told["timeout"]) == ("POST", "/rpc/edge_told", "8s")
    assert told["search_path"] == "public"
    assert told["headers"]["x-custom"] == 'a "b"'
    assert told["headers"]["x-request-id"] == answer.headers["X-Request-Id"] == "req-1"
    assert not {"authorization", "apikey", "cookie"} & set(told["headers"])
    assert told["cookies"] == {"a": "1", "b": "2"}
    asked = edge.http.get("/rest/v1/rpc/edge_told").json()
    assert (asked["user"], asked["claims"], asked["sub"]) == ("anon", {"role": "anon"}, None)
    assert (asked["method"], asked["timeout"], asked["read_only"]) == ("GET", "3s", "on")
    assert edge.rpc("edge_told", {}, SERVICE).json()["timeout"] == "30s"


def test_a_get_changes_nothing(edge: Edge, owner: psycopg.Connection[Any]) -> None:
    before = written(owner)
    answer = edge.http.get("/rest/v1/rpc/edge_void")
    assert code(answer) == (405, "25006")
    assert edge.http.get("/rest/v1/rpc/edge_set?p_rows=1").status_code == 405
    assert written(owner) == before
    assert edge.http.get("/rest/v1/rpc/edge_text?p_text=a").json() == "a"
    head = edge.http.head("/rest/v1/rpc/edge_text?p_text=a")
    assert (head.status_code, head.content) == (200, b"")


def test_other_methods_are_refused(edge: Edge) -> None:
    for method in ("PUT", "PATCH", "DELETE", "OPTIONS"):
        answer = edge.http.request(method, "/rest/v1/rpc/edge_null")
        assert code(answer) == (405, "PGRST101")
        assert answer.json()["message"] == f"Cannot use the {method} method on RPC"
        assert answer.headers["Allow"] == "GET, HEAD, POST"


def test_only_the_schema_public_is_there(edge: Edge) -> None:
    answer = edge.rpc("edge_null", {}, {"Content-Profile": "rendio"})
    assert code(answer) == (406, "PGRST106")
    assert answer.json()["message"] == "Invalid schema: rendio"
    assert answer.json()["hint"] == "Only the following schemas are exposed: public"
    assert edge.rpc("edge_null", {}, {"Content-Profile": "public"}).status_code == 200
    asked = edge.http.get("/rest/v1/rpc/edge_null", headers={"Accept-Profile": "auth"})
    assert code(asked) == (406, "PGRST106")


def test_only_json_is_offered(edge: Edge) -> None:
    for accept in ("text/csv", "application/vnd.pgrst.object+json;nulls=stripped", "image/*"):
        answer = edge.rpc("edge_null", {}, {"Accept": accept})
        assert code(answer) == (406, "PGRST107")
    for accept in ("*/*", "text/html, application/json;q=0.9", "application/*"):
        assert edge.rpc("edge_null", {}, {"Accept": accept}).status_code == 200


def test_preferences(edge: Edge, owner: psycopg.Connection[Any]) -> None:
    before = written(owner)
    refused = edge.rpc("edge_void", {}, {"Prefer": "count=exact, tx=rollback"})
    assert code(refused) == (400, "PGRST122")
    assert written(owner) == before
    strict = edge.rpc("edge_null", {}, {"Prefer": "handling=strict, foo, bar=1"})
    assert strict.json()["details"] == "Invalid preferences: foo, bar=1"
    assert edge.rpc("edge_null", {}, {"Prefer": "handling=lenient, foo"}).status_code == 200
    assert edge.rpc("edge_null", {}, {"Prefer": "params=single-object"}).status_code == 200
    minimal = edge.rpc("edge_null", {}, {"Prefer": "return=minimal"})
    assert (minimal.status_code, minimal.content) == (204, b"")
    assert minimal.headers["Preference-Applied"] == "return=minimal"


@pytest.mark.parametrize("query", ["order=n", "limit=1", "select=n", "offset=1", "n=eq.1"])
def test_a_result_is_not_shaped(edge: Edge, query: str) -> None:
    answer = edge.http.post(f"/rest/v1/rpc/edge_set?{query}", json={"p_rows": 3})
    assert code(answer) == (400, "PGRST127")


def test_tables_are_not_served(edge: Edge) -> None:
    assert code(edge.http.get("/rest/v1/users", headers=SERVICE)) == (404, "PGRST205")
    assert code(edge.http.get("/nothing")) == (404, "PGRST125")
    assert code(edge.http.get("/rest/v1/rpc/")) == (404, "PGRST125")


# --- functions that are not there -----------------------------------------------------------------


def test_an_unknown_function(edge: Edge) -> None:
    answer = edge.rpc("edge_nothing", {"b": 1, "a": 2})
    assert code(answer) == (404, "PGRST202")
    told = answer.json()
    assert told["message"] == (
        "Could not find the function public.edge_nothing(a, b) in the schema cache"
    )
    assert told["details"] == (
        "Searched for the function public.edge_nothing with parameters a, b or with a single "
        "unnamed json/jsonb parameter, but no matches were found in the schema cache."
    )
    without = edge.rpc("edge_nothing").json()["message"]
    assert without == (
        "Could not find the function public.edge_nothing without parameters in the schema cache"
    )


def test_an_unknown_or_missing_argument(edge: Edge) -> None:
    for given in ({"p_text": "a", "p_other": 1}, {"p_times": 2}, {}, {"": 1, "p_text": "a"}):
        answer = edge.rpc("edge_text", given)
        assert code(answer) == (404, "PGRST202")
        hint = "Perhaps you meant to call the function public.edge_text(p_text, p_times)"
        assert answer.json()["hint"] == hint


def test_functions_of_one_name_and_the_same_arguments(edge: Edge) -> None:
    answer = edge.rpc("edge_twin", {"p_a": 1})
    assert code(answer) == (300, "PGRST203")
    assert "public.edge_twin(p_a => integer)" in answer.json()["message"]


def test_the_engine_room_is_closed(edge: Edge) -> None:
    for name in ("clock", "rendio.clock", "set_config", "pg_sleep", 'x"; drop table users; --'):
        assert code(edge.rpc(name, {}, SERVICE)) == (404, "PGRST202")


def test_what_is_no_function_with_named_arguments(
    edge: Edge, owner: psycopg.Connection[Any]
) -> None:
    before = written(owner)
    for name in ("procedure", "trigger", "aggregate"):
        assert code(edge.rpc(f"edge_{name}", {}, SERVICE)) == (404, "PGRST202")
    for given in ({"": 1}, {"p_all": [1]}):
        for name in ("unnamed", "variadic", "aggregate"):
            assert code(edge.rpc(f"edge_{name}", given, SERVICE)) == (404, "PGRST202")
    assert written(owner) == before


def test_a_session_keeps_nobodys_identity(start: Callable[..., Edge]) -> None:
    edge = start(pool_size=1)
    assert edge.rpc("edge_pretend", {"p_sub": str(uuid4())}).status_code == 204
    told = edge.rpc("edge_told").json()
    assert (told["sub"], told["claims"], told["user"]) == (None, {"role": "anon"}, "anon")


def test_a_function_made_later_is_found(edge: Edge, edge_db: str) -> None:
    with psycopg.connect(edge_db, autocommit=True) as conn:
        conn.execute("create function public.edge_later() returns int language sql as 'select 7'")
        conn.execute("grant execute on function public.edge_later() to anon")
    until = [edge.rpc("edge_later") for _ in range(2)]
    assert until[-1].status_code in (200, 404)  # 404 for no longer than a second
    edge.server.config.app.state.services.calls.catalogue._read_at = float("-inf")  # type: ignore[union-attr]
    assert edge.rpc("edge_later").json() == 7
    with psycopg.connect(edge_db, autocommit=True) as conn:
        conn.execute("drop function public.edge_later()")
    gone = edge.rpc("edge_later")
    assert code(gone) == (404, "42883")


# --- errors ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sqlstate", "status"),
    [
        ("PT402", 402),
        ("PT422", 422),
        ("PTABC", 500),
        ("PT999", 500),
        ("P0001", 400),
        ("22023", 400),
        ("23505", 409),
        ("23503", 409),
        ("23514", 400),
        ("25006", 405),
        ("28000", 403),
        ("40001", 500),
        ("40P01", 500),
        ("42501", 401),
        ("42883", 404),
        ("42P01", 404),
        ("53300", 503),
        ("53400", 500),
        ("54001", 500),
        ("57014", 500),
        ("P0002", 500),
        ("XX000", 500),
        ("21000", 500),
        ("08006", 503),
    ],
)
def test_the_status_of_an_error(
    edge: Edge, owner: psycopg.Connection[Any], sqlstate: str, status: int
) -> None:
    before = written(owner)
    answer = edge.rpc("edge_raise", {"p_sqlstate": sqlstate})
    assert answer.status_code == status
    assert written(owner) == before
    if sqlstate != "08006":
        told = {"details": '{"retry_after": 2.5}', "hint": "a hint", "message": "a message"}
        assert answer.json() == told | {"code": sqlstate}
    if status in (401, 503):
        assert {401: "WWW-Authenticate", 503: "Retry-After"}[status] in answer.headers
    if sqlstate == "42501":
        assert edge.rpc("edge_raise", {"p_sqlstate": sqlstate}, SERVICE).status_code == 403


@pytest.mark.parametrize("sqlstate", ["40001", "40P01"])
def test_a_transaction_that_lost_is_repeated(edge: Edge, sqlstate: str) -> None:
    assert edge.rpc("edge_conflict", {"p_sqlstate": sqlstate}).status_code == 204


def test_too_many_requests_say_when_to_come_back(edge: Edge) -> None:
    answer = edge.rpc("edge_raise", {"p_sqlstate": "PT429"})
    assert (answer.status_code, answer.headers["Retry-After"]) == (429, "3")


def test_a_function_may_raise_the_whole_answer(edge: Edge) -> None:
    answer = edge.rpc("edge_raise_all")
    assert (answer.status_code, answer.headers["X-Tea"]) == (418, "green")
    assert answer.json() == {"code": "X1", "message": "told", "details": "d", "hint": "h"}
    wrong = edge.rpc("edge_raise", {"p_sqlstate": "PGRST", "p_message": "no JSON"})
    assert code(wrong) == (500, "PGRST121")


def test_what_is_not_of_its_type(edge: Edge) -> None:
    for given in ({"p_user_id": "x"}, {"p_user_id": [1]}, {"p_user_id": "\u0000"}):
        answer = edge.rpc("get_user_credits", given, as_user(uuid4()))
        assert answer.status_code == 400
        assert code(answer)[1].startswith("22")


def test_a_statement_has_its_roles_time(start: Callable[..., Edge]) -> None:
    short = {"anon": 0.05, "authenticated": 0.05, "service_role": 10}
    edge = start(statement_seconds=short)
    assert code(edge.rpc("edge_sleep", {"p_seconds": 5})) == (500, "57014")
    assert edge.rpc("edge_sleep", {"p_seconds": 0.2}, SERVICE).status_code == 204


def test_a_function_may_look_at_each_request_first(start: Callable[..., Edge]) -> None:
    edge = start(pre_request="public.edge_pre_request")
    assert edge.rpc("edge_null").status_code == 200
    barred = edge.rpc("edge_null", {}, {"X-Barred": "1"})
    assert (barred.status_code, barred.json()["message"]) == (418, "barred")


def test_claims_are_no_sql(edge: Edge) -> None:
    claims = {"sub": "a'b\"c\\", "x": "\u0000é'; drop table public.users; --"}
    answer = edge.rpc("edge_raise", {"p_sqlstate": "PT400"}, bearer(token(**claims)))
    assert answer.status_code == 400
    assert json.loads(answer.json()["details"]) == {"retry_after": 2.5}


# --- browsers -------------------------------------------------------------------------------------


def test_pages_of_other_origins(edge: Edge, start: Callable[..., Edge]) -> None:
    origin = {"Origin": "https://app.example.com"}
    asked = origin | {
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization,content-profile,x-client-info",
    }
    allow = "Access-Control-Allow-Origin"
    assert allow not in edge.rpc("edge_null", {}, origin).headers
    assert allow not in edge.http.options("/rest/v1/rpc/edge_null", headers=asked).headers
    open_to = start(cors_origins=(origin["Origin"],))
    preflight = open_to.http.options("/rest/v1/rpc/edge_null", headers=asked)
    assert (preflight.status_code, preflight.headers[allow]) == (200, origin["Origin"])
    for name in ("edge_null", "edge_nothing"):
        answer = open_to.rpc(name, {}, origin)
        assert answer.headers[allow] == origin["Origin"]
        assert "X-Request-Id" in answer.headers["Access-Control-Expose-Headers"]
    other = open_to.rpc("edge_null", {}, {"Origin": "https://evil.example.com"})
    assert allow not in other.headers
