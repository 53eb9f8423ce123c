"""How many requests of a batch one invocation can hold.

Cloudflare counts each fetch and each call of KV, R2, the AI binding or an object as a subrequest,
and grants an invocation SUBREQUEST_LIMIT of them. What is counted here is the most that a request
may take, not what it usually does (a handful): a batch over the limit fails in its midst.
"""

from collections.abc import Iterable, Mapping

from msgspec import Struct

from proxy.core.chat import Call, Routing
from proxy.core.settings import Settings
from proxy.dialects.cloudflare import ATTEMPTS, MOST_ATTEMPTS
from proxy.routing.images import REDIRECTS

POINTS = 24
"""An invocation may write 25 data points to Analytics Engine: one for each request, and one for
the batch."""
OWN = 5
"""Subrequests of the batch itself: its key is looked up, its aliases are read, its record sent."""
ONCE = 11
"""Subrequests of a request whatever becomes of it: its key's bucket (1), the purges (1), the board
before and after (2), KV and R2 read (2) and written (2), the account settled (1), records and
traces sent (2)."""
PER_ATTEMPT = 5
"""Subrequests of an attempt: the account (1), the provider's bucket drawn on and given back to (2),
the provider (1), its pool's signal (1)."""
PER_TARGET = 3
"""The same of an attempt at an alias's target beside those: its account (1), its bucket drawn on
and given back to (2)."""
FLIGHT = 605
"""Subrequests of a flight: boarded, landed, and a sign of life each second of the longest timeout
there is; and the flight that was left before it, boarded and waited for once at least."""


class Capacity(Struct, frozen=True):
    """What an invocation of this deployment has room for."""

    limit: int
    providers: int
    attempts: int
    coalesce: bool

    @classmethod
    def of(cls, settings: Settings, providers: int) -> "Capacity":
        """By the settings and how many providers may be called."""
        return cls(
            settings.server.subrequest_limit,
            providers,
            settings.routing.retry_attempts,
            settings.cache.coalesce,
        )

    def count_requests(
        self, calls: Iterable[Call], headers: Mapping[str, str], targets: int = 0
    ) -> int:
        """How many of these requests one invocation can hold, at least 1. targets: the most models
        that an alias stands for which one of them names."""
        attempts = MOST_ATTEMPTS if ATTEMPTS in headers else self.attempts
        most = max((self._count_subrequests(call, attempts) for call in calls), default=1)
        # Each has its attempts, and its account is settled.
        most += targets * (attempts * (PER_ATTEMPT + PER_TARGET) + 1)
        return max(1, min(POINTS, (self.limit - OWN) // most))

    def chunk_size(self, count: int, held: int) -> int:
        """How many of `count` requests are handed over at a time, where an invocation can hold
        `held`. The runner of a larger chunk divides it anew: the calls of runners are subrequests
        too."""
        calls = self.limit - OWN
        size = held
        while -(-count // size) > calls:
            size *= calls
        return size

    def _count_subrequests(self, call: Call, attempts: int) -> int:
        images = sum(
            part.image_url is not None
            for message in call.chat.messages
            if not isinstance(message.content, str)
            for part in message.parts
        )
        return (
            ONCE
            + self._count_candidates(call.routing) * attempts * PER_ATTEMPT
            + images * (REDIRECTS + 1)
            + (FLIGHT if self.coalesce else 0)
        )

    def _count_candidates(self, routing: Routing) -> int:
        """Models that may be tried, at most: a name may mean one of each provider, and one of
        each may follow."""
        names = 1 + len(routing.models)
        if routing.fallback is True:
            return self.providers * (names + 1)
        return names + (len(routing.fallback) if isinstance(routing.fallback, tuple) else 0)
