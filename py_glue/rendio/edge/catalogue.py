"""The functions that can be called, as the database describes them."""

from collections.abc import Collection
from dataclasses import dataclass
from time import monotonic

from rendio.edge.errors import ApiError
from rendio.edge.pool import Cursor, Database, as_login

SCHEMA = "public"
SECONDS = 5.0
KEPT_SECONDS = 60.0
ECHOED = 500  # characters of what a client sent that an error repeats
AGAIN_SECONDS = 1.0  # between two reads, however many requests name unknown functions

# Types are qualified as far as they need to be: the reader's search_path is pg_catalog. Functions
# with unnamed or variadic arguments cannot be called by name and are left out.
QUERY = """
select
    p.proname,
    p.provolatile <> 'v',
    p.proretset,
    p.prorettype = 'void'::regtype,
    p.pronargs - p.pronargdefaults,
    a.names,
    a.types
from pg_proc as p
cross join lateral (
    select
        coalesce(array_agg(i.name order by i.place), '{}'),
        coalesce(array_agg(format_type(i.type, null) order by i.place), '{}')
    from rows from (
        unnest(coalesce(p.proallargtypes, p.proargtypes::oid[])),
        unnest(p.proargnames),
        unnest(p.proargmodes)
    ) with ordinality as i (type, name, mode, place)
    where coalesce(i.mode, 'i') in ('i', 'b')
) as a (names, types)
where p.pronamespace = to_regnamespace('public')
    and p.prokind = 'f'
    and p.provariadic = 0
    and p.prorettype not in ('trigger'::regtype, 'event_trigger'::regtype)
    and array_position(a.names, null) is null
    and array_position(a.names, '') is null
"""


@dataclass(frozen=True)
class Function:
    """One function of the exposed schema, by the names of its arguments."""

    name: str
    is_read: bool  # stable or immutable
    returns_set: bool
    returns_void: bool
    required: int
    arguments: tuple[tuple[str, str], ...]  # name and type

    def takes(self, given: Collection[str]) -> bool:
        names = [name for name, _ in self.arguments]
        return set(given) <= set(names) and set(names[: self.required]) <= set(given)


class Catalogue:
    """What the database has, kept for a minute and read again when something is missing."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._functions: dict[str, list[Function]] = {}
        self._read_at = float("-inf")

    async def find(self, name: str, given: Collection[str]) -> Function:
        """Return the function of that name which takes these arguments."""
        await self._refresh(KEPT_SECONDS)
        found = self._candidates(name, given)
        if not found:
            await self._refresh(AGAIN_SECONDS)
            found = self._candidates(name, given)
        if not found:
            raise self._missing(name, given)
        if len(found) > 1:
            raise _ambiguous(found)
        return found[0]

    async def argument_names(self, name: str) -> set[str]:
        """Return the names of all arguments that a function has; none when there is no such."""
        await self._refresh(KEPT_SECONDS)
        functions = self._functions.get(name, [])
        return {argument for function in functions for argument, _ in function.arguments}

    def _candidates(self, name: str, given: Collection[str]) -> list[Function]:
        return [function for function in self._functions.get(name, []) if function.takes(given)]

    async def _refresh(self, kept: float) -> None:
        """Read the functions again; meanwhile other requests go on with those that are known."""
        before = self._read_at
        if monotonic() - before <= kept:
            return
        if self._functions:
            self._read_at = monotonic()
        try:
            self._functions = await self._database.run(as_login(), SECONDS, _read)
        except BaseException:
            self._read_at = before
            raise
        self._read_at = monotonic()

    def _missing(self, name: str, given: Collection[str]) -> ApiError:
        called, names = f"{SCHEMA}.{name[:ECHOED]}", ", ".join(sorted(given))
        names = names if len(names) <= ECHOED else f"{names[:ECHOED]}…"
        listed = f"({names})" if given else " without parameters"
        several = "s" if len(given) > 1 else ""
        searched = f" with parameter{several} {names} or with a single unnamed json/jsonb parameter"
        details = (
            f"Searched for the function {called}{searched if given else ' without parameters'}, "
            "but no matches were found in the schema cache."
        )
        return ApiError(
            404,
            "PGRST202",
            f"Could not find the function {called}{listed} in the schema cache",
            details,
            self._hint(name),
        )

    def _hint(self, name: str) -> str | None:
        if name not in self._functions:
            return None
        takes = ", ".join(argument for argument, _ in self._functions[name][0].arguments)
        return f"Perhaps you meant to call the function {SCHEMA}.{name}({takes})"


def _ambiguous(functions: list[Function]) -> ApiError:
    written = ", ".join(
        f"{SCHEMA}.{f.name}({', '.join(f'{name} => {kind}' for name, kind in f.arguments)})"
        for f in functions
    )
    return ApiError(
        300,
        "PGRST203",
        f"Could not choose the best candidate function between: {written}",
        None,
        "Try renaming the parameters or the function itself in the database so function "
        "overloading can be resolved",
    )


async def _read(cursor: Cursor) -> dict[str, list[Function]]:
    await cursor.execute(QUERY)
    functions: dict[str, list[Function]] = {}
    for name, is_read, returns_set, returns_void, required, names, types in await cursor.fetchall():
        arguments = tuple(zip(names, types, strict=True))
        function = Function(name, is_read, returns_set, returns_void, required, arguments)
        functions.setdefault(name, []).append(function)
    return functions
