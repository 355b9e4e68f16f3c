"""Apple's DeviceCheck, as its documentation and its servers have it, on the loopback address."""

import json
import time
from dataclasses import dataclass, field

import jwt
from cryptography.hazmat.primitives.asymmetric import ec
from loopback import Answer, Request

TEAM_ID, KEY_ID = "TEAM123456", "KEY1234567"
NEVER_SET = Answer(200, b"Failed to find bit state", "text/plain")
NO_TOKEN = Answer(400, b"Missing or incorrectly formatted device token payload", "text/plain")
NO_KEY = Answer(401, b"Unable to verify authorization token", "text/plain")
HOURS = 24


@dataclass
class Devices:
    """What Apple keeps: two bits of each device that was ever updated."""

    key: ec.EllipticCurvePrivateKey
    tokens: dict[str, str] = field(default_factory=dict)  # by token, whose it is
    bits: dict[str, tuple[bool, bool]] = field(default_factory=dict)
    updates: int = 0
    delay: float = 0
    broken: dict[str, Answer] = field(default_factory=dict)  # by verb, instead of the truth

    def __call__(self, request: Request) -> Answer:
        time.sleep(self.delay)
        verb = request.path.removeprefix("/v1/")
        if request.method != "POST" or verb not in ("query_two_bits", "update_two_bits"):
            return Answer(404)
        if verb in self.broken:
            return self.broken[verb]
        if not self._is_ours(request.headers.get("authorization", "")):
            return NO_KEY
        given = json.loads(request.body)
        at = given.get("timestamp")
        if not isinstance(at, int) or abs(at / 1000 - time.time()) > HOURS * 3600:
            return Answer(400, b"Missing or incorrectly formatted timestamp", "text/plain")
        if not isinstance(given.get("transaction_id"), str):
            return Answer(400, b"Missing or incorrectly formatted transaction id", "text/plain")
        device = self.tokens.get(given.get("device_token"))
        if device is None:
            return NO_TOKEN
        return self._update(device, given) if verb == "update_two_bits" else self._query(device)

    def _query(self, device: str) -> Answer:
        if device not in self.bits:
            return NEVER_SET
        bit0, bit1 = self.bits[device]
        told = {"bit0": bit0, "bit1": bit1, "last_update_time": "2026-03"}
        return Answer(body=json.dumps(told).encode())

    def _update(self, device: str, given: dict[str, object]) -> Answer:
        bit0, bit1 = given.get("bit0"), given.get("bit1")
        if not (isinstance(bit0, bool) and isinstance(bit1, bool)):
            return Answer(400, b"Missing or incorrectly formatted bits", "text/plain")
        self.bits[device] = (bit0, bit1)
        self.updates += 1
        return Answer(200, b"", "text/plain")

    def _is_ours(self, authorization: str) -> bool:
        token = authorization.removeprefix("Bearer ")
        try:
            header = jwt.get_unverified_header(token)
            options = {"require": ["iss", "iat"]}
            public = self.key.public_key()
            claims = jwt.decode(token, public, algorithms=["ES256"], options=options)
        except jwt.PyJWTError:
            return False
        return header.get("kid") == KEY_ID and claims["iss"] == TEAM_ID
