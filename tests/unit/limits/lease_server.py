"""A lease server to put to the test."""

from hypothesis import strategies as st

from proxy.limits.lease_messages import TERM, LeaseGrant, LeaseRequest, Returns
from proxy.limits.lease_server import LeaseServer
from proxy.limits.token_bucket import Rate
from tests.unit.limits.making import NOW

SECONDLY = Rate(burst=10, per_hour=3600)


class Server:
    """A leased bucket with a clock that is turned by hand."""

    def __init__(self, rate: Rate = SECONDLY) -> None:
        self.bucket = LeaseServer(NOW)
        self.rate = rate
        self.now = NOW

    def grant(
        self,
        need: int = 1,
        want: int = 0,
        isolate: str = "a",
        returns: Returns = (),
        model: str = "m",
    ) -> LeaseGrant:
        request = LeaseRequest(isolate, max(want, need), self.rate, need, returns, model)
        return self.bucket.take(request, self.now)

    def empty(self) -> LeaseGrant:
        grant = self.grant(need=self.rate.burst)
        assert grant.tokens == self.rate.burst
        return grant

    def level(self) -> int:
        return self.bucket.show(self.now).level

    def later(self, state: bytes, after: int, need: int) -> int:
        """What it would grant to another isolate that needs so many then."""
        other = LeaseServer(self.now, state)
        return other.take(
            LeaseRequest("other", need, self.rate, need, (), "m"), self.now + after
        ).tokens


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
