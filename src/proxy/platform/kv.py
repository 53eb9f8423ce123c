"""KV as a tier of the cache."""

from typing import Any

from pyodide.ffi import jsnull, to_js

from proxy.platform.convert import to_js_object


class KVStore:
    """core.ports.BlobStore on a KV namespace."""

    def __init__(self, namespace: Any) -> None:
        self._get, self._put = namespace.get, namespace.put  # looked up once: it is dear
        self._delete = namespace.delete
        self._lifetime = 0
        self._options: Any = None
        """Of a write for `_lifetime`, which most writes have."""

    async def get(self, key: str) -> bytes | None:
        """See core.ports.BlobStore."""
        value = await self._get(key, "arrayBuffer")
        return None if value is jsnull or value is None else value.to_bytes()

    async def put(self, key: str, data: bytes, lifetime: int) -> None:
        """See core.ports.BlobStore."""
        if lifetime != self._lifetime:
            self._options = to_js_object({"expirationTtl": lifetime})
            self._lifetime = lifetime
        await self._put(key, to_js(data), self._options)

    async def delete(self, key: str) -> None:
        """See core.ports.BlobStore."""
        await self._delete(key)
