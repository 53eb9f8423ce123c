"""A short stream, `Hello` with 3 tokens in and 2 out, in the dialects of the providers."""

import json
from dataclasses import dataclass
from typing import Any

from tests.e2e.test_streams import COUNTED, DONE, HELLO, ROLE, STOP


@dataclass(frozen=True)
class Pieces:
    """The events of a stream, as they stand on the wire."""

    begun: tuple[str, ...]
    """Before the first content."""
    hello: str
    stop: tuple[str, ...]
    """The reason to stop, and what was used."""
    done: tuple[str, ...]
    """The mark of the end, where there is one beside that."""


def _event(kind: str, **fields: Any) -> str:
    return f"event: {kind}\ndata: {json.dumps({'type': kind, **fields})}\n\n"


_MESSAGE = {"id": "msg_1", "type": "message", "role": "assistant", "model": "claude", "content": []}
_START = {"stop_reason": None, "usage": {"input_tokens": 3, "output_tokens": 1}}
_RESPONSE = {"id": "resp_1", "object": "response", "model": "m-1", "created_at": 7, "output": []}
_PART = {"type": "output_text", "text": "", "annotations": []}
_ITEM = {"id": "msg_1", "type": "message", "role": "assistant", "content": []}
_AT = {"item_id": "msg_1", "output_index": 0}
_WHOLE = _ITEM | {"status": "completed", "content": [_PART | {"text": "Hello"}]}
_USED = {"input_tokens": 3, "output_tokens": 2, "total_tokens": 5}

PIECES = {
    "chat": Pieces((ROLE,), HELLO, (STOP, COUNTED), (DONE,)),
    "messages": Pieces(
        (
            _event("message_start", message=_MESSAGE | _START),
            _event("content_block_start", index=0, content_block={"type": "text", "text": ""}),
        ),
        _event("content_block_delta", index=0, delta={"type": "text_delta", "text": "Hello"}),
        (
            _event("content_block_stop", index=0),
            _event("message_delta", delta={"stop_reason": "end_turn"}, usage={"output_tokens": 2}),
        ),
        (_event("message_stop"),),
    ),
    "responses": Pieces(
        (
            _event(
                "response.created",
                response=_RESPONSE | {"status": "in_progress"},
                sequence_number=0,
            ),
            _event("response.output_item.added", item=_ITEM, output_index=0, sequence_number=1),
            _event(
                "response.content_part.added",
                part=_PART,
                content_index=0,
                sequence_number=2,
                **_AT,
            ),
        ),
        _event(
            "response.output_text.delta", delta="Hello", content_index=0, sequence_number=3, **_AT
        ),
        (
            _event("response.output_item.done", item=_WHOLE, output_index=0, sequence_number=4),
            _event(
                "response.completed",
                response=_RESPONSE | {"status": "completed", "output": [_WHOLE], "usage": _USED},
                sequence_number=5,
            ),
        ),
        (),
    ),
}
