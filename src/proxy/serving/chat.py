"""Answers chat requests of every dialect, in SPEC.md's order: the cache, the flight of identical
requests, the providers, and when every provider fails a stale answer rather than none."""

from proxy.cache.answers import AnswerCache, Hit
from proxy.core.chat import Call
from proxy.core.errors import (
    NoProviderAvailable,
    ProviderError,
    ProviderTimeout,
    RateLimitExceeded,
)
from proxy.core.web import Response
from proxy.serving.accounting import record_attempts
from proxy.serving.coalesce import Coalescer
from proxy.serving.context import RequestContext
from proxy.serving.origin import Origin
from proxy.serving.replay import replay_entry
from proxy.serving.task import ChatTask, TaskMaker

OUTAGE = (ProviderError, ProviderTimeout, RateLimitExceeded, NoProviderAvailable)
"""The errors in whose place a stale answer is given."""


class Chat:
    """Answers the chat requests of an isolate."""

    def __init__(
        self, tasks: TaskMaker, cache: AnswerCache, origin: Origin, coalescer: Coalescer | None
    ) -> None:
        """coalescer: None: each request reaches a provider."""
        self._tasks = tasks
        self._cache = cache
        self._origin = origin
        self._coalescer = coalescer

    async def answer(self, context: RequestContext, call: Call) -> Response:
        """Answers a chat request. Raises ProxyError."""
        task = await self._tasks.make_chat(context, call)
        hit = await self._find(task)
        if hit and hit.is_fresh:
            return replay_entry(task, hit.entry, hit.tier)
        if task.directives.only_if_cached:
            raise ProviderTimeout("The answer is not in the cache (only-if-cached).")
        try:
            return await self._answer_anew(task)
        except OUTAGE as error:
            if hit is None:
                raise
            record_attempts(context, error.attempts)
            return replay_entry(task, hit.entry, hit.tier, stale=True)

    async def _find(self, task: ChatTask) -> Hit | None:
        """Finds the cache's best entry, a fresh one or a stale one."""
        hit = None
        if task.directives.read:
            hit = await self._cache.find(task.key, task.directives, task.context.request.defer)
            task.found_stale = hit is not None and not hit.is_fresh
        task.context.end_stage("cache")
        return hit

    async def _answer_anew(self, task: ChatTask) -> Response:
        """Answers by a provider that this request or an identical one has reached."""
        if self._coalescer and task.directives.read and task.directives.store:
            return await self._coalescer.answer(task, self._origin.answer)
        return await self._origin.answer(task, None)
