"""An event as the request's line in the log, of which its spans are made too: flat, under
OpenTelemetry's names where there are any.

The names are those of its semantic conventions for HTTP (1.41), and for generative AI in the
repository of their own into which they moved after it: still in development, so look there when
a backend knows others. What they have no name for is `proxy.…`. What is not known is left out.
No prompt and no secret: an event holds none.
"""

from msgspec import Struct, field

from proxy.analytics.record.request_record import ITEM, RequestRecord

OPERATIONS = {
    "/v1/generate": "chat",
    ITEM: "chat",
    "/v1/chat/completions": "chat",
    "/v1/embeddings": "embeddings",
}
"""What is asked of a model at an endpoint."""

_PROVIDERS = {"gemini": "gcp.gemini"}
_METHODS = frozenset(
    {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "CONNECT", "OPTIONS", "TRACE"}
)


class Line(Struct, kw_only=True, omit_defaults=True, gc=False):
    """What the line holds. A struct is built and encoded faster than a dict."""

    request_id: str = field(default="", name="proxy.request_id")
    key_id: str = field(default="", name="proxy.key_id")
    dialect: str = field(default="", name="proxy.dialect")
    strategy: str = field(default="", name="proxy.strategy")
    duration_ms: int = field(name="proxy.duration_ms")
    attempts: str = field(default="", name="proxy.attempts")
    error_source: str = field(default="", name="proxy.error.source")
    cache_status: str = field(default="", name="proxy.cache.status")
    cache_tier: str = field(default="", name="proxy.cache.tier")
    cache_key: str = field(default="", name="proxy.cache.key")
    stream_ended: str = field(default="", name="proxy.stream.ended")
    cost_usd: float | None = field(default=None, name="proxy.cost.usd")
    cost_origin: str = field(default="", name="proxy.cost.origin")
    saved_usd: float | None = field(default=None, name="proxy.cost.saved_usd")
    colo: str = field(default="", name="proxy.colo")
    method: str = field(default="", name="http.request.method")
    route: str = field(default="", name="http.route")
    status: int = field(name="http.response.status_code")
    bytes_in: int = field(name="http.request.body.size")
    bytes_out: int = field(name="http.response.body.size")
    error: str = field(default="", name="error.type")
    user: str = field(default="", name="enduser.id")
    country: str = field(default="", name="geo.country.iso_code")
    operation: str = field(default="", name="gen_ai.operation.name")
    provider: str = field(default="", name="gen_ai.provider.name")
    asked: str = field(default="", name="gen_ai.request.model")
    stream: bool | None = field(default=None, name="gen_ai.request.stream")
    model: str = field(default="", name="gen_ai.response.model")
    first_seconds: float | None = field(default=None, name="gen_ai.response.time_to_first_chunk")
    input: int | None = field(default=None, name="gen_ai.usage.input_tokens")
    output: int | None = field(default=None, name="gen_ai.usage.output_tokens")
    cached: int | None = field(default=None, name="gen_ai.usage.cache_read.input_tokens")
    reasoning: int | None = field(default=None, name="gen_ai.usage.reasoning.output_tokens")
    trace_id: str = ""
    """Named as OpenTelemetry names it, and `span_id`, in logs of other formats than its own."""
    span_id: str = ""


def level(event: RequestRecord) -> str:
    """`error` where the proxy or the providers failed the caller, its own mistakes are `info`."""
    broken = event.status < 400 and event.error != ""
    return "error" if broken or event.status >= 500 else "info"


def line(event: RequestRecord) -> Line:
    """The line of a request; nothing of a model where none is asked at its endpoint."""
    told = Line(
        request_id=event.id,
        key_id=event.key_id,
        strategy=event.strategy,
        duration_ms=event.ms,
        error_source=event.source,
        cache_status=event.cache_status,
        cache_tier=event.cache_tier,
        cache_key=event.cache_key,
        stream_ended=event.ended,
        cost_usd=None if event.cost is None else event.cost / 1e9,
        cost_origin=event.cost_origin,
        saved_usd=event.saved / 1e9 or None,
        colo=event.colo,
        method=event.method if event.method in _METHODS else "_OTHER",
        route=event.endpoint,
        status=event.status,
        bytes_in=event.bytes_in,
        bytes_out=event.bytes_out,
        error=event.error,
        user=event.user,
        country=event.country,
        trace_id=event.trace,
        span_id=event.span,
    )
    if event.attempts:
        told.attempts = ", ".join(f"{a.provider}:{a.outcome}" for a in event.attempts)
    if operation := OPERATIONS.get(event.endpoint):
        told.operation = operation
        told.dialect = event.dialect
        told.provider = provider_name(event.provider)
        told.asked = event.requested_model
        told.stream = event.stream or None
        told.model = event.model
        told.first_seconds = None if event.first_ms is None else event.first_ms / 1000
        told.input = event.input
        told.output = event.output
        told.cached = event.cached
        told.reasoning = event.reasoning
    return told


def provider_name(provider: str) -> str:
    """The conventions' name of a provider; its own where they have none."""
    return _PROVIDERS.get(provider, provider)
