"""What an event says, under OpenTelemetry's names where there are any: for the log and the spans.

The names are those of its semantic conventions for HTTP (1.41), and for generative AI in the
repository of their own into which they moved after it: still in development, so look there when
a backend knows others. What they have no name for is `proxy.…`. What is not known is left out.
No prompt and no secret: an event holds none.
"""

from typing import TypeAlias

from proxy.analytics.event import ITEM, Event
from proxy.core.chat import Attempt

Value: TypeAlias = str | int | float | bool
Attributes: TypeAlias = dict[str, Value]
Told: TypeAlias = dict[str, Value | None]
"""Attributes among which some may be unknown: None, or an empty text."""

OPERATIONS = {
    "/v1/generate": "chat",
    ITEM: "chat",
    "/v1/chat/completions": "chat",
    "/v1/embeddings": "embeddings",
}
"""What is asked of a model at an endpoint."""
UNSENT = ("limited", "breaker_open")
"""Outcomes of attempts that reached no provider."""

_PROVIDERS = {"gemini": "gcp.gemini"}
_METHODS = frozenset(
    {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "CONNECT", "OPTIONS", "TRACE"}
)


def provider_name(provider: str) -> str:
    """The conventions' name of a provider; its own where they have none."""
    return _PROVIDERS.get(provider, provider)


def http(event: Event) -> Told:
    """The request as HTTP, who sent it, and its error."""
    return {
        "http.request.method": event.method if event.method in _METHODS else "_OTHER",
        "http.route": event.endpoint,
        "http.response.status_code": event.status,
        "http.request.body.size": event.bytes_in,
        "http.response.body.size": event.bytes_out,
        "error.type": event.error,
        "enduser.id": event.user,
        "geo.country.iso_code": event.country,
    }


def gen_ai(event: Event) -> Told:
    """The request as one to a model; nothing where it is none."""
    operation = OPERATIONS.get(event.endpoint)
    if operation is None:
        return {}
    return {
        "gen_ai.operation.name": operation,
        "gen_ai.provider.name": provider_name(event.provider),
        "gen_ai.request.model": event.asked,
        "gen_ai.request.stream": event.stream or None,
        "gen_ai.response.model": event.model,
        "gen_ai.response.time_to_first_chunk": _seconds(event.first_ms),
        **_usage(event),
    }


def gen_ai_attempt(event: Event, attempt: Attempt, won: bool) -> Told:
    """One attempt as a call of a model. won: it is the one that answered."""
    told: Told = {
        "gen_ai.operation.name": OPERATIONS.get(event.endpoint, "chat"),
        "gen_ai.provider.name": provider_name(attempt.provider),
        "gen_ai.request.model": attempt.model,
        "gen_ai.request.stream": event.stream or None,
        "http.response.status_code": attempt.status,
    }
    if won:
        told["gen_ai.response.model"] = event.model
        told["gen_ai.response.time_to_first_chunk"] = (
            attempt.ms / 1000 if event.first_ms is not None else None
        )
        told |= _usage(event)
    return told


def own(event: Event) -> Told:
    """What only this proxy knows of."""
    return {
        "proxy.request_id": event.id,
        "proxy.key_id": event.key_id,
        "proxy.dialect": event.dialect if event.endpoint in OPERATIONS else None,
        "proxy.strategy": event.strategy,
        "proxy.duration_ms": event.ms,
        "proxy.attempts": ", ".join(f"{a.provider}:{a.outcome}" for a in event.attempts),
        "proxy.error.source": event.source,
        "proxy.cache.status": event.cache,
        "proxy.cache.tier": event.tier,
        "proxy.cache.key": event.prompt,
        "proxy.stream.ended": event.ended,
        "proxy.cost.usd": None if event.cost is None else event.cost / 1e9,
        "proxy.cost.origin": event.cost_origin,
        "proxy.cost.saved_usd": event.saved / 1e9 or None,
        "proxy.colo": event.colo,
    }


def _usage(event: Event) -> Told:
    return {
        "gen_ai.usage.input_tokens": event.input,
        "gen_ai.usage.output_tokens": event.output,
        "gen_ai.usage.cache_read.input_tokens": event.cached,
        "gen_ai.usage.reasoning.output_tokens": event.reasoning,
    }


def _seconds(ms: int | None) -> float | None:
    return None if ms is None else ms / 1000


def known(told: Told) -> Attributes:
    """Without what is not known."""
    return {name: value for name, value in told.items() if value is not None and value != ""}
