"""Identical requests at once reach the provider once: the first leads, the others follow."""

from collections.abc import Awaitable, Callable

from proxy.cache.answers import AnswerCache
from proxy.cache.entry import ForeignEntry
from proxy.cache.flight import (
    NOTHING,
    Boarder,
    Leader,
    Terms,
    Uncovered,
    crashed,
    is_own,
    outcome_entry,
)
from proxy.core.errors import ProxyError
from proxy.core.ports import Ports
from proxy.core.web import Response
from proxy.routing.manager import Manager
from proxy.routing.needs import Needs
from proxy.routing.selection import Selection
from proxy.serving.keeping import Keeper
from proxy.serving.replay import replay_entry
from proxy.serving.task import ChatTask

Answer = Callable[[ChatTask, Leader | None], Awaitable[Response]]


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
        self._objects = ports.objects
        self._boarder = Boarder(ports.objects, ports.clock, ports.log)
        self._log = ports.log

    async def answer(self, task: ChatTask, lead: Answer) -> Response:
        """Answers by the leader's outcome, or as the leader by `lead`. Raises ProxyError."""
        terms = self._terms_of(task)
        try:
            return await self._join(task, task.key, terms, lead)
        except Uncovered:  # by a leader with less time, say: those who have as much fly together
            return await self._join(task, terms.flight(task.key), terms, lead)

    async def _join(self, task: ChatTask, flight: str, terms: Terms, lead: Answer) -> Response:
        """Answers by a flight of that name. Raises Uncovered."""
        context = task.context
        boarding = await self._boarder.board(flight, lambda: terms.timeout - context.ms / 1000)
        if boarding.part == "lead":
            leader = Leader(self._objects, flight, boarding.ticket)
            return await self._lead(task, leader, terms, lead)
        response = None
        if boarding.part == "outcome":
            response = self._follow(task, boarding.outcome, terms)
        return response or await lead(task, None)

    async def _lead(self, task: ChatTask, leader: Leader, terms: Terms, lead: Answer) -> Response:
        """Answers by a provider, and publishes an error to the followers."""
        try:
            return await lead(task, leader)
        except ProxyError as error:
            own = is_own(error, terms.timeout - task.context.ms / 1000, terms)
            self._keeper.resign(task.context, leader, None if own else crashed(error, terms))
            raise
        except BaseException:
            self._keeper.resign(task.context, leader, None)
            raise

    def _follow(self, task: ChatTask, outcome: bytes, terms: Terms) -> Response | None:
        """Answers by the leader's answer; None: it can't be used. Raises the leader's error, or
        Uncovered."""
        if outcome == NOTHING:
            return None
        context = task.context
        try:
            entry, data = outcome_entry(outcome, terms)
        except ForeignEntry as error:
            self._log("warning", "flight unreadable", key=task.key, why=str(error))
            return None
        except ProxyError:
            context.is_follower = True
            raise
        if not self._cache.admits(task.key, entry, task.directives):
            return None
        question = task.question
        if not question.by_name or f"{entry.provider}/{entry.model}" == question.names[0]:
            self._cache.remember(task.key, entry, data)
        return replay_entry(task, entry, None)

    def _terms_of(self, task: ChatTask) -> Terms:
        """What the request has to get an answer with."""
        routing, retrying = task.call.routing, task.retrying
        plan = self._selection.plan(routing, Needs.of(task.call.chat), task.meter.grant)
        return Terms(
            candidates=tuple(f"{t.spec.name}/{t.model.id}" for t in plan.in_order()),
            order=(routing.strategy or "", *routing.order),
            timeout=self._manager.timeout(routing),
            attempts=retrying.attempts,
            pause=(retrying.delay_ms, retrying.backoff),
        )
