"""The shared budgets as one isolate knows them: all of them, read anew in time.

Only a request of a team, or with a tag, has them read. Promise: an isolate goes by what it read for
at most HOLD_SECONDS and a reading's time, and at once by what was changed in it. Where the object
can't be reached, what was read last goes on being used, and it is logged.
"""

from collections.abc import Iterable, Mapping
from typing import TypeVar

from proxy.core.circuit import Circuit
from proxy.core.errors import Unavailable
from proxy.core.ports import Clock, Log, Objects
from proxy.core.rpc import Method
from proxy.limits.shared_budgets import READ_BUDGETS, STORE, SharedBudget

A = TypeVar("A")
R = TypeVar("R")

HOLD_SECONDS = 30.0
STORE_SECONDS = 2.0
"""What the object may take."""
UNREAD = -1
"""The version of an isolate that has never read."""


class BudgetView:
    """What one isolate knows of the shared budgets."""

    def __init__(self, objects: Objects, clock: Clock, log: Log) -> None:
        self._objects = objects
        self._clock = clock
        self._log = log
        self._circuit = Circuit(clock)
        self._budgets: Mapping[str, SharedBudget] = {}
        self._version = UNREAD
        self._read_at: float | None = None
        """When the last reading was begun that came back; None: what is known is no longer held."""
        self._begun_at: float | None = None
        self._readings = 0
        """Those that were begun: the clock may step back."""
        self._applied = 0
        """Which of them has given `_budgets`."""

    async def find(self, names: Iterable[str]) -> list[SharedBudget] | None:
        """The budgets that there are of these names; None: they have never been read."""
        if not self._is_within(self._read_at, HOLD_SECONDS) and not (
            # Another request reads: what was read last is good enough until that comes back.
            self._version != UNREAD and self._is_within(self._begun_at, STORE_SECONDS)
        ):
            await self.read()
        if self._version == UNREAD:
            return None
        return [self._budgets[name] for name in names if name in self._budgets]

    async def read(self) -> None:
        """Reads what has changed; what can't be read stays as it is."""
        began = self._begun_at = self._clock.now()
        self._readings += 1
        number = self._readings
        try:
            work = self._objects.call(READ_BUDGETS, STORE, self._version)
            found = await self._circuit.call("budgets", work, STORE_SECONDS)
        except Exception as error:
            self._log("error", "budgets unreachable", error=repr(error)[:500])
            return
        if number < self._applied:  # a later one was faster
            return
        self._applied = number
        if found.budgets is not None:
            self._budgets = {budget.name: budget for budget in found.budgets}
        self._version, self._read_at = found.version, began

    async def change(self, method: Method[A, R], argument: A) -> R:
        """Has the object change something, whatever comes of which is read at once. Raises
        InternalError (503) where it does not answer."""
        try:
            return await self.call(method, argument)
        finally:
            self._read_at = None
            await self.read()

    async def call(self, method: Method[A, R], argument: A) -> R:
        """The object's answer. Raises InternalError (503) where it gives none."""
        work = self._objects.call(method, STORE, argument)
        try:
            return await self._circuit.call("budgets", work, STORE_SECONDS)
        except Exception as error:
            self._log("error", "budgets unreachable", error=repr(error)[:500])
            raise Unavailable(
                "The budgets can't be reached now. Try again.",
                code="key_store_unreachable",
                retry_after=1,
            ) from None

    def _is_within(self, since: float | None, seconds: float) -> bool:
        """Whether a moment is no longer ago; a clock that stepped back ends its worth."""
        return since is not None and 0 <= self._clock.now() - since < seconds
