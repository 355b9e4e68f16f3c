"""A small release to migrate with: every kind of file once, on the real foundation."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
from rendio import migrate, sqlfiles

FILES = {
    "sql/0002_things.sql": """\
create table public.things (
    id bigint generated always as identity primary key,
    name text not null default 'thing',
    size integer
);

alter table public.things enable row level security;
comment on table public.things is 'What this release is about.';
""",
    "sql/0003_things_name_idx.sql": """\
--! no-transaction
create index concurrently things_name_idx on public.things (name);
""",
    "functions/core/internal/double.sql": """\
create or replace function rendio.double(p_n integer)
returns integer
language sql
immutable
begin atomic
    select p_n * 2;
end;

revoke execute on function rendio.double(integer) from public, anon, authenticated;
""",
    "functions/core/count_things.sql": """\
create or replace function public.count_things(p_factor integer default rendio.double(1))
returns bigint
language plpgsql
stable
set search_path = ''
as $$
begin
    return (select count(*) * p_factor from public.things);
end;
$$;

comment on function public.count_things(integer) is 'How many things there are.';
revoke execute on function public.count_things(integer) from public, anon, authenticated;
grant execute on function public.count_things(integer) to service_role;
""",
    "functions/core/views/big_things.sql": """\
create or replace view rendio.big_things
with (security_invoker = true) as
select t.id, rendio.double(t.size) as size
from public.things as t
where t.size > 10;
""",
    "policies/things.sql": """\
drop policy if exists things_select on public.things;
create policy things_select on public.things
for select to authenticated
using (size < 100);

grant select on public.things to authenticated;
""",
    "cron/count-things.sql": """\
-- Hourly. Late: nothing.
select cron.schedule('count-things', '7 * * * *', $$select public.count_things(1)$$);
""",
}


class Release:
    """A folder of SQL that a test may change between two applies."""

    def __init__(self, root: Path) -> None:
        self.root = root
        foundation = sqlfiles.root() / "sql" / "0001_foundation.sql"
        self.write("sql/0001_foundation.sql", foundation.read_text())
        for path, text in FILES.items():
            self.write(path, text)

    def write(self, path: str, text: str) -> None:
        target = self.root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)

    def replace(self, path: str, old: str, new: str) -> None:
        text = (self.root / path).read_text()
        assert old in text
        self.write(path, text.replace(old, new))

    def remove(self, path: str) -> None:
        (self.root / path).unlink()

    def apply(self, url: str, **options: Any) -> migrate.Result:
        return migrate.apply(url, self.root, **options)

    def paths(self) -> list[str]:
        return sorted(p.relative_to(self.root).as_posix() for p in self.root.rglob("*.sql"))


def steps(result: migrate.Result) -> list[str]:
    """The paths that an apply worked on."""
    return [step.path for step in result.steps]


def query(url: str, sql: str, params: list[Any] | None = None) -> list[tuple[Any, ...]]:
    """Run one statement on a connection of its own; rows, or nothing when it returns none."""
    with psycopg.connect(url, autocommit=True) as conn:
        cursor = conn.execute(sql, params)
        return cursor.fetchall() if cursor.description else []


def as_owner(url: str, *statements: str) -> None:
    """Run statements as rendio_owner, as somebody would who works around the runner."""
    with psycopg.connect(url, autocommit=True) as conn:
        conn.execute("set role rendio_owner")
        for statement in statements:
            conn.execute(statement)


def catalogue(url: str) -> dict[tuple[str, str], str]:
    with psycopg.connect(url, autocommit=True) as conn:
        return migrate.describe(conn)


def ledger(url: str) -> dict[str, tuple[Any, ...]]:
    """The ledger without its times."""
    with psycopg.connect(url, autocommit=True) as conn:
        conn.execute("set role rendio_owner")
        rows = conn.execute(
            "select path, checksum, state, defines, fingerprint::jsonb, release"
            " from rendio.migrations"
        )
        return {path: rest for path, *rest in rows}


def row_of(url: str, path: str) -> tuple[Any, ...]:
    return ledger(url)[path]


def error_of(call: Callable[[], Any]) -> migrate.MigrateError:
    """The runner's error that a call must end with."""
    try:
        call()
    except migrate.MigrateError as error:
        return error
    raise AssertionError("nothing was refused")
