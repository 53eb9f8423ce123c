"""The book of the shared budgets, which the object of the keys keeps in its database."""

import msgspec

from proxy.core.ports import SQL
from proxy.limits.shared_budgets import BudgetSet, FoundBudget, SharedBudget, WrittenBudget

MOST_BUDGETS = 1_000
"""Each isolate holds them."""
_BUDGET = msgspec.json.Decoder(SharedBudget)


class BudgetBook:
    """All shared budgets of a deployment, and a version that grows with each change of them."""

    def __init__(self, sql: SQL) -> None:
        self._sql = sql
        sql("CREATE TABLE IF NOT EXISTS budgets (name TEXT PRIMARY KEY, body TEXT) STRICT")
        sql(
            "CREATE TABLE IF NOT EXISTS budget_changes"
            " (id INTEGER PRIMARY KEY, version INTEGER) STRICT"
        )
        sql("INSERT OR IGNORE INTO budget_changes (id, version) VALUES (1, 0)")

    def read(self, known: int) -> BudgetSet:
        """All by their names, or None where nothing has changed since the version that is known."""
        version = self._sql("SELECT version FROM budget_changes")[0][0]
        if version == known:
            return BudgetSet(version, None)
        rows = self._sql("SELECT body FROM budgets ORDER BY name")
        return BudgetSet(version, tuple(_BUDGET.decode(body) for (body,) in rows))

    def find(self, name: str) -> FoundBudget:
        """A budget by its name."""
        rows = self._sql("SELECT body FROM budgets WHERE name = ?", name)
        return FoundBudget(_BUDGET.decode(rows[0][0]) if rows else None)

    def put(self, budget: SharedBudget) -> WrittenBudget:
        """Keeps a budget, in the place of the one of its name, if there is room."""
        is_known = self.find(budget.name).budget is not None
        if not is_known and self._sql("SELECT count(*) FROM budgets")[0][0] >= MOST_BUDGETS:
            return WrittenBudget("too many")
        self._sql(
            "INSERT INTO budgets (name, body) VALUES (?, ?)"
            " ON CONFLICT (name) DO UPDATE SET body = excluded.body",
            budget.name,
            msgspec.json.encode(budget).decode(),
        )
        self._count_change()
        return WrittenBudget("replaced" if is_known else "created")

    def delete(self, name: str) -> bool:
        """Forgets a budget; whether there was one."""
        rows = self._sql("DELETE FROM budgets WHERE name = ? RETURNING 1", name)
        if rows:
            self._count_change()
        return bool(rows)

    def _count_change(self) -> None:
        self._sql("UPDATE budget_changes SET version = version + 1")
