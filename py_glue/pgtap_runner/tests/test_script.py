"""Statements are cut where psql cuts them."""

from pathlib import Path

import pytest
from pgtap_runner.script import ScriptError, read, split


def texts(script: str) -> list[str]:
    return [statement.text for statement in split(script)]


@pytest.mark.parametrize(
    "statement",
    [
        "select ';'",
        "select 'it''s;'",
        r"select '\'",
        r"select E'\';', e'\\'",
        "select E'a'\n  '\\';b'",
        "select type'a;'",
        'select 1 as "a;""b"',
        "select $$ ; $$",
        "select $a$ ; $$ ; $b$ ; $a$",
        "select a$b$ from t",
        "select $1, 'a;'",
        "select 1 -- not; here",
        "select /* ; /* ; */ ; */ 1",
        "select '/*', ';'",
        "select (1;2)",
        "create rule r as on insert to t do also (select 1; select 2)",
        "create function f() begin atomic select 1; select case when true then 2 end; end",
        "create or replace procedure p() begin atomic\n  select 1;\nend",
        "do $do$ begin perform 1; end $do$",
        "select 'ä;'",
    ],
)
def test_one_statement_stays_whole(statement: str) -> None:
    first, second = texts(f"{statement}\n;\nselect 2;")
    assert first.startswith(statement.partition(" --")[0])
    assert second == "select 2"


def test_a_transaction_block_is_no_function_body() -> None:
    assert texts("begin; select 1; end;") == ["begin", "select 1", "end"]


def test_lines_are_those_of_the_first_word() -> None:
    script = "-- intro\n\nbegin;\n/* two\nlines */ select\n1; select 2\n"
    assert [(s.line, s.text) for s in split(script)] == [
        (3, "begin"),
        (5, "select\n1"),
        (6, "select 2"),
    ]


def test_knows_transaction_control() -> None:
    script = "BEGIN; start transaction; select 'commit'; rollback to savepoint a; beginning;"
    assert [s.controls_transaction for s in split(script)] == [True, True, False, True, False]


def test_psql_lines_that_only_change_looks_are_ignored() -> None:
    assert texts("\\set ECHO none\n\\pset format unaligned\n  \\timing\nselect 1;") == ["select 1"]


def test_what_psql_would_print() -> None:
    echoed = split("\\echo ok 1 - 'a  ''b' \n\n\\qecho\n\\warn no\n")
    assert [(s.prints, s.line) for s in echoed] == [("ok 1 - a  'b", 1), ("", 3)]


@pytest.mark.parametrize(
    ("script", "line", "message"),
    [
        ("select 1;\n\\i other.sql\n", 2, "psql's \\i can't be run"),
        ("select 1\n  \\gset", 2, "psql's \\gset can't be run"),
        ("\\set a 1 \\\\ select 1;", 1, "psql's \\set can't be run"),
        ("\n\ncopy t from stdin;\n1\n\\.\n", 3, "copy … from stdin can't be run: use insert"),
        ("copy (select 1)\nto STDOUT", 1, "copy … to stdout can't be run: use select"),
        ("\\echo :name", 1, "psql's \\echo can't be run"),
        ("\\echo `date`", 1, "psql's \\echo can't be run"),
        ("\\set ON_ERROR_STOP off", 1, "psql's \\set can't be run"),
        ("select 1;\nselect 'abc;\n", 2, "a string is never closed"),
        ("select E'abc\\';\n", 1, "a string is never closed"),
        ('select "abc', 1, "a quoted name is never closed"),
        ("select\n$a$ $b$", 2, "$a$ is never closed"),
        ("select 1; /* /* */", 1, "a comment is never closed"),
    ],
)
def test_what_cannot_be_run_is_told_with_its_line(script: str, line: int, message: str) -> None:
    with pytest.raises(ScriptError) as caught:
        split(script)
    assert (caught.value.line, caught.value.message) == (line, message)


def test_nothing_to_run() -> None:
    assert split("") == split(" ;; -- nothing\n/* at all */") == []


@pytest.mark.parametrize(
    ("data", "line", "message"),
    [
        (b"select 1;\n\xff", 2, "byte 0xff is not UTF-8"),
        (b"\n\nselect '\0'", 3, "a NUL byte: this is no text file"),
    ],
)
def test_files_that_are_no_text(tmp_path: Path, data: bytes, line: int, message: str) -> None:
    path = tmp_path / "broken.sql"
    path.write_bytes(data)
    with pytest.raises(ScriptError) as caught:
        read(path)
    assert (caught.value.line, caught.value.message) == (line, message)


def test_byte_order_mark_is_no_part_of_the_text(tmp_path: Path) -> None:
    path = tmp_path / "bom.sql"
    path.write_bytes(b"\xef\xbb\xbfselect 1")
    assert read(path) == "select 1"
