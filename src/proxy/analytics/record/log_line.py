"""A request's line in the log, of which its spans are made too: flat, under OpenTelemetry's names
where there are any.

The names are those of its semantic conventions for HTTP (1.41), and for generative AI in the
repository of their own into which they moved after it: still in development, so look there when
a backend knows others. What they have no name for is `proxy.…`. What is not known is left out.
"""

from operator import attrgetter

from msgspec import Struct, field

from proxy.analytics.record.request_record import ITEM, RequestRecord
from proxy.core.chat import Attempt
from proxy.core.money import NANO

OPERATIONS = {
    "/v1/generate": "chat",
    ITEM: "chat",
    "/v1/chat/completions": "chat",
    "/v1/messages": "chat",
    "/v1/responses": "chat",
    "/v1/embeddings": "embeddings",
    "/v1/completions": "text_completion",
    "/v1/moderations": "moderation",
    "/v1/rerank": "rerank",
    "/v1/images/generations": "image",
    "/v1/images/edits": "image",
    "/v1/images/variations": "image",
    "/v1/audio/speech": "speech",
    "/v1/audio/transcriptions": "transcription",
    "/v1/audio/translations": "transcription",
    **dict.fromkeys(("/p/PROVIDER", "/openai", "/anthropic", "/genai"), "passthrough"),
}
"""What a model does at an endpoint."""

_PROVIDERS = {
    "azure": "azure.ai.openai",
    "bedrock": "aws.bedrock",
    "gemini": "gcp.gemini",
    "mistral": "mistral_ai",
    "moonshot": "moonshot_ai",
    "vertex": "gcp.vertex_ai",
    "xai": "x_ai",
}
"""What the conventions call those that they know under another name."""
_METHODS = frozenset(
    {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "CONNECT", "OPTIONS", "TRACE"}
)


class LogLine(Struct, omit_defaults=True, gc=False):
    """A struct is built and encoded faster than a dict. The first fields, up to `session`, are
    the record's of the same names; those from `dialect` on only where there is a model."""

    ms: int = field(name="proxy.duration_ms")
    status: int = field(name="http.response.status_code")
    bytes_in: int = field(name="http.request.body.size")
    bytes_out: int = field(name="http.response.body.size")
    id: str = field(default="", name="proxy.request_id")
    key_id: str = field(default="", name="proxy.key_id")
    team: str = field(default="", name="proxy.team")
    strategy: str = field(default="", name="proxy.strategy")
    source: str = field(default="", name="proxy.error.source")
    cache_status: str = field(default="", name="proxy.cache.status")
    cache_tier: str = field(default="", name="proxy.cache.tier")
    cache_key: str = field(default="", name="proxy.cache.key")
    ended: str = field(default="", name="proxy.stream.ended")
    cost_origin: str = field(default="", name="proxy.cost.origin")
    colo: str = field(default="", name="proxy.colo")
    endpoint: str = field(default="", name="http.route")
    error: str = field(default="", name="error.type")
    user: str = field(default="", name="enduser.id")
    country: str = field(default="", name="geo.country.iso_code")
    trace: str = field(default="", name="trace_id")
    """Named as OpenTelemetry names it, and `span_id`, in logs of other formats than its own."""
    span: str = field(default="", name="span_id")
    dialect: str = field(default="", name="proxy.dialect")
    requested_model: str = field(default="", name="gen_ai.request.model")
    model: str = field(default="", name="gen_ai.response.model")
    input: int | None = field(default=None, name="gen_ai.usage.input_tokens")
    output: int | None = field(default=None, name="gen_ai.usage.output_tokens")
    cached: int | None = field(default=None, name="gen_ai.usage.cache_read.input_tokens")
    reasoning: int | None = field(default=None, name="gen_ai.usage.reasoning.output_tokens")
    session: str = field(default="", name="gen_ai.conversation.id")
    operation: str = field(default="", name="gen_ai.operation.name")
    provider: str = field(default="", name="gen_ai.provider.name")
    stream: bool | None = field(default=None, name="gen_ai.request.stream")
    first_seconds: float | None = field(default=None, name="gen_ai.response.time_to_first_chunk")
    attempts: str = field(default="", name="proxy.attempts")
    tags: str = field(default="", name="proxy.tags")
    cost_usd: float | None = field(default=None, name="proxy.cost.usd")
    saved_usd: float | None = field(default=None, name="proxy.cost.saved_usd")
    method: str = field(default="", name="http.request.method")


_FIELDS = LogLine.__struct_fields__
_OF_ANY = attrgetter(*_FIELDS[: _FIELDS.index("dialect")])
_OF_MODEL = attrgetter(*_FIELDS[: _FIELDS.index("operation")])


def choose_level(record: RequestRecord) -> str:
    """`error` where the proxy or the providers failed the caller, its own mistakes are `info`."""
    broken = record.status < 400 and record.error != ""
    return "error" if broken or record.status >= 500 else "info"


def build_line(record: RequestRecord) -> LogLine:
    """The line of a request; it names a model only where its endpoint is for models."""
    if operation := OPERATIONS.get(record.endpoint):
        line = LogLine(*_OF_MODEL(record))
        line.operation = operation
        line.provider = name_provider(record.provider)
        line.stream = record.stream or None
        line.first_seconds = None if record.first_ms is None else record.first_ms / 1000
    else:
        line = LogLine(*_OF_ANY(record))
    if record.attempts:
        line.attempts = ", ".join([f"{_name(a)}:{a.outcome}" for a in record.attempts])
    if record.tags:
        line.tags = ", ".join(record.tags)
    line.cost_usd = None if record.cost is None else record.cost / NANO
    line.saved_usd = record.saved / NANO or None
    line.method = record.method if record.method in _METHODS else "_OTHER"
    return line


def _name(attempt: Attempt) -> str:
    """The provider of an attempt, with the number of its key where it has several."""
    return f"{attempt.provider}#{attempt.key}" if attempt.key else attempt.provider


def name_provider(provider: str) -> str:
    """The conventions' name of a provider; its own where they have none."""
    return _PROVIDERS.get(provider, provider)
