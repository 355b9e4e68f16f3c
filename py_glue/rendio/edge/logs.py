"""One JSON object a line on standard error: what was asked, of whom, how it went.

No query strings, no bodies, no tokens, no addresses; a user is a hash. Of an unexpected exception
the type and the places are kept: its text may quote what a caller sent.
"""

import json
import logging
import traceback
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

logger = logging.getLogger("rendio.edge")


class JsonLines(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        told: dict[str, Any] = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "event": record.getMessage(),
        }
        told |= getattr(record, "facts", {})
        if record.exc_info and record.exc_info[1]:
            told |= where(record.exc_info[1])
        return json.dumps(told, default=str, ensure_ascii=False)


def set_up(level: int = logging.INFO) -> None:
    handler = logging.StreamHandler()
    handler.setFormatter(JsonLines())
    logging.basicConfig(level=level, handlers=[handler], force=True)
    for name in ("httpx", "httpcore", "psycopg", "asyncio"):
        logging.getLogger(name).setLevel(logging.WARNING)
    # Its warnings quote libpq, which names hosts, at each attempt; /readyz tells the same.
    logging.getLogger("psycopg.pool").setLevel(logging.ERROR)


def event(name: str, *, level: str = "info", **facts: Any) -> None:
    logger.log(logging.getLevelNamesMapping()[level.upper()], name, extra={"facts": facts})


def where(error: BaseException) -> dict[str, Any]:
    """Return an exception's type and its places in the code, without its text."""
    frames = traceback.extract_tb(error.__traceback__)
    places = [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames[-8:]]
    return {"exception": type(error).__name__, "places": places}


def user_hash(user_id: str | None) -> str | None:
    return sha256(user_id.encode()).hexdigest()[:12] if user_id else None
