"""A simulation of a team and a tag on several isolates: whatever is settled, given up or lost by a
crash, and in whatever order, neither budget is exceeded, and what is settled counts once."""

import asyncio
from collections.abc import Awaitable
from typing import Literal

from hypothesis import given
from hypothesis import strategies as st

from proxy.core.chat import ChatRequest, Cost, Usage
from proxy.core.messages import Message
from proxy.core.permit import Refusal
from proxy.core.principal import Principal
from proxy.core.settings import read_settings
from proxy.core.web import stay_anyway
from proxy.limits.account_messages import AccountView
from proxy.limits.estimate import ChatEstimate
from proxy.limits.limiter import Limiter
from proxy.limits.meter import AttemptReservation, Meter
from proxy.limits.shared_budgets import SharedBudget
from proxy.limits.tab import RESERVED_MS
from tests.unit.doubles import FakeReply, ManualClock, ports
from tests.unit.limits.test_meter import OFFER
from tests.unit.memory_objects import MemoryObjects

ISOLATES = 3
TEAM, TAG = "team:search", "tag:eval"
End = Literal["settle", "lose", "release", "crash before", "crash after", "wait"]
"""What becomes of an attempt. A crash before its end reports nothing; one after it loses what was
to be reported."""


class Simulation:
    """Isolates that share nothing but the objects."""

    def __init__(self, team: int, tag: int) -> None:
        self.clock = ManualClock()
        outside = ports(lambda _: FakeReply(), clock=self.clock)
        assert isinstance(outside.objects, MemoryObjects)
        self.objects = outside.objects
        for name, day in ((TEAM, team), (TAG, tag)):
            self.objects.keys.budgets.put(SharedBudget(name=name, day=day))
        self.budgets = {TEAM: team, TAG: tag}
        settings = read_settings({"RATE_LIMIT_LEASE": "1"}, ("openai",)).limits
        self.limiters = [Limiter(settings, outside) for _ in range(ISOLATES)]
        self.open: list[tuple[Meter, AttemptReservation, list[Awaitable[object]], bool]] = []
        self.settled = {TEAM: 0, TAG: 0}

    async def begin(self, isolate: int, key: int, *, tagged: bool) -> None:
        """A request of one of the team's keys."""
        later: list[Awaitable[object]] = []
        caller = Principal(user=f"user {key}", key_id=f"key_{key}", team="search")
        tags = ("eval", "other") if tagged else ()
        meter = Meter(self.limiters[isolate], caller, later.append, stay_anyway, tags)
        meter.estimate = ChatEstimate(ChatRequest(messages=(Message("user", "Hi"),)))
        assert await meter.admit() is None
        reserved = await meter.charge(OFFER)
        if isinstance(reserved, Refusal):
            assert reserved.limit == "budget_day"
            meter.close()
            await finish(later)
        else:
            assert isinstance(reserved, AttemptReservation)
            self.open.append((meter, reserved, later, tagged))

    async def end(self, which: int, end: End, cost: int) -> None:
        """One of the requests that are under way ends."""
        if end == "wait":
            self.clock.time += RESERVED_MS / 5000
        if end == "wait" or not self.open:
            return
        meter, reserved, later, tagged = self.open.pop(which % len(self.open))
        if end == "crash before":
            return
        if end == "settle":
            reserved.settle(Usage(input=1, output=1), Cost(cost))
        elif end == "lose":
            reserved.lose()
            cost = 10 * meter.expected(None).input
        else:
            reserved.release()
            cost = 0
        meter.close()
        if end == "crash after":
            abandon(later)
            return
        await finish(later)
        for name in (TEAM, TAG) if tagged else (TEAM,):
            self.settled[name] += cost

    def account(self, name: str) -> AccountView:
        return self.objects.accounts.at(name).show(self.objects.accounts.now)

    def check(self) -> None:
        for name, budget in self.budgets.items():
            seen = self.account(name)
            assert seen.spent_day + seen.reserved <= budget
            assert seen.spent_day == self.settled[name]
        assert set(self.objects.accounts.held) <= {TEAM, TAG}  # nothing else is counted


async def finish(later: list[Awaitable[object]]) -> None:
    for work in later:
        await work


def abandon(later: list[Awaitable[object]]) -> None:
    for work in later:
        assert asyncio.iscoroutine(work)
        work.close()


Step = tuple[int, int, bool, int, End, int]
steps: st.SearchStrategy[list[Step]] = st.lists(
    st.tuples(
        st.integers(0, ISOLATES - 1),
        st.integers(1, 4),
        st.booleans(),
        st.integers(0, 100),
        st.sampled_from(
            ("settle", "settle", "lose", "release", "crash before", "crash after", "wait")
        ),
        st.integers(0, 1000),
    ),
    max_size=40,
)


@given(steps, st.integers(1, 40_000), st.integers(1, 40_000), st.integers(1, 4))
def test_neither_budget_is_exceeded(done: list[Step], team: int, tag: int, at_once: int) -> None:
    async def run() -> None:
        simulation = Simulation(team, tag)
        for isolate, key, tagged, which, end, cost in done:
            begun = (
                simulation.begin((isolate + n) % ISOLATES, key, tagged=tagged)
                for n in range(at_once)
            )
            await asyncio.gather(*begun)
            simulation.check()
            await simulation.end(which, end, cost)
            simulation.check()
        for meter, reserved, later, _ in simulation.open:
            reserved.release()
            meter.close()
            await finish(later)
        simulation.clock.time += RESERVED_MS / 1000  # what crashed has lapsed
        for name in (TEAM, TAG):
            assert simulation.account(name).reserved == 0

    asyncio.run(run())
