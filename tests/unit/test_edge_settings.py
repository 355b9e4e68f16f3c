"""What the environment says to `rendio serve`, and that it never says it again."""

import copy
import pickle
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from rendio.cli import main
from rendio.edge import settings as module
from rendio.edge.settings import DEVELOPMENT_SECRET, Secret, Settings, SettingsError, is_loopback

ROOT = Path(__file__).parents[2]
JWT_SECRET = "0123456789abcdef0123456789abcdef"
URL = "postgresql://login:hunter2@db.example.com/app"


def pem(key: Any) -> str:
    made: bytes = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return made.decode()


def read(insecure_dev: bool = False, **environ: str) -> Settings:
    return Settings.from_environment(URL, insecure_dev=insecure_dev, environ=environ)


def wrong(insecure_dev: bool = False, **environ: str) -> str:
    with pytest.raises(SettingsError) as caught:
        read(insecure_dev, **environ)
    for value in environ.values():
        assert len(value) < 8 or value not in str(caught.value)
    return str(caught.value)


# --- the environment ------------------------------------------------------------------------------


def test_the_example_names_every_variable_and_its_default() -> None:
    text = (ROOT / ".env.example").read_text()
    shown = dict(re.findall(r"^([A-Z_]+)=(.*)$", text, re.M))
    source = Path(module.__file__).read_text()
    named = set(re.findall(r'"((?:RENDIO|APPLE)_[A-Z_]+)"', source))
    named |= {f"RENDIO_TIMEOUT_{role.upper()}" for role in module.ROLES}
    assert set(shown) - {"DATABASE_URL"} == named
    given = {name: value for name, value in shown.items() if value}
    assert repr(read(**given, RENDIO_JWT_SECRET=JWT_SECRET)) == repr(
        read(RENDIO_JWT_SECRET=JWT_SECRET)
    )


def test_what_is_set_is_read() -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    found = read(
        RENDIO_JWT_SECRET=JWT_SECRET,
        RENDIO_POOL_SIZE="3",
        RENDIO_POOL_SECONDS="0.5",
        RENDIO_TIMEOUT_ANON="1.5",
        RENDIO_PRE_REQUEST="public.check_request",
        APPLE_TEAM_ID="TEAM",
        APPLE_DEVICECHECK_KEY_ID="KEY",
        APPLE_DEVICECHECK_PRIVATE_KEY=pem(key).replace("\n", "\\n"),
        APPLE_BUNDLE_ID="com.example.video",
        APPLE_APP_ID="12",
        APPLE_ROOT_CERTIFICATES="a.cer  b.cer",
    )
    assert (found.pool_size, found.pool_seconds) == (3, 0.5)
    assert found.statement_seconds == {"anon": 1.5, "authenticated": 8, "service_role": 30}
    assert found.apple.root_certificates == ("a.cer", "b.cer")
    assert found.apple.has_devicecheck
    assert found.apple.has_app_store
    assert found.apple.devicecheck_private_key
    assert found.apple.devicecheck_private_key.reveal().strip() == pem(key).strip()


def test_everything_that_is_wrong_is_told_at_once() -> None:
    told = wrong(
        RENDIO_JWT_SECRET="short",
        RENDIO_JWKS="http://keys.example.com/set",
        RENDIO_POOL_SIZE="0",
        RENDIO_POOL_QUEUE="1.5",
        RENDIO_POOL_SECONDS="nan",
        RENDIO_BODY_LIMIT="much",
        RENDIO_BODY_SECONDS="inf",
        RENDIO_PRE_REQUEST="f(); drop table users",
        APPLE_APP_ID="video",
        APPLE_DEVICECHECK_URL="http://apple.example.com",
        APPLE_DEVICECHECK_PRIVATE_KEY="-----BEGIN PRIVATE KEY-----",
    )
    lines = told.splitlines()
    assert len(lines) == 11
    assert len({line.partition(":")[0] for line in lines}) == 11


def test_a_key_of_another_kind_is_refused() -> None:
    for key in (
        rsa.generate_private_key(public_exponent=65537, key_size=2048),
        ec.generate_private_key(ec.SECP384R1()),
    ):
        given = {"RENDIO_JWT_SECRET": JWT_SECRET, "APPLE_DEVICECHECK_PRIVATE_KEY": pem(key)}
        assert wrong(**given).startswith("APPLE_DEVICECHECK_PRIVATE_KEY")


def test_some_key_must_be_there() -> None:
    assert wrong() == "RENDIO_JWT_SECRET or RENDIO_JWKS: one must be set"
    assert read(RENDIO_JWKS="https://keys.example.com/set").jwt_secret is None


def test_the_public_secret_is_for_development_alone() -> None:
    assert "public" in wrong(RENDIO_JWT_SECRET=DEVELOPMENT_SECRET)
    found = read(insecure_dev=True).jwt_secret
    assert found
    assert found.reveal() == DEVELOPMENT_SECRET
    assert read(True, RENDIO_JWKS="https://keys.example.com/set").jwt_secret is None


def test_a_secret_does_not_show() -> None:
    found = read(RENDIO_JWT_SECRET=JWT_SECRET)
    told = f"{found!r} {found} {found.jwt_secret} {vars(found)}"
    assert JWT_SECRET not in told
    assert "hunter2" not in told
    for leak in (pickle.dumps, copy.deepcopy):
        with pytest.raises(TypeError):
            leak(Secret("a"))


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("127.0.0.1", True),
        ("127.8.8.8", True),
        ("::1", True),
        ("localhost", True),
        ("0.0.0.0", False),
        ("::", False),
        ("", False),
        ("10.0.0.1", False),
        ("localhost.example.com", False),
    ],
)
def test_loopback(host: str, expected: bool) -> None:
    assert is_loopback(host) is expected


# --- the command ----------------------------------------------------------------------------------


@pytest.fixture
def rendio(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    for name in ("DATABASE_URL", "RENDIO_JWT_SECRET", "RENDIO_JWKS"):
        monkeypatch.delenv(name, raising=False)

    def run(*arguments: str, **environ: str) -> Result:
        return CliRunner().invoke(main, ["serve", *arguments], env=environ)

    return run


def test_development_stays_on_the_machine(rendio: Any) -> None:
    for host in ("0.0.0.0", "::", "192.168.1.2"):
        found = rendio("--insecure-dev", "--host", host, "--check", DATABASE_URL=URL)
        assert found.exit_code == 2
        assert "loopback" in found.output


def test_a_password_does_not_go_on_the_command_line(rendio: Any) -> None:
    for url in (URL, "host=db password=hunter2", "postgresql://db/app?password=hunter2"):
        found = rendio("--url", url, "--check")
        assert found.exit_code == 2
        assert "hunter2" not in found.output
    nonsense = rendio("--url", "hunter2 = = =", "--check")
    assert (nonsense.exit_code, "hunter2" in nonsense.output) == (2, False)


def test_what_is_missing_is_told(rendio: Any) -> None:
    assert rendio("--check").exit_code == 2
    found = rendio("--check", DATABASE_URL=URL)
    assert found.exit_code == 1
    assert "RENDIO_JWT_SECRET" in found.output
    assert "hunter2" not in found.output


def test_a_database_that_is_not_there_is_told(rendio: Any, tmp_path: Path) -> None:
    url = f"host={tmp_path} user=hunter1 password=hunter2 dbname=app"
    found = rendio("--check", DATABASE_URL=url, RENDIO_JWT_SECRET=JWT_SECRET)
    assert found.exit_code == 1
    assert "missing  the database answers" in found.output
    assert "hunter" not in found.output


@pytest.mark.parametrize("library", ["starlette", "uvicorn", "httpx", "psycopg_pool", "jwt"])
def test_without_the_extra_it_says_so(library: str) -> None:
    code = (
        f"import sys; sys.modules[{library!r}] = None; from rendio.cli import main; main(['serve'])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr == "Error: This needs more libraries: pip install 'rendio[edge]'\n"
