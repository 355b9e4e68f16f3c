"""One call of one function, in one transaction, as the caller."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from psycopg import sql

from rendio.edge.catalogue import SCHEMA, Catalogue, Function
from rendio.edge.errors import ApiError
from rendio.edge.identity import Caller
from rendio.edge.pool import Cursor, Database
from rendio.edge.settings import Settings

# All that auth.uid(), auth.role() and auth.jwt() read: one that is left standing could name another
# user.
OLD_CLAIMS = {
    "request.jwt.claim": "",
    "request.jwt.claim.sub": "",
    "request.jwt.claim.role": "",
}
FRAMING = ("content-length", "transfer-encoding", "connection")  # the server's, not a function's
# What the function may have set for the response is read when all of it has run: the select list
# of an aggregate is evaluated last.
RESPONSE = sql.SQL(
    "pg_catalog.count(*), "
    "nullif(pg_catalog.current_setting('response.status', true), ''), "
    "nullif(pg_catalog.current_setting('response.headers', true), '')"
)
ONE = sql.SQL("coalesce(pg_catalog.json_agg(answer.content) -> 0, 'null')::text")
MANY = sql.SQL("coalesce(pg_catalog.json_agg(answer.content), '[]')::text")


@dataclass(frozen=True)
class Request:
    """What of the HTTP request the database is told."""

    method: str
    path: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    cookies: Mapping[str, str] = field(default_factory=dict, repr=False)

    def settings(self, caller: Caller) -> dict[str, str]:
        return OLD_CLAIMS | {
            "search_path": SCHEMA,
            "role": caller.role,
            "request.jwt.claims": json.dumps(caller.claims),
            "request.method": self.method,
            "request.path": self.path,
            "request.headers": json.dumps(dict(self.headers)),
            "request.cookies": json.dumps(dict(self.cookies)),
            # A function may have set them for the session, whose connection others use.
            "response.status": "",
            "response.headers": "",
        }


@dataclass(frozen=True)
class Answer:
    """What a function returned, as JSON text, and what it wants the response to be."""

    content: str
    rows: int
    returns_set: bool
    returns_void: bool
    status: int | None = None
    headers: tuple[tuple[str, str], ...] = ()


# Looks at an answer while the transaction is open: what it raises undoes the call.
Check = Callable[[Answer], None]


class Calls:
    """Calls functions of the exposed schema."""

    def __init__(self, database: Database, catalogue: Catalogue, settings: Settings) -> None:
        self._database = database
        self.catalogue = catalogue
        self._seconds = settings.statement_seconds
        self._pre_request = settings.pre_request

    async def by_json(
        self,
        caller: Caller,
        request: Request,
        name: str,
        given: Mapping[str, Any],
        *,
        check: Check | None = None,
    ) -> Answer:
        """Call with values that are to become the arguments' types, by name."""
        payload = json.dumps(dict(given), default=str)
        return await self.by_payload(caller, request, name, set(given), payload, check=check)

    async def by_payload(
        self,
        caller: Caller,
        request: Request,
        name: str,
        given: set[str],
        payload: str,
        *,
        check: Check | None = None,
    ) -> Answer:
        """Call with the members of a JSON object, whose text goes to the database as it is."""
        function = await self.catalogue.find(name, given)
        columns = [
            sql.SQL("{} {}").format(sql.Identifier(argument), _type(kind))
            for argument, kind in function.arguments
            if argument in given
        ]
        if not columns:
            return await self._run(caller, request, function, _bare(function), [], check=check)
        names = [
            sql.Identifier(argument) for argument, _ in function.arguments if argument in given
        ]
        source = sql.SQL(
            "(select * from pg_catalog.json_to_record(%s::pg_catalog.json) as taken ({columns})) "
            "as given cross join lateral {function}({arguments}) as answer"
        ).format(
            columns=sql.SQL(", ").join(columns),
            function=sql.Identifier(SCHEMA, name),
            arguments=sql.SQL(", ").join(sql.SQL("{0} => given.{0}").format(n) for n in names),
        )
        return await self._run(caller, request, function, source, [payload], check=check)

    async def by_text(
        self,
        caller: Caller,
        request: Request,
        name: str,
        given: Mapping[str, str],
        *,
        check: Check | None = None,
    ) -> Answer:
        """Call with texts, each cast to its argument's type: what a query string has.

        A GET changes nothing, whatever the function would do.
        """
        function = await self.catalogue.find(name, set(given))
        types = dict(function.arguments)
        arguments = [
            sql.SQL("{} => %s::{}").format(sql.Identifier(argument), _type(types[argument]))
            for argument in given
        ]
        source = sql.SQL("{}({}) as answer").format(
            sql.Identifier(SCHEMA, name), sql.SQL(", ").join(arguments)
        )
        values = list(given.values())
        return await self._run(
            caller, request, function, source, values, check=check, must_read=True
        )

    async def _run(
        self,
        caller: Caller,
        request: Request,
        function: Function,
        source: sql.Composable,
        values: list[str],
        *,
        check: Check | None,
        must_read: bool = False,
    ) -> Answer:
        statement = sql.SQL(
            "with answer as materialized (select pg_catalog.to_json(answer) as content from {}) "
            "select {}, {} from answer"
        ).format(source, MANY if function.returns_set else ONE, RESPONSE)

        async def work(cursor: Cursor) -> Answer:
            if self._pre_request:
                name = sql.Identifier(*self._pre_request.split("."))
                await cursor.execute(sql.SQL("select {}()").format(name))
            await cursor.execute(statement, values)
            row = await cursor.fetchone()
            assert row
            content, rows, status, headers = row
            answer = Answer(
                content,
                rows,
                function.returns_set,
                function.returns_void,
                _status(status),
                _headers(headers),
            )
            if check:
                check(answer)
            return answer

        settings = request.settings(caller)
        if must_read or function.is_read:
            settings["transaction_read_only"] = "on"
        return await self._database.run(settings, self._seconds[caller.role], work)


def _bare(function: Function) -> sql.Composed:
    return sql.SQL("{}() as answer").format(sql.Identifier(SCHEMA, function.name))


def _type(name: str) -> sql.SQL:
    """Return a type's name, which format_type() has quoted."""
    return sql.SQL(name)


def _status(text: str | None) -> int | None:
    if text is None:
        return None
    if not (text.isdigit() and 200 <= int(text) <= 599):
        told = "response.status guc must be a valid status code"
        raise ApiError(500, "PGRST112", told)
    return int(text)


def _headers(text: str | None) -> tuple[tuple[str, str], ...]:
    """Read PostgREST's form: an array of objects with one key each."""
    if text is None:
        return ()
    try:
        pairs = [pair for entry in json.loads(text) for pair in _single(entry).items()]
        for name, value in pairs:
            if not name or not (name + value).isprintable():
                raise ValueError(name)
            (name + value).encode("latin-1")
    except (ValueError, TypeError):
        told = (
            "response.headers guc must be a JSON array composed of objects with a single key and "
            "a string value"
        )
        raise ApiError(500, "PGRST111", told) from None
    return tuple((name, value) for name, value in pairs if name.lower() not in FRAMING)


def _single(entry: Any) -> dict[str, str]:
    if not isinstance(entry, dict) or len(entry) != 1:
        raise ValueError("not one key")
    return entry
