"""R2 as a tier of the cache. R2 expires nothing by itself: `prune` removes what is over."""

import time
from collections.abc import Sequence
from typing import Any

from pyodide.ffi import jsnull, to_js

from proxy.platform.convert import to_js_object

_EXPIRES = "expires"
PAGES = 10
"""Pages of up to 1,000 objects that one pruning looks at: 20 operations of an invocation's 50
on the free plan."""


class R2Store:
    """core.ports.PrunableStore on a bucket."""

    def __init__(self, bucket: Any) -> None:
        self._bucket = bucket

    async def get(self, key: str) -> bytes | None:
        """See core.ports.BlobStore."""
        found = await self._bucket.get(key)
        if found is jsnull or found is None:
            return None
        data: bytes = (await found.arrayBuffer()).to_bytes()
        return data

    async def put(self, key: str, data: bytes, lifetime: int) -> None:
        """See core.ports.BlobStore."""
        expires = str(int(time.time()) + lifetime)
        await self._bucket.put(
            key, to_js(data), to_js_object({"customMetadata": {_EXPIRES: expires}})
        )

    async def delete(self, key: str) -> None:
        """See core.ports.BlobStore."""
        await self._bucket.delete(key)

    async def list_keys(self, prefix: str, after: str) -> Sequence[str]:
        """See core.ports.PrunableStore."""
        options = {"prefix": prefix} | ({"startAfter": after} if after else {})
        listed = await self._bucket.list(to_js_object(options))
        return [str(found.key) for found in listed.objects]

    async def delete_all(self, keys: Sequence[str]) -> None:
        """See core.ports.PrunableStore."""
        await self._bucket.delete(to_js(list(keys)))

    async def prune(self, prefix: str) -> int:
        """See core.ports.PrunableStore."""
        removed = 0
        cursor: str | None = None
        for _ in range(PAGES):
            options: dict[str, Any] = {"prefix": prefix, "include": ["customMetadata"]}
            if cursor:
                options["cursor"] = cursor
            listed = await self._bucket.list(to_js_object(options))
            now = time.time()
            over = [
                found.key
                for found in listed.objects
                if float(getattr(found.customMetadata, _EXPIRES, "inf")) <= now
            ]
            if over:
                await self._bucket.delete(to_js(over))
                removed += len(over)
            if not listed.truncated:
                break
            cursor = str(listed.cursor)
        return removed
