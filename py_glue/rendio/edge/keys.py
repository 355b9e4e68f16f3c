"""The public keys that tokens are signed with: a JWK Set, from a file or from a URL."""

import asyncio
import json
from pathlib import Path
from time import monotonic
from typing import Any

import httpx
import jwt

from rendio.edge.errors import ApiError
from rendio.edge.logs import event

KEPT_SECONDS = 600
AGAIN_SECONDS = 10  # between two fetches, however many tokens name unknown keys
MAX_BYTES = 256 * 1024
CURVES = {"P-256": "ES256", "P-384": "ES384", "P-521": "ES512"}


class KeySet:
    """Keys by id. Fetched when needed; while the place does not answer, the last ones serve."""

    def __init__(self, place: str, http: httpx.AsyncClient) -> None:
        self._place = place
        self._http = http
        self._keys: dict[str | None, jwt.PyJWK] = {}
        self._fetched = self._tried = float("-inf")
        self._lock = asyncio.Lock()

    async def find(self, key_id: str | None) -> jwt.PyJWK | None:
        """Return the key of that id; without one, the only key there is."""
        await self._refresh(key_id)
        if key_id is None and len(self._keys) == 1:
            return next(iter(self._keys.values()))
        return self._keys.get(key_id)

    async def _refresh(self, key_id: str | None) -> None:
        """Fetch the keys when they are old or lack this one.

        Who knows its key waits for nobody's fetch; unknown ids cannot cause one after the other.
        """
        is_known = key_id in self._keys or (key_id is None and self._keys)
        is_fresh = monotonic() - self._fetched <= KEPT_SECONDS
        if is_known and (is_fresh or self._lock.locked()):
            return
        async with self._lock:
            if monotonic() - self._tried >= AGAIN_SECONDS:
                self._tried = monotonic()
                await self._fetch()
        if not self._keys:
            raise _unavailable()

    async def _fetch(self) -> None:
        try:
            self._keys = read_keys(await self._load())
            self._fetched = monotonic()
        except (httpx.HTTPError, OSError, ValueError):
            event("keys_not_fetched", level="warning")

    async def _load(self) -> Any:
        if "://" not in self._place:
            return json.loads(Path(self._place).read_bytes())
        async with self._http.stream("GET", self._place) as response:
            response.raise_for_status()
            body = b""
            async for part in response.aiter_bytes():
                body += part
                if len(body) > MAX_BYTES:
                    raise ValueError("no key set is that large")
        return json.loads(body)


def read_keys(document: Any) -> dict[str | None, jwt.PyJWK]:
    """Return the set's public keys for signatures, each with the one algorithm it is for.

    A symmetric key has no place in a set that everybody can read.
    """
    found: dict[str | None, jwt.PyJWK] = {}
    for entry in document["keys"] if isinstance(document, dict) and "keys" in document else ():
        if not isinstance(entry, dict) or entry.get("use", "sig") != "sig":
            continue
        algorithm = _algorithm(entry)
        if algorithm is None:
            continue
        try:
            found[entry.get("kid")] = jwt.PyJWK.from_dict(entry, algorithm)
        except jwt.PyJWTError:
            continue
    if not found:
        raise ValueError("no public key for signatures in it")
    return found


def _algorithm(entry: dict[str, Any]) -> str | None:
    match entry.get("kty"):
        case "RSA":
            named = entry.get("alg", "RS256")
            return named if named in ("RS256", "RS384", "RS512", "PS256") else None
        case "EC":
            return CURVES.get(str(entry.get("crv")))
        case "OKP":
            return "EdDSA" if entry.get("crv") == "Ed25519" else None
    return None


def _unavailable() -> ApiError:
    hint = "Try again; RENDIO_JWKS did not answer with a key set."
    return ApiError(
        503, "PGRST001", "No keys to verify the token", None, hint, {"Retry-After": "1"}
    )
