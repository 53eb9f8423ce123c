"""Accounts: what they grant, by a plain model and by bounds."""

from calendar import monthrange
from datetime import UTC, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from proxy.limits.account import DAY, SETTLED_MS, Account
from proxy.limits.account_messages import AccountLimits, ReservationAnswer, ReservationRequest
from proxy.limits.token_allowance import MINUTE
from proxy.limits.token_bucket import STEP
from tests.unit.limits.accounts import IDS, LIFETIME, at, granted, reservation


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
        limits=st.builds(
            AccountLimits,
            tokens_per_minute=st.none() | st.sampled_from([0, 7, 11, 200]),
            day=st.none() | st.integers(0, 200),
            month=st.none() | st.integers(0, 300),
        ),
    )
    def reserve(self, id: str, tokens: int, usd: int, lifetime: int, limits: AccountLimits) -> None:
        request = ReservationRequest(
            id=id, tokens=tokens, nano_usd=usd, limits=limits, lifetime=lifetime
        )
        answer = self.account.reserve(request, self.clock)
        self.model.turn(self.clock)
        self.model.open.pop(id, None)
        taken = self.model.reserved
        day_fits = limits.day is None or self.model.day + taken + usd <= limits.day
        month_fits = limits.month is None or self.model.month + taken + usd <= limits.month
        if answer.limit is None:
            assert day_fits and month_fits
            if id not in self.model.settled and lifetime:
                self.model.open[id] = usd, lifetime
        elif answer.limit == "tokens_per_minute":
            assert limits.tokens_per_minute is not None
        else:
            assert not (day_fits and month_fits)
            spent = self.model.day if answer.limit == "budget_day" else self.model.month
            assert answer.quota is not None
            assert answer.left == max(0, answer.quota - spent - taken)
        self.is_truthful(request, answer)

    def is_truthful(self, request: ReservationRequest, answer: ReservationAnswer) -> None:
        """To wait that long is enough, a millisecond less is not."""
        if answer.limit is None:
            assert answer.wait == 0
            return
        state = self.account.encode_state()

        def then(wait: int) -> bool:
            return Account(0, state).reserve(request, self.clock + wait).limit is None

        assert answer.wait is None or then(answer.wait)
        assert not then((answer.wait or 400 * DAY) - 1)

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
        self.account = Account(self.clock, self.account.encode_state())

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
            request = reservation(str(id), 0, reserved, day=budget, month=budget * 2)
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
        elif granted(account, reservation(str(id), reserved, tokens_per_minute=quota), now):
            beyond = max(0, used - min(reserved, quota))
            used_by[id] = now, used, beyond
    assert not honest or not any(beyond for _, _, beyond in used_by.values())
    for begin, _, _ in used_by.values():
        for end, _, _ in used_by.values():
            inside = [it for it in used_by.values() if begin <= it[0] <= end]
            used = sum(used for _, used, _ in inside)
            allowed = quota + sum(beyond for _, _, beyond in inside)
            assert end < begin or used * MINUTE <= allowed * MINUTE + quota * (end - begin)
