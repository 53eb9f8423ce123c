"""The Durable Object of the issued keys, and of the budgets that they share."""

from typing import Any

from proxy.access.key_book import KeyBook
from proxy.access.keys import (
    CHANGE,
    GET_KEY,
    ISSUE,
    LIST_KEYS,
    LIST_PREFIXES,
    LOOKUP,
    REVOKE,
    ROTATE,
    FoundKey,
    KeyChange,
    KeyLookup,
    KeyPage,
    KeyRange,
    KeyRotation,
    NewKey,
    PrefixPage,
)
from proxy.core.settings import AccessSettings, read_section
from proxy.limits.budget_book import BudgetBook
from proxy.limits.shared_budgets import (
    DELETE_BUDGET,
    FIND_BUDGET,
    PUT_BUDGET,
    READ_BUDGETS,
    BudgetSet,
    FoundBudget,
    SharedBudget,
    WrittenBudget,
)
from proxy.objects.edge_object import EdgeObject
from proxy.objects.rpc import serves
from proxy.platform.clock import now_ms
from proxy.platform.sql import RawSQL

LONGEST_SLEEP_MS = 366 * 86_400_000
"""How far ahead an alarm is set at most: the platform's clock ends long before the year 9999."""


class AccessKeys(EdgeObject):
    """All issued keys. One object for the deployment. See access.key_book, limits.budget_book.

    Its alarm deletes what ended KEYS_REVOKED_RETENTION seconds ago, when that is due.
    """

    def __init__(self, ctx: Any, env: Any) -> None:
        super().__init__(ctx, env)
        self._storage = ctx._ctx.storage
        sql = RawSQL(self._storage)
        self._book, self._budgets = KeyBook(sql), BudgetBook(sql)
        settings = read_section(AccessSettings, lambda name: getattr(env, name, ""))
        self._retention = settings.revoked_retention * 1000
        self._set_alarm()  # for what ended before there was an alarm, or under another setting

    @serves(LOOKUP)
    def lookup(self, lookup: KeyLookup) -> FoundKey:
        """The key that a secret opens."""
        return self._book.lookup(lookup.digest, lookup.address, now_ms())

    @serves(ISSUE)
    def issue(self, issue: NewKey) -> None:
        """Keeps a new key."""
        self._book.issue(issue.key, issue.digest)
        self._set_alarm()

    @serves(LIST_KEYS)
    def list_keys(self, wanted: KeyRange) -> KeyPage:
        """Keys, in the order in which they were issued."""
        return self._book.read_page(wanted)

    @serves(GET_KEY)
    def get_key(self, key_id: str) -> FoundKey:
        """One key, if there is one of that id."""
        return FoundKey(key=self._book.find_key(key_id))

    @serves(LIST_PREFIXES)
    def list_prefixes(self, after: int) -> PrefixPage:
        """How the digests of secrets begin."""
        return self._book.list_prefixes(after)

    @serves(CHANGE)
    def change_key(self, change: KeyChange) -> FoundKey:
        """Changes a key, if it is still as it was."""
        key = self._book.change(change)
        self._set_alarm()
        return FoundKey(key=key)

    @serves(REVOKE)
    def revoke(self, key_id: str) -> FoundKey:
        """Ends a key, if there is one of that id."""
        key = self._book.revoke(key_id, now_ms())
        self._set_alarm()
        return FoundKey(key=key)

    @serves(ROTATE)
    def rotate(self, rotation: KeyRotation) -> FoundKey:
        """Gives a key another secret, if one of that id is in use."""
        key = self._book.rotate(rotation, now_ms())
        self._set_alarm()
        return FoundKey(key=key)

    @serves(READ_BUDGETS)
    def read_budgets(self, known: int) -> BudgetSet:
        """The shared budgets that an isolate does not know yet."""
        return self._budgets.read(known)

    @serves(FIND_BUDGET)
    def find_budget(self, name: str) -> FoundBudget:
        """One shared budget, if there is one of that name."""
        return self._budgets.find(name)

    @serves(PUT_BUDGET)
    def put_budget(self, budget: SharedBudget) -> WrittenBudget:
        """Keeps a shared budget."""
        return self._budgets.put(budget)

    @serves(DELETE_BUDGET)
    def delete_budget(self, name: str) -> bool:
        """Forgets a shared budget."""
        return self._budgets.delete(name)

    async def on_alarm(self, info: Any = None) -> None:
        """Deletes what is due, and waits for the next."""
        self._book.prune(self._retention, now_ms())
        self._set_alarm()

    def _set_alarm(self) -> None:
        due = self._book.find_prune_at(self._retention)
        if due is not None:
            self._storage.setAlarm(min(max(due, now_ms()), now_ms() + LONGEST_SLEEP_MS))
