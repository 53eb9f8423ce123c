"""Every claim about prices at its minimum sample, and silence just below it."""

from typing import Any

import pytest

from proxy.analytics.insights import (
    cost,
    find_insights,
)
from proxy.core.chat import Usage
from tests.unit.analytics.insights.making import by, rules, spread_out, window_of
from tests.unit.analytics.traffic import B, Prices


@pytest.mark.parametrize("missing", [0, 1])
def test_answers_that_are_priced_elsewhere(missing: int) -> None:
    market = Prices(groq=(300, 1200))
    tokens: dict[str, Any] = {"input": 4000, "output": 1000, "cached": 1000}
    price = market.price(*B, Usage(input=4000, output=1000, cached=1000))
    count = cost.ANSWERED - missing
    records = spread_out(count, lambda n: by(B, cost=price, cache_status="miss", **tokens))
    found = find_insights(window_of(records, market=market))
    assert {insight.id for insight in found} == (
        set() if missing else {"cost.elsewhere:groq/llama"}
    )
    for insight in found:  # elsewhere nothing is taken for cached
        assert insight.evidence["costElsewhere"] == pytest.approx(count * 800_000 / 1e9)


@pytest.mark.parametrize(
    "tokens", [{"input": 40, "output": 10}, {"input": 4000, "output": 1000, "cost": None}]
)
def test_a_trifle_or_an_unknown_cost_is_not_priced_elsewhere(tokens: dict[str, Any]) -> None:
    market = Prices(groq=(300, 1200))
    price = market.price(*B, Usage(input=tokens["input"], output=tokens["output"]))
    records = spread_out(200, lambda n: by(B, cache_status="miss", **({"cost": price} | tokens)))
    assert rules(window_of(records, market=market)) == set()


def test_an_alternative_without_a_price_is_none() -> None:
    market = Prices(groq=(300, 1200), gemini=None, openai=None)
    price = market.price(*B, Usage(input=4000, output=1000))
    tokens = {"input": 4000, "output": 1000, "cost": price, "cache_status": "miss"}
    assert rules(window_of(spread_out(200, lambda n: by(B, **tokens)), market=market)) == set()


@pytest.mark.parametrize(
    ("every", "change", "claimed"),
    [(200, {"cost": None}, False), (3, {"input": None}, False), (201, {}, True)],
)
def test_all_tokens_and_costs_must_be_known(
    every: int, change: dict[str, Any], claimed: bool
) -> None:
    market = Prices(groq=(300, 1200))
    price = market.price(*B, Usage(input=4000, output=1000))
    tokens = by(B, input=4000, output=1000, cost=price, cache_status="miss")
    records = spread_out(200, lambda n: {**tokens, **(change if n % every == 0 else {})})
    assert rules(window_of(records, market=market)) == ({"cost.elsewhere"} if claimed else set())
