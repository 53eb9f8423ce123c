"""Writes an answer as a Messages stream, whose blocks come strictly one after another.

Providers of other dialects send the pieces of parallel calls as they like. So blocks wait in a
line: what is for the first goes out at once, the others keep their pieces until it is their turn.
"""

from typing import Final

import msgspec
from msgspec import Struct

from proxy.core.chat import Answer, Call, Chunk, Served, Usage
from proxy.core.errors import ProxyError
from proxy.core.json_guard import Decoder, is_json
from proxy.core.messages import JSONObject, ToolCallDelta
from proxy.core.sse import frame
from proxy.dialects import anthropic_error
from proxy.dialects.anthropic_answer import (
    EXTRA_CONTENT,
    Fields,
    begin_message,
    describe_usage,
    end_message,
    list_citations,
    make_redacted,
    name_call,
    restore_name,
    restore_names,
)
from proxy.dialects.anthropic_events import (
    PING,
    STOP,
    add_delta,
    cite,
    replay,
    start_block,
    start_message,
    stop_block,
    stop_message,
)
from proxy.dialects.contract import StreamWriter
from proxy.dialects.seal import ProviderState, seal

_TOOL: Final = "tool_use"
_DELTAS = {
    "text": ("text_delta", "text"),
    "refusal": ("text_delta", "text"),
    "thinking": ("thinking_delta", "thinking"),
    _TOOL: ("input_json_delta", "partial_json"),
}
_STARTS: dict[str, Fields] = {
    "text": {"type": "text", "text": ""},
    "refusal": {"type": "text", "text": ""},
    "thinking": {"type": "thinking", "thinking": "", "signature": ""},
}


class _Event(Struct):
    """An event of a provider of this dialect."""

    type: str = ""


_EVENT = Decoder(_Event)
_encode = msgspec.json.encode


class _Block:
    """A block in the line."""

    def __init__(self, kind: str, call: int = -1) -> None:
        self.kind = kind
        self.call = call
        """The place of a call among the calls."""
        self.id: str | None = None
        self.name: str | None = None
        self.is_begun = False
        self.waiting: list[str] = []
        """Pieces that have not gone out."""
        self.sent: list[str] = []
        """Pieces of a call that have."""
        self.state: JSONObject | None = None
        """What the provider wants back of a call."""
        self.citations: list[Fields] = []

    def is_whole(self) -> bool:
        """Whether nothing more can come, now that another block has begun: to a call's arguments
        that are an object, nothing can be added."""
        if self.kind != _TOOL:
            return True
        pieces = self.sent + self.waiting
        if not (pieces and pieces[-1].endswith("}")):
            return False
        return is_json("".join(pieces).encode(errors="surrogatepass"))


class AnthropicWriter(StreamWriter):
    """Writes one stream. What a provider of this dialect sends goes on as it is; a kept message of
    such a provider comes as its events."""

    pings = True
    cut = b"\nevent: ping\n\n"
    """An event's last name counts, so that half a JSON is passed over as a sign of life."""

    def __init__(self, call: Call, served: Served) -> None:
        self.takes = "" if call.bridged else "messages"
        self._bridged = call.bridged
        self._passes_on = served.wire == "messages"
        self._answer_id = served.answer_id
        self._model = served.model
        self._is_begun = False
        self._has_passed = False
        """Whether a provider's own events have gone out."""
        self._is_over = False
        """Whether the end has been sent, by which a passed or replayed message ends."""
        self._line: list[_Block] = []
        self._calls: dict[int, _Block] = {}
        self._index = 0
        self._message_state: JSONObject = {}
        self._sealed = seal(ProviderState())
        """The last state that went out."""

    def chunk(self, chunk: Chunk) -> bytes:
        """The events of a piece of the answer; empty where there are none yet."""
        if self._is_over:
            return b""
        if self._passes_on and (chunk.raw is not None or self._has_passed):
            return self._pass_on(chunk.raw) if chunk.raw else b""
        native = chunk.native
        if native is not None and native.wire == "messages" and not self._is_begun:
            self._is_begun = self._is_over = True
            return restore_names(replay(native.body), self._bridged)
        self._model = chunk.model or self._model
        if chunk.id == "" and not (self._is_begun or chunk.has_content or chunk.extra):
            return b""  # Azure's word on the prompt, before the answer has its id
        begin = b"" if self._is_begun else self._begin(chunk.usage, chunk.id)
        self._take(chunk)
        return begin + self._send()

    def done(self, answer: Answer, served: Served) -> bytes:
        """The end of a complete answer, with its usage."""
        if self._is_over:
            return b""
        if self._has_passed:
            return STOP  # which its provider left out
        begin = b"" if self._is_begun else self._begin(answer.usage, answer.id)
        self._take_state(answer.extra.get(EXTRA_CONTENT))
        self._take_sources(answer)
        rest = self._send(is_last=True) + self._send_state()
        ending = end_message(answer.finish_reason, answer.refusal, bool(self._calls))
        return begin + rest + stop_message(ending, describe_usage(answer.usage))

    def ping(self) -> bytes:
        """A `ping`; nothing before the message has begun, which it must not precede."""
        return PING if self._is_begun and not self._is_over else b""

    def close(self) -> bytes:
        """`message_stop`."""
        return STOP

    def error(self, failure: ProxyError, request_id: str, timestamp: float) -> bytes:
        """The end of a broken answer."""
        body = anthropic_error.error(failure, request_id, timestamp)
        return frame(b" ".join(body.splitlines()), "error")

    def _pass_on(self, raw: bytes) -> bytes:
        """A provider's event."""
        self._is_begun = self._has_passed = True
        if b'"content_block_delta"' in raw:
            return frame(raw, "content_block_delta")
        kind = _EVENT.decode(raw).type
        if kind == "message_stop":
            self._is_over = True
        if kind == "content_block_start":
            raw = restore_names(raw, self._bridged)
        return frame(raw, kind)

    def _begin(self, usage: Usage | None, id_: str | None) -> bytes:
        self._is_begun = True
        message = begin_message(id_ or self._answer_id, self._model)
        return start_message(message, {**describe_usage(usage), "output_tokens": 0})

    def _take(self, chunk: Chunk) -> None:
        """Puts what a chunk holds into the line."""
        if chunk.extra:
            self._take_state(chunk.extra.get(EXTRA_CONTENT))
        for kind, text in (
            ("thinking", chunk.reasoning),
            ("text", chunk.text),
            ("refusal", chunk.refusal),
        ):
            if text:
                if not self._line or self._line[-1].kind != kind:
                    self._line.append(_Block(kind))
                self._line[-1].waiting.append(text)
        for delta in chunk.tool_calls:
            self._take_call(delta)

    def _take_call(self, delta: ToolCallDelta) -> None:
        block = self._calls.get(delta.index)
        if block is None:
            block = self._calls[delta.index] = _Block(_TOOL, delta.index)
            self._line.append(block)
        block.id = block.id or delta.id
        block.name = block.name or delta.name
        if delta.arguments:
            block.waiting.append(delta.arguments)
        block.state = delta.extra_content or block.state

    def _take_state(self, state: JSONObject | None) -> None:
        """Notes what the provider wants back of the whole message."""
        if state:
            self._message_state = state

    def _take_sources(self, answer: Answer) -> None:
        """Notes what the answer cites for its text, if that has not ended yet."""
        for block in self._line:
            if block.kind == "text":
                block.citations = list_citations(answer.extra, answer.text or "")
                break

    def _send(self, is_last: bool = False) -> bytes:
        """What of the line can go out. is_last: nothing more comes."""
        events: list[bytes] = []
        while self._line:
            block = self._line[0]
            if not block.is_begun:
                if block.kind == _TOOL and not (is_last or (block.id and block.name)):
                    break
                events.append(self._start(block))
            kind, field = _DELTAS[block.kind]
            if block.waiting:
                text = _encode("".join(block.waiting))
                events.append(add_delta(self._index, kind, field, text))
                if block.kind == _TOOL:
                    block.sent += block.waiting
                block.waiting.clear()
            if not (is_last or (len(self._line) > 1 and block.is_whole())):
                break
            events.append(self._stop(block))
            del self._line[0]
        return b"".join(events)

    def _start(self, block: _Block) -> bytes:
        """The beginning of a block. What the provider wants back comes before a call, with which
        it is wanted."""
        block.is_begun = True
        if block.kind != _TOOL:
            return start_block(self._index, _STARTS[block.kind])
        before = self._send_state()
        name = restore_name(block.name or "", self._bridged)
        start = {"type": _TOOL, "id": self._name(block), "name": name, "input": {}}
        return before + start_block(self._index, start)

    def _stop(self, block: _Block) -> bytes:
        """The end of a block; before it, thinking is signed and a text's sources are named."""
        signed = b""
        if block.kind == "thinking":
            self._sealed = seal(self._state)
            signed = add_delta(self._index, "signature_delta", "signature", _encode(self._sealed))
        elif block.kind == _TOOL and not block.sent:
            signed = add_delta(self._index, "input_json_delta", "partial_json", b'"{}"')
        for citation in block.citations:
            signed += cite(self._index, citation)
        self._index += 1
        return signed + stop_block(self._index - 1)

    @property
    def _state(self) -> ProviderState:
        states = {self._name(b): b.state for b in self._calls.values() if b.state}
        return ProviderState(self._message_state, states)

    def _name(self, call: _Block) -> str:
        return name_call(call.id, call.call, self._answer_id)

    def _send_state(self) -> bytes:
        """A block for what the provider wants back, if that is more than has gone out."""
        state = self._state
        if state.is_empty or seal(state) == self._sealed:
            return b""
        redacted = make_redacted(state)
        self._sealed = redacted["data"]
        self._index += 1
        return start_block(self._index - 1, redacted) + stop_block(self._index - 1)


writer = AnthropicWriter
