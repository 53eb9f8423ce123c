"""What a request must be granted before it may cost money: the seam between the manager,
which knows the provider, and the limits, which know the caller."""

from collections.abc import Callable, Mapping
from typing import Protocol

from msgspec import Struct

from proxy.core.chat import Cost, Usage
from proxy.core.choices import Allotment
from proxy.core.errors import Fault
from proxy.core.ports import Defer
from proxy.core.principal import ModelGrant


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
    """Which limit was hit: `provider:gemini`, `alias:NAME:TARGET`, `requests_per_minute`,
    `tokens_per_minute`, `budget_day`, `budget_month`, `budget_unpriced` where a key with a budget
    may not use a model whose price is not known, or `limiter` where that is out of reach."""
    message: str
    retry_after: float | None = None
    """Seconds after which a caller that is alone is admitted."""


class Offer(Struct, frozen=True, kw_only=True):
    """The model of an attempt, as far as limits and budgets go by it."""

    provider: str
    model: str
    most: Callable[[Usage], int] | None
    """The most that a usage may cost, in nano-dollars; None: no price is known."""
    max_output: int | None
    """Tokens of its longest answer; None: not known."""
    context: int | None
    """Tokens of prompt and answer together; None: not known."""
    allotment: Allotment | None = None
    """What may be used of it by the alias that the request names; None: nothing limits that."""


class Reservation(Protocol):
    """What an attempt has reserved. The first of its calls counts, later calls do nothing."""

    def settle(self, usage: Usage, cost: Cost) -> None:
        """Replaces what was reserved by what was used."""

    def lose(self) -> None:
        """The attempt was given up though it may cost: its input counts."""

    def release(self) -> None:
        """The attempt has cost nothing."""


class Permit(Protocol):
    """The limits as a request meets them."""

    grant: ModelGrant
    user: str
    defer: Defer

    def expected(self, max_output: int | None) -> Usage:
        """What an answer will use, by the longest output (tokens) of the model."""

    def output_limit(self, offer: Offer) -> int | None:
        """The most tokens that an answer may have, for the provider to hold; None: the request
        goes as it is, since its key has no budget."""

    async def charge(self, offer: Offer) -> Refusal | Reservation:
        """Charges an attempt and reserves what it may use. A Reservation: it may go."""

    def observe(
        self, provider: str, model: str, headers: Mapping[str, str], fault: Fault | None = None
    ) -> None:
        """Takes note of what a provider says of its own limits. headers: of its answer, their names
        in lower case; fault: what the answer means, if it is no success."""
