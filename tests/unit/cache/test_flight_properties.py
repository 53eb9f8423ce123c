"""A flight with any number of requests, whose leaders publish, fail or die."""

import asyncio
import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Struct

from proxy.cache.coalescing import RENEW_SECONDS
from proxy.cache.flight import KEEP_SECONDS, LEASE_SECONDS, Joined
from tests.unit.cache.making import SOON, Play, seconds_passed
from tests.unit.doubles import in_no_time


class Joiner(Struct, frozen=True):
    """Comes at `at`; where it leads it works for `work` seconds, showing signs of life until it
    publishes an outcome or none, or dies."""

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


class Part(Struct):
    """What became of a joiner."""

    joiner: Joiner
    joined: Joined
    when: float
    over: float = float("inf")
    """When it published, or gave its last sign of life."""


async def take_part(play: Play, joiner: Joiner, parts: list[Part]) -> None:
    await asyncio.sleep(joiner.at)
    joined = await play.flight.join(joiner.patience)
    part = Part(joiner, joined, seconds_passed())
    parts.append(part)
    if joined.role != "leader":
        return
    part.over = seconds_passed()
    while (left := joiner.at + joiner.work - seconds_passed()) > 0:
        await asyncio.sleep(min(RENEW_SECONDS, left))
        if left > RENEW_SECONDS and play.flight.renew(joined.ticket):
            part.over = seconds_passed()
    if joiner.end != "death":
        part.over = seconds_passed()
        outcome = str(joined.ticket).encode() if joiner.end == "outcome" else None
        play.publish(joined.ticket, outcome)


@settings(deadline=None, max_examples=300)
@given(JOINERS)
@in_no_time
async def test_whatever_requests_and_leaders_do(joiners: list[Joiner]) -> None:
    play, parts = Play(), list[Part]()
    await asyncio.gather(*(take_part(play, joiner, parts) for joiner in joiners))
    assert len(parts) == len(joiners)
    leaders = [part for part in parts if part.joined.role == "leader"]
    by_ticket = {part.joined.ticket: part for part in leaders}
    assert len(by_ticket) == len(leaders)
    for before, after in itertools.pairwise(leaders):
        published = before.joiner.end != "death" and before.over <= after.when
        assert published or after.when >= before.over + LEASE_SECONDS - SOON  # never two that live
    for part in parts:
        joiner = part.joiner
        assert part.when <= joiner.at + joiner.patience + SOON
        if part.joined.role == "follower":
            leader = by_ticket[int(part.joined.outcome)]
            assert leader.joiner.end == "outcome"
            # As soon as it was there, or when the joiner came; and never past KEEP_SECONDS.
            assert part.when == pytest.approx(max(leader.over, joiner.at), abs=SOON)
            assert part.when < leader.over + KEEP_SECONDS + SOON
        elif part.joined.role == "alone":
            assert part.when == pytest.approx(joiner.at + joiner.patience, abs=SOON)
        else:  # it did not wait a moment longer than there was a leader to wait for
            earlier = [other for other in leaders if other.joined.ticket < part.joined.ticket]
            free = max((other.over + LEASE_SECONDS for other in earlier), default=0.0)
            assert part.when <= max(joiner.at, free) + SOON
