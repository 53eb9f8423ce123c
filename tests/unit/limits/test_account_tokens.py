"""Accounts: what they grant of tokens a minute, case by case."""

from msgspec import structs

from proxy.limits.account import DAY, Account
from proxy.limits.account_messages import ReservationAnswer
from proxy.limits.token_allowance import DEBT, MINUTE
from tests.unit.limits.accounts import NOON, granted, reservation


class TestTokens:
    def test_they_refill_by_the_millisecond(self) -> None:
        account = Account(NOON)
        assert granted(account, reservation("a", 100, tokens_per_minute=100), NOON)
        refused = account.reserve(reservation("b", 7, tokens_per_minute=100), NOON + 100)
        assert refused == ReservationAnswer(
            limit="tokens_per_minute", wait=4100, left=0, quota=100, resets_at=NOON + MINUTE
        )
        assert not granted(account, reservation("b", 7, tokens_per_minute=100), NOON + 4199)
        assert granted(account, reservation("b", 7, tokens_per_minute=100), NOON + 4200)

    def test_a_wait_is_rounded_up(self) -> None:
        account = Account(NOON)
        account.reserve(reservation("a", 7, tokens_per_minute=7), NOON)
        assert account.reserve(reservation("b", 1, tokens_per_minute=7), NOON).wait == 8572
        assert not granted(account, reservation("b", 1, tokens_per_minute=7), NOON + 8571)
        assert granted(account, reservation("b", 1, tokens_per_minute=7), NOON + 8572)

    def test_what_is_left_is_told_with_a_grant(self) -> None:
        answer = Account(NOON).reserve(reservation("a", 30, tokens_per_minute=90), NOON)
        assert answer == ReservationAnswer(
            limit=None, wait=0, left=60, quota=90, resets_at=NOON + MINUTE // 3
        )

    def test_what_was_not_used_comes_back_and_what_was_used_beyond_is_owed(self) -> None:
        account = Account(NOON)
        account.reserve(reservation("a", 80, tokens_per_minute=100), NOON)
        account.settle("a", 30, 0, NOON)
        assert account.show(NOON).tokens_left == 70
        account.reserve(reservation("b", 70, tokens_per_minute=100), NOON)
        account.settle("b", 120, 0, NOON)
        assert account.show(NOON).tokens_left == -50
        refused = account.reserve(reservation("c", 1, tokens_per_minute=100), NOON)
        assert (refused.left, refused.wait) == (0, 30_600)

    def test_what_had_refilled_meanwhile_does_not_come_back_again(self) -> None:
        account = Account(NOON)
        account.reserve(reservation("a", 100, tokens_per_minute=100), NOON)
        now = NOON + MINUTE
        assert granted(account, reservation("b", 100, tokens_per_minute=100), now)
        account.settle("a", 0, 0, now)
        assert not granted(account, reservation("c", 1, tokens_per_minute=100), now)
        account.settle("b", 40, 0, now)
        assert account.show(now).tokens_left == 60

    def test_a_busy_key_gets_back_what_it_did_not_use(self) -> None:
        account = Account(NOON)
        for id in "abcd":
            account.reserve(reservation(id, 25, tokens_per_minute=100), NOON)
        for id in "abcd":
            account.settle(id, 5, 0, NOON + 6000)
        assert account.show(NOON + 6000).tokens_left == 85

    def test_a_lapse_frees_no_tokens(self) -> None:
        account = Account(NOON)
        ten_tokens = structs.replace(reservation("a", 10, 9, tokens_per_minute=10), lifetime=600)
        assert account.reserve(ten_tokens, NOON).limit is None
        shown = account.show(NOON + 600)
        assert (shown.reserved, shown.tokens_left) == (0, 0)
        account.reserve(reservation("b", 0, tokens_per_minute=10), NOON + 600)
        account.settle("b", 0, 0, NOON + 600)
        assert account.show(NOON + 600).tokens_left == 0

    def test_more_than_a_minutes_tokens_are_granted_when_all_are_there(self) -> None:
        account = Account(NOON)
        account.reserve(reservation("a", 1, tokens_per_minute=100), NOON)
        refused = account.reserve(reservation("b", 500, tokens_per_minute=100), NOON)
        assert (refused.left, refused.wait) == (99, 600)
        assert granted(account, reservation("b", 500, tokens_per_minute=100), NOON + 600)
        assert account.show(NOON + 600).tokens_left == 0  # owed is only what was used
        account.settle("b", 500, 0, NOON + 600)
        assert account.show(NOON + 600).tokens_left == -400

    def test_a_debt_is_paid_within_the_hour(self) -> None:
        account = Account(NOON)
        account.reserve(reservation("a", 1, tokens_per_minute=100), NOON)
        account.settle("a", 10**30, 0, NOON)
        refused = account.reserve(reservation("b", 0, tokens_per_minute=100), NOON)
        assert refused.wait == DEBT * MINUTE

    def test_a_smaller_allowance_makes_the_debt_no_longer(self) -> None:
        account = Account(NOON)
        account.reserve(reservation("a", 1, tokens_per_minute=100), NOON)
        account.settle("a", 10**30, 0, NOON)
        refused = account.reserve(reservation("b", 0, tokens_per_minute=10), NOON)
        assert refused.wait == DEBT * MINUTE

    def test_a_clock_that_steps_back_refills_nothing(self) -> None:
        account = Account(NOON)
        account.reserve(reservation("a", 100, tokens_per_minute=100), NOON)
        refused = account.reserve(reservation("b", 1, tokens_per_minute=100), NOON - 30_000)
        assert (refused.left, refused.wait) == (0, 30_600)
        assert account.show(NOON - DAY).tokens_left == 0
        assert account.show(NOON - DAY + 600).tokens_left == 1

    def test_of_none_a_minute_none_are_granted(self) -> None:
        account = Account(NOON)
        refused = account.reserve(reservation("a", 1, tokens_per_minute=0), NOON)
        assert (refused.limit, refused.wait) == ("tokens_per_minute", None)
        assert granted(account, reservation("a", 0, tokens_per_minute=0), NOON)
        account.reserve(reservation("b", 9, tokens_per_minute=9), NOON)
        account.settle("b", 99, 0, NOON)
        assert granted(account, reservation("c", 0, tokens_per_minute=0), NOON)

    def test_another_allowance_holds_at_once(self) -> None:
        account = Account(NOON)
        account.reserve(reservation("a", 60, tokens_per_minute=100), NOON)
        assert account.reserve(reservation("b", 0, tokens_per_minute=200), NOON).left == 40
        assert account.reserve(reservation("b", 0, tokens_per_minute=30), NOON).left == 30
        assert account.reserve(reservation("b", 0), NOON).quota == 0
