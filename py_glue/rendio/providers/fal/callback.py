"""The URL that fal reports to: it names our job, and proves that we wrote it."""

import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import parse_qs, urlencode, urlsplit
from uuid import UUID

from rendio.providers.fal.errors import InvalidSignature

SECRET_BYTES = 32


@dataclass(frozen=True, slots=True)
class Target:
    """The job and the attempt that a request to fal was made for."""

    user_id: UUID
    job_id: UUID
    attempt: int


def webhook_url(base: str, user_id: UUID, job_id: UUID, attempt: int, *, secret: bytes) -> str:
    """Return the URL to give to fal when it is asked for this attempt at this job.

    It carries our own ids, because fal may report before we have recorded under which id it took
    the job, and a token made with the secret, because fal signs the body of its report and not the
    URL: else whoever can have fal send us one genuine report could aim it at any job.

    `secret` is at least 32 random bytes that nobody else has, and not one of fal's.
    """
    target = Target(user_id, job_id, attempt)
    query = {
        "user": user_id,
        "job": job_id,
        "attempt": attempt,
        "token": _token(target, secret),
    }
    return f"{base}{'&' if urlsplit(base).query else '?'}{urlencode(query)}"


def read_target(url: str, secrets: Sequence[bytes]) -> Target:
    """Return what a URL of ours names; raise InvalidSignature for any other.

    To change the secret put the new one first and keep the old one until the webhooks of its jobs
    have come: the longest timeout of a model, and two hours.
    """
    try:
        given = parse_qs(urlsplit(url).query)
        (user_id,), (job_id,), (attempt,), (token,) = (
            given[name] for name in ("user", "job", "attempt", "token")
        )
        target = Target(UUID(user_id), UUID(job_id), int(attempt))
    except (KeyError, ValueError) as error:
        raise InvalidSignature(detail={"check": "callback"}) from error
    told = token.encode(errors="replace")
    if not any(hmac.compare_digest(told, _token(target, secret).encode()) for secret in secrets):
        raise InvalidSignature(detail={"check": "callback", "job_id": str(target.job_id)})
    return target


def _token(target: Target, secret: bytes) -> str:
    if len(secret) < SECRET_BYTES:
        raise ValueError("a secret has at least 32 bytes: secrets.token_bytes(32) makes one")
    # Named, so that it is no signature of anything else that the secret may come to sign.
    text = f"fal webhook\n{target.user_id}\n{target.job_id}\n{target.attempt}"
    return hmac.new(secret, text.encode(), hashlib.sha256).hexdigest()
