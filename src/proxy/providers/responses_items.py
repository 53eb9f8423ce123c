"""Builds the input items of a Responses request from the messages of a conversation. What is large
stays where it is.
"""

from collections.abc import Sequence
from itertools import zip_longest
from typing import Any

from msgspec import Raw, Struct

from proxy.core import splice
from proxy.core.chat import ChatRequest
from proxy.core.errors import invalid
from proxy.core.json_guard import Decoder
from proxy.core.loose_json import as_object, as_objects
from proxy.core.messages import NOTHING, Message, Part, ToolCall
from proxy.core.splice import Piece, find_large_texts
from proxy.providers.garbage import UNREADABLE
from proxy.providers.openai_request import fit_id
from proxy.providers.target import Target

Item = dict[str, Any]

_FILE_FIELDS = ("file_data", "file_url", "file_id", "filename")
_FORMS = {"function": ("function_call", "arguments"), "custom": ("custom_tool_call", "input")}
"""By the type of a call: the type of its item, and the field of what it is called with."""


class _SaidPart(Struct):
    refusal: str = ""


class _Said(Struct):
    content: list[_SaidPart]


_SAID = Decoder(_Said)


def build_items(target: Target, chat: ChatRequest) -> list[Item]:
    """The items. Raises InvalidRequest for a part that this dialect lacks."""
    items: list[Item] = []
    raws: Sequence[Raw] = chat.raw_messages if chat.dialect == "chat" else ()
    calls = [call for message in chat.messages for call in message.tool_calls or ()]
    kinds = {call.id: call.type for call in calls if target.spec.custom_tools}
    for number, (message, raw) in enumerate(zip_longest(chat.messages, raws)):
        content = _Content(message, raw, chat.dialect == "responses", f"messages[{number}].content")
        if message.role == "assistant":
            items += _build_turn(target, message, content)
        elif message.role == "tool":
            id_ = message.tool_call_id or ""
            kind, _ = _FORMS.get(kinds.get(id_, ""), _FORMS["function"])
            result = {"type": f"{kind}_output", "call_id": fit_id(id_, target.spec)}
            items.append({**result, "output": content.build()})
        elif said := content.build():
            role = target.spec.roles.get(message.role, message.role)
            items.append({"role": role, "content": said})
    return items


def _build_turn(target: Target, message: Message, content: "_Content") -> list[Item]:
    """The turn of a model: its reasoning where the provider knows it, its words, its calls.
    Reasoning that nothing follows is refused."""
    turn: list[Item] = []
    if said := content.build_parts("output_text"):
        turn.append({"role": "assistant", "content": said})
    turn += (_build_call(target, call) for call in message.tool_calls or ())
    return [*_list_reasoning(target, message), *turn] if turn else []


def _list_reasoning(target: Target, message: Message) -> list[Item]:
    """The reasoning of the provider's own turn, as it came."""
    own = as_object((message.extra_content or {}).get(target.spec.name))
    return [item for item in as_objects(own.get("reasoning")) if item.get("type") == "reasoning"]


def _build_call(target: Target, call: ToolCall) -> Item:
    if not target.spec.custom_tools:
        call = call.as_function_call()
    kind, field = _FORMS.get(call.type, _FORMS["function"])
    text = call.function.arguments or ("" if call.type == "custom" else "{}")
    id_ = fit_id(call.id, target.spec)
    return {"type": kind, "call_id": id_, "name": call.function.name, field: text}


class _Content(Struct):
    """The content of a message."""

    message: Message
    raw: Raw | None
    """The message's own bytes, if they are in OpenAI's form."""
    is_own: bool
    """Whether the caller speaks this dialect, in which a part may be of any type."""
    place: str

    def build(self) -> str | Piece | list[Item]:
        """As text where it is a text, else as parts."""
        content = self.message.content
        if isinstance(content, str):
            large = next(iter(find_large_texts(self.message, self.raw)), None)
            return content if large is None else Piece(large)
        return self.build_parts("input_text")

    def build_parts(self, text_type: str) -> list[Item]:
        """The parts, less those that hold nothing. text_type: that of a text."""
        texts = find_large_texts(self.message, self.raw)
        return [
            self._build_part(part, number, texts[number], text_type)
            for number, part in enumerate(self.message.parts)
            if part.type != "text" or part.text
        ]

    def _build_part(
        self, part: Part, number: int, large: memoryview | None, text_type: str
    ) -> Item:
        """large: the JSON string of its text or URL, where that is not to be copied."""
        if part.type == "text":
            return {"type": text_type, "text": part.text if large is None else Piece(large)}
        if part.type == "image_url" and part.image_url:
            url: str | Piece = part.image_url.url if large is None else Piece(large)
            detail = part.image_url.detail or "auto"
            return {"type": "input_image", "image_url": url, "detail": detail}
        if part.type == "input_audio" and part.input_audio is not NOTHING:
            return {"type": "input_audio", "input_audio": splice.wrap(part.input_audio)}
        if part.file is not NOTHING and (part.type == "file" or self.is_own):
            return self._build_file(part, number)
        if part.type == "refusal" and self.raw is not None:
            return {"type": "refusal", "refusal": _SAID.decode(self.raw).content[number].refusal}
        place = f"{self.place}[{number}]"
        raise invalid(place, f"The Responses API takes no part of type {part.type!r}.")

    def _build_file(self, part: Part, number: int) -> Item:
        """A file, or a part of the caller's own that has no form in chat completions."""
        try:
            fields = splice.FIELDS.decode(part.file)
        except UNREADABLE as error:
            place = f"{self.place}[{number}].file"
            raise invalid(place, "It is no JSON object.") from error
        known = _FILE_FIELDS if part.type == "file" else tuple(fields)
        kept = {name: splice.wrap(raw) for name, raw in fields.items() if name in known}
        return {**kept, "type": "input_file" if part.type == "file" else part.type}
