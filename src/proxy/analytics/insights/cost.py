"""What the traffic would have cost elsewhere in the same tier: arithmetic on list prices."""

from proxy.analytics.insights.model import (
    Amount,
    Insight,
    Market,
    Observations,
    Pair,
    model_of,
    sum_groups,
)
from proxy.analytics.insights.words import format_percent
from proxy.analytics.store.totals import Totals
from proxy.core.chat import Usage
from proxy.core.money import format_dollars, to_dollars

ANSWERED = 100
"""Answers of a model below which there is no insight."""
LEAST_SAVING = 0.2
"""The least share that would have been saved,"""
LEAST_NANO = 10_000_000
"""and the least amount, in nano-dollars."""
EXPLAINED = 0.02
"""How far the cost may be from the tokens at list prices: where it is farther, not all tokens are
known, or the prices are others."""


def compare_prices(window: Observations) -> list[Insight]:
    """The cheapest alternative for each model that answered."""
    used = sum_groups(window.models, model_of)
    found = (_find_cheaper(name, totals, window.market) for name, totals in used.items())
    return [insight for insight in found if insight]


def _count_answers(used: Totals) -> int:
    return used.requests - used.hits - used.stale


def _find_cheaper(name: str, used: Totals, market: Market) -> Insight | None:
    if _count_answers(used) < ANSWERED or used.unpriced:
        return None
    provider, _, model = name.partition("/")
    cost = _price((provider, model), used, market, used.cached)
    if cost is None or abs(cost - used.cost) > EXPLAINED * used.cost:
        return None
    alternatives = market.alternatives(provider, model)
    prices = {other: _price(other, used, market, cached=0) for other in alternatives}
    known = sorted((price, other) for other, price in prices.items() if price is not None)
    if not known or cost - known[0][0] < max(LEAST_NANO, LEAST_SAVING * cost):
        return None
    return _describe(name, used, cost, known[0])


def _describe(name: str, used: Totals, cost: int, cheapest: tuple[int, Pair]) -> Insight:
    other_cost, other = cheapest[0], "/".join(cheapest[1])
    answers = _count_answers(used)
    saving = cost - other_cost
    return Insight(
        id=f"cost.elsewhere:{name}",
        kind="cost",
        severity="notice" if saving >= cost / 2 else "info",
        title=f"The {answers:,} answers of {name} cost {format_dollars(cost)}; as many"
        f" tokens of {other}, of the same tier, cost {format_dollars(other_cost)} at list"
        f" prices, {format_percent(saving / cost)} less (prices are compared, not answers).",
        amount=Amount(to_dollars(saving), "USD"),
        evidence={
            "model": name,
            "cheaper": other,
            "answers": answers,
            "inputTokens": used.input,
            "outputTokens": used.output,
            "cachedTokens": used.cached,
            "cost": to_dollars(cost),
            "costElsewhere": to_dollars(other_cost),
        },
    )


def _price(pair: Pair, used: Totals, market: Market, cached: int) -> int | None:
    usage = Usage(input=used.input, output=used.output, cached=cached, reasoning=used.reasoning)
    return market.price(*pair, usage)
