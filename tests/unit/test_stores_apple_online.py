"""With online checks: certificates that were revoked, and a responder that is of no help."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from apple_chain import Chain, Responder, issue, make_chain
from cryptography.x509.ocsp import OCSPCertStatus
from loopback import Service, serve
from rendio.stores import StoreError, StoreUnavailable
from rendio.stores.apple import AppStore

BUNDLE = "com.example.video"
LONG_AGO = (datetime(2020, 1, 1, tzinfo=UTC), datetime(2025, 1, 1, tzinfo=UTC))
TRANSACTION = {
    "transactionId": "2000000912345678",
    "bundleId": BUNDLE,
    "productId": "credits_20",
    "purchaseDate": 1_600_000_000_000,
    "type": "Consumable",
    "signedDate": 1_600_000_000_000,  # in 2020
    "environment": "Sandbox",
}


@pytest.fixture(autouse=True)
def direct(monkeypatch: pytest.MonkeyPatch) -> None:
    """The loopback address is not for a proxy to reach."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


@pytest.fixture
def responder() -> Responder:
    return Responder()


@pytest.fixture
def service(responder: Responder) -> Iterator[Service]:
    with serve(responder) as service:
        yield service


@pytest.fixture
def chain(responder: Responder, service: Service) -> Chain:
    responder.chain = make_chain(ocsp_url=service.url)
    return responder.chain


def store(chain: Chain, **options: Any) -> AppStore:
    roots = [chain.root.der]
    return AppStore(bundle_id=BUNDLE, environments=["Sandbox"], root_certificates=roots, **options)


def test_good_certificates_are_asked_about_once(chain: Chain, service: Service) -> None:
    app_store = store(chain)
    assert app_store.purchase(chain.sign(TRANSACTION)).transaction_id == "2000000912345678"
    assert len(service.requests) == 2  # leaf and intermediate
    app_store.purchase(chain.sign(TRANSACTION))
    assert len(service.requests) == 2


def test_without_online_checks_nobody_is_asked(chain: Chain, service: Service) -> None:
    store(chain, online_checks=False).purchase(chain.sign(TRANSACTION))
    assert service.requests == []


@pytest.mark.parametrize("which", ["leaf", "intermediate"])
@pytest.mark.parametrize("status", [OCSPCertStatus.REVOKED, OCSPCertStatus.UNKNOWN])
def test_a_certificate_that_is_not_good_is_refused(
    chain: Chain, responder: Responder, which: str, status: OCSPCertStatus
) -> None:
    setattr(responder, which, status)
    with pytest.raises(StoreError) as caught:
        store(chain).purchase(chain.sign(TRANSACTION))
    assert (caught.value.slug, caught.value.is_retryable) == ("untrusted", False)


def test_a_good_answer_of_yesterday_is_refused(chain: Chain, responder: Responder) -> None:
    responder.age = timedelta(days=1)
    with pytest.raises(StoreError) as caught:
        store(chain).purchase(chain.sign(TRANSACTION))
    assert caught.value.slug == "untrusted"


def test_an_issuer_may_let_another_answer(chain: Chain, responder: Responder) -> None:
    responder.signer = issue("Responder", by=chain.intermediate, may_answer=True)
    assert store(chain).purchase(chain.sign(TRANSACTION))


@pytest.mark.parametrize(
    ("is_issued", "may_answer"),
    [
        pytest.param(False, True, id="not the issuer's"),
        pytest.param(True, False, id="the issuer's, for something else"),
    ],
)
def test_a_good_answer_of_somebody_else_is_refused(
    chain: Chain, responder: Responder, is_issued: bool, may_answer: bool
) -> None:
    by = chain.intermediate if is_issued else None
    responder.signer = issue("Somebody", by=by, may_answer=may_answer)
    with pytest.raises(StoreError) as caught:
        store(chain).purchase(chain.sign(TRANSACTION))
    assert caught.value.slug == "untrusted"


def test_a_responder_that_fails_says_nothing_about_the_purchase(
    chain: Chain, responder: Responder
) -> None:
    app_store, signed = store(chain), chain.sign(TRANSACTION)
    responder.http_status = 503
    with pytest.raises(StoreUnavailable) as caught:
        app_store.purchase(signed)
    assert (caught.value.status, caught.value.is_retryable) == (503, True)
    responder.http_status = 200
    assert app_store.purchase(signed)


def test_a_responder_out_of_reach_says_nothing_about_the_purchase() -> None:
    with serve(Responder()) as gone:
        url = gone.url
    chain = make_chain(ocsp_url=url)
    with pytest.raises(StoreUnavailable):
        store(chain).purchase(chain.sign(TRANSACTION))


def test_a_certificate_that_names_no_responder_is_refused() -> None:
    chain = make_chain()
    with pytest.raises(StoreError) as caught:
        store(chain).purchase(chain.sign(TRANSACTION))
    assert caught.value.slug == "untrusted"


@pytest.mark.parametrize("online_checks", [True, False])
def test_a_leaf_that_expired_since_it_signed_is_good_offline_alone(
    responder: Responder, service: Service, online_checks: bool
) -> None:
    chain = responder.chain = make_chain(ocsp_url=service.url, leaf_valid=LONG_AGO)
    app_store, signed = store(chain, online_checks=online_checks), chain.sign(TRANSACTION)
    if online_checks:
        with pytest.raises(StoreError) as caught:
            app_store.purchase(signed)
        assert caught.value.slug == "untrusted"
    else:
        assert app_store.purchase(signed)
