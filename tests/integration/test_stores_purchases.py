"""From what a store signed to the credits: verified in Python, decided by SQL."""

import base64
import json
from collections.abc import Iterator
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from apple_chain import make_chain
from appstoreserverlibrary.models.DeliveryStatus import DeliveryStatus
from rendio import Client, errors
from rendio.stores import Notification
from rendio.stores.apple import AppStore
from rendio.stores.apple_consumption import consumption_request
from rendio.stores.google_play import GooglePlay

pytestmark = pytest.mark.once

APP, APP_ID = "com.example.video", 1234567890
CHAIN = make_chain()
APP_STORE = AppStore(
    bundle_id=APP, app_apple_id=APP_ID, root_certificates=[CHAIN.root.der], online_checks=False
)
TOKEN = "token." + "x" * 1000  # longer than a transaction id may be


class AnyToken:
    """Lets every push in; tokens have tests of their own."""

    def verify(self, authorization: str | None) -> None:
        pass


GOOGLE_PLAY = GooglePlay(package_name=APP, tokens=AnyToken())  # type: ignore[arg-type]


@pytest.fixture
def client(conn: psycopg.Connection[Any]) -> Iterator[Client]:
    with conn.transaction(force_rollback=True):
        yield Client(conn)


@pytest.fixture
def user_id(client: Client) -> UUID:
    return client.device_check(user_id=None, device_id=str(uuid4())).user_id


# --- the App Store --------------------------------------------------------------------------------


def signed_transaction(user_id: UUID, **changes: Any) -> str:
    facts = {
        "transactionId": "2000000912345678",
        "bundleId": APP,
        "productId": "credits_20",
        "purchaseDate": 1772366398125,
        "quantity": 1,
        "type": "Consumable",
        "appAccountToken": str(user_id),
        "signedDate": 1772366400250,
        "environment": "Production",
    }
    return CHAIN.sign(facts | changes)


def notified(type_: str, inside: str | None, **data: Any) -> Notification:
    """A notification of Apple's, verified, with a signed transaction inside or none."""
    within = {"bundleId": APP, "appAppleId": APP_ID, "environment": "Production"} | data
    told = {
        "notificationType": type_,
        "notificationUUID": str(uuid4()),
        "signedDate": 1772452800000,
        "data": within | ({"signedTransactionInfo": inside} if inside else {}),
    }
    return APP_STORE.notification(CHAIN.sign(told))


def buy(client: Client, user_id: UUID, **changes: Any) -> Any:
    purchase = APP_STORE.purchase(signed_transaction(user_id, **changes))
    return client.record_iap_purchase(user_id=user_id, **purchase.arguments())


def test_a_transaction_that_apple_signed_is_credited_once(client: Client, user_id: UUID) -> None:
    first, again = buy(client, user_id), buy(client, user_id)
    assert (first.credits_added, first.replayed) == (20, False)
    assert (again.credits_added, again.replayed) == (20, True)
    assert again.credits_remaining == first.credits_remaining


def test_three_of_a_product_are_credited_as_three(client: Client, user_id: UUID) -> None:
    assert buy(client, user_id, quantity=3).credits_added == 60


def test_a_transaction_of_another_account_is_refused(client: Client, user_id: UUID) -> None:
    purchase = APP_STORE.purchase(signed_transaction(uuid4()))
    with pytest.raises(errors.PurchaseBelongsToAnotherUser):
        client.record_iap_purchase(user_id=user_id, **purchase.arguments())


@pytest.mark.parametrize(("share", "taken"), [({}, 20), ({"revocationPercentage": 50_000}, 10)])
def test_a_refund_takes_back_what_apple_says(
    client: Client, user_id: UUID, share: dict[str, int], taken: int
) -> None:
    bought = buy(client, user_id).credits_remaining
    inside = signed_transaction(user_id, revocationDate=1772452799000, **share)
    refund = notified("REFUND", inside).arguments()
    done, again = (client.apply_store_notification(**refund) for _ in range(2))
    assert (done.action, done.credits_changed, done.replayed) == ("revoked", -taken, False)
    assert again.replayed
    assert again.credits_remaining == done.credits_remaining == bought - taken


@pytest.mark.parametrize(("type_", "action"), [("TEST", "test"), ("LATER_TYPE", "ignored")])
def test_what_is_about_no_purchase_moves_nothing(client: Client, type_: str, action: str) -> None:
    done = client.apply_store_notification(**notified(type_, None).arguments())
    assert (done.action, done.credits_changed) == (action, 0)


def test_a_question_is_answered_when_its_buyer_consents(client: Client, user_id: UUID) -> None:
    buy(client, user_id)
    reason = {"consumptionRequestReason": "UNINTENDED_PURCHASE"}
    asked = notified("CONSUMPTION_REQUEST", signed_transaction(user_id), **reason)
    client.apply_store_notification(**asked.arguments())
    assert client.get_consumption_requests().requests == []
    client.set_consumption_consent(user_id=user_id, consented=True)
    (request,) = client.get_consumption_requests().requests
    assert request.reason == "UNINTENDED_PURCHASE"
    body = consumption_request(request)
    assert (body.customerConsented, body.deliveryStatus) == (True, DeliveryStatus.DELIVERED)
    assert body.consumptionPercentage == 0


# --- Google Play ----------------------------------------------------------------------------------


def pushed(facts: dict[str, Any]) -> Notification:
    about = {"packageName": APP, "eventTimeMillis": "1772452800000"}
    news = json.dumps(about | {"voidedPurchaseNotification": facts}).encode()
    message = {"messageId": "136969346945", "data": base64.b64encode(news).decode()}
    return GOOGLE_PLAY.notification(json.dumps({"message": message}), None)


def test_a_purchase_token_of_any_length_is_credited_once(client: Client, user_id: UUID) -> None:
    answered = {
        "purchaseTimeMillis": "1772366398125",
        "purchaseState": 0,
        "obfuscatedExternalAccountId": str(user_id),
    }
    purchase = GooglePlay.purchase(answered, product_id="credits_50", purchase_token=TOKEN)
    first, again = (
        client.record_iap_purchase(user_id=user_id, **purchase.arguments()) for _ in range(2)
    )
    assert (first.credits_added, first.replayed, again.replayed) == (50, False, True)


@pytest.mark.parametrize(
    ("refund_type", "action", "change"), [(1, "revoked", -50), (2, "ignored", 0)]
)
def test_a_refund_of_googles_finds_its_purchase(
    client: Client, user_id: UUID, refund_type: int, action: str, change: int
) -> None:
    answered = {"purchaseTimeMillis": "1772366398125", "purchaseState": 0}
    purchase = GooglePlay.purchase(answered, product_id="credits_50", purchase_token=TOKEN)
    client.record_iap_purchase(user_id=user_id, **purchase.arguments())
    voided = {"purchaseToken": TOKEN, "orderId": "GPA.1", "productType": 2}
    told = pushed(voided | {"refundType": refund_type})
    done = client.apply_store_notification(**told.arguments())
    assert (done.action, done.credits_changed) == (action, change)
