"""Reads streams of Anthropic's Messages: the events of one message, whose blocks come one after the
other. Every event goes on as it came; what they add up to is the whole message.
"""

from typing import Any, Final

import msgspec
from msgspec import Raw

from proxy.core.chat import Chunk, Native, Usage
from proxy.core.collect import LIMIT
from proxy.core.json_guard import Decoder, decode_string
from proxy.core.loose_json import as_object, as_text
from proxy.core.messages import JSONObject, ToolCallDelta
from proxy.core.sse import Event
from proxy.providers.anthropic_answer import (
    WIRE,
    list_sources,
    read_answer,
    read_refusal,
    read_usage,
    wrap_thinking,
)
from proxy.providers.anthropic_turns import THINKING
from proxy.providers.finish import check_finish, infer_finish, read_finish
from proxy.providers.garbage import decode, is_readable
from proxy.providers.native_fault import read_inner_fault
from proxy.providers.stream import EventReader
from proxy.providers.surrogates import mend
from proxy.providers.target import Target
from proxy.providers.tool_calls import make_call_id, read_arguments

_EVENT = Decoder(dict[str, Any], float_hook=float)
_TEXT = b'"text":"'
_TEXT_DELTA: Final = "text_delta"


class _Block:
    """A block so far: how it began, and the pieces of its fields."""

    def __init__(self, start: JSONObject) -> None:
        self.start = start
        self.kind = as_text(start.get("type")) or ""
        self.call: int | None = None
        """Its place among the calls of tools."""
        self.called_with = False
        """Whether pieces of a call's arguments have come."""
        self.pieces: dict[str, list[str]] = {}
        self.citations: list[Any] = []

    def add(self, delta: JSONObject) -> None:
        """Adds a delta. Each of its texts goes on with the block's field of that name."""
        for name, value in delta.items():
            if name == "citation":
                self.citations.append(value)
            elif name != "type" and isinstance(value, str):
                self.pieces.setdefault(name, []).append(value)

    def join(self) -> JSONObject:
        """The block as its events add up to it."""
        block = dict(self.start)
        for name, pieces in self.pieces.items():
            text = "".join(pieces)
            if name != "partial_json":
                block[name] = (as_text(block.get(name)) or "") + text
            elif is_readable(data := text.encode("utf-8", "replace")):
                block["input"] = Raw(data)
        if self.citations:
            begun = block.get("citations")
            block["citations"] = [*(begun if isinstance(begun, list) else ()), *self.citations]
        return block


class MessagesReader(EventReader):
    """Reads the events of a streamed message.

    It is finished when a reason to stop has come; the message that is kept for callers of the same
    dialect goes out with that. It is over with `message_stop`, which some leave out.
    """

    read_answer = staticmethod(read_answer)

    def __init__(self, target: Target) -> None:
        super().__init__(target)
        self._message: JSONObject = {}
        self._model: str | None = None
        self._id: str | None = None
        self._blocks: dict[int, _Block] = {}
        self._calls = 0
        self._room = LIMIT
        """Characters that may still be kept of the message."""
        self._usage: JSONObject = {}
        self._counted = False
        """Whether the usage is that of the whole message: at its start it is not."""
        self._lead = b""
        """What the last piece of text began with; the next ones differ in their text alone."""
        self._text: list[str] = []
        """The pieces of the block that it belongs to."""

    def read_event(self, event: Event) -> bool:
        """Reads an event. Raises Fault for an error."""
        data = event.data
        if self._lead and data.startswith(self._lead):
            text = decode_string(data[len(self._lead) - 1 : len(data.rstrip(b"} \n"))])
            if text is not None:
                if self._room >= 0:
                    self._text.append(text)
                    self._take_room(text)
                self._add(data, text=text)
                return True
        data = mend(data)
        fields = decode(self.target, _EVENT, data)
        kind = as_text(fields.get("type")) or event.name
        if kind == "error" or fields.get("error"):
            raise read_inner_fault(self.target, data)
        return self._read(kind, fields, data)

    def _read(self, kind: str, fields: JSONObject, data: bytes) -> bool:
        """Whether it is an event of a message."""
        if kind == "message_start":
            self._begin(as_object(fields.get("message")))
            self._add(data)
        elif kind == "content_block_start":
            self._add(data, **self._begin_block(fields))
        elif kind == "content_block_delta":
            self._add(data, **self._read_delta(fields, data))
        elif kind == "content_block_stop":
            self._add(data, **self._end_block(fields))
        elif kind == "message_delta":
            self._add(data, **self._read_message_delta(fields))
        elif kind == "message_stop":
            self.over = True
            self._add(data, **self._end_message())
        elif kind:  # a sign of life, or an event of a later day
            self._add(data)
            return kind == "ping"
        return bool(kind)

    def _begin(self, message: JSONObject) -> None:
        self._message = message
        self._model, self._id = as_text(message.get("model")), as_text(message.get("id"))
        self._usage = as_object(message.get("usage"))

    def _begin_block(self, fields: JSONObject) -> dict[str, Any]:
        block = _Block(as_object(fields.get("content_block")))
        self._blocks[_read_index(fields)] = block
        self._lead = b""
        if block.kind == "tool_use":
            block.call, self._calls = self._calls, self._calls + 1
            name = as_text(block.start.get("name")) or ""
            id_ = as_text(block.start.get("id")) or make_call_id(self._id, block.call, name)
            return {"tool_calls": (ToolCallDelta(index=block.call, id=id_, name=name),)}
        if block.kind == "text":
            return {"text": as_text(block.start.get("text")) or ""}
        if block.kind == "thinking":
            return {"reasoning": as_text(block.start.get("thinking")) or ""}
        return {}

    def _read_delta(self, fields: JSONObject, data: bytes) -> dict[str, Any]:
        block = self._blocks.setdefault(_read_index(fields), _Block({}))
        delta = as_object(fields.get("delta"))
        if self._room >= 0:
            block.add(delta)
            self._take_room(*filter(None, map(as_text, delta.values())))
        kind = delta.get("type")
        if kind == _TEXT_DELTA:
            text = as_text(delta.get("text")) or ""
            self._learn(block, data, text)
            return {"text": text}
        if kind == "thinking_delta":
            return {"reasoning": as_text(delta.get("thinking")) or ""}
        piece = as_text(delta.get("partial_json"))
        if block.call is not None and piece:
            block.called_with = True
            return {"tool_calls": (ToolCallDelta(index=block.call, arguments=piece),)}
        return {}

    def _learn(self, block: _Block, data: bytes, text: str) -> None:
        """Learns how the next pieces of a block's text look."""
        lead = data[: data.find(_TEXT) + len(_TEXT)]
        if decode_string(data[len(lead) - 1 : len(data.rstrip(b"} \n"))]) == text:
            self._lead, self._text = lead, block.pieces.setdefault("text", [])

    def _end_block(self, fields: JSONObject) -> dict[str, Any]:
        """What the end of a block adds: the arguments of a call that came without pieces, and what
        goes back of all the thinking so far."""
        block = self._blocks.get(_read_index(fields))
        if block is None:
            return {}
        if block.call is not None and not block.called_with:
            given = msgspec.json.encode(as_object(block.start.get("input")))
            arguments = read_arguments(self.target, given)
            return {"tool_calls": (ToolCallDelta(index=block.call, arguments=arguments),)}
        if block.kind in THINKING and self._room >= 0:
            blocks = [b.join() for b in self._blocks.values() if b.kind in THINKING]
            return {"extra": wrap_thinking(self.target, blocks)}
        return {}

    def _read_message_delta(self, fields: JSONObject) -> dict[str, Any]:
        """The reason to stop and the usage: each count stands for the whole message."""
        delta, usage = as_object(fields.get("delta")), as_object(fields.get("usage"))
        self._usage = {**self._usage, **{k: v for k, v in usage.items() if v is not None}}
        self._counted = self._counted or bool(usage)
        beside = {k: v for k, v in fields.items() if k not in ("type", "delta", "usage")}
        self._message = {**self._message, **beside, **delta}
        reason = delta.get("stop_reason")
        check_finish(self.target, reason)
        if not reason:
            native = self._join().get("native") if self.finished else None
            return {"usage": self._read_usage(), "native": native}
        return self._finish(read_finish(reason, bool(self._calls)))

    def _end_message(self) -> dict[str, Any]:
        """What the end adds where no reason to stop has come."""
        if self.finished or not self._blocks:
            return {}
        return self._finish(infer_finish(bool(self._calls)))

    def _finish(self, finish: str | None) -> dict[str, Any]:
        self.finished = True
        reason, details = self._message.get("stop_reason"), self._message.get("stop_details")
        return {
            "finish_reason": finish,
            "usage": self._read_usage(),
            "refusal": read_refusal(reason, details) or "",
            **self._join(),
        }

    def _read_usage(self) -> Usage | None:
        return read_usage(self.target, self._usage) if self._counted else None

    def _join(self) -> JSONObject:
        """The whole message, and the field that holds what it cites; nothing where it is too long
        to be kept. The sources go out at once: OpenAI's SDK joins no lists."""
        if self._room < 0:
            return {}
        content = [block.join() for _, block in sorted(self._blocks.items())]
        message = {**self._message, "content": content, "usage": self._usage}
        native = Native(WIRE, msgspec.json.encode(message))
        return {"native": native, "extra": list_sources(content)}

    def _take_room(self, *texts: str) -> None:
        self._room -= sum(map(len, texts))
        if self._room < 0:
            for block in self._blocks.values():
                block.pieces.clear()

    def _add(self, data: bytes, **fields: Any) -> None:
        """Adds an event, in one line also where it came in several."""
        raw = data.replace(b"\n", b" ")
        self.chunks.append(Chunk(model=self._model, id=self._id, raw=raw, **fields))


def _read_index(fields: JSONObject) -> int:
    index = fields.get("index")
    return index if isinstance(index, int) else 0
