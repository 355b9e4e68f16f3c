"""One table of cases, through each client that apps use: every call, every error, races.

The cases of clients/cases.json tell one story in order. What they say: `rpc`, `args`, `get`; `as`
is whom: the service, anon, nameless (a signed-in user without an id), or $who. `$name` is what an
earlier answer was kept under, or else a new uuid; `$each` is new for each of the calls that are
made `at_once`. Then what must come: `gives` some keys, `is` all of it; `error` a slug, with
`facts`; `refused` before the function ran; `outcomes` how often each, told apart by the key `tell`.
"""

import json
import re
from collections import Counter
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from client_processes import ANON, HERE, Client, install_npm, npm_client, postgrest_py
from edge_server import Edge, token
from rendio import sqlfiles
from rendio.gen.catalog import Api, read
from servers import Run

CASES: list[dict[str, Any]] = json.loads((HERE / "cases.json").read_text())

pytestmark = pytest.mark.shapeless


class Story:
    """The cases, played through one client."""

    def __init__(self, client: Client, owner: psycopg.Connection[Any], api: Api) -> None:
        self.client = client
        self.owner = owner
        self.errors = {error.slug: error for error in api.errors}
        self.keys = {
            f.name: set(api.shapes[f.returns.name].fields)
            for f in api.functions
            if f.returns.name in api.shapes and not f.returns.is_list
        }
        self.memory: dict[str, Any] = {"long": "x" * 256}

    def play(self, case: dict[str, Any]) -> None:
        if "sql" in case:
            self.owner.execute(case["sql"])
            return
        call = {"rpc": case["rpc"], "get": case.get("get", False)}
        calls = []
        for _ in range(case.get("at_once", 1)):
            self.memory["each"] = str(uuid4())
            calls.append(call | {"args": self.filled(case["args"])})
        answers = self.client(self.token_of(case.get("as", "service")), calls)
        assert len(answers) == len(calls)
        told = [self.told(case, answer) for answer in answers]
        if "outcomes" in case:
            assert Counter(told) == Counter(case["outcomes"])
        else:
            assert told == [case.get("error", "done")]
        for name, key in case.get("keep", {}).items():
            self.memory[name] = answers[0]["data"][key]

    def told(self, case: dict[str, Any], answer: dict[str, Any]) -> str:
        """Check an answer, and return how it ended."""
        error = answer.get("error")
        if "refused" in case:
            status, code = case["refused"]
            assert error
            assert (answer.get("status", status), error["code"]) == (status, code)
            return "done"
        if error:
            return self.slug(case, error, answer.get("status"))
        data = answer["data"]
        assert answer.get("status", 200) == 200
        if case["rpc"] in self.keys:
            assert set(data) == self.keys[case["rpc"]]
        if "is" in case:
            assert data == case["is"]
        if expected := self.filled(case.get("gives", {})):
            assert {key: data[key] for key in expected} == expected
        return json.dumps(data[case["tell"]]) if "tell" in case else "done"

    def slug(self, case: dict[str, Any], error: dict[str, Any], status: int | None) -> str:
        registered = self.errors.get(error["message"])
        assert registered, error
        assert error["code"] == registered.sqlstate
        assert status in (registered.status, None)
        assert error["hint"]
        facts = json.loads(error["details"])
        assert facts.items() >= case.get("facts", {}).items()
        return registered.slug

    def token_of(self, whom: str) -> str:
        if whom.startswith("$"):
            return token("authenticated", sub=self.memory[whom[1:]])
        roles = {"service": token("service_role"), "anon": ANON, "nameless": token("authenticated")}
        return roles[whom]

    def filled(self, value: Any) -> Any:
        """Put what is known, or new, in the place of its name."""
        if isinstance(value, dict):
            return {key: self.filled(inner) for key, inner in value.items()}
        if not isinstance(value, str):
            return value
        return re.sub(r"\$([a-z]+)", lambda name: self.recalled(name[1]), value)

    def recalled(self, name: str) -> str:
        return str(self.memory.setdefault(name, str(uuid4())))


@pytest.fixture(scope="module")
def api(edge_db: str) -> Api:
    with psycopg.connect(edge_db) as conn:
        return read(conn, sqlfiles.root())


@pytest.fixture
def superuser(edge_db: str) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(edge_db, autocommit=True) as conn:
        yield conn


def test_the_table_has_every_call_and_every_error(api: Api) -> None:
    done = {c["rpc"] for c in CASES if "rpc" in c and not {"error", "refused"} & set(c)}
    assert done == {function.name for function in api.functions}
    assert {c["error"] for c in CASES if "error" in c} == {error.slug for error in api.errors}


def play(client: Client, owner: psycopg.Connection[Any], api: Api) -> None:
    story = Story(client, owner, api)
    for number, case in enumerate(CASES):
        try:
            story.play(case)
        except AssertionError as error:
            error.add_note(f"case {number}: {json.dumps(case)}")
            raise


def test_postgrest_of_pypi(edge: Edge, superuser: psycopg.Connection[Any], api: Api) -> None:
    play(postgrest_py(edge.url), superuser, api)


@pytest.mark.thorough
@pytest.mark.parametrize("name", ["postgrest-js", "supabase-js"])
def test_clients_of_npm(
    name: str, edge: Edge, superuser: psycopg.Connection[Any], api: Api, run: Run
) -> None:
    with run.exclusive("npm"):
        install_npm()
    with npm_client(name, edge.url) as client:
        play(client, superuser, api)
