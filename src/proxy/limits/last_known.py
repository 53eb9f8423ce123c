"""The budgets as an isolate last heard of them, for the time in which an account does not answer.

Promise: in that time an isolate lets no more be spent of an account in a day of UTC than it last
heard to be left there. What it lets be spent stays spent for that day, whatever the account hears
of it: a caller may have brought it to silence, and may do so again.
"""

from collections import OrderedDict

from msgspec import Struct

KNOWN = 1000
"""Accounts that are known; of more, the one that answered longest ago is forgotten."""


class _Known(Struct):
    left: int = 0
    """Nano-dollars."""
    day: int = 0
    """Days since 1970."""
    spent: int = 0
    """Nano-dollars that were let be spent on that day while the account did not answer."""


class LastKnownBudgets:
    """What one isolate knows."""

    def __init__(self) -> None:
        self._accounts: OrderedDict[str, _Known] = OrderedDict()

    def learn(self, account: str, left: int) -> None:
        """Keeps what an account has said to be left, in nano-dollars."""
        known = self._accounts.setdefault(account, _Known())
        known.left = left
        self._accounts.move_to_end(account)
        if len(self._accounts) > KNOWN:
            self._accounts.popitem(last=False)

    def spend(self, account: str, nano_usd: int, day: int) -> bool:
        """Whether so much may be spent of an account that does not answer; it is spent then. day:
        since 1970."""
        known = self._accounts.get(account, _Known())
        if known.day != day:
            known.day, known.spent = day, 0
        if nano_usd > known.left - known.spent:
            return not nano_usd
        known.spent += nano_usd
        return True
