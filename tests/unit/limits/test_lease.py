"""The leased bucket, promise by promise."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.limits.lease import SCOPES, LeasedBucket
from proxy.limits.lease_messages import (
    LATELY,
    MARGIN,
    SHORT_TERM,
    TERM,
    Ask,
    Grant,
    Returns,
    Squeeze,
    View,
)
from proxy.limits.token_bucket import STEP, Rate

NOW = 1_700_000_000_000
HOUR = 3_600_000
SECONDLY = Rate(burst=10, per_hour=3600)


class Object:
    """A leased bucket with a clock that is turned by hand."""

    def __init__(self, rate: Rate = SECONDLY) -> None:
        self.bucket = LeasedBucket(NOW)
        self.rate = rate
        self.now = NOW

    def ask(
        self,
        need: int = 1,
        want: int = 0,
        who: str = "a",
        returns: Returns = (),
        model: str = "m",
    ) -> Grant:
        ask = Ask(who, max(want, need), self.rate, need, returns, model)
        return self.bucket.ask(ask, self.now)

    def empty(self) -> Grant:
        grant = self.ask(need=self.rate.burst)
        assert grant.tokens == self.rate.burst
        return grant

    def level(self) -> int:
        return self.bucket.show(self.now).level

    def later(self, state: bytes, after: int, need: int) -> int:
        """What it would grant to one who asks for `need` then."""
        other = LeasedBucket(self.now, state)
        return other.ask(Ask("other", need, self.rate, need, (), "m"), self.now + after).tokens


@pytest.fixture
def it() -> Object:
    return Object()


def test_the_first_to_ask_finds_it_full(it: Object) -> None:
    grant = it.ask()
    assert grant == Grant(grant.lease, 1, SHORT_TERM, 0, 9, SHORT_TERM + MARGIN + 1000)


def test_nothing_is_granted_where_the_need_is_not_there(it: Object) -> None:
    it.ask(need=8)
    grant = it.ask(need=3)
    assert (grant.lease, grant.tokens, grant.level) == (0, 0, 2)
    assert it.ask(need=11).wait is None


def test_what_is_lent_does_not_refill_until_it_lapses(it: Object) -> None:
    it.empty()
    it.now += SHORT_TERM + MARGIN - 1
    assert it.level() == 0
    it.now += 1000  # the lease has lapsed meanwhile, at its own moment
    assert it.level() == 0
    it.now += 1
    assert it.level() == 1


def test_a_lease_that_is_returned_makes_room_at_once(it: Object) -> None:
    grant = it.empty()
    it.bucket.give_back(((grant.lease, 4),), it.now)
    assert it.level() == 4
    it.now += 1000
    assert it.level() == 5


def test_a_return_counts_once(it: Object) -> None:
    lease = it.empty().lease
    for _ in range(3):
        it.bucket.give_back(((lease, 2),), it.now)
    assert it.ask(need=2, returns=((lease, 2),)).level == 0


@pytest.mark.parametrize(("unused", "level"), [(-5, 0), (0, 0), (99, 10)])
def test_no_more_is_returned_than_was_granted(it: Object, unused: int, level: int) -> None:
    it.bucket.give_back(((it.empty().lease, unused),), it.now)
    assert it.level() == level


def test_a_late_return_is_ignored(it: Object) -> None:
    lease = it.empty().lease
    it.now += SHORT_TERM + MARGIN
    it.bucket.give_back(((lease, 10),), it.now)
    assert it.level() == 0


def test_leases_lapse_each_at_its_moment(it: Object) -> None:
    it.rate = Rate(40, 3600)
    long = it.ask(want=20)
    assert (long.tokens, long.term) == (20, TERM)
    it.ask(need=20)
    it.now += TERM + MARGIN - 1  # the short one lapsed after 3 s; there was room for 20 since
    assert it.level() == 7
    it.now += HOUR
    assert it.level() == 40


def test_the_order_in_which_leases_lapse_counts_not_that_in_which_they_are_found(
    it: Object,
) -> None:
    it.rate = Rate(40, 7200)
    it.ask(need=20)
    assert it.ask(want=20).term == TERM
    it.ask(need=10)
    it.now += TERM + MARGIN + 1000  # 2 a second since the short ones lapsed, after 3 s
    assert it.level() == 18


def test_a_lease_of_what_is_needed_now_is_short(it: Object) -> None:
    assert it.ask(need=3).term == SHORT_TERM
    assert it.ask(want=3).term == TERM


def test_the_share_shrinks_near_the_limit(it: Object) -> None:
    it.rate = Rate(100, 0)
    sizes = [it.ask(want=64).tokens for _ in range(8)]
    assert sizes == [50, 25, 12, 6, 3, 2, 1, 1]
    assert sum(sizes) == 100


def test_the_share_is_divided_among_those_who_asked_lately(it: Object) -> None:
    it.rate = Rate(100, 0)
    for who in "abcd":
        it.ask(who=who)
    assert it.ask(want=64, who="a").tokens == 96 // (2 * 4)
    it.now += LATELY
    assert it.bucket.show(it.now).isolates == 0
    assert it.ask(want=64, who="a").tokens == 84 // 2


def test_what_is_wanted_is_no_reason_to_refuse_what_is_needed(it: Object) -> None:
    assert it.ask(need=9, want=64).tokens == 9


STEPS = st.lists(
    st.tuples(
        st.integers(0, 3 * TERM),
        st.integers(1, 12),
        st.integers(1, 12),
        st.integers(0, 12),
        st.sampled_from("abc"),
    ),
    max_size=12,
)


@given(
    STEPS,
    st.integers(1, 12),
    st.integers(0, 20_000),
    st.integers(0, 12_000),
    st.none() | st.builds(Rate, burst=st.integers(1, 12), per_hour=st.integers(0, 20_000)),
    st.sampled_from(["", "m"]),
)
def test_to_wait_that_long_is_granted_and_a_millisecond_less_is_not(
    steps: list[tuple[int, int, int, int, str]],
    need: int,
    per_hour: int,
    closed: int,
    squeezed: Rate | None,
    scope: str,
) -> None:
    it = Object(Rate(10, per_hour))
    lease = 0
    for gap, some, want, unused, who in steps:
        it.now += gap
        lease = it.ask(some, want, who, ((lease, unused),)).lease
    it.bucket.squeeze(squeezed, it.now + closed, it.now, scope)
    state = it.bucket.state()
    grant = it.ask(need)
    if grant.tokens:
        return
    if grant.wait is None:
        rate = it.rate.lowest(squeezed)
        assert need > rate.burst or not rate.per_hour
        assert it.later(state, HOUR * 24 * 365, need) == 0
        return
    assert it.later(state, grant.wait - 1, need) == 0
    assert it.later(state, grant.wait, need) == need


@given(STEPS, st.integers(1, 20_000))
def test_it_is_full_and_idle_just_when_it_said(
    steps: list[tuple[int, int, int, int, str]], per_hour: int
) -> None:
    it = Object(Rate(10, per_hour))
    lease, reset = 0, 0
    for gap, some, want, unused, who in steps:
        it.now += gap
        grant = it.ask(some, want, who, ((lease, unused),))
        assert grant.reset is not None
        lease, reset = grant.lease, grant.reset
    assert it.bucket.next_idle(it.now) == it.now + reset
    assert it.bucket.idle(it.now + reset)
    it.bucket.give_back((), it.now + reset)
    assert (it.bucket.show(it.now + reset).level, len(it.bucket._leases)) == (10 if steps else 0, 0)


def test_it_is_not_idle_a_moment_before(it: Object) -> None:
    it.ask()
    idle = NOW + SHORT_TERM + MARGIN + 1000
    assert not it.bucket.idle(idle - 1)
    assert it.bucket.next_idle(idle - 1) == idle
    assert LeasedBucket(NOW).idle(NOW)


def test_what_does_not_refill_is_never_idle_once_used(it: Object) -> None:
    it.rate = Rate(2, 0)
    assert it.ask().reset is None
    assert it.bucket.next_idle(it.now + HOUR) is None
    assert not it.bucket.idle(it.now + HOUR)


def test_it_goes_on_from_its_state(it: Object) -> None:
    first = it.empty()
    it.now += 1500
    it.bucket.squeeze(Rate(7, 3600), NOW + 5000, it.now)
    again = LeasedBucket(it.now, it.bucket.state())
    assert again.show(it.now) == View(
        rate=Rate(7, 3600),
        squeezed=Rate(7, 3600),
        closed_until=NOW + 5000,
        level=0,
        held=10,
        leases=1,
        isolates=0,
        reset=SHORT_TERM + MARGIN - 1500 + 7000,
    )
    again.give_back(((first.lease, 10),), it.now)
    assert again.show(it.now).level == 7
    again.squeeze(None, 0, it.now)
    assert again.ask(Ask("a", 1, SECONDLY), it.now).lease == first.lease + 1


def broken_states() -> list[bytes]:
    it = Object()
    it.ask()
    state = msgspec.msgpack.decode(it.bucket.state())
    changes: list[dict[str, Any]] = [
        {"rate": None},
        {"fill": None},
        {"rate": {"burst": 0, "per_hour": 1}},
        {"fill": {"units": -1, "at": NOW}},
        {"leases": {1: [0, NOW]}},
        {"next_lease": "1"},
    ]
    broken = [msgspec.msgpack.encode(state | change) for change in changes]
    return [*broken, it.bucket.state()[:-1], b"", b"\xc1", b"\x80", b"\xff\xfe"]


@pytest.mark.parametrize("state", broken_states())
def test_a_state_that_is_none_is_refused(state: bytes) -> None:
    with pytest.raises(ValueError):
        LeasedBucket(NOW, state)


def test_a_forgotten_bucket_does_not_take_its_predecessors_returns(it: Object) -> None:
    old = it.empty().lease
    later = Object()
    later.now = it.bucket.next_idle(it.now) or 0
    later.bucket = LeasedBucket(later.now)
    new = later.empty().lease
    later.bucket.give_back(((old, 10),), later.now)
    assert new != old
    assert later.level() == 0


def test_an_operator_makes_it_full(it: Object) -> None:
    lease = it.empty().lease
    it.bucket.reset(it.now)
    it.bucket.give_back(((lease, 10),), it.now)
    shown = it.bucket.show(it.now)
    assert (shown.level, shown.held, shown.leases, shown.reset) == (10, 0, 0, 0)


def test_a_bucket_that_nobody_asked_has_nothing_to_show() -> None:
    bucket = LeasedBucket(NOW)
    bucket.reset(NOW)
    bucket.give_back(((1, 1),), NOW)
    assert bucket.show(NOW) == View(None, None, 0, 0, 0, 0, 0, 0)


def test_a_squeeze_holds_the_rate_down_but_never_lifts_it(it: Object) -> None:
    it.ask()
    it.bucket.squeeze(Rate(4, 99_999), 0, it.now)
    assert it.bucket.show(it.now).rate == Rate(4, 3600)
    assert it.level() == 3
    assert it.bucket.next_idle(it.now) is None
    it.bucket.squeeze(None, 0, it.now)
    assert it.bucket.show(it.now).rate == SECONDLY
    assert it.level() == 3


def test_a_squeeze_before_the_first_ask_holds(it: Object) -> None:
    it.bucket.squeeze(Rate(2, 1), 0, it.now)
    assert not it.bucket.idle(it.now)
    assert it.ask().level == 1


def test_while_it_is_closed_nothing_is_granted(it: Object) -> None:
    it.ask()
    it.bucket.squeeze(None, it.now + 5000, it.now)
    assert (it.ask().tokens, it.ask().wait) == (0, 5000)
    assert it.bucket.next_idle(it.now) == it.now + 5000
    it.now += 5000
    assert it.ask().tokens == 1


def test_a_squeezed_model_leaves_the_others_alone(it: Object) -> None:
    it.bucket.squeeze(Rate(2, 60), 0, it.now, "m")
    assert [it.ask().tokens for _ in range(3)] == [1, 1, 0]
    refused = it.ask()
    assert (refused.limit, refused.scope, refused.rate) == ("share", "m", Rate(2, 60))
    assert refused.wait == SHORT_TERM + MARGIN + 60_000
    other = it.ask(model="other")
    assert (other.tokens, other.level, other.rate) == (1, 7, None)
    assert it.bucket.show(it.now).scopes == {"m": Squeeze(Rate(2, 60), 0)}
    assert it.bucket.next_idle(it.now) is None
    it.bucket.reset(it.now)
    assert it.ask().level == 1
    it.bucket.squeeze(None, 0, it.now, "m")
    assert it.bucket.show(it.now).scopes == {}
    assert it.ask(need=8).tokens == 8


def test_a_closed_model_leaves_the_others_alone(it: Object) -> None:
    it.ask()
    it.bucket.squeeze(None, it.now + 50_000, it.now, "m")
    refused = it.ask()
    assert (refused.wait, refused.limit, refused.scope) == (50_000, "closed", "m")
    assert it.ask(model="other").tokens == 1
    assert it.ask(model="other:free").tokens == 1
    assert it.bucket.next_idle(it.now) == it.now + 50_000
    it.bucket.squeeze(None, it.now + 9000, it.now, ":free")
    refused = it.ask(model="other:free")
    assert (refused.wait, refused.limit, refused.scope) == (9000, "closed", ":free")
    assert it.ask(model="other").tokens == 1


@pytest.mark.parametrize("scope", ["", "m"])
def test_who_refuses_is_told(it: Object, scope: str) -> None:
    it.empty()
    assert (it.ask().limit, it.ask().rate) == ("configured", None)
    it.bucket.squeeze(Rate(5, 99), 0, it.now, scope)
    assert (it.ask().limit, it.ask().scope, it.ask().rate) == ("share", scope, Rate(5, 99))
    it.bucket.squeeze(Rate(5, 99), it.now + HOUR, it.now, scope)
    assert (it.ask().limit, it.ask().scope) == ("closed", scope)


def test_a_squeezed_model_is_stored(it: Object) -> None:
    it.ask(need=3)
    it.bucket.squeeze(Rate(5, 60), it.now + 100, it.now, "m")
    again = LeasedBucket(it.now, it.bucket.state())
    assert again.show(it.now).scopes == it.bucket.show(it.now).scopes
    ask = Ask("a", 1, it.rate, 1, (), "m")
    it.now += 100
    grant = again.ask(ask, it.now)
    assert (grant.tokens, grant.level) == (1, 1)  # five, three of which are lent
    it.now -= HOUR
    assert again.show(it.now).scopes["m"].closed_until <= it.now + 100


def test_a_changed_rate_takes_effect_with_the_next_ask(it: Object) -> None:
    it.ask()
    it.rate = Rate(5, 3600)
    assert it.ask().level == 3  # five, two of which are lent
    assert it.bucket.show(it.now).rate == it.rate


def test_demand_is_told_once(it: Object) -> None:
    it.ask(need=7)
    it.ask(need=5)
    it.ask(need=2)
    it.ask(model="other")
    assert it.bucket.scopes() == ("", "m", "other")
    assert it.bucket.demand() == (10, 5)
    assert it.bucket.demand() == (0, 0)
    assert (it.bucket.demand("m"), it.bucket.demand("other")) == ((9, 5), (1, 0))
    it.bucket.squeeze(None, it.now + 1, it.now, "one more")
    assert it.bucket.scopes() == ("", "one more")
    for number in range(2 * SCOPES):
        it.ask(model=f"{number}")
    assert len(it.bucket.scopes()) <= SCOPES + 1
    assert it.bucket.demand() == (0, 2 * SCOPES)


def test_a_small_step_back_lets_no_lease_lapse_sooner_and_refills_nothing(it: Object) -> None:
    it.empty()
    it.now -= STEP
    assert it.ask().wait == STEP + SHORT_TERM + MARGIN + 1000
    it.now = NOW + SHORT_TERM + MARGIN + 999
    assert it.level() == 0
    it.now += 1
    assert it.level() == 1


def test_a_large_step_back_takes_the_leases_along(it: Object) -> None:
    it.empty()
    it.bucket.squeeze(None, it.now + 7000, it.now)
    it.now -= HOUR
    assert it.ask().wait == 7000
    it.now += SHORT_TERM + MARGIN
    assert it.level() == 0
    it.now += 1000
    assert it.level() == 1


@pytest.mark.parametrize("message", [Ask("a", 2, SECONDLY, returns=((1, 2),)), Object().ask()])
def test_messages_cross_as_json(message: Any) -> None:
    assert msgspec.json.decode(msgspec.json.encode(message), type=type(message)) == message
