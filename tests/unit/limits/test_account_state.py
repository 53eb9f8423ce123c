"""Accounts: what they remember, for how long, and that it is bounded."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs

from proxy.limits.account import DAY, RESERVATIONS, SETTLED, SETTLED_MS, Account
from proxy.limits.account_messages import AccountLimits, ReservationRequest
from proxy.limits.token_allowance import MINUTE
from tests.unit.limits.accounts import IDS, LIFETIME, NOON, at, granted, reservation


class TestState:
    def test_it_is_bounded(self) -> None:
        account = Account(NOON)
        for number in range(RESERVATIONS + 500):
            assert granted(
                account, reservation(f"{number:032x}", 9, 10**9, day=10**15), NOON + number
            )
        for number in range(1000):
            account.settle(f"s{number:031x}", 9, 10**9, NOON + 2500)
        shown = account.show(NOON + 2500)
        assert shown.reserved == (RESERVATIONS + 500) * 10**9
        assert RESERVATIONS < shown.reservations <= RESERVATIONS + 2
        size = len(account.encode_state())
        assert size < 200_000
        for number in range(1000):
            account.settle(f"t{number:031x}", 9, 0, NOON + 2500)
        assert len(account.encode_state()) == size
        assert account.show(NOON + 2500 + LIFETIME).reserved == 0

    def test_reservations_beyond_those_known_lapse_by_the_minute(self) -> None:
        account = Account(NOON)
        for number in range(RESERVATIONS):
            account.reserve(reservation(str(number)), NOON)
        early = reservation("early", 0, 1)
        shorter = structs.replace(early, id="shorter", lifetime=LIFETIME - 1)
        for request, now in ((early, NOON), (shorter, NOON + 9), (early, NOON + 2 * MINUTE)):
            assert account.reserve(request, now).limit is None
        assert account.show(NOON + LIFETIME + 7).reserved == 3
        assert account.show(NOON + LIFETIME + 8).reserved == 1
        assert account.show(NOON + LIFETIME + 2 * MINUTE - 1).reserved == 1
        assert account.show(NOON + LIFETIME + 2 * MINUTE).reserved == 0

    def test_one_of_a_shorter_life_frees_nobody_elses_money(self) -> None:
        account = Account(NOON)
        for number in range(RESERVATIONS):
            account.reserve(reservation(str(number)), NOON)
        account.reserve(reservation("early", 0, 1), NOON + 50)
        shorter = structs.replace(reservation("b", 0, 1), lifetime=LIFETIME - 20)
        account.reserve(shorter, NOON + 50)
        assert account.show(NOON + LIFETIME + 49).reserved == 2
        assert account.show(NOON + LIFETIME + 50).reserved == 0

    def test_the_last_ids_are_remembered_for_a_while(self) -> None:
        account = Account(NOON)
        for number in range(SETTLED + 1):
            account.settle(str(number), 0, 1, NOON)
        account.settle(str(SETTLED), 0, 1, NOON + SETTLED_MS - 1)
        account.settle("1", 0, 1, NOON)
        assert account.show(NOON).spent_day == SETTLED + 1

    def test_numbers_of_any_size_can_be_stored(self) -> None:
        account = Account(NOON)
        account.settle("a", 10**30, 10**30, NOON)
        account.settle("b", -5, -5, NOON)
        assert Account(NOON, account.encode_state()).show(NOON).spent_day == 10**30

    @pytest.mark.parametrize("state", [b"", b"{}", b"[]", b"[1,-1]", b"\xff\xfe", b'[1,"x"]'])
    def test_what_is_none_is_refused(self, state: bytes) -> None:
        with pytest.raises(ValueError, match=r"."):
            Account(NOON, state)

    def test_a_cut_one_is_refused(self) -> None:
        account = Account(NOON)
        account.reserve(reservation("a", 5, 5, day=9, tokens_per_minute=9), NOON)
        state = account.encode_state()
        for length in range(len(state)):
            with pytest.raises(ValueError, match=r"."):
                Account(NOON, state[:length])

    def test_it_is_idle_when_a_new_one_would_do_the_same(self) -> None:
        account = Account(NOON)
        assert account.is_idle(NOON)
        account.reserve(reservation("a", 60, 5, tokens_per_minute=60), NOON)
        assert not account.is_idle(NOON + MINUTE)
        account.settle("a", 60, 5, NOON + MINUTE)
        assert not account.is_idle(at(2024, 3, 1) - 1)
        assert account.is_idle(at(2024, 3, 1))

    @pytest.mark.parametrize("case", ["tokens", "settled"])
    def test_it_is_not_idle_while_it_has_something_to_remember(self, case: str) -> None:
        account = Account(NOON)
        if case == "settled":
            account.settle("a", 0, 0, NOON)
            assert not account.is_idle(NOON + SETTLED_MS - 1)
            assert account.is_idle(NOON + SETTLED_MS)
        else:
            lapses = ReservationRequest(
                id="a",
                tokens=60,
                nano_usd=0,
                limits=AccountLimits(tokens_per_minute=60),
                lifetime=1,
            )
            account.reserve(lapses, NOON)
            assert not account.is_idle(NOON + MINUTE - 1)
            assert account.is_idle(NOON + MINUTE)

    def test_an_account_in_use_wakes_at_its_months_end_and_not_before(self) -> None:
        account = Account(NOON)
        account.reserve(reservation("a", 60, 5, tokens_per_minute=60), NOON)
        assert account.find_idle_at(NOON) == NOON + LIFETIME
        for day in range(2):
            account.settle(f"{day}", 60, 5, NOON + day * DAY)
            assert account.find_idle_at(NOON + day * DAY) == at(2024, 3, 1)

    @settings(deadline=None)
    @given(
        st.lists(
            st.tuples(
                st.sampled_from(["reserve", "settle"]),
                IDS,
                st.integers(0, 200),
                st.integers(0, 5),
                st.integers(0, 2 * LIFETIME),
            ),
            max_size=12,
        ),
        st.sampled_from([None, 0, 60]),
    )
    def test_when_it_will_be_idle(
        self, steps: list[tuple[str, str, int, int, int]], quota: int | None
    ) -> None:
        account, now = Account(NOON), NOON
        for what, id, tokens, nano_usd, pause in steps:
            if what == "reserve":
                account.reserve(reservation(id, tokens, nano_usd, tokens_per_minute=quota), now)
            else:
                account.settle(id, tokens, nano_usd, now)
            now += pause
        idle = account.find_idle_at(now)
        state = account.encode_state()
        assert Account(now, state).is_idle(idle)
        if idle > now:
            assert not Account(now, state).is_idle(idle - 1)

    def test_a_reset_forgets_what_was_used_but_not_what_was_settled(self) -> None:
        account = Account(NOON)
        account.reserve(reservation("a", 50, 50, day=100, tokens_per_minute=50), NOON)
        account.settle("b", 50, 50, NOON)
        account.reset(NOON)
        account.settle("b", 50, 50, NOON)
        shown = account.show(NOON)
        assert (shown.spent_day, shown.spent_month, shown.reserved) == (0, 0, 0)
        assert granted(account, reservation("c", 50, 100, day=100, tokens_per_minute=50), NOON)
