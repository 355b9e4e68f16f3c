"""A provider that behaves like fal's queue, and the webhook handler of a backend that uses it."""

import json
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit
from uuid import UUID, uuid4

from rendio.client import Client
from rendio.providers import fal
from rendio.results import ClaimedJob

PROVIDER = fal.PROVIDER
CALLBACK = "https://api.example.com/webhooks/fal"


@dataclass(frozen=True)
class Submission:
    """A request in the provider's queue, and where its result goes."""

    request_id: str
    webhook_url: str

    def result(self, url: str, seconds: float | None = None) -> bytes:
        """The body of the webhook for a video that was made."""
        video = {"url": url, "content_type": "video/mp4", "duration": seconds}
        return self._body("OK", {"video": video}, None)

    def failure(self, told: str) -> bytes:
        """The body of the webhook for a request that failed."""
        detail = [{"loc": ["body", "prompt"], "msg": told, "type": "value_error"}]
        return self._body("ERROR", {"detail": detail}, told)

    def _body(self, status: str, payload: dict[str, Any], error: str | None) -> bytes:
        body = {
            "request_id": self.request_id,
            "gateway_request_id": self.request_id,
            "status": status,
            "payload": payload,
            "error": error,
        }
        return json.dumps(body).encode()


def submit(job: ClaimedJob) -> Submission:
    """Put a job into the provider's queue.

    Our own ids ride along in the callback's URL: its report may come before we have recorded under
    which id the provider took the job.
    """
    ours = {"user": job.user_id, "job": job.job_id, "attempt": job.attempt}
    return Submission(str(uuid4()), f"{CALLBACK}?{urlencode(ours)}")


def handle(client: Client, url: str, body: bytes, credits_charged: int | None = None) -> None:
    """Handle a webhook as a backend does with `fal.receive`; nobody here would forge one."""
    ours = {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}
    target = fal.Target(UUID(ours["user"]), UUID(ours["job"]), int(ours["attempt"]))
    fal.handle(client, fal.decode(body, target), credits_charged=credits_charged)
