"""The input items of OpenAI's Responses as messages of a conversation.

What the model said stands in several items (its reasoning, its text, each call), which are one
message together. Items of tools that OpenAI's own servers ran are left out; items that no other
dialect has a place for bind the request to a provider of Responses.
"""

from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec import Raw, Struct

from proxy.core.errors import InvalidRequest, invalid
from proxy.core.messages import NOTHING, FunctionCall, JSONObject, Message, Part, Role, ToolCall
from proxy.core.splice import ITEMS, NULL
from proxy.dialects import reading
from proxy.dialects.responses_parts import PartReader
from proxy.dialects.responses_references import ItemHead, item_not_found
from proxy.dialects.responses_tools import OfferedTools, flat_name
from proxy.dialects.seal import MARK, ProviderState, unseal

HOSTED = frozenset({
    "web_search_call", "file_search_call", "code_interpreter_call", "image_generation_call",
    "mcp_call", "mcp_list_tools", "mcp_approval_request", "tool_search_call", "program",
})  # fmt: skip
"""What tools did that the provider itself ran."""
_CALLS = {"function_call": "function", "custom_tool_call": "custom"}
_OUTPUTS = ("function_call_output", "custom_tool_call_output")
_TOOL_LISTS = ("additional_tools", "tool_search_output")


class Item(ItemHead, frozen=True):
    """An item of any type. What several types have in several forms is read by its type."""

    content: Raw = NOTHING
    call_id: str | None = None
    name: str | None = None
    namespace: str | None = None
    arguments: Raw = NOTHING
    input: Raw = NOTHING
    output: Raw = NOTHING
    summary: Raw = NOTHING
    encrypted_content: str | None = None
    tools: Raw = NOTHING
    reasoning: Raw = NOTHING
    text: Raw = NOTHING

    @property
    def is_foreign(self) -> bool:
        """Of reasoning: as in `Conversation.foreign`."""
        if self.encrypted_content:
            return self.encrypted_content.startswith(MARK)
        return (self.id or "").startswith("rs_")


class _Thought(Struct, frozen=True):
    text: str = ""


_ROLE = msgspec.json.Decoder(Role)
_STRING = msgspec.json.Decoder(str)
_THOUGHTS = msgspec.json.Decoder(tuple[_Thought, ...])
_OFFERED = msgspec.json.Decoder(OfferedTools)
_OBJECT = msgspec.json.Decoder(dict[str, Any])


class Turn:
    """What the model said between two items of others."""

    def __init__(self) -> None:
        self.parts: list[Part] = []
        self.calls: list[ToolCall] = []
        self._thoughts: list[str] = []
        self._state: JSONObject = {}
        self._call_states: dict[str, JSONObject] = {}
        self._own_reasoning: list[JSONObject] = []

    def think(self, item: Item, raw: Raw, path: str) -> None:
        """Takes a reasoning item in: its text, and the state that stands sealed in it."""
        if text := _read_thoughts(item, path):
            self._thoughts.append(text)
        sealed = item.encrypted_content
        if not sealed:
            return
        if not sealed.startswith(MARK):
            self._own_reasoning.append(reading.decode(_OBJECT, raw, path))
        elif state := unseal(sealed):  # a later state holds what an earlier one of the turn held
            self._state |= state.message
            self._call_states |= state.calls

    def message(self) -> Message | None:
        """The turn as one message; None where nothing was said or called."""
        if not (self.parts or self.calls):
            return None
        alone = self.parts[0] if len(self.parts) == 1 else None
        is_text = alone is not None and alone.type == "text"
        if self._own_reasoning:
            self._state["openai"] = {"reasoning": self._own_reasoning}
        said = Message(
            role="assistant",
            content=alone.text if alone and is_text else tuple(self.parts) or None,
            tool_calls=tuple(self.calls) or None,
            reasoning_content="\n\n".join(self._thoughts) or None,
        )
        state = ProviderState(self._state, self._call_states)
        return said if state.is_empty else state.restore(said)


class Conversation:
    """What the items of a request come to."""

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self.offered: list[tuple[Sequence[Any], str]] = []
        """The tools that items bring, and where they stand."""
        self.settings: list[Item] = []
        """The items that change the request's settings."""
        self.dropped: list[str] = []
        """The types of the items that were left out."""
        self.unread: list[Raw] = []
        """What has no place in the messages, but an effect at a provider of Responses."""
        self.unread_at: list[int] = []
        """Where it stands among the items."""
        self.native_only = ""
        """As in ChatRequest."""
        self.foreign: set[int] = set()
        """Where reasoning stands that no provider of Responses can take: another's, or such as
        OpenAI has under its id only, if at all."""
        self._turn: Turn | None = None
        self._parts = PartReader()
        self._given = NOTHING
        self._raws: tuple[Raw, ...] = ()

    def say(self, role: Role, text: str) -> None:
        """Adds a message of text."""
        self.messages.append(Message(role, text))

    def read(self, items: Sequence[Item], given: Raw) -> None:
        """Reads the items. given: their bytes. Raises InvalidRequest, NotFound for a reference to
        an item."""
        self._given = given
        for index, item in enumerate(items):
            self._read(item, index, f"input[{index}]")
        self._end_turn()
        self.native_only = self.native_only or self._parts.native_only

    def _read(self, item: Item, index: int, path: str) -> None:
        kind = item.type
        if item.is_reference:
            raise item_not_found(item.id or "")
        if kind is None or kind == "message":
            self._read_message(item, path)
        elif kind in _CALLS:
            self._open_turn().calls.append(_read_call(item, path))
        elif kind in _OUTPUTS:
            self._read_output(item, path)
        elif kind == "reasoning":
            self._open_turn().think(item, self._raw(index), path)
            if item.is_foreign:
                self.foreign.add(index)
        elif kind in _TOOL_LISTS:
            tools = reading.decode(_OFFERED, _given(item.tools, b"[]"), f"{path}.tools")
            self.offered.append((tools, f"{path}.tools"))
            self._keep_unread(index)
        elif kind == "configuration_update":
            self.settings.append(item)
        else:
            self._keep_unread(index)
            self._leave_out(kind, path)

    def _raw(self, index: int) -> Raw:
        """The bytes of an item."""
        self._raws = self._raws or ITEMS.decode(self._given)
        return self._raws[index]

    def _keep_unread(self, index: int) -> None:
        self.unread.append(self._raw(index))
        self.unread_at.append(index)

    def _leave_out(self, kind: str, path: str) -> None:
        if kind in HOSTED:
            self.dropped.append(kind)
        elif not self.native_only:
            self.native_only = (
                f"{path}.type: only a provider of OpenAI's Responses can take {kind[:40]!r}"
            )

    def _read_message(self, item: Item, path: str) -> None:
        if not item.role:
            raise invalid(f"{path}.role", "Missing")
        role = reading.decode(_ROLE, item.role, f"{path}.role")
        if role == "tool":
            raise invalid(f"{path}.role", "Send a function_call_output")
        if not item.content or item.content == NULL:
            raise invalid(f"{path}.content", "Missing")
        content = self._parts.read(item.content, f"{path}.content")
        if role == "assistant":
            turn_parts = (Part("text", content),) if isinstance(content, str) else content
            self._open_turn().parts += [part for part in turn_parts if part.text != ""]
            return
        self._end_turn()
        self.messages.append(Message(role, content))

    def _read_output(self, item: Item, path: str) -> None:
        if not item.call_id:
            raise invalid(f"{path}.call_id", "Missing; it says which tool call this output answers")
        self._end_turn()
        content = self._parts.read(_given(item.output, b'""'), f"{path}.output")
        self.messages.append(Message("tool", content, tool_call_id=item.call_id))

    def _open_turn(self) -> Turn:
        self._turn = self._turn or Turn()
        return self._turn

    def _end_turn(self) -> None:
        turn, self._turn = self._turn, None
        if turn and (message := turn.message()):
            self.messages.append(message)


def check_conversation(messages: Sequence[Message]) -> None:
    """Raises InvalidRequest for a conversation in which nothing is said."""
    if not any(message.content or message.tool_calls for message in messages):
        raise InvalidRequest("input: All is empty", param="input")


def _read_call(item: Item, path: str) -> ToolCall:
    if not item.call_id:
        raise invalid(f"{path}.call_id", "Missing")
    if not item.name:
        raise invalid(f"{path}.name", "Missing")
    kind = _CALLS[item.type or ""]
    field = "input" if kind == "custom" else "arguments"
    given = item.input if kind == "custom" else item.arguments
    text = reading.decode(_STRING, _given(given, b'""'), f"{path}.{field}")
    name = flat_name(item.name, item.namespace)
    called = FunctionCall(name, text if kind == "custom" else text or None)
    return ToolCall(item.call_id, called, kind)


def _read_thoughts(item: Item, path: str) -> str:
    """The text of a reasoning item: all of it where it is there, else its summary."""
    content = reading.decode(_THOUGHTS, _given(item.content, b"[]"), f"{path}.content")
    if content:
        return "".join(thought.text for thought in content)
    summary = reading.decode(_THOUGHTS, _given(item.summary, b"[]"), f"{path}.summary")
    return "\n\n".join(thought.text for thought in summary)


def _given(raw: Raw, otherwise: bytes) -> Raw:
    """The field, `otherwise` where it is null or not there."""
    return Raw(otherwise) if not raw or raw == NULL else raw
