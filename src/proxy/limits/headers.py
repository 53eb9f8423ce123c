"""How a caller stands with its limits, as headers."""

import math
from collections.abc import Iterable
from typing import Literal

from proxy.core.permit import Standing
from proxy.core.time import format_time

Vendor = Literal["openai", "anthropic"]


def build_limit_headers(
    standings: Iterable[Standing], vendor: Vendor | None, now: float
) -> dict[str, str]:
    """`RateLimit-Policy` and `RateLimit` (draft-ietf-httpapi-ratelimit-headers-10), and those that
    the SDKs of `vendor` look for. now: seconds since 1970."""
    policies, states, headers = [], [], {}
    for standing in standings:
        name, window, reset = standing.limit, math.ceil(standing.window), math.ceil(standing.reset)
        policies.append(f'"{name}";q={standing.quota};w={window}')
        states.append(f'"{name}";r={standing.remaining};t={reset}')
        unit = "tokens" if name == "tokens_per_minute" else "requests"
        if vendor == "anthropic":
            prefix = f"anthropic-ratelimit-{unit}"
            headers[f"{prefix}-limit"] = str(standing.quota)
            headers[f"{prefix}-remaining"] = str(standing.remaining)
            headers[f"{prefix}-reset"] = format_time(math.ceil(now + reset) * 1000)
        if vendor == "openai":
            headers[f"x-ratelimit-limit-{unit}"] = str(standing.quota)
            headers[f"x-ratelimit-remaining-{unit}"] = str(standing.remaining)
            headers[f"x-ratelimit-reset-{unit}"] = _format_duration(reset)
    if policies:
        headers["ratelimit-policy"] = ", ".join(policies)
        headers["ratelimit"] = ", ".join(states)
    return headers


def _format_duration(seconds: int) -> str:
    """A duration as OpenAI writes it: `0s`, `59s`, `6m0s`."""
    minutes, rest = divmod(seconds, 60)
    return f"{minutes}m{rest}s" if minutes else f"{rest}s"
