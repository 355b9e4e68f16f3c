"""What fal's reports mean, and what of them is no report."""

import json
from typing import Any
from uuid import uuid4

import pytest
from fal_sender import Request
from rendio.providers import fal

TARGET = fal.Target(uuid4(), uuid4(), 1)
REQUEST = Request("https://api.example.com")
URL = "https://v3.fal.media/files/a.mp4"


def decoded(**report: Any) -> fal.Event:
    return fal.decode(REQUEST.body(report), TARGET)


def error_of(**report: Any) -> str:
    outcome = decoded(**report).outcome
    assert isinstance(outcome, fal.Failure)
    return outcome.error


# --- a video --------------------------------------------------------------------------------------


def test_a_video() -> None:
    event = decoded(status="OK", payload={"video": {"url": URL, "duration": 8}}, error=None)
    assert event.target is TARGET
    assert event.request_id == REQUEST.id
    assert event.outcome == fal.Video(URL, None)


def test_a_video_with_its_thumbnail() -> None:
    payload = {"video": {"url": URL}, "thumbnail": {"url": "https://v3.fal.media/files/a.jpg"}}
    outcome = fal.Video(URL, "https://v3.fal.media/files/a.jpg")
    assert decoded(status="OK", payload=payload).outcome == outcome


def test_a_thumbnail_that_cannot_be_kept_costs_no_video() -> None:
    payload = {"video": {"url": URL}, "thumbnail": {"url": "https://t/" + "a" * 2048}}
    assert decoded(status="OK", payload=payload).outcome == fal.Video(URL, None)


def test_the_longest_url() -> None:
    longest = "https://v3.fal.media/".ljust(2048, "a")
    payload = {"video": {"url": longest}}
    assert decoded(status="OK", payload=payload).outcome == fal.Video(longest, None)


@pytest.mark.parametrize(
    "payload",
    [
        None,
        [],
        "video",
        {},
        {"images": [{"url": URL}]},
        {"video": None},
        {"video": URL},
        {"video": {}},
        {"video": {"url": ""}},
        {"video": {"url": 1}},
        {"video": {"url": "a.mp4"}},
        {"video": {"url": "https://"}},
        {"video": {"url": "https://[a"}},
        {"video": {"url": "javascript:alert(1)"}},
        {"video": {"url": "javascript://v3.fal.media/%0aalert(1)"}},
        {"video": {"url": "data:video/mp4;base64,AAAA"}},
        {"video": {"url": "https://v3.fal.media/".ljust(2049, "a")}},
        {"video": {"url": f"{URL}\0"}},
        {"video": {"url": f"{URL}\ud800"}},
    ],
    ids=lambda payload: repr(payload)[:60],
)
def test_an_ok_without_a_video_is_a_failure(payload: Any) -> None:
    assert error_of(status="OK", payload=payload) == "fal reported OK without a video"


def test_a_result_that_could_not_be_sent_says_why() -> None:
    report = {"status": "OK", "payload": None, "payload_error": "Response payload is not JSON"}
    assert error_of(**report) == "Response payload is not JSON"


# --- a failure ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("report", "told"),
    [
        ({"error": "Invalid status code: 422"}, "Invalid status code: 422"),
        (
            {
                "error": "Invalid status code: 422",
                "payload": {"detail": [{"msg": "too long"}, {"msg": "bad word"}, {"msg": "x"}]},
            },
            "Invalid status code: 422: too long: bad word: x",
        ),
        ({"error": "no", "payload": {"detail": [{"msg": "no"}]}}, "no"),
        ({"error": "no", "payload": {"detail": "Prompt is empty"}}, "no: Prompt is empty"),
        ({"error": "no", "payload": {"detail": {"code": 7}}}, "no"),
        ({"error": {"code": 7}}, '{"code": 7}'),
        ({"error": " \0 a\0b\ud800 "}, "ab?"),
        ({"error": "\0"}, "fal reported an error and did not say which"),
        ({"error": None}, "fal reported an error and did not say which"),
        ({}, "fal reported an error and did not say which"),
        ({"payload": {"video": {"url": URL}}, "error": "late"}, "late"),
    ],
)
def test_a_failure_says_what_fal_said(report: dict[str, Any], told: str) -> None:
    assert error_of(status="ERROR", **report) == told


# --- the event's name -----------------------------------------------------------------------------


def test_a_repeated_delivery_is_the_same_event_and_another_status_another() -> None:
    first, again, error = (
        fal.decode(b, TARGET) for b in (REQUEST.ok(), REQUEST.ok(), REQUEST.error())
    )
    assert first == again
    assert first.event_id == again.event_id == f"{REQUEST.id}:OK"
    assert error.event_id == f"{REQUEST.id}:ERROR"


# --- no report ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b"null", b"1", b'"OK"', b"\xff", b"[" * 100_000, b'{"a": ' + b"9" * 5000],
    ids=lambda body: body[:12],
)
def test_a_body_that_is_no_object(body: bytes) -> None:
    with pytest.raises(fal.MalformedWebhook) as refused:
        fal.decode(body, TARGET)
    assert (refused.value.status, refused.value.detail) == (400, {"field": "body"})


@pytest.mark.parametrize(
    "request_id",
    [None, 1, "", " ", " a", "a\n", "a\0", "é", "\ud800", "a" * 201],
    ids=lambda text: repr(text)[:12],
)
def test_a_request_id_that_is_none(request_id: Any) -> None:
    with pytest.raises(fal.MalformedWebhook) as refused:
        decoded(request_id=request_id, status="OK")
    assert refused.value.detail == {"field": "request_id"}


@pytest.mark.parametrize("status", [None, "", "ok", "IN_PROGRESS", 1, ["OK"], {}])
def test_an_unknown_status(status: Any) -> None:
    with pytest.raises(fal.MalformedWebhook) as refused:
        decoded(status=status, payload={"video": {"url": URL}})
    assert refused.value.detail == {"field": "status"}


def test_what_fal_adds_is_passed_over() -> None:
    body = json.loads(REQUEST.ok()) | {"metrics": {"inference_time": 2.5}}
    assert isinstance(fal.decode(json.dumps(body).encode(), TARGET).outcome, fal.Video)
