"""Requests and windows that leave nothing to chance."""

from collections.abc import Callable, Sequence
from typing import Any

from proxy.analytics.insights import (
    find_insights,
)
from proxy.analytics.insights.model import Market, Observations, Pair
from proxy.analytics.insights.sampling import PARTS
from proxy.analytics.record.request_record import RequestRecord
from proxy.core.chat import Attempt
from tests.unit.analytics.traffic import DAY, NOW, TTL, Prices, observe

Make = Callable[[int], dict[str, Any]]


def spread_out(count: int, make: Make, parts: int = PARTS) -> list[RequestRecord]:
    """Events evenly over so many parts of the day. make: what each has beside."""
    length = DAY * 1000 // PARTS
    base = {"endpoint": "/v1/chat", "status": 200, "ms": 10}
    return [
        RequestRecord(
            **{
                **base,
                "at": NOW - DAY * 1000 + n % parts * length + n // parts * 100,
                "id": f"{n}",
                **make(n),
            }
        )
        for n in range(count)
    ]


EDGES = spread_out(2, lambda n: {"id": f"edge{n}", "at": NOW - n * DAY * 1000, "ms": 1}, 1)
"""They make the log a day long."""


def window_of(
    *records: list[RequestRecord],
    past: Sequence[RequestRecord] = (),
    market: Market | None = None,
) -> Observations:
    all_ = [*EDGES, *(record for some in records for record in some)]
    return Observations(
        now=NOW,
        seconds=DAY,
        **observe(all_, past),
        ttl=TTL,
        market=market or Prices(),
    )


def rules(window: Observations) -> set[str]:
    return {insight.id.partition(":")[0] for insight in find_insights(window)}


def by(pair: Pair, **more: Any) -> dict[str, Any]:
    tried = Attempt(provider=pair[0], model=pair[1], outcome="ok", ms=more.pop("took", 10))
    return {"provider": pair[0], "model": pair[1], "attempts": (tried,), **more}


def requests_of(user: str, count: int, failed: int = 0, status: int = 400) -> list[RequestRecord]:
    wrong = {"status": status, "error": "wrong", "source": "proxy", "endpoint": f"/v1/{user}"}
    return spread_out(
        count, lambda n: {"user": user, "id": f"{user}{n}", **(wrong if n < failed else {})}
    )
