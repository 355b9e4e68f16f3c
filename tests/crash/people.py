"""What users, workers and webhooks do: which call comes next, and what its answer changes."""

import random
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from crash.calls import Call

MODEL = UUID("5f3b1e70-0000-4000-8000-000000000001")  # comes with rendio
COST = 4
PRODUCT, PRODUCT_CREDITS = "credits_20", 20
INITIAL_GRANT = 10
# What providers and stores still report of somebody who is gone.
AFTER_DELETION = ("complete", "fail", "purchase", "store_refund", "store_reversal")


def new_id(chance: random.Random) -> UUID:
    return UUID(int=chance.getrandbits(128), version=4)


@dataclass
class Submission:
    """One attempt at a job that the provider has accepted, and knows by its own id."""

    provider_job: str
    user: UUID
    job: UUID
    attempt: int | None
    started: bool = False  # somebody has told rendio
    reported: bool = False  # its webhook was answered


class Fal:
    """The provider: accepts every submission, and knows by the webhook's URL whose it was."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._submissions: dict[UUID, list[Submission]] = {}

    def accept(self, user: UUID, job: UUID, attempt: int | None, name: UUID) -> Submission:
        with self._lock:
            accepted = Submission(f"fal-{name}", user, job, attempt)
            self._submissions.setdefault(job, []).append(accepted)
            return accepted

    def of_job(self, job: UUID) -> list[Submission]:
        with self._lock:
            return list(self._submissions.get(job, ()))


class Person:
    """Somebody with devices, an Apple id and videos; makes one call after the other."""

    def __init__(self, chance: random.Random, fal: Fal) -> None:
        self._chance = chance
        self._fal = fal
        self._apple = f"apple-{new_id(chance)}"
        self._spare_guests: list[UUID] = []
        self._is_poor = False
        self.account: UUID | None = None
        self.users: list[UUID] = []
        self._kept: list[Call] = []  # purchases
        self._revoked: list[Call] = []
        self._notifications = 0
        self.open_jobs: dict[UUID, UUID] = {}  # whose
        self.is_deleted = False
        self.calls: list[Call] = []

    @property
    def is_done(self) -> bool:
        return self.is_deleted and not self._unreported()

    def next(self, kind: str, at: datetime) -> Call | None:
        """Return a call of that kind, or one that it needs first; None when there is no way."""
        if not self.users:
            kind = "guest"
        if self.is_deleted and kind not in AFTER_DELETION:
            return None
        makers: dict[str, Callable[[datetime], Call | None]] = {
            "guest": self._guest,
            "grant": self._grant,
            "expiring_grant": self._expiring_grant,
            "take": self._take,
            "purchase": self._purchase,
            "store_refund": self._store_refund,
            "store_reversal": self._store_reversal,
            "generate": self._generate,
            "start": self._start,
            "complete": self._complete,
            "fail": self._fail,
            "refund": self._refund,
            "cancel": self._cancel,
            "upgrade": self._upgrade,
            "merge": self._merge,
            "delete": self._delete,
        }
        call = makers[kind](at)
        if call:
            self.calls.append(call)
        return call

    def again(self, at: datetime) -> Call | None:
        """Return an answered call again, as an app sends it that has missed the answer."""
        keyed = ("grant", "expiring_grant", "take", "purchase", "generate")
        answered = [c for c in self.calls if c.kind in keyed and c.answer and c.repeats is None]
        if not answered or self.is_deleted:
            return None
        first = self._chance.choice(answered)
        if first.user in self._merged():
            return None
        call = Call(first.key, first.kind, first.args, first.at, first.user, repeats=first)
        self.calls.append(call)
        return call

    # -- the calls

    def _call(
        self, kind: str, at: datetime, *args: object, user: UUID, job: UUID | None = None
    ) -> Call:
        return Call(new_id(self._chance), kind, args, at, user, job)

    def _guest(self, at: datetime) -> Call:
        user = new_id(self._chance)
        return self._call("guest", at, user, f"device-{user}", user=user)

    def _grant(self, at: datetime) -> Call:
        return self._entry("grant", at, self._chance.randint(1, 12), "promo_grant")

    def _expiring_grant(self, at: datetime) -> Call:
        expires_at = at + timedelta(hours=self._chance.choice([1, 2, 5, 26]))
        amount = self._chance.randint(1, 12)
        return self._entry("expiring_grant", at, amount, "promo_grant", expires_at)

    def _take(self, at: datetime) -> Call:
        return self._entry("take", at, -self._chance.randint(1, 5), "admin_adjustment")

    def _entry(self, kind: str, at: datetime, amount: int, reason: str, *more: object) -> Call:
        key, user = new_id(self._chance), self._active()
        return Call(key, kind, (user, amount, reason, key, *more), at, user)

    def _purchase(self, at: datetime) -> Call:
        key, user = new_id(self._chance), self._chance.choice(self.users)
        args = (user, "app_store", "Production", f"t-{key}", PRODUCT, at)
        return Call(key, "purchase", args, at, user)

    def _store_refund(self, at: datetime) -> Call:
        if not self._kept:
            return self._purchase(at)
        payload = self._chance.choice(["{}", '{"revocationPercentage": 50000}'])
        return self._notification("REFUND", self._chance.choice(self._kept), payload, at)

    def _store_reversal(self, at: datetime) -> Call:
        if not self._revoked:
            return self._store_refund(at)
        return self._notification("REFUND_REVERSED", self._chance.choice(self._revoked), "{}", at)

    def _notification(self, told: str, bought: Call, payload: str, at: datetime) -> Call:
        """Return what the store says of a purchase; by its clock each comes after the last."""
        self._notifications += 1
        signed_at = at + timedelta(seconds=self._notifications)
        key = new_id(self._chance)
        args = ("app_store", "Production", str(key), told, bought.args[3], payload, signed_at)
        kind = "store_refund" if told == "REFUND" else "store_reversal"
        return Call(key, kind, args, at, bought.user)

    def _generate(self, at: datetime) -> Call:
        if self._is_poor:
            return self._grant(at)
        key, user = new_id(self._chance), self._active()
        return Call(key, "generate", (user, MODEL, f"Fox {key}", None, key), at, user)

    def _start(self, at: datetime) -> Call:
        for job, user in self.open_jobs.items():
            if not self._fal.of_job(job):
                sent = self._fal.accept(user, job, None, new_id(self._chance))
                return self._started(sent, at)
        return self._generate(at)

    def _started(self, sent: Submission, at: datetime) -> Call:
        args = (sent.user, sent.job, sent.provider_job, sent.attempt)
        return self._call("start", at, *args, user=sent.user, job=sent.job)

    def _complete(self, at: datetime) -> Call | None:
        charged = self._chance.choice([None, None, *range(COST + 1)])
        return self._report("complete", at, charged)

    def _fail(self, at: datetime) -> Call | None:
        return self._report("fail", at)

    def _report(self, kind: str, at: datetime, charged: int | None = None) -> Call | None:
        """Return a webhook's call. Its URL names the job, so it records the start first."""
        unreported = self._unreported()
        if not unreported:
            return None if self.is_deleted else self._start(at)
        sent = self._chance.choice(unreported)
        if not sent.started:
            return self._started(sent, at)
        call = self._call(kind, at, user=sent.user, job=sent.job)
        if kind == "complete":
            call.args = (f"https://v/{call.key}.mp4", None, str(call.key), charged)
        else:
            call.args = ("The provider refused.", str(call.key))
        call.args = ("fal", sent.provider_job, *call.args)
        return call

    def _refund(self, at: datetime) -> Call:
        if not self.open_jobs:
            return self._generate(at)
        job, user = self._chance.choice(list(self.open_jobs.items()))
        return self._call("refund", at, user, job, user=user, job=job)

    def _cancel(self, at: datetime) -> Call:
        waiting = [item for item in self.open_jobs.items() if not self._fal.of_job(item[0])]
        if not waiting:
            return self._generate(at)
        job, user = waiting[-1]
        return self._call("cancel", at, user, job, user=user, job=job)

    def _upgrade(self, at: datetime) -> Call | None:
        if self.account:
            return None
        return self._link("upgrade", self._spare_guests[0], at)

    def _merge(self, at: datetime) -> Call | None:
        if not self.account:
            return self._upgrade(at)
        if len(self.users) > 3:
            return None
        return (
            self._link("merge", self._spare_guests[0], at)
            if self._spare_guests
            else (self._guest(at))
        )

    def _link(self, kind: str, guest: UUID, at: datetime) -> Call:
        return self._call(kind, at, guest, self._apple, f"{guest}@example.com", user=guest)

    def _delete(self, at: datetime) -> Call:
        user = self._active()
        return self._call("delete", at, user, user=user)

    # -- what the answers change

    def answered(self, call: Call) -> None:
        self._is_poor = call.refusal == "insufficient_credits"
        if call.kind in ("refund", "cancel") or (call.kind in ("complete", "fail") and call.job):
            self._ended(call)
        if call.refusal or call.repeats:
            return
        if call.kind == "guest" and call.user:
            self.users.append(call.user)
            self._spare_guests.append(call.user)
        elif call.kind == "purchase":
            self._kept.append(call)
        elif call.kind.startswith("store_"):
            self._move_purchase(call)
        elif call.kind == "generate" and call.user:
            call.job = UUID(call.answer["job_id"])
            self.open_jobs[call.job] = call.user
        elif call.kind in ("upgrade", "merge") and call.user:
            self._spare_guests.remove(call.user)
            self.account = self.account or call.user
        elif call.kind == "delete":
            self.is_deleted = True

    def _move_purchase(self, told: Call) -> None:
        pair = (self._kept, self._revoked)
        source, target = pair if told.kind == "store_refund" else reversed(pair)
        for bought in [call for call in source if call.args[3] == told.args[4]]:
            source.remove(bought)
            target.append(bought)

    def _ended(self, call: Call) -> None:
        """Forget a job that has ended; a cancellation may be refused because a worker has it."""
        assert call.job
        if call.kind in ("complete", "fail"):
            for sent in self._fal.of_job(call.job):
                sent.reported |= sent.provider_job == call.args[1]
        if call.refusal != "invalid_transition":
            self.open_jobs.pop(call.job, None)

    # -- who and what there is

    def _active(self) -> UUID:
        return self.account or self._spare_guests[0]

    def _merged(self) -> set[UUID]:
        return set(self.users) - set(self._spare_guests) - {self.account}

    def _unreported(self) -> list[Submission]:
        jobs = [call.job for call in self.calls if call.kind == "generate" and call.job]
        return [s for job in jobs for s in self._fal.of_job(job) if not s.reported]
