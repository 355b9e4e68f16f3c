"""device/check: a device that Apple vouches for gets its credits once, under whatever id."""

import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from apple_devices import KEY_ID, NO_KEY, TEAM_ID, Devices
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from edge_server import SERVICE, Edge, as_user
from loopback import Answer, serve
from rendio.edge.settings import Apple, Secret

pytestmark = [pytest.mark.once, pytest.mark.shapeless]

GRANT = 10
# Until device_check takes the news that the grant was claimed, in the shape proposed for it.
WITH_CLAIM = """
create function public.device_check(
    p_user_id uuid, p_device_id text, p_grant_claimed boolean, p_language text default 'en'
) returns jsonb language sql as $$
    select jsonb_build_object('told', p_grant_claimed, 'device', p_device_id)
$$;
grant execute on function public.device_check(uuid, text, boolean, text) to service_role
"""


@pytest.fixture
def apple() -> Iterator[tuple[Devices, Apple]]:
    key = ec.generate_private_key(ec.SECP256R1())
    devices = Devices(key)
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    with serve(devices) as service:
        yield (
            devices,
            Apple(
                team_id=TEAM_ID,
                devicecheck_key_id=KEY_ID,
                devicecheck_private_key=Secret(pem),
                devicecheck_url=service.url,
            ),
        )


class Phone:
    """A device: a new token for every request, a new id after each installation."""

    def __init__(self, devices: Devices, edge: Edge) -> None:
        self.name, self._devices, self._edge = str(uuid4()), devices, edge
        self.install()

    def install(self) -> None:
        self.id = str(uuid4())

    def check(self, headers: dict[str, str] | None = None, **given: Any) -> Any:
        token = uuid4().hex
        self._devices.tokens[token] = self.name
        sent = {"device_id": self.id, "device_token": token} | given
        return self._edge.endpoint("device/check", sent, headers)


@pytest.fixture
def phone(apple: tuple[Devices, Apple], start: Callable[..., Edge]) -> Phone:
    devices, settings = apple
    return Phone(devices, start(apple=settings))


@pytest.fixture
def devices(apple: tuple[Devices, Apple]) -> Devices:
    return apple[0]


def users(owner: psycopg.Connection[Any]) -> int:
    row = owner.execute("select count(*) from public.users").fetchone()
    assert row
    return int(row[0])


def slug(answer: Any) -> tuple[int, str]:
    assert set(answer.json()) >= {"code", "message", "details", "hint", "error"}
    return answer.status_code, answer.json()["message"]


# --- what Apple keeps -----------------------------------------------------------------------------


def test_a_device_gets_its_credits_and_apple_remembers(phone: Phone, devices: Devices) -> None:
    first = phone.check(language="tr").json()
    assert (first["is_new"], first["is_guest"], first["credits_remaining"]) == (True, True, GRANT)
    assert devices.bits[phone.name] == (True, False)
    again = phone.check().json()
    assert again == first | {"is_new": False}
    assert devices.updates == 1


def test_a_bit_of_others_is_left_alone(phone: Phone, devices: Devices) -> None:
    devices.bits[phone.name] = (False, True)
    assert phone.check().status_code == 200
    assert devices.bits[phone.name] == (True, True)


def test_an_installation_anew_brings_no_credits(
    phone: Phone, owner: psycopg.Connection[Any], edge_db: str
) -> None:
    phone.check()
    before = users(owner)
    phone.install()
    answer = phone.check()
    if answer.status_code == 200:  # a database that can withhold them
        assert (answer.json()["is_new"], answer.json()["credits_remaining"]) == (True, 0)
        return
    assert slug(answer) == (503, "database_outdated")
    assert users(owner) == before


def test_the_database_is_told_of_the_claim(
    phone: Phone, owner: psycopg.Connection[Any], edge_db: str
) -> None:
    known = (
        "select 'p_grant_claimed' = any(proargnames) from pg_proc where proname = 'device_check'"
    )
    with psycopg.connect(edge_db, autocommit=True) as conn:
        row = conn.execute(known).fetchone()
        assert row
        if row[0]:
            return  # the test above has seen what it does
        conn.execute(WITH_CLAIM)
        try:
            phone._devices.bits[phone.name] = (True, False)
            assert phone.check().json() == {"told": True, "device": phone.id}
        finally:
            conn.execute("drop function public.device_check(uuid, text, boolean, text)")


def test_many_installations_at_once_bring_credits_once(
    phone: Phone, devices: Devices, owner: psycopg.Connection[Any]
) -> None:
    devices.delay = 0.02  # so that all have asked before the first has set the bit

    def granted() -> int:
        query = "select count(*) from public.quota_log where reason = 'initial_grant'"
        row = owner.execute(query).fetchone()
        assert row
        return int(row[0])

    before = granted()
    with ThreadPoolExecutor(8) as threads:
        asked = [threads.submit(phone.check, device_id=str(uuid4())) for _ in range(8)]
        statuses = [one.result().status_code for one in asked]
    assert 200 in statuses
    assert granted() == before + 1


def test_when_apple_forgets_to_note_it_the_next_call_does(phone: Phone, devices: Devices) -> None:
    devices.broken["update_two_bits"] = Answer(500)
    first = phone.check()
    assert (first.status_code, first.json()["credits_remaining"]) == (200, GRANT)
    assert phone.name not in devices.bits
    del devices.broken["update_two_bits"]
    assert phone.check().json()["user_id"] == first.json()["user_id"]
    assert devices.bits[phone.name] == (True, False)


# --- who is refused -------------------------------------------------------------------------------


def test_a_token_that_no_device_made(phone: Phone, owner: psycopg.Connection[Any]) -> None:
    before = users(owner)
    assert slug(phone.check(device_token="Zm9yZ2Vk")) == (403, "device_not_verified")
    for wrong in (None, "", 5, ["a"], "line\nbreak", "a" * 20_000):
        assert slug(phone.check(device_token=wrong)) == (400, "invalid_argument")
    assert users(owner) == before


@pytest.mark.parametrize(
    "answer",
    [
        Answer(500),
        NO_KEY,
        Answer(429),
        Answer(200, b"<html>"),
        Answer(200, b'{"bit0": 1, "bit1": 0}'),
        Answer(200, b"[]"),
        Answer(302),
    ],
)
def test_when_apple_does_not_answer_nothing_is_given(
    phone: Phone, devices: Devices, owner: psycopg.Connection[Any], answer: Answer
) -> None:
    before = users(owner)
    devices.broken["query_two_bits"] = answer
    refused = phone.check()
    assert slug(refused) == (503, "devicecheck_unavailable")
    assert refused.headers["Retry-After"] == str(refused.json()["retry_after"])
    assert users(owner) == before


def test_when_apple_is_not_there(
    apple: tuple[Devices, Apple], start: Callable[..., Edge], owner: psycopg.Connection[Any]
) -> None:
    devices, settings = apple
    before = users(owner)
    edge = start(apple=replace(settings, devicecheck_url="http://127.0.0.1:1"))
    assert slug(Phone(devices, edge).check()) == (503, "devicecheck_unavailable")
    assert users(owner) == before


def test_without_keys_it_is_closed_except_in_development(
    edge: Edge, start: Callable[..., Edge]
) -> None:
    given = {"device_id": str(uuid4())}
    assert slug(edge.endpoint("device/check", given)) == (503, "devicecheck_not_configured")
    assert start(insecure_dev=True).endpoint("device/check", given).json()["is_new"]


# --- who the user is ------------------------------------------------------------------------------


def test_a_token_names_the_user(phone: Phone) -> None:
    user = uuid4()
    assert phone.check(as_user(user)).json()["user_id"] == str(user)
    assert phone.check(as_user(user), user_id=str(user)).status_code == 200
    other = phone.check(as_user(user), user_id=str(uuid4()))
    assert slug(other) == (403, "not_your_account")
    nobody = phone.check(user_id=str(user))
    assert slug(nobody) == (403, "not_your_account")
    assert phone.check(SERVICE, user_id=str(user)).json()["user_id"] == str(user)


def test_what_is_wrong_is_told_by_the_database(phone: Phone) -> None:
    for given in ({"device_id": None}, {"device_id": ""}, {"language": "x y"}):
        answer = phone.check(**given)
        assert slug(answer) == (400, "invalid_argument")
        assert json.loads(answer.json()["details"])["argument"].startswith("p_")
