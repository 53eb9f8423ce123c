"""Who is calling: the deployment's own two keys, compared in constant time, and issued ones.

Promises: without any key configured nobody is let in, except in development. Whatever wrong keys
an address has sent, a right one is let in.
"""

import hashlib
import hmac
import re
from collections.abc import Coroutine, Mapping
from typing import Any

from proxy.access.ring import KeyRing
from proxy.core.errors import AuthenticationFailed, PermissionDenied
from proxy.core.principal import Principal
from proxy.core.settings import AccessSettings

ANONYMOUS = Principal(user="anonymous", admin=True)
_ISSUED = re.compile(r"aep_([a-z]+)_[0-9a-f]{64}")
_NO_KEY_YET = (
    "This deployment has no key yet, so it is closed. Set one with"
    " `npx wrangler secret put PROXY_API_KEY` (or ADMIN_TOKEN)."
)


class Gate:
    """Lets callers in by their key."""

    def __init__(self, settings: AccessSettings, ring: KeyRing) -> None:
        self._open = settings.is_open
        self._environment = settings.environment
        self._ring = ring
        self._keys = [
            (digest_of(key), principal)
            for key, principal in (
                (settings.proxy_api_key, Principal(user="default")),
                (settings.admin_token, Principal(user="admin", admin=True)),
            )
            if key
        ]

    def admit(
        self, authorization: str | None, address: str
    ) -> Principal | Coroutine[Any, Any, Principal]:
        """The caller that the header names (see `authorization_of`), or the coroutine that looks
        it up; address: where the request comes from. Both raise AuthenticationFailed,
        RateLimitExceeded for a wrong key after too many, and InternalError (503) where the keys
        can't be looked up."""
        if self._open:
            return ANONYMOUS
        if not self._keys:
            raise AuthenticationFailed(_NO_KEY_YET, code="no_key_configured")
        key = _bearer(authorization)
        digest = digest_of(key)
        found = None
        for own, principal in self._keys:  # all of them, so that the time tells nothing
            if hmac.compare_digest(own, digest):
                found = principal
        if found:
            return found
        if known := self._ring.peek(digest):
            return known
        self._ring.check_unknown(digest)
        issued = _ISSUED.fullmatch(key)
        if issued and issued[1] != self._environment:
            raise AuthenticationFailed(
                f"This key belongs to {issued[1]}; this is {self._environment}.",
                code="wrong_environment",
            )
        return self._ring.lookup(digest, address)


def authorization_of(headers: Mapping[str, str]) -> str | None:
    """The Authorization header of a request, whose key may also come as `x-api-key` or `api-key`.
    Of several keys the first counts, in this order. headers: names in lower case."""
    given = headers.get("authorization")
    if given:
        scheme, _, key = given.partition(" ")
        if scheme.lower() == "bearer" and key.strip():
            return given
    for name in ("x-api-key", "api-key"):
        if key := headers.get(name, "").strip():
            return f"Bearer {key}"
    return given


def require_admin(principal: Principal) -> None:
    """Raises PermissionDenied for anyone but the operators."""
    if not principal.admin:
        raise PermissionDenied("This needs the admin token (ADMIN_TOKEN).")


def secret_for(environment: str, token: str) -> str:
    """A new key's text; token: 64 hexadecimal digits of randomness."""
    return f"aep_{environment}_{token}"


def digest_of(key: str) -> str:
    """SHA-256 of a secret, in hexadecimal."""
    return hashlib.sha256(key.encode(errors="surrogatepass")).hexdigest()


def _bearer(authorization: str | None) -> str:
    if not authorization:
        raise AuthenticationFailed(
            "No key was sent. Send it as `Authorization: Bearer KEY`, `x-api-key: KEY` or"
            " `api-key: KEY`.",
            code="missing_api_key",
        )
    scheme, _, key = authorization.partition(" ")
    if scheme.lower() != "bearer" or not key.strip():
        raise AuthenticationFailed(
            "The Authorization header must be `Bearer KEY`.", code="invalid_api_key"
        )
    return key.strip()
