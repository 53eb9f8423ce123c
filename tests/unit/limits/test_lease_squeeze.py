"""The lease server where it is held down or closed, altogether or for a model."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.limits.lease_messages import MARGIN, SHORT_TERM, LeaseRequest, Squeeze
from proxy.limits.lease_server import SCOPES, LeaseServer
from proxy.limits.pool_messages import DemandReport
from proxy.limits.token_bucket import Rate
from tests.unit.limits.lease_server import SECONDLY, STEPS, Server
from tests.unit.limits.making import HOUR


@given(
    STEPS,
    st.integers(1, 12),
    st.integers(0, 20_000),
    st.tuples(
        st.none() | st.builds(Rate, burst=st.integers(1, 12), per_hour=st.integers(0, 20_000)),
        st.integers(0, 12_000),
        st.sampled_from(["", "m"]),
    ),
)
def test_to_wait_that_long_is_granted_and_a_millisecond_less_is_not(
    steps: list[tuple[int, int, int, int, str]],
    need: int,
    per_hour: int,
    squeeze: tuple[Rate | None, int, str],
) -> None:
    server = Server(Rate(10, per_hour))
    squeezed, closed, scope = squeeze
    lease = 0
    for gap, some, want, unused, isolate in steps:
        server.now += gap
        lease = server.grant(some, want, isolate, ((lease, unused),)).lease
    server.bucket.squeeze(squeezed, server.now + closed, server.now, scope)
    state = server.bucket.encode_state()
    grant = server.grant(need)
    if grant.tokens:
        return
    if grant.wait is None:
        rate = server.rate.lowest(squeezed)
        assert need > rate.burst or not rate.per_hour
        assert server.later(state, HOUR * 24 * 365, need) == 0
        return
    assert server.later(state, grant.wait - 1, need) == 0
    assert server.later(state, grant.wait, need) == need


def test_a_squeeze_holds_the_rate_down_but_never_lifts_it(server: Server) -> None:
    server.grant()
    server.bucket.squeeze(Rate(4, 99_999), 0, server.now)
    assert server.bucket.show(server.now).rate == Rate(4, 3600)
    assert server.level() == 3
    assert server.bucket.find_idle_at(server.now) == 0
    server.bucket.squeeze(None, 0, server.now)
    assert server.bucket.show(server.now).rate == SECONDLY
    assert server.level() == 3


def test_a_squeeze_before_the_first_request_holds(server: Server) -> None:
    server.bucket.squeeze(Rate(2, 1), 0, server.now)
    assert not server.bucket.is_idle(server.now)
    assert server.grant().level == 1


def test_while_it_is_closed_nothing_is_granted(server: Server) -> None:
    server.grant()
    server.bucket.squeeze(None, server.now + 5000, server.now)
    assert (server.grant().tokens, server.grant().wait) == (0, 5000)
    assert server.bucket.find_idle_at(server.now) == server.now + 5000
    server.now += 5000
    assert server.grant().tokens == 1


def test_a_squeezed_model_leaves_the_others_alone(server: Server) -> None:
    server.bucket.squeeze(Rate(2, 60), 0, server.now, "m")
    assert [server.grant().tokens for _ in range(3)] == [1, 1, 0]
    refused = server.grant()
    assert (refused.limit, refused.scope, refused.rate) == ("share", "m", Rate(2, 60))
    assert refused.wait == SHORT_TERM + MARGIN + 60_000
    other = server.grant(model="other")
    assert (other.tokens, other.level, other.rate) == (1, 7, None)
    assert server.bucket.show(server.now).scopes == {"m": Squeeze(Rate(2, 60), 0)}
    assert server.bucket.find_idle_at(server.now) == 0
    server.bucket.reset(server.now)
    assert server.grant().level == 1
    server.bucket.squeeze(None, 0, server.now, "m")
    assert server.bucket.show(server.now).scopes == {}
    assert server.grant(need=8).tokens == 8


def test_a_closed_model_leaves_the_others_alone(server: Server) -> None:
    server.grant()
    server.bucket.squeeze(None, server.now + 50_000, server.now, "m")
    refused = server.grant()
    assert (refused.wait, refused.limit, refused.scope) == (50_000, "closed", "m")
    assert server.grant(model="other").tokens == 1
    assert server.grant(model="other:free").tokens == 1
    assert server.bucket.find_idle_at(server.now) == server.now + 50_000
    server.bucket.squeeze(None, server.now + 9000, server.now, ":free")
    refused = server.grant(model="other:free")
    assert (refused.wait, refused.limit, refused.scope) == (9000, "closed", ":free")
    assert server.grant(model="other").tokens == 1


@pytest.mark.parametrize("scope", ["", "m"])
def test_a_refusal_names_its_limit(server: Server, scope: str) -> None:
    server.empty()
    assert (server.grant().limit, server.grant().rate) == ("configured", None)
    server.bucket.squeeze(Rate(5, 99), 0, server.now, scope)
    assert (server.grant().limit, server.grant().scope, server.grant().rate) == (
        "share",
        scope,
        Rate(5, 99),
    )
    server.bucket.squeeze(Rate(5, 99), server.now + HOUR, server.now, scope)
    assert (server.grant().limit, server.grant().scope) == ("closed", scope)


def test_a_squeezed_model_is_stored(server: Server) -> None:
    server.grant(need=3)
    server.bucket.squeeze(Rate(5, 60), server.now + 100, server.now, "m")
    again = LeaseServer(server.now, server.bucket.encode_state())
    assert again.show(server.now).scopes == server.bucket.show(server.now).scopes
    request = LeaseRequest("a", 1, server.rate, 1, (), "m")
    server.now += 100
    grant = again.take(request, server.now)
    assert (grant.tokens, grant.level) == (1, 1)  # five, three of which are lent
    server.now -= HOUR
    assert again.show(server.now).scopes["m"].closed_until <= server.now + 100


def test_a_changed_rate_takes_effect_with_the_next_request(server: Server) -> None:
    server.grant()
    server.rate = Rate(5, 3600)
    assert server.grant().level == 3  # five, two of which are lent
    assert server.bucket.show(server.now).rate == server.rate


def test_demand_is_counted_once(server: Server) -> None:
    server.grant(need=7)
    server.grant(need=5)
    server.grant(need=2)
    server.grant(model="other")
    rate = server.rate
    assert server.bucket.take_reports("ann") == tuple(
        DemandReport(user="ann", scope=scope, taken=taken, refused=refused, rate=rate)
        for scope, taken, refused in (("", 10, 5), ("m", 9, 5), ("other", 1, 0))
    )
    server.bucket.squeeze(None, server.now + 1, server.now, "one more")
    assert server.bucket.take_reports("ann") == tuple(
        DemandReport(user="ann", scope=scope, taken=0, refused=0, rate=rate)
        for scope in ("", "one more")
    )
    server.bucket.release(server.now)
    for number in range(2 * SCOPES):
        server.grant(model=f"{number}")
    reports = server.bucket.take_reports("ann")
    assert len(reports) <= SCOPES + 1
    assert (reports[0].scope, reports[0].taken, reports[0].refused) == ("", 0, 2 * SCOPES)


def test_an_unused_bucket_has_nothing_to_report(server: Server) -> None:
    server.bucket.squeeze(Rate(1, 1), 0, server.now, "m")
    assert server.bucket.take_reports("ann") == ()


def test_all_squeezes_end_at_once(server: Server) -> None:
    server.grant()
    for scope in ("", "m"):
        server.bucket.squeeze(Rate(2, 60), server.now + HOUR, server.now, scope)
    server.bucket.release(server.now)
    shown = server.bucket.show(server.now)
    assert (shown.squeezed, shown.closed_until, shown.scopes) == (None, 0, {})
