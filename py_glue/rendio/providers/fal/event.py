"""The body of fal's webhooks, and what it means for a job."""

import json
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from rendio.providers.fal.callback import Target
from rendio.providers.fal.errors import MalformedWebhook

PROVIDER = "fal"

# The database refuses longer ones. Refused there, a report would come again and again, and never
# be taken.
_LONGEST_ID = 200
_LONGEST_URL = 2048


@dataclass(frozen=True, slots=True)
class Video:
    """fal made the video."""

    url: str
    thumbnail_url: str | None = None


@dataclass(frozen=True, slots=True)
class Failure:
    """fal made no video that anyone could watch."""

    error: str


@dataclass(frozen=True, slots=True)
class Event:
    """What fal reported of a request that we made for one attempt at a job."""

    target: Target
    request_id: str
    status: str
    outcome: Video | Failure

    @property
    def event_id(self) -> str:
        """Our name for the report.

        fal has ids for requests and none for webhooks. With the status it is the same for a
        delivery that is repeated, and another for a video after an error.
        """
        return f"{self.request_id}:{self.status}"


def decode(body: bytes, target: Target) -> Event:
    """Read the body of a webhook that was verified; the target is what its URL named.

    An OK without a video is a failure: fal puts `payload_error` there when the result could not be
    sent, and a job without a video is not worth its credits.
    """
    report = _object(body)
    request_id, status = report.get("request_id"), report.get("status")
    if not _is_id(request_id):
        raise MalformedWebhook(detail={"field": "request_id"})
    if status == "OK":
        payload = report.get("payload")
        url = _url(payload, "video")
        outcome = (
            Video(url, _url(payload, "thumbnail"))
            if url
            else Failure(_told(report) or "fal reported OK without a video")
        )
    elif status == "ERROR":
        outcome = Failure(_told(report) or "fal reported an error and did not say which")
    else:
        raise MalformedWebhook(
            detail={"field": "status"}, hint="fal reports OK or ERROR; see whether it has a new one"
        )
    return Event(target, str(request_id), str(status), outcome)


def _object(body: bytes) -> dict[str, Any]:
    try:
        report = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise MalformedWebhook(detail={"field": "body"}) from error
    if not isinstance(report, dict):
        raise MalformedWebhook(detail={"field": "body"})
    return report


def _is_id(value: Any) -> bool:
    printable = isinstance(value, str) and value.isascii() and value.isprintable()
    return printable and 0 < len(value.strip()) == len(value) <= _LONGEST_ID


def _url(payload: Any, name: str) -> str | None:
    """Return the URL of a file in fal's results, unless nobody could open or store it."""
    file = payload.get(name) if isinstance(payload, dict) else None
    url = file.get("url") if isinstance(file, dict) else None
    if not isinstance(url, str) or len(url) > _LONGEST_URL or not url.isprintable():
        return None
    try:
        parts = urlsplit(url)
    except ValueError:
        return None
    return url if parts.scheme in ("http", "https") and parts.netloc else None


def _told(report: dict[str, Any]) -> str:
    """Return what fal said went wrong, shortest first: the message, then its details."""
    payload = report.get("payload")
    detail = payload.get("detail") if isinstance(payload, dict) else None
    details = [d.get("msg") if isinstance(d, dict) else d for d in _list(detail)]
    said = [report.get("payload_error"), report.get("error"), *details]
    texts = dict.fromkeys(_text(part) for part in said if part)
    return ": ".join(text for text in texts if text)


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _text(value: Any) -> str:
    """Return it as text that the database can store."""
    text = value if isinstance(value, str) else json.dumps(value)
    return text.replace("\0", "").encode(errors="replace").decode().strip()
