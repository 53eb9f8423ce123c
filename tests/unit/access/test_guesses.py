"""Wrong keys by address: the bound, and what is remembered."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.access.guesses import BURST, PER_MINUTE, Guesses, network


@settings(deadline=None)
@given(st.lists(st.integers(0, 20_000), max_size=200))
def test_no_window_has_more_wrong_keys_than_it_may(pauses: list[int]) -> None:
    guesses, now, let = Guesses(), 0, []
    for pause in pauses:
        now += pause
        if not guesses.blocked("192.0.2.1", now):
            guesses.wrong("192.0.2.1", now)
            let.append(now)
    for first, begin in enumerate(let):
        for last in range(first, len(let)):
            allowed = BURST + (let[last] - begin) * PER_MINUTE / 60_000
            assert last - first + 1 <= allowed


@settings(deadline=None)
@given(st.lists(st.integers(0, 3_000), min_size=40, max_size=80))
def test_the_time_told_is_true(pauses: list[int]) -> None:
    guesses, now = Guesses(), 0
    for pause in pauses:
        now += pause
        if wait := guesses.blocked("a", now):
            assert guesses.blocked("a", now + wait - 1)
            assert not guesses.blocked("a", now + wait)
        else:
            guesses.wrong("a", now)


def test_of_many_addresses_the_latest_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("proxy.access.guesses.ADDRESSES", 100)
    guesses = Guesses()
    for number in range(101):
        for _ in range(BURST):
            guesses.wrong(f"{number}", 0)
    assert guesses.blocked("100", 0)
    assert not guesses.blocked("0", 0)


def test_a_clock_that_steps_back_blocks_nobody_for_long() -> None:
    guesses = Guesses()
    for _ in range(BURST):
        guesses.wrong("a", 3_600_000)
    assert guesses.blocked("a", 0) <= 60_000 // PER_MINUTE


def test_networks() -> None:
    assert network("::ffff:192.0.2.1") == "192.0.2.1"
    assert network("192.0.2.7") == "192.0.2.7"
    assert network("2001:db8::1") == network("2001:db8::2") == "2001:db8::/64"
    assert network("no address" * 100) == ("no address" * 100)[:64]
