"""The lease server, promise by promise."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.limits.lease_messages import (
    LATELY,
    MARGIN,
    SHORT_TERM,
    TERM,
    BucketView,
    LeaseGrant,
    LeaseRequest,
)
from proxy.limits.lease_server import LeaseServer
from proxy.limits.token_bucket import STEP, Rate
from tests.unit.limits.lease_server import SECONDLY, STEPS, Server
from tests.unit.limits.making import HOUR, NOW


def test_the_first_request_finds_it_full(server: Server) -> None:
    grant = server.grant()
    assert grant == LeaseGrant(grant.lease, 1, SHORT_TERM, 0, 9, SHORT_TERM + MARGIN + 1000)


def test_nothing_is_granted_where_the_need_is_not_there(server: Server) -> None:
    server.grant(need=8)
    grant = server.grant(need=3)
    assert (grant.lease, grant.tokens, grant.level) == (0, 0, 2)
    assert server.grant(need=11).wait is None


def test_what_is_lent_does_not_refill_until_it_lapses(server: Server) -> None:
    server.empty()
    server.now += SHORT_TERM + MARGIN - 1
    assert server.level() == 0
    server.now += 1000  # the lease has lapsed meanwhile, at its own moment
    assert server.level() == 0
    server.now += 1
    assert server.level() == 1


def test_a_lease_that_is_returned_makes_room_at_once(server: Server) -> None:
    grant = server.empty()
    server.bucket.give_back(((grant.lease, 4),), server.now)
    assert server.level() == 4
    server.now += 1000
    assert server.level() == 5


def test_a_return_counts_once(server: Server) -> None:
    lease = server.empty().lease
    for _ in range(3):
        server.bucket.give_back(((lease, 2),), server.now)
    assert server.grant(need=2, returns=((lease, 2),)).level == 0


@pytest.mark.parametrize(("unused", "level"), [(-5, 0), (0, 0), (99, 10)])
def test_no_more_is_returned_than_was_granted(server: Server, unused: int, level: int) -> None:
    server.bucket.give_back(((server.empty().lease, unused),), server.now)
    assert server.level() == level


def test_a_late_return_is_ignored(server: Server) -> None:
    lease = server.empty().lease
    server.now += SHORT_TERM + MARGIN
    server.bucket.give_back(((lease, 10),), server.now)
    assert server.level() == 0


def test_leases_lapse_each_at_its_moment(server: Server) -> None:
    server.rate = Rate(40, 3600)
    long = server.grant(want=20)
    assert (long.tokens, long.term) == (20, TERM)
    server.grant(need=20)
    server.now += TERM + MARGIN - 1  # the short one lapsed after 3 s; there was room for 20 since
    assert server.level() == 7
    server.now += HOUR
    assert server.level() == 40


def test_the_order_in_which_leases_lapse_counts_not_that_in_which_they_are_found(
    server: Server,
) -> None:
    server.rate = Rate(40, 7200)
    server.grant(need=20)
    assert server.grant(want=20).term == TERM
    server.grant(need=10)
    server.now += TERM + MARGIN + 1000  # 2 a second since the short ones lapsed, after 3 s
    assert server.level() == 18


def test_a_lease_of_what_is_needed_now_is_short(server: Server) -> None:
    assert server.grant(need=3).term == SHORT_TERM
    assert server.grant(want=3).term == TERM


def test_the_share_shrinks_near_the_limit(server: Server) -> None:
    server.rate = Rate(100, 0)
    sizes = [server.grant(want=64).tokens for _ in range(8)]
    assert sizes == [50, 25, 12, 6, 3, 2, 1, 1]
    assert sum(sizes) == 100


def test_the_share_is_divided_among_the_isolates_of_late(server: Server) -> None:
    server.rate = Rate(100, 0)
    for isolate in "abcd":
        server.grant(isolate=isolate)
    assert server.grant(want=64, isolate="a").tokens == 96 // (2 * 4)
    server.now += LATELY
    assert server.bucket.show(server.now).isolates == 0
    assert server.grant(want=64, isolate="a").tokens == 84 // 2


def test_what_is_wanted_is_no_reason_to_refuse_what_is_needed(server: Server) -> None:
    assert server.grant(need=9, want=64).tokens == 9


@given(STEPS, st.integers(1, 20_000))
def test_it_is_full_and_idle_just_when_it_said(
    steps: list[tuple[int, int, int, int, str]], per_hour: int
) -> None:
    server = Server(Rate(10, per_hour))
    lease, reset = 0, 0
    for gap, some, want, unused, isolate in steps:
        server.now += gap
        grant = server.grant(some, want, isolate, ((lease, unused),))
        assert grant.reset is not None
        lease, reset = grant.lease, grant.reset
    assert server.bucket.find_idle_at(server.now) == server.now + reset
    assert server.bucket.is_idle(server.now + reset)
    server.bucket.give_back((), server.now + reset)
    assert (server.bucket.show(server.now + reset).level, len(server.bucket._state.leases)) == (
        10 if steps else 0,
        0,
    )


def test_it_is_not_idle_a_moment_before(server: Server) -> None:
    server.grant()
    idle = NOW + SHORT_TERM + MARGIN + 1000
    assert not server.bucket.is_idle(idle - 1)
    assert server.bucket.find_idle_at(idle - 1) == idle
    assert LeaseServer(NOW).is_idle(NOW)


def test_what_does_not_refill_is_never_idle_once_used(server: Server) -> None:
    server.rate = Rate(2, 0)
    assert server.grant().reset is None
    assert server.bucket.find_idle_at(server.now + HOUR) is None
    assert not server.bucket.is_idle(server.now + HOUR)


def test_it_goes_on_from_its_state(server: Server) -> None:
    first = server.empty()
    server.now += 1500
    server.bucket.squeeze(Rate(7, 3600), NOW + 5000, server.now)
    again = LeaseServer(server.now, server.bucket.encode_state())
    assert again.show(server.now) == BucketView(
        rate=Rate(7, 3600),
        squeezed=Rate(7, 3600),
        closed_until=NOW + 5000,
        level=0,
        held=10,
        leases=1,
        isolates=0,
        reset=SHORT_TERM + MARGIN - 1500 + 7000,
    )
    again.give_back(((first.lease, 10),), server.now)
    assert again.show(server.now).level == 7
    again.squeeze(None, 0, server.now)
    assert again.take(LeaseRequest("a", 1, SECONDLY), server.now).lease == first.lease + 1


def broken_states() -> list[bytes]:
    server = Server()
    server.grant()
    state = msgspec.msgpack.decode(server.bucket.encode_state())
    changes: list[dict[str, object]] = [
        {"rate": None},
        {"scopes": {}},
        {"scopes": {"": [None, 0]}},
        {"rate": {"burst": 0, "per_hour": 1}},
        {"scopes": {"": [[{"burst": 1, "per_hour": 1}, NOW, -1], 0]}},
        {"leases": {1: [0, NOW]}},
        {"next_lease": "1"},
    ]
    broken = [msgspec.msgpack.encode(state | change) for change in changes]
    return [*broken, server.bucket.encode_state()[:-1], b"", b"\xc1", b"\x80", b"\xff\xfe"]


@pytest.mark.parametrize("state", broken_states())
def test_a_state_that_is_none_is_refused(state: bytes) -> None:
    with pytest.raises(ValueError):
        LeaseServer(NOW, state)


def test_a_forgotten_bucket_does_not_take_its_predecessors_returns(server: Server) -> None:
    old = server.empty().lease
    later = Server()
    later.now = server.bucket.find_idle_at(server.now) or 0
    later.bucket = LeaseServer(later.now)
    new = later.empty().lease
    later.bucket.give_back(((old, 10),), later.now)
    assert new != old
    assert later.level() == 0


def test_an_operator_makes_it_full(server: Server) -> None:
    lease = server.empty().lease
    server.bucket.reset(server.now)
    server.bucket.give_back(((lease, 10),), server.now)
    shown = server.bucket.show(server.now)
    assert (shown.level, shown.held, shown.leases, shown.reset) == (10, 0, 0, 0)


def test_an_unused_bucket_has_nothing_to_show() -> None:
    bucket = LeaseServer(NOW)
    bucket.reset(NOW)
    bucket.give_back(((1, 1),), NOW)
    assert bucket.show(NOW) == BucketView(None, None, 0, 0, 0, 0, 0, 0)


def test_a_small_step_back_lets_no_lease_lapse_sooner_and_refills_nothing(server: Server) -> None:
    server.empty()
    server.now -= STEP
    assert server.grant().wait == STEP + SHORT_TERM + MARGIN + 1000
    server.now = NOW + SHORT_TERM + MARGIN + 999
    assert server.level() == 0
    server.now += 1
    assert server.level() == 1


def test_a_large_step_back_takes_the_leases_along(server: Server) -> None:
    server.empty()
    server.bucket.squeeze(None, server.now + 7000, server.now)
    server.now -= HOUR
    assert server.grant().wait == 7000
    server.now += SHORT_TERM + MARGIN
    assert server.level() == 0
    server.now += 1000
    assert server.level() == 1


@pytest.mark.parametrize(
    "message", [LeaseRequest("a", 2, SECONDLY, returns=((1, 2),)), Server().grant()]
)
def test_messages_cross_as_json(message: LeaseRequest | LeaseGrant) -> None:
    assert msgspec.json.decode(msgspec.json.encode(message), type=type(message)) == message
