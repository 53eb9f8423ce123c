"""One request on its way through the rooms, with what is known of it so far."""

import re
from collections.abc import Callable

from msgspec import structs

from proxy.access.authenticator import read_authorizations
from proxy.analytics.record.request_record import RequestRecord
from proxy.analytics.record.trace import Trace
from proxy.core.ports import Clock, Random
from proxy.core.principal import Principal
from proxy.core.web import Request
from proxy.dialects.cloudflare import allows_log
from proxy.dialects.contract import Dialect, ErrorForm
from proxy.limits.meter import Meter
from proxy.privacy.body_log import Note
from proxy.privacy.restoring import Restoring

UNCOUNTED = ("", "/api/hello", "/health")
"""Paths whose requests are no traffic."""
NATIVE_HEADERS = ("anthropic-version", "anthropic-beta")
LONGEST_KEY = 4096
"""Characters of a caller's key, a signed token included."""
_MOST_NAMED = 16
_PASSABLE = re.compile(r"[ -~]{1,1024}")
"""What any provider takes as a header's value: one that refuses it would seem broken to all."""
_LENGTH = re.compile(r"[0-9]{1,10}")
_REQUEST_ID = re.compile(r"[A-Za-z0-9_.:-]{1,128}")


class RequestContext:
    """A request, its caller, and the record that is kept of it."""

    principal: Principal | None = None
    meter: Meter | None = None
    trace: Trace | None = None
    upstream_ms = 0
    """What the attempts took, the leader's too."""
    is_follower = False
    """Whether the attempts are those of another request, whose record has them."""
    is_closed = False
    betas = ""
    """The betas of Anthropic's that the request asks for, which its body does not show."""
    restoring: Restoring | None = None
    """What was masked in the request; None: nothing."""
    note: Note | None = None
    """What is noted for the body log; None: nothing."""
    keep_response: Callable[[bytes], None] | None = None
    """Takes the whole answer, in its caller's dialect, where that is to be kept."""

    def __init__(
        self, request: Request, endpoint: str, dialect: Dialect, clock: Clock, random: Random
    ) -> None:
        """endpoint: the path as the interface names it, empty for none that there is."""
        self.request = request
        self.dialect = dialect
        self.errors: ErrorForm = dialect
        """In which its errors are read."""
        self.clock = clock
        self.began = clock.now()
        self.hold = request.hold
        """What the request holds of the isolate's memory; None: it is not counted."""
        self.upstream_headers: dict[str, str] = {}
        """Headers that providers are sent: the trace."""
        self.is_counted = endpoint not in UNCOUNTED and request.method != "OPTIONS"
        """Whether the figures have the request."""
        self._timing = ""
        """The stages that have ended, as Server-Timing lists them."""
        self._stage_began = self.began
        given = request.headers.get("x-request-id", "")
        self.answer_id = random.token(12)
        """What the ids in its answer have in common, whatever id its caller has given it."""
        self.id = given if _REQUEST_ID.fullmatch(given) else f"req_{self.answer_id}"
        if dialect.NAME == "messages":
            self.betas = request.headers.get("anthropic-beta", "")
        self.record = _begin_record(self, endpoint)

    @property
    def caller_keys(self) -> tuple[str, ...]:
        """The keys that the caller sent, in whichever header or in the query. What is longer than
        LONGEST_KEY is none: it would be looked for in every spelling."""
        found = [g.partition(" ")[2] for g in read_authorizations(self.request.headers)]
        found.append(self.request.query.get("key", ""))
        return tuple(key for key in found if 0 < len(key) <= LONGEST_KEY)

    @property
    def native_headers(self) -> dict[str, str]:
        """Headers for a provider of the caller's own dialect: versions and betas of the request,
        and what Claude Code says of its session."""
        if self.dialect.NAME != "messages":
            return {}
        sent = self.request.headers
        named = [name for name in sent if name.startswith("x-claude-code-")][:_MOST_NAMED]
        return {
            n: sent[n] for n in (*NATIVE_HEADERS, *named) if _PASSABLE.fullmatch(sent.get(n, ""))
        }

    @property
    def ms(self) -> int:
        """Milliseconds since the request came."""
        return max(0, round((self.clock.now() - self.began) * 1000))

    def read_errors_as(self, form: ErrorForm) -> None:
        """Has errors rendered in another form than the dialect's."""
        self.errors, self.record.dialect = form, form.NAME

    def admit(self, principal: Principal | None) -> None:
        """Makes the caller known."""
        self.principal = principal
        if principal:
            record = self.record
            record.user, record.key_id = principal.user, principal.key_id or ""
            record.team, record.tags = principal.team or "", principal.tags

    def join_trace(self, trace: Trace, *, recorded: bool) -> None:
        """Makes the request part of a trace. recorded: whether its own span is exported; if not,
        the provider's span is the caller's child."""
        self.trace = trace
        record = self.record
        record.trace, record.parent = trace.id, trace.parent
        record.span = trace.span if recorded and trace.sampled else ""
        parent = trace if recorded else structs.replace(trace, span=trace.parent)
        self.upstream_headers = parent.render_headers()

    def begin_stage(self) -> None:
        """Begins a part of the way here, and not where the part before ended."""
        self._stage_began = self.clock.now()

    def end_stage(self, stage: str) -> None:
        """Ends a part of the way, once a request: it began where the part before ended."""
        now = self.clock.now()
        self._timing += f"{stage};dur={max(0.0, now - self._stage_began) * 1000:.1f}, "
        self._stage_began = now

    def server_timing(self) -> str:
        """Server-Timing (W3C): the stages in milliseconds."""
        return f"{self._timing}upstream;dur={self.upstream_ms}, total;dur={self.ms}"

    def common_headers(self) -> dict[str, str]:
        """The headers that all answers carry."""
        return {
            "x-request-id": self.id,
            "x-content-type-options": "nosniff",
            "server-timing": self.server_timing(),
        }

    def release_memory(self) -> None:
        """Gives back what the request holds of the isolate's memory."""
        if self.hold:
            self.hold.release()


def _begin_record(context: RequestContext, endpoint: str) -> RequestRecord:
    request, headers = context.request, context.request.headers
    length = headers.get("content-length", "")
    return RequestRecord(
        at=round(context.began * 1000),
        id=context.id,
        endpoint=endpoint or request.path[:200],
        status=0,
        ms=0,
        method=request.method[:20],
        dialect=context.dialect.NAME,
        bytes_in=int(length) if _LENGTH.fullmatch(length) else 0,
        country=headers.get("cf-ipcountry", "")[:2],
        colo=headers.get("cf-ray", "").rpartition("-")[2][:3],
        logged=allows_log(headers),
    )
