"""Reads and verifies the tokens of Cloudflare Access: JWTs that it signs by RS256 (RFC 7515, 7519;
Cloudflare One, "Validate JWTs", "Application token").

Nothing of a token is believed before its signature is verified, but for what refuses it. The
algorithm is the proxy's to say: no other than RS256 is taken, whatever a token names.
"""

import re
from typing import Any, TypeVar

import msgspec
from msgspec import Struct

from proxy.access.certs import Certs
from proxy.core import base64url
from proxy.core.errors import AuthenticationFailed
from proxy.core.json_guard import find_excess
from proxy.core.ports import Clock, VerifyRS256

T = TypeVar("T")

HEADER = "cf-access-jwt-assertion"
LONGEST = 8192
"""Characters of a token."""
SKEW_SECONDS = 60.0
"""By how much Access's clock may be ahead; a token that is over is over."""
_PART = re.compile(r"[A-Za-z0-9_-]+")


class _Head(Struct):
    alg: str
    kid: str
    crit: Any = None


class _Custom(Struct):
    groups: Any = None


class Claims(Struct):
    """What a token says, as far as it is read."""

    iss: str
    aud: str | list[str]
    exp: float
    nbf: float = 0.0
    type: str = "app"
    email: str | None = None
    groups: Any = None
    custom: _Custom | None = None


_HEAD = msgspec.json.Decoder(_Head)
_CLAIMS = msgspec.json.Decoder(Claims)


class TokenReader:
    """Reads the tokens of one team's application."""

    def __init__(
        self, team: str, auds: tuple[str, ...], certs: Certs, verify: VerifyRS256, clock: Clock
    ) -> None:
        """team: https://TEAM.cloudflareaccess.com, the issuer; auds: the applications' tags."""
        self._team = team
        self._auds = auds
        self._certs = certs
        self._verify = verify
        self._clock = clock

    async def read(self, token: str) -> Claims:
        """What a token says that Access has signed for this deployment. Raises
        AuthenticationFailed, and InternalError (503) where the keys can't be read."""
        parts = token.split(".")
        if len(token) > LONGEST or len(parts) != 3 or not all(map(_PART.fullmatch, parts)):
            raise _refuse("it is no JWT")
        head, claims = _decode(_HEAD, parts[0]), _decode(_CLAIMS, parts[1])
        if head.alg != "RS256" or head.crit is not None:
            raise _refuse("it is not signed by RS256")
        self._check(claims)  # what is refused anyway has no keys read
        key = await self._certs.find(head.kid)
        if key is None:
            raise _refuse("the team has no key of its kid")
        signed, signature = f"{parts[0]}.{parts[1]}".encode(), _decode_part(parts[2])
        if not await self._verify(key, signed, signature):
            raise _refuse("its signature is wrong")
        return claims

    def _check(self, claims: Claims) -> None:
        """Raises AuthenticationFailed for a token that is not for here and now."""
        now = self._clock.now()
        auds = [claims.aud] if isinstance(claims.aud, str) else claims.aud
        if claims.iss != self._team:
            raise _refuse("another team than ACCESS_TEAM_DOMAIN has issued it")
        if not set(auds) & set(self._auds) or claims.type != "app":
            raise _refuse("it is for another application than ACCESS_AUD")
        if not now < claims.exp or claims.nbf > now + SKEW_SECONDS:
            raise _refuse("it is over, or not yet valid")


def _decode(decoder: msgspec.json.Decoder[T], part: str) -> T:
    """Raises AuthenticationFailed for what is not the JSON that it should be."""
    data = _decode_part(part)
    try:
        if find_excess(data):
            raise _refuse("it is no JWT")
        return decoder.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise _refuse("it is no JWT") from None


def _decode_part(part: str) -> bytes:
    try:
        return base64url.decode(part)
    except ValueError:
        raise _refuse("it is no JWT") from None


def _refuse(reason: str) -> AuthenticationFailed:
    return AuthenticationFailed(
        f"The token of Cloudflare Access is not taken: {reason}.", code="invalid_access_token"
    )
