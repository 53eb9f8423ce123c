"""Puts the chunks of a streamed answer together again, for the closing event, the accounting
and the cache."""

from typing import TypeVar

from msgspec import structs

from proxy.core.chat import Answer, Chunk, Form, Native, Usage
from proxy.core.messages import FunctionCall, JSONObject, ToolCall, ToolCallDelta

T = TypeVar("T")

LIMIT = 8 * 1024 * 1024
"""Bytes that a streamed answer may take while it is kept."""
PIECE = 64
"""Bytes that a text or a number takes beside its characters."""
_CALL = 400
"""Bytes that a call takes beside its texts."""


class _Call:
    def __init__(self, type_: str) -> None:
        self.id = ""
        self.name = ""
        self.type = type_
        self.arguments: list[str] = []
        self.extra_content: JSONObject | None = None

    @property
    def text(self) -> str:
        """The arguments; those of a function are an object, the input of others any text."""
        return "".join(self.arguments) or ("{}" if self.type == "function" else "")


class Collector:
    """Holds what has been streamed so far; `answer` may be called at any time.

    Beyond `limit` bytes of memory what is kept is dropped (`overflowed`): the stream goes on, only
    the usage and the finish reason are still taken in.
    """

    def __init__(self, limit: int = LIMIT) -> None:
        self.overflowed = False
        self.characters = 0
        """How many came, those that were dropped too."""
        self.size = 0
        """Bytes of memory that what is kept takes, about."""
        self._limit = limit
        self._text: list[str] = []
        self._reasoning: list[str] = []
        self._refusal: list[str] = []
        self._calls: dict[int, _Call] = {}
        self._logprobs: JSONObject = {}
        self._extra: JSONObject = {}
        self._form: Form | None = None
        self._native: Native | None = None
        self.finish_reason: str | None = None
        self.usage: Usage | None = None
        self.model: str | None = None
        self.id: str | None = None

    def add(self, chunk: Chunk) -> None:
        """Takes in the next chunk. Usage that comes several times is counted once: providers
        repeat it, some with a closing zero, so the largest stands."""
        if self._is_text(chunk):
            self._append(self._text, chunk.text)
            self.characters += len(chunk.text)
        else:
            self._add(chunk)
        if self.size > self._limit:
            self.overflow()

    def _add(self, chunk: Chunk) -> None:
        form = chunk.form
        if chunk.usage and (self.usage is None or chunk.usage.total >= self.usage.total):
            self.usage = chunk.usage
        elif form and form.usage:
            form = structs.replace(form, usage=None)
        if chunk.finish_reason:
            self.finish_reason = chunk.finish_reason
        self.characters += len(chunk.text) + len(chunk.reasoning) + len(chunk.refusal)
        self.characters += sum(len(delta.arguments) for delta in chunk.tool_calls)
        if not self.overflowed:
            self._record(chunk)
            if form:
                self._record_form(form)

    def _is_text(self, chunk: Chunk) -> bool:
        """Whether a chunk is another piece of text and nothing else; most are."""
        return (
            chunk.form is None
            and chunk.usage is None
            and chunk.finish_reason is None
            and chunk.model is self.model
            and chunk.id is self.id
            and not (chunk.tool_calls or chunk.reasoning or chunk.refusal)
            and not (chunk.extra or chunk.logprobs or chunk.native or self.overflowed)
        )

    def overflow(self) -> None:
        """Drops what is kept, and keeps nothing any more."""
        self.overflowed = True
        self.size = 0
        for pieces in (self._text, self._reasoning, self._refusal):
            pieces.clear()
        for fields in (self._calls, self._logprobs, self._extra):
            fields.clear()
        self._form = self._native = None

    def _record_form(self, form: Form) -> None:
        parts = (form.completion, form.choice, form.usage, form.inline)
        self.size += sum(size_of(part) for part in parts if part)
        self._form = form if self._form is None else _joined(self._form, form)

    def _record(self, chunk: Chunk) -> None:
        self.model = self._in_place_of(self.model, chunk.model)
        self.id = self._in_place_of(self.id, chunk.id)
        self._append(self._text, chunk.text)
        self._append(self._reasoning, chunk.reasoning)
        self._append(self._refusal, chunk.refusal)
        for delta in chunk.tool_calls:
            self._record_call(delta)
        if isinstance(chunk.logprobs, dict):
            self._extend(self._logprobs, chunk.logprobs)
        if chunk.extra:
            self._extend(self._extra, chunk.extra)
        if chunk.native:
            self._native = chunk.native
            self.size += len(chunk.native.body)

    def _append(self, pieces: list[str], text: str) -> None:
        if text:
            pieces.append(text)
            self.size += PIECE + len(text) * (1 if text.isascii() else 4)

    def _in_place_of(self, old: T, new: T | None) -> T:
        """The newer value, if there is any; the newer object, too: by that `_is_text` knows it."""
        if not new:
            return old
        if new != old:
            self.size += size_of(new) - (size_of(old) if old else 0)
        return new

    def _record_call(self, delta: ToolCallDelta) -> None:
        call = self._calls.get(delta.index)
        if call is None:
            call = self._calls[delta.index] = _Call(delta.type)
            self.size += _CALL
        call.id = call.id or self._in_place_of("", delta.id)
        call.name = call.name or self._in_place_of("", delta.name)
        self._append(call.arguments, delta.arguments)
        call.extra_content = self._in_place_of(call.extra_content, delta.extra_content)

    def _extend(self, into: JSONObject, fields: JSONObject) -> None:
        """Lists grow, anything else is replaced: how streamed fields of a message add up."""
        for key, value in fields.items():
            old = into.get(key)
            if isinstance(value, list) and isinstance(old, list):
                old.extend(value)
                self.size += size_of(value)
                continue
            self.size += size_of(value) - size_of(old) if key in into else size_of([key, value])
            # A list is copied, as it will grow: the chunk's own goes to the caller too.
            into[key] = list(value) if isinstance(value, list) else value

    def answer(self) -> Answer:
        """What has come so far as an answer."""
        calls = tuple(
            ToolCall(
                id=call.id,
                function=FunctionCall(name=call.name, arguments=call.text),
                type=call.type,
                extra_content=call.extra_content,
            )
            for _, call in sorted(self._calls.items())
        )
        return Answer(
            text="".join(self._text) if self._text or not calls else None,
            reasoning="".join(self._reasoning) or None,
            refusal="".join(self._refusal) or None,
            tool_calls=calls,
            finish_reason=self.finish_reason or "stop",
            usage=self.usage,
            model=self.model,
            id=self.id,
            logprobs=_copy(self._logprobs) or None,
            extra=_copy(self._extra),
            form=self._form,
            native=self._native,
        )


def _joined(form: Form, new: Form) -> Form:
    """What is known of the form, and what is new."""
    return Form(
        completion=form.completion | new.completion,
        choice=form.choice | new.choice,
        usage=new.usage or form.usage,
        reasoning=tuple(dict.fromkeys(form.reasoning + new.reasoning)),
        inline=form.inline or new.inline,
    )


def _copy(fields: JSONObject) -> JSONObject:
    """The fields, with lists that do not grow any more."""
    return {k: list(value) if isinstance(value, list) else value for k, value in fields.items()}


def size_of(value: object) -> int:
    """Bytes of memory that a decoded JSON value takes, about. It is as deep as core.json_guard
    lets pass."""
    if isinstance(value, str):
        return PIECE + len(value) * (1 if value.isascii() else 4)
    if isinstance(value, list):
        return PIECE + 8 * len(value) + sum(map(size_of, value))
    if isinstance(value, dict):
        size = 2 * PIECE + (PIECE + 32) * len(value) + sum(map(size_of, value.values()))
        names = "".join(value)
        return size + len(names) * (1 if names.isascii() else 4)
    return PIECE // 2 + (value.bit_length() // 8 if isinstance(value, int) else 0)
