"""The requests of a batch as they come, and their results as they are sent."""

from typing import Annotated

import msgspec
from msgspec import Meta, Raw, Struct, structs

from proxy.cache.key import KeyParts, cache_key
from proxy.core.chat import Call, ChatRequest
from proxy.core.errors import InvalidRequest, drop_frames, invalid
from proxy.dialects import native, reading
from proxy.serving.guarding import Guard


class Batch(Struct, frozen=True, forbid_unknown_fields=True):
    """The body of POST /v1/batch."""

    requests: Annotated[tuple[Raw, ...], Meta(min_length=1, max_length=100)]
    stream: bool = False


class Item(Struct, frozen=True):
    """A request that is made once, and the places in the batch where it stands."""

    call: Call | InvalidRequest
    """The error, where the request is wrong."""
    raw: Raw
    places: tuple[int, ...]


class ItemResult(Struct, frozen=True):
    """A result as the caller gets it: where in the batch its request stood, and the native
    answer."""

    index: int
    status: int
    response: Raw


_BATCH = msgspec.json.Decoder(Batch)


def read_batch(body: bytes) -> Batch:
    """Reads a body. Raises InvalidRequest."""
    reading.check(body)
    return reading.decode(_BATCH, body)


async def read_items(requests: tuple[Raw, ...], guard: Guard | None = None) -> list[Item]:
    """Reads the requests: first those that are wrong, then identical ones once, unless they want
    an answer of their own. guard: as in `read_request`."""
    wrong: list[Item] = []
    places: dict[bytes, list[int]] = {}
    read: dict[bytes, tuple[Call, Raw]] = {}
    for index, raw in enumerate(requests):
        call = await read_request(raw, guard)
        if isinstance(call, InvalidRequest):
            wrong.append(Item(call, raw, (index,)))
            continue
        alone = b"" if call.cache.mode == "default" else b"%d" % index
        meaning = _digest_meaning(call) + alone
        places.setdefault(meaning, []).append(index)
        read[meaning] = call, raw
    return wrong + [Item(*read[meaning], tuple(where)) for meaning, where in places.items()]


async def read_request(raw: Raw, guard: Guard | None = None) -> Call | InvalidRequest:
    """Reads one request; the error, where it is wrong. guard: refuses what no provider may see."""
    try:
        if guard:
            await guard.check(raw)
        call = native.parse_chat(raw)
        if call.chat.stream:
            raise invalid("stream", "A request of a batch can't stream; the batch can")
    except InvalidRequest as error:
        return drop_frames(error)
    return call


def _digest_meaning(call: Call) -> bytes:
    """Digests what a request means: the same for the same; short, as a copy would be memory. In
    JSON, since msgpack has no whole numbers beyond 64 bits."""
    key = cache_key(KeyParts(chat=call.chat))
    beside = structs.replace(call, chat=ChatRequest(messages=()))
    return msgspec.json.encode((key, beside))


def summarize(statuses: list[int]) -> dict[str, int]:
    """Counts the results of a batch by their statuses."""
    succeeded = statuses.count(200)
    return {
        "total": len(statuses),
        "succeeded": succeeded,
        "failed": len(statuses) - succeeded,
    }
