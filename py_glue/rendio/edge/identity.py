"""Who is calling: decided by a verified JSON Web Token and by nothing else."""

import time
from dataclasses import dataclass, field
from typing import Any

import jwt
from starlette.datastructures import Headers

from rendio.edge.errors import ApiError
from rendio.edge.keys import KeySet
from rendio.edge.settings import ROLES, Secret

LEEWAY_SECONDS = 30
SYMMETRIC = "HS256"


@dataclass(frozen=True)
class Caller:
    """A database role, and the claims of the token that named it."""

    role: str
    claims: dict[str, Any] = field(default_factory=dict, repr=False)

    @property
    def user_id(self) -> str | None:
        """The user whom the token is about; nobody for a key that is no user's."""
        subject = self.claims.get("sub")
        return subject if self.role == "authenticated" and isinstance(subject, str) else None

    @property
    def is_service(self) -> bool:
        return self.role == "service_role"


SERVICE = Caller("service_role", {"role": "service_role"})


class Verifier:
    """Turns a request's token into a caller."""

    def __init__(
        self,
        secret: Secret | None,
        keys: KeySet | None,
        audience: str | None = None,
        issuer: str | None = None,
    ) -> None:
        self._secret = secret
        self._keys = keys
        self._audience = audience
        self._issuer = issuer

    async def caller(self, headers: Headers) -> Caller:
        """Return who sent these headers; without a token `anon`, with a bad one 401.

        ``apikey`` alone counts as the token, which is how a gateway in front of PostgREST treats
        it; beside ``Authorization`` it is not looked at. A publishable key is no token, also where
        supabase-js has no session and sends it in both places.
        """
        scheme, _, token = headers.get("authorization", "").partition(" ")
        token, key = token.strip(), headers.get("apikey", "").strip()
        is_token = key.count(".") == 2
        is_key = key != "" and token == key and not is_token
        if scheme.lower() == "bearer" and not is_key:
            return self._caller_of(await self._verified(token))
        if is_token:
            return self._caller_of(await self._verified(key))
        return Caller("anon", {"role": "anon"})

    def _caller_of(self, claims: dict[str, Any]) -> Caller:
        role = claims.get("role", "anon")
        if role not in ROLES:
            raise invalid_token("PGRST303", "JWT role is none of " + ", ".join(ROLES))
        return Caller(role, claims | {"role": role})

    async def _verified(self, token: str) -> dict[str, Any]:
        if not token:
            raise invalid_token("PGRST301", "Empty JWT is sent in Authorization header")
        if (parts := token.count(".") + 1) != 3:
            raise invalid_token("PGRST301", f"Expected 3 parts in JWT; got {parts}")
        try:
            header = jwt.get_unverified_header(token)
            key, algorithm = await self._key_for(header)
            claims: dict[str, Any] = jwt.decode(
                token,
                key,
                algorithms=[algorithm],
                leeway=LEEWAY_SECONDS,
                options={"require": ["exp"], "verify_aud": False, "verify_iss": False},
            )
        except jwt.ExpiredSignatureError:
            raise invalid_token("PGRST303", "JWT expired") from None
        except jwt.ImmatureSignatureError:
            raise invalid_token("PGRST303", "JWT not yet valid") from None
        except jwt.MissingRequiredClaimError:
            raise invalid_token("PGRST303", "JWT has no exp claim") from None
        except jwt.InvalidSignatureError:
            raise invalid_token("PGRST301", "No suitable key or wrong key type") from None
        except (jwt.PyJWTError, ValueError, RecursionError):
            raise invalid_token("PGRST301", "JWT couldn't be decoded") from None
        self._check(claims)
        return claims

    async def _key_for(self, header: dict[str, Any]) -> tuple[Any, str]:
        """Return the key that a token must be signed with, and that key's one algorithm.

        The token chooses among our keys; how each is used is never its choice. So `none` has no
        key, and a public key is never taken for a shared secret.
        """
        if header.get("alg") == SYMMETRIC and self._secret:
            return self._secret.reveal(), SYMMETRIC
        if self._keys is None or header.get("alg") in (SYMMETRIC, "none", None):
            raise invalid_token("PGRST301", "Wrong or unsupported encoding algorithm")
        key_id = header.get("kid")
        found = await self._keys.find(key_id if isinstance(key_id, str) else None)
        if found is None:
            raise invalid_token("PGRST301", "No suitable key or wrong key type")
        if found.algorithm_name != header["alg"]:
            raise invalid_token("PGRST301", "Wrong or unsupported encoding algorithm")
        return found.key, found.algorithm_name

    def _check(self, claims: dict[str, Any]) -> None:
        """Check audience as PostgREST does, where a token may have none; and the issuer."""
        meant = claims.get("aud")
        meant = [meant] if isinstance(meant, str) else meant or []
        if not isinstance(meant, list):
            raise invalid_token("PGRST303", "The JWT 'aud' claim must be a string or an array")
        if self._audience and meant and self._audience not in meant:
            raise invalid_token("PGRST303", "JWT not in audience")
        if self._issuer and claims.get("iss") != self._issuer:
            raise invalid_token("PGRST303", "JWT not of this issuer")
        issued = claims.get("iat")
        if isinstance(issued, int | float) and issued > time.time() + LEEWAY_SECONDS:
            raise invalid_token("PGRST303", "JWT issued at future")


def invalid_token(code: str, message: str) -> ApiError:
    told = f'Bearer error="invalid_token", error_description="{message}"'
    return ApiError(401, code, message, headers={"WWW-Authenticate": told})
