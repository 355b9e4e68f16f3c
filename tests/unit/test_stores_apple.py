"""Apple's verifier with another root: what is signed so, and what is not in one thing."""

import base64
import hashlib
import hmac
import inspect
import subprocess
import sys
import traceback
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import rendio
from apple_chain import Chain, base64url, encode, issue, make_chain
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from rendio.stores import Notification, Purchase, StoreError
from rendio.stores.apple import AppStore, apple_roots

BUNDLE = "com.example.video"
APP_ID = 1234567890
SIGNED = datetime(2026, 3, 1, 12, 0, 0, 250_000, tzinfo=UTC)
BOUGHT = datetime(2026, 3, 1, 11, 59, 58, 125_000, tzinfo=UTC)
ACCOUNT = UUID("3b0e6f8c-9d5f-4f0e-8a53-1d0c3a1b2c4d")
SECRET = "2000000912345678"  # a transaction id, which no error may repeat


def milliseconds(at: datetime) -> int:
    return (at - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)


def transaction(**changes: Any) -> dict[str, Any]:
    """A consumable's transaction; a change to None leaves the key out."""
    facts = {
        "transactionId": SECRET,
        "originalTransactionId": SECRET,
        "bundleId": BUNDLE,
        "productId": "credits_20",
        "purchaseDate": milliseconds(BOUGHT),
        "originalPurchaseDate": milliseconds(BOUGHT),
        "quantity": 1,
        "type": "Consumable",
        "appAccountToken": str(ACCOUNT),
        "inAppOwnershipType": "PURCHASED",
        "signedDate": milliseconds(SIGNED),
        "environment": "Production",
        "transactionReason": "PURCHASE",
        "storefront": "USA",
        "price": 4990,
        "currency": "USD",
    } | changes
    return {name: fact for name, fact in facts.items() if fact is not None}


def notification(**changes: Any) -> dict[str, Any]:
    """A notification, whose `data` is also of the changes' keys that belong there."""
    data = {
        "appAppleId": APP_ID,
        "bundleId": BUNDLE,
        "bundleVersion": "1",
        "environment": "Production",
    }
    data |= {name: changes.pop(name) for name in list(changes) if name in INSIDE}
    facts = {
        "notificationType": "REFUND",
        "notificationUUID": "7e3fb20b-4cdb-47cc-936d-99d65f608138",
        "version": "2.0",
        "signedDate": milliseconds(SIGNED),
        "data": {name: fact for name, fact in data.items() if fact is not None},
    } | changes
    return {name: fact for name, fact in facts.items() if fact is not None}


INSIDE = (
    "appAppleId",
    "bundleId",
    "environment",
    "signedTransactionInfo",
    "consumptionRequestReason",
)


@pytest.fixture(scope="module")
def chain() -> Chain:
    return make_chain()


def store(chain: Chain, **options: Any) -> AppStore:
    settings = {
        "bundle_id": BUNDLE,
        "app_apple_id": APP_ID,
        "root_certificates": [chain.root.der],
        "online_checks": False,
    }
    return AppStore(**(settings | options))


def refusal(call: Callable[[str], object], signed: str) -> StoreError:
    """Return the error of a call, once it is sure that it tells nothing of the payload."""
    with pytest.raises(StoreError) as caught:
        call(signed)
    told = "".join(traceback.format_exception(caught.value)) + repr(vars(caught.value))
    for secret in (SECRET, str(ACCOUNT), "credits_20", *signed.split(".")):
        assert len(secret) < 9 or secret not in told
    return caught.value


# --- what is Apple's ------------------------------------------------------------------------------


def test_a_transaction_is_a_purchase(chain: Chain) -> None:
    purchase = store(chain).purchase(chain.sign(transaction()))
    assert purchase == Purchase(
        store="app_store",
        environment="Production",
        transaction_id=SECRET,
        product_id="credits_20",
        purchased_at=BOUGHT,
        app_account_token=ACCOUNT,
    )


def test_a_purchase_may_be_bound_to_no_account(chain: Chain) -> None:
    signed = chain.sign(transaction(appAccountToken=None))
    assert store(chain).purchase(signed).app_account_token is None


def test_a_repeated_transaction_is_the_same_purchase(chain: Chain) -> None:
    app_store, signed = store(chain), chain.sign(transaction())
    assert app_store.purchase(signed) == app_store.purchase(signed)


def test_a_purchase_may_be_of_several(chain: Chain) -> None:
    purchase = store(chain).purchase(chain.sign(transaction(quantity=3)))
    assert purchase.arguments()["quantity"] == 3
    assert store(chain).purchase(chain.sign(transaction(quantity=None))).quantity == 1


def keywords(call: Callable[..., object]) -> set[str]:
    return set(inspect.signature(call).parameters) - {"self"}


def test_the_arguments_are_those_of_the_call(chain: Chain) -> None:
    several = store(chain).purchase(chain.sign(transaction(quantity=3)))
    assert set(several.arguments()) == keywords(rendio.Client.record_iap_purchase) - {"user_id"}
    told = store(chain).notification(chain.sign(notification(notificationType="TEST")))
    assert set(told.arguments()) == keywords(rendio.Client.apply_store_notification)


def test_the_calls_own_defaults_are_left_to_them(chain: Chain) -> None:
    plain = store(chain).purchase(chain.sign(transaction(appAccountToken=None)))
    assert plain.arguments().keys().isdisjoint({"quantity", "app_account_token"})


def test_a_refund_is_a_notification_about_a_transaction(chain: Chain) -> None:
    revoked = transaction(
        revocationDate=milliseconds(SIGNED),
        revocationReason=1,
        revocationType="REFUND_PRORATED",
        revocationPercentage=50_000,
    )
    signed = chain.sign(notification(signedTransactionInfo=chain.sign(revoked)))
    assert store(chain).notification(signed) == Notification(
        store="app_store",
        environment="Production",
        notification_id="7e3fb20b-4cdb-47cc-936d-99d65f608138",
        type="REFUND",
        transaction_id=SECRET,
        payload={
            "productId": "credits_20",
            "appAccountToken": str(ACCOUNT),
            "purchaseDate": milliseconds(BOUGHT),
            "quantity": 1,
            "revocationDate": milliseconds(SIGNED),
            "revocationReason": 1,
            "revocationType": "REFUND_PRORATED",
            "revocationPercentage": 50_000,
        },
        occurred_at=SIGNED,
    )


def test_a_consumption_request_tells_its_reason(chain: Chain) -> None:
    asked = notification(
        notificationType="CONSUMPTION_REQUEST",
        consumptionRequestReason="UNINTENDED_PURCHASE",
        signedTransactionInfo=chain.sign(transaction()),
    )
    told = store(chain).notification(chain.sign(asked))
    assert told.payload["consumptionRequestReason"] == "UNINTENDED_PURCHASE"


def test_a_test_notification_is_about_nothing(chain: Chain) -> None:
    told = store(chain).notification(chain.sign(notification(notificationType="TEST")))
    assert (told.type, told.transaction_id, told.payload) == ("TEST", None, {})


def test_what_apple_invents_later_passes(chain: Chain) -> None:
    later = notification(
        notificationType="LATER_TYPE",
        subtype="LATER_SUBTYPE",
        later="value",
        consumptionRequestReason="LATER_REASON",
        signedTransactionInfo=chain.sign(
            transaction(revocationReason=9, revocationType="LATER", type="LATER", later={})
        ),
    )
    told = store(chain).notification(chain.sign(later))
    assert (told.type, told.transaction_id) == ("LATER_TYPE", SECRET)
    assert told.payload["subtype"] == "LATER_SUBTYPE"
    assert told.payload["consumptionRequestReason"] == "LATER_REASON"
    assert (told.payload["revocationReason"], told.payload["revocationType"]) == (9, "LATER")


@pytest.mark.parametrize(
    ("where", "facts", "environment"),
    [
        ("summary", {"environment": "Sandbox"}, "Sandbox"),
        ("appData", {"environment": "Sandbox"}, "Sandbox"),
        ("externalPurchaseToken", {"externalPurchaseId": "SANDBOX_1"}, "Sandbox"),
        ("externalPurchaseToken", {"externalPurchaseId": "1"}, "Production"),
    ],
)
def test_a_notification_without_data_names_its_app_elsewhere(
    chain: Chain, where: str, facts: dict[str, Any], environment: str
) -> None:
    within = {"bundleId": BUNDLE, "appAppleId": APP_ID} | facts
    told = store(chain).notification(chain.sign(notification(**{"data": None, where: within})))
    assert (told.environment, told.transaction_id) == (environment, None)


# --- signed by somebody else ----------------------------------------------------------------------

LONG_AGO = (datetime(2020, 1, 1, tzinfo=UTC), datetime(2025, 1, 1, tzinfo=UTC))
LATER = (datetime(2026, 6, 1, tzinfo=UTC), datetime(2120, 1, 1, tzinfo=UTC))  # than it signed


@pytest.mark.parametrize(
    "wrong",
    [
        pytest.param({"leaf_mark": None}, id="leaf not marked as the App Store's"),
        pytest.param({"leaf_mark": "1.2.840.113635.100.6.11.2"}, id="leaf marked as another"),
        pytest.param({"intermediate_mark": None}, id="intermediate not marked as Apple's"),
        pytest.param({"intermediate_is_ca": False}, id="issuer no authority"),
        pytest.param({"leaf_valid": LONG_AGO}, id="leaf expired when it signed"),
        pytest.param({"leaf_valid": LATER}, id="leaf not valid yet when it signed"),
        pytest.param({"intermediate_valid": LONG_AGO}, id="intermediate expired"),
    ],
)
def test_a_chain_that_is_not_apples_is_refused(wrong: dict[str, Any]) -> None:
    chain = make_chain(**wrong)
    error = refusal(store(chain).purchase, chain.sign(transaction()))
    assert (error.slug, error.status, error.is_retryable) == ("untrusted", 400, False)


def test_a_chain_of_two_is_refused(chain: Chain) -> None:
    signed = chain.sign(transaction(), x5c=[chain.leaf, chain.intermediate])
    assert refusal(store(chain).purchase, signed).detail == {"check": "invalid_chain_length"}


def test_a_chain_of_four_is_refused(chain: Chain) -> None:
    signed = chain.sign(transaction(), x5c=[chain.leaf, chain.intermediate, chain.root, chain.root])
    assert refusal(store(chain).purchase, signed).detail == {"check": "invalid_chain_length"}


def test_a_signature_without_a_chain_is_refused(chain: Chain) -> None:
    signed = chain.sign(transaction(), x5c=[])
    assert refusal(store(chain).purchase, signed).slug == "untrusted"


def test_a_root_that_is_not_pinned_is_refused(chain: Chain) -> None:
    signed = make_chain().sign(transaction())
    assert refusal(store(chain).purchase, signed).slug == "untrusted"


def test_the_pinned_root_shown_above_another_chain_is_refused(chain: Chain) -> None:
    other = make_chain()
    signed = other.sign(transaction(), x5c=[other.leaf, other.intermediate, chain.root])
    assert refusal(store(chain).purchase, signed).slug == "untrusted"


def test_a_leaf_cannot_issue_a_leaf(chain: Chain) -> None:
    forged = issue("Leaf", by=chain.leaf, mark="1.2.840.113635.100.6.11.1")
    signed = chain.sign(transaction(), key=forged.key, x5c=[forged, chain.leaf, chain.root])
    assert refusal(store(chain).purchase, signed).slug == "untrusted"


def test_a_signature_by_another_key_is_refused(chain: Chain) -> None:
    signed = chain.sign(transaction(), key=ec.generate_private_key(ec.SECP256R1()))
    assert refusal(store(chain).purchase, signed).slug == "untrusted"


def test_a_payload_that_was_changed_is_refused(chain: Chain) -> None:
    header, _, signature = chain.sign(transaction()).split(".")
    changed = f"{header}.{encode(transaction(productId='credits_120'))}.{signature}"
    assert refusal(store(chain).purchase, changed).slug == "untrusted"


def test_no_algorithm_is_refused(chain: Chain) -> None:
    header, payload, _ = chain.sign(transaction(), alg="none").split(".")
    assert refusal(store(chain).purchase, f"{header}.{payload}.").slug == "untrusted"


def test_the_public_key_as_a_shared_secret_is_refused(chain: Chain) -> None:
    header, payload, _ = chain.sign(transaction(), alg="HS256").split(".")
    public = chain.leaf.key.public_key()
    secret = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    signature = hmac.digest(secret, f"{header}.{payload}".encode(), hashlib.sha256)
    forged = f"{header}.{payload}.{base64url(signature)}"
    assert refusal(store(chain).purchase, forged).slug == "untrusted"


def test_a_signature_cut_short_is_refused(chain: Chain) -> None:
    signed = chain.sign(transaction())[:-2]  # 63 bytes of 64
    assert refusal(store(chain).purchase, signed).slug == "untrusted"


@pytest.mark.parametrize(
    "rubbish",
    [
        pytest.param("", id="nothing"),
        pytest.param("..", id="three times nothing"),
        pytest.param("x" * 2**20, id="1 MB of letters"),
        pytest.param(f"{encode({})}.{'A' * 2**20}.AAAA", id="1 MB of payload"),
        pytest.param(f"{encode({})}.{base64url(b'[' * 100_000)}.AAAA", id="deep JSON"),
        pytest.param(f"{encode({})}.{base64url(b'[]')}.AAAA", id="a list"),
        pytest.param("\ud800.\ud800.\ud800", id="no Unicode"),
    ],
)
@pytest.mark.parametrize("entry", ["purchase", "notification"])
def test_rubbish_is_refused(chain: Chain, entry: str, rubbish: str) -> None:
    assert refusal(getattr(store(chain), entry), rubbish).slug == "malformed"


def test_more_than_apple_ever_signs_is_not_even_verified(chain: Chain) -> None:
    signed = chain.sign(transaction(later="x" * 300_000))
    assert refusal(store(chain).purchase, signed).slug == "malformed"


def test_half_a_transaction_is_refused(chain: Chain) -> None:
    signed = chain.sign(transaction())
    assert refusal(store(chain).purchase, signed[: len(signed) // 2]).slug == "malformed"


# --- not of this app or environment ---------------------------------------------------------------


def test_a_transaction_of_another_app_is_refused(chain: Chain) -> None:
    signed = chain.sign(transaction(bundleId="com.example.other"))
    assert refusal(store(chain).purchase, signed).slug == "wrong_app"


def test_a_notification_of_another_bundle_is_refused(chain: Chain) -> None:
    signed = chain.sign(notification(bundleId="com.example.other"))
    assert refusal(store(chain).notification, signed).slug == "wrong_app"


def test_a_production_notification_of_another_app_id_is_refused(chain: Chain) -> None:
    signed = chain.sign(notification(appAppleId=APP_ID + 1))
    assert refusal(store(chain).notification, signed).slug == "wrong_app"


def test_a_sandbox_notification_has_no_app_id(chain: Chain) -> None:
    signed = chain.sign(notification(environment="Sandbox", appAppleId=None))
    assert store(chain).notification(signed).environment == "Sandbox"


@pytest.mark.parametrize(("taken", "given"), [("Production", "Sandbox"), ("Sandbox", "Production")])
def test_an_environment_that_is_not_taken_is_refused(chain: Chain, taken: str, given: str) -> None:
    app_store = store(chain, environments=[taken])
    bought = chain.sign(transaction(environment=given))
    assert refusal(app_store.purchase, bought).slug == "wrong_environment"
    told = chain.sign(notification(environment=given))
    error = refusal(app_store.notification, told)
    assert str(error) == f"wrong_environment: Only {taken} is taken here."


@pytest.mark.parametrize("environment", ["Xcode", "LocalTesting", "Later", None])
def test_environments_that_nobody_signs_are_refused(chain: Chain, environment: str | None) -> None:
    bought = chain.sign(transaction(environment=environment))
    assert refusal(store(chain).purchase, bought).slug == "wrong_environment"
    unsigned = f"{encode({'alg': 'none'})}.{encode(transaction(environment=environment))}."
    assert refusal(store(chain).purchase, unsigned).slug == "wrong_environment"


@pytest.mark.parametrize("environments", [["Xcode"], ["LocalTesting"], ["Production", "Xcode"], []])
def test_no_verifier_takes_them(chain: Chain, environments: list[str]) -> None:
    with pytest.raises(ValueError, match="environments are of Production, Sandbox"):
        store(chain, environments=environments)


def test_production_needs_the_app_id(chain: Chain) -> None:
    with pytest.raises(ValueError, match="appAppleId"):
        store(chain, app_apple_id=None)
    assert store(chain, app_apple_id=None, environments=["Sandbox"])


# --- signed, but no purchase ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "slug"),
    [
        ({"type": "Auto-Renewable Subscription"}, "not_consumable"),
        ({"type": "Non-Consumable"}, "not_consumable"),
        ({"type": "Non-Renewing Subscription"}, "not_consumable"),
        ({"type": "Later"}, "not_consumable"),
        ({"type": None}, "not_consumable"),
        ({"revocationDate": milliseconds(SIGNED)}, "purchase_revoked"),
        ({"revocationDate": 0}, "purchase_revoked"),
        ({"transactionId": None}, "malformed"),
        ({"transactionId": ""}, "malformed"),
        ({"productId": None}, "malformed"),
        ({"productId": "a\0b"}, "malformed"),
        ({"purchaseDate": None}, "malformed"),
        ({"purchaseDate": 10**18}, "malformed"),
        ({"purchaseDate": SECRET + "x"}, "malformed"),
        ({"appAccountToken": "somebody"}, "malformed"),
    ],
)
def test_what_is_no_purchase_is_refused(chain: Chain, changes: dict[str, Any], slug: str) -> None:
    assert refusal(store(chain).purchase, chain.sign(transaction(**changes))).slug == slug


@pytest.mark.parametrize(
    ("entry", "signed"),
    [
        pytest.param("notification", transaction(), id="a transaction as a notification"),
        pytest.param("purchase", notification(), id="a notification as a purchase"),
        pytest.param(
            "purchase",
            {"receiptType": "Production", "bundleId": BUNDLE, "appAppleId": APP_ID},
            id="an app transaction as a purchase",
        ),
        pytest.param(
            "purchase",
            {"environment": "Production", "productId": "credits_20", "signedDate": 1772366400250},
            id="a renewal as a purchase",
        ),
    ],
)
def test_one_thing_signed_does_not_pass_for_another(
    chain: Chain, entry: str, signed: dict[str, Any]
) -> None:
    error = refusal(getattr(store(chain), entry), chain.sign(signed))
    assert error.slug in ("wrong_app", "wrong_environment")


# --- notifications in particular ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "slug"),
    [
        ({"bundleId": "com.example.other"}, "wrong_app"),
        ({"environment": "Sandbox"}, "wrong_environment"),
        ({"transactionId": None}, "malformed"),
    ],
)
def test_a_transaction_inside_that_does_not_agree_is_refused(
    chain: Chain, changes: dict[str, Any], slug: str
) -> None:
    inside = chain.sign(transaction(**changes))
    signed = chain.sign(notification(signedTransactionInfo=inside))
    assert refusal(store(chain).notification, signed).slug == slug


def test_a_transaction_inside_that_another_chain_signed_is_refused(chain: Chain) -> None:
    inside = make_chain().sign(transaction())
    signed = chain.sign(notification(signedTransactionInfo=inside))
    assert refusal(store(chain).notification, signed).slug == "untrusted"


def test_a_transaction_inside_that_was_changed_is_refused(chain: Chain) -> None:
    header, _, signature = chain.sign(transaction()).split(".")
    inside = f"{header}.{encode(transaction(transactionId='another'))}.{signature}"
    signed = chain.sign(notification(signedTransactionInfo=inside))
    assert refusal(store(chain).notification, signed).slug == "untrusted"


@pytest.mark.parametrize("missing", ["notificationUUID", "notificationType", "signedDate"])
def test_a_notification_lacks_nothing_that_sql_needs(chain: Chain, missing: str) -> None:
    signed = chain.sign(notification(**{missing: None}))
    assert refusal(store(chain).notification, signed).slug == "malformed"


def test_a_notification_with_data_of_another_form_is_refused(chain: Chain) -> None:
    signed = chain.sign(notification(data="text"))
    assert refusal(store(chain).notification, signed).slug == "wrong_environment"


# --- roots and extras -----------------------------------------------------------------------------

# Apple Root CA - G3, as https://www.apple.com/certificateauthority/ has it.
G3 = base64.b64decode(
    "MIICQzCCAcmgAwIBAgIILcX8iNLFS5UwCgYIKoZIzj0EAwMwZzEbMBkGA1UEAwwSQXBwbGUgUm9vdCBDQSAtIEczMSYw"
    "JAYDVQQLDB1BcHBsZSBDZXJ0aWZpY2F0aW9uIEF1dGhvcml0eTETMBEGA1UECgwKQXBwbGUgSW5jLjELMAkGA1UEBhMC"
    "VVMwHhcNMTQwNDMwMTgxOTA2WhcNMzkwNDMwMTgxOTA2WjBnMRswGQYDVQQDDBJBcHBsZSBSb290IENBIC0gRzMxJjAk"
    "BgNVBAsMHUFwcGxlIENlcnRpZmljYXRpb24gQXV0aG9yaXR5MRMwEQYDVQQKDApBcHBsZSBJbmMuMQswCQYDVQQGEwJV"
    "UzB2MBAGByqGSM49AgEGBSuBBAAiA2IABJjpLz1AcqTtkyJygRMc3RCV8cWjTnHcFBbZDuWmBSp3ZHtfTjjTuxxEtX/1"
    "H7YyYl3J6YRbTzBPEVoA/VhYDKX1DyxNB0cTddqXl5dvMVztK517IDvYuVTZXpmkOlEKMaNCMEAwHQYDVR0OBBYEFLuw"
    "3qFYM4iapIqZ3r6966/ayySrMA8GA1UdEwEB/wQFMAMBAf8wDgYDVR0PAQH/BAQDAgEGMAoGCCqGSM49BAMDA2gAMGUC"
    "MQCD6cHEFl4aXTQY2e3v9GwOAEZLuN+yRhHFD/3meoyhpmvOwgPUnPWTxnS4at+qIxUCMG1mihDK1A3UT82NQz60imOl"
    "M27jbdoXt2QfyFMm+YhidDkLF1vLUagM6BgD56KyKA=="
)


def test_apples_root_is_known_and_no_other(chain: Chain, tmp_path: Path) -> None:
    apples, other = tmp_path / "AppleRootCA-G3.cer", tmp_path / "other.cer"
    apples.write_bytes(G3)
    other.write_bytes(chain.root.der)
    assert apple_roots(apples) == [G3]
    with pytest.raises(ValueError, match=r"other\.cer is none of Apple's root certificates"):
        apple_roots(apples, other)


def test_with_apples_root_ours_is_refused(chain: Chain) -> None:
    app_store = store(chain, root_certificates=[G3])
    assert refusal(app_store.purchase, chain.sign(transaction())).slug == "untrusted"


@pytest.mark.parametrize("roots", [[], [b"no certificate"]])
def test_a_verifier_without_a_root_is_not_made(chain: Chain, roots: list[bytes]) -> None:
    with pytest.raises(ValueError, match=r"root certificate|parsing"):
        store(chain, root_certificates=roots)


@pytest.mark.parametrize("module", ["apple", "apple_consumption"])
def test_without_the_extra_one_line_says_what_to_install(module: str) -> None:
    code = f"import sys; sys.modules['appstoreserverlibrary'] = None; import rendio.stores.{module}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stderr.splitlines()[-1] == (
        "ImportError: the App Store needs Apple's library: pip install 'rendio[apple]'"
    )


def test_the_dataclasses_need_no_extra() -> None:
    code = (
        "import sys; sys.modules['appstoreserverlibrary'] = sys.modules['jwt'] = None;"
        "from rendio.stores import Notification, Purchase, StoreError"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_notification_is_the_arguments_of_its_call(chain: Chain) -> None:
    told = store(chain).notification(chain.sign(notification(notificationType="TEST")))
    assert told.arguments() == {
        "store": "app_store",
        "environment": "Production",
        "notification_id": "7e3fb20b-4cdb-47cc-936d-99d65f608138",
        "type": "TEST",
        "transaction_id": None,
        "payload": {},
        "occurred_at": SIGNED,
    }
