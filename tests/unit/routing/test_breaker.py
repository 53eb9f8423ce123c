"""One breaker: when it opens and closes, and what a clock may do to it."""

from typing import Any

import msgspec
import pytest

from proxy.routing.breaker import PROBE_MS, Transition, Verdict
from tests.unit.routing.making_breakers import (
    HOUR,
    MINUTE,
    NOW,
    a_breaker,
    admits,
    opened,
    report_call,
)


def test_four_failures_are_too_few_and_the_fifth_opens_it() -> None:
    breaker = a_breaker()
    assert [report_call(breaker, "failed", NOW) for _ in range(5)] == [False] * 4 + [True]
    assert not admits(breaker, NOW + 9_999)
    assert admits(breaker, NOW + 10_000)


def test_failures_of_an_hour_are_not_added_up() -> None:
    breaker = a_breaker()
    assert not any(report_call(breaker, "failed", NOW + 20_000 * i) for i in range(180))


def test_slow_calls_count() -> None:
    breaker = a_breaker()
    assert [report_call(breaker, "slow", NOW) for _ in range(5)][-1]
    assert breaker.view(NOW).reason == "slow"


def test_where_slow_and_failed_calls_are_as_many_it_has_failed() -> None:
    breaker = a_breaker()
    given: list[Verdict] = ["ok", "failed", "failed", "slow", "slow"]
    assert [report_call(breaker, verdict, NOW) for verdict in given][-1]
    assert breaker.view(NOW).reason == "failed"


@pytest.mark.parametrize(("after", "opens"), [(59_999, True), (60_000, False), (-1, True)])
def test_the_window_is_a_minute_also_where_the_clock_steps_back_by_little(
    after: int, opens: bool
) -> None:
    breaker = a_breaker()
    for _ in range(4):
        report_call(breaker, "failed", NOW)
    assert report_call(breaker, "failed", NOW + after) == opens


def test_what_is_no_longer_counted_takes_no_memory() -> None:
    breaker: Any = a_breaker()
    for minute in range(100):
        report_call(breaker, "ok", NOW + minute * MINUTE)
    assert len(breaker._window._buckets) <= 6


def test_neutral_calls_are_not_counted() -> None:
    breaker = a_breaker()
    for _ in range(100):
        report_call(breaker, "neutral", NOW)
    assert breaker.view(NOW).calls == 0


def test_a_success_that_makes_up_the_minimum_does_not_open_it() -> None:
    breaker = a_breaker()
    assert not any(report_call(breaker, v, NOW) for v in ("failed",) * 4 + ("ok",))


def test_the_open_time_doubles_up_to_five_minutes() -> None:
    lengths = []
    for fraction in (0.0, 0.999999):
        breaker, now = a_breaker(random=lambda f=fraction: f), NOW  # type: ignore[misc]
        for _ in range(40):
            report_call(breaker, "misconfigured", now)
            last = breaker.last
            assert last
            lengths.append(last.open_until - now)
            now = last.open_until
    assert lengths[:7] == [10_000, 20_000, 40_000, 80_000, 160_000, 250_000, 250_000]
    assert lengths[40:42] == [11_999, 23_999]
    assert 299_990 <= max(lengths) <= 300_000


@pytest.mark.parametrize(("pause", "level"), [(299_999, 3), (300_000, 1)])
def test_after_a_while_closed_the_open_time_begins_anew(pause: int, level: int) -> None:
    breaker, now = opened(), NOW + 10_000
    assert report_call(breaker, "failed", now)
    now += 20_000
    assert report_call(breaker, "ok", now)
    report_call(breaker, "misconfigured", now + pause)
    last = breaker.last
    assert last
    assert last.level == level


def test_a_probe_that_fails_late_has_failed_all_the_same() -> None:
    breaker = opened()
    probe = breaker.begin(NOW + 10_000)
    assert breaker.report(probe, "failed", NOW + HOUR)
    last = breaker.last
    assert last
    assert last.open_until == NOW + HOUR + 20_000


def test_one_probe_goes_and_when_it_is_lost_another() -> None:
    breaker, now = opened(), NOW + 10_000
    lost = breaker.begin(now)
    assert lost.probe
    assert not admits(breaker, now + PROBE_MS - 1)
    assert not breaker.begin(now + PROBE_MS - 1).probe
    assert breaker.begin(now + PROBE_MS).probe
    assert not breaker.report(lost, "failed", now + PROBE_MS)
    assert breaker.view(now + PROBE_MS).phase == "half_open"


def test_a_probe_that_says_nothing_lets_the_next_one_go() -> None:
    breaker, now = opened(), NOW + 10_000
    assert not report_call(breaker, "neutral", now)
    assert admits(breaker, now)
    assert breaker.view(now).phase == "half_open"


def test_who_failed_before_it_opened_does_not_open_it_again() -> None:
    breaker = a_breaker()
    early = [breaker.begin(NOW) for _ in range(20)]
    opening = [breaker.report(ticket, "misconfigured", NOW) for ticket in early]
    assert opening == [True] + [False] * 19
    assert breaker.view(NOW).opened == 1
    report_call(breaker, "ok", NOW + 10_000)
    assert not breaker.report(early[0], "misconfigured", NOW + 10_000)


def test_a_call_in_spite_of_it_closes_it_by_its_success_only() -> None:
    breaker = opened()
    assert not report_call(breaker, "failed", NOW + 1)
    assert breaker.openness(NOW + 1) == 300_000 + 9_999
    assert report_call(breaker, "ok", NOW + 2)
    assert admits(breaker, NOW + 2)


def test_a_clock_that_is_set_back_does_not_prolong_the_open_time() -> None:
    breaker = opened()
    assert not admits(breaker, NOW - HOUR)
    assert not admits(breaker, NOW - HOUR + 9_999)
    assert admits(breaker, NOW - HOUR + 10_000)


def test_a_probe_of_the_future_lapses() -> None:
    breaker = opened()
    breaker.begin(NOW + HOUR)
    assert not admits(breaker, NOW)
    assert admits(breaker, NOW + PROBE_MS)


def test_own_transitions_hold_against_one_of_the_future() -> None:
    breaker = a_breaker()
    transition = Transition(NOW + HOUR, NOW + HOUR + 10_000, 1, "failed")
    assert breaker.adopt(transition, NOW)
    assert report_call(breaker, "ok", NOW + 300_000)
    last = breaker.last
    assert last
    assert last.order > transition.order
    assert not breaker.adopt(transition, NOW + 300_000)
    assert admits(breaker, NOW + 300_000)


def test_a_level_beyond_all_reason_does_no_harm() -> None:
    breaker = a_breaker()
    breaker.adopt(Transition(NOW, NOW + 1, 10**12, "failed"), NOW)
    assert report_call(breaker, "failed", NOW + 1)
    assert breaker.view(NOW + 1).open_until == NOW + 1 + 250_000


def test_a_transition_goes_over_json() -> None:
    last = opened().last
    assert last
    assert msgspec.json.decode(msgspec.json.encode(last), type=Transition) == last
