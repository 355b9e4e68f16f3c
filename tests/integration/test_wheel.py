"""The wheel as a user gets it: built, installed alone into a new environment, run elsewhere."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

pytestmark = [pytest.mark.once, pytest.mark.thorough]

ROOT = Path(__file__).parents[2]

SERVE = """
import sys, rendio
with rendio.Client(sys.argv[1]) as client:
    guest = client.device_check(user_id=None, device_id="a device")
    print(guest.credits_remaining)
"""


def run(*command: str | Path, **options: object) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(command, capture_output=True, text=True, check=False, **options)  # type: ignore[call-overload]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check")
    done = run(*pip, "wheel", "--quiet", "--no-deps", "--wheel-dir", folder, ROOT)
    assert done.returncode == 0, done.stderr
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def bin_dir(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment that holds the wheel and what it asks for, no extra."""
    environment = tmp_path_factory.mktemp("alone") / "venv"
    done = run(sys.executable, "-m", "venv", environment)
    assert done.returncode == 0, done.stderr
    pip = environment / "bin" / "pip"
    done = run(pip, "install", "--quiet", "--disable-pip-version-check", wheel)
    assert done.returncode == 0, done.stderr
    return environment / "bin"


def test_the_wheel_holds_three_packages_and_the_sql(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    tops = {name.split("/")[0] for name in names if ".dist-info/" not in name}
    assert tops == {"rendio", "pgtap_runner", "pg_cron_compat"}
    ours = {name for name in names if name.startswith(("pgtap_runner/", "pg_cron_compat/"))}
    assert {name for name in ours if "/tests/" in name or name.endswith((".toml", ".md"))} == set()
    for folder in ("sql", "functions", "policies", "cron"):
        packed = {
            name.removeprefix("rendio/_sql/")
            for name in names
            if name.startswith(f"rendio/_sql/{folder}/") and name.endswith(".sql")
        }
        assert packed == {str(f.relative_to(ROOT)) for f in (ROOT / folder).rglob("*.sql")}


def test_alone_it_applies_and_serves(bin_dir: Path, empty_db: str, tmp_path: Path) -> None:
    done = run(bin_dir / "rendio", "apply", "--url", empty_db, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    done = run(bin_dir / "python", "-c", SERVE, empty_db, cwd=tmp_path)
    assert (done.stdout, done.stderr) == ("10\n", "")


@pytest.mark.parametrize(
    ("command", "extra"),
    [
        (["rendio", "apply", "--url", "postgresql://x"], "rendio[binary]"),
        (["pg-cron-compat", "install", "--url", "postgresql://x"], "psycopg[binary]"),
        (["pgtap-runner", "."], "psycopg[binary]"),
    ],
)
def test_without_libpq_it_says_so_in_one_line(
    bin_dir: Path, tmp_path: Path, command: list[str], extra: str
) -> None:
    # Python runs this module at its start; a machine without libpq answers the same.
    (tmp_path / "sitecustomize.py").write_text(
        "import ctypes.util\nctypes.util.find_library = lambda name: None\n"
    )
    bare = {"PYTHONPATH": str(tmp_path)}
    done = run(bin_dir / command[0], *command[1:], env=bare, cwd=tmp_path)
    assert done.returncode == 1
    assert done.stderr == (
        f"Error: psycopg finds no libpq on this machine: pip install '{extra}'\n"
    )


def test_without_a_carrier_the_embedded_database_says_what_to_install(
    bin_dir: Path, tmp_path: Path
) -> None:
    missing = {"PATH": f"{tmp_path}", "RENDIO_PG_BIN": str(tmp_path)}
    done = run(bin_dir / "rendio", "embedded", "status", env=missing, cwd=tmp_path)
    assert done.returncode == 1
    assert str(tmp_path) in done.stderr
    assert "Traceback" not in done.stderr
