"""fal as a webhook's sender: an account's key pair, and what fal sends signed with it."""

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from rendio.providers import fal

ACCOUNT = "github|12345"
BASE = "https://api.example.com/webhooks/fal"
SECRET = hashlib.sha256(b"ours").digest()


def jwks(keys: Sequence[Ed25519PrivateKey]) -> bytes:
    """fal's key set, as it publishes it."""
    raw = [key.public_key().public_bytes_raw() for key in keys]
    xs = [base64.urlsafe_b64encode(public).decode().strip("=") for public in raw]
    return json.dumps({"keys": [{"kty": "OKP", "crv": "Ed25519", "x": x} for x in xs]}).encode()


@dataclass(frozen=True)
class Request:
    """A request that fal took, and the URL that it reports to."""

    webhook_url: str
    id: str = field(default_factory=lambda: str(uuid4()))

    def ok(self, **changes: Any) -> bytes:
        payload = {"video": {"url": f"https://v3.fal.media/{self.id}.mp4"}}
        return self.body({"status": "OK", "payload": payload, "error": None} | changes)

    def error(self, told: str = "Invalid status code: 422") -> bytes:
        detail = [{"loc": ["body", "prompt"], "msg": "field required", "type": "value_error"}]
        return self.body({"status": "ERROR", "payload": {"detail": detail}, "error": told})

    def body(self, changes: Mapping[str, Any]) -> bytes:
        ids = {"request_id": self.id, "gateway_request_id": str(uuid4())}
        return json.dumps(ids | dict(changes)).encode()


@dataclass
class Sender:
    """fal, with the keys that it has at the moment; it signs with the first."""

    keys: list[Ed25519PrivateKey] = field(default_factory=lambda: [Ed25519PrivateKey.generate()])
    account: str = ACCOUNT
    fetches: int = 0

    def fetch(self) -> bytes:
        self.fetches += 1
        return jwks(self.keys)

    def take(self, user_id: UUID, job_id: UUID, attempt: int = 1) -> Request:
        """Accept a request for a video, as its queue does."""
        return Request(fal.webhook_url(BASE, user_id, job_id, attempt, secret=SECRET))

    def headers(
        self, request: Request, body: bytes, at: datetime | None = None, key: int = 0
    ) -> dict[str, str]:
        """Sign a delivery."""
        timestamp = str(int((at or datetime.now(UTC)).timestamp()))
        digest = hashlib.sha256(body).hexdigest()
        message = "\n".join((request.id, self.account, timestamp, digest)).encode()
        return {
            "X-Fal-Webhook-Request-Id": request.id,
            "X-Fal-Webhook-User-Id": self.account,
            "X-Fal-Webhook-Timestamp": timestamp,
            "X-Fal-Webhook-Signature": self.keys[key].sign(message).hex(),
        }
