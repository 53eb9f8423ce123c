"""The Durable Object of the issued keys."""

from typing import Any

from workers import DurableObject

from proxy.access.keys import (
    GET_KEY,
    ISSUE,
    LIST_KEYS,
    LIST_PREFIXES,
    LOOKUP,
    REVOKE,
    ROTATE,
    Bound,
    Found,
    Issue,
    KeyBook,
    KeyRange,
    Lookup,
    Page,
    Rotation,
)
from proxy.core.ports import SQL
from proxy.core.settings import AccessSettings, read_section
from proxy.objects.rpc import serves
from proxy.platform.clock import now_ms
from proxy.platform.sql import RawSQL

LONGEST_SLEEP_MS = 366 * 86_400_000
"""How far ahead an alarm is set at most: the platform's clock ends long before the year 9999."""
REVOKED, EXPIRES = (f"json_extract(body, '$.{name}')" for name in ("revoked_at", "expires_at"))


class SqlRows:
    """access.keys.Rows on the object's SQLite."""

    def __init__(self, sql: SQL) -> None:
        self._sql = sql
        sql("CREATE TABLE IF NOT EXISTS keys (id TEXT PRIMARY KEY, body TEXT) STRICT")
        sql(
            "CREATE TABLE IF NOT EXISTS secrets"
            " (digest TEXT PRIMARY KEY, key_id TEXT, until INTEGER) STRICT"
        )

    def put(self, key_id: str, body: str) -> None:
        """See access.keys.Rows."""
        self._sql(
            "INSERT INTO keys (id, body) VALUES (?, ?)"
            " ON CONFLICT (id) DO UPDATE SET body = excluded.body",
            key_id,
            body,
        )

    def get(self, key_id: str) -> str | None:
        """See access.keys.Rows."""
        rows = self._sql("SELECT body FROM keys WHERE id = ?", key_id)
        return rows[0][0] if rows else None

    def page(self, after: int, limit: int) -> list[tuple[int, str]]:
        """See access.keys.Rows."""
        rows = self._sql(
            "SELECT rowid, body FROM keys WHERE rowid > ? ORDER BY rowid LIMIT ?", after, limit
        )
        return [(position, body) for position, body in rows]

    def bind(self, bound: Bound) -> None:
        """See access.keys.Rows."""
        self._sql(
            "INSERT INTO secrets (digest, key_id, until) VALUES (?, ?, ?)",
            bound.digest,
            bound.key_id,
            bound.until,
        )

    def bound(self, digest: str) -> Bound | None:
        """See access.keys.Rows."""
        rows = self._sql("SELECT digest, key_id, until FROM secrets WHERE digest = ?", digest)
        return Bound(*rows[0]) if rows else None

    def end(self, key_id: str, until: int) -> None:
        """See access.keys.Rows."""
        self._sql(
            "UPDATE secrets SET until = ?2 WHERE key_id = ?1 AND (until = 0 OR until > ?2)",
            key_id,
            until,
        )

    def prefixes(self, length: int) -> str:
        """See access.keys.Rows."""
        listed: str = self._sql(
            "SELECT coalesce(group_concat(',' || substr(digest, 1, ?), ''), '') FROM secrets",
            length,
        )[0][0]
        return listed

    def first_end(self) -> int | None:
        """See access.keys.Rows."""
        end: int | None = self._sql(
            f"SELECT min(at) FROM (SELECT {REVOKED} AS at FROM keys UNION ALL"
            f" SELECT {EXPIRES} FROM keys UNION ALL SELECT until FROM secrets WHERE until > 0)"
        )[0][0]
        return end

    def prune(self, until: int) -> None:
        """See access.keys.Rows."""
        self._sql(f"DELETE FROM keys WHERE {REVOKED} <= ?1 OR {EXPIRES} <= ?1", until)
        self._sql(
            "DELETE FROM secrets WHERE (until > 0 AND until <= ?)"
            " OR key_id NOT IN (SELECT id FROM keys)",
            until,
        )


class AccessKeys(DurableObject):
    """All issued keys. One object for the deployment. See access.keys.

    Its alarm deletes what ended KEYS_REVOKED_RETENTION seconds ago, when that is due.
    """

    def __init__(self, ctx: Any, env: Any) -> None:
        super().__init__(ctx, env)
        self._storage = ctx._ctx.storage
        self._book = KeyBook(SqlRows(RawSQL(self._storage)))
        settings = read_section(AccessSettings, lambda name: getattr(env, name, ""))
        self._retention = settings.revoked_retention * 1000
        self._set_alarm()  # for what ended before there was an alarm, or under another setting

    @serves(LOOKUP)
    def lookup(self, lookup: Lookup) -> Found:
        """The key that a secret opens."""
        return self._book.lookup(lookup.digest, lookup.address, now_ms())

    @serves(ISSUE)
    def issue(self, issue: Issue) -> None:
        """Keeps a new key."""
        self._book.issue(issue.key, issue.digest)
        self._set_alarm()

    @serves(LIST_KEYS)
    def list_keys(self, listed: KeyRange) -> Page:
        """Keys, in the order in which they were issued."""
        return self._book.page(listed.after, listed.limit)

    @serves(GET_KEY)
    def get_key(self, key_id: str) -> Found:
        """One key, if there is one of that id."""
        return Found(key=self._book.get(key_id))

    @serves(LIST_PREFIXES)
    def list_prefixes(self, _: None) -> str:
        """How the digest of each secret begins."""
        return self._book.prefixes()

    @serves(REVOKE)
    def revoke(self, key_id: str) -> Found:
        """Ends a key, if there is one of that id."""
        key = self._book.revoke(key_id, now_ms())
        self._set_alarm()
        return Found(key=key)

    @serves(ROTATE)
    def rotate(self, rotation: Rotation) -> Found:
        """Gives a key another secret, if one of that id is in use."""
        key = self._book.rotate(rotation, now_ms())
        self._set_alarm()
        return Found(key=key)

    async def on_alarm(self, info: Any = None) -> None:
        """Deletes what is due, and waits for the next."""
        self._book.prune(self._retention, now_ms())
        self._set_alarm()

    def _set_alarm(self) -> None:
        due = self._book.next_prune(self._retention)
        if due is not None:
            self._storage.setAlarm(min(max(due, now_ms()), now_ms() + LONGEST_SLEEP_MS))
