"""fal's public keys: fetched, kept for a day at most, and fetched again when they change."""

import base64
import json
import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from http.client import HTTPException
from urllib.request import Request, urlopen

from rendio.providers.fal.errors import KeysUnavailable

try:
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
except ImportError as missing:
    raise ImportError("fal's signatures need cryptography: pip install 'rendio[fal]'") from missing

JWKS_URL = "https://rest.fal.ai/.well-known/jwks.json"

FETCH_AFTER = 12 * 3600  # seconds; half of their life is left for fetches that fail
USE_UNTIL = 24 * 3600  # fal's limit: a key that it takes back is trusted no longer than this
FETCH_EVERY = 60  # however many forged webhooks come, and however often a fetch fails

_log = logging.getLogger(__name__)


def fetch_jwks(url: str = JWKS_URL) -> bytes:
    """Fetch the key set; an OSError when that fails."""
    request = Request(url, headers={"User-Agent": "rendio", "Accept": "application/json"})
    # Less than the 15 seconds that fal waits for our answer.
    try:
        with urlopen(request, timeout=5) as response:
            return bytes(response.read(64 * 1024))
    except HTTPException as error:
        raise OSError(f"{url} does not answer as HTTP does: {error!r}") from error


@dataclass(frozen=True)
class _KeySet:
    keys: tuple[Ed25519PublicKey, ...]
    fetched_at: float

    @classmethod
    def read(cls, document: bytes, at: float) -> "_KeySet":
        """Read a JSON Web Key Set; a ValueError when it is none or has no key for us."""
        try:
            published = json.loads(document)["keys"]
            ours = [key["x"] for key in published if key.get("crv") == "Ed25519"]
            keys = tuple(Ed25519PublicKey.from_public_bytes(_base64url(x)) for x in ours)
        except (KeyError, TypeError, AttributeError, RecursionError) as error:
            raise ValueError(f"not a key set: {error!r}") from error
        if not keys:
            raise ValueError("a key set without a key of Ed25519")
        return cls(keys, at)

    def have_signed(self, message: bytes, signature: bytes) -> bool:
        return any(_has_signed(key, message, signature) for key in self.keys)


class FalKeys:
    """fal's current keys; one object serves the process and its threads.

    `fetch` returns the key set as JSON and raises OSError or ValueError when it cannot. While a
    fetch fails the keys that are held go on serving until they are a day old.
    """

    def __init__(
        self,
        fetch: Callable[[], bytes] = fetch_jwks,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._fetch = fetch
        self._clock = clock
        self._lock = threading.Lock()
        self._held: _KeySet | None = None
        self._fetch_from: float | None = None

    def have_signed(self, message: bytes, signature: bytes) -> bool:
        """Tell whether one of fal's keys made this signature; KeysUnavailable when there is none.

        A signature that no key made may be of a key that is newer than ours, so they are fetched
        again, though not for each: whoever forges signatures must not make us a burden to fal.
        """
        held = self._held
        if held is None or self._clock() - held.fetched_at >= FETCH_AFTER:
            held = self._refetched()
        if held.have_signed(message, signature):
            return True
        newer = self._refetched()
        return newer is not held and newer.have_signed(message, signature)

    def _refetched(self) -> _KeySet:
        """Return newer keys where they may be asked for now, else those that are held."""
        with self._lock:
            now = self._clock()
            # Nor does a thread ask that waited for the lock while another did.
            if self._fetch_from is None or now >= self._fetch_from:
                self._fetch_from = now + FETCH_EVERY
                self._refresh(now)
            held = self._held
        if held is None or now - held.fetched_at >= USE_UNTIL:
            raise KeysUnavailable(hint=f"look whether this machine reaches {JWKS_URL}")
        return held

    def _refresh(self, now: float) -> None:
        try:
            self._held = _KeySet.read(self._fetch(), now)
        except (OSError, ValueError) as error:
            _log.warning("fal's keys could not be fetched: %s", error)


def _has_signed(key: Ed25519PublicKey, message: bytes, signature: bytes) -> bool:
    try:
        key.verify(signature, message)
    except InvalidSignature:
        return False
    return True


def _base64url(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
