"""One journalled call, and the kinds of calls."""

import itertools
import json
import threading
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID


@dataclass(frozen=True)
class Kind:
    """A kind of call: its function, and the tables it always writes, in that order."""

    function: str
    writes: tuple[str, ...]
    role: str = "service_role"

    @property
    def late_points(self) -> tuple[str, ...]:
        """Where it can be held with rows written: after a table, or at the commit."""
        return (*self.writes, "commit")


_ENTRY = ("users", "quota_log")
KINDS = {
    "guest": Kind("public.device_check", ("account_identities", *_ENTRY)),
    "grant": Kind("public.add_credits", ("idempotency_log", *_ENTRY)),
    "expiring_grant": Kind("public.add_credits", (*_ENTRY, "credit_grants")),
    "take": Kind("public.add_credits", ("idempotency_log", *_ENTRY)),
    "purchase": Kind("public.record_iap_purchase", ("iap_transactions", *_ENTRY)),
    "store_refund": Kind(
        "public.apply_store_notification", ("store_notifications", "purchase_revocations")
    ),
    "store_reversal": Kind(
        "public.apply_store_notification", ("store_notifications", "purchase_revocations")
    ),
    "generate": Kind("public.generate_video_atomic", ("idempotency_log", "video_jobs")),
    "claim": Kind("public.claim_video_jobs", ("video_jobs",)),
    "start": Kind("public.start_video_job", ("provider_jobs",)),
    "complete": Kind("public.complete_video_job", ("video_jobs",)),
    "fail": Kind("public.fail_video_job", ("video_jobs", *_ENTRY)),
    "refund": Kind("public.refund_video_job", ("video_jobs", *_ENTRY)),
    "cancel": Kind("public.cancel_video_job", ("video_jobs", *_ENTRY)),
    "upgrade": Kind("public.link_apple_account", ("account_identities", "users")),
    "merge": Kind("public.link_apple_account", (*_ENTRY, "credit_grants")),
    "delete": Kind("public.delete_account", ("users", "account_identities")),
    "settle": Kind("rendio.settle_expired_credits", (*_ENTRY, "credit_grants"), "rendio_owner"),
    "sweep": Kind("rendio.sweep_stuck_jobs", ("video_jobs", *_ENTRY), "rendio_owner"),
    "archive": Kind("rendio.archive_jobs", ("video_jobs_archive",), "rendio_owner"),
}
MAINTENANCE = ("settle", "sweep", "archive")


@dataclass(eq=False)
class Call:
    """A call that somebody wants made: sent once or, while no answer came, again."""

    key: UUID
    kind: str
    args: tuple[Any, ...]
    at: datetime
    user: UUID | None = None
    job: UUID | None = None
    repeats: "Call | None" = None
    sent: int = 0
    lost: int = 0
    is_surely_undone: bool = False  # sent once, and killed where it had not committed
    answer: Any = None
    refusal: str | None = None

    @property
    def name(self) -> str:
        """The session's name while it makes the call, so that the server's log tells which."""
        return f"{self.kind}/{self.key}"

    @property
    def is_answered(self) -> bool:
        return self.answer is not None or self.refusal is not None


class Journal:
    """Every call before it is sent and after its answer, in a file for people to read."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = path.open("w")
        self._lock = threading.Lock()
        self._numbers = itertools.count(1)

    def write(self, event: str, **facts: Any) -> None:
        with self._lock:
            line = json.dumps({"n": next(self._numbers), "event": event} | facts, default=str)
            self._file.write(line + "\n")
            self._file.flush()

    def sending(self, call: Call) -> None:
        self.write("send", call=call.name, args=call.args, at=call.at, attempt=call.sent)

    def answered(self, call: Call) -> None:
        self.write("answer", call=call.name, answer=call.answer, refusal=call.refusal)

    def close(self) -> None:
        self._file.close()
