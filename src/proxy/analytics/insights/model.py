"""What insights are drawn from, and what an insight is."""

from collections.abc import Callable, Iterable, Sequence
from typing import Literal, NamedTuple, Protocol

from msgspec import Struct

from proxy.analytics.record.request_record import RequestRecord
from proxy.analytics.store.messages import SumsGroup
from proxy.analytics.store.totals import Totals, add_up
from proxy.core.chat import Usage

Kind = Literal["breaker", "error", "provider", "user", "cost", "cache"]
Severity = Literal["warning", "notice", "info"]
Pair = tuple[str, str]
"""A provider and its model."""


class Market(Protocol):
    """What models cost, and which stand for one another."""

    def price(self, provider: str, model: str, usage: Usage) -> int | None:
        """What tokens cost at list prices, in nano-dollars; None where they are not known."""

    def alternatives(self, provider: str, model: str) -> Sequence[Pair]:
        """The other configured models of the same tier, and the same model elsewhere."""


class OpenedBreaker(Protocol):
    """A breaker that opened. Moments in milliseconds."""

    @property
    def name(self) -> str:
        """`provider` or `provider/model`."""

    @property
    def at(self) -> int:
        """When it opened."""

    @property
    def open_until(self) -> int:
        """When it tries again."""

    @property
    def level(self) -> int:
        """How many times it has opened in a row."""

    @property
    def reason(self) -> str | None:
        """The fault."""


class Observations(Struct, frozen=True, kw_only=True):
    """All that is known of a window, in any order."""

    now: int
    """The window's end, in whole milliseconds since 1970."""
    seconds: int
    users: Sequence[SumsGroup] = ()
    """The window's sums by user,"""
    tried: Sequence[SumsGroup] = ()
    """the same of those requests for which a model was tried, or answered from the cache,"""
    models: Sequence[SumsGroup] = ()
    """and the sums by provider and model."""
    past: Sequence[SumsGroup] = ()
    """The sums by user of the window before, as long."""
    records: Sequence[RequestRecord] = ()
    """The window's requests that are in the request log, or a sample of them;"""
    repeats: Sequence[RequestRecord] = ()
    """all of those prompts that were drawn into another sample."""
    share: float = 1.0
    """The probability with which a request, and a prompt, was drawn."""
    ttl: int = 0
    """For how many seconds the cache keeps an answer."""
    market: Market
    openings: Sequence[OpenedBreaker] = ()


class Amount(Struct, frozen=True):
    """An insight's size."""

    value: float
    unit: Literal["USD", "requests", "%", "ms"]


class Insight(Struct, frozen=True, kw_only=True, rename="camel"):
    """A conclusion with its evidence."""

    id: str
    """Unique in its report: the rule, and after a colon the name that it is about."""
    kind: Kind
    severity: Severity = "notice"
    title: str
    """One sentence with the numbers in it."""
    period: str = ""
    """When that was, in words, e.g. `on 2026-11-25 from 20:00 to 21:00 UTC`."""
    action: str = ""
    """What an operator can do about it: one sentence."""
    amount: Amount | None
    confidence: float = 1.0
    """The level at which this and all other claims of that level hold together; 1 for what was
    counted and not inferred."""
    evidence: dict[str, float | int | str]


class Family(NamedTuple):
    """Claims that may be wrong: how many comparisons are made for them, and those that hold
    where each comparison may err with the probability given."""

    comparisons: int
    claims: Callable[[float], list[Insight]]


def sum_groups(
    groups: Iterable[SumsGroup], name_of: Callable[[SumsGroup], str]
) -> dict[str, Totals]:
    """The totals of groups by their name, in the order of names; groups whose name is empty are
    left out."""
    sums: dict[str, Totals] = {}
    for group in groups:
        if name := name_of(group):
            known = sums.get(name)
            sums[name] = add_up((known, group.totals)) if known else group.totals
    return dict(sorted(sums.items()))


def user_of(group: SumsGroup) -> str:
    """The user of a group; empty where the requests were not let in."""
    return str(group.key["user"])


def model_of(group: SumsGroup) -> str:
    """`provider/model` of a group; empty where none was tried."""
    key = group.key
    return f"{key['provider']}/{key['model']}" if key["provider"] and key["model"] else ""
