"""The Durable Object of the flight of one cache key; all of it lives in memory."""

from typing import Any

from proxy.cache.flight import JOIN, PUBLISH, RENEW, Flight, Joined, Published
from proxy.objects.edge_object import EdgeObject
from proxy.objects.rpc import serves
from proxy.platform.clock import SystemClock


class CacheFlight(EdgeObject):
    """See cache.flight."""

    def __init__(self, ctx: Any, env: Any) -> None:
        super().__init__(ctx, env)
        self._flight = Flight(SystemClock())

    @serves(JOIN)
    async def join(self, patience: float) -> Joined:
        """Has a request lead, or wait for the leader's outcome for so many seconds."""
        return await self._flight.join(patience)

    @serves(RENEW)
    def renew(self, ticket: int) -> None:
        """Takes the leader's sign of life."""
        self._flight.renew(ticket)

    @serves(PUBLISH)
    def publish(self, published: Published) -> None:
        """Hands the leader's outcome to the followers."""
        self._flight.publish(published)
