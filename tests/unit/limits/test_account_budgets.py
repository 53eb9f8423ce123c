"""Accounts: what they grant of a day's and a month's budget, case by case."""

import pytest

from proxy.limits.account import DAY, SETTLED_MS, Account
from proxy.limits.account_messages import ReservationAnswer
from proxy.limits.token_bucket import STEP
from tests.unit.limits.accounts import LIFETIME, NOON, at, granted, reservation


class TestMoney:
    def test_what_is_reserved_is_not_there_for_others(self) -> None:
        account = Account(NOON)
        assert granted(account, reservation("a", 0, 60, day=100), NOON)
        refused = account.reserve(reservation("b", 0, 41, day=100), NOON)
        assert refused == ReservationAnswer(
            limit="budget_day",
            wait=LIFETIME,
            left=40,
            quota=100,
            resets_at=at(2024, 2, 29),
            money_left=40,
        )
        assert account.reserve(reservation("b", 0, 100, day=100), NOON).wait == LIFETIME
        assert granted(account, reservation("b", 0, 40, day=100), NOON)

    def test_what_is_left_is_that_of_the_budget_with_the_least(self) -> None:
        account = Account(NOON)
        account.settle("before", 0, 10, NOON)
        assert account.reserve(reservation("a", 0, 60, day=100), NOON).money_left == 30
        both = account.reserve(reservation("b", 0, 5, day=200, month=100), NOON)
        assert both.money_left == 25
        assert account.reserve(reservation("c", 0, 1, month=40), NOON).money_left == 0
        assert account.reserve(reservation("d", 0, 1), NOON).money_left is None

    def test_what_was_not_used_is_free_again(self) -> None:
        account = Account(NOON)
        account.reserve(reservation("a", 0, 90, day=100), NOON)
        account.settle("a", 0, 10, NOON)
        assert granted(account, reservation("b", 0, 90, day=100), NOON)

    def test_an_unsettled_reservation_lapses_and_what_it_used_still_counts_once(self) -> None:
        account = Account(NOON)
        account.reserve(reservation("a", 0, 90, day=100), NOON)
        assert not granted(account, reservation("b", 0, 20, day=100), NOON + LIFETIME - 1)
        assert granted(account, reservation("b", 0, 100, day=100), NOON + LIFETIME)
        for _ in range(2):
            account.settle("a", 0, 95, NOON + LIFETIME)
        assert account.show(NOON + LIFETIME).spent_day == 95

    def test_another_attempt_replaces_the_reservation(self) -> None:
        account = Account(NOON)
        account.reserve(reservation("a", 50, 90, day=100, tokens_per_minute=60), NOON)
        assert granted(account, reservation("a", 60, 100, day=100, tokens_per_minute=60), NOON)
        assert account.show(NOON).reserved == 100
        assert not granted(account, reservation("a", 0, 101, day=100), NOON)
        assert account.show(NOON).reserved == 0

    def test_a_reservation_that_comes_after_its_settlement_holds_nothing(self) -> None:
        account = Account(NOON)
        account.settle("a", 5, 30, NOON)
        assert granted(account, reservation("a", 10, 70, day=100, tokens_per_minute=10), NOON)
        shown = account.show(NOON)
        assert (shown.spent_day, shown.reserved, shown.tokens_left) == (30, 0, 10)

    def test_the_limit_that_stands_longest_is_told(self) -> None:
        account = Account(NOON)
        account.settle("a", 0, 100, NOON)
        refused = account.reserve(reservation("b", 0, 1, day=100, month=100), NOON)
        assert refused.limit == "budget_month"
        assert refused.resets_at == at(2024, 3, 1)
        assert refused.wait == at(2024, 3, 1) - NOON
        never = account.reserve(reservation("b", 0, 101, day=100, month=200), NOON)
        assert (never.limit, never.wait, never.left) == ("budget_day", None, 0)

    def test_a_smaller_budget_holds_at_once(self) -> None:
        account = Account(NOON)
        account.settle("a", 0, 50, NOON)
        assert account.reserve(reservation("b", 0, 1, day=50), NOON).left == 0
        assert account.reserve(reservation("b", 0, 0, day=40), NOON).left == 0
        assert granted(account, reservation("b", 0, 1, day=51), NOON)

    @pytest.mark.parametrize(
        ("now", "day_ends", "month_ends"),
        [
            (at(2024, 2, 29, 23, 59, 59), at(2024, 3, 1), at(2024, 3, 1)),
            (at(2023, 2, 28, 1), at(2023, 3, 1), at(2023, 3, 1)),
            (at(2100, 2, 28), at(2100, 3, 1), at(2100, 3, 1)),
            (at(2024, 12, 31, 5), at(2025, 1, 1), at(2025, 1, 1)),
            (at(2024, 4, 30), at(2024, 5, 1), at(2024, 5, 1)),
            (at(2024, 2, 28, 0), at(2024, 2, 29), at(2024, 3, 1)),
        ],
    )
    def test_days_and_months_end_by_the_calendar(
        self, now: int, day_ends: int, month_ends: int
    ) -> None:
        account = Account(now)
        account.settle("a", 0, 7, now)
        shown = account.show(now)
        assert (shown.day_ends, shown.month_ends) == (day_ends, month_ends)
        assert account.show(day_ends - 1).spent_day == 7
        assert account.show(day_ends).spent_day == 0
        assert account.show(month_ends - 1).spent_month == (7 if day_ends < month_ends else 0)
        assert account.show(month_ends).spent_month == 0

    def test_over_midnight_it_stays_reserved_and_counts_when_it_is_settled(self) -> None:
        late, early = at(2024, 2, 29, 23, 59), at(2024, 3, 1, 0, 1)
        account = Account(late)
        account.reserve(reservation("a", 0, 80, day=100, month=100), late)
        assert account.reserve(reservation("b", 0, 30, day=100), early).left == 20
        account.settle("a", 0, 70, early)
        shown = account.show(early)
        assert (shown.spent_day, shown.spent_month) == (70, 70)

    def test_a_clock_that_goes_back_over_midnight_gives_no_budget_twice(self) -> None:
        morning = at(2024, 3, 1, 0, 0, 30)
        account = Account(morning)
        account.settle("a", 0, 100, morning)
        for back in (STEP, DAY, 40 * DAY):
            assert not granted(account, reservation("b", 0, 1, day=100, month=200), morning - back)
        assert granted(account, reservation("b", 0, 1, day=100, month=200), at(2024, 3, 1))

    def test_a_clock_set_back_makes_no_reservation_live_longer(self) -> None:
        account = Account(NOON)
        account.reserve(reservation("a", 0, 100, day=100), NOON)
        account.settle("z", 0, 0, NOON)
        back = NOON - DAY
        assert account.show(back).reserved == 100
        assert account.show(back + LIFETIME).reserved == 0
        assert account.reserve(reservation("z", 0, 7), back + SETTLED_MS).limit is None
        assert account.show(back + SETTLED_MS).reserved == 7  # no longer remembered
