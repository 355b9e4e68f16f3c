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
from edge_server import SERVICE, Edge, as_user, until
from loopback import Answer, serve
from rendio.edge import turns
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

    def check(
        self, headers: dict[str, str] | None = None, edge: Edge | None = None, **given: Any
    ) -> Any:
        token = uuid4().hex
        self._devices.tokens[token] = self.name
        sent = {"device_id": self.id, "device_token": token} | given
        return (edge or self._edge).endpoint("device/check", sent, headers)


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


def granted(owner: psycopg.Connection[Any]) -> int:
    query = "select count(*) from public.quota_log where reason = 'initial_grant'"
    row = owner.execute(query).fetchone()
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


@pytest.mark.parametrize("servers", [1, 2])
def test_many_installations_at_once_bring_credits_once(
    apple: tuple[Devices, Apple],
    start: Callable[..., Edge],
    owner: psycopg.Connection[Any],
    servers: int,
) -> None:
    devices, settings = apple
    edges = [start(apple=settings) for _ in range(servers)]
    devices.delay = 0.02  # so that all have asked before the first has set the bit
    phone, before = Phone(devices, edges[0]), granted(owner)
    with ThreadPoolExecutor(8) as threads:
        asked = [
            threads.submit(phone.check, device_id=str(uuid4()), edge=edges[n % servers])
            for n in range(8)
        ]
        assert {one.result().status_code for one in asked} == {200}
    assert granted(owner) == before + 1


def test_a_known_users_new_phone_has_had_no_credits(phone: Phone, devices: Devices) -> None:
    user, old = uuid4(), phone.name
    phone.check(as_user(user))
    phone.name = str(uuid4())
    phone.install()
    assert phone.check(as_user(user)).json()["is_new"] is False
    assert [*devices.bits] == [old]
    phone.install()  # by who has it next
    assert phone.check().json()["credits_remaining"] == GRANT
    assert devices.bits[phone.name] == (True, False)


def test_when_apple_forgets_to_note_it_the_next_call_does(phone: Phone, devices: Devices) -> None:
    devices.broken["update_two_bits"] = Answer(500)
    first = phone.check()
    assert (first.status_code, first.json()["credits_remaining"]) == (200, GRANT)
    assert phone.name not in devices.bits
    del devices.broken["update_two_bits"]
    assert phone.check().json()["user_id"] == first.json()["user_id"]
    assert devices.bits[phone.name] == (True, False)


# --- the turn -------------------------------------------------------------------------------------


@pytest.fixture
def taken(edge_db: str) -> Iterator[Callable[[], None]]:
    """Hold the turn, as another server would; yield what gives it back."""
    with psycopg.connect(edge_db) as conn:
        conn.execute("select pg_advisory_xact_lock(%s, %s)", turns.LOCK)
        yield conn.rollback


def waiting(edge: Edge) -> int:
    """Return how many wait in a server's queue for the turn, behind the first."""
    pool = edge.server.config.app.state.services.turns._pool  # type: ignore[union-attr]
    return int(pool.get_stats().get("requests_waiting", 0))


def is_waited_for(owner: psycopg.Connection[Any]) -> bool:
    query = "select 1 from pg_locks where locktype = 'advisory' and objid = %s and not granted"
    return owner.execute(query, [turns.LOCK[1]]).fetchone() is not None


def test_who_is_given_no_credits_waits_for_no_turn(
    phone: Phone, devices: Devices, taken: Callable[[], None], owner: psycopg.Connection[Any]
) -> None:
    before = users(owner)
    assert slug(phone.check(device_id="")) == (400, "invalid_argument")
    assert slug(phone.check(SERVICE, user_id="x"))[0] == 400
    assert users(owner) == before
    known = phone._edge.new_user()
    assert phone.check(as_user(known)).json()["is_new"] is False
    devices.bits[phone.name] = (True, False)
    phone.install()
    assert phone.check().json()["credits_remaining"] == 0


def test_who_waits_too_long_for_a_turn_is_given_nothing(
    phone: Phone,
    taken: Callable[[], None],
    owner: psycopg.Connection[Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(turns, "WAIT_SECONDS", 0.2)
    before = users(owner)
    with ThreadPoolExecutor(3) as threads:  # in the database, in the queue, and behind an address
        for refused in threads.map(lambda _: phone.check(), range(3)):
            assert slug(refused) == (503, "too_many_new_devices")
            assert refused.headers["Retry-After"] == "1"
    assert users(owner) == before
    taken()
    assert phone.check().json()["credits_remaining"] == GRANT


def test_a_turn_that_takes_too_long_is_given_up(
    phone: Phone, devices: Devices, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(turns, "HELD_SECONDS", 0.01)
    devices.delay = 0.1
    assert slug(phone.check()) == (503, "devicecheck_unavailable")
    monkeypatch.undo()
    assert phone.check().json()["credits_remaining"] == GRANT


def test_who_has_the_turn_finds_a_connection(
    apple: tuple[Devices, Apple], start: Callable[..., Edge]
) -> None:
    devices, settings = apple
    edge = start(apple=settings, pool_size=1)
    with ThreadPoolExecutor(4) as threads:
        phones = [Phone(devices, edge) for _ in range(4)]
        answers = list(threads.map(Phone.check, phones))
    assert [answer.json()["credits_remaining"] for answer in answers] == [GRANT] * 4


def test_many_of_one_address_take_one_place_in_the_queue(
    apple: tuple[Devices, Apple],
    start: Callable[..., Edge],
    taken: Callable[[], None],
    owner: psycopg.Connection[Any],
) -> None:
    devices, settings = apple
    edge = start(apple=settings, trusted_proxies="127.0.0.1")

    def check(address: str) -> Any:
        return Phone(devices, edge).check({"X-Forwarded-For": address})

    with ThreadPoolExecutor(5) as threads:
        asked = [threads.submit(check, "198.51.100.1")]
        until(lambda: is_waited_for(owner))
        asked += [threads.submit(check, "198.51.100.1") for _ in range(3)]
        until(lambda: len(devices.tokens) == 4)
        victim = Phone(devices, edge)
        asked.append(threads.submit(victim.check, {"X-Forwarded-For": "198.51.100.2"}))
        until(lambda: waiting(edge) >= 1)
        taken()
        assert {one.result().status_code for one in asked} == {200}
    assert [*devices.bits].index(victim.name) == 1


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
