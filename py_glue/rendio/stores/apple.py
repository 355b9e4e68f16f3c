"""The App Store: verify what Apple signed.

::

    app_store = AppStore(
        bundle_id="com.example.video",
        app_apple_id=1234567890,
        root_certificates=apple_roots("AppleRootCA-G3.cer"),
    )

Apple's own library does the cryptography: the chain of three certificates up to a pinned root, the
marks by which Apple sets App Store certificates apart from its others, the signature, the app and
the environment. The roots are at https://www.apple.com/certificateauthority/.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from hashlib import sha256
from os import PathLike
from pathlib import Path
from uuid import UUID

from rendio.stores.arguments import Notification, Purchase, moment, text
from rendio.stores.errors import StoreError, StoreUnavailable

try:
    import jwt
    from appstoreserverlibrary.models.Environment import Environment
    from appstoreserverlibrary.models.JWSTransactionDecodedPayload import (
        JWSTransactionDecodedPayload,
    )
    from appstoreserverlibrary.models.ResponseBodyV2DecodedPayload import (
        ResponseBodyV2DecodedPayload,
    )
    from appstoreserverlibrary.signed_data_verifier import (
        SignedDataVerifier,
        VerificationException,
        VerificationStatus,
    )
    from cattrs import BaseValidationError
    from cryptography import x509
except ImportError as error:
    raise ImportError("the App Store needs Apple's library: pip install 'rendio[apple]'") from error

STORE = "app_store"
# Xcode and LocalTesting are not among them: Apple's library takes their data unsigned.
ENVIRONMENTS = ("Production", "Sandbox")
MAX_LENGTH = 256 * 1024  # of a signed text; Apple's have a few thousand characters
ROOT_FINGERPRINTS = frozenset(
    {
        "b0b1730ecbc7ff4505142c49f1295e6eda6bcaed7e2c68c5be91b5a11001f024",  # Apple Root CA
        "c2b9b042dd57830e7d117dac55ac8ae19407d38e41d88f3215bc3a890444a050",  # G2
        "63343abfb89a6a03ebb57e9b3f5fa7be7c4f5c756f3017b3a8c488c3653e9179",  # G3, the App Store's
    }
)


def apple_roots(*files: str | PathLike[str]) -> list[bytes]:
    """Read Apple's root certificates (.cer, DER); a file with anything else is refused."""
    found = [Path(file).read_bytes() for file in files]
    for file, certificate in zip(files, found, strict=True):
        if sha256(certificate).hexdigest() not in ROOT_FINGERPRINTS:
            raise ValueError(f"{file} is none of Apple's root certificates in DER form")
    return found


class AppStore:
    """Verifies the transactions and notifications of one app.

    `root_certificates` are DER. `app_apple_id` is needed for Production. A sandbox purchase is
    taken here by default, because App Review buys in the sandbox of the app that is on sale; what
    it brings is decided by `app_settings.sandbox_purchases`.

    With `online_checks` Apple is asked whether the certificates were revoked (OCSP, over HTTP, once
    in 15 minutes; it may take up to a minute when Apple does not answer), and they must be valid
    now. Without, they must have been valid at the time that the payload says it was signed.
    """

    def __init__(
        self,
        *,
        bundle_id: str,
        root_certificates: Iterable[bytes],
        app_apple_id: int | None = None,
        environments: Iterable[str] = ENVIRONMENTS,
        online_checks: bool = True,
    ) -> None:
        roots, names = list(root_certificates), list(environments)
        if not roots:
            raise ValueError("without a root certificate nothing can be verified")
        for root in roots:
            x509.load_der_x509_certificate(root)  # here, rather than at every purchase
        if not names or not set(names) <= set(ENVIRONMENTS):
            raise ValueError(f"environments are of {', '.join(ENVIRONMENTS)}")
        self._verifiers = {
            name: SignedDataVerifier(
                roots, online_checks, Environment(name), bundle_id, app_apple_id
            )
            for name in names
        }

    def purchase(self, signed_transaction: str) -> Purchase:
        """Verify a transaction that an app hands in; refuse what is no paid consumable.

        Only consumables: restoring any other kind gives the same purchase a new transaction id,
        and a subscription a new one with each renewal, so they would be credited again.
        """
        environment = self._environment_of(signed_transaction)
        bought = self._transaction(environment, signed_transaction)
        if bought.rawType != "Consumable":
            raise StoreError("not_consumable")
        if bought.revocationDate is not None:
            raise StoreError("purchase_revoked")
        return Purchase(
            store=STORE,
            environment=environment,
            transaction_id=text(bought.transactionId, "transactionId"),
            product_id=text(bought.productId, "productId"),
            purchased_at=moment(bought.purchaseDate),
            app_account_token=_uuid(bought.appAccountToken),
            quantity=1 if bought.quantity is None else bought.quantity,
        )

    def notification(self, signed_payload: str) -> Notification:
        """Verify an App Store Server Notification (V2), and the transaction signed inside it."""
        environment = self._environment_of(signed_payload)
        with _refusals():
            told = self._verifiers[environment].verify_and_decode_notification(signed_payload)
        inner = told.data.signedTransactionInfo if told.data else None
        # By the same verifier: what is inside must be of the same app and environment.
        about = self._transaction(environment, inner) if inner else None
        return Notification(
            store=STORE,
            environment=environment,
            notification_id=text(told.notificationUUID, "notificationUUID"),
            type=text(told.rawNotificationType, "notificationType"),
            transaction_id=text(about.transactionId, "transactionId") if about else None,
            payload=_payload(told, about),
            occurred_at=moment(told.signedDate),
        )

    def _environment_of(self, signed: str) -> str:
        """Return the environment that a payload claims; its verifier then proves it."""
        environment = _claimed_environment(signed)
        if not isinstance(environment, str) or environment not in self._verifiers:
            taken = " and ".join(self._verifiers)
            raise StoreError("wrong_environment", hint=f"Only {taken} is taken here.")
        return environment

    def _transaction(self, environment: str, signed: str) -> JWSTransactionDecodedPayload:
        with _refusals():
            return self._verifiers[environment].verify_and_decode_signed_transaction(signed)


@contextmanager
def _refusals() -> Iterator[None]:
    """Turn the library's exceptions into ours."""
    try:
        yield
    except VerificationException as error:
        match error.status:
            case VerificationStatus.RETRYABLE_VERIFICATION_FAILURE:
                raise StoreUnavailable(hint="Apple's OCSP responder did not answer.") from error
            case VerificationStatus.INVALID_APP_IDENTIFIER:
                raise StoreError("wrong_app") from error
            case VerificationStatus.INVALID_ENVIRONMENT:
                raise StoreError("wrong_environment") from error
            case status:
                raise StoreError("untrusted", detail={"check": status.name.lower()}) from error
    except BaseValidationError:
        # Signed, but a value is not of its documented type; the cause would quote the value.
        raise StoreError("malformed", hint="Is Apple's library up to date?") from None


def _claimed_environment(signed: str) -> object:
    if len(signed) > MAX_LENGTH:
        raise StoreError("malformed", hint="It is longer than anything that Apple signs.")
    try:
        claims = jwt.decode(signed, options={"verify_signature": False})
    except (jwt.PyJWTError, ValueError):
        raise StoreError("malformed", hint="It is no JSON Web Signature.") from None
    except RecursionError:
        raise StoreError("malformed", hint="It is nested too deeply.") from None
    for key in ("data", "summary", "appData"):
        if isinstance(within := claims.get(key), dict):
            return within.get("environment")
    if isinstance(token := claims.get("externalPurchaseToken"), dict):
        # The one notification that names no environment; Apple marks the id instead.
        sandbox = str(token.get("externalPurchaseId")).startswith("SANDBOX")
        return "Sandbox" if sandbox else "Production"
    return claims.get("environment")


def _payload(
    told: ResponseBodyV2DecodedPayload, about: JWSTransactionDecodedPayload | None
) -> dict[str, str | int]:
    """Return what SQL reads, in Apple's names and units; what Apple does not say is left out."""
    facts: dict[str, str | int | None] = {"subtype": told.rawSubtype}
    if told.data:
        facts["consumptionRequestReason"] = told.data.rawConsumptionRequestReason
    if about:
        facts |= {
            "productId": about.productId,
            "appAccountToken": about.appAccountToken,
            "purchaseDate": about.purchaseDate,
            "quantity": about.quantity,
            "revocationDate": about.revocationDate,
            "revocationReason": about.rawRevocationReason,
            "revocationType": about.rawRevocationType,
            "revocationPercentage": about.revocationPercentage,
        }
    return {name: fact for name, fact in facts.items() if fact is not None}


def _uuid(token: str | None) -> UUID | None:
    try:
        return UUID(token) if token else None
    except ValueError:
        # Not None instead: the purchase would pass for one that is bound to no account.
        raise StoreError("malformed", hint="appAccountToken is no UUID.") from None
