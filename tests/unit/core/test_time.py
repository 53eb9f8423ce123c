"""Moments as RFC 3339."""

import pytest

from proxy.core.time import LAST_MS, format_http_date, format_time, format_time_ms, parse_time


@pytest.mark.parametrize(
    ("ms", "text"),
    [
        (0, "1970-01-01T00:00:00Z"),
        (1_700_000_000_000, "2023-11-14T22:13:20Z"),
        (1_700_000_000_007, "2023-11-14T22:13:20.007Z"),
        (LAST_MS, "9999-12-31T23:59:59.999Z"),
    ],
)
def test_a_moment_has_a_fraction_only_where_it_needs_one(ms: int, text: str) -> None:
    assert format_time(ms) == text


@pytest.mark.parametrize(
    ("ms", "text"),
    [
        (1_700_000_000_000, "2023-11-14T22:13:20.000Z"),
        (1_700_000_000_040, "2023-11-14T22:13:20.040Z"),
    ],
)
def test_a_moment_to_the_millisecond(ms: int, text: str) -> None:
    assert format_time_ms(ms) == text


@pytest.mark.parametrize(
    ("moment", "text"),
    [
        (784_111_777, "Sun, 06 Nov 1994 08:49:37 GMT"),  # RFC 9110, 5.6.7
        (1_796_083_200, "Tue, 01 Dec 2026 00:00:00 GMT"),
    ],
)
def test_a_moment_as_http_writes_it(moment: int, text: str) -> None:
    assert format_http_date(moment) == text
    assert parse_time(text, 0) == moment
