"""Remembers what was worked out for a request, in bounds: callers choose the names."""

from collections.abc import Callable
from typing import Generic, TypeVar

import msgspec
from msgspec import structs

from proxy.core.chat import Routing
from proxy.core.principal import ModelGrant
from proxy.routing.needs import Needs

T = TypeVar("T")

MEMO_BYTES = 512 * 1024
"""What the results may take, about, with what they were worked out from."""
ENTRY_BYTES = 2048
"""What a result takes beside its names."""


class Memo(Generic[T]):
    """The results of `work`, which depend on nothing else that changes."""

    def __init__(self, work: Callable[[Routing, Needs, ModelGrant], T]) -> None:
        self._work = work
        self._results: dict[tuple[Routing, Needs, ModelGrant], T] = {}
        self._size = 0

    def get(self, routing: Routing, needs: Needs, grant: ModelGrant) -> T:
        """The result, worked out the first time. Raises what `work` raises."""
        timeless = routing
        if routing.timeout_ms is not None:
            timeless = structs.replace(routing, timeout_ms=None)
        key = timeless, needs, grant
        result = self._results.get(key)
        if result is None:
            result = self._work(routing, needs, grant)
            # A character takes up to four bytes, and a name stands in the candidates too.
            size = ENTRY_BYTES + 8 * len(msgspec.msgpack.encode((routing, needs.vendors, grant)))
            self._size += size
            if self._size > MEMO_BYTES:
                self._results.clear()
                self._size = size
            self._results[key] = result
        return result
