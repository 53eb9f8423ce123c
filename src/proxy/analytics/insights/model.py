"""What insights are drawn from, and what one is."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Literal, NamedTuple, Protocol

from msgspec import Struct

from proxy.analytics.record.request_record import RequestRecord
from proxy.analytics.store.figures import Group

Kind = Literal["breaker", "error", "provider", "user", "cost", "cache"]
Severity = Literal["warning", "notice", "info"]
Pair = tuple[str, str]
"""A provider and its model."""


class Market(Protocol):
    """What models cost, and which stand for one another."""

    def price(
        self, provider: str, model: str, *, input: int, output: int, cached: int, reasoning: int
    ) -> int | None:
        """What tokens cost at list prices, in nano-dollars; None where they are not known.
        Cached are part of the input tokens, reasoning part of the output tokens."""

    def alternatives(self, provider: str, model: str) -> Sequence[Pair]:
        """The other configured models of the same tier, and the same model elsewhere."""


class Opening(Struct, frozen=True, kw_only=True):
    """A breaker that opened: routing.watch.BreakerOpening. Moments in milliseconds."""

    name: str
    """`provider` or `provider/model`."""
    at: int
    open_until: int
    level: int = 0
    """How many times it has opened in a row."""
    reason: str | None = None


class Seen(Struct, frozen=True, kw_only=True):
    """All that is known of a window, in any order."""

    now: int
    """The window's end, in whole milliseconds since 1970."""
    window: int
    """Seconds."""
    groups: Sequence[Group]
    """The window's sums by all five dimensions."""
    past: Sequence[Group] = ()
    """The same of the window before, as long."""
    events: Sequence[RequestRecord] = ()
    """The newest of the window that are in the request log."""
    ttl: int = 0
    """For how many seconds the cache keeps an answer."""
    market: Market
    openings: Sequence[Opening] = ()


class Amount(Struct, frozen=True):
    """What it is about, as a number."""

    value: float
    unit: Literal["USD", "requests", "%", "ms"]


class Insight(Struct, frozen=True, kw_only=True, rename="camel"):
    """A conclusion with its evidence."""

    id: str
    """Unique in its report: the rule, and after a colon what it is about."""
    kind: Kind
    severity: Severity
    title: str
    """One sentence with the numbers in it."""
    amount: Amount | None
    confidence: float = 1.0
    """The level at which this and all else that claims it hold together; 1 for what was counted
    and not inferred."""
    evidence: dict[str, float | int | str]


class Family(NamedTuple):
    """Claims that may be wrong: how many comparisons are made for them, and those that hold
    where each comparison may err with the probability given."""

    comparisons: int
    claims: Callable[[float], list[Insight]]


def percent(share: float) -> str:
    """A share in words."""
    value = 100 * share
    return f"{value:.0f} %" if value >= 10 or value == round(value) else f"{value:.1f} %"


def usd(nano: float) -> str:
    """An amount of money in words, to two digits at least."""
    dollars = nano / 1e9
    return f"${dollars:,.2f}" if dollars >= 1 or not dollars else f"${dollars:.2g}"


def moment(ms: int) -> str:
    """A moment in words."""
    return datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y-%m-%d %H:%M UTC")


def duration(seconds: float) -> str:
    """A time in words, in the greatest unit of which there are two."""
    for unit, name in ((86400, "days"), (3600, "hours"), (60, "minutes")):
        if seconds >= 2 * unit:
            return f"{seconds / unit:.3g} {name}"
    return f"{seconds:.3g} seconds"
