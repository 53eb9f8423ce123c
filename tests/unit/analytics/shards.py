"""SQLite as the platform offers it."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


class PlatformSQL:
    """core.ports.SQL over sqlite3, with the platform's bindings and limits."""

    def __init__(self) -> None:
        self.connection = sqlite3.connect(":memory:", isolation_level=None)
        self.connection.setlimit(sqlite3.SQLITE_LIMIT_SQL_LENGTH, 100_000)
        self.connection.setlimit(sqlite3.SQLITE_LIMIT_VARIABLE_NUMBER, 100)
        self.connection.setlimit(sqlite3.SQLITE_LIMIT_FUNCTION_ARG, 32)
        self.connection.setlimit(sqlite3.SQLITE_LIMIT_COLUMN, 100)
        self.connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, 2_000_000)
        self.statements = 0

    def __call__(self, query: str, /, *bindings: str | float) -> list[tuple[Any, ...]]:
        self.statements += 1
        bound = [value if isinstance(value, str) else float(value) for value in bindings]
        rows = self.connection.execute(query, bound).fetchall()
        return [tuple(self._crossed(value) for value in row) for row in rows]

    @contextmanager
    def counting(self) -> Iterator[list[None]]:
        """A list that grows by an item with each step of SQLite's machine."""
        steps: list[None] = []
        self.connection.set_progress_handler(lambda: steps.append(None), 1)
        yield steps
        self.connection.set_progress_handler(None, 1)

    @staticmethod
    def _crossed(value: Any) -> Any:
        """Numbers come as doubles, whole ones as ints again."""
        if isinstance(value, float) and value.is_integer():
            return int(value)
        return int(float(value)) if isinstance(value, int) else value
