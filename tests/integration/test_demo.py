"""`rendio demo` as a person runs it, on a server of its own; what it shows must be so."""

import json
import os
import re
import shlex
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
import servers
from pg_cron_compat.runner import LEAD
from rendio import embedded, migrate
from rendio.cli.demo import _program
from rendio.demo import report
from rendio.demo.cron import lead
from rendio.demo.database import LOCK
from rendio.demo.day import lines
from waiting import until

pytestmark = pytest.mark.shapeless

Conn = psycopg.Connection[Any]
Demo = Callable[..., subprocess.CompletedProcess[str]]

ROOT = Path(__file__).parents[2]
RENDIO = [sys.executable, "-c", "from rendio.cli import main; main(prog_name='rendio')"]
CLAIMS = {
    "The books agree",
    "Credits add up",
    "A job is charged once",
    "A key is charged once",
    "A job ends once",
    "No report is lost",
    "A purchase counts once",
    "A device is granted once",
    "Nobody spends for others",
    "No balance below zero",
    "Nothing is overdue",
}


@pytest.fixture(scope="module")
def home(run: servers.Run) -> Iterator[dict[str, str]]:
    """The environment of a machine where PG* and DATABASE_URL lead somewhere else."""
    bin_dir = run.bin_dir or embedded.find_binaries()
    scratch = servers.Scratch(bin_dir, in_memory=True)
    elsewhere = {"DATABASE_URL": "postgresql://nowhere/x", "PGHOST": "nowhere", "PGDATABASE": "x"}
    here = {"RENDIO_HOME": str(scratch.folder), "RENDIO_PG_BIN": str(bin_dir)}
    yield {**os.environ, **elsewhere, **here}
    scratch.close()


@pytest.fixture(scope="module")
def rendio(home: dict[str, str]) -> Demo:
    def call(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([*RENDIO, *arguments], env=home, capture_output=True, text=True)

    return call


@pytest.fixture(scope="module")
def day(rendio: Demo) -> dict[str, Any]:
    """What a demo told; its database is the one that the other tests look at."""
    played = rendio("demo", "--json")
    assert played.returncode == 0, played.stderr
    told: dict[str, Any] = json.loads(played.stdout)
    return told


@pytest.fixture(scope="module")
def url(home: dict[str, str]) -> str:
    bin_dir = Path(home["RENDIO_PG_BIN"])
    major = embedded.server_version(bin_dir).split(".")[0]
    return embedded.Server(bin_dir, Path(home["RENDIO_HOME"]) / f"pg{major}").url()


@pytest.fixture
def conn(day: dict[str, Any], url: str) -> Iterator[Conn]:
    """The demo's database, as its superuser; what a test does to it is rolled back."""
    with psycopg.connect(url) as connection:
        yield connection
        connection.rollback()


def one(conn: Conn, query: str, *values: object) -> Any:
    row = conn.execute(query.encode(), values or None).fetchone()
    assert row
    return row[0] if len(row) == 1 else row


def job(conn: Conn, video: str) -> Any:
    """A job of the story, told apart by its prompt."""
    prompt = next(line["prompt"] for line in lines() if line.get("video") == video)
    query = (
        "select count(*), min(status), min(error_code), sum(credits_used - credits_refunded)::int"
        " from video_jobs where prompt = %s"
    )
    return one(conn, query, prompt)


# --- the day


def test_every_check_of_the_day_holds(day: dict[str, Any]) -> None:
    assert {check["claim"] for check in day["proof"] if check["ok"]} == CLAIMS
    assert len(day["proof"]) == len(CLAIMS)
    assert day["ok"] is True


def test_the_day_happened_as_its_lines_say(conn: Conn) -> None:
    """Asked of the product's tables alone, not of the demo's diary."""
    assert one(conn, "select count(*) from users") == 5
    assert job(conn, "lighthouse") == (1, "completed", None, 4)
    assert job(conn, "fox") == (1, "completed", None, 4)
    assert job(conn, "samba") == (1, "completed", None, 4)
    assert job(conn, "desert") == (1, "completed", None, 4)
    assert job(conn, "whale") == (1, "completed", None, 4)
    assert job(conn, "tram") == (1, "completed", None, 4)
    assert job(conn, "train") == (1, "completed", None, 2)
    assert job(conn, "logo") == (1, "failed", "provider_error", 0)
    assert job(conn, "tunnel") == (1, "failed", "timed_out", 0)
    assert job(conn, "typo") == (1, "failed", "cancelled", 0)
    assert job(conn, "heist")[0] == job(conn, "dream")[0] == 0
    assert one(conn, "select sum(credits_added) from iap_transactions") == 20
    outcomes = "select array_agg(outcome order by outcome) from provider_jobs where outcome > ''"
    assert one(conn, outcomes) == ["failed", "succeeded"]
    assert one(conn, "select count(*) from reconcile_credits()") == 0


def test_the_calls_were_made_as_the_lines_say(conn: Conn) -> None:
    def calls(scene: str, where: str) -> int:
        query = f"select count(*) from demo.calls where scene = %s and {where}"
        return int(one(conn, query, scene))

    assert (
        calls("at once", "call = 'generate_video_atomic' and answer ->> 'replayed' = 'true'") == 19
    )
    assert calls("lost", "call = 'generate_video_atomic' and answer is null") == 1
    assert calls("twice", "call = 'complete_video_job'") == 2
    assert calls("early", "call = 'start_video_job' and answer ->> 'current' = 'true'") == 1
    assert calls("order", "call = 'start_video_job' and answer ->> 'current' = 'false'") == 1
    assert calls("purchase", "call = 'record_iap_purchase'") == 2
    assert calls("theft", "error > ''") == 3
    assert calls("cron", "call = 'sweep-stuck-jobs'") > 0
    assert calls("cron", "call = 'ensure-partitions'") == 1


def test_every_figure_is_its_query_s_answer(day: dict[str, Any], conn: Conn) -> None:
    for row in [*day["table"]["rows"], day["table"]["total"]]:
        assert one(conn, row["query"]) == (row["at"], row["asked"], row["happened"], row["credits"])
    for note in day["notes"]:
        assert one(conn, note["query"]) == note["text"]
    for check in day["proof"]:
        assert one(conn, check["query"]) == (check["claim"], check["ok"], check["found"])
    assert len(day["table"]["rows"]) == len({line["scene"] for line in lines()} - {"night"})


# --- the proof


TAMPERINGS = {
    "a balance raised": (
        "update users set credits_remaining = credits_remaining + 1"
        " where id = (select min(id::text)::uuid from users)",
        {"The books agree", "Credits add up"},
    ),
    "a ledger entry deleted": (
        "delete from quota_log where reason = 'initial_grant'"
        " and user_id = (select min(id::text)::uuid from users)",
        {"The books agree", "Credits add up", "A device is granted once"},
    ),
    "a charge deleted": (
        "delete from quota_log where reason = 'video_generation' and (user_id, seq) in"
        " (select user_id, seq from quota_log where reason = 'video_generation' limit 1)",
        {"The books agree", "Credits add up", "A job is charged once"},
    ),
    "a job that nobody paid": (
        "insert into video_jobs (user_id, job_id, model_id, created_at, times_out_at,"
        " credits_used, provider, prompt, status) select user_id, gen_random_uuid(), model_id,"
        " created_at, times_out_at, credits_used, provider, prompt, 'completed'"
        " from video_jobs limit 1",
        {"The books agree", "A job is charged once", "A key is charged once"},
    ),
    "a refund kept back": (
        "update video_jobs set credits_refunded = 0 where error_code = 'cancelled'",
        {"The books agree", "A job ends once"},
    ),
    "a job left open": (
        "update video_jobs set status = 'processing', times_out_at = now() - interval '1 hour'"
        " where error_code = 'timed_out'",
        {"A job ends once", "Nothing is overdue"},
    ),
    "a late video that is said to have failed": (
        "update provider_jobs set outcome = 'failed' where outcome = 'succeeded'",
        {"No report is lost"},
    ),
    "a device that may have its grant again": (
        "delete from account_identities where identifier = 'mia-iphone'",
        {"A device is granted once"},
    ),
    "a device whose grant is unclaimed": (
        "update account_identities set initial_grant_claimed = false"
        " where identifier = 'ben-iphone'",
        {"A device is granted once"},
    ),
    "a purchase that came to more": (
        "update iap_transactions set credits_added = 120",
        {"The books agree", "A purchase counts once"},
    ),
    "a theft that worked": (
        "update demo.calls set error = null where error = 'not_your_account'",
        {"Nobody spends for others"},
    ),
}


@pytest.mark.parametrize("name", TAMPERINGS)
def test_the_proof_turns_red_when_one_row_is_tampered_with(name: str, conn: Conn) -> None:
    tampering, red = TAMPERINGS[name]
    assert conn.execute(tampering.encode()).rowcount == 1
    assert {check.claim for check in report.proof(conn) if not check.ok} >= red


def test_a_query_that_fails_is_a_check_that_fails(conn: Conn) -> None:
    conn.execute("drop function reconcile_credits")
    broken = [check for check in report.proof(conn) if not check.ok]
    assert len(broken) == 1
    assert "reconcile_credits() does not exist" in broken[0].found


def test_a_table_that_does_not_add_up_is_not_well(conn: Conn) -> None:
    conn.execute("update users set credits_remaining = credits_remaining + 1")
    assert not report.table(conn, "day.sql").adds_up


def test_the_proof_holds_when_the_jobs_have_tidied_up(conn: Conn) -> None:
    """A hundred days later: the keys are gone and the videos in the archive."""
    later = "interval '100 days'"
    jobs = one(conn, "select count(*) from video_jobs")
    conn.execute(f"update idempotency_log set expires_at = expires_at - {later}".encode())
    conn.execute(
        f"update video_jobs set created_at = created_at - {later},"
        f" times_out_at = times_out_at - {later}, completed_at = completed_at - {later}".encode()
    )
    commands = conn.execute("select command from cron.job").fetchall()
    assert len(commands) == len(list((ROOT / "cron").glob("*.sql")))
    for (command,) in commands:
        conn.execute(command)
    assert one(conn, "select count(*) from idempotency_log") == 0
    assert one(conn, "select count(*) from video_jobs") == 0
    assert one(conn, "select count(*) from video_jobs_archive") == jobs
    assert [check for check in report.proof(conn) if not check.ok] == []


# --- the cron jobs


def runs_by_itself(url: str) -> bool:
    """Whether every job is scheduled and somebody runs them; asking starts nobody who would."""
    found = migrate.status(url)
    assert not found.pending
    assert len(found.jobs) == len(list((ROOT / "cron").glob("*.sql")))
    assert all(job.runs.startswith("scheduled: ") for job in found.jobs)
    return all(job.runs.endswith(" by pg-cron-compat") for job in found.jobs)


def test_after_it_the_server_runs_the_jobs_again(day: dict[str, Any], url: str) -> None:
    until(lambda: runs_by_itself(url))
    done = (
        "select count(*) from cron.job_run_details inner join cron.job using (jobid)"
        " where jobname = 'works' and status = 'succeeded'"
    )
    with psycopg.connect(url, autocommit=True) as conn:
        conn.execute("select cron.schedule('works', '1 second', 'select 1')")
        until(lambda: one(conn, done))
        conn.execute("select cron.unschedule('works')")


def test_while_it_plays_nobody_else_runs_them(day: dict[str, Any], url: str) -> None:
    with psycopg.connect(url.replace("/rendio", "/postgres"), autocommit=True) as admin:
        admin.execute("create database led")
        try:
            led = url.replace("/rendio", "/led")
            with (
                psycopg.connect(led, autocommit=True) as player,
                psycopg.connect(led, autocommit=True) as runner,
            ):
                lead(player)
                assert one(runner, LEAD)[:2] == (True, False)
                player.close()
                until(lambda: one(runner, LEAD)[:2] == (True, True))
        finally:
            admin.execute("drop database led with (force)")


# --- the command


@pytest.mark.once
@pytest.mark.parametrize(
    ("folder", "here", "said"),
    [
        ("my tools", "elsewhere", "'{tmp}/my tools/rendio'"),
        ("my tools", ".", "'my tools/rendio'"),
        ("bin", ".", "bin/rendio"),
        ("bin", "bin", "./rendio"),
    ],
)
def test_what_it_says_to_try_next_is_for_the_shell(
    folder: str, here: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / folder / "rendio"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\necho here\n")
    program.chmod(0o755)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / here)
    monkeypatch.setattr(sys, "argv", [str(program), "demo"])
    assert _program() == said.format(tmp=tmp_path)
    printed = subprocess.run(_program(), shell=True, capture_output=True, text=True)
    assert printed.stdout == "here\n"


def same_everywhere(line: str) -> str:
    """A line of output without what differs by run and place: PostgreSQL, paths, durations."""
    line = re.sub(r"PostgreSQL \S+ is running in \S+", "PostgreSQL … is running in …", line)
    line = re.sub(r" \d+\.\d s$", " … s", line.replace(".venv/bin/", ""))
    return " ".join(line.split())


def test_what_it_shows_and_what_it_says_to_try_next(day: dict[str, Any], rendio: Demo) -> None:
    """A second demo starts over; the commands of its last lines work, and cheating is found out."""
    shown = rendio("demo", "-v")
    assert shown.returncode == 0, shown.stderr
    assert max(map(len, shown.stdout.splitlines())) <= 100
    assert "✗" not in shown.stdout

    printed = " ".join(shown.stdout.split())
    for note in day["notes"]:
        assert note["text"] in printed
        assert " ".join(note["query"].split()) in printed
    for row in [*day["table"]["rows"], day["table"]["total"]]:
        assert row["asked"] in shown.stdout
        assert " ".join(row["query"].split()) in printed
    for check in day["proof"]:
        assert " ".join(check["query"].split()) in printed
    assert "create view demo.scenes" in printed

    block = (ROOT / "README.md").read_text().split("$ make demo\n")[1].split("```")[0]
    lines_said = iter([same_everywhere(line) for line in shown.stdout.splitlines()])
    for line in block.splitlines():  # in this order; -v has its queries in between
        assert same_everywhere(line) in lines_said, f"README.md shows: {line}"

    said = re.findall(r"(?m)^    rendio (.*)$", shown.stdout)
    psql, look, cheat, prove, at_size, served, stop = map(shlex.split, said)
    assert psql == ["psql"]
    assert "generate_video_atomic" in rendio(*look).stdout
    assert rendio(*cheat).stdout == "UPDATE 5\n"
    proven = rendio(*prove)
    assert proven.returncode == 1
    assert "✗ The books agree" in proven.stdout
    assert at_size == ["demo", "--users", "1000", "--generations", "20000"]
    assert served == ["demo", "--serve"]
    assert stop == ["embedded", "stop"]


def test_it_plays_at_size(rendio: Demo) -> None:
    played = rendio("demo", "--users", "20", "--generations", "120", "--json")
    told = json.loads(played.stdout)
    assert played.returncode == 0, told
    assert {check["claim"] for check in told["proof"] if check["ok"]} == CLAIMS
    assert told["table"]["rows"][0]["asked"] == "20 guests open the app"
    assert told["table"]["rows"][1]["happened"].startswith("120 jobs")


def curl(line: str, variables: dict[str, str]) -> httpx.Response:
    """Send what a printed line of curl would."""
    words = (
        re.sub(r"\$(\w+)", lambda name: variables[name[1]], word) for word in shlex.split(line)
    )
    assert next(words) == "curl"
    assert next(words) in ("-s", "-si")
    url, headers, body = next(words), {}, None
    for word in words:
        if word == "-H":
            name, value = next(words).split(": ", 1)
            headers[name] = value
        else:
            assert word == "-d"
            body = next(words)
    method = "GET" if body is None else "POST"
    return httpx.request(method, url, headers=headers, content=body, timeout=30)


@pytest.mark.once
def test_served_over_http_the_lines_that_it_prints_work(home: dict[str, str], url: str) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
        # Taken now: said before anything is played.
        command = [*RENDIO, "demo", "--serve", "--port", str(port)]
        refused = subprocess.run(command, env=home, capture_output=True, text=True, timeout=60)
    assert (refused.returncode, refused.stdout) == (1, "")
    assert f"Port {port} is taken" in refused.stderr

    pipes: Any = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, env=home, **pipes) as process:
        try:
            while "Uvicorn running on" not in (line := process.stderr.readline()):
                assert line, "it ended"
            said = ""
            while "is not in the demo's diary" not in said:
                said += process.stdout.readline()
            variables = dict(re.findall(r"export (\w+)=([^\s']+)", said))
            variables |= dict(re.findall(r"(?s)export (\w+)='(.*?)'", said))
            lines = re.findall(r"(?m)^    (curl .*)$", said.replace("\\\n", " "))
            answers = [curl(line, variables) for line in [*lines, lines[2]]]
            until(lambda: runs_by_itself(url))
        finally:
            process.terminate()
    assert process.returncode == 0
    statuses = [answer.status_code for answer in answers]
    assert statuses == [200, 304, 200, 200, 200, 403, 200, 200]
    video, again = answers[2].json(), answers[-1].json()
    assert (video["replayed"], again["replayed"]) == (False, True)
    assert answers[3].json()["jobs"][0]["job_id"] == video["job_id"] == again["job_id"]
    assert answers[6].json()["credits_added"] == 99


def test_one_demo_at_a_time(day: dict[str, Any], rendio: Demo, url: str) -> None:
    with psycopg.connect(url.replace("/rendio", "/postgres")) as holder:
        holder.execute("select pg_advisory_lock(%s)", [LOCK])
        refused = rendio("demo")
    assert refused.returncode == 1
    assert "Another demo is running" in refused.stderr


def test_accounts_that_no_demo_made_are_kept(day: dict[str, Any], rendio: Demo, url: str) -> None:
    with psycopg.connect(url) as conn:
        conn.execute("drop schema demo cascade")
    refused = rendio("demo")
    assert refused.returncode == 1
    assert "rendio embedded remove" in refused.stderr
    with psycopg.connect(url) as conn:
        assert one(conn, "select count(*) from users") > 0
    assert "No demo has left anything" in rendio("demo", "--proof").stderr
