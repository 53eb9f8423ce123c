"""What providers' answers say of their limits, in the forms in which they say it."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import json

from proxy.core.errors import Fault, FaultDetails
from proxy.limits.capacity import LONGEST_CLOSED
from proxy.limits.pool_messages import Signal
from proxy.limits.rate_limit_pool import RateLimitPool
from proxy.limits.signals import read_signal
from tests.unit.limits.making import LIMIT_FAULT, NOW, openai


def windowed(remaining: str, limit: str, reset: str) -> dict[str, str]:
    return {
        "x-ratelimit-remaining": remaining,
        "x-ratelimit-limit": limit,
        "x-ratelimit-reset": reset,
    }


FAULTS = [None, LIMIT_FAULT, Fault("unavailable", "Down", details=FaultDetails(status=500))]

ANTHROPIC = {
    "anthropic-ratelimit-requests-remaining": "10",
    "anthropic-ratelimit-requests-limit": "1000",
    "anthropic-ratelimit-requests-reset": "2023-11-14T22:14:19Z",  # 59 s after NOW
}

CEREBRAS = {
    "x-ratelimit-remaining-requests-day": "100",
    "x-ratelimit-limit-requests-day": "216000",
    "x-ratelimit-reset-requests-day": "23468.998601913452",
}


@pytest.mark.parametrize(
    ("headers", "remaining", "limit", "reset", "window"),
    [
        # comes back bit by bit: 49 of the 451 that are missing come back in so long
        (openai("49", "500", "54.12s"), 49, 500, 5.88, False),
        (openai("0", "5000", "1m0s"), 0, 5000, 0.012, False),
        (openai("0", "1", "21m36.001s"), 0, 1, 1296.001, False),
        (openai("0", "10", "120ms"), 0, 10, 0.012, False),
        (openai("1", "101", "1h1m40s"), 1, 101, 37.0, False),
        (ANTHROPIC, 10, 1000, 59 * 10 / 990, False),
        # all of it comes back then
        (openai("0", "10", "30"), 0, 10, 30, True),
        (windowed("0", "20", str(NOW + 45_000)), 0, 20, 45, True),
        (windowed("0", "20", str(NOW // 1000 + 45)), 0, 20, 45, True),
        (windowed("0", "20", "1600000000000"), 0, 20, 0, True),
        (CEREBRAS, 100, 216_000, 23468.998601913452, True),
    ],
)
def test_headers_that_tell(
    headers: dict[str, str], remaining: int, limit: int, reset: float, window: bool
) -> None:
    signal = read_signal("", headers, None, NOW)
    assert signal == Signal(
        remaining=remaining,
        limit=limit,
        reset=pytest.approx(reset),  # type: ignore[arg-type]
        window=window,
    )
    limited = read_signal("m", headers | {"retry-after": "7"}, LIMIT_FAULT, NOW)
    assert limited and limited.limited and limited.retry_after == 7
    assert limited.remaining == remaining


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"retry-after": "30"},  # Together sends it with 200s
        openai("4999", "5000", "12ms"),
        openai("500", "5000", "54s"),
        openai("-1", "-1", "0"),
        openai("0", "0", "0s"),
        openai("0", "10", ""),
        openai("0", "10", "soon"),
        openai("0", "10", "Tomorrow"),
        openai("", "10", "1s"),
        openai("nan", "inf", "1s"),
        openai("1e3", "9999999999999999999", "1s"),
        {"x-ratelimit-remaining-requests": "0"},
        {"x-ratelimit-remaining-tokens": "0", "x-ratelimit-limit-tokens": "1000"},
    ],
)
def test_headers_that_tell_nothing(headers: dict[str, str]) -> None:
    assert read_signal("", headers, None, NOW) is None


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "30"}, 30),
        ({"retry-after": " 0.5 "}, 0.5),
        ({"retry-after": "6m0s"}, 360),
        ({"retry-after": "30", "retry-after-ms": "1500"}, 1.5),
        ({"retry-after": "Tue, 14 Nov 2023 22:14:20 GMT"}, 60),
        ({"retry-after": "Tue, 14 Nov 2023 22:13:00 GMT"}, 0),
        ({"retry-after": "Tue, 99 Nov 2023 22:13:00 GMT"}, None),
        ({"retry-after": "-3"}, None),
        ({"retry-after": "nan"}, None),
    ],
)
def test_a_429_tells_how_long_to_wait(headers: dict[str, str], seconds: float | None) -> None:
    assert read_signal("", headers, LIMIT_FAULT, NOW) == Signal(limited=True, retry_after=seconds)


values = st.text(max_size=12) | st.from_regex(r"[0-9hmsTZ:.+\-GMT, ]{0,30}", fullmatch=True)


@settings(deadline=None)
@given(st.sampled_from(FAULTS), values, values, values, values)
def test_reading_never_fails(
    fault: Fault | None, left: str, limit: str, reset: str, after: str
) -> None:
    for headers in (openai(left, limit, reset), openai("1", "100", reset)):
        signal = read_signal("m", headers | {"retry-after": after}, fault, NOW)
        assert fault is not LIMIT_FAULT or (signal and signal.limited)
        if signal:
            pool = RateLimitPool(60)
            decoded = json.decode(json.encode(signal), type=Signal)
            assert decoded == signal
            assert pool.signal(decoded, NOW) <= NOW + LONGEST_CLOSED
