"""The aliases as one isolate knows them: all of them, read anew in time.

Promise: an isolate goes by what it read for at most HOLD_SECONDS, and at once by what was changed
in it. Where the object can't be reached, what was read last goes on being used, and it is logged.
"""

from collections.abc import Iterable, Mapping
from typing import TypeVar

import msgspec
from msgspec import Raw

from proxy.aliases.messages import READ_ALIASES, STORE
from proxy.aliases.model import Alias
from proxy.core.circuit import Circuit
from proxy.core.errors import Unavailable
from proxy.core.ports import Clock, Defer, Log, Objects
from proxy.core.rpc import Method

A = TypeVar("A")
R = TypeVar("R")

HOLD_SECONDS = 30.0
"""For how long an isolate may go by what it has read."""
RENEW_SECONDS = 15.0
"""After how long it reads again, beside a request."""
RETRY_SECONDS = 3.0
"""For how long it goes by what it knows after a reading that came to nothing, and after how long a
reading that has not come back is begun anew."""
STORE_SECONDS = 2.0
"""What the object may take."""
UNREAD = -1
"""The version of an isolate that has never read."""

_ALIAS = msgspec.json.Decoder(Alias)


class AliasView:
    """What one isolate knows of the aliases."""

    def __init__(self, objects: Objects, clock: Clock, log: Log) -> None:
        self._objects = objects
        self._clock = clock
        self._log = log
        self._circuit = Circuit(clock)
        self._read_at: float | None = None
        """When the last reading was begun that came back; None: what is known is no longer held."""
        self._readings = 0
        """Those that were begun: the clock may step back."""
        self._applied = 0
        """Which of them has given `aliases`."""
        self._begun_at: float | None = None
        self._failed_at: float | None = None
        self.version = UNREAD
        self.aliases: Mapping[str, Alias] = {}

    def is_usable(self, now: float, defer: Defer) -> bool:
        """Whether what is known is recent enough to go by. It is read anew beside the request where
        that is due. now: seconds since 1970."""
        age = _measure_age(self._read_at, now)
        if age < RENEW_SECONDS:
            return True
        if age < HOLD_SECONDS:
            if _measure_age(self._begun_at, now) >= RETRY_SECONDS:
                self._begun_at = now
                defer(self.read())
            return True
        return self.version != UNREAD and _measure_age(self._failed_at, now) < RETRY_SECONDS

    async def read(self) -> None:
        """Reads what has changed; what can't be read stays as it is."""
        began = self._clock.now()
        self._begun_at = began
        self._readings += 1
        number = self._readings
        try:
            work = self._objects.call(READ_ALIASES, STORE, self.version)
            found = await self._circuit.call("aliases", work, STORE_SECONDS)
        except Exception as error:
            self._failed_at = self._clock.now()
            self._log("error", "aliases unreachable", error=repr(error)[:500])
            return
        if number < self._applied:  # a later one was faster
            return
        self._applied = number
        if found.bodies is not None:
            self.aliases = {alias.name: alias for alias in self._decode(found.bodies)}
        self.version, self._read_at, self._failed_at = found.version, began, None

    async def change(self, method: Method[A, R], argument: A) -> R:
        """Has the object change something, whatever comes of which is read at once. Raises
        InternalError (503) where it does not answer."""
        try:
            return await self.call(method, argument)
        finally:
            self._read_at = None
            await self.read()

    async def call(self, method: Method[A, R], argument: A) -> R:
        """The object's answer. Raises InternalError (503) where it gives none."""
        work = self._objects.call(method, STORE, argument)
        try:
            return await self._circuit.call("aliases", work, STORE_SECONDS)
        except Exception as error:
            self._log("error", "aliases unreachable", error=repr(error)[:500])
            raise unreachable() from None

    def _decode(self, bodies: Iterable[Raw]) -> Iterable[Alias]:
        for body in bodies:
            try:
                yield _ALIAS.decode(body)
            except msgspec.DecodeError as error:  # of another version of the proxy
                self._log("error", "alias unreadable", error=str(error)[:200])


def _measure_age(since: float | None, now: float) -> float:
    """Seconds since a moment; a clock that stepped back ends its worth."""
    age = HOLD_SECONDS if since is None else now - since
    return age if age >= 0 else HOLD_SECONDS


def unreachable() -> Unavailable:
    """The error of what needs the aliases, where they are not known."""
    return Unavailable(
        "The aliases can't be reached now. Try again.", code="aliases_unreachable", retry_after=1
    )
