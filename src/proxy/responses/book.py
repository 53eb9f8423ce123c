"""The book of responses, which the object of a key keeps in its database.

Promises: what is over is shown to nobody; of RESPONSES and BYTES the oldest make room for the
newest; after its key's end nothing is kept. A response that follows others holds its own items
only, so that a conversation of n turns takes n rows of items and not their square.
"""

import msgspec
from msgspec import Raw, Struct

from proxy.core.ports import SQL
from proxy.core.splice import FIELDS
from proxy.responses.messages import (
    Context,
    ContextQuery,
    Exchange,
    FoundResponse,
    InputPage,
    InputQuery,
)

RESPONSES = 10_000
"""Responses of a key."""
BYTES = 512 * 1024 * 1024
"""Bytes of their items: an object may hold 1 GB on the free plan."""
TURNS = 1000
"""Responses that one may follow."""
PIECE = 512 * 1024
"""Characters of a row: the platform takes 2 MB, and a character may be four bytes."""

LATE = 24 * 60 * 60 * 1000
"""Milliseconds after a key's end within which an answer of its last requests may come."""

_INPUT, _BODY = 0, 1
_TABLES = (
    "CREATE TABLE IF NOT EXISTS responses"
    " (n INTEGER PRIMARY KEY, id TEXT UNIQUE, previous TEXT, until INTEGER, size INTEGER) STRICT",
    "CREATE TABLE IF NOT EXISTS texts (response TEXT, kind INTEGER, place INTEGER, piece INTEGER,"
    " text TEXT, PRIMARY KEY (response, kind, place, piece)) STRICT",
    "CREATE TABLE IF NOT EXISTS items (id TEXT, response TEXT, kind INTEGER, place INTEGER,"
    " PRIMARY KEY (id, response)) STRICT",
    "CREATE TABLE IF NOT EXISTS ended (until INTEGER) STRICT",
    "CREATE INDEX IF NOT EXISTS items_response ON items (response)",
    "CREATE INDEX IF NOT EXISTS responses_until ON responses (until)",
)
_CHAIN = (
    "WITH RECURSIVE chain (id, previous, turn) AS ("
    " SELECT id, previous, 1 FROM responses WHERE id = ?1 AND until > ?2"
    " UNION ALL SELECT r.id, r.previous, turn + 1 FROM responses r JOIN chain c"
    f" ON r.id = c.previous WHERE r.until > ?2 AND turn <= {TURNS}"
    ") SELECT chain.id, chain.previous, responses.size FROM chain JOIN responses USING (id)"
    " ORDER BY turn"
)


class _Item(Struct):
    id: str | None = None


class _Body(Struct):
    output: tuple[Raw, ...] = ()


_ITEM, _OUTPUT = msgspec.json.Decoder(_Item), msgspec.json.Decoder(_Body)


class ResponseBook:
    """The responses of one key. Moments are whole milliseconds since 1970."""

    def __init__(self, sql: SQL, ttl: int) -> None:
        """ttl: milliseconds for which a response is kept."""
        self._sql = sql
        self._ttl = ttl
        for table in _TABLES:
            sql(table)

    def keep(self, exchange: Exchange, now: int) -> None:
        """Keeps a response, in the place of another of its id; none of a key that has ended."""
        if self._sql("SELECT 1 FROM ended"):
            return
        self.delete(exchange.id)
        self._sql(
            "INSERT INTO responses (id, previous, until, size) VALUES (?, ?, ?, ?)",
            exchange.id,
            exchange.previous or "",
            now + self._ttl,
            exchange.size,
        )
        for place, item in enumerate(exchange.input):
            self._write(exchange.id, _INPUT, place, str(memoryview(item), "utf-8"))
        self._write(exchange.id, _BODY, 0, str(memoryview(exchange.body), "utf-8"))
        outputs = _OUTPUT.decode(exchange.body).output
        for kind, items in ((_INPUT, exchange.input), (_BODY, outputs)):
            for place, item in enumerate(items):
                if id_ := _ITEM.decode(item).id:
                    self._sql(
                        "INSERT OR REPLACE INTO items VALUES (?, ?, ?, ?)",
                        *(id_, exchange.id, kind, place),
                    )
        self._make_room()

    def read_context(self, query: ContextQuery, now: int) -> Context:
        """What a request refers to."""
        turns = self._sql(_CHAIN, query.previous, now) if query.previous else []
        if query.previous and (not turns or turns[-1][1]):
            return Context(has_previous=False)
        room = query.limit - sum(size for _, _, size in turns)
        if room < 0:
            return Context(is_too_large=True)
        earlier = list[Raw]()
        for id_, _, _ in reversed(turns):
            earlier += self._read_input(id_)
            earlier += self._read_output(id_)
        items = dict[str, Raw]()
        for id_ in query.items:
            if id_ not in items and (item := self._find_item(id_, now)):
                items[id_] = item
                room -= len(memoryview(item))
            if room < 0:
                return Context(is_too_large=True)
        return Context(earlier=tuple(earlier), items=items)

    def find(self, id_: str, now: int) -> FoundResponse:
        """A response."""
        if not self._is_kept(id_, now):
            return FoundResponse()
        return FoundResponse(self._read_body(id_))

    def list_input(self, query: InputQuery, now: int) -> InputPage:
        """The input items of a response."""
        if not self._is_kept(query.id, now):
            return InputPage(is_kept=False)
        given = self._read_input(query.id)
        items = [_name(item, f"in_{place}") for place, item in enumerate(given)]
        if query.newest_first:
            items.reverse()
        ids = [_ITEM.decode(item).id for item in items]
        start = ids.index(query.after) + 1 if query.after in ids else 0
        end = start + query.limit
        page = tuple(items[start:end])
        return InputPage(is_kept=True, items=page, has_more=end < len(items))

    def delete(self, id_: str) -> bool:
        """Forgets a response; whether it was kept."""
        found = self._sql("DELETE FROM responses WHERE id = ? RETURNING n", id_)
        self._sql("DELETE FROM texts WHERE response = ?", id_)
        self._sql("DELETE FROM items WHERE response = ?", id_)
        return bool(found)

    def forget(self, now: int) -> None:
        """Forgets all responses, as their key has ended, and keeps none from now on."""
        for table in ("responses", "texts", "items", "ended"):
            self._sql(f"DELETE FROM {table}")
        self._sql("INSERT INTO ended VALUES (?)", now + LATE)

    def prune(self, now: int) -> None:
        """Forgets what is over."""
        self._sql("DELETE FROM ended WHERE until <= ?", now)
        for (id_,) in self._sql("SELECT id FROM responses WHERE until <= ? LIMIT 1000", now):
            self.delete(id_)

    def find_prune_at(self) -> int | None:
        """When something is over next; None: nothing is kept."""
        [(until,)] = self._sql(
            "SELECT min(until) FROM (SELECT until FROM responses UNION ALL SELECT until FROM ended)"
        )
        return None if until is None else int(until)

    def _make_room(self) -> None:
        """Forgets the oldest, as far as there are too many. The newest stays."""
        [(count, size)] = self._sql("SELECT count(*), total(size) FROM responses")
        while count > 1 and (count > RESPONSES or size > BYTES):
            [(id_, its)] = self._sql("SELECT id, size FROM responses ORDER BY n LIMIT 1")
            self.delete(id_)
            count, size = count - 1, size - its

    def _is_kept(self, id_: str, now: int) -> bool:
        return bool(self._sql("SELECT 1 FROM responses WHERE id = ? AND until > ?", id_, now))

    def _write(self, id_: str, kind: int, place: int, text: str) -> None:
        for piece, start in enumerate(range(0, len(text), PIECE)):
            self._sql(
                "INSERT INTO texts VALUES (?, ?, ?, ?, ?)",
                *(id_, kind, place, piece, text[start : start + PIECE]),
            )

    def _read_texts(self, id_: str, kind: int) -> list[Raw]:
        rows = self._sql(
            "SELECT place, text FROM texts WHERE response = ? AND kind = ? ORDER BY place, piece",
            *(id_, kind),
        )
        texts = dict[int, list[str]]()
        for place, text in rows:
            texts.setdefault(place, []).append(text)
        return [Raw("".join(pieces).encode()) for pieces in texts.values()]

    def _read_input(self, id_: str) -> list[Raw]:
        return self._read_texts(id_, _INPUT)

    def _read_body(self, id_: str) -> Raw:
        [body] = self._read_texts(id_, _BODY)
        return body

    def _read_output(self, id_: str) -> tuple[Raw, ...]:
        return _OUTPUT.decode(self._read_body(id_)).output

    def _find_item(self, id_: str, now: int) -> Raw | None:
        rows = self._sql(
            "SELECT response, kind, place FROM items JOIN responses ON responses.id = response"
            " WHERE items.id = ? AND until > ? ORDER BY n DESC LIMIT 1",
            *(id_, now),
        )
        if not rows:
            return None
        response, kind, place = rows[0]
        if kind == _BODY:
            return self._read_output(response)[int(place)]
        pieces = self._sql(
            "SELECT text FROM texts WHERE response = ? AND kind = ? AND place = ? ORDER BY piece",
            *(response, kind, place),
        )
        return Raw("".join(text for (text,) in pieces).encode())


def _name(item: Raw, id_: str) -> Raw:
    """An item with an id: its own, or this one where its caller gave none."""
    if _ITEM.decode(item).id:
        return item
    return Raw(msgspec.json.encode({"id": id_, **FIELDS.decode(item)}))
