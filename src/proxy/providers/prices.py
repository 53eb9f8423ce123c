"""What tokens cost by the catalogue. Sums are exact: a price is a whole number of pico-dollars a
token."""

from datetime import date
from functools import cached_property

from msgspec import Struct, structs

from proxy.core.chat import Cost, Usage
from proxy.providers.rates import PRICES, Rate


class Prices(Struct, frozen=True, dict=True):
    """A model's prices in US dollars per million tokens, None where unknown."""

    input: float | None = None
    output: float | None = None
    cached: float | None = None
    """Input tokens read from the provider's prompt cache; None: as `input`."""
    cache_write: float | None = None
    """Input tokens written to the provider's prompt cache; None: as `input`."""
    cache_write_1h: float | None = None
    """Those that are kept there for an hour; None: as `cache_write`."""
    rates: tuple[Rate, ...] = ()
    """What replaces these; those that depend on the day count once `on` has chosen them."""

    def on(self, day: date) -> "Prices":
        """The prices of a day: a rate that depends on nothing else has become the base price."""
        base, rates = self, list[Rate]()
        for rate in self.rates:
            if not rate.holds_on(day):
                continue
            prices = self._replaced_by(rate)
            if rate.is_conditional:
                rates.append(rate.replace_day(prices.as_fields))
            else:
                base, rates = prices, []
        return structs.replace(base, rates=tuple(rates))

    @property
    def as_fields(self) -> dict[str, float | None]:
        """The base prices by their names."""
        return {name: getattr(self, name) for name in PRICES}

    @property
    def base(self) -> "Prices":
        """The base prices alone: for the tokens of many requests, at any hour."""
        return structs.replace(self, rates=()) if self.rates else self

    def _replaced_by(self, rate: Rate) -> "Prices":
        """The prices while a rate holds, each of them said: what it leaves out is as the base."""
        input = _first(rate.input, self.input)
        written = _first(rate.cache_write, self.cache_write, input)
        return Prices(
            input,
            _first(rate.output, self.output),
            _first(rate.cached, self.cached, input),
            written,
            _first(rate.cache_write_1h, self.cache_write_1h, written),
        )

    @cached_property
    def _variants(self) -> "tuple[_Variant, ...]":
        """The rates that depend on more than the day, those that count first."""
        return tuple(
            _Variant(rate.above, rate.spans, self._replaced_by(rate))
            for rate in reversed(self.rates)
            if not rate.is_dated
        )

    def _choose(self, tokens: int, at: float | None) -> "Prices":
        """The prices of a request with so many input tokens, at a moment of the day."""
        minute = None if at is None else int(at // 60) % 1440
        for variant in self._variants:
            if variant.holds(tokens, minute):
                return variant.prices
        return self

    @cached_property
    def _picos(self) -> tuple[int, int, int, int, int]:
        """Pico-dollars of a token that is fresh, cached, written to the cache, written for an hour,
        and of the output."""
        input = self.input or 0
        cached = input if self.cached is None else self.cached
        written = input if self.cache_write is None else self.cache_write
        hourly = written if self.cache_write_1h is None else self.cache_write_1h
        return _pico(input), _pico(cached), _pico(written), _pico(hourly), _pico(self.output or 0)

    @property
    def highest_input(self) -> float:
        """The most that an input token may cost at base prices."""
        written = max(self.cache_write or 0, self.cache_write_1h or 0)
        return max(self.input or 0, self.cached or 0, written)

    def compute_cost(self, usage: Usage | None, at: float | None = None) -> Cost:
        """What `usage` costs: the provider's own word where it gave one, else by the price.
        at: the time of the request, in seconds since 1970; None: of no hour that has a rate.

        Cached and cache-writing tokens are part of the input tokens, reasoning tokens part
        of the output tokens: none is counted twice, and where a provider reports more of a part
        than of the whole, the whole counts. Whole nano-dollars, rounded half up.
        """
        if usage is None:
            return Cost(None)
        if usage.cost is not None:
            return Cost(usage.cost, "provider")
        if self.input is None or (self.output is None and usage.output):
            return Cost(None)
        held = self._choose(usage.input, at) if self.rates else self
        fresh, of_cached, of_written, of_hourly, output = held._picos
        pico = usage.input * fresh + usage.output * output
        if usage.cached or usage.cache_write:
            cached = min(usage.cached or 0, usage.input)
            written = min(usage.cache_write or 0, usage.input - cached)
            hourly = min(usage.cache_write_1h or 0, written)
            pico += cached * of_cached + (written - hourly) * of_written + hourly * of_hourly
            pico -= (cached + written) * fresh
        return Cost((pico + 500) // 1000, "computed")

    def bound_cost(self, usage: Usage) -> int:
        """The most that `usage`, or a smaller one, may cost at any hour of the day, in
        nano-dollars: all of the input at the highest of its prices. Unknown prices count as
        nothing."""
        pico = max(
            usage.input * of_input + usage.output * of_output
            for above, of_input, of_output in self._bounds
            if above < usage.input or not above
        )
        return -(-pico // 1000)

    @cached_property
    def _bounds(self) -> tuple[tuple[int, int, int], ...]:
        """Of all prices that may hold: the input tokens above which they may, and the pico-dollars
        of an input token at most and of an output token."""
        all_prices = [(0, self), *((v.above or 0, v.prices) for v in self._variants)]
        return tuple(
            (above, _pico(held.highest_input), _pico(held.output or 0))
            for above, held in all_prices
        )


class _Variant(Struct, frozen=True):
    """Prices, and what they hold for."""

    above: int | None
    spans: list[tuple[int, int]]
    prices: Prices

    def holds(self, tokens: int, minute: int | None) -> bool:
        """Whether they hold for so many input tokens in a minute of the day; None: of none."""
        if self.above is not None and tokens <= self.above:
            return False
        if not self.spans:
            return True
        return minute is not None and any(
            begin <= minute < end if begin < end else minute >= begin or minute < end
            for begin, end in self.spans
        )


def _first(*prices: float | None) -> float | None:
    return next((price for price in prices if price is not None), None)


def _pico(dollars_per_million: float) -> int:
    return round(dollars_per_million * 1_000_000)
