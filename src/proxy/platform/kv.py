"""KV as a tier of the cache."""

from typing import Any

from pyodide.ffi import jsnull, to_js

from proxy.platform.convert import to_js_object


class KVStore:
    """core.ports.BlobStore on a KV namespace."""

    def __init__(self, namespace: Any) -> None:
        self._namespace = namespace

    async def get(self, key: str) -> bytes | None:
        """See core.ports.BlobStore."""
        value = await self._namespace.get(key, "arrayBuffer")
        return None if value is jsnull or value is None else value.to_bytes()

    async def put(self, key: str, data: bytes, lifetime: int) -> None:
        """See core.ports.BlobStore."""
        options = to_js_object({"expirationTtl": lifetime})
        await self._namespace.put(key, to_js(data), options)

    async def delete(self, key: str) -> None:
        """See core.ports.BlobStore."""
        await self._namespace.delete(key)
