"""The command line: what it prints, its exit codes, how it finds tests and the database."""

import contextlib
import os
import pty
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest
from click.testing import CliRunner, Result
from endings import ENDINGS
from pgtap_runner import cli, loader, session
from support import rows, schemas, wait_until, write

RUN = f"from {cli.__name__} import main; main()"


def command(*arguments: str | Path) -> Result:
    return CliRunner().invoke(cli.main, [str(argument) for argument in arguments])


@pytest.fixture
def suite(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of tests, which is the working directory."""
    write(tmp_path / "t/good.sql", ENDINGS["passes"].sql)
    write(tmp_path / "t/more/bad.sql", ENDINGS["failing"].sql)
    write(tmp_path / "t/more/todo.sql", ENDINGS["todo"].sql)
    write(tmp_path / "t/more/skipped.sql", ENDINGS["skip_all"].sql)
    write(tmp_path / "t/more/notes.txt", "no test")
    write(tmp_path / "migrations/0001_boom.sql", "create table public.ran_as_a_test();")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_passing(suite: Path, tap_database: str) -> None:
    done = command("t", "--url", tap_database)
    assert done.exit_code == 0
    assert done.output.startswith("t/good.sql .. ok\nAll tests successful.\nFiles=1, Tests=2, ")
    assert done.output.endswith(" wallclock secs\nResult: PASS\n")
    assert "\x1b" not in done.output


def test_failing(suite: Path, tap_database: str) -> None:
    done = command("-r", "t", "--url", tap_database)
    assert done.exit_code == 1
    listing, _, summary = done.output.partition("\nTest Summary Report\n-------------------\n")
    assert listing == FAILING_LISTING
    assert re.sub(r" [0-9.]+ wall", " 0.01 wall", summary) == FAILING_SUMMARY


FAILING_LISTING = """\
t/good.sql .......... ok
t/more/bad.sql ......
t/more/bad.sql:4: not ok 2 - b
    #         have: 1
    #         want: 2
# Looks like you failed 1 test of 2
Failed 1/2 tests
t/more/skipped.sql .. skipped: not on this server
t/more/todo.sql ..... ok
"""
FAILING_SUMMARY = """\
t/more/bad.sql (Tests: 2 Failed: 1)
  Failed test:  2
t/more/todo.sql (Tests: 2 Failed: 0)
  TODO passed:  2
Files=4, Tests=6,  0.01 wallclock secs
Result: FAIL
"""


def test_how_much_is_printed(suite: Path, tap_database: str) -> None:
    def listing(option: str) -> str:
        output = command(option, "-r", "t", "--url", tap_database).output
        return output.partition("\nTest Summary")[0]

    assert "1..2\nok 1 - a\nnot ok 2 - b\n# Failed test 2" in listing("-v")
    assert "t/more/bad.sql ......\nFailed 1/2 tests\n" in listing("-q")
    assert listing("-Q") == ""
    assert re.search(r"^t/good.sql \.+ ok +[0-9]+ ms$", listing("--timer"), re.MULTILINE)


def test_which_files_and_in_which_order(suite: Path) -> None:
    found = command("-D", "-r", "t", "--ext", "d.sql").output.split()
    assert found == ["t/good.sql", "t/more/bad.sql", "t/more/skipped.sql"]
    assert command("-D", "-r", "t", "--ext", ".txt", "--ext", "todo.sql").output.split() == [
        "t/more/notes.txt",
        "t/more/todo.sql",
    ]
    ordered = command("--dry", "-r", "t").output.split()
    assert command("--dry", "-r", "--reverse", "t").output.split() == ordered[::-1]
    assert sorted(command("--dry", "-r", "--shuffle", "t").output.split()) == ordered


def test_several_at_a_time_print_the_same(suite: Path, tap_database: str) -> None:
    for number in range(8):
        write(suite / f"t/{number}.sql", ENDINGS["failing" if number % 2 else "passes"].sql)

    def output(jobs: str) -> str:
        done = command("-r", "-j", jobs, "t", "--url", tap_database)
        assert done.exit_code == 1
        return re.sub(r" [0-9.]+ wall", "", done.output)

    assert output("4") == output("1")


def test_a_bail_out_stops_what_runs_beside_it(suite: Path, tap_database: str) -> None:
    write(suite / "t/a_bail.sql", "select 'Bail out! no disk';")
    write(suite / "t/slow.sql", "select plan(1); select pg_sleep(600);")
    done = command("-j", "2", "--reverse", "t/slow.sql", "t/a_bail.sql", "--url", tap_database)
    assert done.exit_code == 255
    assert done.output.endswith("FAILED--Further testing stopped: no disk\n")


def heed_interrupts() -> None:
    """What a shell starts in the background is told to ignore them, and so are its children."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@pytest.mark.parametrize(
    ("jobs", "means"), [(1, signal.SIGINT), (2, signal.SIGINT), (2, signal.SIGTERM)]
)
def test_an_interrupt_ends_what_runs(
    jobs: int, means: signal.Signals, suite: Path, database: str
) -> None:
    for name in ("a", "b"):
        write(suite / f"t/slow_{name}.sql", "select plan(1); select pg_sleep(600);")
    arguments = ["-j", str(jobs), "t/slow_a.sql", "t/slow_b.sql", "--url", database]
    running = subprocess.Popen(
        [sys.executable, "-c", RUN, *arguments],
        stderr=subprocess.PIPE,
        preexec_fn=heed_interrupts,
    )
    asleep = (
        "select count(*) from pg_stat_activity"
        " where query = 'select pg_sleep(600)' and datname = current_database()"
    )
    wait_until(lambda: rows(database, asleep) == [(jobs,)])
    running.send_signal(means)
    _, told = running.communicate(timeout=30)
    assert (running.returncode, told) == (130, b"\nInterrupted\n")
    assert rows(database, asleep) == [(0,)]
    assert loader.SCHEMA not in schemas(database)


def test_colour_and_progress_on_a_terminal(suite: Path, tap_database: str) -> None:
    write(
        suite / "t/slow.sql", "select plan(2); select pass(); select pg_sleep(0.3); select pass();"
    )
    arguments = ["t/slow.sql", "t/more/bad.sql", "--url", tap_database]
    shown = on_a_terminal([sys.executable, "-c", RUN, *arguments])
    assert re.search(r"\rt/slow.sql \.+ 1/2\x1b\[K", shown)
    assert "\x1b[32mok\x1b[0m" in shown
    assert "\x1b[31mFailed 1/2 tests\x1b[0m" in shown
    assert "\x1b[3" not in on_a_terminal([sys.executable, "-c", RUN, "--nocolor", *arguments])


def on_a_terminal(arguments: list[str]) -> str:
    """Run a command on a terminal and return what it showed there."""
    ours, its = pty.openpty()
    running = subprocess.Popen(arguments, stdout=its, stdin=its)
    os.close(its)
    shown = b""
    with contextlib.suppress(OSError):  # Linux says EIO at the end
        while more := os.read(ours, 4096):
            shown += more
    os.close(ours)
    running.wait(timeout=30)
    return shown.decode().replace("\r\n", "\n")


# --- xUnit ----------------------------------------------------------------------------------------

FUNCTIONS = """
create schema checks;
create function checks.startup_world() returns setof text language plpgsql as
    $$ begin create table checks.seen (n int); return; end $$;
create function checks.test_good() returns setof text language plpgsql as
    $$ begin return next pass('fine'); end $$;
create function checks.test_bad() returns setof text language plpgsql as
    $$ begin return next is(1, 2, 'equal'); end $$;
create function checks.check_other() returns setof text language plpgsql as
    $$ begin return next pass('other'); end $$;
"""


@pytest.fixture
def functions(tap_database: str) -> Iterator[None]:
    with psycopg.connect(tap_database) as connection:
        connection.execute(FUNCTIONS)
    yield
    with psycopg.connect(tap_database) as connection:
        connection.execute("drop schema checks cascade")


@pytest.mark.usefixtures("functions")
def test_xunit(tap_database: str) -> None:
    done = command("--runtests", "checks", "--url", tap_database)
    assert done.exit_code == 1
    name = "runtests('checks'::name)"
    assert f"{name}:1: not ok 1 - checks.test_bad\n" in done.output
    assert "want: 2" in done.output
    assert f"{name} (Tests: 2 Failed: 1)\n  Failed test:  1\n" in done.output
    assert rows(tap_database, "select to_regclass('checks.seen')") == [(None,)]
    for arguments in (["-R", "-s", "checks"], ["-s", "checks"]):
        assert command(*arguments, "--url", tap_database).output.count(name) == 3


@pytest.mark.usefixtures("functions")
def test_xunit_by_name(tap_database: str) -> None:
    done = command("-R", "checks", "--match", "good$", "--url", tap_database)
    assert (done.exit_code, "Tests=1," in done.output) == (0, True)
    none = command("-R", "checks", "--match", "'nothing", "--url", tap_database)
    assert none.exit_code == 0
    assert "skipped: (no reason given)" in none.output
    assert none.output.endswith("Result: NOTESTS\n")


# --- endings --------------------------------------------------------------------------------------


def test_ends_at_a_bail_out(suite: Path, tap_database: str) -> None:
    write(suite / "t/a_bail.sql", "select 'Bail out! no disk';")
    done = command("t", "--url", tap_database)
    assert done.exit_code == 255
    assert done.output.endswith("Result: FAIL\nFAILED--Further testing stopped: no disk\n")
    assert "good.sql .. ok" not in done.output


def test_finds_the_database_like_psql(
    suite: Path, tap_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts = psycopg.conninfo.conninfo_to_dict(tap_database)
    monkeypatch.setenv("PGUSER", str(parts["user"]))
    monkeypatch.setenv("PGHOST", "/nowhere")
    monkeypatch.setenv("PGPORT", str(parts.get("port", 5432)))
    if password := parts.get("password"):
        monkeypatch.setenv("PGPASSWORD", str(password))
    host, name = str(parts["host"]), str(parts["dbname"])
    assert command("t", "--host", host, "--dbname", name).exit_code == 0
    assert command("t", "--dbname", tap_database).exit_code == 0


@pytest.mark.parametrize(
    ("arguments", "exit_code", "says"),
    [
        (["."], 2, "no *.sql in .; -r looks in its folders too"),
        (["t", "--ext", ".pg"], 2, "no *.pg in t"),
        (["nowhere"], 2, "'nowhere' does not exist"),
        ([], 2, "name the tests: files, folders, or --runtests"),
        (["t", "--url", "postgresql://nobody@/x?host=/nowhere"], 1, "/nowhere"),
        (["t", "--url", "nonsense"], 1, "nonsense"),
    ],
)
def test_refuses(suite: Path, arguments: list[str], exit_code: int, says: str) -> None:
    done = command(*arguments)
    assert done.exit_code == exit_code
    assert says in done.output
    assert "Traceback" not in done.output


def test_a_server_that_says_nothing(suite: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session, "CONNECT_TIMEOUT", 2)  # libpq's shortest
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"postgresql://nobody@127.0.0.1:{silent.getsockname()[1]}/x"
        done = command("t", "--url", url)
    assert done.exit_code == 1
    assert "timeout expired" in done.output


def test_two_commands_on_one_database(suite: Path, database: str) -> None:
    arguments = [sys.executable, "-c", RUN, "t", "t/more/todo.sql", "--url", database]
    with ThreadPoolExecutor() as pool:
        done = list(pool.map(lambda _: subprocess.run(arguments, check=False), range(2)))
    assert [process.returncode for process in done] == [0, 0]
    assert loader.SCHEMA not in schemas(database)
