"""What the traffic seen would have cost elsewhere in the same tier: arithmetic on list prices."""

from collections import defaultdict

from msgspec import Struct

from proxy.analytics.insights.model import Amount, Insight, Market, Pair, Seen, percent, usd

ANSWERED = 100
"""Answers of a model below which nothing is told."""
LEAST_SAVING = 0.2
"""The least share that would have been saved,"""
LEAST_NANO = 10_000_000
"""and the least amount, in nano-dollars."""
EXPLAINED = 0.02
"""How far what was paid may be from the tokens at list prices: where it is farther, not all
tokens are known, or the prices are others."""


class _Used(Struct):
    answers: int = 0
    unpriced: int = 0
    cost: int = 0
    input: int = 0
    output: int = 0
    cached: int = 0
    reasoning: int = 0


def elsewhere(seen: Seen) -> list[Insight]:
    """The cheapest alternative for each model that answered."""
    used: defaultdict[Pair, _Used] = defaultdict(_Used)
    for group in seen.groups:
        one, totals = used[str(group.key["provider"]), str(group.key["model"])], group.totals
        one.answers += totals.requests - totals.hits - totals.stale
        one.unpriced += totals.unpriced
        one.cost += totals.cost
        one.input += totals.input
        one.output += totals.output
        one.cached += totals.cached
        one.reasoning += totals.reasoning
    found = (_cheaper(pair, used[pair], seen.market) for pair in sorted(used) if all(pair))
    return [one for one in found if one]


def _cheaper(pair: Pair, used: _Used, market: Market) -> Insight | None:
    if used.answers < ANSWERED or used.unpriced:
        return None
    own = _price(pair, used, market, used.cached)
    if own is None or abs(own - used.cost) > EXPLAINED * used.cost:
        return None
    prices = {other: _price(other, used, market, 0) for other in market.alternatives(*pair)}
    known = sorted((price, other) for other, price in prices.items() if price is not None)
    if not known:
        return None
    price, other = known[0]
    saving = own - price
    if saving < max(LEAST_NANO, LEAST_SAVING * own):
        return None
    one, cheaper = "/".join(pair), "/".join(other)
    return Insight(
        id=f"cost.elsewhere:{one}",
        kind="cost",
        severity="notice" if saving >= own / 2 else "info",
        title=f"The {used.answers:,} answers of {one} cost {usd(own)}; as many tokens of {cheaper},"
        f" of the same tier, cost {usd(price)} at list prices, {percent(saving / own)} less"
        " (prices are compared, not answers).",
        amount=Amount(saving / 1e9, "USD"),
        evidence={
            "model": one,
            "cheaper": cheaper,
            "answers": used.answers,
            "inputTokens": used.input,
            "outputTokens": used.output,
            "cachedTokens": used.cached,
            "cost": own / 1e9,
            "costElsewhere": price / 1e9,
        },
    )


def _price(pair: Pair, used: _Used, market: Market, cached: int) -> int | None:
    return market.price(
        *pair, input=used.input, output=used.output, cached=cached, reasoning=used.reasoning
    )
