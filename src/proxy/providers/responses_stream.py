"""Reads streams of Responses. The last event holds the whole response, which goes on as it came.

An item is announced, comes in pieces, and comes whole; where a provider leaves the pieces out, the
whole says what they would have. A stream without its last event is broken.
"""

from collections.abc import Callable
from typing import Any

from msgspec import Raw, Struct, structs

from proxy.core.chat import Chunk, Native
from proxy.core.collect import LIMIT
from proxy.core.json_guard import Decoder
from proxy.core.loose_json import as_object, as_objects, as_text
from proxy.core.messages import JSONObject, ToolCallDelta
from proxy.core.splice import NULL
from proxy.core.sse import Event
from proxy.providers.garbage import decode
from proxy.providers.responses_answer import (
    PARAGRAPH,
    RESPONSE,
    WIRE,
    Said,
    complete_logprob,
    find_fault,
    is_sealed,
    nest_annotation,
    read_answer,
    read_end,
    read_inner_fault,
    read_item,
    read_report,
    wrap_reasoning,
)
from proxy.providers.stream import EventReader, is_done
from proxy.providers.surrogates import mend
from proxy.providers.target import Target
from proxy.providers.tool_calls import make_call_id

Fields = dict[str, Any]
"""Those of a chunk."""


class _Event(Struct):
    type: Any = None
    response: Raw = NULL
    item: Any = None
    delta: Any = None
    annotation: Any = None
    logprobs: Any = None
    error: Any = None
    output_index: Any = None
    content_index: Any = None
    summary_index: Any = None


class _Item(Struct):
    """What has come of an item."""

    call: int | None = None
    """Its place among the answer's calls."""
    said: bool = False
    """Whether a piece of it has come."""
    annotated: bool = False
    whole: bool = False


_EVENT = Decoder(_Event, float_hook=float)  # 1e999 is infinite, and no error


class ResponsesReader(EventReader):
    """Reads the events of a stream."""

    read_answer = staticmethod(read_answer)

    def __init__(self, target: Target) -> None:
        super().__init__(target)
        self._model: str | None = None
        self._id: str | None = None
        self._items: dict[int, _Item] = {}
        self._calls = 0
        self._places: dict[str, object] = {}
        """To what the last piece of text belongs, and the last of reasoning."""
        self._annotations: list[JSONObject] = []
        """They go out together, at the end: OpenAI's SDK joins no lists of objects."""
        self._reasoning: list[JSONObject] = []
        self._room = LIMIT
        """Characters of sealed reasoning that may still be kept."""

    def read_event(self, event: Event) -> bool:
        """Reads an event. Raises Fault for an error."""
        if is_done(event):  # some servers end every stream so
            self.over = True
            return True
        data = mend(event.data)
        fields = decode(self.target, _EVENT, data)
        kind = as_text(fields.type) or event.name
        if kind == "error" or fields.error:
            raise read_inner_fault(self.target, data)
        if not kind.startswith("response."):
            return False
        read = _READERS.get(kind)
        self._add(data, **(read(self, fields) if read else {}))
        return True

    def _begin(self, event: _Event) -> Fields:
        response = decode(self.target, RESPONSE, bytes(event.response))
        self._model, self._id = as_text(response.model), as_text(response.id)
        return {}

    def _open_item(self, event: _Event) -> Fields:
        known, call = self._find(event), read_item(as_object(event.item)).call
        return {"tool_calls": (self._name_call(known, call),)} if call else {}

    def _read_text(self, event: _Event) -> Fields:
        self._find(event).said = True
        fields = {"text": self._join("text", event.output_index, as_text(event.delta) or "")}
        logprobs = list(map(complete_logprob, as_objects(event.logprobs)))
        return fields | ({"logprobs": {"content": logprobs}} if logprobs else {})

    def _read_refusal(self, event: _Event) -> Fields:
        self._find(event).said = True
        return {"refusal": as_text(event.delta) or ""}

    def _read_reasoning(self, event: _Event) -> Fields:
        self._find(event).said = True
        place = (event.output_index, event.summary_index, event.content_index)
        return {"reasoning": self._join("reasoning", place, as_text(event.delta) or "")}

    def _read_arguments(self, event: _Event) -> Fields:
        known, piece = self._find(event), as_text(event.delta)
        if known.call is None or not piece:
            return {}
        known.said = True
        kind = "custom" if event.type == _CUSTOM else "function"
        return {"tool_calls": (ToolCallDelta(index=known.call, arguments=piece, type=kind),)}

    def _read_annotation(self, event: _Event) -> Fields:
        self._find(event).annotated = True
        self._annotations += map(nest_annotation, as_objects([event.annotation]))
        return {}

    def _close_item(self, event: _Event) -> Fields:
        """What the end of an item adds: what its pieces have not said, and what goes back of all
        the reasoning so far."""
        known, item = self._find(event), as_object(event.item)
        known.whole = True
        fields = self._catch_up(event, known, read_item(item))
        if is_sealed(item):
            self._room -= len(item["encrypted_content"])
            if self._room >= 0:
                self._reasoning = [*self._reasoning, item]
                fields["extra"] = wrap_reasoning(self.target, self._reasoning)
        return fields

    def _catch_up(self, event: _Event, known: _Item, said: Said) -> Fields:
        """What a whole item says and its pieces have not said."""
        fields: Fields = {}
        if not known.annotated:
            self._annotations += said.annotations
        if said.call:
            fields["tool_calls"] = self._complete_call(known, said.call)
        elif not known.said:
            fields["text"] = self._join("text", event.output_index, said.text)
            fields["refusal"] = said.refusal
            place = (event.output_index, None, None)
            fields["reasoning"] = self._join("reasoning", place, said.reasoning)
            fields["logprobs"] = {"content": said.logprobs} if said.logprobs else None
        return fields

    def _name_call(self, known: _Item, call: ToolCallDelta) -> ToolCallDelta:
        """The beginning of a call."""
        known.call, self._calls = self._calls, self._calls + 1
        known.said = bool(call.arguments)
        id_ = call.id or make_call_id(self._id, known.call, call.name)
        return structs.replace(call, index=known.call, id=id_)

    def _complete_call(self, known: _Item, call: ToolCallDelta) -> tuple[ToolCallDelta, ...]:
        """What of a whole call has not come; a function without arguments gets an empty object."""
        text = call.arguments or ("{}" if call.type == "function" else "")
        if known.call is None:
            return (self._name_call(known, structs.replace(call, arguments=text)),)
        if known.said or not text:
            return ()
        return (ToolCallDelta(index=known.call, arguments=text, type=call.type),)

    def _end(self, event: _Event) -> Fields:
        """Reads the last event."""
        data = bytes(event.response)
        response = decode(self.target, RESPONSE, data)
        usage = read_report(self.target, response.usage).usage
        if fault := find_fault(self.target, response, data):
            if usage:
                self.chunks.append(Chunk(usage=usage, usage_only=True))
            raise fault
        for index, item in enumerate(as_objects(response.output)):
            missed = _Event(item=item, output_index=index)
            if not self._find(missed).whole:
                self._add(None, **self._close_item(missed))
        self.finished = self.over = True
        return {
            "finish_reason": read_end(response, bool(self._calls)),
            "usage": usage,
            "extra": {"annotations": self._annotations} if self._annotations else {},
            "native": Native(WIRE, data),
        }

    def _find(self, event: _Event) -> _Item:
        """The item that an event belongs to."""
        index = event.output_index if isinstance(event.output_index, int) else 0
        return self._items.setdefault(index, _Item())

    def _join(self, what: str, place: object, text: str) -> str:
        """A piece of what the answer says, apart from what stands at another place before it."""
        if not text:
            return ""
        before = self._places.get(what, place)
        self._places[what] = place
        return text if before == place else PARAGRAPH + text

    def _add(self, data: bytes | None, **fields: Any) -> None:
        """Adds an event, in one line also where it came in several."""
        raw = data and data.replace(b"\n", b" ")
        self.chunks.append(Chunk(model=self._model, id=self._id, raw=raw, **fields))


_CUSTOM = "response.custom_tool_call_input.delta"
_READERS: dict[str, Callable[[ResponsesReader, _Event], Fields]] = {
    "response.created": ResponsesReader._begin,
    "response.output_item.added": ResponsesReader._open_item,
    "response.output_text.delta": ResponsesReader._read_text,
    "response.refusal.delta": ResponsesReader._read_refusal,
    "response.reasoning_text.delta": ResponsesReader._read_reasoning,
    "response.reasoning_summary_text.delta": ResponsesReader._read_reasoning,
    "response.function_call_arguments.delta": ResponsesReader._read_arguments,
    _CUSTOM: ResponsesReader._read_arguments,
    "response.output_text.annotation.added": ResponsesReader._read_annotation,
    "response.output_item.done": ResponsesReader._close_item,
    "response.completed": ResponsesReader._end,
    "response.incomplete": ResponsesReader._end,
    "response.failed": ResponsesReader._end,
    "response.cancelled": ResponsesReader._end,
}
