"""The Durable Object of the issued keys, and the stub by which the Worker calls it."""

from typing import Any

import msgspec
from workers import DurableObject

from proxy.access.keys import Bound, Key, KeyBook
from proxy.core.settings import AccessSettings, read_section
from proxy.platform.clock import SystemClock

LONGEST_SLEEP_MS = 366 * 86_400_000
"""How far ahead an alarm is set at most: the platform's clock ends long before the year 9999."""
REVOKED, EXPIRES = (f"json_extract(body, '$.{name}')" for name in ("revoked_at", "expires_at"))

_KEY = msgspec.json.Decoder(Key)


def _now() -> int:
    return round(SystemClock().now() * 1000)


class SqlRows:
    """access.keys.Rows on the object's SQLite."""

    def __init__(self, sql: Any) -> None:
        self._sql = sql
        sql.exec(
            "CREATE TABLE IF NOT EXISTS keys (id TEXT PRIMARY KEY, body TEXT) STRICT;"
            "CREATE TABLE IF NOT EXISTS secrets"
            " (digest TEXT PRIMARY KEY, key_id TEXT, until INTEGER) STRICT"
        )

    def put(self, key_id: str, body: str) -> None:
        """See access.keys.Rows."""
        self._sql.exec(
            "INSERT INTO keys (id, body) VALUES (?, ?)"
            " ON CONFLICT (id) DO UPDATE SET body = excluded.body",
            key_id,
            body,
        )

    def get(self, key_id: str) -> str | None:
        """See access.keys.Rows."""
        rows = self._sql.exec("SELECT body FROM keys WHERE id = ?", key_id).toArray()
        return rows[0].body if rows.length else None

    def page(self, after: int, limit: int) -> list[tuple[int, str]]:
        """See access.keys.Rows."""
        rows = self._sql.exec(
            "SELECT rowid AS at, body FROM keys WHERE rowid > ? ORDER BY rowid LIMIT ?",
            after,
            limit,
        ).toArray()
        return [(int(row.at), row.body) for row in rows]

    def bind(self, bound: Bound) -> None:
        """See access.keys.Rows."""
        self._sql.exec(
            "INSERT INTO secrets (digest, key_id, until) VALUES (?, ?, ?)",
            bound.digest,
            bound.key_id,
            bound.until,
        )

    def bound(self, digest: str) -> Bound | None:
        """See access.keys.Rows."""
        rows = self._sql.exec(
            "SELECT key_id, until FROM secrets WHERE digest = ?", digest
        ).toArray()
        return Bound(digest, rows[0].key_id, int(rows[0].until)) if rows.length else None

    def end(self, key_id: str, until: int) -> None:
        """See access.keys.Rows."""
        self._sql.exec(
            "UPDATE secrets SET until = ?2 WHERE key_id = ?1 AND (until = 0 OR until > ?2)",
            key_id,
            until,
        )

    def prefixes(self, length: int) -> str:
        """See access.keys.Rows."""
        rows = self._sql.exec(
            "SELECT coalesce(group_concat(',' || substr(digest, 1, ?), ''), '') AS listed"
            " FROM secrets",
            length,
        ).toArray()
        listed: str = rows[0].listed
        return listed

    def first_end(self) -> int | None:
        """See access.keys.Rows."""
        rows = self._sql.exec(
            "SELECT coalesce(min(at), -1) AS at FROM ("
            f"SELECT {REVOKED} AS at FROM keys UNION ALL SELECT {EXPIRES} FROM keys"
            " UNION ALL SELECT until FROM secrets WHERE until > 0)"
        ).toArray()
        return int(rows[0].at) if rows[0].at >= 0 else None

    def prune(self, until: int) -> None:
        """See access.keys.Rows."""
        self._sql.exec(f"DELETE FROM keys WHERE {REVOKED} <= ?1 OR {EXPIRES} <= ?1", until)
        self._sql.exec(
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
        self._book = KeyBook(SqlRows(self._storage.sql))
        settings = read_section(AccessSettings, lambda name: getattr(env, name, ""))
        self._retention = settings.revoked_retention * 1000
        self._set_alarm()  # for what ended before there was an alarm, or under another setting

    async def lookup(self, digest: str, address: str) -> str:
        """core.ports.KeyStore.lookup."""
        return _json(self._book.lookup(digest, address, _now()))

    async def issue(self, key_json: str, digest: str) -> None:
        """core.ports.KeyStore.issue."""
        self._book.issue(_KEY.decode(key_json), digest)
        self._set_alarm()

    async def list_keys(self, after: int, limit: int) -> str:
        """core.ports.KeyStore.list_keys."""
        return _json(self._book.page(after, limit))

    async def get_key(self, key_id: str) -> str:
        """core.ports.KeyStore.get_key."""
        return _json(self._book.get(key_id))

    async def list_prefixes(self) -> str:
        """core.ports.KeyStore.list_prefixes."""
        return self._book.prefixes()

    async def revoke(self, key_id: str) -> str:
        """core.ports.KeyStore.revoke."""
        key = self._book.revoke(key_id, _now())
        self._set_alarm()
        return _json(key)

    async def rotate(self, key_id: str, digest: str, overlap_ms: int) -> str:
        """core.ports.KeyStore.rotate."""
        key = self._book.rotate(key_id, digest, overlap_ms, _now())
        self._set_alarm()
        return _json(key)

    async def on_alarm(self, info: Any = None) -> None:
        """Deletes what is due, and waits for the next."""
        self._book.prune(self._retention, _now())
        self._set_alarm()

    def _set_alarm(self) -> None:
        due = self._book.next_prune(self._retention)
        if due is not None:
            self._storage.setAlarm(min(max(due, _now()), _now() + LONGEST_SLEEP_MS))


class KeyStoreStub:
    """core.ports.KeyStore over the Durable Object."""

    def __init__(self, namespace: Any) -> None:
        self._namespace = namespace

    async def lookup(self, digest: str, address: str) -> str:
        """See core.ports.KeyStore."""
        text: str = await self._namespace.getByName("keys").lookup(digest, address)
        return text

    async def issue(self, key_json: str, digest: str) -> None:
        """See core.ports.KeyStore."""
        await self._namespace.getByName("keys").issue(key_json, digest)

    async def list_keys(self, after: int, limit: int) -> str:
        """See core.ports.KeyStore."""
        text: str = await self._namespace.getByName("keys").list_keys(after, limit)
        return text

    async def get_key(self, key_id: str) -> str:
        """See core.ports.KeyStore."""
        text: str = await self._namespace.getByName("keys").get_key(key_id)
        return text

    async def list_prefixes(self) -> str:
        """See core.ports.KeyStore."""
        text: str = await self._namespace.getByName("keys").list_prefixes()
        return text

    async def revoke(self, key_id: str) -> str:
        """See core.ports.KeyStore."""
        text: str = await self._namespace.getByName("keys").revoke(key_id)
        return text

    async def rotate(self, key_id: str, digest: str, overlap_ms: int) -> str:
        """See core.ports.KeyStore."""
        text: str = await self._namespace.getByName("keys").rotate(key_id, digest, overlap_ms)
        return text


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()
