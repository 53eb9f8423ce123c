"""What a source says of a model, in the catalogue's own units: US dollars per million tokens."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal

PRICES = ("input", "output", "cached", "cache_write", "cache_write_1h")
OWNED = (*PRICES, "rates", "context", "max_output", "shutdown")
"""The fields of a model that the tool writes. All others are written by hand."""

MILLION = 1_000_000
_DIGITS = Decimal("0.000001")  # a price of the catalogue is a whole number of pico-dollars a token


class SourceError(Exception):
    """A source has another form than the tool reads; the message says what was expected."""


@dataclass(frozen=True)
class Rate:
    """The prices that count instead of the base ones while the conditions hold."""

    prices: Mapping[str, Decimal]
    start: str | None = None
    """The first UTC day, YYYY-MM-DD."""
    above: int | None = None
    """The request has more input tokens than this."""
    hours: str | None = None
    """Parts of the UTC day, HH:MM-HH:MM,…; one may pass midnight."""
    weekdays: tuple[int, ...] | None = None
    """Days of the week, 1 is Monday."""


@dataclass(frozen=True)
class Offer:
    """What one source says of one model; None and missing prices: nothing."""

    source: str
    key: str
    """The source's own name for the model."""
    prices: Mapping[str, Decimal] = field(default_factory=dict)
    rates: tuple[Rate, ...] = ()
    """In the catalogue's order: of several that hold the last one counts."""
    context: int | None = None
    max_output: int | None = None
    shutdown: str | None = None
    successor: str | None = None
    mode: str = "chat"
    can: tuple[str, ...] | None = None


def clean_prices(prices: Mapping[str, Decimal]) -> dict[str, Decimal]:
    """Prices without those that can't be: negative ones, and a write to the cache at less than
    `input`, which is what its storage costs on top of that, or a 0 for "not charged apart"."""
    known = {name: price.quantize(_DIGITS) for name, price in prices.items() if price >= 0}
    least = known.get("input", Decimal(0))
    return {
        name: price
        for name, price in known.items()
        if not name.startswith("cache_write") or price >= least
    }
