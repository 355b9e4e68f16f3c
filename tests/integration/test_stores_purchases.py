"""From what a store signed to the credits: verified in Python, credited by SQL."""

from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from apple_chain import make_chain
from rendio import Client, errors
from rendio.stores.apple import AppStore
from rendio.stores.google_play import GooglePlay

pytestmark = pytest.mark.once

BUNDLE = "com.example.video"
CHAIN = make_chain()
APP_STORE = AppStore(
    bundle_id=BUNDLE, app_apple_id=1, root_certificates=[CHAIN.root.der], online_checks=False
)


def signed_transaction(user_id: UUID) -> str:
    return CHAIN.sign(
        {
            "transactionId": "2000000912345678",
            "bundleId": BUNDLE,
            "productId": "credits_20",
            "purchaseDate": 1772366398125,
            "type": "Consumable",
            "appAccountToken": str(user_id),
            "signedDate": 1772366400250,
            "environment": "Production",
        }
    )


@pytest.fixture
def client(conn: psycopg.Connection[Any]) -> Client:
    return Client(conn)


@pytest.fixture
def user_id(client: Client) -> UUID:
    return client.device_check(user_id=None, device_id=str(uuid4())).user_id


def test_a_transaction_that_apple_signed_is_credited_once(client: Client, user_id: UUID) -> None:
    signed = signed_transaction(user_id)
    first, again = (
        client.record_iap_purchase(user_id=user_id, **APP_STORE.purchase(signed).arguments())
        for _ in range(2)
    )
    assert (first.credits_added, first.replayed) == (20, False)
    assert (again.credits_added, again.replayed) == (20, True)
    assert again.credits_remaining == first.credits_remaining


def test_a_transaction_of_another_account_is_refused(client: Client, user_id: UUID) -> None:
    purchase = APP_STORE.purchase(signed_transaction(uuid4()))
    with pytest.raises(errors.PurchaseBelongsToAnotherUser):
        client.record_iap_purchase(user_id=user_id, **purchase.arguments())


def test_a_purchase_token_of_any_length_is_credited_once(client: Client, user_id: UUID) -> None:
    answered = {
        "purchaseTimeMillis": "1772366398125",
        "purchaseState": 0,
        "obfuscatedExternalAccountId": str(user_id),
    }
    purchase = GooglePlay.purchase(
        answered, product_id="credits_50", purchase_token="token." + "x" * 1000
    )
    first, again = (
        client.record_iap_purchase(user_id=user_id, **purchase.arguments()) for _ in range(2)
    )
    assert (first.credits_added, first.replayed, again.replayed) == (50, False, True)
