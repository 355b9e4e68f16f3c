"""The same app at size: phones and workers at once, each thread with a connection of its own.

The provider is as unreliable as in the day: it reports twice, out of order, before the start was
recorded, with errors, with half a video, and for one model not at all.
"""

import random
import time
from collections.abc import Iterator
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from threading import Event
from typing import Any
from uuid import UUID, uuid4

import psycopg

from rendio.demo import fal
from rendio.demo.cron import Cron
from rendio.demo.day import add_model, start
from rendio.demo.diary import Diary, DiaryClient
from rendio.errors import InsufficientCredits, NotYourAccount
from rendio.results import ClaimedJob

PHONES, WORKERS = 4, 8  # threads
BATCH = 20  # jobs that a worker claims at once
SAVED_AT = 500  # entries of a diary
PATIENCE = 30.0  # seconds that the last jobs have to end
SILENT_MODEL = "Preview 0.1"
PRODUCT = "credits_120"

# Of a hundred.
ASKED_AGAIN, STOLEN, SILENT, EARLY, REFUSED, HALF = 5, 1, 1, 10, 7, 3
REPORTED_TWICE, RECEIPT_TWICE, LATE = 10, 25, 50


@dataclass
class Actor:
    """What one thread has: its client, its diary, its dice."""

    client: DiaryClient
    diary: Diary
    conn: psycopg.Connection[Any]
    dice: random.Random

    def chance(self, of_hundred: int) -> bool:
        return self.dice.randrange(100) < of_hundred

    def save(self, at: int = 1) -> None:
        if len(self.diary.entries) >= at:
            self.diary.save(self.conn)


@dataclass
class Load:
    """A run of `generations` videos by `users` guests."""

    url: str
    service: str
    users: int
    generations: int
    silent_model: UUID = field(init=False)
    user_ids: list[UUID] = field(default_factory=list)
    on_sale: list[UUID] = field(default_factory=list)
    asked: list[int] = field(default_factory=lambda: [0] * PHONES)
    unreported: list[fal.Submission] = field(default_factory=list)
    all_asked: Event = field(default_factory=Event)
    stopped: Event = field(default_factory=Event)

    def play(self) -> Iterator[int]:
        """Play it all; tells several times a second how many videos were asked for so far."""
        with (
            psycopg.connect(self.url, autocommit=True) as conn,
            ThreadPoolExecutor(PHONES + WORKERS) as pool,
        ):
            try:
                ticks = self._cron_ticks(conn)
                self._stock(conn)
                guests = [pool.submit(self._arrive, n) for n in range(PHONES)]
                yield from self._until_done(guests, ticks)
                phones = [pool.submit(self._ask, n) for n in range(PHONES)]
                workers = [pool.submit(self._work, n) for n in range(WORKERS)]
                yield from self._until_done(phones, ticks)
                self.all_asked.set()
                yield from self._until_done(workers, ticks)
                yield from self._until_all_ended(conn, ticks)
                self._deliver_late()
            finally:
                self.stopped.set()

    # -- the clock

    def _until_done(self, futures: list[Future[None]], ticks: Iterator[None]) -> Iterator[int]:
        pending = set(futures)
        while pending:
            done, pending = wait(pending, timeout=0.2, return_when=FIRST_EXCEPTION)
            for future in done:
                future.result()
            next(ticks)
            yield sum(self.asked)

    def _until_all_ended(
        self, conn: psycopg.Connection[Any], ticks: Iterator[None]
    ) -> Iterator[int]:
        """Wait for the sweeper; what it leaves open turns the proof red."""
        open_jobs = "select from public.video_jobs as j where j.status in ('pending', 'processing')"
        deadline = time.monotonic() + PATIENCE
        while conn.execute(f"{open_jobs} limit 1").rowcount and time.monotonic() < deadline:
            time.sleep(0.2)
            next(ticks)
            yield sum(self.asked)

    def _cron_ticks(self, conn: psycopg.Connection[Any]) -> Iterator[None]:
        """Run the cron jobs that are due: a second here is a minute of their schedules."""
        diary = Diary("cron", "cron")
        cron = Cron.scheduled(conn, diary)
        midnight = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        began, before = time.monotonic(), midnight
        while True:
            now = midnight + timedelta(minutes=time.monotonic() - began)
            cron.run_due(before, now)
            before = now
            diary.save(conn)
            yield

    @contextmanager
    def _actor(self, scene: str, who: str) -> Iterator[Actor]:
        diary = Diary(scene, who)
        with (
            psycopg.connect(self.url, autocommit=True) as conn,
            DiaryClient(self.service, diary) as client,
        ):
            actor = Actor(client, diary, conn, random.Random(f"{scene} {who}"))
            yield actor
            actor.save()

    # -- phones

    def _stock(self, conn: psycopg.Connection[Any]) -> None:
        with self._actor("catalogue", "phone") as actor:
            self.on_sale = [model.id for model in actor.client.get_models().models or []]
        self.silent_model = add_model(conn, SILENT_MODEL, 2, "1 second")

    def _arrive(self, n: int) -> None:
        with self._actor("guests", f"phone {n}") as actor:
            for number in range(n, self.users, PHONES):
                if self.stopped.is_set():
                    return
                guest = actor.client.device_check(user_id=None, device_id=f"device {number}")
                self.user_ids.append(guest.user_id)

    def _ask(self, n: int) -> None:
        with self._actor("videos", f"phone {n}") as actor:
            for _ in range(n, self.generations, PHONES):
                if self.stopped.is_set():
                    return
                self._ask_once(actor, actor.dice.choice(self.user_ids))
                self.asked[n] += 1
                actor.save(SAVED_AT)

    def _ask_once(self, actor: Actor, user_id: UUID) -> None:
        phone = actor.client.as_user(user_id)
        silent = actor.chance(SILENT)
        request: dict[str, Any] = {
            "model_id": self.silent_model if silent else actor.dice.choice(self.on_sale),
            "prompt": "Waves at night, seen from a balcony",
            "settings": {"duration": 8},
            "idempotency_key": uuid4(),
        }
        try:
            phone.generate_video_atomic(user_id=user_id, **request)
        except InsufficientCredits:
            self._buy(actor, user_id)
            phone.generate_video_atomic(user_id=user_id, **request)  # the refused key is still new
        if actor.chance(ASKED_AGAIN):
            phone.generate_video_atomic(user_id=user_id, **request)
        if actor.chance(STOLEN):
            self._steal(actor, phone, user_id)

    def _buy(self, actor: Actor, user_id: UUID) -> None:
        transaction = str(actor.dice.randrange(10**15, 10**16))
        for _ in range(2 if actor.chance(RECEIPT_TWICE) else 1):
            actor.client.record_iap_purchase(
                user_id=user_id,
                store="app_store",
                environment="Production",
                transaction_id=transaction,
                product_id=PRODUCT,
            )

    def _steal(self, actor: Actor, phone: DiaryClient, user_id: UUID) -> None:
        """Ask for a video on somebody else's account; the proof looks whether it worked."""
        victim = actor.dice.choice(self.user_ids)
        if victim == user_id:
            return
        actor.diary.scene = "theft"
        with suppress(NotYourAccount):
            phone.generate_video_atomic(
                user_id=victim,
                model_id=self.on_sale[0],
                prompt="A heist",
                settings=None,
                idempotency_key=uuid4(),
            )
        actor.diary.scene = "videos"

    # -- workers and the provider

    def _work(self, n: int) -> None:
        with self._actor("videos", f"worker {n}") as actor:
            while not self.stopped.is_set():
                nothing_more = self.all_asked.is_set()
                jobs = actor.client.claim_video_jobs(worker=actor.diary.who, limit=BATCH).jobs
                if jobs:
                    self._submit(actor, jobs)
                elif nothing_more:
                    return
                else:
                    time.sleep(0.02)
                actor.save(SAVED_AT)

    def _submit(self, actor: Actor, jobs: list[ClaimedJob]) -> None:
        """Submit a batch; by the end of it the provider has reported, in an order of its own."""
        reports = []
        for job in jobs:
            submission = fal.submit(job)
            silent = job.provider_model_id == SILENT_MODEL
            if silent or not actor.chance(EARLY):
                start(actor.client, job, submission)
            if silent:
                self.unreported.append(submission)
            else:
                reports += [submission] * (2 if actor.chance(REPORTED_TWICE) else 1)
        actor.dice.shuffle(reports)
        for submission in reports:
            self._report(actor, submission)

    def _report(self, actor: Actor, submission: fal.Submission) -> None:
        # What it says depends on the request alone: a second report says the same.
        fate = random.Random(submission.request_id).randrange(100)
        if fate < REFUSED:
            body = submission.failure("flagged by a content checker")
        else:
            body = submission.result(f"https://v3.fal.media/files/{submission.request_id}.mp4")
        half = REFUSED <= fate < REFUSED + HALF
        fal.handle(actor.client, submission.webhook_url, body, 1 if half else None)

    def _deliver_late(self) -> None:
        """Let the provider deliver some of them after the sweeper gave the credits back."""
        with self._actor("late", "fal") as actor:
            for submission in self.unreported:
                if actor.chance(LATE):
                    self._report(actor, submission)
