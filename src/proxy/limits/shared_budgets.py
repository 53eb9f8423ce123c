"""The budgets that several keys share, of a team or of a tag, and the messages to the object that
keeps them: that of the keys. Money is whole nano-dollars."""

from collections.abc import Iterable
from typing import Literal

from msgspec import Struct

from proxy.core.rpc import Method, as_text


class SharedBudget(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What all requests of a team, or with a tag, may cost together by day and month of UTC."""

    name: str
    """`team:NAME` or `tag:NAME`: also that of its account. No key's id and no alias's account
    begins so."""
    day: int | None = None
    month: int | None = None


class BudgetSet(Struct, frozen=True):
    """All shared budgets, or None where they are as the isolate knows them."""

    version: int
    """Grows with each change."""
    budgets: tuple[SharedBudget, ...] | None


class FoundBudget(Struct, frozen=True):
    """The budget of a name, if there is one."""

    budget: SharedBudget | None


class WrittenBudget(Struct, frozen=True):
    """What became of a new budget."""

    outcome: Literal["created", "replaced", "too many"]
    """The last: it was not kept."""


STORE = "keys"
"""The name of the object: that of access.keys."""
READ_BUDGETS = Method("ACCESS_KEYS", "read_budgets", as_text(int), as_text(BudgetSet))
"""Takes the version that the isolate knows, -1 for none."""
FIND_BUDGET = Method("ACCESS_KEYS", "find_budget", as_text(str), as_text(FoundBudget))
PUT_BUDGET = Method("ACCESS_KEYS", "put_budget", as_text(SharedBudget), as_text(WrittenBudget))
DELETE_BUDGET = Method("ACCESS_KEYS", "delete_budget", as_text(str), as_text(bool))


def name_groups(team: str | None, tags: Iterable[str]) -> tuple[str, ...]:
    """The names of the budgets that a request may have a part in."""
    names = [f"team:{team}"] if team else []
    return (*names, *(f"tag:{tag}" for tag in dict.fromkeys(tags)))
