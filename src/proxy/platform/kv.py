"""KV as a tier of the cache."""

from collections.abc import Awaitable, Callable
from typing import Any

from pyodide.ffi import jsnull, to_js

from proxy.platform.convert import begin, bind, to_js_object


class KVStore:
    """core.ports.ExpiringStore on a KV namespace."""

    def __init__(self, namespace: Any) -> None:
        self._get, self._delete = namespace.get, namespace.delete  # looked up once: it is dear
        self._put = bind(namespace.put, namespace)
        self._lifetime = 0
        self._options: Any = None
        """Of a write for `_lifetime`, which most writes have."""

    async def get(self, key: str) -> bytes | None:
        """See core.ports.BlobStore."""
        value = await self._get(key, "arrayBuffer")
        return None if value is jsnull or value is None else value.to_bytes()

    def put(
        self, key: str, data: bytes, lifetime: int, failed: Callable[[Exception], object]
    ) -> Awaitable[object]:
        """See core.ports.ExpiringStore. Python is not entered again unless the write fails."""
        if lifetime != self._lifetime:
            self._options = to_js_object({"expirationTtl": lifetime})
            self._lifetime = lifetime
        writing = begin(self._put, key, to_js(data), self._options)
        left: Awaitable[object] = writing.catch(failed)
        return left

    async def delete(self, key: str) -> None:
        """See core.ports.BlobStore."""
        await self._delete(key)
