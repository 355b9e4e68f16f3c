"""The plans' endpoints: their fields, the models' ETag, purchases that the App Store signed."""

from base64 import urlsafe_b64encode
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import jwt
import psycopg
import pytest
from apple_chain import Chain, make_chain
from edge_server import COST, MODEL, SERVICE, Edge, as_user
from rendio.edge.purchases import Purchases
from rendio.edge.settings import Apple, Secret, Settings
from rendio.stores import apple
from rendio.stores.apple import AppStore

pytestmark = [pytest.mark.once, pytest.mark.shapeless]

BUNDLE, APP_ID = "com.example.video", 1234567890
AT = 1_772_366_400_000


def slug(answer: Any) -> tuple[int, str]:
    assert set(answer.json()) >= {"code", "message", "details", "hint", "error"}
    assert answer.json()["error"] == answer.json()["message"]
    return answer.status_code, answer.json()["message"]


# --- generation -----------------------------------------------------------------------------------


def test_a_retry_is_answered_from_the_first_call(edge: Edge) -> None:
    user, key = edge.new_user(), str(uuid4())
    given = {"model_id": MODEL, "prompt": "A fox", "settings": {"duration": 8}}
    by_header = edge.endpoint("generate-video", given, as_user(user) | {"Idempotency-Key": key})
    by_body = edge.endpoint("generate-video", given | {"idempotency_key": key}, as_user(user))
    assert by_header.json() == {
        "job_id": by_body.json()["job_id"],
        "status": "pending",
        "credits_used": COST,
        "replayed": False,
    }
    assert by_body.json()["replayed"]


def test_a_generation_without_a_key_is_refused(edge: Edge) -> None:
    user = edge.new_user()
    answer = edge.endpoint("generate-video", {"model_id": MODEL, "prompt": "A fox"}, as_user(user))
    assert slug(answer) == (400, "invalid_argument")
    assert "p_idempotency_key" in answer.json()["details"]


def test_the_user_is_the_tokens(edge: Edge) -> None:
    mine, other = edge.new_user(), edge.new_user()
    given = {"model_id": MODEL, "prompt": "A fox", "user_id": str(other)}
    key = {"Idempotency-Key": str(uuid4())}
    assert slug(edge.endpoint("generate-video", given, as_user(mine) | key))[0] == 403
    assert slug(edge.endpoint("generate-video", given, key))[0] == 403
    named = given | {"user_id": str(mine).upper()}
    assert edge.endpoint("generate-video", named, as_user(mine) | key).status_code == 200
    without = {name: value for name, value in given.items() if name != "user_id"}
    nobody = edge.endpoint("generate-video", without, key)
    assert slug(nobody) == (401, "not_authenticated")
    assert nobody.headers["WWW-Authenticate"] == "Bearer"
    assert slug(edge.endpoint("generate-video", without, SERVICE | key))[0] == 400
    assert edge.endpoint("generate-video", given, SERVICE | key).json()["credits_used"] == COST
    for odd in ("", "x", 5, [], {}):
        answer = edge.endpoint("generate-video", given | {"user_id": odd}, as_user(mine))
        assert slug(answer) == (403, "not_your_account")


def test_jobs_are_listed_by_the_page(edge: Edge) -> None:
    user = edge.new_user()
    for _ in range(2):
        key = {"Idempotency-Key": str(uuid4())}
        edge.endpoint("generate-video", {"model_id": MODEL, "prompt": "A"}, as_user(user) | key)
    place, headers = "/functions/v1/get-video-jobs", as_user(user)
    first = edge.http.get(place, params={"limit": 1}, headers=headers).json()
    rest = edge.http.get(place, params={"before": first["next_before"]}, headers=headers).json()
    posted = edge.endpoint("get-video-jobs", {"limit": 2}, headers).json()
    assert posted["jobs"] == first["jobs"] + rest["jobs"]
    assert len(posted["jobs"]) == 2
    assert slug(edge.http.get(place, params={"page": 1}, headers=headers))[0] == 400
    assert slug(edge.http.get(place, params={"limit": "x"}, headers=headers))[0] == 400


def test_methods_and_paths(edge: Edge) -> None:
    answer = edge.http.get("/functions/v1/generate-video", headers=SERVICE)
    assert (answer.status_code, answer.json()["code"]) == (405, "PGRST117")
    assert answer.headers["Allow"] == "POST"
    assert edge.http.get("/functions/v1/nothing").json()["code"] == "PGRST125"


# --- models ---------------------------------------------------------------------------------------


def test_models_are_sent_once(edge: Edge, owner: psycopg.Connection[Any]) -> None:
    place = "/functions/v1/get-models"
    first = edge.http.get(place)
    assert first.headers["Cache-Control"] == "max-age=3600"
    assert first.json()["models"][0]["is_featured"]
    assert "provider_model_id" not in first.text
    tag = first.headers["ETag"]
    for sent in (tag, f'W/{tag}, "x"', "*"):
        again = edge.http.get(place, headers={"If-None-Match": sent})
        assert (again.status_code, again.content) == (304, b"")
        assert (again.headers["ETag"], again.headers["Cache-Control"]) == (tag, "max-age=3600")
        assert "Content-Type" not in again.headers
    owner.execute("update public.models set description = 'changed' where id = %s", [MODEL])
    changed = edge.http.get(place, headers={"If-None-Match": tag})
    assert changed.status_code == 200
    assert changed.headers["ETag"] != tag
    head = edge.http.head(place)
    assert (head.status_code, head.content) == (200, b"")


def test_models_are_sent_once_in_the_other_face_too(edge: Edge) -> None:
    place = "/rest/v1/rpc/get_models"
    first = edge.http.get(place)
    assert first.headers["Cache-Control"] == "max-age=3600"
    tag = first.headers["ETag"]
    assert tag == first.json()["etag"]
    again = edge.http.get(place, headers={"If-None-Match": tag})
    assert (again.status_code, again.content) == (304, b"")
    assert (again.headers["ETag"], again.headers["Cache-Control"]) == (tag, "max-age=3600")
    by_argument = edge.rpc("get_models", {"p_if_none_match": tag})
    assert (by_argument.status_code, by_argument.json()["not_modified"]) == (200, True)


# --- purchases ------------------------------------------------------------------------------------


def transaction(**changes: Any) -> dict[str, Any]:
    return {
        "transactionId": str(uuid4().int),
        "bundleId": BUNDLE,
        "productId": "credits_20",
        "purchaseDate": AT,
        "quantity": 1,
        "type": "Consumable",
        "signedDate": AT,
        "environment": "Production",
    } | changes


@pytest.fixture(scope="module")
def chain() -> Chain:
    return make_chain()


@pytest.fixture
def store(chain: Chain, start: Callable[..., Edge], monkeypatch: pytest.MonkeyPatch) -> Edge:
    """A server that takes what this chain signs for Apple's."""
    app_store = AppStore(
        bundle_id=BUNDLE,
        app_apple_id=APP_ID,
        root_certificates=[chain.root.der],
        online_checks=False,
    )
    monkeypatch.setattr(Purchases, "of", lambda settings: Purchases(app_store.purchase))
    return start()


def test_a_signed_transaction_brings_credits_once(store: Edge, chain: Chain) -> None:
    user = store.new_user()
    given = {"signed_transaction": chain.sign(transaction())}
    first = store.endpoint("update-credits", given, as_user(user))
    assert first.json() == {"credits_added": 20, "credits_remaining": 30, "replayed": False}
    assert store.endpoint("update-credits", given, as_user(user)).json()["replayed"]
    other = store.endpoint("update-credits", given, as_user(store.new_user()))
    assert slug(other) == (409, "purchase_belongs_to_another_user")


def test_what_apple_did_not_sign_brings_nothing(store: Edge, chain: Chain) -> None:
    user = store.new_user()
    forged = make_chain().sign(transaction())
    unsigned = jwt.encode(transaction(), None, "none")
    for signed, expected in (
        (forged, (400, "untrusted")),
        (unsigned, (400, "untrusted")),
        (chain.sign(transaction(bundleId="com.example.other")), (400, "wrong_app")),
        ("x", (400, "malformed")),
        (None, (400, "invalid_argument")),
        ({"transactionId": "1"}, (400, "invalid_argument")),
    ):
        answer = store.endpoint("update-credits", {"signed_transaction": signed}, as_user(user))
        assert slug(answer) == expected
    left = store.rpc("get_user_credits", {"p_user_id": str(user)}, SERVICE).json()
    assert left["credits_remaining"] == 10


def test_an_environment_that_is_no_text(store: Edge) -> None:
    """Nobody has signed it yet when it is read: it says whose signature is asked for."""
    user = store.new_user()
    deep = "[" * 20_000 + "]" * 20_000
    for payload, expected in {
        '{"environment": []}': "wrong_environment",
        '{"environment": {"a": 1}}': "wrong_environment",
        '{"data": {"environment": []}}': "wrong_environment",
        f'{{"environment": {deep}}}': "malformed",
        f'{{"a": {deep}}}': "malformed",
    }.items():
        signed = ".".join([encoded('{"alg": "ES256"}'), encoded(payload), "AA"])
        answer = store.endpoint("update-credits", {"signed_transaction": signed}, as_user(user))
        assert slug(answer) == (400, expected)


def encoded(text: str) -> str:
    return urlsafe_b64encode(text.encode()).decode().rstrip("=")


def test_a_purchase_is_for_the_tokens_user(store: Edge, chain: Chain) -> None:
    user = store.new_user()
    given = {"signed_transaction": chain.sign(transaction()), "user_id": str(user)}
    assert slug(store.endpoint("update-credits", given))[0] == 403
    assert slug(store.endpoint("update-credits", given, as_user(store.new_user())))[0] == 403
    bound = chain.sign(transaction(appAccountToken=str(uuid4())))
    answer = store.endpoint("update-credits", {"signed_transaction": bound}, as_user(user))
    assert slug(answer) == (409, "purchase_belongs_to_another_user")
    assert store.endpoint("update-credits", given, SERVICE).json()["credits_added"] == 20


def test_without_keys_purchases_are_closed_except_in_development(
    edge: Edge, start: Callable[..., Edge]
) -> None:
    user = edge.new_user()
    given = {"signed_transaction": jwt.encode(transaction(), "anything at all, 32 bytes long....")}
    refused = edge.endpoint("update-credits", given, as_user(user))
    assert slug(refused) == (503, "app_store_not_configured")
    believing = start(insecure_dev=True)
    assert believing.endpoint("update-credits", given, as_user(user)).json()["credits_added"] == 20
    found = believing.endpoint("update-credits", {"signed_transaction": "x.y.z"}, as_user(user))
    assert slug(found) == (400, "malformed")


def test_what_is_believed_is_of_the_sandbox(
    start: Callable[..., Edge], owner: psycopg.Connection[Any]
) -> None:
    edge, told = start(insecure_dev=True), transaction()
    signed = jwt.encode(told, "anything at all, 32 bytes long....")
    edge.endpoint("update-credits", {"signed_transaction": signed}, as_user(edge.new_user()))
    row = owner.execute(
        "select environment from public.iap_transactions where transaction_id = %s",
        [told["transactionId"]],
    ).fetchone()
    assert row == ("Sandbox",)


def test_apples_settings_make_a_verifier(
    chain: Chain, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "root.cer"
    root.write_bytes(chain.root.der)
    given = Apple(bundle_id=BUNDLE, app_id=APP_ID, root_certificates=(str(root),))
    settings = Settings(database_url=Secret(""), apple=given, insecure_dev=True)
    with pytest.raises(ValueError, match="none of Apple's root certificates"):
        Purchases.of(settings)
    monkeypatch.setattr(apple, "ROOT_FINGERPRINTS", {apple.sha256(chain.root.der).hexdigest()})
    made = Purchases.of(settings)
    assert made
    assert isinstance(made._read.__self__, AppStore)  # type: ignore[attr-defined]
