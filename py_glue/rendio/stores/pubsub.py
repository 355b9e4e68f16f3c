"""Authenticate what Google Cloud Pub/Sub pushes: an OpenID Connect token of a service account."""

from datetime import timedelta

from rendio.stores.errors import StoreError, StoreUnavailable

try:
    import jwt
    from jwt.exceptions import PyJWKClientConnectionError
except ImportError as error:
    raise ImportError("Google Play needs PyJWT: pip install 'rendio[google_play]'") from error

GOOGLE_KEYS = "https://www.googleapis.com/oauth2/v3/certs"
ISSUERS = ("https://accounts.google.com", "accounts.google.com")
LEEWAY = timedelta(seconds=30)  # between Google's clock and ours


class PushTokens:
    """Verifies the bearer tokens of one push subscription.

    `audience` and `service_account` are the subscription's settings. Both are checked: anybody may
    have Google sign a token for an audience, but not as that account. `keys` caches Google's keys.
    """

    def __init__(
        self, *, audience: str, service_account: str, keys: jwt.PyJWKClient | None = None
    ) -> None:
        self._audience = audience
        self._service_account = service_account
        self._keys = keys or jwt.PyJWKClient(GOOGLE_KEYS)

    def verify(self, authorization: str | None) -> None:
        """Refuse an Authorization header that is not the subscription's."""
        scheme, _, token = (authorization or "").partition(" ")
        if scheme.lower() != "bearer":
            raise StoreError("untrusted", hint="The push has no bearer token.")
        try:
            claims = jwt.decode(
                token,
                self._key(jwt.get_unverified_header(token).get("kid")),
                algorithms=["RS256"],
                audience=self._audience,
                issuer=ISSUERS,
                leeway=LEEWAY,
                options={"require": ["aud", "exp", "iat", "iss"]},
            )
        except (jwt.PyJWTError, ValueError) as error:
            reason = type(error).__name__  # its text may quote the token
            raise StoreError("untrusted", detail={"check": reason}) from None
        if claims.get("email") != self._service_account or claims.get("email_verified") is not True:
            raise StoreError("untrusted", hint="The token is of another service account.")

    def _key(self, kid: str | None) -> jwt.PyJWK:
        if kid is None:
            raise jwt.InvalidTokenError("no key is named")
        try:
            return self._keys.get_signing_key(kid)
        except (PyJWKClientConnectionError, ValueError) as error:
            raise StoreUnavailable(hint="Google's keys could not be fetched.") from error
