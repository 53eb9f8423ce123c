"""Answers chat requests of every dialect, in SPEC.md's order: the cache, the flight of identical
requests, the providers, and when every provider fails a stale answer rather than none."""

import math
from collections.abc import Coroutine

from proxy.cache.answers import AnswerCache, Hit
from proxy.core.chat import Call
from proxy.core.errors import (
    NoProviderAvailable,
    ProviderError,
    ProviderTimeout,
    RateLimitExceeded,
)
from proxy.core.patience import within
from proxy.core.web import Response
from proxy.serving.accounting import record_attempts
from proxy.serving.aliasing import Aliasing
from proxy.serving.coalesce import Coalescer
from proxy.serving.context import RequestContext
from proxy.serving.origin import Origin
from proxy.serving.recall import Fingerprint, Recall, Recalled, take_fingerprint
from proxy.serving.replay import render, replay, show
from proxy.serving.task import KEY_RECORDED, ChatTask, TaskMaker, record_call

OUTAGE = (ProviderError, ProviderTimeout, RateLimitExceeded, NoProviderAvailable)
"""The errors in whose place a stale answer is given."""


class Chat:
    """Answers the chat requests of an isolate."""

    def __init__(
        self,
        tasks: TaskMaker,
        cache: AnswerCache,
        origin: Origin,
        coalescer: Coalescer | None,
        aliasing: Aliasing,
    ) -> None:
        """coalescer: None: each request reaches a provider."""
        self._tasks = tasks
        self._aliasing = aliasing
        self._cache = cache
        self._origin = origin
        self._coalescer = coalescer
        self._recall = Recall()

    async def answer_body(self, context: RequestContext, body: bytes) -> Response:
        """Answers a chat request by its body, unread where the cache's memory has the answer to
        one of the same bytes. Raises ProxyError."""
        fingerprint = None if context.note else take_fingerprint(context, body)
        defer = context.request.defer
        known = self._recall.find(fingerprint)
        if known and self._aliasing.holds(known.call.alias_version, context.began, defer):
            last = known.rendered.hit if known.rendered else None
            hit = self._cache.find_in_memory(known.key, known.directives, defer, last)
            if hit and hit.is_fresh:
                record_call(context, known.call)
                # The only limit that a hit meets is its key's request limit.
                if context.principal and context.principal.limits.requests_per_minute is not None:
                    await self._tasks.admit(context)
                else:
                    context.end_stage("limit")
                return _replay_known(context, known, hit)
        if guard := self._tasks.guard:
            body = await guard.screen(context, body)
            fingerprint = None if context.restoring else fingerprint
        return await self.answer(context, context.dialect.parse_chat(body), fingerprint)

    async def answer(
        self, context: RequestContext, call: Call, fingerprint: Fingerprint | None = None
    ) -> Response:
        """Answers a chat request that may go to a provider as it is. fingerprint: by which it may
        be recalled. Raises ProxyError."""
        if context.restoring:
            form = call.chat.response_format
            context.restoring.answers_json = form is not None and form.type != "text"
        with within(math.inf):  # all that it waits for has one timer
            call = await self._aliasing.apply(context, call)
            task = await self._tasks.make_chat(context, call)
            hit = None
            if task.directives.read:
                hit = await self._cache.find(task.key, task.directives, context.request.defer)
                task.found_stale = hit is not None and not hit.is_fresh
            context.end_stage("cache")
            if hit and hit.is_fresh:
                if fingerprint and not self._tasks.logs_prompts:
                    self._recall.keep(fingerprint, task)
                return replay(context, task.call, task.key, hit)
            if task.directives.only_if_cached:
                raise ProviderTimeout("The answer is not in the cache (only-if-cached).")
            try:
                return await self._answer_anew(task)
            except OUTAGE as error:
                if hit is None:
                    raise
                record_attempts(context, error.attempts)
                return replay(context, task.call, task.key, hit, stale=True)

    def _answer_anew(self, task: ChatTask) -> Coroutine[object, None, Response]:
        """Answers by a provider that this request or an identical one has reached."""
        if self._coalescer and task.directives.read and task.directives.store:
            return self._coalescer.answer(task, self._origin.answer)
        return self._origin.answer(task, None)


def _replay_known(context: RequestContext, known: Recalled, hit: Hit) -> Response:
    """Answers with the entry of a request that is recalled, rendered anew where it must be."""
    context.record.cache_key = known.key[:KEY_RECORDED]
    context.end_stage("cache")
    rendered = known.rendered
    if rendered is None or rendered.hit.entry is not hit.entry:
        rendered = render(context, known.call, known.key, hit)
        known.rendered = rendered.without_answer() if rendered.is_for_all else None
    return show(context, rendered, hit)
