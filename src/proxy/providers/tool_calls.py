"""Tells the tool calls of a streamed answer apart, whatever their pieces are marked with."""

from hashlib import sha256

import msgspec
from msgspec import Struct, structs

from proxy.core.collect import LIMIT
from proxy.core.messages import ToolCallDelta
from proxy.providers.garbage import UNREADABLE, garbage, is_readable, unreadable
from proxy.providers.target import Target

UNSAID = -1
"""The index of a piece whose provider gives it none."""


def make_call_id(*seed: object) -> str:
    """An id for a tool call whose provider gave none: the same for the same call, so that a
    repeated request and the cache give the same."""
    return f"call_{sha256(repr(seed).encode()).hexdigest()[:24]}"


def read_arguments(target: Target, data: bytes) -> str:
    """The arguments of a call, without spaces between them; an empty object where nothing or null
    is there. Raises Fault for what is no object."""
    if not data or data == b"null":
        return "{}"
    try:
        text = msgspec.json.format(data, indent=-1).decode()
    except UNREADABLE as error:
        raise unreadable(target, error, data) from error
    if not text.startswith("{"):
        raise garbage(target, "A call's arguments are no object", data)
    return text


class _StreamedCall(Struct):
    index: int
    """Its place among the answer's calls, as callers see it."""
    at: int
    """The index that the provider gives it, or UNSAID."""
    id: str | None
    """The id that the provider gives it."""
    type: str
    named: bool = False
    arguments: list[str] = []


class ToolCalls:
    """The calls so far. A piece belongs to the call of its id; without one, or with an id that is
    not known, to the call of its index; without either, a name begins a call and all else goes
    on with the last. A name under a new id begins a call, also where an index is used again.
    """

    def __init__(self) -> None:
        self._calls: list[_StreamedCall] = []
        self._room = LIMIT

    def __bool__(self) -> bool:
        return bool(self._calls)

    def place(self, piece: ToolCallDelta, answer_id: object) -> ToolCallDelta:
        """The piece as OpenAI sends it: under an index of the call's own, with the id (one is
        made where the provider gives none) and the name once, where the call begins."""
        call, id_ = self._find(piece), None
        if call is None:
            call = self._begin(piece)
            id_ = piece.id or make_call_id(answer_id, call.index, piece.name, piece.arguments)
        call.id = call.id or piece.id
        name = None if call.named else piece.name
        call.named = call.named or bool(name)
        if piece.arguments and self._room >= 0:
            self._room -= len(piece.arguments)
            call.arguments.append(piece.arguments)
        return structs.replace(piece, index=call.index, id=id_, name=name, type=call.type)

    def fill(self) -> tuple[ToolCallDelta, ...]:
        """The arguments of the calls that have none, once all has come: an empty object."""
        empty = [call for call in self._calls if call.type == "function" and not call.arguments]
        for call in empty:
            call.arguments.append("{}")
        return tuple(ToolCallDelta(index=call.index, arguments="{}") for call in empty)

    @property
    def are_whole(self) -> bool:
        """Whether each call has a name and arguments that end."""
        return self._room >= 0 and all(call.named and _is_whole(call) for call in self._calls)

    def _find(self, piece: ToolCallDelta) -> _StreamedCall | None:
        """The call that a piece belongs to, None where it begins one."""
        known = reversed(self._calls)
        if piece.id and (same := next((c for c in known if c.id == piece.id), None)):
            return same
        if piece.index == UNSAID:
            return self._calls[-1] if self._calls and not piece.name else None
        call = next((c for c in reversed(self._calls) if c.at == piece.index), None)
        if call and piece.id and piece.name and call.named:
            return None
        return call

    def _begin(self, piece: ToolCallDelta) -> _StreamedCall:
        taken = {call.index for call in self._calls}
        index = piece.index
        if index == UNSAID or index in taken:
            index = max(taken, default=-1) + 1
        call = _StreamedCall(index=index, at=piece.index, id=piece.id, type=piece.type)
        self._calls.append(call)
        return call


def _is_whole(call: _StreamedCall) -> bool:
    if call.type != "function":
        return True
    return is_readable("".join(call.arguments).encode() or b"{}")
