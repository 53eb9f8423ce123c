"""The Durable Object of what all isolates know of the providers."""

from typing import Any

import msgspec

from proxy.objects.edge_object import EdgeObject
from proxy.objects.rpc import serves
from proxy.objects.stateful import revive
from proxy.platform.clock import now_ms
from proxy.platform.sql import BlobRow, RawSQL
from proxy.routing.board import EXCHANGE, READ_OPENINGS, Board, BoardNews, BoardView, BreakerOpening
from proxy.routing.health import READ_CHECKS, RECORD_CHECKS, Check

SAVE_MS = 5_000
"""How often the figures are written; what is younger is lost with the object."""

_CHECKS = msgspec.json.Decoder(tuple[Check, ...])


class ProviderState(EdgeObject):
    """The board of routing.board, and the last health checks. One object for the deployment."""

    def __init__(self, ctx: Any, env: Any) -> None:
        super().__init__(ctx, env)
        storage = ctx._ctx.storage
        self._sql = RawSQL(storage)
        self._sql(
            "CREATE TABLE IF NOT EXISTS checks (id INTEGER PRIMARY KEY CHECK (id = 1), body TEXT)"
        )
        self._row = BlobRow(storage, "board")
        self._board = revive(self._row, Board, "board unreadable")
        self._saved = 0

    @serves(RECORD_CHECKS)
    def record_checks(self, checks: tuple[Check, ...]) -> None:
        """Replaces the last health checks."""
        body = msgspec.json.encode(checks).decode()
        self._sql("INSERT OR REPLACE INTO checks (id, body) VALUES (1, ?)", body)

    @serves(READ_CHECKS)
    def read_checks(self, _: None) -> tuple[Check, ...]:
        """The last health checks; none before the first."""
        rows = self._sql("SELECT body FROM checks")
        return _CHECKS.decode(rows[0][0]) if rows else ()

    @serves(EXCHANGE)
    def exchange(self, news: BoardNews) -> BoardView:
        """Takes what an isolate has seen; answers what all have."""
        now = now_ms()
        answer = self._board.exchange(news, now)
        if abs(now - self._saved) >= SAVE_MS:
            self._saved = now
            self._row.write(self._board.state())
        return answer

    @serves(READ_OPENINGS)
    def read_openings(self, _: None) -> tuple[BreakerOpening, ...]:
        """The breakers that opened of late."""
        return self._board.openings()
