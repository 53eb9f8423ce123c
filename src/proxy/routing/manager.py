"""Takes a request to a provider and, when that one fails, to the next.

A stream may change its provider until its first real content is there, never after.
"""

from collections.abc import Coroutine
from typing import TypeVar

from msgspec import structs

from proxy.core.chat import Answer, Call, Routing
from proxy.core.embedding import EmbeddingRequest, Embeddings
from proxy.core.errors import OK
from proxy.core.permit import Permit
from proxy.core.ports import Ports
from proxy.core.settings import RoutingSettings
from proxy.routing.deadline import Deadline
from proxy.routing.fallback import Conditions, FallbackRun, Success
from proxy.routing.operations import (
    ChatOperation,
    EmbeddingOperation,
    Operation,
    RunOptions,
    begin_stream,
    read_answer,
)
from proxy.routing.plan import select_roomy
from proxy.routing.ranking import Ranker
from proxy.routing.retry import RetryPolicy
from proxy.routing.selection import Selection
from proxy.routing.sender import Sender
from proxy.routing.stream import Stream
from proxy.routing.watch import Watch

T = TypeVar("T")


DEFAULTS = RunOptions()


class Manager:
    """Runs requests against their candidates. Each way returns the result and the attempt that
    gave it, or raises ProxyError."""

    def __init__(
        self, settings: RoutingSettings, selection: Selection, watch: Watch, ports: Ports
    ) -> None:
        self._settings = settings
        self._selection = selection
        self._providers = len(selection.deployment.configured)
        self._watch = watch
        self._ports = ports
        self._sender = Sender(settings, ports, watch.keys)
        self._ranker = Ranker(settings, watch, ports.random, selection.calendar)
        self.retry_policy = RetryPolicy(settings.retry_attempts, settings.retry_delay_ms)
        """The deployment's; a request may bring another."""

    def complete(
        self, call: Call, permit: Permit, options: RunOptions = DEFAULTS
    ) -> Coroutine[object, None, tuple[Answer, Success]]:
        """A whole answer."""
        operation = ChatOperation(call, permit, self._sender, options, read_answer)
        return self._run(call, operation, permit, options)

    def stream(
        self, call: Call, permit: Permit, options: RunOptions = DEFAULTS
    ) -> Coroutine[object, None, tuple[Stream, Success]]:
        """An answer that has begun. `Success.watched` has to be ended when it has."""
        operation = ChatOperation(call, permit, self._sender, options, begin_stream)
        return self._run(call, operation, permit, options)

    def embed(
        self, request: EmbeddingRequest, permit: Permit, options: RunOptions = DEFAULTS
    ) -> Coroutine[object, None, tuple[Embeddings, Success]]:
        """Vectors for texts."""
        operation = EmbeddingOperation(request, permit, self._sender, options)
        return self._run(request, operation, permit, options)

    def timeout(self, routing: Routing) -> float:
        """Seconds that a request has, up to a stream's first content."""
        return (routing.timeout_ms or self._settings.timeout_ms) / 1000

    async def _run(
        self,
        request: Call | EmbeddingRequest,
        operation: Operation[T],
        permit: Permit,
        options: RunOptions,
    ) -> tuple[T, Success]:
        """Tries the candidates until one answers."""
        needs, priced_at = operation.needs, self._selection.calendar.now
        plan = self._selection.plan(request.routing, needs, permit.grant)
        await self._watch.start(permit.defer)
        ranking = self._ranker.rank(plan, request.routing, request.user, permit, operation.converse)
        targets = ranking.targets
        if not needs.embedding:  # of texts to embed each has the context for itself
            targets = select_roomy(targets, permit.expected(0).input, plan.excluded)
        began = self._ports.clock.now() if options.began is None else options.began
        conditions = Conditions(
            clock=self._ports.clock,
            random=self._ports.random,
            began=began,
            deadline=self._deadline(request.routing, began, len(targets)),
            retry_policy=options.retry_policy or self.retry_policy,
            hedge_after=self._settings.hedge_after_ms / 1000,
            priced_at=priced_at,
        )
        run = FallbackRun(operation, targets, permit, self._watch, conditions)
        try:
            result, success = await run.run()
        finally:
            operation.close()
        if not isinstance(result, Stream):
            success.watched.end(OK)
        if ranking.conversation:
            self._ranker.settle(ranking, request.routing, success.target.spec.name)
        return result, structs.replace(
            success,
            attempts=tuple(run.attempts),
            explain=ranking.explain,
            reason=ranking.find_reason(success.target),
        )

    def _deadline(self, routing: Routing, began: float, candidates: int) -> Deadline:
        own = self._settings.timeout_ms / 1000
        return Deadline(
            at=began + self.timeout(routing),
            own=began + own,
            least=own / min(candidates, self._providers) / 2,
            providers=self._providers,
        )
