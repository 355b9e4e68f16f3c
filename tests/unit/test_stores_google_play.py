"""Google Play: pushes whose token is good, pushes whose token is not in one thing, purchases."""

import base64
import hashlib
import hmac
import json
import subprocess
import sys
import time
import traceback
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwt.algorithms import RSAAlgorithm
from loopback import Answer, Request, Service, serve
from rendio.stores import Notification, Purchase, StoreError, StoreUnavailable
from rendio.stores.google_play import GooglePlay
from rendio.stores.pubsub import PushTokens

PACKAGE = "com.example.video"
AUDIENCE = "https://api.example.com/google-play"
PUSHER = "pusher@example.iam.gserviceaccount.com"
KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
OTHER_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
TOKEN = "opaque-token." + "x" * 300  # longer than a transaction id may be
KNOWN_AS = hashlib.sha256(TOKEN.encode()).hexdigest()
DEEP = base64.urlsafe_b64encode(b"[" * 99_999).decode()
EVENT = datetime(2026, 3, 1, 12, 0, 0, 250_000, tzinfo=UTC)
ACCOUNT = UUID("3b0e6f8c-9d5f-4f0e-8a53-1d0c3a1b2c4d")


@dataclass
class FakeGoogle:
    """Serves the public keys."""

    status: int = 200
    keys: dict[str, rsa.RSAPrivateKey] = field(default_factory=lambda: {"kid-1": KEY})
    body: bytes | None = None

    def __call__(self, _: Request) -> Answer:
        shown = [
            RSAAlgorithm.to_jwk(key.public_key(), as_dict=True)
            | {"kid": kid, "alg": "RS256", "use": "sig"}
            for kid, key in self.keys.items()
        ]
        return Answer(self.status, self.body or json.dumps({"keys": shown}).encode())


@pytest.fixture
def google(monkeypatch: pytest.MonkeyPatch) -> FakeGoogle:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    return FakeGoogle()


@pytest.fixture
def service(google: FakeGoogle) -> Iterator[Service]:
    with serve(google) as service:
        yield service


def google_play(url: str) -> GooglePlay:
    keys = jwt.PyJWKClient(url)
    tokens = PushTokens(audience=AUDIENCE, service_account=PUSHER, keys=keys)
    return GooglePlay(package_name=PACKAGE, tokens=tokens)


@pytest.fixture
def play(service: Service) -> GooglePlay:
    return google_play(service.url)


def bearer(key: Any = KEY, *, kid: str | None = "kid-1", alg: str = "RS256", **changes: Any) -> str:
    """An Authorization header as Pub/Sub sends it; a change to None leaves the claim out."""
    now = int(time.time())
    claims = {
        "aud": AUDIENCE,
        "azp": "113774264463038321964",
        "email": PUSHER,
        "email_verified": True,
        "exp": now + 3600,
        "iat": now,
        "iss": "https://accounts.google.com",
        "sub": "113774264463038321964",
    } | changes
    claims = {name: claim for name, claim in claims.items() if claim is not None}
    return "Bearer " + jwt.encode(claims, key, algorithm=alg, headers={"kid": kid} if kid else {})


def push(news: dict[str, Any], **message: Any) -> bytes:
    data = base64.b64encode(json.dumps(news).encode()).decode()
    envelope = {"messageId": "136969346945", "publishTime": "2026-03-01T12:00:01Z", "data": data}
    return json.dumps({"message": envelope | message, "subscription": "projects/p/s"}).encode()


def developer_notification(**kinds: Any) -> dict[str, Any]:
    about = {"version": "1.0", "packageName": PACKAGE, "eventTimeMillis": "1772366400250"}
    return about | kinds


def bought(**changes: Any) -> dict[str, Any]:
    facts = {"version": "1.0", "notificationType": 1, "purchaseToken": TOKEN, "sku": "credits_20"}
    return developer_notification(oneTimeProductNotification=facts | changes)


# --- notifications --------------------------------------------------------------------------------


def test_a_purchase_is_announced(play: GooglePlay) -> None:
    assert play.notification(push(bought()), bearer()) == Notification(
        store="google_play",
        environment="Production",
        notification_id="136969346945",
        type="ONE_TIME_PRODUCT_PURCHASED",
        transaction_id=KNOWN_AS,
        payload={"notificationType": 1, "purchaseToken": TOKEN, "productId": "credits_20"},
        occurred_at=EVENT,
    )


def test_a_refund_is_about_the_same_transaction(play: GooglePlay) -> None:
    facts = {"purchaseToken": TOKEN, "orderId": "GPA.1", "productType": 2, "refundType": 2}
    news = developer_notification(voidedPurchaseNotification=facts)
    told = play.notification(push(news), bearer(), environment="Sandbox")
    assert (told.type, told.transaction_id, told.environment) == (
        "VOIDED_PURCHASE",
        KNOWN_AS,
        "Sandbox",
    )
    assert told.payload == facts


@pytest.mark.parametrize(
    ("name", "facts", "type_"),
    [
        ("oneTimeProductNotification", {"notificationType": 2}, "ONE_TIME_PRODUCT_CANCELED"),
        ("oneTimeProductNotification", {"notificationType": 3}, "ONE_TIME_PRODUCT_3"),
        ("subscriptionNotification", {"notificationType": 4}, "SUBSCRIPTION_4"),
        ("testNotification", {"version": "1.0"}, "TEST"),
        ("pendingRefundReviewNotification", {"orderId": "GPA.1"}, "PENDING_REFUND_REVIEW"),
        ("laterNotification", {"notificationType": [1]}, "LATER"),
    ],
)
def test_every_notification_has_a_name(
    play: GooglePlay, name: str, facts: dict[str, Any], type_: str
) -> None:
    told = play.notification(push(developer_notification(**{name: facts})), bearer())
    assert (told.type, told.transaction_id) == (type_, None)


def test_a_time_may_be_a_number(play: GooglePlay) -> None:
    news = bought() | {"eventTimeMillis": 1772366400250}
    assert play.notification(push(news), bearer()).occurred_at == EVENT


# --- pushes of somebody else ----------------------------------------------------------------------


def refusal(play: GooglePlay, body: bytes, authorization: str | None) -> StoreError:
    """Return the error of a push, once it is sure that it repeats neither token."""
    with pytest.raises(StoreError) as caught:
        play.notification(body, authorization)
    told = "".join(traceback.format_exception(caught.value)) + repr(vars(caught.value))
    assert TOKEN not in told
    assert len(authorization or "") < 20 or str(authorization)[7:] not in told
    return caught.value


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"aud": "https://api.example.com/other"}, id="audience"),
        pytest.param({"aud": None}, id="no audience"),
        pytest.param({"iss": "https://accounts.example.com"}, id="issuer"),
        pytest.param({"iss": None}, id="no issuer"),
        pytest.param({"exp": 1_700_000_000}, id="expired"),
        pytest.param({"exp": None}, id="never expires"),
        pytest.param({"iat": 4_000_000_000}, id="issued later"),
        pytest.param({"iat": None}, id="never issued"),
        pytest.param({"email": "other@example.iam.gserviceaccount.com"}, id="account"),
        pytest.param({"email": None}, id="no account"),
        pytest.param({"email_verified": False}, id="account not verified"),
        pytest.param({"email_verified": "true"}, id="account verified in words"),
        pytest.param({"email_verified": None}, id="account of unknown verification"),
    ],
)
def test_a_token_with_a_wrong_claim_is_refused(play: GooglePlay, changes: dict[str, Any]) -> None:
    error = refusal(play, push(bought()), bearer(**changes))
    assert (error.slug, error.status, error.is_retryable) == ("untrusted", 400, False)


def with_the_public_key_as_secret() -> str:
    signed, _, _ = bearer("a secret of thirty-two characters", alg="HS256").rpartition(".")
    secret = KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    signature = hmac.digest(secret, signed.removeprefix("Bearer ").encode(), hashlib.sha256)
    return f"{signed}.{base64.urlsafe_b64encode(signature).rstrip(b'=').decode()}"


@pytest.mark.parametrize(
    "authorization",
    [
        pytest.param(lambda: bearer(OTHER_KEY), id="another key"),
        pytest.param(lambda: bearer(OTHER_KEY, kid="kid-2"), id="a key nobody knows"),
        pytest.param(lambda: bearer(kid=None), id="no key named"),
        pytest.param(lambda: bearer(alg="RS512"), id="another algorithm"),
        pytest.param(lambda: bearer(None, alg="none"), id="no algorithm"),
        pytest.param(with_the_public_key_as_secret, id="the public key as a secret"),
        pytest.param(lambda: bearer()[:-8], id="cut short"),
        pytest.param(lambda: bearer().replace("Bearer", "Basic"), id="another scheme"),
        pytest.param(lambda: bearer().removeprefix("Bearer "), id="no scheme"),
        pytest.param(lambda: "Bearer ", id="no token"),
        pytest.param(lambda: "Bearer " + "x" * 2**20, id="1 MB of rubbish"),
        pytest.param(lambda: "Bearer \ud800.\ud800.\ud800", id="no Unicode"),
        pytest.param(lambda: f"Bearer {DEEP}.{DEEP}.AAAA", id="deep JSON"),
        pytest.param(lambda: "", id="empty"),
        pytest.param(lambda: None, id="none"),
    ],
)
def test_a_token_that_google_did_not_sign_is_refused(play: GooglePlay, authorization: Any) -> None:
    assert refusal(play, push(bought()), authorization()).slug == "untrusted"


def test_either_name_of_the_issuer_is_google(play: GooglePlay) -> None:
    assert play.notification(push(bought()), bearer(iss="accounts.google.com"))


def test_keys_are_fetched_once(play: GooglePlay, service: Service) -> None:
    for _ in range(3):
        play.notification(push(bought()), bearer())
        refusal(play, push(bought()), bearer(OTHER_KEY, kid="kid-2"))
    assert len(service.requests) == 1


@pytest.mark.parametrize(("status", "body"), [(503, None), (200, b"no JSON")])
def test_without_googles_keys_a_push_may_be_repeated(
    play: GooglePlay, google: FakeGoogle, status: int, body: bytes | None
) -> None:
    google.status, google.body = status, body
    error = refusal(play, push(bought()), bearer())
    assert isinstance(error, StoreUnavailable)
    google.status, google.body = 200, None
    assert play.notification(push(bought()), bearer())


def test_google_out_of_reach_is_no_refusal(google: FakeGoogle) -> None:
    with serve(google) as gone:
        play = google_play(gone.url)
    assert isinstance(refusal(play, push(bought()), bearer()), StoreUnavailable)


def test_another_app_is_refused(play: GooglePlay) -> None:
    news = bought() | {"packageName": "com.example.other"}
    assert refusal(play, push(news), bearer()).slug == "wrong_app"


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"x" * 2**20, id="1 MB of rubbish"),
        pytest.param(b"[" * 100_000, id="deep JSON"),
        pytest.param(b"\xff", id="no UTF-8"),
        pytest.param(b"[]", id="a list"),
        pytest.param(b"{}", id="no message"),
        pytest.param(b'{"message": "text"}', id="a text as message"),
        pytest.param(push(bought(), data=None), id="no data"),
        pytest.param(push(bought(), data="?"), id="no base64"),
        pytest.param(push(bought(), data="bm8gSlNPTg=="), id="no JSON inside"),
        pytest.param(push(bought(), messageId=None), id="no message id"),
        pytest.param(push(developer_notification()), id="no notification"),
        pytest.param(push(bought() | {"testNotification": {}}), id="two notifications"),
        pytest.param(push(bought() | {"eventTimeMillis": "soon"}), id="no time"),
        pytest.param(push(bought(purchaseToken=["list"])), id="a list as token"),
        pytest.param(push(bought(purchaseToken="\ud800")), id="no Unicode as token"),
        pytest.param(push(developer_notification(testNotification=1)), id="a number as facts"),
    ],
)
def test_what_is_no_notification_is_refused(play: GooglePlay, body: bytes) -> None:
    assert refusal(play, body, bearer()).slug == "malformed"


# --- purchases ------------------------------------------------------------------------------------


def resource(**changes: Any) -> dict[str, Any]:
    facts = {
        "kind": "androidpublisher#productPurchase",
        "purchaseTimeMillis": "1772366400250",
        "purchaseState": 0,
        "consumptionState": 0,
        "orderId": "GPA.3312-2412-9114-55243",
        "acknowledgementState": 0,
        "obfuscatedExternalAccountId": str(ACCOUNT),
        "regionCode": "US",
    } | changes
    return {name: fact for name, fact in facts.items() if fact is not None}


def read(**changes: Any) -> Purchase:
    return GooglePlay.purchase(resource(**changes), product_id="credits_20", purchase_token=TOKEN)


def test_what_google_answers_is_a_purchase() -> None:
    assert read() == Purchase(
        store="google_play",
        environment="Production",
        transaction_id=KNOWN_AS,
        product_id="credits_20",
        purchased_at=EVENT,
        app_account_token=ACCOUNT,
    )
    assert read(productId="credits_20", purchaseToken=TOKEN, quantity=1) == read()
    assert read(quantity=3).arguments()["quantity"] == 3


@pytest.mark.parametrize(
    ("kind", "environment"), [(0, "Sandbox"), (1, "Production"), (2, "Production")]
)
def test_a_test_purchase_is_the_sandboxs(kind: int, environment: str) -> None:
    assert read(purchaseType=kind).environment == environment


@pytest.mark.parametrize("account", [None, "", "a hash of a name", 7])
def test_an_account_id_that_is_not_ours_binds_nobody(account: object) -> None:
    assert read(obfuscatedExternalAccountId=account).app_account_token is None


@pytest.mark.parametrize(
    ("changes", "slug"),
    [
        ({"purchaseState": 1}, "purchase_revoked"),
        ({"purchaseState": 2}, "purchase_pending"),
        ({"purchaseState": 3}, "malformed"),
        ({"purchaseState": None}, "malformed"),
        ({"productId": "credits_120"}, "malformed"),
        ({"purchaseToken": "another"}, "malformed"),
        ({"purchaseTimeMillis": None}, "malformed"),
    ],
)
def test_what_is_not_bought_is_refused(changes: dict[str, Any], slug: str) -> None:
    with pytest.raises(StoreError) as caught:
        read(**changes)
    assert caught.value.slug == slug


def test_without_the_extra_one_line_says_what_to_install() -> None:
    code = "import sys; sys.modules['jwt'] = None; import rendio.stores.google_play"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stderr.splitlines()[-1] == (
        "ImportError: Google Play needs PyJWT: pip install 'rendio[google_play]'"
    )
