"""The aliases as one isolate knows them.

Promise: an isolate goes by what it read for at most HOLD_SECONDS.
"""

from collections.abc import Iterable, Mapping

import msgspec
from msgspec import Raw

from proxy.aliases.messages import READ_ALIASES, STORE, AliasSet
from proxy.aliases.model import Alias
from proxy.core.ports import Clock, Defer, Log, Objects
from proxy.core.replica import UNREAD, Origin, Replica

HOLD_SECONDS = 30.0
"""For how long an isolate may go by what it has read."""
RENEW_SECONDS = 15.0
"""After how long it reads again, beside a request."""
RETRY_SECONDS = 3.0
"""For how long it goes by what it knows after a reading that came to nothing, and after how long a
reading that has not come back is begun anew."""

_ORIGIN = Origin(what="aliases", store=STORE, read=READ_ALIASES, code="aliases_unreachable")
_ALIAS = msgspec.json.Decoder(Alias)


class AliasView(Replica[AliasSet]):
    """What one isolate knows of the aliases."""

    def __init__(self, objects: Objects, clock: Clock, log: Log) -> None:
        super().__init__(_ORIGIN, objects, clock, log)
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

    def take(self, found: AliasSet) -> None:
        """Keeps the aliases, where they have changed."""
        if found.bodies is not None:
            self.aliases = {alias.name: alias for alias in self._decode(found.bodies)}

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
