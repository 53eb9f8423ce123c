"""The keys by which Cloudflare Access signs, as one isolate knows them
(https://TEAM.cloudflareaccess.com/cdn-cgi/access/certs).

Promises: a key is taken for at most LONGEST_SECONDS after it was read. However many tokens name
keys that there are not, the keys are read at most once in NEW_SECONDS, and by FETCHES requests at
once.
"""

import asyncio
from collections.abc import Mapping

import msgspec
from msgspec import Struct

from proxy.core import base64url
from proxy.core.errors import Unavailable
from proxy.core.ports import Clock, Log, Outgoing, RSAKey, Upstream
from proxy.core.time import is_recent

PATH = "/cdn-cgi/access/certs"
KEPT_SECONDS = 3600.0
"""After how long the keys are read again."""
LONGEST_SECONDS = 86_400.0
"""How long they are taken while they can't be read again."""
NEW_SECONDS = 60.0
"""For how long after a reading a key that it did not have is not looked for."""
REST_SECONDS = 10.0
"""For how long after a reading that failed none is tried."""
FETCH_SECONDS = 5.0
FETCHES = 32
_LARGEST = 64 * 1024
_LEAST_BYTES = 256
"""Of a modulus: 2,048 bits (RFC 7518, 3.3)."""


class _Key(Struct):
    """A key as it is published (RFC 7517)."""

    kid: str
    kty: str
    n: str = ""
    e: str = ""
    alg: str = "RS256"
    use: str = "sig"


class _Keys(Struct):
    keys: list[_Key]


_KEYS = msgspec.json.Decoder(_Keys)


class Certs:
    """The keys of one team, by their ids."""

    def __init__(self, team: str, upstream: Upstream, clock: Clock, log: Log) -> None:
        """team: https://TEAM.cloudflareaccess.com"""
        self._url = team + PATH
        self._upstream = upstream
        self._clock = clock
        self._log = log
        self._keys: Mapping[str, RSAKey] = {}
        self._read_at: float | None = None
        self._failed_at: float | None = None
        self._fetches = 0
        """Those that are under way: no request may wait for another's."""

    async def find(self, kid: str) -> RSAKey | None:
        """A key by its id; None: there is none. Raises InternalError (503) where the keys can't be
        read."""
        now = self._clock.now()
        longest = KEPT_SECONDS if kid in self._keys else NEW_SECONDS
        if is_recent(self._read_at, longest, now):
            return self._keys.get(kid)
        if not is_recent(self._failed_at, REST_SECONDS, now) and self._fetches < FETCHES:
            await self._read()
        if not is_recent(self._read_at, LONGEST_SECONDS, self._clock.now()):
            raise Unavailable(
                "The keys of Cloudflare Access can't be read now. Try again.",
                code="access_unreachable",
                retry_after=1,
            )
        return self._keys.get(kid)

    async def _read(self) -> None:
        """Reads the keys; where that fails, those that are known stay."""
        self._fetches += 1
        try:
            async with asyncio.timeout(FETCH_SECONDS):
                outgoing = Outgoing(url=self._url, method="GET", largest=_LARGEST)
                reply = await self._upstream.send(outgoing, idle=FETCH_SECONDS)
                body = await reply.read()
            if reply.status != 200:
                raise ValueError(f"status {reply.status}")
            self._keys = _parse(body)
            self._read_at, self._failed_at = self._clock.now(), None
        except Exception as error:
            self._failed_at = self._clock.now()
            self._log("error", "access keys unreachable", error=repr(error)[:500])
        finally:
            self._fetches -= 1


def _parse(body: bytes) -> dict[str, RSAKey]:
    """The keys for signatures of RS256. Raises ValueError."""
    published = _KEYS.decode(body).keys
    keys = {key.kid: RSAKey(n=key.n, e=key.e) for key in published if _is_usable(key)}
    if not keys:
        raise ValueError("no key for RS256")
    return keys


def _is_usable(key: _Key) -> bool:
    if (key.kty, key.alg, key.use) != ("RSA", "RS256", "sig"):
        return False
    try:
        return len(base64url.decode(key.n)) >= _LEAST_BYTES
    except ValueError:
        return False
