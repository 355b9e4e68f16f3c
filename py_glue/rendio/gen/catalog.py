"""What the database says about its RPCs: functions, arguments, result shapes, errors."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
from psycopg.rows import dict_row

from rendio.gen.comments import SCALARS, Comment, CommentError, Shape, Type, parse


class GenError(Exception):
    """Something that cannot be generated: what and where."""


@dataclass(frozen=True)
class Argument:
    """One argument of an RPC; ``default`` is its SQL expression."""

    name: str
    type: str
    default: str | None
    nullable: bool


@dataclass(frozen=True)
class Function:
    """One RPC, ``public.<name>``, written in ``functions/<module>/<name>.sql``."""

    name: str
    module: str
    arguments: tuple[Argument, ...]
    returns: Type
    returns_set: bool
    audience: str
    comment: Comment


@dataclass(frozen=True)
class Error:
    """An entry of the error registry."""

    sqlstate: str
    slug: str
    description: str

    @property
    def status(self) -> int:
        return int(self.sqlstate[2:])


@dataclass(frozen=True)
class Api:
    """Everything that clients are generated from."""

    functions: tuple[Function, ...]
    shapes: dict[str, Shape]
    errors: tuple[Error, ...]


# A format_type() that the convention writes shorter.
_SHORT = {"timestamp with time zone": "timestamptz"}

_FUNCTIONS = """
    select
        n.nspname as schema,
        p.proname as name,
        p.proretset as returns_set,
        format_type(p.prorettype, null) as returns,
        coalesce(obj_description(p.oid, 'pg_proc'), '') as comment,
        array(
            select r.rolname::text
            from aclexplode(p.proacl) as a join pg_roles as r on r.oid = a.grantee
            where a.privilege_type = 'EXECUTE'
        ) as callers,
        (
            select coalesce(
                jsonb_agg(
                    jsonb_build_array(
                        p.proargnames[a.n], format_type(a.type, null),
                        pg_get_function_arg_default(p.oid, a.n::integer)
                    )
                    order by a.n
                ),
                '[]'
            )
            from unnest(p.proargtypes) with ordinality as a (type, n)
        ) as arguments
    from pg_proc as p
    join pg_namespace as n on n.oid = p.pronamespace
    where n.nspname in ('public', 'rendio')
        and p.proowner = 'rendio_owner'::regrole
        and p.prokind = 'f'
        and p.prorettype <> 'trigger'::regtype
    order by p.proname
"""


def read(conn: psycopg.Connection[Any], root: Path) -> Api:
    """Read the RPCs of an up-to-date database; ``root`` says which module each belongs to."""
    with conn.cursor(row_factory=dict_row) as cursor:
        rows = cursor.execute(_FUNCTIONS).fetchall()
        found = cursor.execute("select * from rendio.errors() order by sqlstate, slug").fetchall()
    errors = tuple(Error(**row) for row in found)

    shapes: dict[str, Shape] = {}
    functions: list[Function] = []
    for row in rows:
        where = f"function {row['schema']}.{row['name']}"
        try:
            comment = parse(row["comment"])
        except CommentError as error:
            raise GenError(f"comment on {where}: {error}") from error
        if twice := shapes.keys() & comment.shapes.keys():
            raise GenError(f"comment on {where}: @shape {', '.join(twice)} is defined elsewhere")
        shapes |= comment.shapes
        # What returns nothing is a hook that PostgREST calls (check_request), and no client.
        if row["schema"] == "public" and row["returns"] != "void":
            functions.append(_function(row, comment, shapes, root))
    api = Api(tuple(sorted(functions, key=lambda f: (f.module, f.name))), shapes, errors)
    check(api)
    return api


def _function(
    row: dict[str, Any], comment: Comment, shapes: dict[str, Shape], root: Path
) -> Function:
    name = row["name"]
    files = list(root.glob(f"functions/*/{name}.sql"))
    if len(files) != 1:
        raise GenError(
            f"function public.{name} is written in {len(files)} files functions/*/{name}.sql; "
            "is this database up to date? run: rendio apply"
        )
    arguments = tuple(
        Argument(
            argument,
            _SHORT.get(type_, type_),
            default,
            argument in comment.nullable or str(default).upper().startswith("NULL"),
        )
        for argument, type_, default in row["arguments"]
    )
    returns = comment.returns
    if isinstance(returns, Shape):
        shapes[f"{name}_result"] = returns
        returns = Type(f"{name}_result")
    if returns is None:
        raise GenError(f"comment on function public.{name} ({files[0]}): no @returns")
    if not row["returns_set"] and row["returns"] != "jsonb" and str(returns) != row["returns"]:
        raise GenError(f"function public.{name} returns {row['returns']}, not @returns {returns}")
    if unknown := set(comment.nullable) - {a.name for a in arguments}:
        raise GenError(f"comment on function public.{name}: @nullable {', '.join(unknown)}?")
    return Function(
        name,
        files[0].parent.name,
        arguments,
        returns,
        row["returns_set"],
        _audience(row["callers"]),
        comment,
    )


def _audience(callers: list[str]) -> str:
    if "anon" in callers:
        return "anyone"
    return "self" if "authenticated" in callers else "service"


def check(api: Api) -> None:
    """Refuse what no client could be generated for."""
    names = [f.name for f in api.functions]
    if twice := {name for name in names if names.count(name) > 1}:
        raise GenError(f"overloaded, so not callable by name: public.{', public.'.join(twice)}")
    used = [(f"@returns of public.{f.name}", f.returns) for f in api.functions]
    used += [
        (f"{s}.{key}", t) for s, shape in api.shapes.items() for key, t in shape.fields.items()
    ]
    for where, type_ in used:
        if type_.name not in SCALARS and type_.name not in api.shapes:
            raise GenError(f"{where}: neither a type nor a @shape: {type_.name}")
    for function in api.functions:
        for argument in function.arguments:
            if not argument.name.startswith("p_") or argument.type not in SCALARS:
                raise GenError(f"public.{function.name}: argument {argument.name} {argument.type}")
        registered = {(e.sqlstate, e.slug) for e in api.errors}
        if unknown := set(function.comment.raises) - registered:
            raise GenError(f"public.{function.name}: @raises {unknown}: not in rendio.errors()")
