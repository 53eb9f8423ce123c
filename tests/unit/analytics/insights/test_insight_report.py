"""The report: its order, its form, its words."""

from functools import cache
from random import Random

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs

from proxy.analytics.insights import find_insights, render_insights
from proxy.analytics.insights.model import Observations
from proxy.analytics.insights.words import (
    format_duration,
    format_percent,
    format_period,
    format_window,
)
from proxy.core.money import format_dollars
from tests.unit.analytics.insights.planted import openings, outage
from tests.unit.analytics.traffic import C, Prices, Traffic

EVENING = 1_764_104_460_000


@cache
def everything() -> Observations:
    """Much that is to be found, at once, of moments that are often the same."""
    traffic = Traffic(
        21,
        requests=3_000,
        hits=lambda user, pair: 0.05 if user == "ann" else 0.5,
        faults=outage(0.6, 0.7),
        fallback=False,
        slow=lambda pair, when: 2.0 if pair == C else 1.0,
        returns=0.1,
        invalid=lambda user: 0.2 if user == "bob" else 0.01,
        limited=lambda user: 0.15 if user == "cy" else 0.0,
        prices=Prices(openai=(300, 1200)),
    )
    minutes = [structs.replace(e, at=e.at // 60_000 * 60_000) for e in traffic.records]
    window = traffic.window(Traffic(22, requests=1_000), openings("groq", 9, 5, 3))
    return structs.replace(window, records=minutes, repeats=minutes)


def test_the_most_important_comes_first() -> None:
    found = find_insights(everything())
    ranks = [("warning", "notice", "info").index(insight.severity) for insight in found]
    assert ranks == sorted(ranks)
    assert {insight.kind for insight in found} == {
        "breaker",
        "error",
        "provider",
        "user",
        "cost",
        "cache",
    }
    assert len({insight.id for insight in found}) == len(found)
    assert all(0.95 <= insight.confidence <= 1 for insight in found)


@settings(max_examples=10, deadline=None)
@given(st.integers())
def test_the_order_of_what_is_given_does_not_matter(seed: int) -> None:
    random, window = Random(seed), everything()
    mixed = {}
    for name in ("users", "tried", "models", "past", "records", "repeats", "openings"):
        mixed[name] = list(getattr(window, name))
        random.shuffle(mixed[name])
    assert find_insights(structs.replace(window, **mixed)) == find_insights(window)


def test_the_report_is_that_of_the_interface() -> None:
    window = everything()
    found = find_insights(window)
    report = msgspec.json.decode(render_insights(window, found, "1d"))
    assert set(report) == {"window", "sample", "insights"}
    assert (report["window"], report["sample"]) == (
        "1d",
        {"requests": 3_000, "logged": 3_000, "share": 1.0},
    )
    assert len(report["insights"]) == len(found)
    for shown, insight in zip(report["insights"], found, strict=True):
        assert set(shown) == {
            "id", "kind", "severity", "title", "period", "action", "amount", "confidence",
            "evidence",
        }  # fmt: skip
        assert set(shown["amount"]) == {"value", "unit"}
        assert shown["evidence"] == insight.evidence
        assert None not in shown["evidence"].values()
        assert len(shown["period"]) > 10
        assert shown["action"].endswith((".", "?"))


def test_a_weak_claim_has_less_confidence() -> None:
    levels = {
        insight.confidence
        for seed in range(12)
        for insight in find_insights(
            Traffic(seed, slow=lambda p, w: 1.48 if p == C else 1.0).window()
        )
    }
    assert min(levels) == 0.95
    assert max(levels) > 0.95


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (format_percent(0.123), "12 %"),
        (format_percent(0.0123), "1.2 %"),
        (format_percent(0.5), "50 %"),
        (format_percent(0), "0 %"),
        (format_dollars(1_234_567_000_000), "$1,234.57"),
        (format_dollars(12_300), "$0.000012"),
        (format_dollars(0), "$0.00"),
        (format_duration(30), "30 seconds"),
        (format_duration(3600), "60 minutes"),
        (format_duration(86400), "24 hours"),
        (format_duration(7 * 86400), "7 days"),
        (format_period(EVENING, EVENING + 59_000), "at 2025-11-25 21:01 UTC"),
        (format_period(EVENING, EVENING + 60_000), "on 2025-11-25 from 21:01 to 21:02 UTC"),
        (
            format_period(EVENING, EVENING + 86_400_000),
            "from 2025-11-25 21:01 UTC to 2025-11-26 21:01 UTC",
        ),
        (format_window(3600, EVENING), "in the 60 minutes up to 2025-11-25 21:01 UTC"),
    ],
)
def test_numbers_are_for_people(words: str, expected: str) -> None:
    assert words == expected
