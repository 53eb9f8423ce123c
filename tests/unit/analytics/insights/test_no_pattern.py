"""Synthetic traffic without a pattern: nothing is claimed that isn't there."""

from collections.abc import Callable
from itertools import pairwise
from random import Random
from typing import Any

import pytest

from proxy.analytics.insights import find_insights
from proxy.analytics.insights.model import Pair
from tests.unit.analytics.traffic import A, B, C, Traffic


def by_hour(seed: int, draw: Callable[[Random], float]) -> dict[Pair, list[float]]:
    random = Random(-1 - seed)
    return {pair: [draw(random) for _ in range(24)] for pair in (A, B, C)}


def moody(seed: int) -> Callable[[Pair, float], float]:
    """A slowness that every provider has in its own hours, none more than another."""
    hours = by_hour(seed, lambda random: random.lognormvariate(0, 0.4))
    return lambda pair, when: hours[pair][int(24 * when)]


def flaky(seed: int) -> Callable[[Pair, float], float]:
    """The same of faults: from none to a good many, by the hour."""
    hours = by_hour(seed, lambda random: random.betavariate(0.5, 9))
    return lambda pair, when: hours[pair][int(24 * when)]


CONTROLS: dict[str, dict[str, Any]] = {
    "plain": {},
    "day and night": {"rhythm": 0.9},
    "uneven": {
        "requests": 1_500,
        "users": {"ann": 8.0, "bob": 4.0, "cy": 4.0, "dee": 2.0},
        "models": {A: 6.0, B: 2.0, C: 1.0},
    },
    "few": {"requests": 400},
    "sessions": {"sessions": 40},
    "moods": {"requests": 1_500},
    "no fallback": {"fallback": False},
}


@pytest.mark.parametrize("control", CONTROLS)
def test_traffic_without_a_pattern_claims_nothing(control: str) -> None:
    """With all that is claimed holding at 95 %, two or three of 50 seeds might claim."""
    windows = []
    for seed in range(51):
        more = {"requests": 1_000} | CONTROLS[control]
        if control == "moods":
            more |= {"slow": moody(seed), "faults": flaky(seed)}
        windows.append(Traffic(seed, **more))
    claims = [
        insight.title
        for past, now in pairwise(windows)
        for insight in find_insights(now.window(past))
    ]
    assert claims == []


def test_nothing_seen_claims_nothing() -> None:
    assert find_insights(Traffic(1, requests=0).window(Traffic(2, requests=0))) == []
