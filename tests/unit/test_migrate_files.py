"""Folders of SQL: order, markers, and what is refused before any connection."""

from collections.abc import Callable
from pathlib import Path

import pytest
from rendio import sqlfiles
from rendio.migrate.errors import MigrateError
from rendio.migrate.files import Tree, cron_job, read_tree

FOUNDATION = "--! as caller\ncreate schema rendio;\n"
FUNCTION = "create or replace function {0}() returns int language sql as $$ select {1} $$;\n"

Write = Callable[[str, str], None]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def put(path: str, text: str) -> None:
        target = tmp_path / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(text.encode())

    put("sql/0001_foundation.sql", FOUNDATION)
    return put


def read(root: Path) -> Tree:
    return read_tree(root)


def complaint(root: Path) -> str:
    with pytest.raises(MigrateError) as caught:
        read_tree(root)
    return str(caught.value)


def test_the_release_reads_without_complaint() -> None:
    tree = read_tree(sqlfiles.root())
    assert tree.versioned[0].path == "sql/0001_foundation.sql"
    assert {job.name for job in map(cron_job, tree.cron)} >= {"sweep-stuck-jobs"}


def test_checksums_ignore_line_ends_and_nothing_else(write: Write, tmp_path: Path) -> None:
    def checksum(text: str) -> str:
        write("sql/0002_a.sql", text)
        return read(tmp_path).versioned[1].checksum

    unix = checksum("create table public.a ();\n-- end\n")
    assert checksum("create table public.a ();\r\n-- end\r\n") == unix
    assert checksum("create table public.a ();\n-- end \n") != unix
    assert checksum("create table public.a ();\n-- end") != unix


def test_helpers_come_first_then_views_then_rpcs(write: Write, tmp_path: Path) -> None:
    write("functions/a/zoo.sql", FUNCTION.format("public.zoo", 1))
    write("functions/a/views/mid.sql", "create or replace view rendio.mid as select 1 as a;")
    write("functions/z/internal/help.sql", FUNCTION.format("rendio.help", 1))
    assert [file.stem for file in read(tmp_path).functions] == ["help", "mid", "zoo"]


def test_what_a_definition_needs_comes_before_it(write: Write, tmp_path: Path) -> None:
    """Bodies in quotes are resolved later and do not count, so circles through them are fine."""
    write("functions/a/internal/aa.sql", FUNCTION.format("rendio.aa", "rendio.bb()"))
    write("functions/a/internal/bb.sql", FUNCTION.format("rendio.bb", "rendio.aa()"))
    write(
        "functions/a/internal/ab.sql",
        "create or replace function rendio.ab() returns int begin atomic select rendio.zz(); end;",
    )
    write("functions/a/internal/zz.sql", FUNCTION.format("rendio.zz", 1))
    assert [file.stem for file in read(tmp_path).functions] == ["aa", "bb", "zz", "ab"]


@pytest.mark.parametrize(
    ("path", "text", "expected"),
    [
        ("sql/2_short.sql", "select 1;", "is named NNNN_name.sql"),
        ("sql/0001_again.sql", "--! as caller\nselect 1;", "the number is taken by"),
        ("sql/0002_a.sql", "begin;\nselect 1;\ncommit;", "sql/0002_a.sql:1: `begin`"),
        ("sql/0002_a.sql", "select 1;\n\ncommit;", "sql/0002_a.sql:3: `commit`"),
        ("sql/0002_a.sql", "\\set x 1\nselect 1;", "psql commands are not SQL"),
        ("sql/0002_a.sql", "copy public.a from stdin;", "copy from stdin"),
        ("sql/0002_a.sql", "set search_path = public;", "only `set local`"),
        ("sql/0002_a.sql", "set role joe;", "only `set local`"),
        ("sql/0002_a.sql", "set local role joe;", "mark the file --! as caller"),
        ("sql/0002_a.sql", "reset role;", "only `set local`"),
        ("sql/0002_a.sql", "discard all;", "would undo"),
        ("sql/0002_a.sql", "-- nothing\n", "holds no statement"),
        ("sql/0002_a.sql", "--! as owner\nselect 1;", "unknown marker --! as owner"),
        (
            "policies/a.sql",
            "--! as caller\n--! where notes\nselect 1;",
            "known are as caller, no-transaction, where",
        ),
        ("policies/a.sql", "--! where others.notes\nselect 1;", "marked --! as caller"),
        ("sql/0002_a.sql", "--! as caller\n--! where o.notes\nselect 1;", "for a policy file"),
        (
            "sql/0002_a.sql",
            "--! no-transaction\ncreate index concurrently i on s.t (a);\nselect 1;",
            "exactly one `create index concurrently",
        ),
        (
            "sql/0002_a.sql",
            "create index concurrently i on s.t (a);",
            "marked --! no-transaction",
        ),
        ("functions/a/f.sql", FUNCTION.format("public.g", 1), "must create exactly"),
        ("functions/a/f.sql", FUNCTION.format("rendio.f", 1), "must create exactly"),
        ("functions/a/f.sql", FUNCTION.format("public.f", 1) * 2, "must create exactly"),
        ("functions/a/internal/f.sql", FUNCTION.format("public.f", 1), "must create exactly"),
        ("functions/f.sql", FUNCTION.format("public.f", 1), "no place for a SQL file"),
        ("policies/deep/p.sql", "select 1;", "no place for a SQL file"),
        ("cron/a.sql", "select cron.schedule('b', '* * * * *', $$select rendio.f()$$);", "stem"),
        ("cron/a.sql", "select cron.schedule('a', '* * * * *', 'delete from x');", "only calls"),
        (
            "cron/a.sql",
            "select cron.schedule('a', '* * * * *', 'select rendio.f(); select rendio.g()');",
            "only calls",
        ),
        ("cron/a.sql", "select cron.unschedule('a');", "of the form"),
        (
            "cron/a.sql",
            "select cron.schedule('a', '* * * * *', $$select rendio.f()$$); select 1;",
            "of the form",
        ),
    ],
)
def test_a_malformed_file_is_refused(
    write: Write, tmp_path: Path, path: str, text: str, expected: str
) -> None:
    write(path, text)
    message = complaint(tmp_path)
    assert path in message
    assert expected in message


def test_all_complaints_come_together(write: Write, tmp_path: Path) -> None:
    write("sql/0002_a.sql", "commit;")
    write("functions/a/f.sql", "select 1;")
    write("functions/b/same.sql", FUNCTION.format("public.same", 1))
    write("functions/c/same.sql", FUNCTION.format("public.same", 1))
    assert [line.split(":")[0] for line in complaint(tmp_path).splitlines()] == [
        "sql/0002_a.sql",
        "functions/a/f.sql",
        "functions/c/same.sql",
    ]


def test_a_file_that_is_not_text_is_refused(write: Write, tmp_path: Path) -> None:
    (tmp_path / "sql" / "0002_a.sql").write_bytes(b"select '\xff';")
    assert "sql/0002_a.sql: cannot be read as UTF-8" in complaint(tmp_path)


def test_a_folder_without_sql_is_refused(tmp_path: Path) -> None:
    assert "not a folder of rendio's SQL" in complaint(tmp_path)


def test_a_marker_counts_only_at_the_top(write: Write, tmp_path: Path) -> None:
    write("sql/0002_a.sql", "-- why\n--! as caller\nselect 1;\n")
    write("sql/0003_b.sql", "select 1;\n--! as caller\n")
    assert [file.as_caller for file in read(tmp_path).versioned] == [True, True, False]


def test_a_cron_file_is_read(write: Write, tmp_path: Path) -> None:
    write(
        "cron/a-b.sql",
        "-- when\nselect cron.schedule(\n 'a-b', '7 * * * *', $$ select rendio.f(1, 'x') $$\n);\n",
    )
    job = cron_job(read(tmp_path).cron[0])
    assert (job.name, job.schedule, job.command) == ("a-b", "7 * * * *", "select rendio.f(1, 'x')")
