"""Names the caller: by the deployment's own keys, compared in constant time, an issued one, or,
where it sends none, Cloudflare Access.

Promises: without any key configured nobody is let in, except in development, where everybody is,
and an issued key is that key. Whatever wrong keys an address has sent, a right one is let in.
"""

import hashlib
import hmac
import re
from collections.abc import Coroutine, Mapping, Sequence

from proxy.access.key_cache import KeyCache
from proxy.access.sign_in import SignIn
from proxy.core.errors import (
    AuthenticationFailed,
    ProxyError,
    RateLimitExceeded,
    Unavailable,
)
from proxy.core.principal import Principal
from proxy.core.settings import AccessSettings
from proxy.core.web import ReadIdentity, read_nobody

ANONYMOUS = Principal(user="anonymous", role="admin", via="open")
METRICS = Principal(user="metrics", role="viewer", via="metrics_token")
_KEY_HEADERS = ("x-api-key", "api-key", "x-goog-api-key")
_ISSUED = re.compile(r"aep_([a-z]+)_[0-9a-f]{64}")
_NO_KEY_YET = (
    "This deployment has no key yet, so it is closed. Set one with"
    " `npx wrangler secret put PROXY_API_KEY` (or ADMIN_TOKEN)."
)


class Authenticator:
    """Lets callers in by their key, or as whom Access has signed them in."""

    def __init__(
        self, settings: AccessSettings, issued: KeyCache, sign_in: SignIn | None = None
    ) -> None:
        """sign_in: None: nobody is signed in."""
        self._is_open = settings.is_open
        self._environment = settings.environment
        self._issued = issued
        self._sign_in = sign_in
        self._own = [
            (hash_secret(key), principal)
            for key, principal in (
                (settings.proxy_api_key, Principal(user="default", via="proxy_key")),
                (settings.metrics_token, METRICS),
                (settings.admin_token, Principal(user="admin", role="admin", via="admin_token")),
            )
            if key
        ]

    def admit(
        self, headers: Mapping[str, str], address: str, read_identity: ReadIdentity = read_nobody
    ) -> Principal | Coroutine[object, None, Principal]:
        """As `authenticate`, by whichever key of the request is right: clients of Anthropic's
        dialect may send two. One that sends none is whom Access has signed in."""
        first, *others = read_authorizations(headers) or (headers.get("authorization"),)
        if others:
            return self._try_each((first, *others), address)
        if self._sign_in and not first:
            return self._admit_signed_in(self._sign_in, headers, read_identity)
        return self.authenticate(first, address)

    def admit_again(self, named: Principal) -> Principal | Coroutine[object, None, Principal]:
        """The caller whom a ticket names, as its issued key has it now. The coroutine raises as
        that of `authenticate` does."""
        return named if named.key_id is None else self._issued.find(named.key_id)

    async def _admit_signed_in(
        self, sign_in: SignIn, headers: Mapping[str, str], read_identity: ReadIdentity
    ) -> Principal:
        if found := await sign_in.find(headers, read_identity):
            return found
        raise _missing_key()

    async def _try_each(self, given: Sequence[str | None], address: str) -> Principal:
        refusals: list[ProxyError] = []
        for authorization in given:
            try:
                found = self.authenticate(authorization, address)
                return found if isinstance(found, Principal) else await found
            except (AuthenticationFailed, RateLimitExceeded, Unavailable) as error:
                refusals.append(error)
        # A key that can't be looked up now may be the right one: its caller is to try again.
        raise next((e for e in refusals if isinstance(e, Unavailable)), refusals[0])

    def authenticate(
        self, authorization: str | None, address: str
    ) -> Principal | Coroutine[object, None, Principal]:
        """The caller that the header names (see `read_authorizations`), or the coroutine that looks
        it up; address: where the request comes from. Both raise AuthenticationFailed,
        RateLimitExceeded for a wrong key after too many, and InternalError (503) where the keys
        can't be looked up."""
        if self._is_open and not self._is_issued_here(authorization):
            return ANONYMOUS
        if not self._is_open and not self._own and not self._sign_in:
            raise AuthenticationFailed(_NO_KEY_YET, code="no_key_configured")
        key = _read_bearer(authorization)
        digest = hash_secret(key)
        found = None
        for own, principal in self._own:  # all of them, so that the time says nothing
            if hmac.compare_digest(own, digest):
                found = principal
        if found:
            return found
        if known := self._issued.peek(digest):
            return known
        self._issued.check_unknown(digest)
        issued = _ISSUED.fullmatch(key)
        if issued and issued[1] != self._environment:
            raise AuthenticationFailed(
                f"This key belongs to {issued[1]}; this is {self._environment}.",
                code="wrong_environment",
            )
        return self._issued.lookup(digest, address)

    def _is_issued_here(self, authorization: str | None) -> bool:
        """Whether it has the form of a key that this environment issues."""
        issued = _ISSUED.fullmatch((authorization or "").partition(" ")[2].strip())
        return issued is not None and issued[1] == self._environment


def read_authorizations(headers: Mapping[str, str]) -> tuple[str, ...]:
    """The keys of a request, each as `Bearer KEY`: of the Authorization header, `x-api-key`,
    `api-key` and `x-goog-api-key`, in this order. headers: names in lower case."""
    scheme, _, bearer = headers.get("authorization", "").partition(" ")
    keys = [bearer.strip()] if scheme.lower() == "bearer" else []
    keys += [headers[name].strip() for name in _KEY_HEADERS if name in headers]
    return tuple([f"Bearer {key}" for key in dict.fromkeys(keys) if key])


def format_secret(environment: str, token: str) -> str:
    """A new key's text; token: 64 hexadecimal digits of randomness."""
    return f"aep_{environment}_{token}"


def hash_secret(key: str) -> str:
    """SHA-256 of a secret, in hexadecimal."""
    return hashlib.sha256(key.encode(errors="surrogatepass")).hexdigest()


def _read_bearer(authorization: str | None) -> str:
    """Raises AuthenticationFailed."""
    if not authorization:
        raise _missing_key()
    scheme, _, key = authorization.partition(" ")
    if scheme.lower() != "bearer" or not key.strip():
        raise AuthenticationFailed(
            "The Authorization header must be `Bearer KEY`.", code="invalid_api_key"
        )
    return key.strip()


def _missing_key() -> AuthenticationFailed:
    return AuthenticationFailed(
        "No key was sent. Send it as `Authorization: Bearer KEY`, `x-api-key: KEY` or"
        " `api-key: KEY`.",
        code="missing_api_key",
    )
