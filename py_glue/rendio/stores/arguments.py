"""The arguments of `record_iap_purchase` and `apply_store_notification`, and how to read them."""

from dataclasses import dataclass, fields
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from rendio.stores.errors import StoreError

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Arguments:
    """Something whose fields are the keyword arguments of a call, with the call's own defaults."""

    def arguments(self) -> dict[str, Any]:
        """Return them without those that are at their default."""
        given = {field.name: (getattr(self, field.name), field.default) for field in fields(self)}
        return {name: value for name, (value, default) in given.items() if value != default}


@dataclass(frozen=True, slots=True, kw_only=True)
class Purchase(Arguments):
    """A paid purchase; with a user, the arguments of `record_iap_purchase`."""

    store: str
    environment: str
    transaction_id: str
    product_id: str
    purchased_at: datetime
    app_account_token: UUID | None = None
    quantity: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Notification(Arguments):
    """A store's notification: the arguments of `apply_store_notification`.

    `type` and the keys of `payload` are the store's own names, those it invents later included.
    """

    store: str
    environment: str
    notification_id: str
    type: str
    transaction_id: str | None
    payload: dict[str, Any]
    occurred_at: datetime


def moment(milliseconds: Any) -> datetime:
    """Read the stores' time: milliseconds since 1970, which Google also writes as a string."""
    try:
        return EPOCH + timedelta(milliseconds=int(milliseconds))
    except (TypeError, ValueError, OverflowError):
        raise StoreError("malformed", hint="A time is missing, or is none.") from None


def text(value: Any, name: str) -> str:
    """Return a text that must be there, and that Postgres takes; `name` is the store's for it."""
    if not isinstance(value, str) or not value or not value.isprintable():
        raise StoreError("malformed", hint=f"{name} is missing, or no text.")
    return value
