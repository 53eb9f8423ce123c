"""Sketches and counters."""

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.analytics.record.request_record import RequestRecord
from proxy.analytics.store import sketch as sketches
from proxy.analytics.store.sketch import Sketch
from proxy.analytics.store.totals import COUNTERS, Totals, add_up
from tests.unit.analytics.making import make_record, records

TEN_MINUTES = 600_000
durations = st.one_of(st.integers(0, 100), st.integers(0, 10_000), st.integers(0, TEN_MINUTES))


def sketch_of(values: list[int]) -> Sketch:
    sketch: Sketch = {}
    for value in values:
        sketches.add_value(sketch, value)
    return sketch


@given(
    st.lists(durations, min_size=1, max_size=200),
    st.one_of(st.sampled_from([0.0, 0.5, 0.95, 0.99, 1.0]), st.floats(0, 1)),
)
def test_a_quantile_is_within_5_percent_of_the_true_one(values: list[int], q: float) -> None:
    exact = sorted(values)[max(0, math.ceil(q * len(values)) - 1)]
    found = sketches.estimate_quantile(sketch_of(values), q)
    assert found is not None
    assert abs(found - exact) <= 0.05 * exact


def test_every_duration_up_to_ten_minutes_is_within_5_percent() -> None:
    for value in range(TEN_MINUTES + 1):
        middle = sketches.estimate_quantile({sketches.find_bucket(value): 1}, 0.5)
        assert middle is not None
        assert abs(middle - value) <= 0.05 * value
        assert abs(round(middle, 1) - value) <= 0.05 * value + 1e-9


@given(st.lists(st.lists(durations, max_size=20), max_size=8), st.integers(0, 2**32))
def test_the_order_of_merging_is_irrelevant(parts: list[list[int]], seed: int) -> None:
    whole = sketch_of([value for part in parts for value in part])
    random.Random(seed).shuffle(parts)
    merged: Sketch = {}
    for part in parts:
        sketches.merge_into(merged, sketch_of(part))
    assert merged == whole


def test_there_is_no_quantile_of_nothing() -> None:
    assert sketches.estimate_quantile({}, 0.5) is None


@given(st.lists(records, max_size=10), st.lists(records, max_size=10))
def test_sums_of_parts_are_those_of_the_whole(
    some: list[RequestRecord], other: list[RequestRecord]
) -> None:
    whole, parts, singly = Totals(), (Totals(), Totals()), Totals()
    whole.count(some + other)
    for part, many in zip(parts, (some, other), strict=True):
        part.count(many)
        for each in many:
            singly.count([each])
    assert add_up(parts) == singly == whole


@pytest.mark.parametrize(
    ("fields", "counted"),
    [
        ({"status": 429, "error": "rate_limit_exceeded"}, {"errors": 1, "limited": 1}),
        ({"status": 402}, {"errors": 1, "limited": 1}),
        ({"status": 502}, {"errors": 1}),
        ({"error": "provider_error"}, {"errors": 1}),
        ({"ended": "client_gone"}, {"gone": 1}),
        ({"cache_status": "hit", "cache_tier": "memory", "cost": 0}, {"hits_memory": 1}),
        ({"cache_status": "hit", "cache_tier": "kv"}, {"hits_kv": 1}),
        ({"cache_status": "hit", "cache_tier": "r2"}, {"hits_r2": 1}),
        ({"cache_status": "hit"}, {"hits_flight": 1}),
        ({"cache_status": "stale"}, {"stale": 1}),
        ({"cache_status": "miss"}, {"misses": 1}),
        ({"cache_status": "bypass"}, {"bypassed": 1}),
        ({"provider": "openai", "cost": None}, {"unpriced": 1}),
        ({"provider": "openai", "cost": 0}, {}),
        ({"cost": 7, "saved": 8}, {"cost": 7, "saved": 8}),
        ({"input": 1, "output": 2, "cached": 3, "reasoning": 4},
         {"input": 1, "output": 2, "cached": 3, "reasoning": 4}),
        ({"bytes_in": 5, "bytes_out": 6}, {"bytes_in": 5, "bytes_out": 6}),
    ],
)  # fmt: skip
def test_what_a_request_counts_for(fields: dict[str, object], counted: dict[str, int]) -> None:
    sums = Totals()
    sums.count([make_record(**fields)])
    raised = {name: getattr(sums, name) for name in COUNTERS if getattr(sums, name)}
    assert raised == {"requests": 1, "ms": 100} | counted


def test_the_time_to_the_first_token_is_that_of_providers() -> None:
    sums = Totals()
    for cache in ("hit", "stale", "miss"):
        sums.count([make_record(cache_status=cache, first_ms=10)])
    assert sum(sums.first.values()) == 1
