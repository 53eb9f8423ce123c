"""Choices among models: those of an operator's alias, each with what may be used of it, and why one
was taken."""

from msgspec import Struct


class Allotment(Struct, frozen=True, kw_only=True):
    """What all callers of an alias together may use of one of its targets."""

    name: str
    """That of its bucket and of its account."""
    label: str
    """What it is called to callers."""
    per_hour: int | None = None
    burst: int = 1
    day: int | None = None
    """Nano-dollars."""
    month: int | None = None
    """The same."""

    @property
    def has_budget(self) -> bool:
        """Whether it limits what is spent."""
        return self.day is not None or self.month is not None


class Choice(Struct, frozen=True, kw_only=True):
    """One of the models that an alias stands for."""

    id: str
    """Its own within the alias."""
    model: str
    """A name of the catalogue."""
    weight: float | None = None
    """Its share of the requests; None: the strategy takes no heed of shares."""
    allotment: Allotment | None = None


class Aliased(Struct, frozen=True, kw_only=True):
    """The models that a request may be answered by which names an alias; at least one."""

    choices: tuple[Choice, ...]
    grouped: bool = False
    """Whether they mean the same to the caller, so that the strategy orders them."""
    licensed: bool = False
    """Whether the caller's key may use them by the alias's name, whatever their own."""


class Weighed(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A candidate as it was weighed against others."""

    provider: str
    model: str
    score: float | None = None
    """In the strategy's unit (routing.strategy.Scored); None: it has none."""
    note: str = ""
    """See routing.strategy.Scored."""


class Reason(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Why the candidate was tried first that was, as far as its request does not say so itself."""

    strategy: str = "priority"
    """The one that held, be it the request's, its alias's or the deployment's."""
    choice: str = ""
    """The target of an alias that answered."""
    is_home: bool = False
    """Whether the conversation had been there."""
    weighed: tuple[Weighed, ...] = ()
    """The first of those among which the strategy chose, the best first."""
