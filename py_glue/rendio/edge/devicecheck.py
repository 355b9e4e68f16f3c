"""Apple's DeviceCheck: is this a genuine device of the app, and what is known of it for ever.

Apple keeps two bits for each device and developer, which outlive the app's removal and a reset of
the device. bit0: the initial credits were given to it. bit1 is kept as it is found: support may
use it.
"""

import json
import re
import time
from dataclasses import dataclass
from uuid import uuid4

import httpx
import jwt

from rendio.edge.errors import ApiError, refusal, unavailable
from rendio.edge.logs import event
from rendio.edge.settings import Secret, Settings

BASE64 = re.compile(r"[A-Za-z0-9+/=_-]{1,16384}")
# Apple answers 200 and one of these, no JSON, for a device whose bits were never set.
NEVER_SET = ("failed to find bit state", "bit state not found")


@dataclass(frozen=True)
class Bits:
    """What Apple keeps of a device."""

    initial_grant: bool = False
    other: bool = False


class DeviceCheck:
    """Asks Apple. A token is good for some minutes, so that one call can use it several times."""

    def __init__(
        self, http: httpx.AsyncClient, url: str, team_id: str, key_id: str, private_key: Secret
    ) -> None:
        self._http = http
        self._url = url
        self._team_id = team_id
        self._key_id = key_id
        self._private_key = private_key

    @classmethod
    def of(cls, settings: Settings, http: httpx.AsyncClient) -> "DeviceCheck | None":
        """Return one that can ask, or None without Apple's keys."""
        apple = settings.apple
        if not (apple.team_id and apple.devicecheck_key_id and apple.devicecheck_private_key):
            return None
        return cls(
            http,
            apple.devicecheck_url,
            apple.team_id,
            apple.devicecheck_key_id,
            apple.devicecheck_private_key,
        )

    async def query(self, device_token: object) -> Bits:
        """Return the bits of the device that made the token; refuse what no device made."""
        if not isinstance(device_token, str) or not BASE64.fullmatch(device_token):
            facts = {"argument": "device_token", "rule": "base64, as DCDevice gives it"}
            raise refusal(400, "invalid_argument", facts)
        response = await self._post("query_two_bits", {"device_token": device_token})
        if response.text.strip().lower() in NEVER_SET:
            return Bits()
        try:
            told = json.loads(response.content)
            bits = (told["bit0"], told["bit1"])
        except (ValueError, TypeError, KeyError):
            raise _no_answer() from None
        if not all(isinstance(bit, bool) for bit in bits):
            raise _no_answer()
        return Bits(*bits)

    async def update(self, device_token: str, bits: Bits) -> None:
        """Set both bits; Apple knows no way to set one."""
        given = {"device_token": device_token, "bit0": bits.initial_grant, "bit1": bits.other}
        await self._post("update_two_bits", given)

    async def _post(self, verb: str, given: dict[str, object]) -> httpx.Response:
        body = given | {"transaction_id": str(uuid4()), "timestamp": int(time.time() * 1000)}
        headers = {"Authorization": f"Bearer {self._bearer()}"}
        try:
            response = await self._http.post(f"{self._url}/v1/{verb}", json=body, headers=headers)
        except httpx.HTTPError:
            raise _no_answer() from None
        if response.status_code == 400:
            hint = "Ask DCDevice for a new token and send that."
            raise refusal(403, "device_not_verified", hint=hint)
        if response.status_code != 200:
            # Of our own making: 401 is a wrong key, 429 too many; nothing is known of the device.
            status = response.status_code
            event("devicecheck_failed", level="warning", verb=verb, status=status)
            raise _no_answer()
        return response

    def _bearer(self) -> str:
        return jwt.encode(
            {"iss": self._team_id, "iat": int(time.time())},
            self._private_key.reveal(),
            algorithm="ES256",
            headers={"kid": self._key_id},
        )


def _no_answer() -> ApiError:
    return unavailable("devicecheck_unavailable", "Try again: Apple could not be asked.")
