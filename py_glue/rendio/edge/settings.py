"""Everything that `rendio serve` is told by the environment; .env.example lists it.

A secret is a `Secret` from the moment that it is read: it shows in no repr, log or error.
"""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address
from urllib.parse import urlsplit

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_pem_private_key

ROLES = ("anon", "authenticated", "service_role")
MIN_SECRET = 32  # bytes; RFC 7518 asks HS256 for as many as the hash has
# Public: the secret of Supabase's local stack. Only with --insecure-dev, which binds to loopback.
DEVELOPMENT_SECRET = "super-secret-jwt-token-with-at-least-32-characters-long"
DEVICECHECK_URL = "https://api.devicecheck.apple.com"
QUALIFIED = re.compile(r"[a-z_][a-z0-9_]*(\.[a-z_][a-z0-9_]*)?")


class SettingsError(Exception):
    """What is wrong with the environment, one line for each variable; never with their values."""


class Secret:
    """A text that does not show itself."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        return self._text

    def __repr__(self) -> str:
        return "<secret>"

    def __reduce__(self) -> str:
        raise TypeError("a secret is not to be copied out of the process")


@dataclass(frozen=True, kw_only=True)
class Apple:
    """Which app's devices and purchases are taken."""

    bundle_id: str | None = None
    app_id: int | None = None
    root_certificates: tuple[str, ...] = ()
    team_id: str | None = None
    devicecheck_key_id: str | None = None
    devicecheck_private_key: Secret | None = None
    devicecheck_url: str = DEVICECHECK_URL

    @property
    def has_devicecheck(self) -> bool:
        return bool(self.team_id and self.devicecheck_key_id and self.devicecheck_private_key)

    @property
    def has_app_store(self) -> bool:
        return bool(self.bundle_id and self.app_id and self.root_certificates)


@dataclass(frozen=True, kw_only=True)
class Settings:
    database_url: Secret
    jwt_secret: Secret | None = None
    jwks: str | None = None
    jwt_audience: str | None = None
    jwt_issuer: str | None = None
    pool_size: int = 10
    pool_queue: int = 50
    pool_seconds: float = 3
    statement_seconds: Mapping[str, float] = field(
        default_factory=lambda: {"anon": 3, "authenticated": 8, "service_role": 30}
    )
    body_limit: int = 128 * 1024
    body_seconds: float = 10
    header_seconds: float = 10
    answer_seconds: float = 30
    stop_seconds: int = 10
    pre_request: str | None = None
    trusted_proxies: str | None = None
    cors_origins: tuple[str, ...] = ()
    insecure_dev: bool = False
    apple: Apple = field(default_factory=Apple)

    @classmethod
    def from_environment(
        cls,
        database_url: str,
        *,
        insecure_dev: bool = False,
        environ: Mapping[str, str] = os.environ,
    ) -> "Settings":
        """Read the environment; every variable that is wrong is told at once."""
        return _Reader(environ).settings(database_url, insecure_dev)


def is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


class _Reader:
    """Reads variables, and collects what is wrong with them."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self._wrong: list[str] = []

    def settings(self, database_url: str, insecure_dev: bool) -> Settings:
        seconds = {
            role: self._number(f"RENDIO_TIMEOUT_{role.upper()}", default, 0.001)
            for role, default in zip(ROLES, (3, 8, 30), strict=True)
        }
        found = Settings(
            database_url=Secret(database_url),
            jwt_secret=self._jwt_secret(insecure_dev),
            jwks=self._jwks(),
            jwt_audience=self._text("RENDIO_JWT_AUDIENCE"),
            jwt_issuer=self._text("RENDIO_JWT_ISSUER"),
            pool_size=self._whole("RENDIO_POOL_SIZE", 10),
            pool_queue=self._whole("RENDIO_POOL_QUEUE", 50),
            pool_seconds=self._number("RENDIO_POOL_SECONDS", 3, 0.001),
            statement_seconds=seconds,
            body_limit=self._whole("RENDIO_BODY_LIMIT", 128 * 1024),
            body_seconds=self._number("RENDIO_BODY_SECONDS", 10, 0.001),
            header_seconds=self._number("RENDIO_HEADER_SECONDS", 10, 0.001),
            answer_seconds=self._number("RENDIO_ANSWER_SECONDS", 30, 0.001),
            stop_seconds=self._whole("RENDIO_STOP_SECONDS", 10),
            pre_request=self._pre_request(),
            trusted_proxies=self._text("RENDIO_TRUSTED_PROXIES"),
            cors_origins=tuple((self._text("RENDIO_CORS_ORIGINS") or "").split()),
            insecure_dev=insecure_dev,
            apple=self._apple(),
        )
        if not found.jwt_secret and not found.jwks:
            self._wrong.append("RENDIO_JWT_SECRET or RENDIO_JWKS: one must be set")
        if self._wrong:
            raise SettingsError("\n".join(self._wrong))
        return found

    def _text(self, name: str) -> str | None:
        return self._environ.get(name, "").strip() or None

    def _number(self, name: str, default: float, least: float) -> float:
        text = self._text(name)
        try:
            number = float(text or default)
        except ValueError:
            number = -1
        if not least <= number < float("inf"):
            self._wrong.append(f"{name}: a number, {least:g} or more")
        return number

    def _whole(self, name: str, default: int) -> int:
        number = self._number(name, default, 1)
        if number != number // 1:
            self._wrong.append(f"{name}: a whole number")
            return default
        return int(number)

    def _jwt_secret(self, insecure_dev: bool) -> Secret | None:
        text = self._text("RENDIO_JWT_SECRET")
        if not text:
            use_public = insecure_dev and not self._text("RENDIO_JWKS")
            return Secret(DEVELOPMENT_SECRET) if use_public else None
        if len(text.encode()) < MIN_SECRET:
            self._wrong.append(f"RENDIO_JWT_SECRET: {MIN_SECRET} bytes or more")
        if text == DEVELOPMENT_SECRET and not insecure_dev:
            self._wrong.append("RENDIO_JWT_SECRET: this one is public; make your own")
        return Secret(text)

    def _jwks(self) -> str | None:
        place = self._text("RENDIO_JWKS")
        if place and "://" in place and not _is_safe_url(place):
            self._wrong.append("RENDIO_JWKS: an https URL, or a file")
        return place

    def _pre_request(self) -> str | None:
        name = self._text("RENDIO_PRE_REQUEST")
        if name and not QUALIFIED.fullmatch(name):
            self._wrong.append("RENDIO_PRE_REQUEST: a function's name, like public.check_request")
        return name

    def _apple(self) -> Apple:
        app_id = self._text("APPLE_APP_ID")
        if app_id and not app_id.isdigit():
            self._wrong.append("APPLE_APP_ID: the app's number in App Store Connect")
            app_id = None
        url = self._text("APPLE_DEVICECHECK_URL") or DEVICECHECK_URL
        if not _is_safe_url(url):
            self._wrong.append("APPLE_DEVICECHECK_URL: an https URL")
        return Apple(
            bundle_id=self._text("APPLE_BUNDLE_ID"),
            app_id=int(app_id) if app_id else None,
            root_certificates=tuple((self._text("APPLE_ROOT_CERTIFICATES") or "").split()),
            team_id=self._text("APPLE_TEAM_ID"),
            devicecheck_key_id=self._text("APPLE_DEVICECHECK_KEY_ID"),
            devicecheck_private_key=self._private_key(),
            devicecheck_url=url.rstrip("/"),
        )

    def _private_key(self) -> Secret | None:
        text = self._text("APPLE_DEVICECHECK_PRIVATE_KEY")
        if not text:
            return None
        pem = text.strip('"').replace("\\n", "\n")
        try:
            key = load_pem_private_key(pem.encode(), password=None)
        except (ValueError, TypeError):
            key = None
        if not isinstance(key, ec.EllipticCurvePrivateKey) or key.curve.name != "secp256r1":
            self._wrong.append("APPLE_DEVICECHECK_PRIVATE_KEY: the .p8 file's text, P-256 in PEM")
        return Secret(pem)


def _is_safe_url(text: str) -> bool:
    """Tell whether nobody on the way can change what comes from there."""
    url = urlsplit(text)
    return url.scheme == "https" or (url.scheme == "http" and is_loopback(url.hostname or ""))
