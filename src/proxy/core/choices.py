"""What an operator's alias stands for: a choice of models, each with what may be used of it."""

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
