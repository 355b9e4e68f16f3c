"""The demo's own decisions, without a database."""

import json
import re
from pathlib import Path
from urllib.parse import parse_qs, urlsplit
from uuid import uuid4

import pytest
from click.testing import CliRunner
from rendio import embedded
from rendio.cli import demo as command
from rendio.cli import main
from rendio.demo import fal, report
from rendio.demo.day import ACTIONS, lines, told
from rendio.demo.report import Check, Row, Table
from rendio.demo.screen import Screen, Silence
from rendio.demo.screen_rich import RichScreen
from rendio.embedded import EmbeddedError
from rendio.results import ClaimedJob

Monkey = pytest.MonkeyPatch

LONG = "a text that is much longer than any column of the table could ever be, and goes on and on"


def table(left: int = 46) -> Table:
    rows = [Row("07:10", LONG, LONG, 50, "select 1;"), Row("08:10", "Mia asks", "1 job", -4, "")]
    return Table(rows, Row(None, "2 calls", "left on 1 account", left, "select 2;"))


# --- the story


def test_the_day_is_in_order_and_everybody_does_something_known() -> None:
    times = [line["at"] for line in lines()]
    assert times == sorted(times)
    assert all(re.fullmatch(r"([01]\d|2[0-3]):[0-5]\d", at) for at in times)
    assert {line["does"] for line in lines()} == set(ACTIONS)
    assert all({"at", "who", "does", "scene"} <= line.keys() for line in lines())


def test_a_line_is_told_in_words() -> None:
    line = {"at": "08:30", "who": "Ben", "does": "asks for a video", "video": "fox"}
    assert told(line) == "08:30  Ben asks for a video fox"


# --- the provider


def job() -> ClaimedJob:
    data = {"provider": "fal", "prompt": "A fox", "settings": {}, "attempt": 2}
    ids = {"user_id": str(uuid4()), "job_id": str(uuid4())}
    return ClaimedJob.from_json(data | ids | {"lease_expires_at": "2026-01-01T00:00:00+00:00"})


def test_our_ids_ride_in_the_callback_s_url() -> None:
    claimed = job()
    query = parse_qs(urlsplit(fal.submit(claimed).webhook_url).query)
    assert query == {
        "user": [str(claimed.user_id)],
        "job": [str(claimed.job_id)],
        "attempt": ["2"],
    }


def test_webhooks_have_fal_s_format() -> None:
    submission = fal.submit(job())
    good, bad = (json.loads(body) for body in (submission.result("u"), submission.failure("no")))
    for body in (good, bad):
        assert set(body) == {"request_id", "gateway_request_id", "status", "payload", "error"}
        assert body["request_id"] == submission.request_id
    assert (good["status"], good["payload"]["video"]["url"], good["error"]) == ("OK", "u", None)
    assert (bad["status"], bad["payload"]["detail"][0]["msg"], bad["error"]) == (
        "ERROR",
        "no",
        "no",
    )


# --- the screen


@pytest.mark.parametrize("columns", [80, 100])
def test_nothing_is_wider_than_the_screen(
    columns: int, capsys: pytest.CaptureFixture[str], monkeypatch: Monkey
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    plain, rich = Screen(), RichScreen()
    plain.width = columns
    checks = [Check("A claim", True, LONG + LONG, "select;"), Check("Another", False, "no", "")]
    for screen in (plain, rich):
        with screen.stage("Working", 5) as stage:
            stage.step("a step", 3)
            stage.result = "Worked"
        screen.table(table())
        screen.paragraph(LONG + LONG)
        screen.proof(checks)
        screen.verdict("What is marked does not hold.", ok=False)
        text = capsys.readouterr().out
        assert max(map(len, text.splitlines())) <= columns
        for word in ("Worked", "07:10", "+50", "-4", "46", "A claim", "✗ Another", "marked"):
            assert word in text


def test_a_terminal_is_used_up_to_100_columns(monkeypatch: Monkey) -> None:
    monkeypatch.setenv("COLUMNS", "240")
    assert RichScreen().width == 100


def test_a_table_without_times_has_no_column_for_them(capsys: pytest.CaptureFixture[str]) -> None:
    row = Row(None, "asked", "happened", 0, "")
    Screen().table(Table([row], row))
    assert "  asked           happened             0" in capsys.readouterr().out.splitlines()


def test_a_long_stage_tells_how_far_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    with Screen().stage("Generating", 1000) as stage:
        for done in range(0, 1001, 50):
            stage.step("fast", done)
    told = capsys.readouterr().out
    assert re.findall(r"([\d,]+) of 1,000  fast", told) == ["200", "400", "600", "800"]


def test_machines_are_told_nothing_on_the_way(capsys: pytest.CaptureFixture[str]) -> None:
    with Silence().stage("Working") as stage:
        stage.step("a step")
    Silence().table(table())
    assert capsys.readouterr().out == ""


def test_rows_that_do_not_add_up_are_noticed() -> None:
    assert table(46).adds_up
    assert not table(47).adds_up


def test_queries_are_cut_at_the_ends_of_lines() -> None:
    names = ("day.sql", "size.sql", "proof.sql", "notes.sql")
    for query in (query for name in names for query in report.queries(name)):
        assert query.startswith(("select", "with"))
        assert len(re.findall(r"(?m);$", query)) == 1


# --- the command


@pytest.mark.parametrize("arguments", [["demo"], ["demo", "--proof"], ["demo", "--json"]])
def test_without_a_server_it_says_what_to_install(
    arguments: list[str], tmp_path: Path, monkeypatch: Monkey
) -> None:
    def nothing(major: int | None = None) -> Path:
        raise EmbeddedError("nothing here")

    monkeypatch.delenv("RENDIO_PG_BIN", raising=False)
    monkeypatch.setattr(embedded, "carrier_binaries", nothing)
    monkeypatch.setattr(embedded, "system_binaries", nothing)
    monkeypatch.setenv("RENDIO_HOME", str(tmp_path))
    ended = CliRunner().invoke(main, arguments)
    assert ended.exit_code == 1
    assert "pip install 'rendio[embedded]'" in ended.output
    assert "Traceback" not in ended.output


@pytest.mark.parametrize(
    "arguments", [["--users", "0"], ["--generations", "-1"], ["--proof", "--users", "5"], ["x"]]
)
def test_wrong_use_is_exit_code_2(arguments: list[str]) -> None:
    assert CliRunner().invoke(main, ["demo", *arguments]).exit_code == 2


def test_plain_text_where_rich_or_a_terminal_is_missing(monkeypatch: Monkey) -> None:
    class Terminal:
        def isatty(self) -> bool:
            return True

    monkeypatch.setenv("TERM", "xterm")
    assert type(command._screen(as_json=False)) is Screen
    monkeypatch.setattr(command.sys, "stdout", Terminal())
    assert type(command._screen(as_json=False)) is RichScreen
    assert type(command._screen(as_json=True)) is Silence
    monkeypatch.setattr(command, "find_spec", lambda name: None)
    assert type(command._screen(as_json=False)) is Screen


def test_it_names_itself_as_it_was_called(tmp_path: Path, monkeypatch: Monkey) -> None:
    program = tmp_path / ".venv" / "bin" / "rendio"
    program.parent.mkdir(parents=True)
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(command.sys, "argv", [".venv/bin/rendio", "demo"])
    monkeypatch.setenv("PATH", "/usr/bin")
    assert command._program() == ".venv/bin/rendio"
    monkeypatch.setattr(command.sys, "argv", [str(program), "demo"])
    assert command._program() == ".venv/bin/rendio"
    monkeypatch.setenv("PATH", str(program.parent))
    assert command._program() == "rendio"
    monkeypatch.setattr(command.sys, "argv", ["-c", "demo"])
    assert command._program() == "rendio"


def test_no_variable_leads_elsewhere(monkeypatch: Monkey) -> None:
    monkeypatch.setenv("PGHOST", "production")
    command._forget_environment()
    assert "PGHOST" not in command.os.environ
