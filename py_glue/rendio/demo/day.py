"""Play the day of day.jsonl: every line is something that somebody does.

The lines are played in their order without the pauses between them, on the server's own clock.
Their times of day decide only which cron jobs are due in between.
"""

import json
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from threading import Barrier
from typing import Any, LiteralString
from uuid import UUID, uuid4

import psycopg

from rendio.demo import DemoError, fal
from rendio.demo.cron import Cron
from rendio.demo.diary import Diary, DiaryClient
from rendio.demo.report import text_of
from rendio.errors import RendioError
from rendio.results import ClaimedJob, GenerateVideoAtomicResult

Line = dict[str, Any]


def lines() -> list[Line]:
    return [json.loads(line) for line in text_of("day.jsonl").splitlines()]


def told(line: Line) -> str:
    """One line of the day in words."""
    about = line.get("video") or line.get("device") or line.get("product") or ""
    return f"{line['at']}  {line['who']} {line['does']} {about}".rstrip()


@dataclass
class Request:
    """What a phone keeps of a request, to send the very same one again."""

    caller_id: UUID
    arguments: dict[str, Any]


@dataclass
class Day:
    """The actors of the day; `service` is a URL whose role is the backend's."""

    conn: psycopg.Connection[Any]
    service: str
    diary: Diary = field(default_factory=Diary)
    users: dict[str, UUID] = field(default_factory=dict)
    models: dict[str, UUID] = field(default_factory=dict)
    keys: dict[str, UUID] = field(default_factory=dict)
    requests: dict[str, Request] = field(default_factory=dict)
    jobs: dict[str, UUID] = field(default_factory=dict)
    submissions: dict[UUID, list[fal.Submission]] = field(default_factory=dict)

    def play(self) -> Iterator[Line]:
        """Play line by line, each handed out before it is played."""
        cron = Cron.scheduled(self.conn, self.diary)
        midnight = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        before = midnight
        with DiaryClient(self.service, self.diary) as self.backend:
            for line in lines():
                yield line
                self.diary.at = line["at"]
                self.diary.scene, self.diary.who = "cron", "cron"
                hours, minutes = line["at"].split(":")
                now = midnight + timedelta(hours=int(hours), minutes=int(minutes))
                cron.run_due(before, now)
                before = now
                self.diary.scene, self.diary.who = line["scene"], line["who"]
                self._do(line)
                self.diary.save(self.conn)

    def _do(self, line: Line) -> None:
        refused = None
        try:
            ACTIONS[line["does"]](self, line)
        except RendioError as error:
            refused = error
        if (refused and refused.slug) != line.get("refused"):
            outcome = f"was refused: {refused}" if refused else "should have been refused"
            raise DemoError(f"{told(line)}: {outcome}") from refused

    # -- the app

    def opens(self, line: Line) -> None:
        guest = self.backend.device_check(
            user_id=None, device_id=line["device"], language=line["language"]
        )
        self.users[line["who"]] = guest.user_id
        phone = self.backend.as_user(guest.user_id)
        self.models = {model.name: model.id for model in phone.get_models().models or []}

    def asks(self, line: Line) -> None:
        caller_id = self.users[line["who"]]
        payer_id = self.users[str(line.get("on account of", line["who"]))]
        arguments = {
            "user_id": payer_id,
            "model_id": self.models[line["model"]],
            "prompt": line["prompt"],
            "settings": {"duration": line.get("seconds", 8)},
            "idempotency_key": uuid4(),
        }
        self.requests[line["video"]] = Request(caller_id, arguments)
        if "times" in line:
            self._ask_at_once(line["video"], line["times"])
        else:
            self.asks_again(line)
        if line.get("answer") == "lost":
            self.diary.lose_answer()
            del self.jobs[line["video"]]

    def asks_again(self, line: Line) -> None:
        self.jobs[line["video"]] = self._send(self.backend, line["video"]).job_id

    def _send(self, backend: DiaryClient, video: str) -> GenerateVideoAtomicResult:
        request = self.requests[video]
        phone = backend.as_user(request.caller_id)
        return phone.generate_video_atomic(**request.arguments)

    def _ask_at_once(self, video: str, times: int) -> None:
        """Send a request over many connections, all of them open before the first one sends."""
        together = Barrier(times)

        def send(conn: psycopg.Connection[Any]) -> UUID:
            together.wait()
            return self._send(DiaryClient(conn, self.diary), video).job_id

        with ExitStack() as stack, ThreadPoolExecutor(times) as pool:
            conns = [
                stack.enter_context(psycopg.connect(self.service, autocommit=True))
                for _ in range(times)
            ]
            self.jobs[video] = next(iter(pool.map(send, conns)))

    def cancels(self, line: Line) -> None:
        user_id = self.users[line["who"]]
        phone = self.backend.as_user(user_id)
        phone.cancel_video_job(user_id=user_id, job_id=self.jobs[line["video"]])

    # -- money

    def buys(self, line: Line) -> None:
        self.backend.record_iap_purchase(
            user_id=self.users[str(line.get("by", line["who"]))],
            store="app_store",
            environment="Production",
            transaction_id=line["transaction"],
            product_id=line["product"],
        )

    def grants(self, line: Line) -> None:
        user_id = self.users.get(line["who"])
        caller = self.backend.as_user(user_id) if user_id else self.backend
        caller.add_credits(
            user_id=self.users[line["to"]],
            amount=line["credits"],
            reason="promo_grant",
            idempotency_key=self.keys.setdefault(line["request"], uuid4()),
        )

    # -- workers and the provider

    def submits(self, line: Line) -> None:
        """A worker takes what waits and submits it; one that dies has not recorded the start."""
        if line.get("waits") == "for the lease to end":
            self._wait("lease_expires_at", line)
        lease = timedelta(seconds=line.get("lease", 120))
        for job in self.backend.claim_video_jobs(worker=line["who"], lease=lease).jobs:
            submission = fal.submit(job)
            self.submissions.setdefault(job.job_id, []).append(submission)
            if not line.get("dies"):
                start(self.backend, job, submission)

    def reports(self, line: Line) -> None:
        submissions = self.submissions[self.jobs[line["video"]]]
        submission = submissions[line.get("attempt", 1) - 1]
        if line["status"] == "OK":
            url = f"https://v3.fal.media/files/{line['video']}.mp4"
            body = submission.result(url, line.get("seconds", 8))
        else:
            body = submission.failure(line["error"])
        fal.handle(self.backend, submission.webhook_url, body, line.get("charge"))

    def stays_silent(self, line: Line) -> None:
        self._wait("times_out_at", line)

    # -- the rest

    def adds_model(self, line: Line) -> None:
        add_model(self.conn, line["model"], line["cost"], line["timeout"])

    def sleeps(self, line: Line) -> None:
        """Nothing but the night's cron jobs."""

    def _wait(self, until: LiteralString, line: Line) -> None:
        """Wait until a moment in the life of the line's job is past."""
        (seconds,) = self.conn.execute(
            f"select extract(epoch from {until} - rendio.clock())::float8"  # noqa: S608
            " from public.video_jobs where job_id = %s",
            [self.jobs[line["video"]]],
        ).fetchone() or (None,)
        time.sleep(max(0, seconds or 0) + 0.01)


def add_model(conn: psycopg.Connection[Any], name: str, cost: int, timeout: str) -> UUID:
    """Put a model on sale, as an operator does."""
    row = conn.execute(
        "insert into public.models"
        " (name, category, provider, provider_model_id, cost_per_generation, timeout)"
        " values (%s, 'preview', %s, %s, %s, %s::interval) returning id",
        [name, fal.PROVIDER, name, cost, timeout],
    ).fetchone()
    assert row
    return UUID(str(row[0]))


def start(backend: DiaryClient, job: ClaimedJob, submission: fal.Submission) -> None:
    backend.start_video_job(
        user_id=job.user_id,
        job_id=job.job_id,
        provider_job_id=submission.request_id,
        attempt=job.attempt,
    )


ACTIONS: dict[str, Callable[[Day, Line], None]] = {
    "opens the app": Day.opens,
    "asks for a video": Day.asks,
    "asks again": Day.asks_again,
    "cancels": Day.cancels,
    "reports a purchase": Day.buys,
    "grants credits": Day.grants,
    "submits": Day.submits,
    "reports": Day.reports,
    "stays silent": Day.stays_silent,
    "adds a model": Day.adds_model,
    "goes to sleep": Day.sleeps,
}
