"""Builds the turns of a conversation as Messages wants them: user and assistant in turn, the
results of tools in front of all else that the user says, the system's words before the conversation
or, where the model takes that, after a turn of the user's.
"""

import re
from collections.abc import Sequence
from hashlib import sha256
from itertools import zip_longest
from typing import Any

from msgspec import Raw

from proxy.core.chat import ChatRequest
from proxy.core.json_guard import Decoder
from proxy.core.loose_json import as_object, as_objects
from proxy.core.messages import Message, ToolCall
from proxy.providers.anthropic_parts import Block, build_blocks
from proxy.providers.garbage import UNREADABLE
from proxy.providers.target import Target

THINKING = ("thinking", "redacted_thinking")
"""Blocks that go back in front of all others, as they came."""
_ID = re.compile(r"[a-zA-Z0-9_-]{1,256}")
_ARGUMENTS = Decoder(dict[str, Raw])
_BEGIN: dict[str, Any] = {"role": "user", "content": [{"type": "text", "text": "."}]}
"""Stands before a conversation that begins with the assistant's turn; a blank one is refused."""


def build_conversation(
    target: Target, chat: ChatRequest
) -> tuple[list[Block], list[dict[str, Any]]]:
    """The system prompt's blocks, and the messages. Raises InvalidRequest."""
    system: list[Block] = []
    turns = _Turns(late_system=target.model.late_system)
    raws: Sequence[Raw] = chat.raw_messages if chat.dialect == "chat" else ()
    for number, (message, raw) in enumerate(zip_longest(chat.messages, raws)):
        blocks = build_blocks(message, raw, chat.dialect, f"messages[{number}]")
        if message.role in ("system", "developer"):
            if turns.begun:
                turns.add_note(blocks)
            else:
                system += blocks
        elif message.role == "assistant":
            calls = map(_build_call, message.tool_calls or ())
            turns.add_answer([*_list_thinking(target, message), *blocks, *calls])
        elif message.role == "tool":
            turns.add_result(_build_result(message, blocks))
        else:
            turns.add(blocks)
    messages = turns.finish()
    if not messages:  # no instruction alone is answered
        return [], [{"role": "user", "content": system}]
    return system, messages


class _Turns:
    """The turns so far. What the user's side says is held until the assistant's turn."""

    def __init__(self, *, late_system: bool) -> None:
        self._late_system = late_system
        self._messages: list[dict[str, Any]] = []
        self._results: list[Block] = []
        self._blocks: list[Block] = []
        self._notes: list[Block] = []
        """The system's words within the conversation."""

    @property
    def begun(self) -> bool:
        """Whether anybody but the system has spoken."""
        return bool(self._messages or self._results or self._blocks)

    def add(self, blocks: list[Block]) -> None:
        """Adds what the user says."""
        self._blocks += blocks

    def add_result(self, block: Block) -> None:
        """Adds a tool's result."""
        self._results.append(block)

    def add_note(self, blocks: list[Block]) -> None:
        """Adds the system's words: a model that takes them nowhere but at the beginning gets them
        as a marked text of the user's."""
        if self._late_system:
            self._notes += blocks
            return
        for block in blocks:
            begin, end = {"type": "text", "text": "<system>"}, {"type": "text", "text": "</system>"}
            self._blocks += (begin, block, end)

    def add_answer(self, blocks: list[Block]) -> None:
        """Adds the assistant's turn."""
        if not blocks:
            return
        self._end_turn()
        last = self._messages[-1] if self._messages else _BEGIN
        if last["role"] == "assistant":
            last["content"] += blocks
            return
        if not self._messages:
            self._messages.append(_BEGIN)
        self._messages.append({"role": "assistant", "content": blocks})

    def finish(self) -> list[dict[str, Any]]:
        """The messages. The text of a last turn of the assistant's, which the model goes on with,
        must not end with white space."""
        self._end_turn()
        last = self._messages[-1] if self._messages else _BEGIN
        block = last["content"][-1]
        if last["role"] == "assistant" and isinstance(block.get("text"), str):
            block["text"] = block["text"].rstrip()
        return self._messages

    def _end_turn(self) -> None:
        content = self._results + self._blocks
        notes = self._notes
        if not content:
            content, notes = notes, []
        if content:
            self._messages.append({"role": "user", "content": content})
        if notes:
            self._messages.append({"role": "system", "content": notes})
        self._results, self._blocks, self._notes = [], [], []


def _list_thinking(target: Target, message: Message) -> list[Block]:
    """The thinking of the provider's own turn, as it came."""
    own = as_object((message.extra_content or {}).get(target.spec.name))
    blocks = as_objects(own.get("thinking_blocks"))
    return [block for block in blocks if block.get("type") in THINKING]


def _build_call(call: ToolCall) -> Block:
    call = call.as_function_call()
    text = call.function.arguments or "{}"
    arguments: Any = {"arguments": text}
    try:
        data = text.encode(errors="surrogatepass")
        _ARGUMENTS.decode(data)
        arguments = Raw(data)
    except UNREADABLE:
        pass  # what another model wrote may be anything
    id_ = _fit_id(call.id)
    return {"type": "tool_use", "id": id_, "name": call.function.name, "input": arguments}


def _build_result(message: Message, blocks: list[Block]) -> Block:
    """A tool's result. A mark for the cache stands on the result, not within it."""
    block: Block = {"type": "tool_result", "tool_use_id": _fit_id(message.tool_call_id or "")}
    marks = [part.pop("cache_control") for part in blocks if "cache_control" in part]
    if blocks:
        block["content"] = blocks
    if message.is_error:
        block["is_error"] = True
    if marks:
        block["cache_control"] = marks[-1]
    return block


def _fit_id(id_: str) -> str:
    """A call's id as Messages allows it: another becomes its hash, so that the call and its result,
    and the same call in the next request, get the same one."""
    if _ID.fullmatch(id_):
        return id_
    return f"toolu_{sha256(id_.encode(errors='surrogatepass')).hexdigest()[:24]}"
