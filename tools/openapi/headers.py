"""The headers of requests and answers, each described once."""

from typing import get_args

from proxy.core.cache_control import LONGEST_TTL
from proxy.dialects import cloudflare, session, tags
from proxy.dialects.contract import LimitHeaders
from tools.openapi.schemas import JSON, STRING

_COUNT: JSON = {"type": "integer", "minimum": 0}

ANSWERED: dict[str, tuple[str, JSON]] = {
    "x-request-id": ("The request's id, also in the log line.", STRING),
    "x-content-type-options": ("`nosniff`", {"const": "nosniff"}),
    "server-timing": ("The stages of the request in ms (`auth`, `cache`, `upstream`, …).", STRING),
    "vary": ("`Origin`, where the deployment has `CORS_ORIGINS`.", STRING),
    "access-control-allow-origin": ("An allowed origin's own name.", STRING),
    "access-control-expose-headers": ("The headers that a page of it may read.", STRING),
    "request-id": ("The same as `x-request-id`, where Anthropic's SDKs look for it.", STRING),
    "x-should-retry": ("`false` where another try can't help.", {"const": "false"}),
    "retry-after": ("Whole seconds after which another try may help.", _COUNT),
    "www-authenticate": ("`Bearer`", {"const": "Bearer"}),
    "allow": ("The methods of the path.", STRING),
    "location": ("Where it is.", STRING),
    "content-disposition": ("The name of the file, of CSV.", STRING),
    "cache-control": ("`no-store`", {"const": "no-store"}),
    "etag": ("What it is like now, for `If-Match`.", STRING),
    "ratelimit-policy": ("Each limit of the request: its quota and window in s.", STRING),
    "ratelimit": ("What is left of each limit, and when it is whole again.", STRING),
    "x-proxy-provider": ("The provider that answered.", STRING),
    "x-proxy-model": ("The model that answered, percent-encoded.", STRING),
    "x-proxy-cost": ("US dollars; only whole answers of a known price.", STRING),
    "x-proxy-cost-origin": ("Who says so.", {"enum": ["provider", "computed", "estimated"]}),
    "x-proxy-dropped": ("Parameters that the proxy left out.", STRING),
    "x-proxy-estimate": ("`true`: the proxy's own estimate.", {"const": "true"}),
    "x-proxy-cache-key": ("The cache's key of a hit.", STRING),
    "deprecation": ("When the end of the model was announced (RFC 9745).", STRING),
    "sunset": ("The first day on which the model does not answer (RFC 8594).", STRING),
    "cache-status": ("What the cache did (RFC 9211).", STRING),
    "age": ("Seconds since the answer was stored.", _COUNT),
    cloudflare.STEP: ("The number of failed attempts before the answer.", _COUNT),
    cloudflare.CACHE_STATUS: ("What the cache did.", {"enum": ["HIT", "MISS", "BYPASS"]}),
}
for _unit in ("requests", "tokens"):
    for _part in ("limit", "remaining", "reset"):
        _same = f"`{'RateLimit' if _part != 'limit' else 'RateLimit-Policy'}`"
        ANSWERED[f"x-ratelimit-{_part}-{_unit}"] = (f"{_same} in OpenAI's form.", STRING)
        ANSWERED[f"anthropic-ratelimit-{_unit}-{_part}"] = (f"{_same} in Anthropic's form.", STRING)

EVERY = (
    *("x-request-id", "x-content-type-options", "server-timing"),
    *("vary", "access-control-allow-origin", "access-control-expose-headers"),
)
"""Of every answer of the Worker."""
LIMITS = ("ratelimit-policy", "ratelimit")
SERVED = (
    *("x-proxy-provider", "x-proxy-model", cloudflare.STEP, "x-proxy-dropped"),
    *("x-proxy-cost", "x-proxy-cost-origin", "deprecation", "sunset"),
)
CACHED = ("cache-status", "age", cloudflare.CACHE_STATUS, "x-proxy-cache-key")
NO_STORE = ("cache-control",)
TAGGED = ("etag", *NO_STORE)
ESTIMATED = ("x-proxy-estimate", *NO_STORE)


def list_limits(vendor: LimitHeaders) -> tuple[str, ...]:
    """The headers of limits in a dialect."""
    begin = {"openai": "x-ratelimit-", "anthropic": "anthropic-ratelimit-"}.get(vendor or "")
    return LIMITS + tuple(name for name in ANSWERED if begin and name.startswith(begin))


def _number(least: int, most: int) -> JSON:
    return {"type": "integer", "minimum": least, "maximum": most}


SESSION = (session.OWN, *session.HEADERS)
SENT: dict[str, tuple[str, JSON]] = {
    "x-request-id": (
        "The request's id, if it has this form; otherwise the proxy makes one.",
        STRING,
    ),
    "if-match": ("An `etag` that was read: 412 where it has changed since.", STRING),
    "traceparent": ("W3C Trace Context, for the provider and the proxy's own spans.", STRING),
    "tracestate": ("W3C Trace Context.", STRING),
    cloudflare.TIMEOUT: ("The time of all attempts in ms.", _number(1, 600_000)),
    cloudflare.ATTEMPTS: ("Attempts at each provider.", _number(1, cloudflare.MOST_ATTEMPTS)),
    cloudflare.DELAY: ("Before the second attempt, in ms.", _number(0, 5_000)),
    cloudflare.BACKOFF: (
        "How the delay grows.",
        {"type": "string", "enum": [*get_args(cloudflare.OptionBackoff)]},
    ),
    cloudflare.METADATA: (
        "A JSON object of labels for the request log.",
        {"json": cloudflare._LABELS.type},
    ),
    tags.TAGS: ("Tags of the request, between commas, for their budgets.", STRING),
    cloudflare.COLLECT_PAYLOAD: ("`false`: the body log keeps neither body.", STRING),
    cloudflare.COLLECT_LOG: ("`false`: no line in the log, no row in the request log.", STRING),
    cloudflare.SKIP_CACHE: (
        "`true`: neither lookup nor storing.",
        {"type": "string", "enum": ["true", "false"]},
    ),
    cloudflare.CACHE_TTL: ("How long the answer is fresh, in s.", _number(1, LONGEST_TTL)),
    cloudflare.CACHE_KEY: (
        "The caller's own key in place of the request's meaning.",
        {"type": "string", "minLength": 1, "maxLength": 256, "pattern": "^[!-~]([ -~]*[!-~])?$"},
    ),
    "cache-control": ("`no-store`, `no-cache`, `max-age=SECONDS` or `only-if-cached`.", STRING),
    "x-proxy-explain": ("`1`, from an operator: why this provider.", STRING),
    "anthropic-version": (
        "For a provider of Messages; also chooses the form of the models.",
        STRING,
    ),
    "anthropic-beta": ("For a provider of Messages.", STRING),
} | dict.fromkeys(SESSION, ("The conversation that the request is a turn of.", STRING))

TRACED = ("x-request-id", "traceparent", "tracestate")
RETRIED = (cloudflare.TIMEOUT, cloudflare.ATTEMPTS, cloudflare.DELAY, cloudflare.BACKOFF)
LABELLED = (
    cloudflare.METADATA,
    tags.TAGS,
    cloudflare.COLLECT_LOG,
    cloudflare.COLLECT_PAYLOAD,
    *SESSION,
)
FROM_CACHE = (cloudflare.SKIP_CACHE, cloudflare.CACHE_TTL, cloudflare.CACHE_KEY, "cache-control")
STEERED = (*RETRIED, *FROM_CACHE, *LABELLED, "x-proxy-explain")
ANTHROPIC = ("anthropic-version", "anthropic-beta")
