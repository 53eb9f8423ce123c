"""The reservations of a request whose attempts are given up, or never ended."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from proxy.core.chat import ChatRequest, Cost, Usage
from proxy.core.messages import Message
from proxy.core.permit import Offer, Refusal
from proxy.core.principal import Budget, Principal
from proxy.core.settings import read_settings
from proxy.core.web import stay_anyway
from proxy.limits.account_messages import SETTLE, AccountView
from proxy.limits.estimate import ChatEstimate
from proxy.limits.limiter import Limiter
from proxy.limits.meter import Meter
from tests.unit.doubles import FakeReply, ManualClock, in_no_time, ports
from tests.unit.memory_objects import MemoryObjects

ANN = Principal(user="ann", key_id="key_1", budget=Budget(day=1_000_000))
OFFER = Offer(
    provider="openai",
    model="m",
    most=lambda usage: 10 * usage.total,
    max_output=100,
    context=8000,
)
TEXT = "Hello there."


class Metered:
    """A request with a budget, and the account of its key."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        outside = ports(lambda _: FakeReply(), clock=self.clock)
        assert isinstance(outside.objects, MemoryObjects)
        self.objects = outside.objects
        self.later: list[Awaitable[object]] = []
        limiter = Limiter(read_settings({"RATE_LIMIT_LEASE": "1"}, ("openai",)).limits, outside)
        self.meter = Meter(limiter, ANN, self.later.append, stay_anyway)
        self.meter.estimate = ChatEstimate(ChatRequest(messages=(Message("user", TEXT),)))

    async def close(self) -> AccountView:
        """The account after the request."""
        self.meter.close()
        for work in self.later:
            await work
        return self.account

    @property
    def account(self) -> AccountView:
        return self.objects.accounts.at("key_1").show(self.objects.accounts.now)


@pytest.fixture
def metered() -> Metered:
    return Metered()


@pytest.mark.parametrize("part", ["buckets", "accounts"])
async def test_an_attempt_that_is_called_off_leaves_nothing_reserved(
    metered: Metered, part: str
) -> None:
    getattr(metered.objects, part).silent = True
    charging = asyncio.ensure_future(metered.meter.charge(OFFER))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    charging.cancel()
    await asyncio.gather(charging, return_exceptions=True)
    getattr(metered.objects, part).silent = False
    account = await metered.close()
    assert (account.reservations, account.spent_day) == (0, 0)


async def test_one_that_nobody_ended_has_cost_its_input(metered: Metered) -> None:
    reserved = await metered.meter.charge(OFFER)
    assert not isinstance(reserved, Refusal)
    assert metered.account.reservations == 1
    account = await metered.close()
    assert account.reservations == 0
    assert account.spent_day == 10 * metered.meter.expected(None).input


async def test_only_the_first_end_of_an_attempt_counts(metered: Metered) -> None:
    reserved = await metered.meter.charge(OFFER)
    assert not isinstance(reserved, Refusal)
    reserved.settle(Usage(input=1, output=1), Cost(7))
    reserved.lose()
    reserved.release()
    assert (await metered.close()).spent_day == 7


@in_no_time
async def test_what_was_used_counts_once_though_its_report_or_the_answer_is_lost() -> None:
    metered = Metered()
    reserved = await metered.meter.charge(OFFER)
    assert not isinstance(reserved, Refusal)
    reserved.settle(Usage(input=1, output=1), Cost(7))
    fates = ["lost", "unanswered"]

    async def lose(_: str, __: object, answer: Callable[[], Awaitable[None]]) -> None:
        fate = fates.pop(0) if fates else ""
        if fate != "lost":
            await answer()
        if fate:
            raise RuntimeError("the object is unreachable")

    metered.objects.accounts.wrap(SETTLE, lose)
    account = await metered.close()
    assert (account.reservations, account.spent_day) == (0, 7)
    assert len(metered.objects.accounts.called(SETTLE)) == 3
