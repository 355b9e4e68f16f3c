"""What is said about every way a file can end; pg_prove says the same of a large corpus."""

import functools
import os
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from endings import DIFFERENT, ENDINGS, Ending
from families import FAMILIES
from pgtap_runner import Result, loader, run_file
from support import rows, write

CORPUS = (
    {name: ending.sql for name, ending in ENDINGS.items()}
    | {f"{name}_passing": family.file(failing=False) for name, family in FAMILIES.items()}
    | {f"{name}_failing": family.file(failing=True) for name, family in FAMILIES.items()}
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The corpus as files."""
    folder = tmp_path_factory.mktemp("corpus")
    for name, text in CORPUS.items():
        write(folder / f"{name}.sql", text)
    return folder


@pytest.fixture(scope="module")
def result_of(tap_database: str, folder: Path) -> Callable[[str], Result]:
    """Run a file of the corpus, once."""

    @functools.cache
    def run(name: str) -> Result:
        return run_file(tap_database, folder / f"{name}.sql", name=f"{name}.sql")

    return run


def check(ending: Ending, result: Result) -> None:
    assert result.ok == (not ending.says), result.text()
    assert len(result.report.assertions) == ending.assertions, result.text()
    for words in ending.says:
        assert words in result.text()


@pytest.mark.parametrize("name", ENDINGS)
def test_every_way_to_end(name: str, result_of: Callable[[str], Result]) -> None:
    check(ENDINGS[name], result_of(name))


@pytest.mark.parametrize("name", DIFFERENT)
def test_where_pg_prove_says_otherwise(name: str, tap_database: str, tmp_path: Path) -> None:
    path = write(tmp_path / f"{name}.sql", DIFFERENT[name].sql)
    check(DIFFERENT[name], run_file(tap_database, path, name=path.name))


@pytest.mark.parametrize("name", FAMILIES)
def test_every_family_of_functions(name: str, result_of: Callable[[str], Result]) -> None:
    passing, failing = result_of(f"{name}_passing"), result_of(f"{name}_failing")
    assert passing.ok, passing.text()
    assert failing.error is None, failing.error
    assert failing.report.failures


def test_the_corpus_calls_nearly_every_function(tap_database: str) -> None:
    text = " ".join(CORPUS.values())
    functions = rows(
        tap_database,
        "select distinct proname from pg_proc join pg_namespace n on n.oid = pronamespace"
        f" where nspname = '{loader.SCHEMA}' and proname !~ '^_'",
    )
    called = [name for (name,) in functions if re.search(rf"\b{name}\(", text)]
    assert len(called) > 0.9 * len(functions) > 150


# --- side by side with pg_prove -------------------------------------------------------------------


Verdict = tuple[bool, set[int]]


def verdicts_of_pg_prove(
    folder: Path, psql: str, environment: dict[str, str]
) -> dict[str, Verdict]:
    """Return by file whether pg_prove passes it, and the assertions that it says failed."""
    environment = os.environ | environment | {"PGOPTIONS": f"-c search_path=public,{loader.SCHEMA}"}
    done = subprocess.run(
        ["pg_prove", "--nocolor", "--quiet", "--ext", ".sql", "--psql-bin", psql, folder],
        env=environment,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )
    listing, _, summary = done.stdout.partition("Test Summary Report")
    verdicts: dict[str, Verdict] = {
        name: (True, set()) for name in re.findall(r"(\w+)\.sql \.+ (?:ok|skipped)", listing)
    }
    # A file that passes is in the report too when a TODO of it does.
    for entry in re.split(r"^(?=\S+\.sql )", summary, flags=re.MULTILINE)[1:]:
        name = entry.partition(".sql ")[0].rpartition("/")[2]
        told = re.search(r"Failed tests?: +([0-9, -]+(?:\n +[0-9, -]+)*)", entry)
        failed = numbers(told[1]) if told else set()
        passed = not failed and "Non-zero exit" not in entry and "Parse errors" not in entry
        verdicts[name] = (passed, failed)
    return verdicts


def numbers(text: str) -> set[int]:
    """Read what prove makes of 1, 2, 3, 7: ``1-3, 7``."""
    found = set()
    for first, last in re.findall(r"(\d+)(?:-(\d+))?", text):
        found |= set(range(int(first), int(last or first) + 1))
    return found


@pytest.mark.skipif(shutil.which("pg_prove") is None, reason="pg_prove is not installed")
def test_same_verdicts_as_pg_prove(
    folder: Path,
    result_of: Callable[[str], Result],
    psql: str,
    libpq_environment: dict[str, str],
    capsys: pytest.CaptureFixture[str],
) -> None:
    theirs = verdicts_of_pg_prove(folder, psql, libpq_environment)
    results = {name: result_of(name) for name in CORPUS}
    ours = {n: (r.ok, {a.number for a in r.report.failures}) for n, r in results.items()}
    differences = {n: (ours[n], theirs.get(n)) for n in ours if ours[n] != theirs.get(n)}
    assert differences == {}
    assert len(ours) >= 60
    with capsys.disabled():
        passing = sum(passed for passed, _ in ours.values())
        print(f"\n{len(ours)} files: same verdict as pg_prove ({passing} of them pass)")
