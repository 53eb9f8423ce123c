"""The Durable Object of the issued keys, and the stub by which the Worker calls it."""

from typing import Any

import msgspec
from workers import DurableObject

from proxy.access.keys import Bound, Key, KeyBook
from proxy.edge.clock import SystemClock

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

    def all(self) -> list[str]:
        """See access.keys.Rows."""
        rows = self._sql.exec("SELECT body FROM keys ORDER BY rowid").toArray()
        return [row.body for row in rows]

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
        self._sql.exec("DELETE FROM secrets WHERE until > 0 AND until <= ?", _now())


class AccessKeys(DurableObject):
    """All issued keys. One object for the deployment. See access.keys."""

    def __init__(self, ctx: Any, env: Any) -> None:
        super().__init__(ctx, env)
        self._book = KeyBook(SqlRows(ctx._ctx.storage.sql))

    async def lookup(self, digest: str, address: str) -> str:
        """core.ports.KeyStore.lookup."""
        return _json(self._book.lookup(digest, address, _now()))

    async def issue(self, key_json: str, digest: str) -> None:
        """core.ports.KeyStore.issue."""
        self._book.issue(_KEY.decode(key_json), digest)

    async def list_keys(self) -> str:
        """core.ports.KeyStore.list_keys."""
        return _json(self._book.list())

    async def revoke(self, key_id: str) -> str:
        """core.ports.KeyStore.revoke."""
        return _json(self._book.revoke(key_id, _now()))

    async def rotate(self, key_id: str, digest: str, overlap_ms: int) -> str:
        """core.ports.KeyStore.rotate."""
        return _json(self._book.rotate(key_id, digest, overlap_ms, _now()))


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

    async def list_keys(self) -> str:
        """See core.ports.KeyStore."""
        text: str = await self._namespace.getByName("keys").list_keys()
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
