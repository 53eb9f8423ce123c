"""The deployment's settings by the room that reads them.

The fields are the table of all that there is: `python -m tools.settings` writes .env.example and
docs/configuration.md from it. A section's docstring is its heading there, with what stands under.
"""

from typing import Annotated, Literal

from msgspec import Struct

from proxy.core.own_patterns import Kind, OwnPattern
from proxy.core.principal import Role
from proxy.core.settings.limits import LimitSettings
from proxy.core.settings.routing import RoutingSettings
from proxy.core.settings.values import (
    ACCESS_ROLES,
    BASE_URL,
    HEADERS,
    ORIGINS,
    OWN_PATTERNS,
    SECRET,
    SWITCH,
    TEAM,
    TEXT,
    WORDS,
    Setting,
    one_of,
    some_of,
    whole,
)

Environment = Literal["development", "staging", "production"]
CacheScope = Literal["tenant", "shared"]
OnClientGone = Literal["abort", "finish"]
GuardrailMode = Literal["off", "mask", "refuse"]

_YEAR = 31_622_400
_MEGABYTE = 1024 * 1024


class AccessSettings(Struct, frozen=True, kw_only=True):
    """Who may call.

    Development is open as long as no key is set; every other environment is closed without.
    """

    environment: Annotated[
        Environment,
        Setting("ENVIRONMENT", "production", one_of(Environment)),
        "Where this is; `wrangler.toml` sets it for each environment. Only development is open"
        " without a key.",
    ]
    proxy_api_key: Annotated[
        str | None,
        Setting("PROXY_API_KEY", "", SECRET),
        "The one key of a single-key deployment (secret). Callers send it as `Authorization:"
        " Bearer KEY`, `x-api-key` or `api-key`. Make it long: `openssl rand -hex 32`.",
    ]
    admin_token: Annotated[
        str | None,
        Setting("ADMIN_TOKEN", "", SECRET),
        "Opens everything, the operators' paths too (secret).",
    ]
    metrics_token: Annotated[
        str | None,
        Setting("METRICS_TOKEN", "", SECRET),
        "Reads `/metrics`, the figures and what operators see, changes nothing and calls no model"
        " (secret): for Prometheus. It counts as a key: development that has nothing but this one"
        " is closed.",
    ]
    roles: Annotated[
        dict[str, Role],
        Setting("ACCESS_ROLES", "", ACCESS_ROLES, example="ann@example.com=admin"),
        "Who is signed in by Cloudflare Access, and as what"
        " ([sign-in](access.md#cloudflare-access)): `EMAIL=ROLE`, `@DOMAIN=ROLE` or"
        " `group:NAME=ROLE` between commas, with the roles `admin`, `viewer` and `user`. An e-mail"
        " goes before a group, a group before a domain. Without it nobody is signed in.",
    ]
    team: Annotated[
        str | None,
        Setting("ACCESS_TEAM_DOMAIN", "", TEAM, example="example.cloudflareaccess.com"),
        "The team whose tokens (`Cf-Access-Jwt-Assertion`) are verified, where the platform itself"
        " does not say who is signed in; it needs `ACCESS_AUD`.",
    ]
    auds: Annotated[
        tuple[str, ...],
        Setting("ACCESS_AUD", "", WORDS),
        "The tags (AUD) of the Access applications that stand before this deployment, between"
        " commas.",
    ]
    revoked_retention: Annotated[
        int,
        Setting("KEYS_REVOKED_RETENTION", "2592000", whole(0, _YEAR)),
        "Seconds for which a key that was revoked or has expired stays in the list of keys; then"
        " it is deleted. The default is 30 days.",
    ]

    @property
    def is_open(self) -> bool:
        """Whether callers need no key: in development, as long as none is set."""
        return self.environment == "development" and not self.secrets and not self.roles

    @property
    def secrets(self) -> tuple[str, ...]:
        """The deployment's own keys."""
        keys = (self.proxy_api_key, self.metrics_token, self.admin_token)
        return tuple(key for key in keys if key)


class ServerSettings(Struct, frozen=True, kw_only=True):
    """Requests and their memory."""

    max_body_bytes: Annotated[
        int,
        Setting("MAX_BODY_BYTES", str(20 * _MEGABYTE), whole(1024, 100 * _MEGABYTE)),
        "Bytes that a request's body may have, decoded. Never more than `BODY_MEMORY_BYTES`.",
    ]
    body_memory_bytes: Annotated[
        int,
        Setting("BODY_MEMORY_BYTES", str(24 * _MEGABYTE), whole(1024, 100 * _MEGABYTE)),
        "Bytes of bodies, large answers and kept streams that an isolate has under way together."
        " Each takes up to three bytes of its memory ([how they add up](deployment.md#memory));"
        " what finds no room gets 503 with `Retry-After`.",
    ]
    cors_origins: Annotated[
        tuple[str, ...],
        Setting("CORS_ORIGINS", "", ORIGINS),
        "Origins whose pages may call the proxy, separated by commas, or `*` for all.",
    ]
    on_client_gone: Annotated[
        OnClientGone,
        Setting("ON_CLIENT_GONE", "abort", one_of(OnClientGone)),
        "What becomes of a stream whose caller has left. `abort` closes the provider's connection;"
        " `finish` reads on (the platform allows 30 s), so that the answer can be cached. What was"
        " used is counted either way.",
    ]
    log_prompts: Annotated[
        bool,
        Setting("LOG_PROMPTS", "off", SWITCH),
        "`on`: each prompt is logged, in a line of its own, up to 50,000 characters of it, and the"
        " request log keeps what providers said of failed attempts. Without it no prompt is ever"
        " logged, nor what may quote one.",
    ]
    passthrough: Annotated[
        bool,
        Setting("PASSTHROUGH", "on", SWITCH),
        "`off`: nothing is [passed on as it is](passthrough.md), neither under `/p/PROVIDER`,"
        " `/openai`, `/anthropic` and `/genai` nor at the endpoints of images, audio, moderation"
        " and the like.",
    ]
    subrequest_limit: Annotated[
        int,
        Setting("SUBREQUEST_LIMIT", "10000", whole(50, 1_000_000)),
        "Subrequests that Cloudflare's plan grants an invocation: 10,000 on the paid plan, 50 on"
        " the free one. [A batch](api-reference.md#batch) that may need more is run in parts.",
    ]


class ResponseSettings(Struct, frozen=True, kw_only=True):
    """Responses that are kept, for `previous_response_id` and `GET /v1/responses/ID`."""

    is_kept: Annotated[
        bool,
        Setting("RESPONSES_STORE", "on", SWITCH),
        "`on`: a response is kept unless its request says `store: false`. `off`: none is, and"
        " what refers to one is refused.",
    ]
    ttl: Annotated[
        int,
        Setting("RESPONSES_TTL", "2592000", whole(60, _YEAR)),
        "Seconds for which a response is kept. The default is 30 days. Of each key the newest"
        " 10,000 are kept, and 512 MB.",
    ]


class CacheSettings(Struct, frozen=True, kw_only=True):
    """The cache."""

    ttl: Annotated[
        int,
        Setting("CACHE_TTL", "3600", whole(0, _YEAR)),
        "Seconds that an answer is fresh, where the request says nothing. With 0 only requests"
        " that give a ttl are cached.",
    ]
    grace: Annotated[
        int,
        Setting("CACHE_GRACE", "86400", whole(0, _YEAR)),
        "Seconds that an expired answer is kept for the time when every provider fails.",
    ]
    scope: Annotated[
        CacheScope,
        Setting("CACHE_SCOPE", "tenant", one_of(CacheScope)),
        "`tenant`: a key's user sees its own entries only; `shared`: all see all.",
    ]
    coalesce: Annotated[
        bool,
        Setting("CACHE_COALESCE", "off", SWITCH),
        "`on`: identical requests at once reach the provider once; each miss then costs two calls"
        " of a Durable Object.",
    ]
    timeout_ms: Annotated[
        int,
        Setting("CACHE_TIMEOUT_MS", "50", whole(1, 10_000)),
        "Milliseconds that a read of KV or R2 may take before it counts as a miss.",
    ]
    memory_entries: Annotated[
        int,
        Setting("CACHE_MEMORY_ENTRIES", "1000", whole(0, 1_000_000)),
        "Entries that an isolate keeps in memory.",
    ]
    memory_bytes: Annotated[
        int,
        Setting("CACHE_MEMORY_BYTES", str(4 * _MEGABYTE), whole(0, 64 * _MEGABYTE)),
        "Bytes that the entries in memory may take.",
    ]


class PrivacySettings(Struct, frozen=True, kw_only=True):
    """Personal data and secrets in prompts and answers ([what is done with them](privacy.md))."""

    guardrail: Annotated[
        GuardrailMode,
        Setting("GUARDRAIL", "off", one_of(GuardrailMode)),
        "What becomes of personal data and secrets in a request before a provider sees it. `mask`:"
        " placeholders stand for them, and the answer has them back. `refuse`: the request gets"
        " 400. Either way what can't be looked at is refused.",
    ]
    guardrail_kinds: Annotated[
        tuple[str, ...],
        Setting("GUARDRAIL_KINDS", "email, card, iban, key, jwt, private_key", some_of(Kind)),
        "What the guardrail looks for, beside `REDACT_PATTERNS`.",
    ]
    patterns: Annotated[
        tuple[OwnPattern, ...],
        Setting("REDACT_PATTERNS", "", OWN_PATTERNS, example="STAFF=EMP-[0-9]{6}"),
        "Patterns of your own that the guardrail and the body log look for: lines `NAME=PATTERN`,"
        " or a JSON object. Only what takes a bounded time is allowed"
        " ([which](privacy.md#patterns-of-your-own)).",
    ]


class BodyLogSettings(Struct, frozen=True, kw_only=True):
    """The [body log](privacy.md#the-body-log): requests and answers in R2, redacted."""

    enabled: Annotated[
        bool,
        Setting("BODY_LOG", "off", SWITCH),
        "`on`: requests and answers of models are kept, without the personal data and secrets that"
        " are found in them. It needs the R2 bucket and `ANALYTICS`.",
    ]
    ttl: Annotated[
        int,
        Setting("BODY_LOG_TTL", "604800", whole(60, _YEAR)),
        "Seconds for which they are kept. The default is 7 days.",
    ]
    most_bytes: Annotated[
        int,
        Setting("BODY_LOG_BYTES", str(_MEGABYTE // 4), whole(1024, 4 * _MEGABYTE)),
        "Bytes that are kept of each; what is longer is cut.",
    ]


class AnalyticsSettings(Struct, frozen=True, kw_only=True):
    """Figures."""

    enabled: Annotated[
        bool,
        Setting("ANALYTICS", "on", SWITCH),
        "`off`: nothing is counted, and no data point is written; each request still has its line"
        " in the log.",
    ]
    shards: Annotated[
        int,
        Setting("ANALYTICS_SHARDS", "1", whole(1, 32)),
        "Durable Objects among which the isolates' figures are spread; they are merged on read."
        " One counts some hundreds of requests a second.",
    ]


MetricsExporter = Literal["none", "otlp"]


class TraceSettings(Struct, frozen=True, kw_only=True):
    """The collector of traces and metrics."""

    endpoint: Annotated[
        str | None,
        Setting("OTEL_EXPORTER_OTLP_ENDPOINT", "", BASE_URL, example="http://127.0.0.1:4318"),
        "The base URL of an OpenTelemetry collector; `/v1/traces` and `/v1/metrics` are appended"
        " ([what is sent](#traces)). https, or plain http to loopback. None: nothing is sent.",
    ]
    headers: Annotated[
        dict[str, str],
        Setting("OTEL_EXPORTER_OTLP_HEADERS", "", HEADERS, example="authorization=Bearer%20KEY"),
        "What the collector is sent to know the proxy by (secret): `name=value` between commas,"
        " values percent-encoded.",
    ]
    service_name: Annotated[
        str,
        Setting("OTEL_SERVICE_NAME", "ai-edge-proxy", TEXT),
        "What the proxy is called in traces and metrics (`service.name`).",
    ]
    metrics: Annotated[
        MetricsExporter,
        Setting("OTEL_METRICS_EXPORTER", "none", one_of(MetricsExporter)),
        "`otlp`: the collector is sent [metrics](#opentelemetrys-metrics) too.",
    ] = "none"


class Settings(Struct, frozen=True, kw_only=True):
    """All sections; a room receives its own."""

    access: AccessSettings
    server: ServerSettings
    cache: CacheSettings
    responses: ResponseSettings
    privacy: PrivacySettings
    body_log: BodyLogSettings
    limits: LimitSettings
    routing: RoutingSettings
    analytics: AnalyticsSettings
    traces: TraceSettings
