"""A provider's answer on its way to its caller as it came: what it used is read from what goes by,
where its form is known, and what it says of the provider's health."""

from urllib.parse import parse_qsl

from msgspec import Struct, structs

from proxy.access.tickets import Tickets
from proxy.core.chat import Cost, Usage
from proxy.core.errors import CALLER_GONE, GIVEN_UP, OK, ClientGone, Fault, Outcome
from proxy.core.permit import Reservation
from proxy.core.ports import Log, Reply, Sink
from proxy.core.receive import HEAD_BYTES
from proxy.core.web import Response, encode_value
from proxy.limits.meter import Meter
from proxy.providers.address import TICKET, drop_key
from proxy.providers.hop_headers import pass_answer
from proxy.providers.metering import Gauge
from proxy.providers.named_model import Errand
from proxy.providers.target import Target
from proxy.routing.failure import as_proxy_error, record_attempt
from proxy.routing.passage import Passage, Wish
from proxy.routing.watch import WatchedAttempt
from proxy.serving.accounting import bounded, record_attempts, record_error, record_usage
from proxy.serving.context import RequestContext
from proxy.serving.refusal import report_bug

_EVENTS = "text/event-stream"
_READABLE = (_EVENTS, "application/json")
_UPLOADS = ("x-goog-upload-url", "x-goog-upload-control-url")
_ADDRESSES = ("location", "content-location", *_UPLOADS)
"""Headers that name an address of the provider's, to which the caller goes next."""
UPLOAD = "upload_id"
"""The parameter of a query by which Google knows an upload."""
_EMPTY = frozenset({204, 205, 304})


class Sent(Struct, frozen=True, kw_only=True):
    """A request that has gone to its provider."""

    target: Target
    wish: Wish
    errand: Errand
    prompt: int
    """Tokens of the prompt, as estimated; 0 where the body went on unread."""
    hasty: bool
    """Whether its caller has told the provider how long it may take."""
    reserved: Reservation
    meter: Meter
    watched: WatchedAttempt
    began: float
    priced_at: float | None
    """The moment whose prices hold."""
    tickets: Tickets


class PassedAnswer:
    """One answer. Whatever happens, the attempt ends and what was used is settled."""

    def __init__(
        self, context: RequestContext, sent: Sent, reply: Reply, passage: Passage, log: Log
    ) -> None:
        self._context = context
        self._log = log
        self._sent = sent
        self._reply = reply
        self._passage = passage
        kind = reply.headers.get("content-type", "").partition(";")[0].strip().lower()
        is_streamed = kind == _EVENTS
        self._is_refusal = reply.status >= 400
        reads = sent.errand.answers and kind in _READABLE and not self._is_refusal
        self._gauge = Gauge(streamed=is_streamed) if reads else None
        self._head = b""
        """The beginning of a refusal."""
        self._outcome: Outcome = GIVEN_UP
        record, target = context.record, sent.target
        record.provider, record.model = target.spec.name, target.model.id
        record.stream = is_streamed
        record.first_ms = context.ms if is_streamed else None

    def respond(self) -> Response:
        """The response, whose body is still to come."""
        reply, target = self._reply, self._sent.target
        headers, length = pass_answer(reply.headers, target.key)
        self._turn_addresses(headers)
        headers["x-proxy-provider"] = target.spec.name
        if target.model.id:
            headers["x-proxy-model"] = encode_value(target.model.id)
        if reply.status in _EMPTY or self._context.request.method == "HEAD":
            if length is not None:
                headers["content-length"] = str(length)
            self._outcome = OK
            self._end(None)
            reply.abort()
            return Response(status=reply.status, headers=headers)
        return Response(status=reply.status, headers=headers, stream=self._run, length=length)

    async def _run(self, sink: Sink) -> None:
        """Writes the body. Raises the Fault that breaks it off, so that its caller sees a break and
        no end."""
        broken: Fault | None = None
        try:
            if self._is_refusal:
                await self._pass_refusal(sink)
            elif self._gauge:
                async for piece in self._reply.flow(sink, b"", finish=False):
                    self._gauge.feed(piece)
            else:
                await self._reply.pour(sink)
            self._outcome = OK
        except ClientGone:
            self._outcome = CALLER_GONE
        except Fault as fault:
            self._outcome, broken = fault.outcome, fault
            raise
        finally:
            self._reply.abort()
            self._end(broken)

    async def _pass_refusal(self, sink: Sink) -> None:
        """Writes what may quote the provider's key with as many asterisks in its place."""
        key = (self._sent.target.key or "").encode()
        kept = b""
        async for piece in self._reply.chunks():
            self._head += piece[: HEAD_BYTES - len(self._head)]
            kept = (kept + piece).replace(key, b"*" * len(key)) if key else kept + piece
            ready = len(kept) - max(len(key) - 1, 0)
            if ready > 0:
                await sink.write(kept[:ready])
                kept = kept[ready:]
        if kept:
            await sink.write(kept)

    def _end(self, broken: Fault | None) -> None:
        """Closes the attempt; a mistake in what is made of an answer costs no answer."""
        try:
            self._close(broken)
        except Exception as error:
            self._sent.watched.end(GIVEN_UP)
            self._sent.meter.close()
            report_bug(self._context, error, self._log)

    def _close(self, broken: Fault | None) -> None:
        """Reports and settles all that is known at the end."""
        context, sent = self._context, self._sent
        fault = broken
        if self._outcome is OK and self._is_refusal:
            fault = self._passage.read_fault(sent.target, self._reply, self._head)
            if _is_callers(fault, self._reply.status, hasty=sent.hasty):
                fault.blame = "caller"
            self._outcome = fault.outcome
        attempt = record_attempt(sent.target, fault, context.began, sent.began, context.clock.now())
        if fault:
            error = as_proxy_error(fault, (attempt,), begun=broken is not None)
            record_error(context, error)
        record_attempts(context, (attempt,))
        if context.record.stream:
            context.record.ended = _name_end(self._outcome)
        self._report(fault)
        self._settle()
        sent.meter.close()

    def _report(self, fault: Fault | None) -> None:
        """Reports to breakers and limits what the answer says of its provider. What no model
        answers says nothing: callers may ask for anything. Where other models answer than those of
        chats, a refusal of the key or a silence says nothing of chats."""
        sent, outcome = self._sent, self._outcome
        target = sent.target
        errand, is_unknown = sent.errand, outcome.blame == "model" and not target.model.id
        is_apart = outcome.blame == "provider" and outcome.kind != "rate_limited"
        if not errand.answers or is_unknown or (is_apart and not errand.chats):
            sent.watched.end(CALLER_GONE)
            return
        self._passage.observe(target, sent.meter, self._reply, fault)
        refused = fault is not None and fault.refuses_key
        sent.watched.end(fault.outcome if fault else outcome, key_refused=refused)

    def _settle(self) -> None:
        sent, gauge = self._sent, self._gauge
        target, usage = sent.target, None
        if gauge:
            usage = gauge.read(target)
            if gauge.model and not target.model.id:
                target = self._passage.find_target(sent.wish, gauge.model)
                self._context.record.model = target.model.id[:200]
        reported, usage = usage, self._complete(usage)
        if usage is None:
            sent.reserved.release()
            return
        cost = target.model.prices.compute_cost(usage, sent.priced_at)
        if usage is not reported and cost.origin:
            cost = Cost(cost.nano_usd, "estimated")
        sent.reserved.settle(usage, cost)
        self._record(usage, cost)

    def _complete(self, reported: Usage | None) -> Usage | None:
        """What was used: as reported or, of a chat's stream that did not say it or broke off before
        it did, as estimated by what has gone by. None: that is not known."""
        sent, gauge = self._sent, self._gauge
        is_said = reported is not None and self._outcome is OK
        if is_said or not (gauge and sent.errand.chats and self._context.record.stream):
            return reported
        written = -(-gauge.written // 4)
        if reported is None:
            return Usage(input=sent.prompt, output=written)
        if written <= reported.output:
            return reported
        return structs.replace(reported, output=written, cost=None)

    def _record(self, usage: Usage, cost: Cost) -> None:
        record = self._context.record
        record_usage(self._context, usage)
        record.cost, record.cost_origin = bounded(cost.nano_usd), cost.origin or ""

    def _turn_addresses(self, headers: dict[str, str]) -> None:
        """Has the addresses of the provider's lead through here again, without its key."""
        wish, url = self._sent.wish, self._context.request.url
        here = "/".join(url.split("/", 3)[:3])
        there = self._passage.find_origin(self._sent.target)
        for name in _ADDRESSES:
            value = headers.get(name, "")
            if wish.root and here and value.startswith(f"{there}/"):
                path, mark, query = value.removeprefix(there).partition("?")
                query = self._add_ticket(name, drop_key(query))
                headers[name] = f"{here}{wish.root}{path}{mark if query else ''}{query}"

    def _add_ticket(self, name: str, query: str) -> str:
        """The query of an address at which an upload goes on, with a ticket for it."""
        upload, principal = dict(parse_qsl(query)).get(UPLOAD), self._context.principal
        if name not in _UPLOADS or not upload or not principal:
            return query
        ticket = self._sent.tickets.issue(principal, upload, self._context.clock.now())
        return f"{query}&{TICKET}={ticket}"


def _name_end(outcome: Outcome) -> str:
    return "client_gone" if outcome is CALLER_GONE else outcome.kind


def _is_callers(fault: Fault, status: int, *, hasty: bool) -> bool:
    """Whether what a caller may choose here can have brought about a refusal: a header, a time, a
    body that is slow to come."""
    if status >= 500:
        return hasty and status == 504
    return fault.kind in ("unavailable", "timeout")
