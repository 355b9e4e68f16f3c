"""pg_cron_compat's own tests: in an empty environment of its own, and on each server."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import servers
from servers import Cluster, Run

pytestmark = [pytest.mark.shapeless, pytest.mark.thorough]

PACKAGE = Path(__file__).parents[2] / "py_glue" / "pg_cron_compat"


@pytest.fixture
def real_url(server: Cluster, run: Run) -> Iterator[str]:
    """An empty database that pg_cron can be created in, or nothing where there is none."""
    if server.cron_database != servers.CRON_DATABASE:
        yield ""
        return
    with run.exclusive("cron"):
        server.drop(servers.CRON_DATABASE)
        yield server.create(servers.CRON_DATABASE)
        server.drop(servers.CRON_DATABASE)


@pytest.fixture
def alone(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The interpreter of an environment with nothing but the built package, and its tests."""
    folder = tmp_path_factory.mktemp("alone")
    python = folder / "venv" / "bin" / "python"
    _run(sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", folder, PACKAGE)
    (wheel,) = folder.glob("*.whl")
    _run(sys.executable, "-m", "venv", folder / "venv")
    _run(python, "-m", "pip", "install", "-q", wheel)
    assert "handover" in _run(folder / "venv" / "bin" / "pg-cron-compat", "--help")
    _run(python, "-m", "pip", "install", "-q", "psycopg[binary]", "pytest", "hypothesis", "cronsim")
    # Away from the sources: what is tested is what was installed.
    tests = folder / "tests"
    tests.mkdir()
    for file in (PACKAGE / "tests").glob("*.py"):
        (tests / file.name).write_bytes(file.read_bytes())
    where = "import pg_cron_compat; print(pg_cron_compat.__file__)"
    assert str(folder) in _run(python, "-c", where)
    return python, tests


def _run(*command: str | Path) -> str:
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_its_own_tests_pass(server: Cluster, real_url: str, request: pytest.FixtureRequest) -> None:
    """On the first server in an environment of its own, on the others in this one."""
    python, tests = Path(sys.executable), PACKAGE / "tests"
    if "not once" not in request.config.getoption("markexpr"):
        python, tests = request.getfixturevalue("alone")
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    environment["PG_CRON_COMPAT_TEST_URL"] = server.superuser_url
    environment["PG_CRON_COMPAT_TEST_REAL_URL"] = real_url
    options = ["-q", "-ra", "-p", "no:cacheprovider", "-c", os.devnull, "--rootdir", tests]
    done = subprocess.run(
        [python, "-m", "pytest", *options, tests],
        env=environment,
        cwd=tests.parent,
        capture_output=True,
        text=True,
    )
    print(done.stdout)
    assert done.returncode == 0, done.stdout + done.stderr
