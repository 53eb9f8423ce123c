"""A Durable Object's SQLite, over the raw binding: the SDK's wrapper takes 25 times as long."""

from collections.abc import Sequence
from typing import Any

import js
import msgspec
from pyodide.ffi import to_js

_ROWS = msgspec.json.Decoder(list[list[Any]])


class RawSQL:
    """core.ports.SQL on an object's storage. Rows cross as one JSON text: an array of arrays
    costs more, and its nulls stay JavaScript's."""

    def __init__(self, storage: Any) -> None:
        self._exec = storage.sql.exec

    def __call__(self, query: str, /, *bindings: str | float) -> Sequence[Sequence[Any]]:
        """See core.ports.SQL."""
        rows = self._exec(query, *bindings).raw().toArray()
        return _ROWS.decode(js.JSON.stringify(rows)) if rows.length else []


class BlobRow:
    """The only row of a table, which holds bytes. The first `write` makes the table: an object that
    was only looked at keeps nothing, and an empty table is paid for too."""

    def __init__(self, storage: Any, table: str) -> None:
        self._exec = storage.sql.exec
        self._table = table
        found = self._exec("SELECT 1 FROM sqlite_master WHERE name = ?", table).toArray()
        self._is_there = found.length > 0

    def read(self) -> bytes | None:
        """The bytes; None: there are none."""
        if not self._is_there:
            return None
        rows = self._exec(f"SELECT body FROM {self._table}").toArray()
        return rows[0].body.to_bytes() if rows.length else None

    def write(self, body: bytes) -> None:
        """Replaces them."""
        if not self._is_there:
            self._exec(
                f"CREATE TABLE {self._table} (id INTEGER PRIMARY KEY CHECK (id = 1), body BLOB)"
            )
            self._is_there = True
        self._exec(f"INSERT OR REPLACE INTO {self._table} (id, body) VALUES (1, ?)", to_js(body))
