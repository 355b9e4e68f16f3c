"""Which tokens name a caller, and as whom: verified ones alone."""

import asyncio
import base64
import hashlib
import hmac
import json
import time
from collections.abc import Iterator
from typing import Any

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from loopback import Answer, Request, Service, serve
from rendio.edge.errors import ApiError
from rendio.edge.identity import Caller, Verifier
from rendio.edge.keys import KeySet, read_keys
from rendio.edge.settings import Secret
from starlette.datastructures import Headers

SECRET = "the project's own secret, as long as the longest hash that a token could name"
RSA_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
EC_KEY = ec.generate_private_key(ec.SECP256R1())
OTHER_KEY = ec.generate_private_key(ec.SECP256R1())
ED_KEY = ed25519.Ed25519PrivateKey.generate()


def jwk(key: Any, algorithm: str, key_id: str) -> dict[str, Any]:
    made: dict[str, Any] = jwt.get_algorithm_by_name(algorithm).to_jwk(key.public_key(), True)
    return made | {"kid": key_id, "use": "sig", "alg": algorithm}


KEYS = {"keys": [jwk(RSA_KEY, "RS256", "r"), jwk(EC_KEY, "ES256", "e"), jwk(ED_KEY, "EdDSA", "o")]}


def claims(**changes: Any) -> dict[str, Any]:
    given = {"sub": "a user", "role": "authenticated", "exp": int(time.time()) + 60} | changes
    return {name: value for name, value in given.items() if value is not None}


def signed(
    key: Any = SECRET, algorithm: str = "HS256", kid: str | None = None, **changes: Any
) -> str:
    return jwt.encode(claims(**changes), key, algorithm, {"kid": kid} if kid else None)


@pytest.fixture
def place() -> Iterator[Service]:
    with serve(lambda _: Answer(body=json.dumps(KEYS).encode())) as found:
        yield found


def caller_of(
    token: str | None = None,
    *,
    jwks: str | None = None,
    headers: dict[str, str] | None = None,
    secret: str | None = SECRET,
    **options: Any,
) -> Caller:
    async def ask() -> Caller:
        async with httpx.AsyncClient() as http:
            keys = KeySet(jwks, http) if jwks else None
            verifier = Verifier(Secret(secret) if secret else None, keys, **options)
            given = headers if token is None else {"authorization": f"Bearer {token}"}
            return await verifier.caller(Headers(given or {}))

    return asyncio.run(ask())


def refusal(token: str | None = None, **options: Any) -> tuple[str, str]:
    with pytest.raises(ApiError) as caught:
        caller_of(token, **options)
    error = caught.value
    assert error.status == 401
    assert error.headers["WWW-Authenticate"].startswith('Bearer error="invalid_token"')
    assert SECRET not in repr(error.body()) + str(error)
    return error.code, error.message


# --- who is let in --------------------------------------------------------------------------------


@pytest.mark.parametrize("role", ["anon", "authenticated", "service_role"])
def test_a_token_names_a_role(role: str) -> None:
    caller = caller_of(signed(role=role))
    assert (caller.role, caller.claims["role"]) == (role, role)
    assert caller.user_id == ("a user" if role == "authenticated" else None)
    assert caller.is_service == (role == "service_role")


def test_without_a_token_the_caller_is_anon() -> None:
    for headers in ({}, {"authorization": "Basic YTpi"}, {"apikey": "sb_publishable_x"}):
        caller = caller_of(headers=headers)
        assert (caller.role, caller.claims) == ("anon", {"role": "anon"})
    assert caller_of(signed(role=None)).role == "anon"


def test_a_publishable_key_in_both_places_is_no_token() -> None:
    """So does supabase-js while nobody has signed in."""
    key = "sb_publishable_x"
    assert caller_of(headers={"apikey": key, "authorization": f"Bearer {key}"}).role == "anon"
    forged = signed("x" * 32)
    for apikey, bearer in (
        (key, "sb_publishable_y"),
        (key, ""),
        ("", key),
        ("", ""),
        (forged, forged),
    ):
        with pytest.raises(ApiError) as caught:
            caller_of(headers={"apikey": apikey, "authorization": f"Bearer {bearer}"})
        assert caught.value.status == 401


def test_an_api_key_alone_is_the_token() -> None:
    assert caller_of(headers={"apikey": signed(role="service_role")}).is_service
    both = {"apikey": signed(role="service_role"), "authorization": f"bearer {signed()}"}
    assert caller_of(headers=both).role == "authenticated"


def test_public_keys(place: Service) -> None:
    for key, algorithm, kid in (
        (RSA_KEY, "RS256", "r"),
        (EC_KEY, "ES256", "e"),
        (ED_KEY, "EdDSA", "o"),
    ):
        token = signed(key, algorithm, kid)
        assert caller_of(token, jwks=place.url, secret=None).user_id == "a user"


def test_keys_may_be_a_file(tmp_path: Any) -> None:
    (tmp_path / "keys.json").write_text(json.dumps(KEYS))
    token = signed(EC_KEY, "ES256", "e")
    assert caller_of(token, jwks=str(tmp_path / "keys.json")).user_id == "a user"


# --- who is not -----------------------------------------------------------------------------------


def test_form() -> None:
    assert refusal("") == ("PGRST301", "Empty JWT is sent in Authorization header")
    assert refusal("a.b") == ("PGRST301", "Expected 3 parts in JWT; got 2")
    for text in ("a.b.c", "..", "é.é.é", "eyJhbGciOiJIUzI1NiJ9.W10.x"):
        assert refusal(text)[0] == "PGRST301"
    deep = base64.urlsafe_b64encode(b'{"alg":' + b"[" * 100_000).rstrip(b"=").decode()
    assert refusal(f"{deep}.{deep}.x")[0] == "PGRST301"


def test_time() -> None:
    now = int(time.time())
    assert refusal(signed(exp=now - 31)) == ("PGRST303", "JWT expired")
    assert caller_of(signed(exp=now - 20)).user_id == "a user"
    assert refusal(signed(nbf=now + 60)) == ("PGRST303", "JWT not yet valid")
    assert refusal(signed(iat=now + 600))[0] == "PGRST303"
    assert refusal(signed(exp=None)) == ("PGRST303", "JWT has no exp claim")
    assert refusal(signed(exp="soon"))[0] == "PGRST301"


def test_another_projects_key(place: Service) -> None:
    expected = ("PGRST301", "No suitable key or wrong key type")
    assert refusal(signed("another project's secret, as long as ours")) == expected
    assert refusal(signed(OTHER_KEY, "ES256", "e"), jwks=place.url) == expected
    assert refusal(signed(OTHER_KEY, "ES256", "x"), jwks=place.url) == expected
    assert refusal(signed(OTHER_KEY, "ES256"), jwks=place.url) == expected


def test_no_signature() -> None:
    bare = signed(key=None, algorithm="none")
    assert refusal(bare) == ("PGRST301", "Wrong or unsupported encoding algorithm")
    header, payload, _ = signed().split(".")
    assert refusal(f"{header}.{payload}.")[0] == "PGRST301"
    for name in ("None", "NONE", "", None):
        forged = base64.urlsafe_b64encode(json.dumps({"alg": name}).encode()).decode().rstrip("=")
        assert refusal(f"{forged}.{payload}.")[0] == "PGRST301"


def test_a_public_key_is_no_secret(place: Service) -> None:
    """HS256 over what everybody can read: the PEM and the DER of the RSA key, and its JWK."""
    public = RSA_KEY.public_key()
    shown = [
        public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
        public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
        json.dumps(KEYS["keys"][0]).encode(),
    ]
    for key in shown:
        head = {"alg": "HS256", "kid": "r", "typ": "JWT"}
        parts = [
            base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=")
            for part in (head, claims(role="service_role"))
        ]
        mac = hmac.new(key, b".".join(parts), hashlib.sha256).digest()
        forged = b".".join([*parts, base64.urlsafe_b64encode(mac).rstrip(b"=")]).decode()
        assert refusal(forged, jwks=place.url, secret=None)[0] == "PGRST301"
        assert refusal(forged, jwks=place.url)[0] == "PGRST301"


def test_a_key_is_used_with_its_own_algorithm(place: Service) -> None:
    for key, algorithm, kid in (
        (RSA_KEY, "RS512", "r"),
        (RSA_KEY, "PS256", "r"),
        (EC_KEY, "ES256", "r"),
    ):
        assert refusal(signed(key, algorithm, kid), jwks=place.url)[0] == "PGRST301"
    assert refusal(signed(algorithm="HS512"), jwks=place.url)[0] == "PGRST301"


def test_a_role_is_one_of_three() -> None:
    for role in ("postgres", "rendio_owner", "", "ANON", 1, ["anon"], {"a": 1}):
        assert refusal(signed(role=role))[0] == "PGRST303"


def test_audience_and_issuer() -> None:
    for meant in ("app", ["x", "app"], None, []):
        assert caller_of(signed(aud=meant), audience="app").user_id == "a user"
    for meant in ("other", ["other"]):
        assert refusal(signed(aud=meant), audience="app") == ("PGRST303", "JWT not in audience")
    assert refusal(signed(aud=5))[0] == "PGRST303"
    assert caller_of(signed(iss="us"), issuer="us").user_id == "a user"
    for issuer in ("them", None):
        assert refusal(signed(iss=issuer), issuer="us")[0] == "PGRST303"


# --- keys -----------------------------------------------------------------------------------------


def test_keys_are_fetched_once(place: Service) -> None:
    async def ask() -> None:
        async with httpx.AsyncClient() as http:
            keys = KeySet(place.url, http)
            for _ in range(20):
                assert await keys.find("e")
                assert await keys.find("unknown") is None

    asyncio.run(ask())
    assert len(place.requests) == 1


def test_keys_that_cannot_be_had() -> None:
    answers = iter([Answer(500), Answer(body=b"[" * 10), Answer(body=b'{"keys": []}')])

    def respond(_: Request) -> Answer:
        return next(answers)

    with serve(respond) as broken:
        for _ in range(3):
            with pytest.raises(ApiError) as caught:
                caller_of(signed(EC_KEY, "ES256", "e"), jwks=broken.url)
            assert (caught.value.status, caught.value.headers) == (503, {"Retry-After": "1"})


def test_what_is_no_public_key_for_signatures() -> None:
    secret = {"kty": "oct", "k": "c2VjcmV0", "kid": "s", "alg": "HS256"}
    for entry in (secret, KEYS["keys"][0] | {"use": "enc"}, KEYS["keys"][0] | {"alg": "HS256"}, 1):
        with pytest.raises(ValueError, match="no public key"):
            read_keys({"keys": [entry]})
    assert set(read_keys({"keys": [secret, *KEYS["keys"]]})) == {"r", "e", "o"}
