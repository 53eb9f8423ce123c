"""Wrong keys by address: the bound, and what is remembered."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.access.wrong_keys import BURST, PER_MINUTE, WrongKeys, find_network


@settings(deadline=None)
@given(st.lists(st.integers(0, 20_000), max_size=200))
def test_no_window_has_more_wrong_keys_than_it_may(pauses: list[int]) -> None:
    wrong_keys, now, let = WrongKeys(), 0, []
    for pause in pauses:
        now += pause
        if not wrong_keys.blocked_ms("192.0.2.1", now):
            wrong_keys.record("192.0.2.1", now)
            let.append(now)
    for first, begin in enumerate(let):
        for last in range(first, len(let)):
            allowed = BURST + (let[last] - begin) * PER_MINUTE / 60_000
            assert last - first + 1 <= allowed


@settings(deadline=None)
@given(st.lists(st.integers(0, 3_000), min_size=40, max_size=80))
def test_the_time_told_is_true(pauses: list[int]) -> None:
    wrong_keys, now = WrongKeys(), 0
    for pause in pauses:
        now += pause
        if wait := wrong_keys.blocked_ms("a", now):
            assert wrong_keys.blocked_ms("a", now + wait - 1)
            assert not wrong_keys.blocked_ms("a", now + wait)
        else:
            wrong_keys.record("a", now)


def test_of_many_addresses_the_latest_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("proxy.access.wrong_keys.ADDRESSES", 100)
    wrong_keys = WrongKeys()
    for number in range(101):
        for _ in range(BURST):
            wrong_keys.record(f"{number}", 0)
    assert wrong_keys.blocked_ms("100", 0)
    assert not wrong_keys.blocked_ms("0", 0)


def test_a_clock_that_steps_back_blocks_nobody_for_long() -> None:
    wrong_keys = WrongKeys()
    for _ in range(BURST):
        wrong_keys.record("a", 3_600_000)
    assert wrong_keys.blocked_ms("a", 0) <= 60_000 // PER_MINUTE


def test_networks() -> None:
    assert find_network("::ffff:192.0.2.1") == "192.0.2.1"
    assert find_network("192.0.2.7") == "192.0.2.7"
    assert find_network("2001:db8::1") == find_network("2001:db8::2") == "2001:db8::/64"
    assert find_network("no address" * 100) == ("no address" * 100)[:64]
