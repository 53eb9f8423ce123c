"""The shared budgets as one isolate knows them.

Only a request of a team, or with a tag, has them read. Promise: an isolate goes by what it read for
at most HOLD_SECONDS and a reading's time.
"""

from collections.abc import Iterable, Mapping

from proxy.core.ports import Clock, Log, Objects
from proxy.core.replica import STORE_SECONDS, UNREAD, Origin, Replica
from proxy.core.time import is_recent
from proxy.limits.shared_budgets import READ_BUDGETS, STORE, BudgetSet, SharedBudget

HOLD_SECONDS = 30.0
_ORIGIN = Origin(what="budgets", store=STORE, read=READ_BUDGETS, code="key_store_unreachable")


class BudgetView(Replica[BudgetSet]):
    """What one isolate knows of the shared budgets."""

    def __init__(self, objects: Objects, clock: Clock, log: Log) -> None:
        super().__init__(_ORIGIN, objects, clock, log)
        self._budgets: Mapping[str, SharedBudget] = {}

    async def find(self, names: Iterable[str]) -> list[SharedBudget] | None:
        """The budgets that there are of these names; None: they have never been read."""
        now = self._clock.now()
        if not is_recent(self._read_at, HOLD_SECONDS, now) and not (
            # Another request reads: what was read last is good enough until that comes back.
            self.version != UNREAD and is_recent(self._begun_at, STORE_SECONDS, now)
        ):
            await self.read()
        if self.version == UNREAD:
            return None
        return [self._budgets[name] for name in names if name in self._budgets]

    def take(self, found: BudgetSet) -> None:
        """Keeps the budgets, where they have changed."""
        if found.budgets is not None:
            self._budgets = {budget.name: budget for budget in found.budgets}
