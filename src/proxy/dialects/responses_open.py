"""The items of a streamed answer while they are open: each writes its events as its text comes,
and ends as the item that a whole answer would hold."""

from typing import Any

from proxy.core.messages import BridgedTool, FunctionCall, JSONObject, ToolCall, ToolCallDelta
from proxy.dialects.responses_events import Events
from proxy.dialects.responses_output import (
    Style,
    call_item,
    message_item,
    reasoning_item,
    refusal_part,
    text_part,
)


class OpenReasoning:
    """A reasoning item."""

    def __init__(self, events: Events, style: Style, index: int) -> None:
        self._events, self._style, self._index = events, style, index
        self._texts: list[str] = []
        begun = reasoning_item(style, index, "", None) | {"status": "in_progress"}
        self._events.add("response.output_item.added", {"item": begun, "output_index": index})
        number = "summary_index" if style.summary else "content_index"
        self._at = {number: 0, "item_id": begun["id"], "output_index": index}
        self._text = "reasoning_summary_text" if style.summary else "reasoning_text"
        self._part = "reasoning_summary_part" if style.summary else "content_part"
        self._end_part("added", "")

    def add(self, text: str) -> None:
        """Takes the next piece in."""
        self._texts.append(text)
        self._events.add(f"response.{self._text}.delta", {**self._at, "delta": text})

    def close(self, status: str, sealed: str | None) -> JSONObject:
        """Ends the item. sealed: its encrypted content."""
        text = "".join(self._texts)
        self._events.add(f"response.{self._text}.done", {**self._at, "text": text})
        self._end_part("done", text)
        item = reasoning_item(self._style, self._index, text, sealed) | {"status": status}
        ended = {"item": item, "output_index": self._index}
        self._events.add("response.output_item.done", ended)
        return item

    def _end_part(self, end: str, text: str) -> None:
        part = {"type": "summary_text" if self._style.summary else "reasoning_text", "text": text}
        self._events.add(f"response.{self._part}.{end}", {**self._at, "part": part})


class OpenMessage:
    """A message item: a text, a refusal, or both as parts."""

    def __init__(self, events: Events, style: Style, index: int) -> None:
        self._events, self._style, self._index = events, style, index
        self._parts: list[JSONObject] = []
        self._begin_part("")
        begun = message_item(style, index, []) | {"status": "in_progress"}
        self._item_id: str = begun["id"]
        self._events.add("response.output_item.added", {"item": begun, "output_index": index})

    def add_text(self, text: str, logprobs: list[Any]) -> None:
        """Takes the next piece of text in."""
        at = self._at_part("text")
        self._texts.append(text)
        self._logprobs += logprobs
        self._events.add("response.output_text.delta", {**at, "delta": text, "logprobs": logprobs})

    def add_refusal(self, text: str) -> None:
        """Takes the next piece of a refusal in."""
        at = self._at_part("refusal")
        self._texts.append(text)
        self._events.add("response.refusal.delta", {**at, "delta": text})

    def annotate(self, annotations: list[JSONObject]) -> None:
        """Adds annotations to the text."""
        at = self._at_part("text")
        for annotation in annotations:
            number = len(self._annotations)
            self._annotations.append(annotation)
            self._events.add_annotation(annotation, {**at, "annotation_index": number})

    def close(self, status: str) -> JSONObject:
        """Ends the item, which has a text, if an empty one."""
        if not self._parts and not self._kind:
            self._at_part("text")
        self._end_part()
        item = message_item(self._style, self._index, self._parts) | {"status": status}
        ended = {"item": item, "output_index": self._index}
        self._events.add("response.output_item.done", ended)
        return item

    def _begin_part(self, kind: str) -> None:
        """kind: `text` or `refusal`; empty: none is open."""
        self._kind = kind
        self._texts: list[str] = []
        self._logprobs: list[Any] = []
        self._annotations: list[JSONObject] = []

    def _at_part(self, kind: str) -> JSONObject:
        """Where an open part of this kind is."""
        if self._kind != kind:
            self._end_part()
            self._begin_part(kind)
            self._events.add("response.content_part.added", {**self._at, "part": self._part()})
        return self._at

    @property
    def _at(self) -> JSONObject:
        return {
            "content_index": len(self._parts),
            "item_id": self._item_id,
            "output_index": self._index,
        }

    def _part(self) -> JSONObject:
        text = "".join(self._texts)
        if self._kind == "refusal":
            return refusal_part(text)
        return text_part(text, self._annotations, self._logprobs)

    def _end_part(self) -> None:
        if not self._kind:
            return
        part, at = self._part(), self._at
        if self._kind == "refusal":
            self._events.add("response.refusal.done", {**at, "refusal": part["refusal"]})
        else:
            said = {"text": part["text"], "logprobs": part["logprobs"]}
            self._events.add("response.output_text.done", {**at, **said})
        self._events.add("response.content_part.done", {**at, "part": part})
        self._parts.append(part)
        self._begin_part("")


class OpenCall:
    """The call of a tool. Its events are written as they come where it may be open, and otherwise
    together at its end: so are those of a custom tool that was called as a function, whose input
    is known at its end only."""

    def __init__(self, events: Events, style: Style, number: int) -> None:
        """number: the call's own, which stands for an id where its provider gives none."""
        self._events, self._style = events, style
        self._spare_id = f"call_{style.tail}_{number}"
        self._id = self._name = ""
        self._kind = "function"
        self._texts: list[str] = []
        self._index: int | None = None
        self._item_id = ""

    def take(self, delta: ToolCallDelta) -> str:
        """Takes the next piece in; returns the call's id, as far as it is known."""
        self._id = self._id or delta.id or ""
        if not self._name and delta.name:
            self._name, self._kind = delta.name, delta.type
        self._texts.append(delta.arguments)
        if self._index is not None and delta.arguments:
            self._write(delta.arguments)
        return self._id

    def open(self, index: int) -> bool:
        """Opens the item, if enough of it is known. Returns whether it is open."""
        if self._index is not None:
            return True
        if not (self._id and self._name) or self._is_bridged:
            return False
        self._index = index
        begun = call_item(self._style, index, self._call("")) | {"status": "in_progress"}
        self._item_id = begun["id"]
        self._events.add("response.output_item.added", {"item": begun, "output_index": index})
        if text := "".join(self._texts):
            self._write(text)
        return True

    def close(self, index: int, status: str) -> JSONObject:
        """Ends the item. index: where it stands, if it is not open yet."""
        text = "".join(self._texts) or ("{}" if self._kind == "function" else "")
        item = call_item(self._style, index, self._call(text)) | {"status": status}
        if self._index is None:
            self._events.add_item(item, index)
            return item
        field = "input" if self._kind == "custom" else "arguments"
        at = {"item_id": self._item_id, "output_index": index}
        if not "".join(self._texts) and text:
            self._write(text)
        self._events.add(f"{self._event}.done", {**at, field: text})
        self._events.add("response.output_item.done", {"item": item, "output_index": index})
        return item

    @property
    def _is_bridged(self) -> bool:
        tool = self._style.bridged.get(self._name) or BridgedTool(self._name)
        return tool.custom and self._kind != "custom"

    @property
    def _event(self) -> str:
        custom = self._kind == "custom"
        return f"response.{'custom_tool_call_input' if custom else 'function_call_arguments'}"

    def _write(self, text: str) -> None:
        at = {"item_id": self._item_id, "output_index": self._index}
        self._events.add(f"{self._event}.delta", {**at, "delta": text})

    def _call(self, text: str) -> ToolCall:
        called = FunctionCall(self._name, text)
        return ToolCall(self._id or self._spare_id, called, self._kind)
