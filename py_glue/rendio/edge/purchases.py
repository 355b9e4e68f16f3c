"""A purchase that an app hands in: the App Store's signature decides whether there was one."""

from collections.abc import Callable
from typing import Any

import jwt
from starlette.concurrency import run_in_threadpool

from rendio.edge.errors import refusal
from rendio.edge.settings import Settings
from rendio.stores import Purchase, StoreError
from rendio.stores.arguments import moment, text

SANDBOX = "Sandbox"


class Purchases:
    """Turns a signed transaction into the arguments of `record_iap_purchase`."""

    def __init__(self, read: Callable[[str], Purchase]) -> None:
        self._read = read

    @classmethod
    def of(cls, settings: Settings) -> "Purchases | None":
        """Return one that verifies; without Apple's settings None, or in development a believer."""
        apple = settings.apple
        if not (apple.bundle_id and apple.app_id and apple.root_certificates):
            return cls(believe) if settings.insecure_dev else None
        from rendio.stores.apple import AppStore, apple_roots

        store = AppStore(
            bundle_id=apple.bundle_id,
            app_apple_id=apple.app_id,
            root_certificates=apple_roots(*apple.root_certificates),
        )
        return cls(store.purchase)

    async def arguments(self, signed: object) -> dict[str, Any]:
        """Verify a transaction; it may take long, because Apple is asked about certificates."""
        if not isinstance(signed, str):
            facts = {"argument": "signed_transaction", "rule": "the JWS of StoreKit's transaction"}
            raise refusal(400, "invalid_argument", facts)
        purchase = await run_in_threadpool(self._read, signed)
        return {f"p_{name}": value for name, value in purchase.arguments().items()}


def believe(signed: str) -> Purchase:
    """Read a transaction without verifying it, for development alone.

    Always as of the sandbox: what nobody signed is never revenue.
    """
    try:
        told = jwt.decode(signed, options={"verify_signature": False})
    except (jwt.PyJWTError, ValueError, RecursionError):
        raise StoreError("malformed", hint="It is no JSON Web Signature.") from None
    quantity = told.get("quantity", 1)
    return Purchase(
        store="app_store",
        environment=SANDBOX,
        transaction_id=text(told.get("transactionId"), "transactionId"),
        product_id=text(told.get("productId"), "productId"),
        purchased_at=moment(told.get("purchaseDate")),
        app_account_token=told.get("appAccountToken"),
        quantity=quantity if isinstance(quantity, int) else 1,
    )
