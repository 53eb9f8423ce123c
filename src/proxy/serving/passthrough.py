"""Passes requests on to a provider as they are, and answers with its answer as it comes.

Of the request only what a decision needs is read: the model that its body names, where that body is
short or the caller's key may use some models only. All else goes by unread (`passed_answer`).
"""

import re
from collections.abc import Iterable, Mapping

from msgspec import Struct, structs

from proxy.access.authenticator import read_authorizations
from proxy.access.tickets import Tickets
from proxy.core.body_memory import weigh
from proxy.core.chat import Routing
from proxy.core.codings import too_large
from proxy.core.errors import (
    Fault,
    InvalidRequest,
    NotFound,
    PermissionDenied,
)
from proxy.core.permit import Refusal, Reservation
from proxy.core.ports import Body, Outgoing
from proxy.core.principal import ModelGrant, Principal
from proxy.core.settings import ServerSettings
from proxy.core.web import Request, Response
from proxy.dialects.cloudflare import read_timeout
from proxy.dialects.session import find_session
from proxy.limits.estimate import NoEstimate, count_body_tokens
from proxy.limits.meter import Meter
from proxy.providers.address import TICKET, drop_key
from proxy.providers.hop_headers import check_request, pass_request
from proxy.providers.named_model import (
    Errand,
    is_form,
    read_all_models,
    read_errand,
    read_model,
    rename_model,
)
from proxy.providers.target import Target
from proxy.routing.failure import as_limit_error, as_proxy_error, record_attempt
from proxy.routing.passage import Passage, Wish
from proxy.serving.aliasing import Aliasing
from proxy.serving.context import RequestContext
from proxy.serving.guarding import Guard
from proxy.serving.passed_answer import UPLOAD, PassedAnswer, Sent
from proxy.serving.task import TaskMaker, record_request

LOOKED_AT = 1024 * 1024
"""Bytes of a body up to which it is read for the model's name alone."""
_BODILESS = ("GET", "HEAD")
_DEFAULT = "openai"
"""Who answers where OpenAI's API has a model of its own for a request that names none."""
_OPTIONAL = frozenset({"moderations", "images/generations", "images/edits", "images/variations"})
"""Where it has."""


_UPLOADS = re.compile(r"/(?:genai|p/gemini)/upload/")
_PATIENCE = frozenset({"x-server-timeout", "grpc-timeout"})
"""Headers by which a caller tells a provider how long it may take."""


class _Letter(Struct, frozen=True):
    """What is sent, as far as it has been read."""

    errand: Errand
    names: tuple[str, ...] = ()
    """The models that it names."""
    body: Body | None = None
    """None: it goes on unread."""


class _Way(Struct, frozen=True):
    """Where a request may go on to, and what is sent there."""

    target: Target
    wish: Wish
    letter: _Letter


class Passthrough:
    """Passes on the requests of an isolate."""

    def __init__(
        self,
        tasks: TaskMaker,
        passage: Passage,
        server: ServerSettings,
        tickets: Tickets,
        aliasing: Aliasing,
    ) -> None:
        self._tasks = tasks
        self._passage = passage
        self._server = server
        self._tickets = tickets
        self._aliasing = aliasing

    def read_ticket(self, request: Request, now: float) -> Principal | None:
        """The caller who goes on with an upload by a ticket; None where it has none, or shows a
        key."""
        query = request.query
        ticket, upload = query.get(TICKET), query.get(UPLOAD, "")
        if not ticket or read_authorizations(request.headers) or not _UPLOADS.match(request.path):
            return None
        return self._tickets.read(ticket, upload, now)

    async def answer(self, context: RequestContext, wish: Wish) -> Response:
        """Passes a request on to the provider that its path names. Raises ProxyError."""
        self._check_allowed(context)
        grant = _grant(context)
        self._passage.check_provider(wish.provider, grant)
        meter = await self._admit(context)
        letter = await self._open(context, wish, strict=bool(grant.models))
        if self._tasks.guard:
            letter = await self._screen(self._tasks.guard, context, wish, letter)
        self._passage.check_models(wish.provider, letter.names, grant)
        target = self._passage.find_target(wish, letter.names[0] if letter.names else None)
        return await self._pass_on(context, meter, [_Way(target, wish, letter)])

    async def answer_named(self, context: RequestContext, path: str) -> Response:
        """Passes a request of OpenAI's API on to the provider of the model that its body names.
        path: of the API, without a slash before it. Raises ProxyError."""
        self._check_allowed(context)
        meter = await self._admit(context)
        headers = context.request.headers
        if "content-encoding" in headers:
            why = "content-encoding: a body that names its model here comes without one."
            raise InvalidRequest(why, param="content-encoding")
        body, kind = await self._read(context), headers.get("content-type", "")
        if self._tasks.guard:
            await self._tasks.guard.check_unread("", body, headers)
        named = read_model(body, kind)
        letter = _Letter(read_errand("POST", path), body=body)
        targets = await self._find_named(context, path, named, body)
        ways = (_address(target, path, named, letter, kind) for target in targets)
        return await self._pass_on(context, meter, ways)

    async def _find_named(
        self, context: RequestContext, path: str, named: str | None, body: bytes
    ) -> tuple[Target, ...]:
        """The model that a body names, at its provider, or those of the alias that it names."""
        grant, passage = _grant(context), self._passage
        if not named and path not in _OPTIONAL:
            raise InvalidRequest("model: This field is required.", param="model")
        if named is None:
            passage.check_provider(_DEFAULT, grant)
            passage.check_models(_DEFAULT, (), grant)
            return (passage.find_target(Wish(provider=_DEFAULT, path=path), None),)
        record_model(context, named)
        kind = context.request.headers.get("content-type", "")
        if grant.models and read_all_models(body, kind) != (named,):
            passage.check_models(_DEFAULT, (), grant)
        meant = await self._aliasing.resolve(context, named, texts=path == "completions")
        if isinstance(meant, str):
            record_model(context, meant)
            return (passage.find_named(meant, grant),)
        return passage.find_chosen(meant, grant)

    def _check_allowed(self, context: RequestContext) -> None:
        if not self._server.passthrough:
            raise NotFound(
                "This deployment passes nothing on to providers as it is (PASSTHROUGH).",
                code="unknown_url",
            )
        assert context.principal  # no path that serves is public
        if context.principal.passthrough is False:
            raise _unpassed()

    async def _admit(self, context: RequestContext) -> Meter:
        record_request(context.record, Routing(model=""), {}, context.request.headers)
        context.record.session = find_session(context.request.headers)
        meter = await self._tasks.admit(context)
        if meter.has_budget and not meter.principal.passthrough:
            raise _unpassed()
        meter.estimate = NoEstimate()
        return meter

    async def _open(self, context: RequestContext, wish: Wish, *, strict: bool) -> _Letter:
        """Reads the request as far as it has to be. strict: only what can mean one model."""
        request = context.request
        errand = read_errand(request.method, wish.path)
        if errand.model:
            record_model(context, errand.model)
            return _Letter(errand, (errand.model,))
        if not errand.in_body:
            return _Letter(errand)
        kind, length = request.headers.get("content-type", ""), _read_length(request.headers)
        is_plain = "content-encoding" not in request.headers
        is_short = length is not None and length <= LOOKED_AT and not is_form(kind)
        if not is_plain or not (strict or is_short):
            return _Letter(errand)
        body = await self._read(context)
        if strict:
            names = read_all_models(body, kind)
        else:
            named = read_model(body, kind)
            names = (named,) if named else ()
        if names:
            record_model(context, names[0])
        return _Letter(errand, names, body)

    async def _screen(
        self, guard: Guard, context: RequestContext, wish: Wish, letter: _Letter
    ) -> _Letter:
        """Reads the whole request, which may go on if nothing is found in it."""
        body = await self._read(context) if letter.body is None else letter.body
        assert isinstance(body, bytes)  # as it was read
        address = f"{wish.path}?{drop_key(wish.query)}"
        await guard.check_unread(address, body, context.request.headers)
        return structs.replace(letter, body=body)

    async def _read(self, context: RequestContext) -> bytes:
        hold = context.hold
        assert hold  # what a request holds is counted if it comes from outside
        body = await context.request.read(min(self._server.max_body_bytes, hold.limit))
        hold.keep(len(body) + self._weigh_reading(context, body))
        return body

    def _weigh_reading(self, context: RequestContext, body: bytes) -> int:
        """What a body takes beside its bytes, as a body counts: only where it is not read but for
        one name, nothing."""
        guard, is_read = self._tasks.guard, bool(_grant(context).models)
        if is_form(context.request.headers.get("content-type", "")) or not (guard or is_read):
            return 0
        values = weigh(body, 0) - len(body)  # twice: those of an object are pairs
        return 2 * values + (guard.weigh(body) if guard else 0)

    async def _pass_on(
        self, context: RequestContext, meter: Meter, ways: Iterable[_Way]
    ) -> Response:
        passage, timeout_ms = self._passage, read_timeout(context.request.headers)
        way, outgoing, reserved = await self._reserve(context, meter, ways)
        target = passage.choose_key(way.target, meter.user)
        headers = context.upstream_headers | pass_request(context.request.headers, target)
        outgoing = structs.replace(outgoing, headers=headers)
        is_own = way.letter.errand.chats and timeout_ms is None and outgoing.upload is None
        seconds, began = (timeout_ms or passage.timeout_ms) / 1000, context.clock.now()
        priced_at = passage.priced_at
        try:
            reply, watched = await passage.send(target, outgoing, seconds, own=is_own)
        except Fault as fault:
            attempt = record_attempt(target, fault, context.began, began, context.clock.now())
            reserved.release()
            meter.close()
            raise as_proxy_error(fault, (attempt,)) from None
        except BaseException:
            reserved.release()
            meter.close()
            raise
        context.release_memory()
        sent = Sent(
            target=structs.replace(target, secrets=(*target.secrets, *context.caller_keys)),
            wish=way.wish,
            errand=way.letter.errand,
            prompt=count_body_tokens(body) if isinstance(body := way.letter.body, bytes) else 0,
            hasty=not _PATIENCE.isdisjoint(headers),
            reserved=reserved,
            meter=meter,
            watched=watched,
            began=began,
            priced_at=priced_at,
            tickets=self._tickets,
        )
        return PassedAnswer(context, sent, reply, passage, passage.log).respond()

    async def _reserve(
        self, context: RequestContext, meter: Meter, ways: Iterable[_Way]
    ) -> tuple[_Way, Outgoing, Reservation]:
        """The first way on that the limits leave open, its call, and what is reserved for it.
        Raises the limits' error where there is none."""
        refusals: list[Refusal] = []
        for way in ways:
            url = self._passage.find_url(way.target, way.wish)
            outgoing = self._enclose(context, url, way.letter)
            await self._passage.start(meter.defer)
            reserved = await meter.charge(way.target.offer)
            if not isinstance(reserved, Refusal):
                return way, outgoing, reserved
            refusals.append(reserved)
        raise as_limit_error(refusals)

    def _enclose(self, context: RequestContext, url: str, letter: _Letter) -> Outgoing:
        """The call with its body, still without its headers. Raises InvalidRequest."""
        check_request(context.request.headers)
        method = context.request.method
        if method in _BODILESS:
            return Outgoing(url=url, method=method)
        if letter.body is not None:
            return Outgoing(url=url, method=method, body=letter.body)
        length, most = _read_length(context.request.headers), self._server.max_body_bytes
        if length is not None and length > most:
            raise too_large(most)
        upload = context.request.upload if length != 0 else None
        return Outgoing(url=url, method=method, upload=upload)


def _address(target: Target, path: str, named: str | None, letter: _Letter, kind: str) -> _Way:
    """The way to a model of an endpoint of OpenAI's API. The body names it as its provider does.
    kind: the body's content type."""
    wish, name, body = Wish(provider=target.spec.name, path=path), target.model.wire_id, letter.body
    if named and isinstance(body, bytes):
        passed = body if name == named else rename_model(body, kind, name)
        letter = structs.replace(letter, names=(name,), body=passed)
    return _Way(target, wish, letter)


def _unpassed() -> PermissionDenied:
    return PermissionDenied(
        "This key may not have requests passed on as they are: what they cost is not always known,"
        " and the key, its team or a tag has a budget, or it was issued without `passthrough`."
    )


def record_model(context: RequestContext, name: str) -> None:
    """Records the model that the caller names."""
    context.record.requested_model = name[:200]


def _read_length(headers: Mapping[str, str]) -> int | None:
    length = headers.get("content-length", "")
    return int(length) if length.isdecimal() and len(length) < 16 else None


def _grant(context: RequestContext) -> ModelGrant:
    assert context.principal  # no path that serves is public
    return context.principal.grant
