"""How long a key rests."""

import pytest

from proxy.routing.rests import (
    FIRST_REST_MS,
    LONGEST_GUESS_MS,
    LONGEST_REST_MS,
    MOST_RESTS,
    Rests,
)
from tests.unit.routing.making_keys import NOW


def test_without_a_word_each_rest_is_twice_as_long_up_to_a_minute() -> None:
    rests, now, lengths = Rests(), NOW, []
    for _ in range(8):
        rests.begin(1, "", None, now)
        until = rests.until(1, ("",), now)
        lengths.append(until - now)
        now = until
    assert lengths == [1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000]
    rests.begin(1, "", None, now + LONGEST_GUESS_MS)
    assert rests.until(1, ("",), now + LONGEST_GUESS_MS) == now + LONGEST_GUESS_MS + FIRST_REST_MS


def test_answers_that_were_under_way_make_a_rest_no_longer() -> None:
    rests = Rests()
    for _ in range(10):
        rests.begin(1, "", None, NOW)
    assert rests.until(1, ("",), NOW) == NOW + FIRST_REST_MS


@pytest.mark.parametrize(
    ("told", "length"), [(0, FIRST_REST_MS), (5_000, 5_000), (10**9, LONGEST_REST_MS)]
)
def test_what_is_told_is_believed_for_an_hour(told: int, length: int) -> None:
    rests = Rests()
    rests.begin(1, "", told, NOW)
    assert rests.until(1, ("",), NOW) == NOW + length


def test_a_shorter_word_ends_no_rest() -> None:
    rests = Rests()
    rests.begin(1, "", 60_000, NOW)
    rests.begin(1, "", 1_000, NOW)
    assert rests.until(1, ("",), NOW) == NOW + 60_000


def test_a_clock_that_is_set_back_prolongs_no_rest() -> None:
    rests = Rests()
    rests.begin(1, "", 10_000, NOW)
    back = NOW - 3_600_000
    assert rests.until(1, ("",), back) == back + 10_000
    assert rests.until(1, ("",), back + 10_000) == 0


def test_a_key_rests_by_scope_and_by_number() -> None:
    rests = Rests()
    rests.begin(1, "m", 10_000, NOW)
    assert rests.until(1, ("", "m"), NOW) == NOW + 10_000
    assert rests.until(1, ("", "other"), NOW) == 0
    assert rests.until(2, ("", "m"), NOW) == 0
    assert rests.by_scope(1, NOW) == {"m": NOW + 10_000}
    assert rests.by_scope(1, NOW + 10_000) == {}


def test_made_up_models_take_no_more_memory() -> None:
    rests = Rests()
    rests.begin(1, "", 3_000_000, NOW)
    for number in range(3 * MOST_RESTS):
        rests.begin(1, f"made-up-{number}", 1_000, NOW)
    assert len(rests.by_scope(1, NOW)) <= MOST_RESTS
    assert rests.until(1, ("",), NOW) == NOW + 3_000_000
