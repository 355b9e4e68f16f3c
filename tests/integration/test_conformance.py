"""The files agree with each other and with the catalogue. What SQL can say is in tests/pgtap."""

import re
from pathlib import Path

import psycopg
from rendio import sqlfiles

ROOT = sqlfiles.root()
FUNCTIONS = ROOT / "functions"
PGTAP = Path(__file__).parents[1] / "pgtap"
# Tables' defaults and a trigger need them, so versioned files make them: for good.
FOUNDATION = {
    "foundation/internal/clock.sql",
    "foundation/internal/uuid_v7.sql",
    "catalog/internal/touch_catalog.sql",
}


def function_files() -> set[str]:
    """Return the functions' files, as paths below their folder; views are not functions."""
    found = {path.relative_to(FUNCTIONS).as_posix() for path in FUNCTIONS.rglob("*.sql")}
    return {path for path in found if "/views/" not in path}


def test_each_function_has_its_file_and_its_test(conn: psycopg.Connection) -> None:
    """And there is no test of a function that is gone."""
    expected = function_files() | FOUNDATION
    rows = conn.execute(
        """
        select n.nspname, p.proname
        from pg_catalog.pg_proc as p
        join pg_catalog.pg_namespace as n on n.oid = p.pronamespace
        where n.nspname in ('public', 'rendio') and p.proowner = 'rendio_owner'::regrole
        """
    )
    assert sorted(rows) == sorted(
        ("rendio" if "/internal/" in path else "public", Path(path).stem) for path in expected
    )
    tests = {path.relative_to(PGTAP).as_posix() for path in PGTAP.rglob("*.sql")}
    assert expected - tests == set()
    kept = {t for t in tests if t.split("/")[0] == "conformance" or t.endswith("/policies.sql")}
    assert tests - expected - kept == {"foundation/auth.sql"}


def test_each_function_file_closes_before_it_opens() -> None:
    """Default privileges may have opened a new function to each of the three."""
    for path in function_files():
        text = " ".join((FUNCTIONS / path).read_text().split())
        name = f"{'rendio' if '/internal/' in path else 'public'}.{Path(path).stem}"
        identity = rf"{re.escape(name)}\([^)]*\)"
        closed = rf"revoke execute on function {identity} from public, anon, authenticated;"
        granted = rf"( grant execute on function {identity} to [a-z_, ]+;)?"
        assert re.search(rf"{closed}{granted}$", text.replace("( ", "(").replace(" )", ")")), path


def test_versioned_files_call_no_repeatable_function() -> None:
    """Their functions do not exist yet when the files are applied to an empty database."""
    names = {Path(path).stem for path in function_files()}
    calls = re.compile(rf"\b(?:rendio|public)\.({'|'.join(sorted(names))})\s*\(")
    found = {}
    for path in sorted((ROOT / "sql").glob("*.sql")):
        code = re.sub(r"--.*|'(?:[^']|'')*'|(?s:comment on .*?;\n)", "", path.read_text())
        if called := set(calls.findall(code)):
            found[path.name] = called
    assert found == {}
