"""Who is calling: the deployment's own two keys, compared in constant time.

Promise: without any key configured nobody is let in, except in development.
"""

import hashlib
import hmac

from msgspec import Struct

from proxy.core.config import Config
from proxy.core.errors import AuthenticationFailed, PermissionDenied


class Principal(Struct, frozen=True):
    """The caller: the user that limits and accounts go by, and whether it may administrate."""

    user: str
    admin: bool = False


ANONYMOUS = Principal("anonymous", admin=True)
_NO_KEY_YET = (
    "This deployment has no key yet, so it is closed. Set one with"
    " `npx wrangler secret put PROXY_API_KEY` (or ADMIN_TOKEN)."
)


class Gate:
    """Lets callers in by `Authorization: Bearer KEY`."""

    def __init__(self, config: Config) -> None:
        self._open = config.open
        self._keys = [
            (_digest(key), principal)
            for key, principal in (
                (config.proxy_api_key, Principal("default")),
                (config.admin_token, Principal("admin", admin=True)),
            )
            if key
        ]

    def admit(self, authorization: str | None) -> Principal:
        """The caller that the header names. Raises AuthenticationFailed."""
        if self._open:
            return ANONYMOUS
        if not self._keys:
            raise AuthenticationFailed(_NO_KEY_YET, code="no_key_configured")
        if not authorization:
            raise AuthenticationFailed(
                "No key was sent. Send it as `Authorization: Bearer KEY`.", code="missing_api_key"
            )
        scheme, _, key = authorization.partition(" ")
        if scheme.lower() != "bearer" or not key.strip():
            raise AuthenticationFailed(
                "The Authorization header must be `Bearer KEY`.", code="invalid_api_key"
            )
        given = _digest(key.strip())
        found = None
        for digest, principal in self._keys:  # all of them, so that the time tells nothing
            if hmac.compare_digest(digest, given):
                found = principal
        if found is None:
            raise AuthenticationFailed("The key is not known.", code="invalid_api_key")
        return found


def require_admin(principal: Principal) -> None:
    """Raises PermissionDenied for anyone but the operators."""
    if not principal.admin:
        raise PermissionDenied("This needs the admin token (ADMIN_TOKEN).")


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode(errors="surrogatepass")).digest()
