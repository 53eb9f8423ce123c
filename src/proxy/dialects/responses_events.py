"""The events by which OpenAI's Responses are streamed: numbered from 0, each with its type."""

from typing import Any

import msgspec

from proxy.core.json_guard import Decoder
from proxy.core.loose_json import as_objects, as_text
from proxy.core.messages import JSONObject
from proxy.core.sse import frame

_OBJECT = Decoder(dict[str, Any])
_ENDS = ("completed", "incomplete", "failed")
_PIECES = {
    "function_call": ("arguments", "response.function_call_arguments"),
    "custom_tool_call": ("input", "response.custom_tool_call_input"),
}
"""By the type of an item: the field that is streamed, and how its events begin."""
_TEXTS: dict[str, tuple[str, str, JSONObject]] = {
    "output_text": ("text", "response.output_text", {"logprobs": []}),
    "refusal": ("refusal", "response.refusal", {}),
    "reasoning_text": ("text", "response.reasoning_text", {}),
}
"""By the type of a part: the field that is streamed, how its events begin, what else they hold."""


class Events:
    """Writes the events of one stream."""

    def __init__(self) -> None:
        self._number = 0
        self._written: list[bytes] = []

    def add(self, kind: str, fields: JSONObject) -> None:
        """Writes an event. kind: its type."""
        data = msgspec.json.encode({"type": kind, **fields, "sequence_number": self._number})
        self._number += 1
        self._written.append(frame(data, kind))

    def pass_on(self, kind: str, number: int, data: bytes) -> None:
        """Writes an event as it came."""
        self._number = max(self._number, number + 1)
        self._written.append(frame(data, kind))

    def take(self) -> bytes:
        """What has been written since the last time."""
        data = b"".join(self._written)
        self._written.clear()
        return data

    def add_item(self, item: JSONObject, index: int) -> None:
        """Writes the events of a whole item."""
        kind = find_type(item)
        place = {"item_id": item.get("id"), "output_index": index}
        begun = {**item, "status": "in_progress"} if "status" in item else dict(item)
        begun |= {name: [] for name in ("summary", "content") if isinstance(item.get(name), list)}
        if kind in _PIECES:
            begun[_PIECES[kind][0]] = ""
        if kind == "reasoning":
            begun.pop("encrypted_content", None)
        if kind == "image_generation_call":
            begun["result"] = None
        self.add("response.output_item.added", {"item": begun, "output_index": index})
        if kind in _PIECES:
            field, event = _PIECES[kind]
            text = item.get(field) or ""
            if text:
                self.add(f"{event}.delta", {**place, "delta": text})
            self.add(f"{event}.done", {**place, field: text})
        if kind == "reasoning":
            self._add_summary(as_objects(item.get("summary")), place)
        for number, part in enumerate(as_objects(item.get("content"))):
            self._add_part(part, {**place, "content_index": number})
        self.add("response.output_item.done", {"item": item, "output_index": index})

    def _add_summary(self, summary: list[JSONObject], place: JSONObject) -> None:
        for number, part in enumerate(summary):
            at = {**place, "summary_index": number}
            text = part.get("text", "")
            self.add("response.reasoning_summary_part.added", {**at, "part": {**part, "text": ""}})
            self.add("response.reasoning_summary_text.delta", {**at, "delta": text})
            self.add("response.reasoning_summary_text.done", {**at, "text": text})
            self.add("response.reasoning_summary_part.done", {**at, "part": part})

    def _add_part(self, part: JSONObject, at: JSONObject) -> None:
        known = _TEXTS.get(find_type(part))
        if known is None:
            self.add("response.content_part.added", {**at, "part": part})
            self.add("response.content_part.done", {**at, "part": part})
            return
        field, event, beside = known
        text, annotations = part.get(field, ""), as_objects(part.get("annotations"))
        begun = {**part, field: ""} | {n: [] for n in ("annotations", "logprobs") if n in part}
        beside = {name: part.get(name) or empty for name, empty in beside.items()}
        self.add("response.content_part.added", {**at, "part": begun})
        if text:
            self.add(f"{event}.delta", {**at, "delta": text, **beside})
        for number, annotation in enumerate(annotations):
            self.add_annotation(annotation, {**at, "annotation_index": number})
        self.add(f"{event}.done", {**at, field: text, **beside})
        self.add("response.content_part.done", {**at, "part": part})

    def add_annotation(self, annotation: JSONObject, at: JSONObject) -> None:
        """Writes the event of an annotation of a text."""
        self.add("response.output_text.annotation.added", {**at, "annotation": annotation})

    def replay(self, body: bytes) -> None:
        """Writes the events of a whole response."""
        response = _OBJECT.decode(body)
        begun = {
            **response,
            "status": "in_progress",
            "completed_at": None,
            "error": None,
            "incomplete_details": None,
            "output": [],
            "usage": None,
        }
        self.add("response.created", {"response": begun})
        self.add("response.in_progress", {"response": begun})
        for index, item in enumerate(as_objects(response.get("output"))):
            self.add_item(item, index)
        status = response.get("status")
        end = status if status in _ENDS else "completed"
        self.add(f"response.{end}", {"response": response})


def find_type(fields: JSONObject) -> str:
    """The type of an item or a part; empty where a provider gave it none that is a text."""
    return as_text(fields.get("type")) or ""
