"""The events of a Messages stream, each as it is sent, and a whole message as its events."""

from typing import Any

import msgspec
from msgspec import Raw

from proxy.core.json_guard import Decoder
from proxy.core.sse import frame
from proxy.dialects.anthropic_answer import Fields

STOP = frame(b'{"type":"message_stop"}', "message_stop")
PING = frame(b'{"type": "ping"}', "ping")

_encode = msgspec.json.encode
_FIELDS, _WORD = Decoder(dict[str, Raw]), Decoder(str)
_BLOCKS, _ITEMS = Decoder(list[dict[str, Raw]]), Decoder(list[Raw])
_NOTHING, _NONE, _NO_TEXT, _NO_ITEMS = Raw(b"{}"), Raw(b"null"), Raw(b'""'), Raw(b"[]")
_AFTER = ("stop_reason", "stop_sequence", "stop_details", "container", "context_management")
"""Fields of a message that are known at its end."""
_PIECES = {
    "text": (("text", "text_delta"),),
    "thinking": (("thinking", "thinking_delta"), ("signature", "signature_delta")),
}
"""By the block's type the fields that come in deltas, and the deltas' types."""
_CALLS = ("tool_use", "server_tool_use", "mcp_tool_use")


def event(kind: str, **fields: Any) -> bytes:
    """An event of a type."""
    return frame(_encode({"type": kind, **fields}), kind)


def start_message(message: Fields, usage: Fields | Raw) -> bytes:
    """The beginning of a message."""
    ending = {"stop_reason": None, "stop_sequence": None, "stop_details": None}
    return event("message_start", message={**message, "content": [], **ending, "usage": usage})


def start_block(index: int, block: Fields) -> bytes:
    """The beginning of a block."""
    return event("content_block_start", index=index, content_block=block)


def add_delta(index: int, kind: str, field: str, text: bytes) -> bytes:
    """A piece of a block. text: as JSON."""
    return b"".join(
        (
            b'event: content_block_delta\ndata: {"type":"content_block_delta","index":%d,' % index,
            b'"delta":{"type":"%b","%b":' % (kind.encode(), field.encode()),
            text,
            b"}}\n\n",
        )
    )


def cite(index: int, citation: Any) -> bytes:
    """A citation of a block of text."""
    delta = {"type": "citations_delta", "citation": citation}
    return event("content_block_delta", index=index, delta=delta)


def stop_block(index: int) -> bytes:
    """The end of a block."""
    return event("content_block_stop", index=index)


def stop_message(ending: Fields, usage: Fields | Raw) -> bytes:
    """The end of a message."""
    return event("message_delta", delta=ending, usage=usage) + STOP


def replay(body: bytes) -> bytes:
    """The events that a whole message adds up from; each text comes in one piece, since they are
    all sent at once."""
    message = _FIELDS.decode(body)
    usage = message.get("usage", _NOTHING)
    ending = {name: message[name] for name in _AFTER if name in message}
    begun = {name: value for name, value in message.items() if name not in _AFTER}
    events = [start_message(begun, usage)]
    for index, block in enumerate(_BLOCKS.decode(message.get("content", _NO_ITEMS))):
        events += (*_replay_block(index, block), stop_block(index))
    events.append(stop_message(ending, usage))
    return b"".join(events)


def _replay_block(index: int, block: dict[str, Raw]) -> list[bytes]:
    """The events of a block less its end: its beginning holds what does not come in deltas."""
    named = block.get("type", _NO_TEXT)
    kind = _WORD.decode(named) if bytes(named).startswith(b'"') else ""
    if kind in _CALLS:
        start = start_block(index, {**block, "input": {}})
        given = bytes(block.get("input", _NOTHING)).decode()
        return [start, add_delta(index, "input_json_delta", "partial_json", _encode(given))]
    pieces = _PIECES.get(kind, ())
    bare = {**block, **dict.fromkeys((field for field, _ in pieces), _NO_TEXT)}
    citations = bare.pop("citations", _NONE) if kind == "text" else _NONE
    events = [start_block(index, bare)]
    if bytes(citations).startswith(b"["):
        events += (cite(index, citation) for citation in _ITEMS.decode(citations))
    for field, delta_type in pieces:
        if block.get(field, _NO_TEXT) != _NO_TEXT:
            events.append(add_delta(index, delta_type, field, bytes(block[field])))
    return events
