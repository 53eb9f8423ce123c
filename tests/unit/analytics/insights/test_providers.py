"""Every claim about providers at its minimum sample, and silence just below it."""

from collections.abc import Sequence
from typing import Any

import pytest

from proxy.analytics.insights import (
    find_insights,
    providers,
)
from proxy.analytics.insights.model import Pair
from proxy.analytics.record.request_record import RequestRecord
from proxy.core.chat import Attempt, Blame
from tests.unit.analytics.insights.making import by, rules, spread_out, window_of
from tests.unit.analytics.traffic import A, B, C, Prices


@pytest.mark.parametrize("missing", [0, 1])
def test_tries_of_a_provider(missing: int) -> None:
    failing = Attempt(provider=B[0], model=B[1], outcome="timeout", ms=10)
    bad = {**by(A, cache_status="bypass"), "attempts": (failing, *by(A)["attempts"])}
    good = spread_out(providers.TRIED, lambda n: by(A, id=f"good{n}"))
    found = rules(window_of(good, spread_out(providers.TRIED - missing, lambda n: bad)))
    assert ("provider.success" in found) == (not missing)


@pytest.mark.parametrize("outcome", ["bad_request", "too_large", "limited", "breaker_open"])
def test_what_is_no_fault_of_a_providers_is_not_held_against_it(outcome: str) -> None:
    passed = Attempt(provider=B[0], model=B[1], outcome=outcome, ms=0)
    records = spread_out(500, lambda n: {**by(A), "attempts": (passed, *by(A)["attempts"])})
    assert rules(window_of(records, spread_out(500, lambda n: by(B, id=f"b{n}")))) == set()


@pytest.mark.parametrize("blame", ["caller", "proxy"])
def test_nor_is_what_the_caller_or_the_proxy_caused(blame: Blame) -> None:
    hasty = Attempt(provider=B[0], model=B[1], outcome="timeout", ms=9, blame=blame)
    records = spread_out(500, lambda n: {**by(A), "attempts": (hasty, *by(A)["attempts"])})
    assert rules(window_of(records, spread_out(500, lambda n: by(B, id=f"b{n}")))) == set()


def test_nor_is_a_stream_that_the_callers_deadline_cut_off() -> None:
    cut = by(B, stream=True, ended="timeout", error="provider_timeout", source="proxy")
    records = spread_out(200, lambda n: {**cut, "id": f"b{n}"})
    assert "provider.success" not in rules(window_of(records, spread_out(200, lambda n: by(A))))


def test_a_stream_that_broke_is_held_against_its_provider() -> None:
    broke = by(B, stream=True, ended="network", error="provider_error")
    records = spread_out(200, lambda n: {**broke, "id": f"b{n}"})
    assert "provider.success" in rules(window_of(records, spread_out(200, lambda n: by(A))))


@pytest.mark.parametrize("metric", ["first_content", "answer", "cost"])
@pytest.mark.parametrize("missing", [0, 1])
def test_medians(metric: str, missing: int) -> None:
    def answers(pair: Pair, count: int, factor: int) -> list[RequestRecord]:
        more: dict[str, Any] = {"input": 9, "output": 9, "stream": metric == "first_content"}
        more |= {"cost": 7 * factor} if metric == "cost" else {"took": 400 * factor}
        return spread_out(count, lambda n: by(pair, id=f"{pair}{n}", **more))

    least = providers.MEASURED
    found = rules(window_of(answers(A, least, 1), answers(B, least - missing, 9)))
    assert found == (set() if missing else {f"provider.{metric}"})


@pytest.mark.parametrize(("fast", "slow", "claimed"), [(30, 79, False), (30, 81, True)])
def test_milliseconds_that_nobody_feels(fast: int, slow: int, claimed: bool) -> None:
    tokens = {"input": 9, "output": 9}
    some = spread_out(200, lambda n: by(A, took=fast, **tokens))
    other = spread_out(200, lambda n: by(B, took=slow, id=f"b{n}", **tokens))
    assert ("provider.answer" in rules(window_of(some, other))) is claimed


def test_models_of_which_no_tokens_are_known_are_not_compared() -> None:
    some = spread_out(200, lambda n: by(A, took=100))
    other = spread_out(200, lambda n: by(B, took=900, id=f"b{n}"))
    assert rules(window_of(some, other)) == set()


def test_models_of_different_tiers_are_not_compared() -> None:
    class Apart(Prices):
        def alternatives(self, provider: str, model: str) -> Sequence[Pair]:
            return []

    tokens = {"input": 9, "output": 9}
    some = spread_out(200, lambda n: by(A, took=100, **tokens))
    other = spread_out(200, lambda n: by(B, took=900, id=f"b{n}", **tokens))
    assert rules(window_of(some, other, market=Apart())) == set()
    same = spread_out(200, lambda n: by((B[0], A[1]), took=900, id=f"b{n}", **tokens))
    assert rules(window_of(some, same, market=Apart())) == {"provider.answer"}


def test_the_best_of_the_better_ones_is_named() -> None:
    tokens = {"input": 9, "output": 9}

    def answers(pair: Pair, took: int) -> list[RequestRecord]:
        return spread_out(200, lambda n: by(pair, took=took, id=f"{pair}{n}", **tokens))

    some = [answers(A, 400), answers(B, 200), answers(C, 1600)]
    found = {insight.id for insight in find_insights(window_of(*some))}
    assert found == {
        "provider.answer:openai/gpt>groq/llama",
        "provider.answer:gemini/flash>groq/llama",
    }
