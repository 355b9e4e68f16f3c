"""fal's signature and our token: what is let in, and each way of not being it."""

import logging
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit
from uuid import UUID

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from fal_sender import ACCOUNT, BASE, SECRET, Request, Sender, jwks
from rendio.errors import RendioError
from rendio.providers import fal
from rendio.providers.fal import keys as fal_keys
from rendio.providers.fal.keys import (
    FETCH_AFTER,
    FETCH_EVERY,
    JWKS_URL,
    USE_UNTIL,
    FalKeys,
    fetch_jwks,
)
from rendio.providers.fal.signature import LARGEST_BODY

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
USER, JOB, OTHER = UUID(int=1), UUID(int=2), UUID(int=3)
OTHER_SECRET = bytes(32)


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def sender() -> Sender:
    return Sender()


@pytest.fixture
def request_(sender: Sender) -> Request:
    return sender.take(USER, JOB, 2)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def keys(sender: Sender, clock: Clock) -> FalKeys:
    return FalKeys(sender.fetch, clock=clock)


@pytest.fixture
def receive(sender: Sender, request_: Request, keys: FalKeys) -> Callable[..., fal.Event]:
    """Receive a webhook that is genuine but for what the test changes."""

    def call(**changes: Any) -> fal.Event:
        body = changes.pop("body", request_.ok())
        headers = changes.pop("headers", sender.headers(request_, body, NOW))
        rest = {"keys": keys, "account": ACCOUNT, "secrets": [SECRET], "now": NOW}
        url = changes.pop("url", request_.webhook_url)
        return fal.receive(url, headers, body, **(rest | changes))

    return call


def refusal(receive: Callable[..., fal.Event], **changes: Any) -> str:
    """Return the check that a webhook did not pass."""
    with pytest.raises(fal.InvalidSignature) as refused:
        receive(**changes)
    assert refused.value.status == 401
    return str(refused.value.detail["check"])


# --- the signature --------------------------------------------------------------------------------


def test_a_genuine_webhook_is_an_event(
    receive: Callable[..., fal.Event], request_: Request
) -> None:
    event = receive()
    assert event.target == fal.Target(USER, JOB, 2)
    assert event.request_id == request_.id
    assert event.outcome == fal.Video(f"https://v3.fal.media/{request_.id}.mp4")


@pytest.mark.parametrize("spell", [str.lower, str.upper])
def test_headers_come_in_any_case(
    receive: Callable[..., fal.Event],
    sender: Sender,
    request_: Request,
    spell: Callable[[str], str],
) -> None:
    body = request_.ok()
    headers = {spell(name): value for name, value in sender.headers(request_, body, NOW).items()}
    assert receive(body=body, headers=headers).request_id == request_.id


def test_of_another_key(receive: Callable[..., fal.Event], request_: Request) -> None:
    body = request_.ok()
    headers = Sender().headers(request_, body, NOW)
    assert refusal(receive, body=body, headers=headers) == "signature"


def test_a_changed_body(
    receive: Callable[..., fal.Event], sender: Sender, request_: Request
) -> None:
    body = request_.ok()
    headers = sender.headers(request_, body, NOW)
    assert refusal(receive, body=body + b" ", headers=headers) == "signature"


@pytest.mark.parametrize(
    ("header", "value"),
    [
        ("X-Fal-Webhook-Request-Id", str(OTHER)),
        ("X-Fal-Webhook-Timestamp", str(int(NOW.timestamp()) + 1)),
        ("X-Fal-Webhook-Signature", "00" * 64),
    ],
)
def test_a_changed_header(
    receive: Callable[..., fal.Event], sender: Sender, request_: Request, header: str, value: str
) -> None:
    body = request_.ok()
    headers = sender.headers(request_, body, NOW) | {header: value}
    assert refusal(receive, body=body, headers=headers) == "signature"


@pytest.mark.parametrize("name", ["Request-Id", "User-Id", "Timestamp", "Signature"])
@pytest.mark.parametrize("value", [None, "", "é"])
def test_a_missing_header(
    receive: Callable[..., fal.Event],
    sender: Sender,
    request_: Request,
    name: str,
    value: str | None,
) -> None:
    body = request_.ok()
    headers = sender.headers(request_, body, NOW)
    del headers[f"X-Fal-Webhook-{name}"]
    if value is not None:
        headers[f"X-Fal-Webhook-{name}"] = value
    assert refusal(receive, body=body, headers=headers) == "header"


@pytest.mark.parametrize(
    "spoil",
    [
        lambda hexed: "zz" + hexed[2:],
        lambda hexed: hexed[:-2],
        lambda hexed: hexed[:-1],
        lambda hexed: hexed + "00",
        lambda hexed: hexed[:-2] + " " + hexed[-2:],
        lambda hexed: hexed + "\n",
    ],
    ids=["not hex", "truncated", "half a byte", "too long", "with a blank", "with a newline"],
)
def test_a_signature_in_another_form(
    receive: Callable[..., fal.Event],
    sender: Sender,
    request_: Request,
    spoil: Callable[[str], str],
) -> None:
    body = request_.ok()
    headers = sender.headers(request_, body, NOW)
    headers["X-Fal-Webhook-Signature"] = spoil(headers["X-Fal-Webhook-Signature"])
    assert refusal(receive, body=body, headers=headers) == "signature"


@pytest.mark.parametrize("seconds", [-300, 300])
def test_five_minutes_are_recent(
    receive: Callable[..., fal.Event], sender: Sender, request_: Request, seconds: int
) -> None:
    body = request_.ok()
    headers = sender.headers(request_, body, NOW + timedelta(seconds=seconds))
    assert receive(body=body, headers=headers).request_id == request_.id


@pytest.mark.parametrize("seconds", [-301, 301], ids=["old", "of the future"])
def test_a_replay(
    receive: Callable[..., fal.Event], sender: Sender, request_: Request, seconds: int
) -> None:
    body = request_.ok()
    headers = sender.headers(request_, body, NOW + timedelta(seconds=seconds))
    assert refusal(receive, body=body, headers=headers) == "timestamp"


@pytest.mark.parametrize("timestamp", ["soon", "-1", "1e9", "nan", "9" * 400, "", "١٢٣"])
def test_a_timestamp_that_is_none(
    receive: Callable[..., fal.Event], sender: Sender, request_: Request, timestamp: str
) -> None:
    body = request_.ok()
    headers = sender.headers(request_, body, NOW) | {"X-Fal-Webhook-Timestamp": timestamp}
    assert refusal(receive, body=body, headers=headers) in ("timestamp", "header")


def test_now_is_now_unless_told(
    receive: Callable[..., fal.Event], sender: Sender, request_: Request
) -> None:
    body = request_.ok()
    assert receive(body=body, headers=sender.headers(request_, body), now=None)
    old = sender.headers(request_, body, datetime.now(UTC) - timedelta(minutes=6))
    assert refusal(receive, body=body, headers=old, now=None) == "timestamp"


def test_validly_signed_for_another_account(
    receive: Callable[..., fal.Event], sender: Sender, request_: Request
) -> None:
    """Whoever learns one of our URLs can have fal report a video of theirs to it."""
    body = request_.ok()
    headers = replace(sender, account="github|666").headers(request_, body, NOW)
    assert refusal(receive, body=body, headers=headers) == "account"


class NoHash:
    @staticmethod
    def sha256(body: bytes) -> Any:
        raise AssertionError("hashed")


def test_a_huge_body_is_refused_before_it_is_hashed(
    receive: Callable[..., fal.Event],
    sender: Sender,
    request_: Request,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    largest = request_.ok().ljust(LARGEST_BODY)
    assert receive(body=largest).request_id == request_.id
    headers = sender.headers(request_, largest, NOW)
    monkeypatch.setattr("rendio.providers.fal.signature.hashlib", NoHash)
    with pytest.raises(fal.WebhookTooLarge) as refused:
        receive(body=largest + b" ", headers=headers)
    assert refused.value.status == 413


# --- the URL --------------------------------------------------------------------------------------


def changed(url: str, **changes: Any) -> str:
    parts = urlsplit(url)
    query = dict(parse_qsl(parts.query)) | changes
    kept = {name: value for name, value in query.items() if value is not None}
    return parts._replace(query=urlencode(kept)).geturl()


@pytest.mark.parametrize(
    "changes",
    [
        {"job": OTHER},
        {"user": OTHER},
        {"attempt": 1},
        {"token": "0" * 64},
        {"token": "é"},
        {"token": b"\xff"},
        {"token": None},
        {"job": None},
        {"job": "a job"},
        {"attempt": "two"},
    ],
    ids=str,
)
def test_a_genuine_webhook_aimed_at_another_job(
    receive: Callable[..., fal.Event], request_: Request, sender: Sender, changes: dict[str, Any]
) -> None:
    assert refusal(receive, url=changed(request_.webhook_url, **changes)) == "callback"
    assert sender.fetches == 0


def test_a_url_without_a_query(receive: Callable[..., fal.Event]) -> None:
    assert refusal(receive, url=BASE) == "callback"


def test_a_url_that_names_two_jobs(receive: Callable[..., fal.Event], request_: Request) -> None:
    twice = f"{request_.webhook_url}&job={OTHER}"
    assert refusal(receive, url=twice) == "callback"


def test_a_token_of_another_secret(receive: Callable[..., fal.Event], request_: Request) -> None:
    assert refusal(receive, secrets=[OTHER_SECRET]) == "callback"
    assert refusal(receive, secrets=[]) == "callback"
    assert receive(secrets=[OTHER_SECRET, SECRET]).target == fal.Target(USER, JOB, 2)


def test_a_short_secret_is_no_secret() -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        fal.webhook_url(BASE, USER, JOB, 1, secret=b"secret")
    good = fal.webhook_url(BASE, USER, JOB, 1, secret=SECRET)
    with pytest.raises(ValueError, match="32 bytes"):
        fal.read_target(good, [b""])


def test_the_base_may_have_a_query_of_its_own() -> None:
    url = fal.webhook_url(f"{BASE}?region=eu", USER, JOB, 3, secret=SECRET)
    assert url.startswith(f"{BASE}?region=eu&user={USER}&")
    assert fal.read_target(url, [SECRET]) == fal.Target(USER, JOB, 3)


# --- the keys -------------------------------------------------------------------------------------


def test_keys_are_fetched_once_in_half_a_day(
    receive: Callable[..., fal.Event], sender: Sender, clock: Clock
) -> None:
    for _ in range(3):
        receive()
    clock.now += FETCH_AFTER - 1
    receive()
    assert sender.fetches == 1
    clock.now += 1
    receive()
    assert sender.fetches == 2


def test_the_old_and_the_new_key_while_both_are_published(
    receive: Callable[..., fal.Event], sender: Sender, request_: Request
) -> None:
    sender.keys.append(Ed25519PrivateKey.generate())
    body = request_.ok()
    for key in (0, 1):
        assert receive(body=body, headers=sender.headers(request_, body, NOW, key))
    assert sender.fetches == 1


def test_a_new_key_is_fetched_when_it_is_met_and_the_old_one_is_gone(
    receive: Callable[..., fal.Event], sender: Sender, request_: Request, clock: Clock
) -> None:
    body = request_.ok()
    old = sender.headers(request_, body, NOW)
    receive(body=body, headers=old)
    clock.now += FETCH_EVERY
    sender.keys = [Ed25519PrivateKey.generate()]
    receive()
    assert sender.fetches == 2
    assert refusal(receive, body=body, headers=old) == "signature"


def test_forged_signatures_do_not_make_us_hammer_fal(
    receive: Callable[..., fal.Event], sender: Sender, request_: Request, clock: Clock
) -> None:
    body = request_.ok()
    forged = Sender().headers(request_, body, NOW)
    for _ in range(100):
        assert refusal(receive, body=body, headers=forged) == "signature"
        clock.now += 1
    assert sender.fetches == 1 + 100 // FETCH_EVERY
    assert receive().request_id == request_.id


def fails() -> bytes:
    raise OSError("no route to host")


@pytest.mark.parametrize(
    "answer",
    [
        fails,
        lambda: b"<html>503</html>",
        lambda: b"[]",
        lambda: b"{}",
        lambda: b'{"keys": []}',
        lambda: b'{"keys": 1}',
        lambda: b'{"keys": [{"crv": "P-256", "x": "AA"}]}',
        lambda: b'{"keys": [{"crv": "Ed25519", "x": "AA"}]}',
        lambda: b'{"keys": [{"crv": "Ed25519", "x": 1}]}',
        lambda: b"\xff",
        lambda: b"[" * 64 * 1024,
    ],
)
def test_a_failing_fetch_keeps_the_old_keys_while_they_are_valid(
    answer: Callable[[], bytes],
    receive: Callable[..., fal.Event],
    sender: Sender,
    keys: FalKeys,
    clock: Clock,
    caplog: pytest.LogCaptureFixture,
) -> None:
    receive()
    keys._fetch = answer
    clock.now += USE_UNTIL - 1
    with caplog.at_level(logging.WARNING):
        receive()
    assert "could not be fetched" in caplog.text
    clock.now += 1
    with pytest.raises(fal.KeysUnavailable) as refused:
        receive()
    assert (refused.value.status, refused.value.is_retryable) == (503, True)
    keys._fetch = sender.fetch
    clock.now += FETCH_EVERY
    receive()


def test_without_keys_fal_is_asked_once_a_minute(
    receive: Callable[..., fal.Event], clock: Clock
) -> None:
    tried = []

    def fetch() -> bytes:
        tried.append(clock.now)
        raise OSError

    none = FalKeys(fetch, clock=clock)
    for _ in range(FETCH_EVERY + 1):
        with pytest.raises(fal.KeysUnavailable):
            receive(keys=none)
        clock.now += 1
    assert tried == [1000, 1000 + FETCH_EVERY]


def test_many_threads_fetch_once(sender: Sender, receive: Callable[..., fal.Event]) -> None:
    """The others wait for the one that fetches, and use what it brings."""
    together = threading.Barrier(8)

    def fetch() -> bytes:
        time.sleep(0.1)  # long enough for the others to come by
        return sender.fetch()

    keys = FalKeys(fetch)

    def task(_: int) -> UUID:
        together.wait(30)
        return receive(keys=keys).target.job_id

    with ThreadPoolExecutor(8) as threads:
        assert set(threads.map(task, range(8))) == {JOB}
    assert sender.fetches == 1


def test_other_keys_in_the_set_are_passed_over(
    receive: Callable[..., fal.Event], sender: Sender
) -> None:
    ours = jwks(sender.keys).removeprefix(b'{"keys": [')
    mixed = b'{"keys": [{"kty": "RSA", "n": "AQAB"}, ' + ours
    assert receive(keys=FalKeys(lambda: mixed))


# --- fetching, and what the package needs ---------------------------------------------------------


class JwksServer(BaseHTTPRequestHandler):
    document: bytes

    def do_GET(self) -> None:
        if self.path == "/rubbish":
            self.wfile.write(b"rubbish\r\n\r\n")
            return
        self.send_response(200 if self.path == "/.well-known/jwks.json" else 503)
        self.end_headers()
        self.wfile.write(self.document)

    def log_message(self, *_: object) -> None:
        """Say nothing in the tests' output."""


def test_keys_over_http(
    sender: Sender, receive: Callable[..., fal.Event], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setattr(JwksServer, "document", jwks(sender.keys), raising=False)
    with HTTPServer(("127.0.0.1", 0), JwksServer) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}"
        assert receive(keys=FalKeys(lambda: fetch_jwks(f"{url}/.well-known/jwks.json")))
        for path in ("elsewhere", "rubbish"):
            with pytest.raises(fal.KeysUnavailable):
                receive(keys=FalKeys(partial(fetch_jwks, f"{url}/{path}")))
        server.shutdown()
    with pytest.raises(fal.KeysUnavailable):
        receive(keys=FalKeys(lambda: fetch_jwks(url)))


def test_the_keys_are_fal_s() -> None:
    assert JWKS_URL == "https://rest.fal.ai/.well-known/jwks.json"
    assert FalKeys()._fetch is fal_keys.fetch_jwks


def test_every_refusal_is_one_of_rendio_s_errors() -> None:
    refusals = [getattr(fal, name) for name in fal.__all__]
    refusals = [kind for kind in refusals if isinstance(kind, type) and issubclass(kind, Exception)]
    assert len(refusals) == 5
    for kind in refusals:
        assert issubclass(kind, fal.WebhookRefused)
        assert issubclass(kind, RendioError)
        assert 400 <= kind.status < 600


def test_without_the_extra_all_serves_but_the_keys() -> None:
    code = (
        "import sys\n"
        "sys.modules['cryptography'] = None\n"
        "from rendio.providers import fal\n"
        "print(fal.handle.__name__)\n"
        "try:\n"
        "    from rendio.providers.fal import FalKeys\n"
        "except ImportError as error:\n"
        "    print(error)\n"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    needed = "fal's signatures need cryptography: pip install 'rendio[fal]'"
    assert told.stdout.splitlines() == ["handle", needed]
