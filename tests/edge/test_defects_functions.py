"""Known defects of the plan's Edge functions, which run in Deno beside ours."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from uuid import UUID, uuid4

import httpx
import psycopg
import pytest
from client_processes import edge_function, install_npm
from edge_server import COST, MODEL, Edge, as_user, running
from plan import edge as plan
from plan.edge import ALICE, BOB, GRANT, add_model
from plan.edge.tables import serving_tables
from psycopg import sql
from servers import Cluster, Run

pytestmark = [pytest.mark.once, pytest.mark.shapeless, pytest.mark.thorough]


@pytest.fixture(autouse=True)
def packages(run: Run) -> None:
    with run.exclusive("npm"):
        install_npm()


@pytest.fixture
def plan_db(server: Cluster, template_db: str, new_name: Callable[[], str]) -> Iterator[str]:
    """After ours, so that it is rendio who finds a cluster without the API roles."""
    with plan.database(server, new_name()) as url:
        yield url


def balance(url: str, user: UUID) -> int:
    with psycopg.connect(url) as conn:
        query = "select credits_remaining from public.users where id = %s"
        row = conn.execute(query, [user]).fetchone()
    assert row
    return int(row[0])


class TestDefect2_7_UserOfTheBody:
    """Who pays and who is counted is what the body says, and the service key does the rest."""

    @staticmethod
    def generate(http: httpx.Client, user: UUID, headers: dict[str, str], place: str = "/") -> int:
        """Ask for a video in a user's name, with whatever token."""
        given = {"user_id": str(user), "model_id": MODEL, "prompt": "a cat", "settings": {}}
        key = {"Idempotency-Key": str(uuid4())}
        return http.post(place, json=given, headers=headers | key).status_code

    def test_succeeds_on_the_plan(self, plan_db: str) -> None:
        with running(plan_db) as edge, plan.function("generate-video", edge.url) as http:
            by_a_stranger = [self.generate(http, ALICE, {}) for _ in range(11)]
            # Two videos are all that she could pay for; the rest spends her allowance.
            assert by_a_stranger == [200, 200, *[500] * 8, 429]
            assert self.generate(http, ALICE, as_user(ALICE)) == 429
            assert self.generate(http, BOB, {}) == 200, "the stranger is not counted at all"
        assert (balance(plan_db, ALICE), balance(plan_db, BOB)) == (GRANT - 2 * COST, GRANT - COST)

    @pytest.mark.parametrize(("ours", "nobody"), [("rendio serve", 403), ("Deno", 401)])
    def test_refused_by_ours(self, db: str, ours: str, nobody: int) -> None:
        with running(db) as edge, self.function(ours, edge) as (http, place):
            alice, bob = edge.new_user(), edge.new_user()
            by_a_stranger = [self.generate(http, alice, {}, place) for _ in range(11)]
            assert by_a_stranger == [*[nobody] * 10, 429], "counted by address"
            by_bob = [self.generate(http, alice, as_user(bob), place) for _ in range(11)]
            assert by_bob == [*[403] * 10, 429], "counted as Bob"
            assert (balance(db, alice), balance(db, bob)) == (GRANT, GRANT)
            assert self.generate(http, alice, as_user(alice), place) == 200
        assert (balance(db, alice), balance(db, bob)) == (GRANT - COST, GRANT)

    @staticmethod
    @contextmanager
    def function(ours: str, edge: Edge) -> Iterator[tuple[httpx.Client, str]]:
        """Serve ours: the server's own, or the sample in Deno."""
        if ours == "rendio serve":
            yield edge.http, "/functions/v1/generate-video"
            return
        with edge_function("generate-video", edge.url) as http:
            yield http, "/"


class TestDefect2_47_TagOfTheWholeAnswer:
    """To see that nothing has changed all of it is read; and equal names change places."""

    @staticmethod
    def buffers(url: str, query: sql.Composable) -> int:
        """Return how many buffers a statement reads, when everything is warm."""
        explain = sql.SQL("explain (analyze, buffers, format json) {}").format(query)
        with psycopg.connect(url, autocommit=True) as conn:
            for _ in range(3):
                row = conn.execute(explain).fetchone()
        assert row
        top = row[0][0]["Plan"]
        return int(top["Shared Hit Blocks"] + top["Shared Read Blocks"])

    @staticmethod
    def grow(url: str) -> None:
        with psycopg.connect(url, autocommit=True) as conn:
            conn.execute(
                "insert into public.models (name, category, provider, cost_per_generation)"
                " select 'Model ' || n, 'video', 'fal', 4 from generate_series(1, 300) as n"
            )

    @staticmethod
    def rewrite(url: str, model: str) -> None:
        """Write a row again as it is."""
        with psycopg.connect(url, autocommit=True) as conn:
            conn.execute("update public.models set name = name where id = %s", [model])

    def test_succeeds_on_the_plan(self, plan_db: str) -> None:
        with psycopg.connect(plan_db, autocommit=True) as conn:
            add_model(conn, uuid4())
        with serving_tables(plan_db) as tables, plan.function("get-models", tables.url) as http:
            first = http.get("/")
            assert {m["provider_model_id"] for m in first.json()["models"]} == {"fal-ai/veo3.1"}
            self.rewrite(plan_db, first.json()["models"][0]["id"])
            second = http.get("/", headers={"If-None-Match": first.headers["ETag"]})
            assert second.json()["models"] == first.json()["models"][::-1]

            few = self.not_modified(http, tables.statements, plan_db)
            self.grow(plan_db)
            assert self.not_modified(http, tables.statements, plan_db) > few

    def not_modified(self, http: httpx.Client, statements: list[sql.Composed], url: str) -> int:
        """Ask again for what is known, and return what that reads."""
        tag = http.get("/").headers["ETag"]
        statements.clear()
        assert http.get("/", headers={"If-None-Match": tag}).status_code == 304
        (statement,) = statements
        return self.buffers(url, statement)

    def test_refused_by_ours(self, db: str) -> None:
        with psycopg.connect(db, autocommit=True) as conn:
            for _ in range(2):
                add_model(conn, uuid4())
        with running(db) as edge:
            first = self.ask(edge)
            assert "provider_model_id" not in first.text
            assert "fal-ai" not in first.text
            twins = [m["id"] for m in first.json()["models"] if m["name"] == "Cinematic"]
            self.rewrite(db, twins[0])
            assert self.ask(edge).json() == first.json()

            few = self.known(edge, db)
            self.grow(db)
            assert self.known(edge, db) == few

    @staticmethod
    def ask(edge: Edge, tag: str = "") -> httpx.Response:
        return edge.http.get("/functions/v1/get-models", headers={"If-None-Match": tag})

    def known(self, edge: Edge, url: str) -> int:
        """Ask again for what is known, and return what that reads."""
        tag = self.ask(edge).headers["ETag"]
        again = self.ask(edge, tag)
        assert (again.status_code, again.content) == (304, b"")
        return self.buffers(url, sql.SQL("select public.get_models({})").format(tag))
