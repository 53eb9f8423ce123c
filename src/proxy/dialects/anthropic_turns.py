"""Reads the conversation of a Messages request as core.messages has it.

The results of tools come first out of a user's message, each as a message of its own, then what
else the user says. Thinking is kept for the provider that it is from, as `extra_content`.
"""

from collections.abc import Callable

import msgspec
from msgspec import Raw, Struct

from proxy.core.errors import invalid
from proxy.core.messages import FunctionCall, JSONObject, Message, Part, Role, ToolCall
from proxy.dialects.anthropic_body import CONTENT, Block, Blocks, Content, Turn, decode
from proxy.dialects.anthropic_parts import BlockReader, Findings
from proxy.dialects.seal import ProviderState, unseal

_ATTRIBUTION = "x-anthropic-billing-header"
"""Begins a line of Claude Code's own in the system's words, which says nothing to a model and may
change with each request."""


class _Turn(Struct):
    content: Raw


_TURNS = msgspec.json.Decoder(tuple[_Turn, ...])


class Conversation:
    """Reads the turns of a body. fields: the body's; shorten: gives the name by which other
    providers know a tool."""

    def __init__(
        self, fields: dict[str, Raw], findings: Findings, shorten: Callable[[str], str]
    ) -> None:
        self._fields = fields
        self._findings = findings
        self._shorten = shorten
        self._messages: list[Message] = []

    def read(self, system: Content | None, turns: tuple[Turn, ...]) -> tuple[Message, ...]:
        """The messages. Raises InvalidRequest."""
        if system:
            self._add_words("system", system, "system", lambda: self._fields["system"])
        for number, turn in enumerate(turns):
            self._read_turn(turn, number)
        if not any(m.content or m.tool_calls for m in self._messages if m.role != "system"):
            raise invalid("messages", "at least one message must have non-empty content")
        return tuple(self._messages)

    def _read_turn(self, turn: Turn, number: int) -> None:
        path = f"messages.{number}.content"

        def find() -> Raw:
            return _TURNS.decode(self._fields["messages"])[number].content

        if isinstance(turn.content, str) or turn.role == "system":
            self._add_words(turn.role, turn.content, path, find)
        elif turn.role == "assistant":
            self._messages.append(self._read_answer(turn.content, path, find))
        else:
            self._read_user(turn.content, path, find)

    def _add_words(self, role: Role, content: Content, path: str, find: Callable[[], Raw]) -> None:
        """Adds a message without calls or results."""
        if isinstance(content, str):
            self._messages.append(Message(role, content))
            return
        reader = BlockReader(path, find, self._findings)
        parts = [
            part
            for index, block in enumerate(content)
            if not (role == "system" and (block.text or "").startswith(_ATTRIBUTION))
            for part in reader.read(block, index)
        ]
        if parts:
            self._messages.append(Message(role, _join(parts)))

    def _read_user(self, blocks: Blocks, path: str, find: Callable[[], Raw]) -> None:
        reader = BlockReader(path, find, self._findings)
        parts: list[Part] = []
        for index, block in enumerate(blocks):
            if block.type == "tool_result":
                self._add_result(block, f"{path}.{index}")
            else:
                parts += reader.read(block, index)
        if parts:
            self._messages.append(Message("user", _join(parts)))

    def _add_result(self, block: Block, path: str) -> None:
        """Adds a tool's result."""
        id_ = block.tool_use_id
        if not id_:
            raise invalid(f"{path}.tool_use_id", "Field required")
        self._findings.drop("cache_control", block.cache_control)
        content = decode(CONTENT, block.content, f"{path}.content") if block.content else ""
        if isinstance(content, str):
            parts = [Part(type="text", text=content)]
        else:
            raw = block.content
            parts = BlockReader(f"{path}.content", lambda: raw, self._findings).read_all(content)
        if block.cache_control is not None and parts:
            marked = msgspec.structs.replace(parts[-1], cache_control=block.cache_control)
            parts = [*parts[:-1], marked]
        self._messages.append(
            Message("tool", _join(parts), tool_call_id=id_, is_error=bool(block.is_error))
        )

    def _read_answer(self, blocks: Blocks, path: str, find: Callable[[], Raw]) -> Message:
        reader = BlockReader(path, find, self._findings)
        parts: list[Part] = []
        calls: list[ToolCall] = []
        thoughts: list[Block] = []
        for index, block in enumerate(blocks):
            if block.type == "tool_use":
                calls.append(self._read_call(block, f"{path}.{index}"))
            elif block.type in ("thinking", "redacted_thinking"):
                thoughts.append(block)
            else:
                parts += reader.read(block, index)
        message = Message(
            "assistant",
            _join(parts) if parts or not calls else None,
            tool_calls=tuple(calls) or None,
            reasoning_content="\n\n".join(filter(None, (b.thinking for b in thoughts))) or None,
        )
        return self._restore(message, thoughts) if thoughts else message

    def _read_call(self, block: Block, path: str) -> ToolCall:
        for field, value in (("id", block.id), ("name", block.name)):
            if not value:
                raise invalid(f"{path}.{field}", "Field required")
        self._findings.drop("cache_control", block.cache_control)
        raw = bytes(block.input or b"{}").decode()
        if not raw.startswith("{"):
            raise invalid(f"{path}.input", "Input should be a valid dictionary")
        called = FunctionCall(self._shorten(block.name or ""), raw)
        return ToolCall(id=block.id or "", function=called)

    def _restore(self, message: Message, thoughts: list[Block]) -> Message:
        """The message with what its provider wants back. Of several sealed states the last holds
        all that those before it do. Thinking without a signature is nobody's state."""
        own: list[JSONObject] = []
        states: list[ProviderState] = []
        for block in thoughts:
            sealed = block.signature if block.type == "thinking" else block.data
            state = unseal(sealed or "")
            if state is not None:
                states.append(state)
            elif sealed and block.type == "thinking":
                kept = {"thinking": block.thinking or "", "signature": sealed}
                own.append({"type": block.type, **kept})
            elif sealed:
                own.append({"type": block.type, "data": sealed})
        if own:
            extra = {"anthropic": {"thinking_blocks": own}}
            message = msgspec.structs.replace(message, extra_content=extra)
        for state in reversed(states):
            self._findings.is_sealed = True
            message = state.restore(message)
        return message


def _join(parts: list[Part]) -> str | tuple[Part, ...]:
    """The parts as content: a single plain text as itself."""
    if not parts:
        return ""
    only = parts[0]
    if len(parts) == 1 and only.type == "text" and only.cache_control is None:
        return only.text or ""
    return tuple(parts)
