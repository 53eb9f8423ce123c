"""The deployment's settings: read once an isolate from the Worker's vars and secrets.

`SETTINGS` is the list of all that there is; docs/configuration.md and .env.example are tested
against it. What makes no sense is told in one message that lists all that is wrong.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal, NamedTuple, TypeVar

from msgspec import Struct

from proxy.core.settings_values import (
    balance,
    check_url,
    collector,
    flag,
    headers,
    one_of,
    origins,
    secret,
    shares,
    switch,
    whole,
    words,
)

T = TypeVar("T")

CacheScope = Literal["tenant", "shared"]
Environment = Literal["development", "staging", "production"]
OnError = Literal["open", "closed"]
OnClientGone = Literal["abort", "finish"]
BudgetUnpriced = Literal["refuse", "tier_max"]
RoutingStrategy = Literal["priority", "cheapest", "fastest", "reliable", "balanced", "weighted"]


class ConfigError(Exception):
    """The settings make no sense; the message lists every fault."""


class ProviderAccess(Struct, frozen=True):
    """How this deployment reaches a provider; None: the catalogue's base URL, no key."""

    base_url: str | None = None
    key: str | None = None
    embeddings_url: str | None = None
    per_hour: int | None = None
    burst: int | None = None
    """The limits of each user there; None: those of the deployment."""


class Config(Struct, frozen=True, kw_only=True):
    """The settings, typed. The fields are named after their variables."""

    environment: Environment
    proxy_api_key: str | None
    admin_token: str | None
    fallback_chain: tuple[str, ...]
    disabled_providers: tuple[str, ...]
    ai_binding: bool
    request_timeout_ms: int
    first_byte_timeout_ms: int
    idle_timeout_ms: int
    max_body_bytes: int
    body_memory_bytes: int
    cors_origins: tuple[str, ...]
    cache_ttl: int
    cache_grace: int
    cache_scope: CacheScope
    cache_coalesce: bool
    cache_timeout_ms: int
    cache_memory_entries: int
    cache_memory_bytes: int
    rate_limit_per_hour: int
    rate_limit_burst: int
    rate_limit_floor_per_hour: int
    rate_limit_lease: int
    rate_limit_adaptive: bool
    budget_unpriced: BudgetUnpriced
    budget_default_max_tokens: int
    limiter_on_error: OnError
    limiter_timeout_ms: int
    limiter_forget_seconds: int
    keys_revoked_retention: int
    routing_strategy: RoutingStrategy
    routing_balance: dict[str, float]
    routing_weights: dict[str, float]
    routing_sticky: bool
    retry_attempts: int
    retry_delay_ms: int
    hedge_after_ms: int
    breaker_slow_ms: int
    on_client_gone: OnClientGone
    analytics: bool
    analytics_shards: int
    log_prompts: bool
    profile: bool
    otel_exporter_otlp_endpoint: str | None
    otel_exporter_otlp_headers: dict[str, str]
    otel_service_name: str
    subrequest_limit: int
    providers: dict[str, ProviderAccess]
    """What is set of `<PROVIDER>_API_KEY` and the other PROVIDER_SETTINGS."""

    @property
    def open(self) -> bool:
        """Whether callers need no key: in development, as long as none is set."""
        return self.environment == "development" and not (self.proxy_api_key or self.admin_token)

    @property
    def secrets(self) -> tuple[str, ...]:
        """All that is set and is to be shown nobody."""
        keys = (access.key for access in self.providers.values())
        own = (self.proxy_api_key, self.admin_token, *self.otel_exporter_otlp_headers.values())
        return tuple(filter(None, (*keys, *own)))


class Setting(NamedTuple):
    """A variable: its default as one would write it, how it is read, what it is for."""

    name: str
    default: str
    read: Callable[[str], Any]
    meaning: str


SETTINGS = (
    Setting(
        "ENVIRONMENT",
        "production",
        one_of(Environment),
        "development, staging or production. Only development is open without a key.",
    ),
    Setting("PROXY_API_KEY", "", secret, "The one key of a single-key deployment (secret)."),
    Setting("ADMIN_TOKEN", "", secret, "Opens everything, the operators' paths too (secret)."),
    Setting(
        "FALLBACK_CHAIN",
        "gemini,deepseek,groq,openai",
        words,
        "The order in which providers are tried; configured ones that it lacks come after it.",
    ),
    Setting("DISABLED_PROVIDERS", "", words, "Providers that are never used, though configured."),
    Setting(
        "AI_BINDING",
        "on",
        switch,
        "off: the AI binding can't answer here (as under wrangler dev --local), and is not used.",
    ),
    Setting(
        "REQUEST_TIMEOUT_MS",
        "300000",
        whole(1, 600_000),
        "Milliseconds for all attempts together, up to a stream's first content.",
    ),
    Setting(
        "FIRST_BYTE_TIMEOUT_MS",
        "30000",
        whole(1, 600_000),
        "Milliseconds that a streaming provider has until its answer begins.",
    ),
    Setting(
        "IDLE_TIMEOUT_MS",
        "30000",
        whole(1, 600_000),
        "Milliseconds of silence in a provider's answer after which it is given up.",
    ),
    Setting(
        "MAX_BODY_BYTES",
        str(20 * 1024 * 1024),
        whole(1024, 100 * 1024 * 1024),
        "Bytes that a request's body may have, decoded.",
    ),
    Setting(
        "BODY_MEMORY_BYTES",
        str(24 * 1024 * 1024),
        whole(1024, 100 * 1024 * 1024),
        "Bytes of bodies, answers and kept streams under way together; each takes up to three.",
    ),
    Setting("CORS_ORIGINS", "", origins, "Origins whose pages may call the proxy, or * for all."),
    Setting(
        "CACHE_TTL",
        "3600",
        whole(0, 31_622_400),
        "Seconds that an answer is fresh, where the request says nothing; 0: only on request.",
    ),
    Setting(
        "CACHE_GRACE",
        "86400",
        whole(0, 31_622_400),
        "Seconds that an expired answer is kept for the time when every provider fails.",
    ),
    Setting(
        "CACHE_SCOPE",
        "tenant",
        one_of(CacheScope),
        "tenant: a key's user sees its own entries only; shared: all see all.",
    ),
    Setting(
        "CACHE_COALESCE",
        "off",
        switch,
        "on: identical requests at once reach the provider once, at a Durable Object's cost.",
    ),
    Setting(
        "CACHE_TIMEOUT_MS",
        "50",
        whole(1, 10_000),
        "Milliseconds that a read of KV or R2 may take before it counts as a miss.",
    ),
    Setting(
        "CACHE_MEMORY_ENTRIES",
        "1000",
        whole(0, 1_000_000),
        "Entries that an isolate keeps in memory.",
    ),
    Setting(
        "CACHE_MEMORY_BYTES",
        str(4 * 1024 * 1024),
        whole(0, 64 * 1024 * 1024),
        "Bytes that these may take.",
    ),
    Setting(
        "RATE_LIMIT_PER_HOUR",
        "1000",
        whole(0, 10_000_000),
        "Requests an hour that each user has at each provider; cache hits don't count.",
    ),
    Setting(
        "RATE_LIMIT_BURST",
        "50",
        whole(1, 1_000_000),
        "Requests at once that each user has at each provider.",
    ),
    Setting(
        "RATE_LIMIT_FLOOR_PER_HOUR",
        "60",
        whole(0, 10_000_000),
        "Requests an hour that a user keeps at a provider that is short.",
    ),
    Setting(
        "RATE_LIMIT_LEASE",
        "16",
        whole(1, 1000),
        "Tokens that an isolate may take from a bucket at a time; 1: one call a request (strict).",
    ),
    Setting(
        "RATE_LIMIT_ADAPTIVE",
        "on",
        switch,
        "on: a provider's 429s and rate-limit headers shrink its buckets for a while.",
    ),
    Setting(
        "BUDGET_UNPRICED",
        "refuse",
        one_of(BudgetUnpriced),
        "refuse: a key with a budget may not ask a model without a known price; tier_max: such a"
        " model counts at the highest price known of its provider's models.",
    ),
    Setting(
        "BUDGET_DEFAULT_MAX_TOKENS",
        "0",
        whole(0, 10_000_000),
        "Tokens that an answer to a key with a budget may have, where the request gives no limit;"
        " 0: as many as the model can.",
    ),
    Setting(
        "LIMITER_ON_ERROR",
        "open",
        one_of(OnError),
        "open: requests pass while the limiter is out of reach; closed: they are refused.",
    ),
    Setting(
        "LIMITER_TIMEOUT_MS",
        "1000",
        whole(1, 10_000),
        "Milliseconds after which the limiter counts as out of reach.",
    ),
    Setting(
        "LIMITER_FORGET_SECONDS",
        "600",
        whole(1, 86_400),
        "Seconds after which a limiter's object that has nothing to remember drops its state.",
    ),
    Setting(
        "KEYS_REVOKED_RETENTION",
        "2592000",
        whole(0, 31_622_400),
        "Seconds for which keys that were revoked or have expired are kept; then they are deleted.",
    ),
    Setting(
        "ROUTING_STRATEGY",
        "priority",
        one_of(RoutingStrategy),
        "The order of the candidates, where the request says nothing.",
    ),
    Setting(
        "ROUTING_BALANCE",
        "cost=1, latency=1, success=1",
        balance,
        "What balanced weighs, and how much.",
    ),
    Setting(
        "ROUTING_WEIGHTS",
        "",
        shares,
        "Shares of the traffic for weighted, by provider or provider/model: openai=90, groq=10.",
    ),
    Setting("ROUTING_STICKY", "off", switch, "on: weighted keeps each user on one side."),
    Setting(
        "RETRY_ATTEMPTS",
        "2",
        whole(1, 5),
        "How often a provider is tried for one request before the next one is.",
    ),
    Setting(
        "RETRY_DELAY_MS",
        "250",
        whole(0, 5000),
        "Milliseconds before the first retry at most; each that follows may wait twice as long.",
    ),
    Setting(
        "HEDGE_AFTER_MS",
        "0",
        whole(0, 600_000),
        "Milliseconds after which the next candidate is asked too, the faster wins; 0: never.",
    ),
    Setting(
        "BREAKER_SLOW_MS",
        "20000",
        whole(0, 600_000),
        "Milliseconds to a stream's first content from which on it counts as a failure; 0: never.",
    ),
    Setting(
        "ON_CLIENT_GONE",
        "abort",
        one_of(OnClientGone),
        "What becomes of a stream whose caller has left: abort, or finish (to cache it).",
    ),
    Setting(
        "ANALYTICS",
        "on",
        switch,
        "off: nothing is counted, but each request still has its line in the log.",
    ),
    Setting(
        "ANALYTICS_SHARDS",
        "1",
        whole(1, 32),
        "Durable Objects among which the isolates' figures are spread; they are merged on read.",
    ),
    Setting("LOG_PROMPTS", "off", switch, "on: the prompts are logged, a line each."),
    Setting(
        "PROFILE",
        "0",
        flag,
        "1: logs where each request's time went. In development only.",
    ),
    Setting(
        "OTEL_EXPORTER_OTLP_ENDPOINT",
        "",
        collector,
        "The base URL of the collector that traces are sent to; none: they are not.",
    ),
    Setting(
        "OTEL_EXPORTER_OTLP_HEADERS",
        "",
        headers,
        "What it is sent to know us by (secret): name=value, percent-encoded, between commas.",
    ),
    Setting("OTEL_SERVICE_NAME", "ai-edge-proxy", str, "What the proxy is called in traces."),
    Setting(
        "SUBREQUEST_LIMIT",
        "10000",
        whole(50, 1_000_000),
        "Subrequests that Cloudflare's plan grants an invocation: 50 on the free plan.",
    ),
)

PROVIDER_SETTINGS = {
    "API_KEY": "The provider's key (secret). A provider without its key is not used.",
    "BASE_URL": "What the provider's own SDK takes for a base URL, if not the provider's own.",
    "EMBEDDINGS_BASE_URL": "Where its embeddings are served, if not under the base URL.",
    "RATE_LIMIT_PER_HOUR": "Requests an hour of each user there, if not RATE_LIMIT_PER_HOUR.",
    "RATE_LIMIT_BURST": "Requests at once of each user there, if not RATE_LIMIT_BURST.",
}
"""Settings that each provider has: the name's end and what it is for."""


def variable(provider: str, end: str) -> str:
    """The name of a provider's setting: variable("workers-ai", "BASE_URL")."""
    return f"{provider.upper().replace('-', '_')}_{end}"


def read_one(env: Mapping[str, str], name: str) -> Any:
    """A single setting, for who needs no more; its default where it makes no sense."""
    setting = next(setting for setting in SETTINGS if setting.name == name)
    try:
        return setting.read(env.get(name, "").strip() or setting.default)
    except ValueError:
        return setting.read(setting.default)


def read(env: Mapping[str, str], providers: Iterable[str]) -> Config:
    """Reads the settings. `providers`: the catalogue's names. Raises ConfigError."""
    wrong: list[str] = []
    values: dict[str, Any] = {}
    known = tuple(providers)
    for setting in SETTINGS:
        text = env.get(setting.name, "").strip() or setting.default
        try:
            values[setting.name.lower()] = setting.read(text)
        except ValueError as error:
            wrong.append(f"{setting.name} {error}")
    for name in ("fallback_chain", "disabled_providers"):
        named = values.get(name, ())
        strangers = [word for word in named if word not in known]
        if strangers and env.get(name.upper()):  # the default may name what a user took out
            wrong.append(
                f"{name.upper()} names {', '.join(strangers)}; there are {', '.join(known)}"
            )
        values[name] = tuple(word for word in named if word in known)
    strangers = [w for w in values.get("routing_weights", ()) if w.partition("/")[0] not in known]
    if strangers:
        wrong.append(f"ROUTING_WEIGHTS names {', '.join(strangers)}; there are {', '.join(known)}")
    local = values.get("environment") == "development"
    values["profile"] = local and values.get("profile", False)
    access = {name: _access(name, env, local, wrong) for name in known}
    if wrong:
        raise ConfigError("The settings are wrong: " + "; ".join(wrong) + ".")
    return Config(**values, providers=access)


def _access(provider: str, env: Mapping[str, str], local: bool, wrong: list[str]) -> ProviderAccess:
    def get(end: str, check: Callable[[str], T]) -> T | None:
        name = variable(provider, end)
        try:
            return check(env.get(name, "").strip())
        except ValueError as error:
            wrong.append(f"{name} {error}")
            return None

    def url(text: str) -> str | None:
        if text:
            check_url(text, local)
        return text.rstrip("/") or None

    def number(low: int, high: int) -> Callable[[str], int | None]:
        return lambda text: whole(low, high)(text) if text else None

    return ProviderAccess(
        base_url=get("BASE_URL", url),
        key=get("API_KEY", secret),
        embeddings_url=get("EMBEDDINGS_BASE_URL", url),
        per_hour=get("RATE_LIMIT_PER_HOUR", number(0, 10_000_000)),
        burst=get("RATE_LIMIT_BURST", number(1, 1_000_000)),
    )
