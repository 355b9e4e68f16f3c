"""The reader of SQL text: where statements end, what they create and drop, which locks."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rendio.migrate.sqltext import Name, split, tokens, unquote

TRICKY = """\
-- a comment; with a semicolon
select 'a;b', E'it\\'s; so', "odd;name", $$x;y$$, $tag$ $$;$$ $tag$ /* ; /* nested; */ ; */;

create function public.f() returns int language sql begin atomic
    select case when true then 1 else 2 end;
    select 3;
end;
create view public.v as select case 1 when 1 then 2 end as n
;
do $$begin perform 1; end$$
"""


def test_statements_end_where_they_end() -> None:
    statements = split(TRICKY)
    assert [s.text.split("(")[0].split(" ")[0] for s in statements] == [
        "select",
        "create",
        "create",
        "do",
    ]
    assert [s.line for s in statements] == [2, 4, 8, 10]
    assert statements[1].text.endswith("end")
    assert statements[2].text.endswith("as n")


PIECES = st.sampled_from(
    (
        *("select 1", "'a;b'", '"x;y"', "$$;$$", "$q$ $$ ; $q$", "-- c;\n", "/* ; */", ";", " "),
        *("\n", "E'\\';'", "(", ")", "a.b", "$1", "begin", "end", "case", "it''s", "é", "\\"),
    )
)


@given(st.lists(PIECES).map("".join))
def test_no_text_is_lost_or_made_up(text: str) -> None:
    """Tokens lie in order and, but for white space, cover the text."""
    at = 0
    for token in tokens(text):
        assert token.end > token.start >= at
        assert text[at : token.start].strip() == ""
        at = token.end
    assert text[at:].strip() == ""
    for statement in split(text):
        assert statement.text in text
        assert statement.line == text.count("\n", 0, statement.tokens[0].start) + 1


@given(st.text(alphabet="'$;-/*\"\\ab \n(", max_size=30))
def test_any_text_is_read(text: str) -> None:
    split(text)


@pytest.mark.parametrize(
    ("sql", "created"),
    [
        ("create table public.users (id int)", ["table public.users"]),
        ("create unlogged table if not exists a.b ()", ["table a.b"]),
        ("create temp table x ()", []),
        ("create or replace function public.f(a int) returns int", ["function public.f"]),
        ("create procedure rendio.p()", ["procedure rendio.p"]),
        ('create table "Odd"."Na""me" ()', ['table "Odd"."Na""me"']),
        ("create unique index concurrently if not exists i on only s.t (a)", ["index s.i"]),
        ("create index on s.t (a)", []),
        ("create materialized view s.m as select 1", ["materialized view s.m"]),
        ("create schema if not exists rendio", ["schema rendio"]),
        ("create schema authorization joe", ["schema joe"]),
        ("create policy p on public.t for select", ["policy p on public.t"]),
        ("create trigger g before insert on public.t", ["trigger g on public.t"]),
        ("create publication p for table t", ["publication p"]),
        ("create user joe", ["role joe"]),
        ("create user mapping for joe server s", []),
        ("create type public.t as enum ('create table x')", ["type public.t"]),
        ("alter table public.t add column a int", []),
        (
            "do $$begin if true then create table public.a (); end if;"
            " execute 'create role b'; execute format('create table %I', c); end$$",
            ["table public.a", "role b"],
        ),
        ("select 'create table x ()'", []),
    ],
)
def test_what_a_statement_creates(sql: str, created: list[str]) -> None:
    assert [str(thing) for thing in split(sql)[0].creates] == created


@pytest.mark.parametrize(
    ("sql", "dropped"),
    [
        ("drop table if exists a.b, a.c cascade", ["table a.b", "table a.c"]),
        (
            "drop function public.f(integer, text), public.g",
            ["function public.f", "function public.g"],
        ),
        ("drop policy if exists p on public.t", ["policy p on public.t"]),
        ("drop index concurrently s.i", ["index s.i"]),
        ("drop owned by joe", []),
    ],
)
def test_what_a_statement_drops(sql: str, dropped: list[str]) -> None:
    assert [str(thing) for thing in split(sql)[0].drops] == dropped


@pytest.mark.parametrize(
    ("sql", "locks"),
    [
        ("create table a.b (c int references a.c (id))", ["share row exclusive on a.c"]),
        ("create table a.b partition of a.p default", ["access exclusive on a.p"]),
        ("create index i on a.b (c)", ["share on a.b"]),
        ("create index concurrently i on a.b (c)", ["share update exclusive on a.b"]),
        ("alter table only a.b add column c int", ["access exclusive on a.b"]),
        ("alter table a.b validate constraint c", ["share update exclusive on a.b"]),
        ("alter table a.b set (fillfactor = 90)", ["share update exclusive on a.b"]),
        ("alter table a.b attach partition a.p default", ["share update exclusive on a.b"]),
        (
            "alter table a.b add constraint k foreign key (c) references a.c (id) not valid",
            ["share row exclusive on a.b", "share row exclusive on a.c"],
        ),
        ("alter table a.b enable row level security", ["access exclusive on a.b"]),
        ("create policy p on a.b using (true)", ["access exclusive on a.b"]),
        ("drop policy if exists p on a.b", ["access exclusive on a.b"]),
        ("alter policy p on a.b using (true)", ["access exclusive on a.b"]),
        ("create trigger t after insert on a.b", ["share row exclusive on a.b"]),
        ("drop index concurrently a.i", ["share update exclusive on a.i"]),
        ("truncate table a.b, a.c", ["access exclusive on a.b", "access exclusive on a.c"]),
        ("insert into a.b values (1)", ["row exclusive on a.b"]),
        ("update a.b set c = 1", ["row exclusive on a.b"]),
        ("delete from only a.b", ["row exclusive on a.b"]),
        ("comment on column a.b.c is 'x'", ["share update exclusive on a.b"]),
        ("comment on table a.b is 'x'", ["share update exclusive on a.b"]),
        ("alter publication p add table a.b", ["share update exclusive on a.b"]),
        ("create function a.f() returns int language sql as 'select 1'", []),
        ("grant select on a.b to c", []),
        ("select 1", []),
    ],
)
def test_which_locks_a_statement_takes(sql: str, locks: list[str]) -> None:
    assert [f"{lock.mode} on {lock.table}" for lock in split(sql)[0].locks] == locks


def test_literals_are_unquoted() -> None:
    assert unquote("'it''s'") == "it's"
    assert unquote("$a$it's$a$") == "it's"
    assert str(Name("", "select me")) == '"select me"'
