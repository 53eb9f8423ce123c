"""One flight: one leader at a time, its outcome for all, and nobody waits for the dead."""

import asyncio
import contextlib
import itertools
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Struct

from proxy.cache.entry import CacheEntry, ForeignEntry, Unstorable, encode
from proxy.cache.flight import (
    JOIN,
    KEEP,
    LEASE,
    PUBLISH,
    RENEW,
    RENEW_SECONDS,
    Boarding,
    Flight,
    Leader,
    Report,
    crashed,
    landed,
    outcome_entry,
)
from proxy.core.chat import Answer, Attempt
from proxy.core.errors import (
    Cause,
    InternalError,
    InvalidRequest,
    MethodNotAllowed,
    ProviderError,
    ProxyError,
    RateLimitExceeded,
)
from tests.unit.doubles import LoopClock, in_no_time
from tests.unit.memory_objects import MemoryObjects

NOW = 1_700_000_000.0
SOON = 1e-3
"""What a moment of the clock, far from 1970, may be off."""


def passed() -> float:
    """Seconds since the test began."""
    return asyncio.get_running_loop().time()


class Sky:
    """A flight with the clock that it goes by."""

    def __init__(self) -> None:
        self.clock = LoopClock(NOW)
        self.flight = Flight(self.clock)

    def boards(self, patience: float = 60.0) -> "asyncio.Task[tuple[Boarding, float]]":
        """What a joiner is told, and when."""

        async def board() -> tuple[Boarding, float]:
            return await self.flight.join(patience), passed()

        return asyncio.ensure_future(board())

    async def leads(self) -> int:
        """The ticket of one who is told to lead, at once."""
        boarding, _ = await asyncio.wait_for(self.boards(0), SOON)
        assert boarding.part == "lead"
        return boarding.ticket


@pytest.fixture
def sky() -> Sky:
    return Sky()


async def ready() -> None:
    """Lets all that have begun come to where they wait."""
    await asyncio.sleep(0)
    await asyncio.sleep(0)


class TestOutcome:
    @in_no_time
    async def test_the_first_leads_and_all_others_get_its_outcome_when_it_lands(
        self, sky: Sky
    ) -> None:
        ticket = await sky.leads()
        others = [sky.boards() for _ in range(50)]
        await asyncio.sleep(2)
        assert not any(other.done() for other in others)
        sky.flight.publish(ticket, b"told")
        for boarding, when in await asyncio.gather(*others):
            assert boarding == Boarding("outcome", outcome=b"told")
            assert when == 2

    @in_no_time
    async def test_of_many_at_once_one_leads(self, sky: Sky) -> None:
        all_ = [sky.boards() for _ in range(50)]
        await ready()
        leaders = [task.result()[0] for task in all_ if task.done()]
        assert [leader.part for leader in leaders] == ["lead"]
        sky.flight.publish(leaders[0].ticket, b"")
        parts = [boarding.part for boarding, _ in await asyncio.gather(*all_)]
        assert sorted(parts) == ["lead", *["outcome"] * 49]  # an empty outcome is one

    @in_no_time
    async def test_who_comes_within_keep_gets_it_and_then_a_new_flight_begins(
        self, sky: Sky
    ) -> None:
        ticket = await sky.leads()
        sky.flight.publish(ticket, b"told")
        await asyncio.sleep(KEEP - 0.01)
        assert (await sky.boards(0))[0] == Boarding("outcome", outcome=b"told")
        await asyncio.sleep(0.01 + SOON)
        new = await sky.leads()
        assert new != ticket
        late = sky.boards()
        await asyncio.sleep(1)
        assert not late.done()  # the outcome before is not taken for this flight's
        sky.flight.publish(new, b"anew")
        assert (await late)[0].outcome == b"anew"

    @in_no_time
    async def test_the_first_landing_counts(self, sky: Sky) -> None:
        ticket = await sky.leads()
        sky.flight.publish(ticket, b"told")
        sky.flight.publish(ticket, b"told again")
        sky.flight.publish(ticket, None)
        assert (await sky.boards(0))[0] == Boarding("outcome", outcome=b"told")

    @in_no_time
    async def test_a_leader_without_an_outcome_hands_over_at_once(self, sky: Sky) -> None:
        ticket = await sky.leads()
        others = [sky.boards() for _ in range(5)]
        await asyncio.sleep(1)
        for left in range(5, 0, -1):
            sky.flight.publish(ticket, None)
            await ready()
            new = [task for task in others if task.done()]
            assert [task.result()[0].part for task in new] == ["lead"]
            ticket = new[0].result()[0].ticket
            others.remove(new[0])
            assert len(others) == left - 1
        sky.flight.publish(ticket, None)
        assert await sky.leads() > ticket


class TestDeath:
    @in_no_time
    async def test_a_dead_leader_is_replaced_by_one_of_those_who_wait(self, sky: Sky) -> None:
        dead = await sky.leads()
        others = [sky.boards() for _ in range(20)]
        await asyncio.sleep(LEASE - SOON)
        assert not any(task.done() for task in others)
        await asyncio.sleep(2 * SOON)
        [new] = [task.result()[0] for task in others if task.done()]
        assert new.part == "lead"
        assert new.ticket != dead
        await asyncio.sleep(1)
        sky.flight.publish(new.ticket, b"told")
        told = [boarding.part for boarding, _ in await asyncio.gather(*others)]
        assert sorted(told) == ["lead", *["outcome"] * 19]

    @in_no_time
    async def test_one_after_another(self, sky: Sky) -> None:
        tasks = [sky.boards() for _ in range(5)]
        leaders = sorted(when for _, when in await asyncio.gather(*tasks))
        assert leaders == pytest.approx([0, LEASE, 2 * LEASE, 3 * LEASE, 4 * LEASE], abs=SOON)
        tickets = [task.result()[0].ticket for task in tasks]
        assert len(set(tickets)) == 5

    @in_no_time
    async def test_signs_of_life_keep_the_lead(self, sky: Sky) -> None:
        ticket = await sky.leads()
        other = sky.boards(600)
        for _ in range(20):
            await asyncio.sleep(LEASE - SOON)
            assert sky.flight.renew(ticket)
        assert not other.done()
        _, when = await other
        assert when == pytest.approx(20 * (LEASE - SOON) + LEASE, abs=SOON)

    @in_no_time
    async def test_a_replaced_leader_has_no_say(self, sky: Sky) -> None:
        old = await sky.leads()
        await asyncio.sleep(LEASE + SOON)
        new = await sky.leads()
        assert not sky.flight.renew(old)
        other = sky.boards()
        await ready()
        sky.flight.publish(old, b"too late")
        sky.flight.publish(old, None)
        await asyncio.sleep(1)
        assert not other.done()
        assert sky.flight.renew(new)
        sky.flight.publish(new, b"told")
        assert (await other)[0].outcome == b"told"
        assert not sky.flight.renew(old)

    @in_no_time
    async def test_a_ticket_that_nobody_gave_has_no_say(self, sky: Sky) -> None:
        sky.flight.publish(7, b"x")
        assert not sky.flight.renew(7)
        ticket = await sky.leads()
        sky.flight.publish(ticket + 1, b"x")
        assert (await sky.boards(0))[0].part == "alone"

    @in_no_time
    async def test_who_gives_up_waiting_takes_nothing_with_it(self, sky: Sky) -> None:
        ticket = await sky.leads()
        gone, stays = sky.boards(), sky.boards()
        await ready()
        gone.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await gone
        sky.flight.publish(ticket, b"told")
        assert (await stays)[0].outcome == b"told"

    @pytest.mark.parametrize("outcome", [None, b"told"])
    @in_no_time
    async def test_a_sign_of_life_after_the_landing_is_none(
        self, sky: Sky, outcome: bytes | None
    ) -> None:
        """It was on its way when the leader landed: calls of an object may overtake."""
        ticket = await sky.leads()
        sky.flight.publish(ticket, outcome)
        await asyncio.sleep(KEEP - SOON)
        sky.flight.renew(ticket)
        await asyncio.sleep(2 * SOON)
        await sky.leads()


class TestPatience:
    @pytest.mark.parametrize("patience", [-5.0, 0.0])
    @in_no_time
    async def test_who_has_none_goes_alone_or_leads(self, sky: Sky, patience: float) -> None:
        boarding, _ = await sky.boards(patience)
        assert boarding.part == "lead"
        assert (await sky.boards(patience))[0].part == "alone"
        sky.flight.publish(boarding.ticket, b"told")
        assert (await sky.boards(patience))[0].part == "outcome"
        assert passed() < SOON

    @in_no_time
    async def test_nobody_waits_longer_than_it_said(self, sky: Sky) -> None:
        ticket = await sky.leads()
        patient = [sky.boards(seconds) for seconds in (0.5, 1, 10, 2.5)]
        for _ in range(11):
            await asyncio.sleep(1)
            sky.flight.renew(ticket)
        told = [task.result() for task in patient]
        assert [boarding.part for boarding, _ in told] == ["alone"] * 4
        assert [when for _, when in told] == pytest.approx([0.5, 1, 10, 2.5], abs=SOON)


class TestClockSteps:
    """The clock is the wall's: it may step while someone waits."""

    @pytest.mark.parametrize("step", [1.0, LEASE, 10.0, 1e9])
    @in_no_time
    async def test_forward_may_cost_the_lead_but_no_time(self, sky: Sky, step: float) -> None:
        ticket = await sky.leads()
        other = sky.boards(10)
        await asyncio.sleep(1)
        sky.clock.time += step
        new, when = await other
        assert new.part in ("lead", "alone")
        assert when <= LEASE + SOON
        sky.flight.publish(ticket, b"told")
        sky.flight.publish(new.ticket, b"told")
        assert (await sky.boards(0))[0].outcome == b"told"

    @in_no_time
    async def test_back_nobody_waits_longer_than_it_said(self, sky: Sky) -> None:
        await sky.leads()
        other = sky.boards(2)
        await asyncio.sleep(1)
        sky.clock.time -= 3600
        _, when = await other
        assert when <= 2 + LEASE

    @in_no_time
    async def test_back_a_dead_leader_is_still_replaced(self, sky: Sky) -> None:
        await sky.leads()
        sky.clock.time -= 3600
        _, when = await sky.boards(60)
        assert when <= LEASE + SOON

    @in_no_time
    async def test_back_an_outcome_is_not_kept_for_longer(self, sky: Sky) -> None:
        sky.flight.publish(await sky.leads(), b"told")
        sky.clock.time -= 3600
        await asyncio.sleep(KEEP + LEASE + SOON)
        await sky.leads()


# --- any number of joiners, leaders that land, fail or die ------------------------------------


class Joiner(Struct, frozen=True):
    """Comes at `at`; where it leads it works for `work` seconds, showing signs of life until it
    lands with an outcome or without one, or dies."""

    at: float
    patience: float
    work: float
    end: str


SECONDS = st.integers(0, 80).map(lambda eighths: eighths / 8)
JOINERS = st.lists(
    st.builds(
        Joiner,
        at=SECONDS,
        patience=SECONDS,
        work=SECONDS,
        end=st.sampled_from(["outcome", "outcome", "none", "death"]),
    ),
    min_size=1,
    max_size=30,
)


class Ride(Struct):
    """What became of a joiner."""

    joiner: Joiner
    told: Boarding
    when: float
    over: float = float("inf")
    """When it landed, or gave its last sign of life."""


async def ride(sky: Sky, joiner: Joiner, rides: list[Ride]) -> None:
    await asyncio.sleep(joiner.at)
    told = await sky.flight.join(joiner.patience)
    mine = Ride(joiner, told, passed())
    rides.append(mine)
    if told.part != "lead":
        return
    mine.over = passed()
    while (left := joiner.at + joiner.work - passed()) > 0:
        await asyncio.sleep(min(RENEW_SECONDS, left))
        if left > RENEW_SECONDS and sky.flight.renew(told.ticket):
            mine.over = passed()
    if joiner.end != "death":
        mine.over = passed()
        outcome = str(told.ticket).encode() if joiner.end == "outcome" else None
        sky.flight.publish(told.ticket, outcome)


@settings(deadline=None, max_examples=300)
@given(JOINERS)
@in_no_time
async def test_whatever_joiners_and_leaders_do(joiners: list[Joiner]) -> None:
    sky, rides = Sky(), []  # type: ignore[var-annotated]
    await asyncio.gather(*(ride(sky, joiner, rides) for joiner in joiners))
    assert len(rides) == len(joiners)
    leaders = [mine for mine in rides if mine.told.part == "lead"]
    by_ticket = {mine.told.ticket: mine for mine in leaders}
    assert len(by_ticket) == len(leaders)
    for before, after in itertools.pairwise(leaders):
        landed_ = before.joiner.end != "death" and before.over <= after.when
        assert landed_ or after.when >= before.over + LEASE - SOON  # never two that live
    for mine in rides:
        joiner = mine.joiner
        assert mine.when <= joiner.at + joiner.patience + SOON
        if mine.told.part == "outcome":
            leader = by_ticket[int(mine.told.outcome)]
            assert leader.joiner.end == "outcome"
            # As soon as it was there, or when the joiner came; and never past KEEP.
            assert mine.when == pytest.approx(max(leader.over, joiner.at), abs=SOON)
            assert mine.when < leader.over + KEEP + SOON
        elif mine.told.part == "alone":
            assert mine.when == pytest.approx(joiner.at + joiner.patience, abs=SOON)
        else:  # it did not wait a moment longer than there was someone to wait for
            before = [other for other in leaders if other.told.ticket < mine.told.ticket]
            free = max((other.over + LEASE for other in before), default=0.0)
            assert mine.when <= max(joiner.at, free) + SOON


# --- the leader's part ------------------------------------------------------------------------


class Recorded:
    """Writes down what the leader does, and when."""

    def __init__(self) -> None:
        self.objects = MemoryObjects(LoopClock(NOW))
        self.done: list[tuple[str, float]] = []
        self.published: list[tuple[str, Report]] = []
        self.objects.flights.wrap(RENEW, self.renew)
        self.objects.flights.wrap(PUBLISH, self.publish)

    async def renew(self, key: str, ticket: int, renew: Callable[[], Awaitable[None]]) -> None:
        assert (key, ticket) == ("key", 1)
        self.done.append(("renew", passed()))
        await renew()

    async def publish(
        self, key: str, report: Report, publish: Callable[[], Awaitable[None]]
    ) -> None:
        self.done.append(("publish", passed()))
        self.published.append((key, report))
        await publish()

    async def leader(self) -> Leader:
        assert await self.join(0) == Boarding("lead", ticket=1)
        return Leader(self.objects, "key", 1)

    async def join(self, patience: float) -> Boarding:
        return await self.objects.call(JOIN, "key", patience)


class TestLeader:
    @in_no_time
    async def test_it_shows_signs_of_life_until_it_lands(self) -> None:
        flights = Recorded()
        leader = await flights.leader()
        await asyncio.sleep(3.5 * RENEW_SECONDS)
        await leader.publish(b"told")
        await asyncio.sleep(10 * LEASE)
        assert flights.done == [
            *(("renew", RENEW_SECONDS * beat) for beat in (1, 2, 3)),
            ("publish", 3.5 * RENEW_SECONDS),
        ]
        assert flights.published == [("key", Report(1, b"told"))]

    @in_no_time
    async def test_whoever_waits_is_not_made_leader_beside_it(self) -> None:
        flights = Recorded()
        leader = await flights.leader()
        other = asyncio.ensure_future(flights.join(600))
        await asyncio.sleep(100 * LEASE)
        assert not other.done()
        await leader.publish(b"told")
        assert (await other).outcome == b"told"

    @in_no_time
    async def test_an_object_that_is_down_is_told_to_who_lands(self) -> None:
        flights = Recorded()
        leader = await flights.leader()
        flights.objects.flights.down = True
        with pytest.raises(RuntimeError):
            await leader.publish(b"told")
        await asyncio.sleep(10)
        assert flights.done == [("publish", 0)]

    @in_no_time
    async def test_one_sign_that_is_lost_does_not_end_them(self) -> None:
        flights = Recorded()
        leader = await flights.leader()
        other = asyncio.ensure_future(flights.join(600))
        await ready()
        flights.objects.flights.down = True
        await asyncio.sleep(RENEW_SECONDS + SOON)
        flights.objects.flights.down = False
        await asyncio.sleep(2 * LEASE)
        await leader.publish(b"told")
        assert (await other).part == "outcome"


# --- what is told -----------------------------------------------------------------------------


def an_entry(text: str = "Paris.", **fields: Any) -> CacheEntry:
    answer = Answer(text=text, **fields)
    return CacheEntry(answer=answer, provider="p", model="m", born=1.0, stored=2.0, ttl=60)


@pytest.mark.parametrize(
    "boarding",
    [Boarding("lead", ticket=2**40), Boarding("alone"), Boarding("outcome", outcome=b"\0\xff")],
)
def test_what_the_object_answers_crosses_as_bytes(boarding: Boarding) -> None:
    assert JOIN.answer.decode(JOIN.answer.encode(boarding)) == boarding


def test_an_answer_comes_back_with_its_bytes() -> None:
    entry = an_entry("word " * 1000)
    assert outcome_entry(landed(entry)) == (entry, encode(entry))


def test_an_answer_that_cannot_be_written_is_told() -> None:
    with pytest.raises(Unstorable):
        landed(an_entry(extra={"n": 2**70}))


KINDS = [kind for kind in ProxyError.__subclasses__() if kind is not MethodNotAllowed]
TEXT = st.text(max_size=50)
ATTEMPTS = st.builds(
    Attempt,
    provider=TEXT,
    model=TEXT,
    outcome=TEXT,
    ms=st.integers(0, 2**40),
    status=st.none() | st.integers(100, 599),
    message=st.none() | TEXT,
)


@given(
    kind=st.sampled_from(KINDS),
    message=TEXT,
    fields=st.fixed_dictionaries(
        {
            "param": st.none() | TEXT,
            "code": st.none() | TEXT,
            "retry_after": st.none() | st.floats(0, 1e6) | st.integers(0, 10**6),
            "cause": st.builds(
                Cause,
                source=st.sampled_from(["proxy", "provider"]),
                status=st.none() | st.integers(400, 599),
                attempts=st.lists(ATTEMPTS, max_size=3).map(tuple),
            ),
        }
    ),
)
def test_an_error_comes_back_with_all_its_fields(
    kind: type[ProxyError], message: str, fields: dict[str, Any]
) -> None:
    error = kind(message, **fields)
    with pytest.raises(ProxyError) as caught:
        outcome_entry(crashed(error))
    assert type(caught.value) is kind
    assert vars(caught.value) == vars(error) | {"status": error.status}
    assert str(caught.value) == message


def test_every_field_of_an_error_is_told() -> None:
    """A new one must be passed on too; an error of the leader's own limits never is."""
    names = vars(RateLimitExceeded("m", cause=Cause(status=429))).keys()
    assert names == {
        *("message", "param", "code", "retry_after", "source", "status", "attempts", "limit"),
    }


def test_a_method_that_is_not_allowed_is_no_matter_of_flights_but_survives_one() -> None:
    with pytest.raises(ProxyError) as caught:
        outcome_entry(crashed(MethodNotAllowed("m", allow=("GET",))))
    assert caught.value.status == 405


def test_each_type_is_told_from_the_others() -> None:
    assert len({kind.type for kind in KINDS}) == len(KINDS)
    assert {InvalidRequest, InternalError, ProviderError} <= {*KINDS}


WHOLE = landed(an_entry())
FOREIGN = [b"", b"X", WHOLE[1:], b"A", WHOLE[:-1], b"A" + bytes(100)]
BROKEN = [
    b"E",
    b"E\xc1",
    b"E" + msgspec.msgpack.encode({"type": "provider_error"}),
    crashed(ProviderError("m"))[:-1],
]


@pytest.mark.parametrize("outcome", FOREIGN)
def test_what_is_no_outcome_is_refused(outcome: bytes) -> None:
    with pytest.raises(ForeignEntry):
        outcome_entry(outcome)


@pytest.mark.parametrize("outcome", BROKEN, ids=["empty", "garbage", "incomplete", "cut"])
def test_what_is_no_error_is_refused(outcome: bytes) -> None:
    with pytest.raises(ForeignEntry):
        outcome_entry(outcome)
