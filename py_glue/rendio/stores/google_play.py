"""Google Play: real-time developer notifications, and purchases that were asked for.

::

    google_play = GooglePlay(
        package_name="com.example.video",
        tokens=PushTokens(
            audience="https://api.example.com/google-play",
            service_account="pusher@example.iam.gserviceaccount.com",
        ),
    )

A purchase is known here by the SHA-256 of its purchase token. The token is the only name that the
purchase, its notifications and its refund have in common (a promotional purchase has no order id,
and a purchase's notification names none), but Google sets no limit to its length, and a
transaction id has at most 255 characters.
"""

import binascii
import json
import re
from base64 import b64decode
from collections.abc import Mapping
from hashlib import sha256
from typing import Any
from uuid import UUID

from rendio.stores.arguments import Notification, Purchase, moment, text
from rendio.stores.errors import StoreError
from rendio.stores.pubsub import PushTokens

STORE = "google_play"
TEST = 0  # purchaseType
NOT_PURCHASED: dict[Any, str] = {1: "purchase_revoked", 2: "purchase_pending"}  # by purchaseState
NAMES = {("ONE_TIME_PRODUCT", 1): "PURCHASED", ("ONE_TIME_PRODUCT", 2): "CANCELED"}


class GooglePlay:
    """Verifies the notifications of one app, which `tokens` authenticates, and reads purchases."""

    def __init__(self, *, package_name: str, tokens: PushTokens) -> None:
        self._package_name = package_name
        self._tokens = tokens

    def notification(
        self, body: bytes | str, authorization: str | None, *, environment: str = "Production"
    ) -> Notification:
        """Verify a push by its Authorization header, and read the notification in its body.

        A notification does not tell a test purchase from a real one; where `record_iap_purchase`
        was given Sandbox, it must be told here too. Nor does one of `refundType` 2 tell how much
        was refunded; it moves no credits unless `voidedQuantity` (of `purchases.voidedpurchases`)
        and `quantity` are added to its payload.
        """
        self._tokens.verify(authorization)
        message = _object(_object(_json(body)).get("message"))
        news = _object(_json(_base64(message.get("data"))))
        if news.get("packageName") != self._package_name:
            raise StoreError("wrong_app")
        name, facts = _what(news)
        token = facts.get("purchaseToken")
        return Notification(
            store=STORE,
            environment=environment,
            notification_id=text(message.get("messageId"), "messageId"),
            type=_type(name, facts),
            transaction_id=transaction_id(token) if token else None,
            payload=_payload(facts),
            occurred_at=moment(news.get("eventTimeMillis")),
        )

    @staticmethod
    def purchase(resource: Mapping[str, Any], *, product_id: str, purchase_token: str) -> Purchase:
        """Read what the Developer API's `purchases.products.get` answered for these two.

        The caller asked Google for it, with its own package name; nothing in it is signed.
        """
        for key, asked in (("productId", product_id), ("purchaseToken", purchase_token)):
            if resource.get(key, asked) != asked:
                raise StoreError("malformed", hint=f"The answer is about another {key}.")
        if (state := resource.get("purchaseState")) != 0:
            raise StoreError(NOT_PURCHASED.get(state, "malformed"))
        return Purchase(
            store=STORE,
            environment="Sandbox" if resource.get("purchaseType") == TEST else "Production",
            transaction_id=transaction_id(purchase_token),
            product_id=text(product_id, "productId"),
            purchased_at=moment(resource.get("purchaseTimeMillis")),
            app_account_token=_uuid(resource.get("obfuscatedExternalAccountId")),
            quantity=resource.get("quantity", 1),
        )


def transaction_id(purchase_token: Any) -> str:
    """Return by what a purchase is known in the database."""
    return sha256(text(purchase_token, "purchaseToken").encode()).hexdigest()


def _what(news: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """Return the one notification in a DeveloperNotification, with its name."""
    found = [key for key in news if key.endswith("Notification")]
    if len(found) != 1:
        raise StoreError("malformed", hint="It holds no notification, or several.")
    return found[0], _object(news[found[0]])


def _type(name: str, facts: Mapping[str, Any]) -> str:
    """Name a notification: voidedPurchaseNotification is VOIDED_PURCHASE, and so are later kinds.

    A number that has no name here becomes part of the name: SUBSCRIPTION_4.
    """
    words = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name.removesuffix("Notification")).upper()
    number = facts.get("notificationType")
    return f"{words}_{NAMES.get((words, number), number)}" if isinstance(number, int) else words


def _payload(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Return Google's facts under its own names; `sku` is `productId` everywhere else."""
    renamed = {"productId" if name == "sku" else name: fact for name, fact in facts.items()}
    renamed.pop("version", None)
    return renamed


def _json(source: bytes | str) -> Any:
    try:
        return json.loads(source)
    except (ValueError, RecursionError):
        raise StoreError("malformed", hint="It is no JSON.") from None


def _base64(data: Any) -> bytes:
    try:
        return b64decode(text(data, "message.data"), validate=True)
    except (binascii.Error, ValueError):
        raise StoreError("malformed", hint="message.data is no base64.") from None


def _object(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise StoreError("malformed", hint="It is no DeveloperNotification in a Pub/Sub message.")
    return value


def _uuid(account: Any) -> UUID | None:
    """Read an account id if it is one of ours; an app may put there what it likes."""
    try:
        return UUID(account) if isinstance(account, str) else None
    except ValueError:
        return None
