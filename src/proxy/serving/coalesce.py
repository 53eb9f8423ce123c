"""Identical requests at once reach the provider once: the first leads, the others follow."""

from collections.abc import Awaitable, Callable

from proxy.cache.answers import AnswerCache, Hit
from proxy.cache.coalescing import FlightClient, Leader
from proxy.cache.entry import ForeignEntry
from proxy.cache.outcome import (
    UNSHARED,
    Effort,
    LeaderHadLess,
    encode_failure,
    is_leaders_alone,
    read_outcome,
)
from proxy.core.errors import ProxyError
from proxy.core.ports import Ports
from proxy.core.web import Response
from proxy.routing.manager import Manager
from proxy.routing.selection import Selection
from proxy.serving.keeping import Keeper
from proxy.serving.replay import replay
from proxy.serving.task import ChatTask

AnswerByProvider = Callable[[ChatTask, Leader | None], Awaitable[Response]]


class Coalescer:
    """Joins each request to the flight of those that want the same."""

    def __init__(
        self,
        selection: Selection,
        manager: Manager,
        cache: AnswerCache,
        keeper: Keeper,
        ports: Ports,
    ) -> None:
        self._selection = selection
        self._manager = manager
        self._cache = cache
        self._keeper = keeper
        self._flights = FlightClient(ports.objects, ports.clock, ports.log)
        self._log = ports.log

    async def answer(self, task: ChatTask, lead: AnswerByProvider) -> Response:
        """Answers by the leader's outcome, or as the leader by `lead`. Raises ProxyError."""
        effort = self._effort_of(task)
        try:
            return await self._join(task, task.key, effort, lead)
        except LeaderHadLess:  # less time, say: requests with the same effort fly together
            return await self._join(task, effort.name_flight(task.key), effort, lead)

    async def _join(
        self, task: ChatTask, flight: str, effort: Effort, lead: AnswerByProvider
    ) -> Response:
        """Answers by a flight of that name. Raises LeaderHadLess."""
        context = task.context
        joined = await self._flights.join(flight, lambda: effort.timeout - context.ms / 1000)
        if joined.role == "leader":
            leader = self._flights.lead(flight, joined.ticket)
            return await self._lead(task, leader, effort, lead)
        response = None
        if joined.role == "follower":
            response = self._follow(task, joined.outcome, effort)
        return response or await lead(task, None)

    async def _lead(
        self, task: ChatTask, leader: Leader, effort: Effort, lead: AnswerByProvider
    ) -> Response:
        """Answers by a provider, and publishes an error to the followers."""
        context = task.context
        # Who joins late has looked before the flight that it missed landed.
        hit = self._cache.find_in_memory(task.key, task.directives, context.request.defer)
        if hit and hit.is_fresh:
            self._keeper.publish(context, leader, hit.entry)
            return replay(context, task.call, task.key, hit)
        try:
            return await lead(task, leader)
        except ProxyError as error:
            own = is_leaders_alone(error, effort.timeout - context.ms / 1000, effort)
            self._keeper.resign(context, leader, None if own else encode_failure(error, effort))
            raise
        except BaseException:
            self._keeper.resign(context, leader, None)
            raise

    def _follow(self, task: ChatTask, outcome: bytes, effort: Effort) -> Response | None:
        """Answers by the leader's answer; None: it can't be used. Raises the leader's error, or
        LeaderHadLess."""
        if outcome == UNSHARED:
            return None
        context = task.context
        try:
            entry, data = read_outcome(outcome, effort)
        except ForeignEntry as error:
            self._log("warning", "flight unreadable", key=task.key, why=str(error))
            return None
        except ProxyError:
            context.is_follower = True
            raise
        if not self._cache.admits(task.key, entry, task.directives):
            return None
        routing_key = task.routing_key
        if not routing_key.by_name or f"{entry.provider}/{entry.model}" == routing_key.names[0]:
            self._cache.remember(task.key, entry, data)
        hit = Hit(entry, None, is_fresh=True)
        return replay(context, task.call, task.key, hit)

    def _effort_of(self, task: ChatTask) -> Effort:
        """What the request has to get an answer with."""
        routing, retrying = task.call.routing, task.retrying
        plan = self._selection.plan(routing, task.needs, task.meter.grant)
        return Effort(
            candidates=tuple(f"{t.spec.name}/{t.model.id}" for t in plan.targets),
            order=(routing.strategy or "", *routing.order),
            timeout=self._manager.timeout(routing),
            attempts=retrying.attempts,
            pause=(retrying.delay_ms, retrying.backoff),
        )
