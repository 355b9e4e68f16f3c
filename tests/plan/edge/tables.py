"""As much of PostgREST as the plan's get-models needs: a table is read over HTTP."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from urllib.parse import parse_qsl, urlsplit

import psycopg
from psycopg import sql


@dataclass
class Tables:
    """A database's tables, and the statements that they were read with."""

    database_url: str
    statements: list[sql.Composed] = field(default_factory=list)
    url: str = ""

    def answer(self, target: str) -> str:
        """Read a table as a query string wants it, and remember the statement."""
        parts = urlsplit(target)
        table = sql.Identifier("public", parts.path.rsplit("/", 1)[1])
        where: list[sql.Composed] = []
        order: sql.Composable = sql.SQL("")
        for name, value in parse_qsl(parts.query):
            if name == "order":
                order = sql.SQL(" order by {}").format(_order(value))
            elif name != "select":
                operator, operand = value.split(".", 1)
                assert operator == "eq", value
                where.append(sql.SQL("{} = {}").format(sql.Identifier(name), sql.Literal(operand)))
        source = sql.SQL("select * from {} where {}{}").format(
            table, sql.SQL(" and ").join(where), order
        )
        whole = sql.SQL("select coalesce(json_agg(t), '[]')::text from ({}) as t").format(source)
        self.statements.append(whole)
        with psycopg.connect(self.database_url) as conn:
            row = conn.execute(whole).fetchone()
        assert row
        return str(row[0])


def _order(given: str) -> sql.Composed:
    ways = {"asc": sql.SQL(" asc"), "desc": sql.SQL(" desc")}
    columns = [column.split(".") for column in given.split(",")]
    return sql.SQL(", ").join(sql.Identifier(name) + ways[way] for name, way in columns)


@contextmanager
def serving_tables(database_url: str) -> Iterator[Tables]:
    """Serve a database's tables on a free port, as its superuser: the service key does as much."""
    tables = Tables(database_url)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            content = tables.answer(self.path).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        tables.url = f"http://127.0.0.1:{server.server_port}"
        thread = Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield tables
        finally:
            server.shutdown()
            thread.join()
