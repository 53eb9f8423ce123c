"""What the measures' tests have in common."""

import msgspec
import pytest
from hypothesis import strategies as st

from proxy.routing.measures import (
    AttemptSample,
    Figures,
    Measure,
)

NOW = 1_700_000_000_000
HOUR = 3_600_000
Timed = tuple[int, AttemptSample]
"""Milliseconds after NOW, and what was seen then."""
times = st.none() | st.integers(0, 120_000)
samples = st.builds(
    AttemptSample,
    provider=st.just("p"),
    model=st.sampled_from(["a", "b"]),
    ok=st.booleans(),
    first_ms=times,
    total_ms=times,
)
timed = st.tuples(st.integers(0, 2 * HOUR), samples)


def sample(model: str = "m", ok: bool = True, **figures: int) -> AttemptSample:
    return AttemptSample(provider="p", model=model, ok=ok, **figures)


def same(one: Measure, other: Measure) -> bool:
    return all(
        a == b if a is None or b is None else a == pytest.approx(b, rel=1e-6, abs=1e-9)
        for a, b in zip(msgspec.structs.astuple(one), msgspec.structs.astuple(other), strict=True)
    )


def figures(*seen: Timed) -> Figures:
    result = Figures()
    for after, one in seen:
        result.add(one, NOW + after)
    return result
