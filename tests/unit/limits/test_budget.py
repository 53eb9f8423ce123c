"""Accounts: what they grant, by a plain model, by bounds, and case by case."""

from calendar import monthrange
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from proxy.limits.budget import (
    DAY,
    DEBT,
    MINUTE,
    RESERVATIONS,
    SETTLED,
    SETTLED_MS,
    Account,
    Reserve,
    Terms,
    Verdict,
)
from proxy.limits.token_bucket import STEP

LIFETIME = 900_000
IDS = st.sampled_from("abcdef")


def at(*moment: int) -> int:
    """A moment of UTC in milliseconds."""
    return round(datetime(*moment, tzinfo=UTC).timestamp() * 1000)  # type: ignore[arg-type]


NOON = at(2024, 2, 28, 12)


def ask(id: str = "a", tokens: int = 0, nano_usd: int = 0, **terms: int | None) -> Reserve:
    return Reserve(id=id, tokens=tokens, nano_usd=nano_usd, terms=Terms(**terms), lifetime=LIFETIME)


def granted(account: Account, now: int, *args: Any, **terms: int | None) -> bool:
    return account.reserve(ask(*args, **terms), now).limit is None


class Model:
    """The account in the plainest words; tokens have models of their own."""

    def __init__(self, now: int) -> None:
        self.now = now
        self.day = self.month = 0
        self.open: dict[str, tuple[int, int]] = {}
        """Nano-dollars and how many milliseconds they stay reserved."""
        self.settled: dict[str, int] = {}

    def turn(self, clock: int) -> None:
        if self.now - STEP <= clock < self.now:
            return
        if clock < self.now:
            self.now = clock
        before, after = (datetime.fromtimestamp(ms / 1000, UTC) for ms in (self.now, clock))
        passed = clock - self.now
        self.open = {id: (usd, ms - passed) for id, (usd, ms) in self.open.items() if ms > passed}
        self.settled = {id: ms - passed for id, ms in self.settled.items() if ms > passed}
        if before.date() != after.date():
            self.day = 0
        if (before.year, before.month) != (after.year, after.month):
            self.month = 0
        self.now = clock

    @property
    def reserved(self) -> int:
        return sum(usd for usd, _ in self.open.values())


class Accounts(RuleBasedStateMachine):
    """An account and its model, through restarts and a clock that steps."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = at(2024, 2, 27, 23, 50)
        self.account = Account(self.clock)
        self.model = Model(self.clock)

    @rule(
        id=IDS,
        tokens=st.integers(0, 9) | st.integers(0, 300),
        usd=st.integers(0, 60),
        lifetime=st.integers(0, LIFETIME),
        terms=st.builds(
            Terms,
            tokens_per_minute=st.none() | st.sampled_from([0, 7, 11, 200]),
            day=st.none() | st.integers(0, 200),
            month=st.none() | st.integers(0, 300),
        ),
    )
    def reserve(self, id: str, tokens: int, usd: int, lifetime: int, terms: Terms) -> None:
        request = Reserve(id=id, tokens=tokens, nano_usd=usd, terms=terms, lifetime=lifetime)
        verdict = self.account.reserve(request, self.clock)
        self.model.turn(self.clock)
        self.model.open.pop(id, None)
        taken = self.model.reserved
        day_fits = terms.day is None or self.model.day + taken + usd <= terms.day
        month_fits = terms.month is None or self.model.month + taken + usd <= terms.month
        if verdict.limit is None:
            assert day_fits and month_fits
            if id not in self.model.settled and lifetime:
                self.model.open[id] = usd, lifetime
        elif verdict.limit == "tokens_per_minute":
            assert terms.tokens_per_minute is not None
        else:
            assert not (day_fits and month_fits)
            spent = self.model.day if verdict.limit == "budget_day" else self.model.month
            assert verdict.quota is not None
            assert verdict.left == max(0, verdict.quota - spent - taken)
        self.is_truthful(request, verdict)

    def is_truthful(self, request: Reserve, verdict: Verdict) -> None:
        """To wait that long is enough, a millisecond less is not."""
        if verdict.limit is None:
            assert verdict.wait == 0
            return
        state = self.account.state()

        def then(wait: int) -> bool:
            return Account(0, state).reserve(request, self.clock + wait).limit is None

        assert verdict.wait is None or then(verdict.wait)
        assert not then((verdict.wait or 400 * DAY) - 1)

    @rule(id=IDS, tokens=st.integers(0, 500), usd=st.integers(0, 90))
    def settle(self, id: str, tokens: int, usd: int) -> None:
        self.account.settle(id, tokens, usd, self.clock)
        self.model.turn(self.clock)
        if id not in self.model.settled:
            self.model.open.pop(id, None)
            self.model.day += usd
            self.model.month += usd
            self.model.settled[id] = SETTLED_MS

    @rule(ms=st.integers(0, MINUTE) | st.integers(0, 2 * LIFETIME) | st.integers(0, 40 * DAY))
    def time_passes(self, ms: int) -> None:
        self.clock += ms

    @rule(ms=st.integers(0, STEP))
    def the_clock_steps_back(self, ms: int) -> None:
        self.clock -= ms

    @rule(ms=st.integers(STEP, 40 * DAY))
    def the_clock_is_set_back(self, ms: int) -> None:
        self.clock -= ms

    @rule()
    def the_object_restarts(self) -> None:
        self.account = Account(self.clock, self.account.state())

    @rule()
    def an_operator_resets_it(self) -> None:
        self.account.reset(self.clock)
        self.model.turn(self.clock)
        self.model.day = self.model.month = 0
        self.model.open = {}

    @invariant()
    def shows_what_the_model_has(self) -> None:
        self.model.turn(self.clock)
        shown = self.account.show(self.clock)
        assert (shown.spent_day, shown.spent_month) == (self.model.day, self.model.month)
        assert (shown.reserved, shown.reservations) == (self.model.reserved, len(self.model.open))
        now = datetime.fromtimestamp(self.model.now / 1000, UTC)
        today = datetime(now.year, now.month, now.day, tzinfo=UTC)
        rest = monthrange(now.year, now.month)[1] - now.day
        assert shown.day_ends == (today + timedelta(1)).timestamp() * 1000
        assert shown.month_ends == (today + timedelta(1 + rest)).timestamp() * 1000


TestAgainstTheModel = Accounts.TestCase
TestAgainstTheModel.settings = settings(max_examples=100, stateful_step_count=30, deadline=None)

durations = st.sampled_from([0, 0, 1, 5000, 20_000, 60_000, 120_000]) | st.integers(0, 200_000)
steps = st.lists(
    st.tuples(
        durations,  # until the next
        st.integers(0, 15),  # reserved
        st.integers(0, 15),  # used
        durations,  # until it is settled
    ),
    max_size=25,
)


def played(steps: list[tuple[int, int, int, int]]) -> list[tuple[int, str, int, int, int]]:
    """Reserving and settling in the order of time: (moment, what, id, reserved, used)."""
    now, events = at(2024, 2, 29, 23, 40), []
    for id, (gap, reserved, used, duration) in enumerate(steps):
        now += gap
        events.append((now, "reserve", id, reserved, used))
        events.append((now + duration, "settle", id, reserved, used))
    return sorted(events)


@given(steps, st.integers(0, 60), st.booleans())
def test_spending_exceeds_the_budget_only_by_what_was_used_beyond_what_was_reserved(
    steps: list[tuple[int, int, int, int]], budget: int, honest: bool
) -> None:
    account, beyond, going = Account(0), {"day": 0, "month": 0}, set()
    ends = {"day": 0, "month": 0}
    for now, what, id, reserved, used in played(steps):
        used = min(used, reserved) if honest else used
        shown = account.show(now)
        for period, end in (("day", shown.day_ends), ("month", shown.month_ends)):
            if ends[period] != end:
                ends[period], beyond[period] = end, 0
        if what == "settle" and id in going:
            account.settle(str(id), 0, used, now)
            beyond = {period: sum_ + max(0, used - reserved) for period, sum_ in beyond.items()}
        elif what == "reserve":
            request = ask(str(id), 0, reserved, day=budget, month=budget * 2)
            if account.reserve(request, now).limit is None:
                going.add(id)
        shown = account.show(now)
        assert shown.spent_day + shown.reserved <= budget + beyond["day"]
        assert shown.spent_month + shown.reserved <= 2 * budget + beyond["month"]


@settings(max_examples=250)
@given(steps, st.integers(1, 15), st.booleans())
def test_no_window_has_more_tokens_than_the_allowance_and_what_it_adds(
    steps: list[tuple[int, int, int, int]], quota: int, honest: bool
) -> None:
    account = Account(0)
    used_by: dict[int, tuple[int, int, int]] = {}
    for now, what, id, reserved, used in played(steps):
        used = min(used, reserved, quota) if honest else used
        if what == "settle" and id in used_by:
            account.settle(str(id), used, 0, now)
        elif granted(account, now, str(id), reserved, tokens_per_minute=quota):
            beyond = max(0, used - min(reserved, quota))
            used_by[id] = now, used, beyond
    assert not honest or not any(beyond for _, _, beyond in used_by.values())
    for begin, _, _ in used_by.values():
        for end, _, _ in used_by.values():
            inside = [it for it in used_by.values() if begin <= it[0] <= end]
            used = sum(used for _, used, _ in inside)
            allowed = quota + sum(beyond for _, _, beyond in inside)
            assert end < begin or used * MINUTE <= allowed * MINUTE + quota * (end - begin)


class TestMoney:
    def test_what_is_reserved_is_not_there_for_others(self) -> None:
        account = Account(NOON)
        assert granted(account, NOON, "a", 0, 60, day=100)
        refused = account.reserve(ask("b", 0, 41, day=100), NOON)
        assert refused == Verdict(
            limit="budget_day",
            wait=LIFETIME,
            left=40,
            quota=100,
            resets_at=at(2024, 2, 29),
        )
        assert account.reserve(ask("b", 0, 100, day=100), NOON).wait == LIFETIME
        assert granted(account, NOON, "b", 0, 40, day=100)

    def test_what_was_not_used_is_free_again(self) -> None:
        account = Account(NOON)
        account.reserve(ask("a", 0, 90, day=100), NOON)
        account.settle("a", 0, 10, NOON)
        assert granted(account, NOON, "b", 0, 90, day=100)

    def test_an_unsettled_reservation_lapses_and_what_it_used_still_counts_once(self) -> None:
        account = Account(NOON)
        account.reserve(ask("a", 0, 90, day=100), NOON)
        assert not granted(account, NOON + LIFETIME - 1, "b", 0, 20, day=100)
        assert granted(account, NOON + LIFETIME, "b", 0, 100, day=100)
        for _ in range(2):
            account.settle("a", 0, 95, NOON + LIFETIME)
        assert account.show(NOON + LIFETIME).spent_day == 95

    def test_another_attempt_replaces_the_reservation(self) -> None:
        account = Account(NOON)
        account.reserve(ask("a", 50, 90, day=100, tokens_per_minute=60), NOON)
        assert granted(account, NOON, "a", 60, 100, day=100, tokens_per_minute=60)
        assert account.show(NOON).reserved == 100
        assert not granted(account, NOON, "a", 0, 101, day=100)
        assert account.show(NOON).reserved == 0

    def test_a_reservation_that_comes_after_its_settlement_holds_nothing(self) -> None:
        account = Account(NOON)
        account.settle("a", 5, 30, NOON)
        assert granted(account, NOON, "a", 10, 70, day=100, tokens_per_minute=10)
        shown = account.show(NOON)
        assert (shown.spent_day, shown.reserved, shown.tokens_left) == (30, 0, 10)

    def test_the_limit_that_stands_longest_is_told(self) -> None:
        account = Account(NOON)
        account.settle("a", 0, 100, NOON)
        refused = account.reserve(ask("b", 0, 1, day=100, month=100), NOON)
        assert refused.limit == "budget_month"
        assert refused.resets_at == at(2024, 3, 1)
        assert refused.wait == at(2024, 3, 1) - NOON
        never = account.reserve(ask("b", 0, 101, day=100, month=200), NOON)
        assert (never.limit, never.wait, never.left) == ("budget_day", None, 0)

    def test_a_smaller_budget_holds_at_once(self) -> None:
        account = Account(NOON)
        account.settle("a", 0, 50, NOON)
        assert account.reserve(ask("b", 0, 1, day=50), NOON).left == 0
        assert account.reserve(ask("b", 0, 0, day=40), NOON).left == 0
        assert granted(account, NOON, "b", 0, 1, day=51)

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
        account.reserve(ask("a", 0, 80, day=100, month=100), late)
        assert account.reserve(ask("b", 0, 30, day=100), early).left == 20
        account.settle("a", 0, 70, early)
        shown = account.show(early)
        assert (shown.spent_day, shown.spent_month) == (70, 70)

    def test_a_clock_that_goes_back_over_midnight_gives_no_budget_twice(self) -> None:
        morning = at(2024, 3, 1, 0, 0, 30)
        account = Account(morning)
        account.settle("a", 0, 100, morning)
        for back in (STEP, DAY, 40 * DAY):
            assert not granted(account, morning - back, "b", 0, 1, day=100, month=200)
        assert granted(account, at(2024, 3, 1), "b", 0, 1, day=100, month=200)

    def test_a_clock_set_back_makes_no_reservation_live_longer(self) -> None:
        account = Account(NOON)
        account.reserve(ask("a", 0, 100, day=100), NOON)
        account.settle("z", 0, 0, NOON)
        back = NOON - DAY
        assert account.show(back).reserved == 100
        assert account.show(back + LIFETIME).reserved == 0
        assert account.reserve(ask("z", 0, 7), back + SETTLED_MS).limit is None
        assert account.show(back + SETTLED_MS).reserved == 7  # no longer remembered


class TestTokens:
    def test_they_refill_by_the_millisecond(self) -> None:
        account = Account(NOON)
        assert granted(account, NOON, "a", 100, tokens_per_minute=100)
        refused = account.reserve(ask("b", 7, tokens_per_minute=100), NOON + 100)
        assert refused == Verdict(
            limit="tokens_per_minute", wait=4100, left=0, quota=100, resets_at=NOON + MINUTE
        )
        assert not granted(account, NOON + 4199, "b", 7, tokens_per_minute=100)
        assert granted(account, NOON + 4200, "b", 7, tokens_per_minute=100)

    def test_a_wait_is_rounded_up(self) -> None:
        account = Account(NOON)
        account.reserve(ask("a", 7, tokens_per_minute=7), NOON)
        assert account.reserve(ask("b", 1, tokens_per_minute=7), NOON).wait == 8572
        assert not granted(account, NOON + 8571, "b", 1, tokens_per_minute=7)
        assert granted(account, NOON + 8572, "b", 1, tokens_per_minute=7)

    def test_what_is_left_is_told_with_a_grant(self) -> None:
        verdict = Account(NOON).reserve(ask("a", 30, tokens_per_minute=90), NOON)
        assert verdict == Verdict(
            limit=None, wait=0, left=60, quota=90, resets_at=NOON + MINUTE // 3
        )

    def test_what_was_not_used_comes_back_and_what_was_used_beyond_is_owed(self) -> None:
        account = Account(NOON)
        account.reserve(ask("a", 80, tokens_per_minute=100), NOON)
        account.settle("a", 30, 0, NOON)
        assert account.show(NOON).tokens_left == 70
        account.reserve(ask("b", 70, tokens_per_minute=100), NOON)
        account.settle("b", 120, 0, NOON)
        assert account.show(NOON).tokens_left == -50
        refused = account.reserve(ask("c", 1, tokens_per_minute=100), NOON)
        assert (refused.left, refused.wait) == (0, 30_600)

    def test_what_had_refilled_meanwhile_does_not_come_back_again(self) -> None:
        account = Account(NOON)
        account.reserve(ask("a", 100, tokens_per_minute=100), NOON)
        now = NOON + MINUTE
        assert granted(account, now, "b", 100, tokens_per_minute=100)
        account.settle("a", 0, 0, now)
        assert not granted(account, now, "c", 1, tokens_per_minute=100)
        account.settle("b", 40, 0, now)
        assert account.show(now).tokens_left == 60

    def test_a_busy_key_gets_back_what_it_did_not_use(self) -> None:
        account = Account(NOON)
        for id in "abcd":
            account.reserve(ask(id, 25, tokens_per_minute=100), NOON)
        for id in "abcd":
            account.settle(id, 5, 0, NOON + 6000)
        assert account.show(NOON + 6000).tokens_left == 85

    def test_a_lapse_frees_no_tokens(self) -> None:
        account = Account(NOON)
        ten_tokens = Reserve(
            id="a", tokens=10, nano_usd=9, terms=Terms(tokens_per_minute=10), lifetime=600
        )
        assert account.reserve(ten_tokens, NOON).limit is None
        shown = account.show(NOON + 600)
        assert (shown.reserved, shown.tokens_left) == (0, 0)
        account.reserve(ask("b", 0, tokens_per_minute=10), NOON + 600)
        account.settle("b", 0, 0, NOON + 600)
        assert account.show(NOON + 600).tokens_left == 0

    def test_more_than_a_minutes_tokens_are_granted_when_all_are_there(self) -> None:
        account = Account(NOON)
        account.reserve(ask("a", 1, tokens_per_minute=100), NOON)
        refused = account.reserve(ask("b", 500, tokens_per_minute=100), NOON)
        assert (refused.left, refused.wait) == (99, 600)
        assert granted(account, NOON + 600, "b", 500, tokens_per_minute=100)
        assert account.show(NOON + 600).tokens_left == 0  # owed is only what was used
        account.settle("b", 500, 0, NOON + 600)
        assert account.show(NOON + 600).tokens_left == -400

    def test_a_debt_is_paid_within_the_hour(self) -> None:
        account = Account(NOON)
        account.reserve(ask("a", 1, tokens_per_minute=100), NOON)
        account.settle("a", 10**30, 0, NOON)
        refused = account.reserve(ask("b", 0, tokens_per_minute=100), NOON)
        assert refused.wait == DEBT * MINUTE

    def test_a_smaller_allowance_makes_the_debt_no_longer(self) -> None:
        account = Account(NOON)
        account.reserve(ask("a", 1, tokens_per_minute=100), NOON)
        account.settle("a", 10**30, 0, NOON)
        refused = account.reserve(ask("b", 0, tokens_per_minute=10), NOON)
        assert refused.wait == DEBT * MINUTE

    def test_a_clock_that_steps_back_refills_nothing(self) -> None:
        account = Account(NOON)
        account.reserve(ask("a", 100, tokens_per_minute=100), NOON)
        refused = account.reserve(ask("b", 1, tokens_per_minute=100), NOON - 30_000)
        assert (refused.left, refused.wait) == (0, 30_600)
        assert account.show(NOON - DAY).tokens_left == 0
        assert account.show(NOON - DAY + 600).tokens_left == 1

    def test_of_none_a_minute_none_are_granted(self) -> None:
        account = Account(NOON)
        refused = account.reserve(ask("a", 1, tokens_per_minute=0), NOON)
        assert (refused.limit, refused.wait) == ("tokens_per_minute", None)
        assert granted(account, NOON, "a", 0, tokens_per_minute=0)
        account.reserve(ask("b", 9, tokens_per_minute=9), NOON)
        account.settle("b", 99, 0, NOON)
        assert granted(account, NOON, "c", 0, tokens_per_minute=0)

    def test_another_allowance_holds_at_once(self) -> None:
        account = Account(NOON)
        account.reserve(ask("a", 60, tokens_per_minute=100), NOON)
        assert account.reserve(ask("b", 0, tokens_per_minute=200), NOON).left == 40
        assert account.reserve(ask("b", 0, tokens_per_minute=30), NOON).left == 30
        assert account.reserve(ask("b", 0), NOON).quota == 0


class TestState:
    def test_it_is_bounded(self) -> None:
        account = Account(NOON)
        for number in range(RESERVATIONS + 500):
            assert granted(account, NOON + number, f"{number:032x}", 9, 10**9, day=10**15)
        for number in range(1000):
            account.settle(f"s{number:031x}", 9, 10**9, NOON + 2500)
        shown = account.show(NOON + 2500)
        assert shown.reserved == (RESERVATIONS + 500) * 10**9
        assert RESERVATIONS < shown.reservations <= RESERVATIONS + 2
        size = len(account.state())
        assert size < 200_000
        for number in range(1000):
            account.settle(f"t{number:031x}", 9, 0, NOON + 2500)
        assert len(account.state()) == size
        assert account.show(NOON + 2500 + LIFETIME).reserved == 0

    def test_reservations_beyond_those_known_lapse_by_the_minute(self) -> None:
        account = Account(NOON)
        for number in range(RESERVATIONS):
            account.reserve(ask(str(number)), NOON)
        early = ask("early", 0, 1)
        shorter = msgspec.structs.replace(early, id="shorter", lifetime=LIFETIME - 1)
        for request, now in ((early, NOON), (shorter, NOON + 9), (early, NOON + 2 * MINUTE)):
            assert account.reserve(request, now).limit is None
        assert account.show(NOON + LIFETIME + 7).reserved == 3
        assert account.show(NOON + LIFETIME + 8).reserved == 1
        assert account.show(NOON + LIFETIME + 2 * MINUTE - 1).reserved == 1
        assert account.show(NOON + LIFETIME + 2 * MINUTE).reserved == 0

    def test_one_of_a_shorter_life_frees_nobody_elses_money(self) -> None:
        account = Account(NOON)
        for number in range(RESERVATIONS):
            account.reserve(ask(str(number)), NOON)
        account.reserve(ask("early", 0, 1), NOON + 50)
        shorter = msgspec.structs.replace(ask("b", 0, 1), lifetime=LIFETIME - 20)
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
        assert Account(NOON, account.state()).show(NOON).spent_day == 10**30

    @pytest.mark.parametrize("state", [b"", b"{}", b"[]", b"[1,-1]", b"\xff\xfe", b'[1,"x"]'])
    def test_what_is_none_is_refused(self, state: bytes) -> None:
        with pytest.raises(ValueError, match=r"."):
            Account(NOON, state)

    def test_a_cut_one_is_refused(self) -> None:
        account = Account(NOON)
        account.reserve(ask("a", 5, 5, day=9, tokens_per_minute=9), NOON)
        state = account.state()
        for length in range(len(state)):
            with pytest.raises(ValueError, match=r"."):
                Account(NOON, state[:length])

    def test_it_is_idle_when_a_new_one_would_do_the_same(self) -> None:
        account = Account(NOON)
        assert account.idle(NOON)
        account.reserve(ask("a", 60, 5, tokens_per_minute=60), NOON)
        assert not account.idle(NOON + MINUTE)
        account.settle("a", 60, 5, NOON + MINUTE)
        assert not account.idle(at(2024, 3, 1) - 1)
        assert account.idle(at(2024, 3, 1))

    @pytest.mark.parametrize("case", ["tokens", "settled"])
    def test_it_is_not_idle_while_it_has_something_to_remember(self, case: str) -> None:
        account = Account(NOON)
        if case == "settled":
            account.settle("a", 0, 0, NOON)
            assert not account.idle(NOON + SETTLED_MS - 1)
            assert account.idle(NOON + SETTLED_MS)
        else:
            lapses = Reserve(
                id="a", tokens=60, nano_usd=0, terms=Terms(tokens_per_minute=60), lifetime=1
            )
            account.reserve(lapses, NOON)
            assert not account.idle(NOON + MINUTE - 1)
            assert account.idle(NOON + MINUTE)

    def test_an_account_in_use_wakes_at_its_months_end_and_not_before(self) -> None:
        account = Account(NOON)
        account.reserve(ask("a", 60, 5, tokens_per_minute=60), NOON)
        assert account.next_idle(NOON) == NOON + LIFETIME
        for day in range(2):
            account.settle(f"{day}", 60, 5, NOON + day * DAY)
            assert account.next_idle(NOON + day * DAY) == at(2024, 3, 1)

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
    def test_when_it_will_be_idle(self, steps: Any, quota: int | None) -> None:
        account, now = Account(NOON), NOON
        for what, id, tokens, nano_usd, pause in steps:
            if what == "reserve":
                account.reserve(ask(id, tokens, nano_usd, tokens_per_minute=quota), now)
            else:
                account.settle(id, tokens, nano_usd, now)
            now += pause
        idle = account.next_idle(now)
        state = account.state()
        assert Account(now, state).idle(idle)
        if idle > now:
            assert not Account(now, state).idle(idle - 1)

    def test_a_reset_forgets_what_was_used_but_not_what_was_settled(self) -> None:
        account = Account(NOON)
        account.reserve(ask("a", 50, 50, day=100, tokens_per_minute=50), NOON)
        account.settle("b", 50, 50, NOON)
        account.reset(NOON)
        account.settle("b", 50, 50, NOON)
        shown = account.show(NOON)
        assert (shown.spent_day, shown.spent_month, shown.reserved) == (0, 0, 0)
        assert granted(account, NOON, "c", 50, 100, day=100, tokens_per_minute=50)
