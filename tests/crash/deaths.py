"""Backends that die between two systems: the one has acted, the other has not heard of it.

fal takes jobs and signs reports as in the other tests (fal_sender.py); it and the backend's process
speak over a real connection.
"""

import json
import os
import signal
import subprocess
import sys
import threading
from datetime import datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from fal_sender import Request, Sender

from crash.calls import Call
from crash.clients import Client, Order
from crash.facts import Drift
from crash.people import COST, INITIAL_GRANT, Person, new_id
from crash.run import Run

WORKER = Path(__file__).parent / "worker.py"
LEASE_OVER = timedelta(minutes=3)


class Provider:
    """fal on the loopback interface."""

    def __init__(self) -> None:
        self.sender = Sender()
        self.taken: dict[str, Request] = {}
        provider = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                url = self.rfile.read(int(self.headers["Content-Length"])).decode()
                request = Request(url)
                provider.taken[request.id] = request
                self._say(request.id.encode())

            def do_GET(self) -> None:
                self._say(provider.sender.fetch())

            def _say(self, body: bytes) -> None:
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def report(self, request_id: str, *, is_video: bool) -> dict[str, Any]:
        """Return a signed webhook."""
        request = self.taken[request_id]
        body = request.ok() if is_video else request.error()
        headers = self.sender.headers(request, body)
        return {"url": request.webhook_url, "headers": headers, "body": body.decode()}


class Backend:
    """The process that works and handles webhooks; after its death there is another."""

    def __init__(self, run: Run, provider: Provider) -> None:
        self._run = run
        self._command = [sys.executable, str(WORKER), run.server.url, provider.url]
        self._process: subprocess.Popen[str] | None = None

    def ask(self, do: str, at: datetime, **more: Any) -> dict[str, Any]:
        """Have something done; return what the process says before the first point of no return."""
        if self._process is None:
            self._process = subprocess.Popen(
                self._command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
            )
        return self._say(json.dumps({"do": do, "at": at.isoformat()} | more))

    def go_on(self) -> dict[str, Any]:
        return self._say("")

    def kill(self) -> None:
        assert self._process
        os.kill(self._process.pid, signal.SIGKILL)
        self._process.communicate()
        if self._process.returncode != -signal.SIGKILL:
            raise Drift("the process had ended before it was killed")
        self._process = None

    def close(self) -> None:
        if self._process:
            self._process.communicate()

    def _say(self, line: str) -> dict[str, Any]:
        assert self._process
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        self._run.journal.write("process", asked=line, told=answer)
        if not answer:
            raise Drift(f"the process ended by itself when it was to {line}")
        found: dict[str, Any] = json.loads(answer)
        return found


class Scenes:
    """Each scene is one job of somebody new; the run's books are kept of it like of all others."""

    def __init__(self, run: Run, provider: Provider, backend: Backend) -> None:
        self._run = run
        self._provider = provider
        self._backend = backend
        self._client = Client("scenes", 0, run.journal, run.fal)
        run.bystanders.append(self._client)

    def play(self) -> None:
        for scene, spent in (
            (self.a_second_attempt, COST),
            (self.only_the_webhook, COST),
            (self.both_attempts_fail, 0),
            (self.handler_dies, COST),
            (self.handler_dies_and_time_runs_out, 0),
        ):
            self._begin()
            scene()
            self._run.check()
            self._check_end(INITIAL_GRANT - spent, scene.__name__)

    # -- the scenes

    def a_second_attempt(self) -> None:
        """fal has the job, we do not know; the lease ends, another worker submits it again."""
        first = self._worker_dies()
        second = self._work(self._run.at + LEASE_OVER)
        self._handle(second, is_video=True, ends=True)
        self._handle(first, is_video=True, ends=False)

    def only_the_webhook(self) -> None:
        """fal has the job, we do not know; its webhook's URL tells."""
        first = self._worker_dies()
        self._handle(first, is_video=True, ends=True)
        _expect(self._backend.ask("work", self._run.at + LEASE_OVER), idle=True)

    def both_attempts_fail(self) -> None:
        """The failure of the attempt that died decides nothing; the second's gives back, once."""
        first = self._worker_dies()
        second = self._work(self._run.at + LEASE_OVER)
        self._handle(first, is_video=False, ends=False)
        self._handle(second, is_video=False, ends=True)
        self._handle(second, is_video=False, ends=False)

    def handler_dies(self) -> None:
        """The handler has verified the report and dies; fal heard nothing and sends it again."""
        started = self._work(self._run.at)
        self._handler_dies(started)
        self._handle(started, is_video=True, ends=True)
        self._handle(started, is_video=True, ends=False)

    def handler_dies_and_time_runs_out(self) -> None:
        """fal sends it again only after the sweeper gave the credits back."""
        started = self._work(self._run.at)
        self._handler_dies(started)
        self._run.at += timedelta(hours=1)
        self._send(Call(new_id(self._run.chance), "sweep", (), self._run.at))
        self._handle(started, is_video=True, ends=False)

    # -- their parts

    def _begin(self) -> None:
        """Make somebody with one waiting job; what others left waiting is too old to be claimed."""
        self._run.at += timedelta(hours=1)
        self._person = Person(self._run.chance, self._run.fal)
        self._client.people.append(self._person)
        self._make("guest")
        made = self._make("generate")
        assert made.user
        assert made.job
        self._user, self._job = made.user, made.job

    def _make(self, kind: str) -> Call:
        call = self._person.next(kind, self._run.at)
        assert call
        self._send(call)
        self._person.answered(call)
        return call

    def _send(self, call: Call) -> None:
        self._client.calls.append(call)
        with self._run.server.connect() as conn:
            self._client.send(conn, call, Order())

    def _worker_dies(self) -> str:
        accepted: str = self._backend.ask("work", self._run.at)["accepted"]
        self._backend.kill()
        self._run.kills["worker, after the provider's answer"] += 1
        return accepted

    def _work(self, at: datetime) -> str:
        accepted: str = self._backend.ask("work", at)["accepted"]
        _expect(self._backend.go_on(), started=accepted, current=True)
        return accepted

    def _handler_dies(self, request_id: str) -> None:
        report = self._provider.report(request_id, is_video=True)
        if "verified" not in self._backend.ask("handle", self._run.at, **report):
            raise Drift("the handler did not verify the report")
        self._backend.kill()
        self._run.kills["webhook handler, after verification"] += 1

    def _handle(self, request_id: str, *, is_video: bool, ends: bool) -> None:
        """Let a handler live, and put what it did into the books."""
        report = self._provider.report(request_id, is_video=is_video)
        event = self._backend.ask("handle", self._run.at, **report)["verified"]
        answer = self._backend.go_on()
        _expect(answer, handled=event, replayed=not ends)
        kind = "complete" if is_video else "fail"
        url = f"https://v3.fal.media/{request_id}.mp4"
        args = ("fal", request_id, *((url, None, event, None) if is_video else ("", event)))
        key, at = new_id(self._run.chance), self._run.at
        call = Call(key, kind, args, at, self._user, self._job, answer=answer)
        self._run.journal.answered(call)
        self._client.calls.append(call)
        self._person.calls.append(call)

    def _check_end(self, credits: int, scene: str) -> None:
        """Raise unless the balance is right and rendio knows every submission."""
        with self._run.server.connect() as conn:
            found = conn.execute(
                "select credits_remaining, (select count(*) from public.provider_jobs as s"
                " where s.job_id = %s) from public.users where id = %s",
                [self._job, self._user],
            ).fetchone()
        taken = self._provider.taken.values()
        expected = credits, sum(str(self._job) in request.webhook_url for request in taken)
        if found != expected:
            raise Drift(f"{scene}: credits and submissions are {found}, not {expected}")


def _expect(told: dict[str, Any], **expected: object) -> None:
    if told | expected != told:
        raise Drift(f"the process told {told}, not {expected}")


def play(run: Run) -> None:
    """Play every scene on the run's server."""
    provider = Provider()
    backend = Backend(run, provider)
    try:
        Scenes(run, provider, backend).play()
    finally:
        backend.close()
        provider.close()
