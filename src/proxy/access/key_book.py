"""The book of issued keys, which their object keeps in its database.

A secret is made where it is issued and never stored: the book knows its SHA-256 only.
"""

import msgspec
from msgspec import structs

from proxy.access.keys import (
    LISTED,
    PREFIX,
    FoundKey,
    Key,
    KeyChange,
    KeyPage,
    KeyRange,
    KeyRotation,
    PrefixPage,
)
from proxy.access.wrong_keys import WrongKeys
from proxy.core.ports import SQL

_KEY = msgspec.json.Decoder(Key)
_REVOKED, _EXPIRES = (f"json_extract(body, '$.{name}')" for name in ("revoked_at", "expires_at"))
_INDICES = (
    f"keys_revoked ON keys ({_REVOKED}) WHERE {_REVOKED} IS NOT NULL",
    f"keys_expires ON keys ({_EXPIRES}) WHERE {_EXPIRES} IS NOT NULL",
    "secrets_until ON secrets (until) WHERE until > 0",
    "secrets_key_id ON secrets (key_id)",
)
"""So that no call passes by all keys."""
_ENDED = (
    f"({_REVOKED} IS NOT NULL AND {_REVOKED} <= ?1)"
    f" OR ({_EXPIRES} IS NOT NULL AND {_EXPIRES} <= ?1)"
)
_NEXT_END = (
    "SELECT min(at) FROM ("
    + " UNION ALL ".join(
        f"SELECT * FROM (SELECT {end} AS at FROM {table} WHERE {known} ORDER BY 1 LIMIT 1)"
        for end, table, known in (
            (_REVOKED, "keys", f"{_REVOKED} IS NOT NULL"),
            (_EXPIRES, "keys", f"{_EXPIRES} IS NOT NULL"),
            ("until", "secrets", "until > 0"),
        )
    )
    + ")"
)


class KeyBook:
    """All issued keys of a deployment. A secret with an `until` of 0 opens its key without end."""

    def __init__(self, sql: SQL) -> None:
        self._sql = sql
        self._wrong_keys = WrongKeys()
        sql("CREATE TABLE IF NOT EXISTS keys (id TEXT PRIMARY KEY, body TEXT) STRICT")
        sql(
            "CREATE TABLE IF NOT EXISTS secrets"
            " (digest TEXT PRIMARY KEY, key_id TEXT, until INTEGER) STRICT"
        )
        for index in _INDICES:
            sql(f"CREATE INDEX IF NOT EXISTS {index}")

    def lookup(self, digest: str, address: str, now: int) -> FoundKey:
        """The key of a secret. A secret that never was counts against the address; that of a key
        that was revoked or rotated is no guess."""
        rows = self._sql("SELECT key_id, until FROM secrets WHERE digest = ?", digest)
        if not rows:
            self._wrong_keys.record(address, now)
            return FoundKey(blocked_ms=self._wrong_keys.blocked_ms(address, now))
        key_id, until = rows[0]
        if 0 < until <= now:
            return FoundKey()
        key = self.find_key(key_id)
        ends = [end for end in (until, key.expires_at if key else None) if end]
        return FoundKey(key=key, until=min(ends, default=None))

    def issue(self, key: Key, digest: str) -> None:
        """Keeps a new key."""
        self._put(key)
        self._add_secret(digest, key.id)

    def read_page(self, wanted: KeyRange) -> KeyPage:
        """The keys that follow a position, revoked ones too."""
        rows = self._sql(
            "SELECT rowid, body FROM keys WHERE rowid > ? ORDER BY rowid LIMIT ?",
            wanted.after,
            wanted.limit + 1,
        )
        keys = [_KEY.decode(body) for _, body in rows[: wanted.limit]]
        return KeyPage(keys, rows[wanted.limit - 1][0] if len(rows) > wanted.limit else None)

    def find_key(self, key_id: str) -> Key | None:
        """A key by its id."""
        rows = self._sql("SELECT body FROM keys WHERE id = ?", key_id)
        return _KEY.decode(rows[0][0]) if rows else None

    def list_prefixes(self, after: int) -> PrefixPage:
        """The first PREFIX characters of the digests that follow a position, 0 for the first ones:
        what begins with none of them all opens nothing."""
        rows = self._sql(
            "SELECT rowid, substr(digest, 1, ?) FROM secrets"
            " WHERE rowid > ? ORDER BY rowid LIMIT ?",
            PREFIX,
            after,
            LISTED + 1,
        )
        listed = rows[:LISTED]
        last = listed[-1][0] if listed else after
        return PrefixPage([prefix for _, prefix in listed], last, len(rows) > LISTED)

    def find_prune_at(self, retention: int) -> int | None:
        """When there is something to prune; None: never. retention: milliseconds for which what
        has ended is kept."""
        [[end]] = self._sql(_NEXT_END)
        return None if end is None else int(end) + retention

    def prune(self, retention: int, now: int) -> None:
        """Deletes what ended `retention` milliseconds ago."""
        until = now - retention
        # An isolate that has read the list up to a position must find what comes after it. So a
        # row that opens nothing keeps the last position from being given again.
        self._sql("INSERT OR REPLACE INTO secrets (digest, key_id, until) VALUES ('', '', 0)")
        self._sql(
            "DELETE FROM secrets WHERE (until > 0 AND until <= ?1)"
            f" OR key_id IN (SELECT id FROM keys WHERE {_ENDED})",
            until,
        )
        self._sql(f"DELETE FROM keys WHERE {_ENDED}", until)

    def change(self, change: KeyChange) -> Key | None:
        """Changes a key; None: it is not as it was, or there is none."""
        if self.find_key(change.before.id) != change.before:
            return None
        self._put(change.after)
        return change.after

    def revoke(self, key_id: str, now: int) -> Key | None:
        """Ends a key; None: there is none."""
        key = self.find_key(key_id)
        if key and key.revoked_at is None:
            key = structs.replace(key, revoked_at=now)
            self._put(key)
        return key

    def rotate(self, rotation: KeyRotation, now: int) -> Key | None:
        """Gives a key another secret; None: there is none that is still taken."""
        key = self.find_key(rotation.key_id)
        if key is None or key.explain_end(now):
            return None
        self._sql(
            "UPDATE secrets SET until = ?2 WHERE key_id = ?1 AND (until = 0 OR until > ?2)",
            key.id,
            now + rotation.overlap_ms,
        )
        self._add_secret(rotation.digest, key.id)
        return key

    def _put(self, key: Key) -> None:
        self._sql(
            "INSERT INTO keys (id, body) VALUES (?, ?)"
            " ON CONFLICT (id) DO UPDATE SET body = excluded.body",
            key.id,
            msgspec.json.encode(key).decode(),
        )

    def _add_secret(self, digest: str, key_id: str) -> None:
        self._sql("INSERT INTO secrets (digest, key_id, until) VALUES (?, ?, 0)", digest, key_id)
