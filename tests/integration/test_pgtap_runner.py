"""pgtap_runner is a package of its own: it builds and installs alone and passes its tests there."""

import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from servers import Cluster

pytestmark = [pytest.mark.once, pytest.mark.thorough]

PROJECT = Path(__file__).parents[2] / "py_glue" / "pgtap_runner"
PIP = (sys.executable, "-m", "pip", "--disable-pip-version-check")


def run(
    *command: str | Path, cwd: Path | None = None, env: dict[str, str] | None = None
) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        command, capture_output=True, text=True, check=False, cwd=cwd, env=env, timeout=300
    )


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    done = run(*PIP, "wheel", "--quiet", "--no-deps", "--wheel-dir", folder, PROJECT)
    assert done.returncode == 0, done.stderr
    (built,) = folder.glob("*.whl")
    return built


def test_its_wheel_holds_the_package_and_no_tests(wheel: Path) -> None:
    names = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    sources = {f"pgtap_runner/{path.name}" for path in PROJECT.glob("*.py")}
    assert names == sources | {"pgtap_runner/py.typed"}


def test_alone_it_passes_its_own_tests(
    wheel: Path, tmp_path: Path, server: Cluster, capsys: pytest.CaptureFixture[str]
) -> None:
    python = tmp_path / "venv" / "bin" / "python"
    done = run(sys.executable, "-m", "venv", "--without-pip", tmp_path / "venv")
    assert done.returncode == 0, done.stderr
    into = (*PIP, "--python", python, "install", "--quiet")
    done = run(*into, wheel)
    assert done.returncode == 0, done.stderr
    alone = run(python.with_name("pgtap-runner"), "--help", cwd=tmp_path)
    assert alone.stdout.startswith("Usage: pgtap-runner "), alone.stderr
    done = run(*into, "--group", f"{PROJECT / 'pyproject.toml'}:test")
    assert done.returncode == 0, done.stderr
    environment = os.environ | {
        "PGTAP_RUNNER_TEST_URL": server.superuser_url,
        "PGTAP_RUNNER_TEST_PSQL": str(server.psql_path),
    }
    options = ("-p", "no:cacheprovider", "--basetemp", tmp_path / "tests", PROJECT / "tests")
    done = run(python, "-P", "-m", "pytest", *options, cwd=tmp_path, env=environment)
    assert done.returncode == 0, done.stdout + done.stderr
    with capsys.disabled():
        for told in re.findall(r"^.*pg_prove.*$|^=.* passed.*=$", done.stdout, re.MULTILINE):
            print(f"\npgtap_runner alone: {told.strip(' =')}")
