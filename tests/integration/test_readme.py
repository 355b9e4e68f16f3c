"""The README's commands, SQL and Python are run, and what it shows is what they print."""

import os
import re
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest
import servers

pytestmark = pytest.mark.once

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
BIN = Path(sys.executable).parent


def block(name: str) -> str:
    found = re.search(rf"<!-- test: {name} -->\n```\w+\n(.*?)```", README, re.DOTALL)
    assert found, name
    return found[1]


def run(*command: str | Path, url: str) -> str:
    environment = os.environ | {"DATABASE_URL": url}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_sql(db: str, server: servers.Cluster) -> None:
    done = subprocess.run(
        [server.psql_path, "-XqAt", "-v", "ON_ERROR_STOP=1", db],
        input=block("sql"),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert '"status": "pending"' in done.stdout
    assert '"credits_used": 4' in done.stdout


def test_the_python(db: str) -> None:
    assert run(sys.executable, "-c", block("python"), url=db) == (
        "pending 4\npending 4\nneeds 4 has 2\n"
    )


def test_the_edge_function_names_the_arguments_that_exist(conn: psycopg.Connection) -> None:
    shown = set(re.findall(r"^  (p_\w+):", README, re.MULTILINE))
    row = conn.execute(
        "select proargnames from pg_proc where oid = 'public.generate_video_atomic'::regproc"
    ).fetchone()
    assert row
    assert shown == set(row[0])


def test_the_commands(empty_db: str) -> None:
    commands = re.findall(r"^\$ (rendio \w+)", README, re.MULTILINE)
    assert commands == ["rendio plan", "rendio apply", "rendio status", "rendio apply"]
    for command in commands:
        program, verb = command.split()
        run(BIN / program, verb, url=empty_db)


def test_the_commands_within_its_sentences(empty_db: str) -> None:
    for command in ("pg-cron-compat install", "rendio apply", "rendio plan --sql", "rendio drift"):
        program, *arguments = command.split()
        assert f"`{command}`" in README or f"; {arguments[0]} --sql prints" in README, command
        run(BIN / program, *arguments, url=empty_db)
    jobs = run(BIN / "rendio", "status", url=empty_db)
    assert jobs.count("once this runs: pg-cron-compat run") == 8


def test_it_names_every_table_and_role_that_apply_creates(conn: psycopg.Connection) -> None:
    names = conn.execute(
        "select relname from pg_class"
        " where relnamespace = 'public'::regnamespace and relkind in ('r', 'p')"
        " and pg_get_userbyid(relowner) = 'rendio_owner'"
    ).fetchall()
    section = README.split("**What it creates.**")[1].split("**Which login.**")[0]
    for name in [*(n for (n,) in names), "anon", "authenticated", "service_role", "rendio_owner"]:
        assert f"`{name}`" in section, name
    assert len(list((ROOT / "cron").glob("*.sql"))) == 8
    assert "eight cron jobs" in section


def test_removing_it_leaves_nothing() -> None:
    """On a server of its own: roles are the whole server's."""
    statements = [
        line.split("--")[0].strip() for line in block("remove").splitlines() if line.strip()
    ]
    bin_dir = servers.bin_dir_of(servers.chosen_kind())
    with servers.private_cluster(bin_dir) as cluster:
        url = cluster.create("removal")
        with psycopg.connect(url, autocommit=True) as conn:
            before = inventory(conn)
            run(BIN / "rendio", "apply", url=url)
            assert inventory(conn) != before
            for statement in statements:
                conn.execute(statement)
            assert inventory(conn) == before
            conn.execute("drop role anon, authenticated, service_role")  # nothing is theirs


def inventory(conn: psycopg.Connection) -> list[tuple[str, ...]]:
    """Name everything of the database that is not the server's own."""
    return conn.execute(
        "select 'schema', nspname::text from pg_namespace where nspname !~ '^pg_temp|^pg_toast'"
        " union all select 'relation', oid::regclass::text from pg_class where oid >= 16384"
        "   and relnamespace <> 'pg_toast'::regnamespace"
        " union all select 'function', oid::regprocedure::text from pg_proc where oid >= 16384"
        " union all select 'type', typname::text from pg_type where oid >= 16384"
        " union all select 'publication', pubname::text from pg_publication"
        " union all select 'owner', rolname::text from pg_roles where rolname = 'rendio_owner'"
        " union all select 'grant', nspname || ' ' || acl"
        "   from pg_namespace, unnest(nspacl) as acl where nspname !~ '^pg_temp|^pg_toast'"
        " union all select 'default', acl::text from pg_default_acl, unnest(defaclacl) as acl"
        " order by 1, 2"
    ).fetchall()


@pytest.mark.parametrize("target", sorted(set(re.findall(r"\]\(([^)]+)\)", README))))
def test_every_link_leads_somewhere(target: str) -> None:
    assert (ROOT / target).exists()
