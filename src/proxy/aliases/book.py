"""The book of the aliases, which their object keeps in its database."""

from msgspec import Raw

from proxy.aliases.messages import (
    AliasPage,
    AliasRange,
    AliasSet,
    Deleted,
    FoundAlias,
    KeptAlias,
    NewAlias,
    OldAlias,
    Written,
)
from proxy.core.ports import SQL

MOST_ALIASES = 1_000
MOST_BYTES = 2 * 1024 * 1024
"""Bytes of all aliases together: each isolate holds them."""


class AliasBook:
    """All aliases of a deployment, and a version that grows with each change of them."""

    def __init__(self, sql: SQL) -> None:
        self._sql = sql
        sql(
            "CREATE TABLE IF NOT EXISTS aliases"
            " (position INTEGER PRIMARY KEY, name TEXT UNIQUE, body TEXT, at INTEGER) STRICT"
        )
        sql("CREATE TABLE IF NOT EXISTS changes (id INTEGER PRIMARY KEY, version INTEGER) STRICT")
        sql("INSERT OR IGNORE INTO changes (id, version) VALUES (1, 0)")

    def read(self, known: int) -> AliasSet:
        """All, or None where nothing has changed since the version that is known."""
        version = self._sql("SELECT version FROM changes")[0][0]
        if version == known:
            return AliasSet(version, None)
        rows = self._sql("SELECT body FROM aliases")
        return AliasSet(version, tuple(_raw(body) for (body,) in rows))

    def read_page(self, wanted: AliasRange) -> AliasPage:
        """The aliases that follow a position."""
        rows = self._sql(
            "SELECT position, body, at FROM aliases WHERE position > ? ORDER BY position LIMIT ?",
            wanted.after,
            wanted.limit + 1,
        )
        kept = [KeptAlias(_raw(body), at) for _, body, at in rows[: wanted.limit]]
        return AliasPage(kept, rows[wanted.limit - 1][0] if len(rows) > wanted.limit else None)

    def find(self, name: str) -> FoundAlias:
        """An alias by its name."""
        rows = self._sql("SELECT body, at FROM aliases WHERE name = ?", name)
        return FoundAlias(KeptAlias(_raw(rows[0][0]), rows[0][1]) if rows else None)

    def put(self, new: NewAlias, now: int) -> Written:
        """Keeps an alias, if there is room; one of its name only where it may be replaced."""
        known = self.find(new.name).alias
        if known and not new.may_replace:
            return Written("exists")
        if not _matches(known, new.if_match):
            return Written("changed")
        body = bytes(new.body).decode()
        [(others, size)] = self._sql(
            "SELECT count(*), coalesce(sum(length(CAST(body AS BLOB))), 0)"
            " FROM aliases WHERE name != ?",
            new.name,
        )
        if others >= MOST_ALIASES:
            return Written("too many")
        if size + len(memoryview(new.body)) > MOST_BYTES:
            return Written("too much")
        self._sql(
            "INSERT INTO aliases (name, body, at) VALUES (?, ?, ?)"
            " ON CONFLICT (name) DO UPDATE SET body = excluded.body, at = excluded.at",
            new.name,
            body,
            now,
        )
        self._count_change()
        return Written("replaced" if known else "created", now)

    def delete(self, old: OldAlias) -> Deleted:
        """Forgets an alias."""
        known = self.find(old.name).alias
        if not _matches(known, old.if_match):
            return Deleted("changed")
        if known is None:
            return Deleted("unknown")
        self._sql("DELETE FROM aliases WHERE name = ?", old.name)
        self._count_change()
        return Deleted("deleted")

    def _count_change(self) -> None:
        self._sql("UPDATE changes SET version = version + 1")


def _matches(known: KeptAlias | None, if_match: tuple[str, ...] | None) -> bool:
    """Whether what is kept has one of the entity tags of `If-Match`."""
    return if_match is None or bool(known and {"*", known.etag} & {*if_match})


def _raw(body: str) -> Raw:
    return Raw(body.encode())
