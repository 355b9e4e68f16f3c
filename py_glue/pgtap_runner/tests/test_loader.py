"""pgTAP is found or loaded, and dropped by the last who uses it."""

from pathlib import Path

import psycopg
import pytest
from endings import ENDINGS
from pgtap_runner import loader, run_file
from support import rows, schemas, write


def test_pgtap_is_dropped_by_the_last_who_uses_it(database: str) -> None:
    with loader.loaded(database) as schema:
        with loader.loaded(database) as same:
            assert schema == same == loader.SCHEMA
        assert loader.SCHEMA in schemas(database)
    assert loader.SCHEMA not in schemas(database)


def test_pgtap_left_by_a_killed_run_is_dropped_by_the_next(database: str) -> None:
    killed = loader.loaded(database)
    killed.__enter__()
    query = "select pid from pg_stat_activity where datname = current_database() and pid <> %s"
    with psycopg.connect(database, autocommit=True) as other:
        for (pid,) in other.execute(query, [other.info.backend_pid]).fetchall():
            other.execute("select pg_terminate_backend(%s, 10000)", [pid])
    killed.__exit__(None, None, None)
    assert loader.SCHEMA in schemas(database)
    with loader.loaded(database):
        pass
    assert loader.SCHEMA not in schemas(database)


def test_pgtap_that_was_there_is_used_and_stays(database: str, tmp_path: Path) -> None:
    with psycopg.connect(database) as connection:
        loader.ensure(connection)
        connection.execute(f'alter schema {loader.SCHEMA} rename to "My Tests"')
    with loader.loaded(database) as schema:
        assert schema == "My Tests"
        result = run_file(database, write(tmp_path / "a.sql", ENDINGS["passes"].sql), schema=schema)
        assert result.ok, result.text()
    assert {"My Tests"} == schemas(database) & {"My Tests", loader.SCHEMA}


def test_pgtap_from_a_script(
    database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PGTAP_SQL", raising=False)
    script = write(tmp_path / "pgtap.sql", "\\echo not for psql\n" + loader._script().decode())
    monkeypatch.setenv("PGTAP_SQL", str(script))
    with loader.loaded(database):
        result = run_file(database, write(tmp_path / "a.sql", ENDINGS["failing"].sql))
        extensions = rows(database, "select extname from pg_extension where extname = 'pgtap'")
    assert [a.ok for a in result.report.assertions] == [True, False]
    assert extensions == []
    assert loader.SCHEMA not in schemas(database)


def test_no_pgtap_says_what_to_install(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PGTAP_SQL", raising=False)
    monkeypatch.setattr(loader, "_is_available", lambda _: False)
    monkeypatch.setattr(loader, "_SCRIPTS", ())
    with pytest.raises(loader.PgtapMissing, match="apt-get install postgresql-15-pgtap"):
        loader.loaded(database).__enter__()
    monkeypatch.setenv("PGTAP_SQL", "/nowhere/pgtap.sql")
    with pytest.raises(loader.PgtapMissing, match=r"/nowhere/pgtap\.sql: No such file"):
        loader.loaded(database).__enter__()
    assert loader.SCHEMA not in schemas(database)


def test_a_foreign_schema_of_that_name_is_not_touched(database: str) -> None:
    with psycopg.connect(database) as connection:
        connection.execute(f"create schema {loader.SCHEMA}")
    with pytest.raises(loader.PgtapMissing, match="exists but holds no pgTAP"):
        loader.loaded(database).__enter__()
    assert loader.SCHEMA in schemas(database)
