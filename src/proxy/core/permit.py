"""What a request must be granted before it may cost money: the seam between the manager,
which knows the provider, and the limits, which know the caller."""

from collections.abc import Callable, Mapping
from typing import Protocol

from msgspec import Struct

from proxy.core.chat import Cost, Usage
from proxy.core.ports import Defer
from proxy.core.principal import Grant


class Standing(Struct, frozen=True, kw_only=True):
    """How a caller stands with a limit, for the RateLimit headers."""

    limit: str
    """Its name: `provider:gemini`, `requests_per_minute`, `tokens_per_minute`."""
    quota: int
    """What may be had at once."""
    window: float
    """Seconds in which `quota` refills from nothing."""
    remaining: int
    reset: float
    """Seconds until it is full again."""


class Refusal(Struct, frozen=True, kw_only=True):
    """Why a request may not go to a provider now."""

    limit: str
    """Which limit was hit: `provider:gemini`, `requests_per_minute`, `tokens_per_minute`,
    `budget_day`, `budget_month`, or `limiter` where it could not be asked."""
    message: str
    retry_after: float | None = None
    """Seconds after which a caller that is alone is admitted."""


class Permit(Protocol):
    """The limits as one request meets them."""

    grant: Grant
    user: str
    defer: Defer

    def expected(self, max_output: int | None) -> Usage:
        """What an answer will use, by the longest output (tokens) of the model."""

    def lose(self, price: Callable[[Usage], Cost]) -> None:
        """Counts an attempt that was given up though it may cost."""

    async def charge(
        self, provider: str, price: Callable[[Usage], Cost], max_output: int | None
    ) -> Refusal | None:
        """Charges an attempt at a provider and reserves what it may use, by the price and the
        longest output (tokens) of the model. None: it may go."""

    def observe(self, provider: str, status: int, headers: Mapping[str, str]) -> None:
        """Takes note of a provider's answer: its 429s and what it says of its own limits."""
