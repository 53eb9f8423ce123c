"""Streams of OpenAI's Responses.

The items follow one another, as OpenAI sends them: the reasoning, the message, the calls. Only
the first call is written as it comes; what comes beside it waits for its end, so that nothing
that providers interleave opens two items at once.
"""

from typing import Any, Literal, TypeAlias

import msgspec
from msgspec import Raw, Struct

from proxy.core.chat import Answer, Call, Chunk, Served
from proxy.core.errors import ProxyError
from proxy.core.json_guard import Decoder
from proxy.core.messages import NOTHING, JSONObject, ToolCallDelta
from proxy.dialects.contract import StreamWriter
from proxy.dialects.responses_error import describe_failure
from proxy.dialects.responses_events import Events
from proxy.dialects.responses_open import OpenCall, OpenMessage, OpenReasoning
from proxy.dialects.responses_output import (
    Style,
    build_response,
    find_images,
    flatten_annotations,
    image_item,
    is_cut_short,
    read_logprobs,
    reasoning_item,
    repeat_own,
)
from proxy.dialects.responses_output import answer as render
from proxy.dialects.seal import ProviderState

_Kind: TypeAlias = Literal["reasoning", "text", "refusal", "image"]
_PING = b": ping\n\n"
"""A comment: every parser of Server-Sent Events passes over it."""
_ENDS = frozenset({"response.completed", "response.incomplete", "response.failed"})


class _Output:
    """The items of a streamed answer."""

    def __init__(self, events: Events, style: Style) -> None:
        self.items: list[JSONObject] = []
        """Those that are done. What a broken answer was in the middle of never is: agents run a
        call whose item is done, and keep a text, which they would send before they try again."""
        self._events, self._style = events, style
        self._reasoning: OpenReasoning | None = None
        self._message: OpenMessage | None = None
        self._calls: dict[int, OpenCall] = {}
        self._late: list[tuple[_Kind, str, list[Any]]] = []
        """What came after the first call."""
        self._annotations: list[JSONObject] = []
        """Those for which no text is open."""
        self._message_state: JSONObject = {}
        self._call_states: dict[str, JSONObject] = {}
        self._sealed = ProviderState()
        """The state that the last reasoning item holds."""

    def add(self, chunk: Chunk) -> None:
        """Takes a piece of the answer in."""
        if chunk.reasoning:
            self._write("reasoning", chunk.reasoning)
        logprobs = read_logprobs(chunk.logprobs) if self._style.logprobs else []
        if chunk.text or logprobs:
            self._write("text", chunk.text, logprobs)
        if chunk.refusal:
            self._write("refusal", chunk.refusal)
        if chunk.extra:
            self._add_extra(chunk.extra)
        for delta in chunk.tool_calls:
            self._add_call(delta)

    def end(self, *, cut: bool) -> list[JSONObject]:
        """Ends all items, and returns them. cut: whether the last one is incomplete."""
        late, self._late = self._late, []
        self._close_calls("incomplete" if cut and not late else "completed")
        for kind, text, logprobs in late:
            self._write(kind, text, logprobs)
        if not (self.items or self._reasoning or self._message) and self._state.is_empty:
            self._open_message()
        self._close_open("incomplete" if cut else "completed")
        state = self._state
        if not state.is_empty and state != self._sealed:
            index = len(self.items)
            self._add_item(reasoning_item(self._style, index, "", self._style.seal(state)))
        return self.items

    @property
    def _state(self) -> ProviderState:
        return ProviderState(dict(self._message_state), dict(self._call_states))

    def _add_extra(self, extra: JSONObject) -> None:
        state = extra.get("extra_content")
        if isinstance(state, dict):
            self._message_state = state
        for data in find_images(extra):
            self._write("image", data)
        self._annotations += flatten_annotations(extra)
        if self._message and self._annotations:
            self._message.annotate(self._annotations)
            self._annotations = []

    def _write(self, kind: _Kind, text: str, logprobs: list[Any] | None = None) -> None:
        if self._calls:
            self._late.append((kind, text, logprobs or []))
        elif kind == "reasoning":
            if self._reasoning is None:
                self._close_open("completed")
                self._reasoning = OpenReasoning(self._events, self._style, len(self.items))
            self._reasoning.add(text)
        elif kind == "image":
            self._close_open("completed")
            self._add_item(image_item(self._style, len(self.items), text))
        else:
            message = self._open_message()
            if kind == "text":
                message.add_text(text, logprobs or [])
            else:
                message.add_refusal(text)

    def _open_message(self) -> OpenMessage:
        if self._message is None:
            self._close_open("completed")
            self._message = OpenMessage(self._events, self._style, len(self.items))
            if self._annotations:
                self._message.annotate(self._annotations)
                self._annotations = []
        return self._message

    def _add_call(self, delta: ToolCallDelta) -> None:
        if not self._calls:
            self._close_open("completed")
        call = self._calls.get(delta.index)
        if call is None:
            call = OpenCall(self._events, self._style, len(self._calls))
            self._calls[delta.index] = call
        id_ = call.take(delta)
        if delta.extra_content:
            self._call_states[id_] = delta.extra_content
        if call is next(iter(self._calls.values())):
            call.open(len(self.items))

    def _close_calls(self, last_status: str) -> None:
        """last_status: that of the last call; the first is open, if any is."""
        calls = list(self._calls.values())[:1]
        calls += [call for _, call in sorted(self._calls.items()) if call is not calls[0]]
        self._calls = {}
        for number, call in enumerate(calls, 1):
            status = last_status if number == len(calls) else "completed"
            self.items.append(call.close(len(self.items), status))

    def _close_open(self, status: str) -> None:
        if self._reasoning:
            self._sealed = self._state
            sealed = self._style.seal(self._sealed)
            reasoning, self._reasoning = self._reasoning, None
            self.items.append(reasoning.close(status, sealed))
        if self._message:
            message, self._message = self._message, None
            self.items.append(message.close(status))

    def _add_item(self, item: JSONObject) -> None:
        self._events.add_item(item, len(self.items))
        self.items.append(item)


class _Event(Struct, frozen=True):
    """What is read of a provider's own event."""

    type: str = ""
    sequence_number: Any = 0
    response: Raw = NOTHING


_EVENT = Decoder(_Event)
_OBJECT = Decoder(dict[str, Any])


class ResponsesWriter(StreamWriter):
    """Writes one stream.

    A provider's own events go on as they came. A kept answer is written from the whole of it, so
    that its events say the same as the answer does.
    """

    pings = True

    def __init__(self, call: Call, served: Served) -> None:
        self._is_own = not (call.rebuilt and call.bridged)
        """Whether a provider of Responses knows tools by the caller's names."""
        follows = call.echo.get("previous_response_id")
        is_same = self._is_own and not (follows or call.prompted)
        self.takes = "responses" if is_same else ""
        self._call, self._served = call, served
        self._passes_on = self._is_own and served.wire == "responses"
        self._replays = served.is_kept
        """Whether the stream is written at its end, from the whole answer."""
        self._events = Events()
        self._output = _Output(self._events, Style.of(call, served))
        self._model: str | None = None
        self._begun = False
        self._passed: _Event | None = None
        """The last of the provider's events that went on."""
        self._head: bytes | None = None
        """The response as the provider has begun it."""

    def chunk(self, chunk: Chunk) -> bytes:
        """A piece of the answer."""
        if chunk.native and self._is_own and not (self._begun or self._passed):
            self._replays = chunk.native.wire == "responses" or self._replays
        if self._replays:
            return b""
        if chunk.raw is not None and self._passes_on:
            return self._pass_on(chunk.raw)
        if self._passed:
            return b""
        self._model = chunk.model or self._model
        self._begin()
        self._output.add(chunk)
        return self._events.take()

    def done(self, answer: Answer, served: Served) -> bytes:
        """The end of a complete answer."""
        if self._passed:
            return b""
        if self._replays:
            self.response = render(answer, self._call, served)
            self._events.replay(self.response)
            return self._events.take()
        self._begin()
        output = self._output.end(cut=is_cut_short(answer.finish_reason))
        response = build_response(self._call, served, output, answer)
        response["model"] = answer.model or self._model or served.model
        self.response = msgspec.json.encode(response)
        self._events.add(f"response.{response['status']}", {"response": Raw(self.response)})
        return self._events.take()

    def ping(self) -> bytes:
        """A comment."""
        return _PING

    def error(self, error: ProxyError, request_id: str, timestamp: float) -> bytes:
        """The end of a broken answer: `error`, which the SDKs hand on, and `response.failed`, which
        agents read."""
        if self._passed and self._passed.type in _ENDS:
            return b""
        if self._head:
            response = _OBJECT.decode(self._head)
        else:
            if not self._passes_on:  # a stream that flows by itself has begun already
                self._begin()
            response = self._describe_begun() | {"output": self._output.items}
        failure = describe_failure(error)
        self._events.add("error", {**failure, "param": error.param})
        failed = {**response, "status": "failed", "error": failure}
        self._events.add("response.failed", {"response": failed})
        return self._events.take()

    def _pass_on(self, data: bytes) -> bytes:
        data = repeat_own(data, self._call)
        self._passed = event = _EVENT.decode(data)
        if event.type == "response.created":
            self._head = bytes(event.response)
        elif event.type in _ENDS:
            self.response = bytes(event.response)
        number = event.sequence_number
        self._events.pass_on(event.type, number if isinstance(number, int) else 0, data)
        return self._events.take()

    def _begin(self) -> None:
        if not self._begun:
            self._begun = True
            begun = {"response": self._describe_begun()}
            self._events.add("response.created", begun)
            self._events.add("response.in_progress", begun)

    def _describe_begun(self) -> JSONObject:
        response = build_response(self._call, self._served, [], None)
        return response | {"model": self._model or self._served.model}
