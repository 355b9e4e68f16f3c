"""The README's example prints what the README says."""

import re
from pathlib import Path

import psycopg
import pytest
from click.testing import CliRunner
from pgtap_runner import cli
from support import run_plugin, write

README = (Path(__file__).parents[1] / "README.md").read_text()
SCHEMA = "create table orders (placed_at timestamptz not null default now())"


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


@pytest.fixture
def shop(pytester: pytest.Pytester, database: str) -> str:
    """The URL of the README's database; its test is in the working directory."""
    write(pytester.path / "tests/pgtap/orders.sql", blocks("sql")[0])
    with psycopg.connect(database) as connection:
        connection.execute(SCHEMA)
    return database


def test_the_command(shop: str) -> None:
    said = CliRunner().invoke(cli.main, ["-d", shop, "tests/pgtap"]).output
    expected = blocks("console")[0].partition("\n")[2]
    assert re.sub(r"[0-9.]+ wall", "0.05 wall", said) == expected


def test_pytest(shop: str, pytester: pytest.Pytester) -> None:
    pytester.makeini(f"[pytest]\npgtap_paths = tests/pgtap\npgtap_database_url = {shop}")
    said = "\n".join(run_plugin(pytester, "-v").outlines)
    for line in blocks("console")[1].splitlines()[1:]:
        assert line in said
