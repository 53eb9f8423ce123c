"""A request for a model as every step of serving takes it: read, admitted by the limits, with its
deadline, its cache directives and its key."""

from collections.abc import Mapping

import msgspec
from msgspec import Struct, structs

from proxy.analytics.record.request_record import RequestRecord
from proxy.cache.directives import NO_WISH, Directives, read_directives
from proxy.cache.key import KeyParts, cache_key, named_key
from proxy.core.chat import Call, ChatRequest, Routing
from proxy.core.messages import Message
from proxy.core.ports import Log
from proxy.core.settings import CacheSettings
from proxy.dialects.cloudflare import (
    METADATA,
    SENT,
    allows_log,
    read_cache,
    read_metadata,
    read_retries,
    read_timeout,
)
from proxy.dialects.session import find_session, keep_name
from proxy.dialects.tags import LABEL, TAGS, read_tags
from proxy.limits.estimate import ChatEstimate
from proxy.limits.limiter import Limiter
from proxy.limits.meter import Meter
from proxy.routing.failure import as_limit_error
from proxy.routing.needs import Needs
from proxy.routing.operations import RunOptions
from proxy.routing.retry import RetryPolicy
from proxy.routing.routing_key import RoutingKey
from proxy.routing.selection import Selection
from proxy.serving.context import RequestContext
from proxy.serving.guarding import Guard

STEERING = frozenset({"cache-control", *SENT})
"""Headers that change what a request means."""
LABELS_KEPT = 2_000
"""Characters of a request's labels that are kept."""
KEY_RECORDED = 16
"""Characters of a cache key that are kept."""
PROMPT_LOGGED = 50_000
"""Characters of a prompt that are logged; the platform keeps 256 KB of an invocation's lines."""


class ChatTask(Struct):
    """A chat request that the limits have admitted, with what is found on its way."""

    context: RequestContext
    call: Call
    needs: Needs
    directives: Directives
    routing_key: RoutingKey
    meter: Meter
    estimate: ChatEstimate
    retrying: RetryPolicy
    scope: str
    """The tenant whose entries the request may see; empty: all see all."""
    key: str = ""
    """The cache's key of the request; empty: the cache has no part in it."""
    session: str = ""
    """The conversation's name, as a provider may see it; empty: it has none."""
    guarded_headers: dict[str, str] | None = None
    """The headers of the caller's dialect that hold nothing; None: nothing has looked at them."""
    found_stale: bool = False
    """Whether the cache has an answer that is too old."""

    @property
    def run_options(self) -> RunOptions:
        """What the request sets of its fallback run."""
        context, native = self.context, self.guarded_headers
        return RunOptions(
            began=context.began,
            retry_policy=self.retrying,
            hold=context.hold,
            needs=self.needs,
            passed_on=context.upstream_headers,
            caller_keys=context.caller_keys,
            native_headers=context.native_headers if native is None else native,
            session=self.session,
        )

    @property
    def is_cached(self) -> bool:
        """Whether the cache has a part in the request."""
        return self.directives.read or self.directives.store

    def find_key(self, routing_key: RoutingKey) -> str:
        """The cache's key of the request, as one that routes by `routing_key`."""
        wanted = self.directives
        if wanted.key:
            return named_key(wanted.key, self.scope, wanted.namespace)
        question = routing_key.words()
        if betas := self.context.betas:
            question += (f"anthropic-beta: {betas}",)  # no model is called so
        parts = KeyParts(
            chat=self.call.chat,
            question=question,
            defaults=routing_key.defaults,
            scope=self.scope,
            namespace=wanted.namespace,
        )
        return cache_key(parts)

    @property
    def textless_call(self) -> Call:
        """The call without the caller's texts and bytes, but for the conversation's name."""
        chat = self.call.chat
        chat = ChatRequest(
            messages=(),
            stream=chat.stream,
            max_tokens=chat.max_tokens,
            dialect=chat.dialect,
            extra=keep_name(chat.extra),
        )
        return structs.replace(self.call, chat=chat)

    @property
    def size_without_texts(self) -> int:
        """Bytes of what is kept of the call without its texts: names, and what the answer repeats
        of the request."""
        return len(msgspec.json.encode(self.textless_call))

    def drop_texts(self) -> None:
        """Drops the caller's texts and bytes, once no other provider is tried."""
        self.estimate.drop_texts()
        self.call = self.textless_call


class TaskMaker:
    """Makes the tasks of an isolate's requests."""

    guard: Guard | None = None
    """Looks at what is to go to a provider; None: nothing does."""

    def __init__(
        self,
        selection: Selection,
        limiter: Limiter,
        retrying: RetryPolicy,
        cache: CacheSettings,
        prompts: Log | None,
    ) -> None:
        """retrying: as the deployment wants it; prompts: logs the prompts, None: nothing does."""
        self._selection = selection
        self._limiter = limiter
        self._retrying = retrying
        self._cache = cache
        self._directives = read_directives((), {}, cache.ttl)
        """Those of a request that says nothing of the cache."""
        self._prompts = prompts

    @property
    def logs_prompts(self) -> bool:
        """Whether each prompt is logged, and so has to be read."""
        return self._prompts is not None

    async def make_chat(self, context: RequestContext, call: Call) -> ChatTask:
        """Records what a request is for, and has the limits admit it. Raises ProxyError."""
        headers = context.request.headers
        record_call(context, call)
        session = context.record.session
        native_headers = None
        if self.guard:
            session = self.guard.screen_session(context) if session else ""
            native_headers = self.guard.screen_headers(context.native_headers)
            context.upstream_headers = self.guard.screen_headers(context.upstream_headers)
        if is_steered := not STEERING.isdisjoint(headers):
            call = structs.replace(call, routing=with_timeout(call.routing, headers))
        meter = await self.admit(context)
        if self._prompts:
            log_prompt(context, call.chat, self._prompts)
        meter.estimate = estimate = ChatEstimate(call.chat)
        shared = (meter.principal.cache_scope or self._cache.scope) == "shared"
        needs = Needs.of(call.chat)
        routing_key = self._selection.make_routing_key(call.routing, needs, meter.grant)
        directives = self._directives
        if is_steered or call.cache != NO_WISH or call.alias_cache != NO_WISH:
            controls = (call.alias_cache, read_cache(headers), call.cache)
            directives = read_directives(controls, headers, self._cache.ttl)
        task = ChatTask(
            context=context,
            call=call,
            needs=needs,
            directives=directives,
            routing_key=routing_key,
            meter=meter,
            estimate=estimate,
            retrying=self.retrying(headers) if is_steered else self._retrying,
            scope="" if shared else meter.principal.user,
            session=session,
            guarded_headers=native_headers,
        )
        if task.is_cached:
            task.key = task.find_key(routing_key)
            context.record.cache_key = task.key[:KEY_RECORDED]
        return task

    async def admit(self, context: RequestContext) -> Meter:
        """The limits for a request, which its key's own request limit admits. Raises
        ProxyError."""
        assert context.principal  # no path that serves is public
        request, tags = context.request, context.record.tags
        meter = Meter(self._limiter, context.principal, request.defer, request.stay, tags)
        context.meter = meter
        if refusal := await meter.admit():
            raise as_limit_error([refusal])
        context.end_stage("limit")
        return meter

    def retrying(self, headers: Mapping[str, str]) -> RetryPolicy:
        """How often the request wants a provider to be tried. Raises InvalidRequest."""
        options = read_retries(headers)
        return self._retrying.overridden(options.attempts, options.delay_ms, options.backoff)


def record_call(context: RequestContext, call: Call) -> None:
    """Records what a chat request is for, and which conversation it belongs to."""
    context.record.session = find_session(context.request.headers, call)
    record_request(context.record, call.routing, call.metadata, context.request.headers)
    context.record.stream = call.chat.stream


def record_request(
    record: RequestRecord, routing: Routing, metadata: Mapping[str, str], sent: Mapping[str, str]
) -> None:
    """Records the model that is wanted, the tags and the labels, those of the body before those of
    the header, as far as there is room."""
    if metadata or METADATA in sent:
        record.metadata = _keep_labels({**metadata, **read_metadata(sent), **metadata})
    if LABEL in metadata or TAGS in sent:
        record.tags = tuple(dict.fromkeys((*record.tags, *read_tags(metadata, sent))))
    provider = f"{routing.provider}/" if routing.provider else ""
    record.requested_model = f"{provider}{routing.model}"[:200]
    record.strategy = routing.strategy or ""


def _keep_labels(labels: Mapping[str, str]) -> dict[str, str]:
    kept: dict[str, str] = {}
    room = LABELS_KEPT
    for name, text in labels.items():
        room -= len(name) + len(text)
        if room >= 0:
            kept[name] = text
    return kept


def with_timeout(routing: Routing, headers: Mapping[str, str]) -> Routing:
    """The routing within the time that the headers give it, where the body gives none."""
    if routing.timeout_ms is not None or (timeout_ms := read_timeout(headers)) is None:
        return routing
    return structs.replace(routing, timeout_ms=timeout_ms)


def log_prompt(context: RequestContext, chat: ChatRequest, log: Log) -> None:
    """Logs the messages as far as a line may hold them, unless the caller forbids it."""
    if not allows_log(context.request.headers):
        return
    room = PROMPT_LOGGED
    shown = list[Message]()
    for message in chat.messages:
        shown.append(_shorten(message, room))
        room -= len(msgspec.json.encode(shown[-1]))
        if room <= 0:
            break
    messages = msgspec.json.encode(shown).decode()[:PROMPT_LOGGED]
    user = context.principal.user if context.principal else None
    log("info", "prompt", request_id=context.id, user=user, messages=messages)


def _shorten(message: Message, most: int) -> Message:
    """A message with no longer text than a line may hold: a copy of an image would be memory."""
    if isinstance(message.content, str):
        return structs.replace(message, content=message.content[:most])
    parts = []
    for part in message.parts:
        image = part.image_url and structs.replace(part.image_url, url=part.image_url.url[:most])
        parts.append(structs.replace(part, text=part.text and part.text[:most], image_url=image))
    return structs.replace(message, content=message.content and tuple(parts))
