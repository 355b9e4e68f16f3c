"""What of the client needs no database: arguments, errors, imports."""

import inspect
import pickle
import re
import subprocess
import sys
from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest
import rendio
from rendio import errors
from rendio._wire import default, jsonb, read_answer, render, unless_none


def test_arguments_that_were_not_given_are_left_out() -> None:
    query, values = render(
        "select f({})",
        [
            ("p_a => %s::uuid", None),
            ("p_b => %s::uuid", unless_none(None)),
            ("p_c => %s::integer", default("20")),
            ("p_d => %s::text", unless_none("")),
        ],
    )
    assert query == "select f(p_a => %s::uuid, p_d => %s::text)"
    assert values == [None, ""]


def test_null_settings_are_null_and_no_json_null() -> None:
    assert jsonb(None) is None
    assert jsonb({}).obj == {}


def test_a_default_shows_its_sql() -> None:
    signature = inspect.signature(rendio.Client.claim_video_jobs)
    assert "lease: datetime.timedelta = default('00:02:00')" in str(signature)


def test_a_time_needs_a_zone() -> None:
    render("select f({})", [("p_at => %s::timestamptz", datetime.now(UTC))])
    with pytest.raises(ValueError, match="at="):
        render("select f({})", [("p_at => %s::timestamptz", datetime(2026, 1, 1))])


def test_a_missing_key_names_the_remedy() -> None:
    with pytest.raises(errors.DatabaseOutdated) as refused:
        read_answer(lambda data: data["b"], '{"a": 1}', "select f()")
    assert refused.value.detail == {"missing": "b", "query": "select f()"}
    assert "rendio apply" in str(refused.value)


# --- errors ---------------------------------------------------------------------------------------


def all_errors() -> list[type[errors.RendioError]]:
    return [getattr(errors, name) for name in errors.__all__]


def test_every_error_is_exported() -> None:
    found = {
        name
        for name, value in vars(errors).items()
        if isinstance(value, type) and issubclass(value, Exception)
    }
    assert found == set(errors.__all__)


def test_the_tree_in_the_docstring_is_the_classes() -> None:
    drawn: list[type] = []
    for line in (errors.__doc__ or "").splitlines():
        if found := re.match(r"    ((?:│   )?)(?:[├└]── )?(\w+)", line):
            kind = getattr(errors, found[2])
            drawn.append(kind)
            if "─" in line:
                parent = drawn[0] if not found[1] else kind.__mro__[1]
                assert kind.__base__ is parent
                assert parent in drawn
    assert set(drawn) == set(all_errors())


@pytest.mark.parametrize("kind", all_errors())
def test_errors_survive_pickling(kind: type[errors.RendioError]) -> None:
    error = kind("slug", sqlstate="PT402", detail={"a": 1}, hint="do it", message="what")
    copied = pickle.loads(pickle.dumps(error))
    assert type(copied) is kind
    assert vars(copied) == vars(error)
    assert str(copied) == str(error) == "what (a 1): do it"
    assert kind.__module__ == "rendio.errors"


def test_an_error_made_by_hand_is_whole() -> None:
    """As a test of somebody's handler would make it."""
    error = errors.InsufficientCredits(detail={"required": 4, "available": 1})
    assert (error.slug, error.status, error.sqlstate) == ("insufficient_credits", 402, "PT402")
    assert str(error) == "insufficient_credits (required 4, available 1)"


# --- the package ----------------------------------------------------------------------------------


def python(code: str) -> Any:
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


def test_everything_promised_is_there() -> None:
    for name in rendio.__all__:
        assert getattr(rendio, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'Clients'"):
        _ = rendio.Clients


def test_importing_the_package_needs_no_libpq() -> None:
    code = "import rendio, sys; print(rendio.__version__, 'psycopg' in sys.modules)"
    assert python(code).split() == [rendio.__version__, "False"]


def test_a_missing_libpq_is_said_in_one_line() -> None:
    told = python(
        "import ctypes.util, os\n"
        "os.environ['PSYCOPG_IMPL'] = 'python'\n"
        "ctypes.util.find_library = lambda name: None\n"
        "try:\n"
        "    from rendio import Client\n"
        "except ImportError as error:\n"
        "    print(error)\n"
    )
    assert told == "psycopg finds no libpq on this machine: pip install 'rendio[binary]'\n"


def test_the_pool_package_is_not_imported() -> None:
    assert python("import rendio.client, sys; print('psycopg_pool' in sys.modules)") == "False\n"


def test_psycopg_errors_without_a_state_pass() -> None:
    """A client-side error, such as a lost connection, has no SQLSTATE."""
    from rendio._wire import translated

    with pytest.raises(psycopg.OperationalError, match="gone"), translated():
        raise psycopg.OperationalError("gone")
