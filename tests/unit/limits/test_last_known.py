"""What an isolate lets be spent of accounts that do not answer."""

from hypothesis import given
from hypothesis import strategies as st

from proxy.limits.last_known import KNOWN, LastKnownBudgets

AMOUNTS = st.integers(0, 10**12)


@given(st.lists(st.tuples(st.sampled_from(["learn", "spend"]), AMOUNTS, st.integers(0, 2))))
def test_in_a_day_no_more_than_was_last_known_whenever_it_answers_between(
    steps: list[tuple[str, int, int]],
) -> None:
    known, left, day, spent = LastKnownBudgets(), 0, 0, 0
    for what, amount, days in steps:
        if days:
            day, spent = day + days, 0
        if what == "learn":
            known.learn("key_1", amount)
            left = amount
            continue
        fits = spent + amount <= left
        assert known.spend("key_1", amount, day) == (fits or not amount)
        spent += amount if fits else 0


def test_accounts_stand_apart_and_only_so_many_are_known() -> None:
    known = LastKnownBudgets()
    for number in range(KNOWN + 1):
        known.learn(f"key_{number}", 5)
    assert not known.spend("key_0", 1, 0)
    assert known.spend("key_1", 5, 0)
    assert known.spend("key_2", 5, 0)
    assert not known.spend("key_1", 1, 0)
