"""The parts of a batch that run in other invocations (core.ports.Batches)."""

import msgspec
from msgspec import Raw, Struct

from proxy.analytics.record.request_record import BATCH
from proxy.batch.items import Item
from proxy.core.ports import Defer
from proxy.core.principal import Principal
from proxy.core.web import Request
from proxy.serving.context import RequestContext

CHUNK_BYTES = 2 * 1024 * 1024
"""Bytes of a chunk that holds more than one request: it is in memory beside the batch."""
CREDENTIALS = frozenset({
    "authorization", "x-api-key", "api-key", "x-goog-api-key", "cookie", "cf-access-jwt-assertion",
})  # fmt: skip
"""The headers that no runner gets."""


class BatchChunkItem(Struct, frozen=True):
    """A request of a chunk, and its places in the batch."""

    raw: Raw
    places: tuple[int, ...]


class BatchChunk(Struct, frozen=True):
    """A part of a batch, as a runner gets it."""

    runner: str
    """The name of the runner's object."""
    id: str
    """The batch's."""
    headers: dict[str, str]
    principal: Principal
    parts: tuple[BatchChunkItem, ...]

    def as_request(self, defer: Defer) -> Request:
        """The batch, as far as its requests go by it."""
        headers = self.headers | {"x-request-id": self.id}
        return Request("POST", BATCH, {}, headers, _read_nothing, defer)


class BatchChunkBegun(Struct, frozen=True, tag="begun"):
    """What a runner sends, on a line, before it begins with a request: from then on the request is
    the runner's to record, whatever becomes of its answer."""

    places: tuple[int, ...]


class BatchChunkResult(Struct, frozen=True, tag="result"):
    """A result as a runner sends it, on a line."""

    places: tuple[int, ...]
    status: int
    response: Raw


CHUNK = msgspec.json.Decoder(BatchChunk)
LINE: msgspec.json.Decoder[BatchChunkBegun | BatchChunkResult] = msgspec.json.Decoder(
    BatchChunkBegun | BatchChunkResult
)


def encode_chunk(context: RequestContext, runner: str, items: list[BatchChunkItem]) -> bytes:
    """Encodes a chunk of the batch that `context` is. runner: the object's name."""
    assert context.principal  # no batch is public
    headers = context.request.headers
    kept = {name: headers[name] for name in headers.keys() - CREDENTIALS}
    return msgspec.json.encode(
        BatchChunk(
            runner=runner,
            id=context.id,
            headers=kept | context.upstream_headers,
            principal=context.principal,
            parts=tuple(items),
        )
    )


def split_items(items: list[Item], most: int) -> list[list[BatchChunkItem]]:
    """Splits the work into chunks of at most `most` requests, and of CHUNK_BYTES if it is more
    than one."""
    chunks: list[list[BatchChunkItem]] = []
    size = 0
    for item in items:
        own = len(memoryview(item.raw))
        if not chunks or len(chunks[-1]) == most or size + own > CHUNK_BYTES:
            chunks.append([])
            size = 0
        chunks[-1].append(BatchChunkItem(item.raw, item.places))
        size += own
    return chunks


async def _read_nothing(limit: int) -> bytes:
    return b""
