"""What becomes of a complete answer: it is stored, and published to the followers of its leader."""

from msgspec import structs

from proxy.cache.answers import AnswerCache
from proxy.cache.coalescing import Leader
from proxy.cache.entry import CacheEntry, Unstorable
from proxy.cache.outcome import UNSHARED, encode_answer
from proxy.core.chat import Answer, Cost
from proxy.core.ports import Log
from proxy.routing.fallback import Success
from proxy.routing.routing_key import RoutingKey, name_target
from proxy.serving.context import RequestContext
from proxy.serving.task import ChatTask

KEPT = ("stop", "length", "tool_calls")
"""The finish reasons of answers that are kept; what a filter cut off is no answer."""


class Keeper:
    """Keeps the answers of an isolate."""

    def __init__(self, cache: AnswerCache, grace: int, log: Log) -> None:
        """grace: seconds for which an expired answer is kept."""
        self._cache = cache
        self._grace = grace
        self._log = log

    def keep(
        self, task: ChatTask, key: str, success: Success, answer: Answer, cost: Cost
    ) -> CacheEntry | None:
        """Stores a complete answer. None: it is not to be kept."""
        if not task.directives.store or not _is_whole(task, success, answer):
            return None
        context = task.context
        entry = CacheEntry(
            answer=structs.replace(answer, raw=None),
            provider=success.target.spec.name,
            model=success.target.model.id,
            cost=cost,
            born=context.began,
            stored=context.clock.now(),
            ttl=task.directives.ttl,
            grace=self._grace,
            user=context.principal.user if context.principal else None,
        )
        self._cache.keep(key, entry, context.request.defer)
        return entry

    def publish(self, context: RequestContext, leader: Leader, entry: CacheEntry | None) -> None:
        """Has the followers get the answer, after the response; None: none can be shared, and each
        asks for itself."""
        context.request.defer(self._publish(leader, entry))

    def resign(self, context: RequestContext, leader: Leader, outcome: bytes | None) -> None:
        """Has the followers get an error, after the response; None: another of them leads."""
        context.request.defer(self._land(leader, outcome))

    async def _publish(self, leader: Leader, entry: CacheEntry | None) -> None:
        try:
            outcome = encode_answer(entry) if entry else UNSHARED
        except Unstorable:
            outcome = UNSHARED
        await self._land(leader, outcome)

    async def _land(self, leader: Leader, outcome: bytes | None) -> None:
        try:
            await leader.publish(outcome)
        except Exception as error:
            self._log("error", "flight unreachable", error=repr(error)[:500])


def store_key(task: ChatTask, success: Success) -> str:
    """The key under which the answer of an attempt is kept: one that came by fallback is kept under
    the model that gave it. Empty where nothing is stored."""
    routing_key = task.routing_key
    if not task.directives.store:
        return ""
    if not routing_key.by_name:
        return task.key
    if routing_key.names == (name_target(success.target),):
        return task.key
    return task.find_key(RoutingKey.of_model(success.target))


def _is_whole(task: ChatTask, success: Success, answer: Answer) -> bool:
    """Whether an answer is complete. One that a budget's limit has cut off is not."""
    limit = task.meter.output_limit(success.target.offer)
    own_limit = limit is not None and limit != task.call.chat.max_tokens
    cut_off = own_limit and answer.finish_reason == "length"
    said = answer.text or answer.tool_calls or answer.refusal or answer.extra.get("images")
    return bool(said) and answer.finish_reason in KEPT and not cut_off
