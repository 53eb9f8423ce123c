"""The messages of a provider's rate-limit pool: buckets report demand, isolates what the provider
says of its limits. See limits.rate_limit_pool."""

from msgspec import Struct

from proxy.core.rpc import NOTHING, Method, as_text
from proxy.limits.token_bucket import Rate


class DemandReport(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a user's bucket reports: tokens taken and refused since its last report."""

    user: str
    scope: str = ""
    """What they were for; see core.scopes."""
    taken: int
    refused: int
    rate: Rate
    """The configured one."""


class Signal(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a provider's answer says of its limits."""

    scope: str = ""
    """Which of them; see core.scopes."""
    limited: bool = False
    """It was a 429."""
    retry_after: float | None = None
    """Seconds, of a 429."""
    remaining: int | None = None
    """Requests, of `limit`, that may be sent within the next `reset` seconds."""
    limit: int | None = None
    reset: float | None = None
    window: bool = False
    """Whether the whole limit comes back then; else it comes back bit by bit."""

    @property
    def wait(self) -> float | None:
        """Seconds for which the provider is to be left alone."""
        return self.reset if self.retry_after is None and self.remaining == 0 else self.retry_after


class Allocation(Struct, frozen=True, kw_only=True):
    """What a bucket may have."""

    rate: Rate | None
    """None: the configured one."""
    closed_until: int
    """The moment (ms) until which the provider is to be left alone; 0: it is open."""
    next_report: int
    """Milliseconds from now."""


class UserShare(Struct, frozen=True, kw_only=True):
    """A user as an operator sees it. demand: requests an hour, refused ones too, averaged over
    minutes; rate: None is the configured one."""

    user: str
    demand: int
    rate: Rate | None


class ScopeView(Struct, frozen=True, kw_only=True):
    """A scope that is under pressure or closed, as an operator sees it."""

    scope: str
    """A model's id, or `:free`."""
    capacity: int | None
    """Requests an hour; None: no pressure."""
    closed_until: int
    """A moment (ms); 0: it is open."""
    users: tuple[UserShare, ...]
    """The greatest demand first."""


class PoolView(Struct, frozen=True, kw_only=True):
    """A pool as an operator sees it. What is not said to be a model's is the whole provider's."""

    capacity: int | None
    """Requests an hour; None: no pressure."""
    closed_until: int
    """The moment (ms) until which the provider or any of its models is closed; 0: all are open."""
    users: tuple[UserShare, ...]
    """The greatest demand first."""
    scopes: tuple[ScopeView, ...] = ()
    """The models that are under pressure or closed by themselves."""


REPORT = Method(
    "PROVIDER_POOL", "report", as_text(tuple[DemandReport, ...]), as_text(tuple[Allocation, ...])
)
SIGNAL = Method("PROVIDER_POOL", "signal", as_text(Signal), NOTHING)
SHOW_POOL = Method("PROVIDER_POOL", "show", NOTHING, as_text(PoolView))
RESET_POOL = Method("PROVIDER_POOL", "reset", NOTHING, NOTHING)
