"""How a caller stands with its limits, as headers."""

import math
from collections.abc import Iterable

from proxy.core.permit import Standing


def build_limit_headers(standings: Iterable[Standing], *, openai: bool) -> dict[str, str]:
    """`RateLimit-Policy` and `RateLimit` (draft-ietf-httpapi-ratelimit-headers-10), and OpenAI's
    `x-ratelimit-*` where its SDKs may look for them."""
    policies, states, headers = [], [], {}
    for standing in standings:
        name, window, reset = standing.limit, math.ceil(standing.window), math.ceil(standing.reset)
        policies.append(f'"{name}";q={standing.quota};w={window}')
        states.append(f'"{name}";r={standing.remaining};t={reset}')
        if openai:
            unit = "tokens" if name == "tokens_per_minute" else "requests"
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
