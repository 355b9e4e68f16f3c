"""What is said about every way a file can end; pg_prove says the same of a large corpus."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from endings import DIFFERENT, ENDINGS
from families import FAMILIES
from pgtap_runner import Result, loader, run_file
from support import rows, write

ALL_ENDINGS = ENDINGS | DIFFERENT


@pytest.mark.parametrize("name", ALL_ENDINGS)
def test_every_way_to_end(name: str, tap_database: str, tmp_path: Path) -> None:
    ending = ALL_ENDINGS[name]
    path = write(tmp_path / f"{name}.sql", ending.sql)
    result = run_file(tap_database, path, name=path.name)
    assert result.ok == (not ending.says), result.text()
    assert len(result.report.assertions) == ending.assertions, result.text()
    for words in ending.says:
        assert words in result.text()


def run_family(name: str, database: str, folder: Path, *, failing: bool) -> Result:
    text = FAMILIES[name].file(failing=failing)
    return run_file(database, write(folder / f"{name}.sql", text))


@pytest.mark.parametrize("name", FAMILIES)
def test_every_family_of_functions(name: str, tap_database: str, tmp_path: Path) -> None:
    passing = run_family(name, tap_database, tmp_path, failing=False)
    assert passing.ok, passing.text()
    failing = run_family(name, tap_database, tmp_path, failing=True)
    assert failing.error is None, failing.error
    assert failing.report.failures


def test_the_corpus_calls_nearly_every_function(tap_database: str) -> None:
    text = " ".join(
        [family.passing + family.failing for family in FAMILIES.values()]
        + [ending.sql for ending in ENDINGS.values()]
    )
    functions = rows(
        tap_database,
        "select distinct proname from pg_proc join pg_namespace n on n.oid = pronamespace"
        f" where nspname = '{loader.SCHEMA}' and proname !~ '^_'",
    )
    called = [name for (name,) in functions if re.search(rf"\b{name}\(", text)]
    assert len(called) > 0.9 * len(functions) > 150


# --- side by side with pg_prove -------------------------------------------------------------------


def corpus(folder: Path) -> list[Path]:
    """Write every file of which pg_prove must say the same."""
    texts = {name: ending.sql for name, ending in ENDINGS.items()}
    for name, family in FAMILIES.items():
        texts[f"{name}_passing"] = family.file(failing=False)
        texts[f"{name}_failing"] = family.file(failing=True)
    return [write(folder / f"{name}.sql", text) for name, text in sorted(texts.items())]


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
    tap_database: str,
    psql: str,
    libpq_environment: dict[str, str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    files = corpus(tmp_path)
    theirs = verdicts_of_pg_prove(tmp_path, psql, libpq_environment)
    results = [(path.stem, run_file(tap_database, path)) for path in files]
    ours = {name: (r.ok, {a.number for a in r.report.failures}) for name, r in results}
    differences = {
        name: (ours[name], theirs.get(name)) for name in ours if ours[name] != theirs.get(name)
    }
    assert differences == {}
    assert len(files) >= 60
    with capsys.disabled():
        passing = sum(passed for passed, _ in ours.values())
        print(f"\n{len(files)} files: same verdict as pg_prove ({passing} of them pass)")
