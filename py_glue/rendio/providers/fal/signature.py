"""fal's signature: that fal sent a webhook, for our account, and now."""

import hashlib
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Protocol

from rendio.providers.fal.callback import read_target
from rendio.providers.fal.errors import InvalidSignature, WebhookTooLarge
from rendio.providers.fal.event import Event, decode

LARGEST_BODY = 1024 * 1024  # a report of a video has some hundred bytes
LONGEST_WAY = 300  # seconds, as fal says: what is older or newer is a replay

_HEADERS = tuple(
    f"x-fal-webhook-{name}" for name in ("request-id", "user-id", "timestamp", "signature")
)


class Keys(Protocol):
    """What `FalKeys` is asked."""

    def have_signed(self, message: bytes, signature: bytes) -> bool: ...


def receive(
    url: str,
    headers: Mapping[str, str],
    body: bytes,
    *,
    keys: Keys,
    account: str,
    secrets: Sequence[bytes],
    now: datetime | None = None,
) -> Event:
    """Return what fal reported; raise a `WebhookRefused` for whatever is not a report of its.

    `url` is the one that was requested, with its query; `headers` in any case; `body` the bytes as
    they came: JSON that was read and written again has another signature. `account` is the id of
    our own account at fal. Once in half a day this fetches fal's keys: on an event loop call it
    with `asyncio.to_thread`.
    """
    # First what costs least: with no URL of ours nobody gets as far as having us fetch keys.
    target = read_target(url, secrets)
    verify(headers, body, keys, account=account, now=now)
    return decode(body, target)


def verify(
    headers: Mapping[str, str],
    body: bytes,
    keys: Keys,
    *,
    account: str,
    now: datetime | None = None,
) -> None:
    """Raise unless fal signed this body for our account within the last five minutes.

    It says nothing of the URL, which fal does not sign: that is for `read_target`.
    """
    if len(body) > LARGEST_BODY:
        raise WebhookTooLarge(detail={"bytes": len(body), "at_most": LARGEST_BODY})
    given = {name.lower(): value for name, value in headers.items()}
    for name in _HEADERS:
        if not given.get(name) or not given[name].isascii():
            raise InvalidSignature(detail={"check": "header", "header": name})
    request_id, user_id, timestamp, signature = (given[name] for name in _HEADERS)
    # Anyone with an account at fal can have it send validly signed webhooks to us.
    if user_id != account:
        raise InvalidSignature(detail={"check": "account"})
    if not _is_recent(timestamp, now or datetime.now(UTC)):
        raise InvalidSignature(detail={"check": "timestamp"})
    if not re.fullmatch(r"[0-9a-fA-F]{128}", signature):
        raise InvalidSignature(detail={"check": "signature"})
    digest = hashlib.sha256(body).hexdigest()
    message = "\n".join((request_id, user_id, timestamp, digest)).encode()
    if not keys.have_signed(message, bytes.fromhex(signature)):
        raise InvalidSignature(detail={"check": "signature"})


def _is_recent(timestamp: str, now: datetime) -> bool:
    if not re.fullmatch(r"[0-9]{1,12}", timestamp):
        return False
    return abs(now.timestamp() - int(timestamp)) <= LONGEST_WAY
