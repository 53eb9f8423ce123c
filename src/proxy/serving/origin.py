"""The answer of a provider: whole, or begun as a stream."""

from proxy.cache.coalescing import Leader
from proxy.core.chat import Answer, Cost
from proxy.core.ports import Log
from proxy.core.web import EVENTS, JSON, Response
from proxy.dialects import cloudflare
from proxy.routing.fallback import Success
from proxy.routing.manager import Manager
from proxy.routing.stream import Stream
from proxy.serving.accounting import (
    count_characters,
    describe_chat,
    record_served,
    served_headers,
    settle_chat,
)
from proxy.serving.keeping import Keeper, store_key
from proxy.serving.relay import Begun, Relay
from proxy.serving.task import ChatTask

LITTLE = 4096
"""Bytes that any request takes while its answer comes, and that are not counted."""


class Origin:
    """Has providers answer the chat requests of an isolate, as the origin behind its cache."""

    def __init__(self, manager: Manager, keeper: Keeper, log: Log, *, finish_gone: bool) -> None:
        """finish_gone: whether a stream is finished whose caller has left."""
        self._manager = manager
        self._keeper = keeper
        self._log = log
        self._finish_gone = finish_gone

    async def answer(self, task: ChatTask, leader: Leader | None) -> Response:
        """Answers by a provider. leader: publishes the answer to the followers. Raises
        ProxyError."""
        call, permit, options = task.call, task.meter, task.run_options
        try:
            if call.chat.stream:
                stream, success = await self._manager.stream(call, permit, options)
                return self._begin(task, leader, stream, success)
            answer, success = await self._manager.complete(call, permit, options)
            return self._complete(task, leader, answer, success)
        except BaseException:
            task.meter.close()
            raise

    def _complete(
        self, task: ChatTask, leader: Leader | None, answer: Answer, success: Success
    ) -> Response:
        context = task.context
        characters = 0 if answer.usage else count_characters(answer)
        cost = settle_chat(task, success, answer.usage, characters)
        entry = self._keeper.keep(task, store_key(task, success), success, answer, cost)
        if leader:
            self._keeper.publish(context, leader, entry)
        served = describe_chat(task, success, cost)
        record_served(context, served)
        body = context.dialect.answer(answer, task.call, served)
        if context.restoring:
            body = context.restoring.restore_json(body)
        if context.keep_response:
            context.keep_response(body)
        return Response(headers=JSON | served_headers(served) | _cache_headers(task), body=body)

    def _begin(
        self, task: ChatTask, leader: Leader | None, stream: Stream, success: Success
    ) -> Response:
        context = task.context
        context.record.first_ms = context.ms
        served = describe_chat(task, success, Cost(None))
        begun = Begun(
            stream=stream,
            success=success,
            served=served,
            key=store_key(task, success),
            leader=leader,
        )
        # No other provider is tried any more: the texts are not kept while the answer comes.
        task.drop_texts()
        if not context.keep_response:
            _hold_less(task)
        record_served(context, served)
        relay = Relay(task, begun, self._keeper, self._log, finish_gone=self._finish_gone)
        return Response(
            headers=EVENTS | served_headers(served) | _cache_headers(task), stream=relay.run
        )


def _hold_less(task: ChatTask) -> None:
    """Holds no more of the memory than what is kept of the request while its answer comes."""
    hold, restoring = task.context.hold, task.context.restoring
    if hold is None:
        return
    kept = 0
    if hold.size > LITTLE:
        kept = task.size_without_texts + (restoring.size if restoring else 0)
    hold.keeps(min(kept, hold.size) if kept > LITTLE else 0)


def _cache_headers(task: ChatTask) -> dict[str, str]:
    """The cache's headers of an answer that a provider gave (RFC 9211)."""
    found = "stale" if task.found_stale else "miss"
    wanted = task.directives
    why = found if wanted.read else "request" if wanted.store else "bypass"
    status = "BYPASS" if why == "bypass" else "MISS"
    return {"cache-status": f"proxy-memory; fwd={why}", cloudflare.CACHE_STATUS: status}
