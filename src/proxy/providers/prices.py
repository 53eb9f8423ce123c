"""What tokens cost by the catalogue. Sums are exact: a price is a whole number of pico-dollars a
token."""

from functools import cached_property

from msgspec import Struct

from proxy.core.chat import Cost, Usage


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
        """The most that an input token may cost."""
        written = max(self.cache_write or 0, self.cache_write_1h or 0)
        return max(self.input or 0, self.cached or 0, written)

    def compute_cost(self, usage: Usage | None) -> Cost:
        """What `usage` costs: the provider's own word where it gave one, else by the price.

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
        fresh, of_cached, of_written, of_hourly, output = self._picos
        cached = min(usage.cached or 0, usage.input)
        written = min(usage.cache_write or 0, usage.input - cached)
        hourly = min(usage.cache_write_1h or 0, written)
        pico = (
            (usage.input - cached - written) * fresh
            + cached * of_cached
            + (written - hourly) * of_written
            + hourly * of_hourly
            + usage.output * output
        )
        return Cost((pico + 500) // 1000, "computed")

    def bound_cost(self, usage: Usage) -> int:
        """The most that `usage` may cost, in nano-dollars: all of the input at the highest of its
        prices. Unknown prices count as nothing."""
        pico = usage.input * _pico(self.highest_input) + usage.output * _pico(self.output or 0)
        return -(-pico // 1000)


def _pico(dollars_per_million: float) -> int:
    return round(dollars_per_million * 1_000_000)
