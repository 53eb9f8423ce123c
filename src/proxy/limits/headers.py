"""How a caller stands with its limits, as headers tell it."""

import math
from collections.abc import Iterable

from proxy.core.permit import Standing


def limit_headers(standings: Iterable[Standing], *, openai: bool) -> dict[str, str]:
    """`RateLimit-Policy` and `RateLimit` (draft-ietf-httpapi-ratelimit-headers-10), and OpenAI's
    `x-ratelimit-*` where its SDKs may look for them."""
    policies, states, told = [], [], {}
    for standing in standings:
        window = math.ceil(standing.window)
        policies.append(f'"{standing.limit}";q={standing.quota};w={window}')
        states.append(f'"{standing.limit}";r={standing.remaining};t={math.ceil(standing.reset)}')
        if openai:
            what = "tokens" if standing.limit == "tokens_per_minute" else "requests"
            told[f"x-ratelimit-limit-{what}"] = str(standing.quota)
            told[f"x-ratelimit-remaining-{what}"] = str(standing.remaining)
            told[f"x-ratelimit-reset-{what}"] = _duration(standing.reset)
    if policies:
        told["ratelimit-policy"] = ", ".join(policies)
        told["ratelimit"] = ", ".join(states)
    return told


def _duration(seconds: float) -> str:
    """A time as OpenAI writes it: `0s`, `59s`, `6m0s`."""
    minutes, rest = divmod(math.ceil(seconds), 60)
    return f"{minutes}m{rest}s" if minutes else f"{rest}s"
