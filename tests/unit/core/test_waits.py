"""How long providers say to wait, in each of their forms."""

import math
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from proxy.core.waits import LONGEST, parse_wait, read_reset, read_retry_after

NOW = 1_700_000_000.0  # 2023-11-14T22:13:20Z


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("30", 30),
        (" 0.5 ", 0.5),
        (7, 7),
        (20.5, 20.5),
        ("6m0s", 360),
        ("12ms", 0.012),
        ("1h2m3.5s", 3723.5),
        ("21m36.001s", 1296.001),
        ("2d1h", 176_400),
        ("48s", 48),
        ("960µs", 0.00096),
        ("PT1M30.5S", 90.5),
        ("P1DT1S", 86_401),
        # RFC 9110's three forms of a date
        ("Tue, 14 Nov 2023 22:14:20 GMT", 60),
        ("Tuesday, 14-Nov-23 22:14:20 GMT", 60),
        ("Tue Nov 14 22:14:20 2023", 60),
        ("Fri Dec  1 22:13:20 2023", 17 * 86_400),
        # what else is sent
        ("tue, 14 nov 2023 22:14:20 gmt", 60),
        ("Tue, 14 Nov 2023 22:14:20 UTC", 60),
        ("Tue, 14 Nov 2023 22:14:20 +0000", 60),
        ("Tue, 14 Nov 2023 23:14:20 +0100", 60),
        ("Wed, 1 Nov 2023 22:13:20 GMT", 0),
        ("2023-11-14 22:14:20Z", 60),
        ("2023-11-14t22:14:20z", 60),
        # RFC 3339
        ("2023-11-14T22:14:20Z", 60),
        ("2023-11-14T23:14:20.5+01:00", 60.5),
        ("2023-11-14T22:14:20", 60),
        # since 1970
        ("1700000060", 60),
        ("1700000060000", 60),
        (1_700_000_060_000, 60),
        ("1700000060.5", 60.5),
        # past
        ("Tue, 14 Nov 2023 22:12:20 GMT", 0),
        ("Sunday, 06-Nov-94 08:49:37 GMT", 0),
        ("1970-01-01T00:00:00Z", 0),
        ("1600000000000", 0),
        (-5, 0),
        # absurd
        ("9" * 400, LONGEST),
        (10**400, LONGEST),
        (math.inf, LONGEST),
        ("9999-12-31T23:59:59Z", LONGEST),
    ],
)
def test_a_wait_in_every_form(value: object, seconds: float) -> None:
    assert parse_wait(value, NOW) == pytest.approx(seconds)


@pytest.mark.parametrize(
    "value",
    [
        *(
            "",
            "soon",
            "-5",
            "nan",
            "Infinity",
            "1e999",
            "0x10",
            "1_000",
            "٣",
            "5 s",
            "s",
            "m5",
            "P",
        ),
        *("PT", "P1M", "T1S", "Tue, 99 Nov 2023 22:13:00 GMT", "Tue, 14 Nox 2023 22:14:20 GMT"),
        *("Tue, 14 Nov 2023 22:14:20", "2023-11-14", "2023-11-14T99:00:00Z"),
        *(None, True, [], {}, b"5", math.nan),
    ],
)
def test_what_is_no_wait(value: object) -> None:
    assert parse_wait(value, NOW) is None


def test_without_a_clock_no_moment_is_a_wait() -> None:
    assert parse_wait("Tue, 14 Nov 2023 22:14:20 GMT", None) is None
    assert parse_wait("1700000060000", None) is None
    assert parse_wait("6m0s", None) == 360


anything: Any = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.lists(st.integers())
)
near_forms = st.from_regex(r"[0-9hmsdTZPGMTuenov:.,+\- ]{0,32}", fullmatch=True)


@given(anything | near_forms, st.none() | st.floats(0, 1e11))
@example("Tuesday, 14-Nov-23 22:14:20 GMT", 253_402_300_799.0)
@example("Tuesday, 14-Nov-23 22:14:20 GMT", 1e11)
@example("0000-11-14T22:14:20Z", NOW)
@example("P" + "9" * 400 + "D", NOW)
@example("9" * 16 + "s", NOW)
def test_reading_never_raises_and_is_bounded(value: object, now: float | None) -> None:
    seconds = parse_wait(value, now)
    assert seconds is None or 0 <= seconds <= LONGEST


@given(st.integers(0, 10**8))
def test_all_forms_of_a_moment_agree(ahead: int) -> None:
    moment = datetime.fromtimestamp(NOW + ahead, UTC)
    forms = (
        format_datetime(moment, usegmt=True),
        moment.strftime("%A, %d-%b-%y %H:%M:%S GMT"),
        moment.strftime("%a %b %e %H:%M:%S %Y"),
        moment.isoformat(),
        str(int(NOW) + ahead),
        str((int(NOW) + ahead) * 1000),
    )
    assert {parse_wait(form, NOW) for form in forms} == {ahead}


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "30", "retry-after-ms": "1500"}, 1.5),
        ({"retry-after": "30", "retry-after-ms": "soon"}, 30),
        ({"retry-after-ms": "9" * 30}, LONGEST),
        ({"retry-after": "Tue, 14 Nov 2023 22:14:20 GMT"}, 60),
    ],
)
def test_retry_after(headers: dict[str, str], seconds: float | None) -> None:
    assert read_retry_after(headers, NOW) == seconds


def test_only_limits_that_are_used_up_have_to_be_renewed() -> None:
    headers = {
        "x-ratelimit-remaining-requests": "7",
        "x-ratelimit-reset-requests": "1h0m0s",
        "x-ratelimit-remaining-tokens": "0",
        "x-ratelimit-reset-tokens": "2m0s",
        "anthropic-ratelimit-input-tokens-remaining": "0",
        "anthropic-ratelimit-input-tokens-reset": "2023-11-14T22:16:20Z",
        "x-ratelimit-remaining": "0",
        "x-ratelimit-reset": "1700000060000",
        "x-ratelimit-reset-odd": "5h0m0s",
    }
    assert read_reset(headers, NOW) == 180
    del headers["anthropic-ratelimit-input-tokens-reset"]
    assert read_reset(headers, NOW) == 120
    del headers["x-ratelimit-reset-tokens"]
    assert read_reset(headers, NOW) == 60
