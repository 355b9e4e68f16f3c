"""The answer to a CONSUMPTION_REQUEST, sent to a stand-in for the App Store Server API."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field, make_dataclass
from typing import Any
from uuid import uuid4

import jwt
import pytest
from appstoreserverlibrary.api_client import AppStoreServerAPIClient
from appstoreserverlibrary.models.Environment import Environment
from appstoreserverlibrary.models.RefundPreference import RefundPreference
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from loopback import Answer, Request, Service, serve
from rendio.stores import StoreError, StoreUnavailable
from rendio.stores.apple_consumption import send_consumption

BUNDLE, ISSUER, KEY_ID = "com.example.video", "99b16628-15e4-4668-972b-eeff55eeff55", "ABCDEFGHIJ"
KEY = ec.generate_private_key(ec.SECP256R1())
ROW = {
    "store": "app_store",
    "environment": "Sandbox",
    "notification_id": "7e3fb20b-4cdb-47cc-936d-99d65f608138",
    "transaction_id": "2000000912345678",
    "user_id": uuid4(),
    "due_at": None,
    "customer_consented": True,
    "consumption_percentage": 37_500,
}


@dataclass
class FakeApple:
    """Lets in who signs with the key that Apple was told, and answers as it is told to."""

    status: int = 202
    error: dict[str, Any] = field(default_factory=dict)

    def __call__(self, request: Request) -> Answer:
        scheme, token = request.headers["authorization"].split(" ")
        assert scheme == "Bearer"
        assert jwt.get_unverified_header(token)["kid"] == KEY_ID
        jwt.decode(
            token,
            KEY.public_key(),
            algorithms=["ES256"],
            audience="appstoreconnect-v1",
            issuer=ISSUER,
            options={"require": ["exp"]},
        )
        return Answer(self.status, json.dumps(self.error).encode() if self.error else b"")


class Loopback(AppStoreServerAPIClient):
    """Apple's client, but for the address."""

    def __init__(self, url: str) -> None:
        pem = KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        super().__init__(pem, KEY_ID, ISSUER, BUNDLE, Environment.SANDBOX)
        self._base_url = url


@pytest.fixture
def apple(monkeypatch: pytest.MonkeyPatch) -> FakeApple:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    return FakeApple()


@pytest.fixture
def service(apple: FakeApple) -> Iterator[Service]:
    with serve(apple) as service:
        yield service


@pytest.fixture
def clients(service: Service) -> dict[str, AppStoreServerAPIClient]:
    return {"Sandbox": Loopback(service.url)}


def test_a_row_is_sent_as_apple_documents_it(
    clients: dict[str, AppStoreServerAPIClient], service: Service
) -> None:
    send_consumption(clients, ROW)
    (request,) = service.requests
    assert (request.method, request.path) == (
        "PUT",
        "/inApps/v2/transactions/consumption/2000000912345678",
    )
    assert request.headers["content-type"] == "application/json"
    assert json.loads(request.body) == {
        "customerConsented": True,
        "sampleContentProvided": True,
        "deliveryStatus": "DELIVERED",
        "consumptionPercentage": 37_500,
    }


def test_a_row_may_be_a_dataclass(
    clients: dict[str, AppStoreServerAPIClient], service: Service
) -> None:
    send_consumption(clients, make_dataclass("Row", ROW)(**ROW))
    send_consumption(clients, ROW)
    of_dataclass, of_dict = service.requests
    assert (of_dataclass.path, of_dataclass.body) == (of_dict.path, of_dict.body)


def test_a_preference_is_sent_when_there_is_one(
    clients: dict[str, AppStoreServerAPIClient], service: Service
) -> None:
    send_consumption(
        clients,
        ROW | {"consumption_percentage": 0},
        sample_content_provided=False,
        refund_preference=RefundPreference.GRANT_PRORATED,
    )
    body = json.loads(service.requests[0].body)
    assert body["refundPreference"] == "GRANT_PRORATED"
    assert (body["sampleContentProvided"], body["consumptionPercentage"]) == (False, 0)


@pytest.mark.parametrize("consent", [False, None, "true", 1])
def test_without_consent_nothing_is_sent(
    clients: dict[str, AppStoreServerAPIClient], service: Service, consent: object
) -> None:
    with pytest.raises(StoreError) as caught:
        send_consumption(clients, ROW | {"customer_consented": consent})
    assert caught.value.slug == "consent_missing"
    assert service.requests == []


@pytest.mark.parametrize("other", [{"environment": "Production"}, {"store": "google_play"}])
def test_a_row_goes_to_its_own_environment_or_nowhere(
    clients: dict[str, AppStoreServerAPIClient], service: Service, other: dict[str, str]
) -> None:
    with pytest.raises(StoreError) as caught:
        send_consumption(clients, ROW | other)
    assert caught.value.slug == "wrong_environment"
    assert service.requests == []


def test_a_refusal_tells_apples_code(
    clients: dict[str, AppStoreServerAPIClient], apple: FakeApple
) -> None:
    apple.status = 404
    apple.error = {"errorCode": 4040010, "errorMessage": "Transaction id not found."}
    with pytest.raises(StoreError) as caught:
        send_consumption(clients, ROW)
    assert not caught.value.is_retryable
    assert str(caught.value) == "refused_by_store (http_status 404, error_code 4040010)"


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_refusal_that_passes_may_be_tried_again(
    clients: dict[str, AppStoreServerAPIClient], apple: FakeApple, status: int
) -> None:
    apple.status = status
    with pytest.raises(StoreUnavailable) as caught:
        send_consumption(clients, ROW)
    assert caught.value.detail["http_status"] == status


def test_an_api_out_of_reach_may_be_tried_again(apple: FakeApple) -> None:
    with serve(apple) as gone:
        clients = {"Sandbox": Loopback(gone.url)}
    with pytest.raises(StoreUnavailable):
        send_consumption(clients, ROW)
