"""Puts back what was masked, in whole answers and in streams."""

import json
import re
from bisect import bisect
from collections.abc import Iterable, Mapping
from contextlib import suppress
from itertools import repeat
from typing import Any

from msgspec import structs

from proxy.core.chat import Answer, Chunk, Native
from proxy.core.json_guard import is_json
from proxy.core.messages import ToolCall, ToolCallDelta
from proxy.privacy.masking import PLACEHOLDER
from proxy.privacy.nesting import Nesting
from proxy.privacy.scanning import Scanner

VALUE_BYTES = 64
"""What a value takes beside its text, in thirds."""


MOST_RESTORED = 4 * 1024 * 1024
"""Characters that are put back for a request: a model may write the placeholder of a long value, a
private key, thousands of times. What is beyond stays masked."""


class Restoring:
    """What the placeholders of one request stand for.

    Promise: the work of a text does not grow with how many there are, and what is put back is at
    most MOST_RESTORED characters.
    """

    def __init__(self, values: Mapping[str, str]) -> None:
        """values: at least one, by placeholder."""
        self.values = {placeholder: _clean(value) for placeholder, value in values.items()}
        self._names = sorted(self.values)
        self.longest = max(map(len, self.values))
        self._room = MOST_RESTORED
        self.answers_json = False
        """Whether the answer's text is to be JSON."""

    @property
    def size(self) -> int:
        """What the values take of the memory, as a body counts (core.body_memory)."""
        return VALUE_BYTES * len(self.values) + sum(map(len, self.values.values()))

    def restore_text(self, text: str, escapes: Iterable[int] = repeat(0)) -> str:
        """A text with the values in place. escapes: of each placeholder in it, how many strings of
        JSON it stands in."""
        times = iter(escapes)

        def put_back(found: re.Match[str]) -> str:
            value, depth = self.values.get(found[0]), next(times, 1)
            return found[0] if value is None else self._escape(value, depth) or found[0]

        return PLACEHOLDER.sub(put_back, text)

    def _escape(self, value: str, times: int) -> str:
        """A value in so many strings of JSON; empty where there is no room for it."""
        for _ in range(times):
            if len(value) > self._room:
                break
            value = json.dumps(value, ensure_ascii=False)[1:-1]
        if len(value) > self._room:
            return ""
        self._room -= len(value)
        return value

    def restore_json(self, data: bytes) -> bytes:
        """JSON with the values in place, also in strings that are JSON themselves."""
        text = data.decode("utf-8", "surrogateescape")
        if not self._holds(text):
            return data
        pieces: list[str] = []
        at = 0
        for token in Scanner(text).tokens():
            if token.is_string and self._holds(token.text):
                restored = self.restore_text(token.text, _find_depths(token.text))
                pieces += (text[at : token.start], restored)
                at = token.end
        return ("".join(pieces) + text[at:]).encode("utf-8", "surrogateescape")

    def restore_answer(self, answer: Answer) -> Answer:
        """A whole answer with the values in place; it loses its provider's bytes."""
        text, native = answer.text, answer.native
        return structs.replace(
            answer,
            raw=None,
            text=text and self.restore_text(text, _depths_in(text, is_json=self.answers_json)),
            reasoning=answer.reasoning and self.restore_text(answer.reasoning),
            refusal=answer.refusal and self.restore_text(answer.refusal),
            tool_calls=tuple(map(self._restore_call, answer.tool_calls)),
            extra=self.restore_value(answer.extra),
            native=native and self.restore_native(native),
        )

    def restore_native(self, native: Native) -> Native:
        """A provider's own form with the values in place."""
        return structs.replace(native, body=self.restore_json(native.body))

    def _restore_call(self, call: ToolCall) -> ToolCall:
        given = call.function.arguments or ""
        arguments = self.restore_text(given, _depths_in(given, is_json=call.type == "function"))
        return structs.replace(call, function=structs.replace(call.function, arguments=arguments))

    def restore_value(self, value: Any) -> Any:
        """A decoded JSON value with the values in place."""
        return json.loads(self.restore_json(json.dumps(value).encode())) if value else value

    def could_begin(self, text: str) -> int:
        """Characters at the end of a text that may be the beginning of a placeholder."""
        at = text.rfind("[", max(0, len(text) - self.longest + 1))
        if at < 0:
            return 0
        begun = text[at:]
        following = self._names[bisect(self._names, begun) :][:1]
        return len(begun) if following and following[0].startswith(begun) else 0

    def _holds(self, text: str) -> bool:
        return any(found[0] in self.values for found in PLACEHOLDER.finditer(text))


class _Channel:
    """One text that comes in pieces. What may be the beginning of a placeholder waits."""

    def __init__(self, restoring: Restoring, *, is_json: bool) -> None:
        """is_json: whether the text is JSON."""
        self._restoring = restoring
        self._nesting = Nesting() if is_json else None
        self.waiting = ""

    def feed(self, piece: str) -> str:
        """What can go on, now that a piece has come."""
        if not piece and not self.waiting:
            return ""
        text = self.waiting + piece
        held = self._restoring.could_begin(text)
        ready, self.waiting = text[: len(text) - held], text[len(text) - held :]
        if self._nesting is None:
            return self._restoring.restore_text(ready)
        return self._restoring.restore_text(ready, _go_through(self._nesting, ready))

    def flush(self) -> str:
        """What waits: it was no placeholder."""
        waiting, self.waiting = self.waiting, ""
        if self._nesting:
            self._nesting.feed(waiting)
        return waiting


_TEXTS = ("reasoning", "text", "refusal")


class StreamRestoring:
    """Puts back what was masked in the chunks of one stream, which lose their providers' bytes."""

    def __init__(self, restoring: Restoring) -> None:
        self._restoring = restoring
        json_text = "text" if restoring.answers_json else ""
        self._texts = {name: _Channel(restoring, is_json=name == json_text) for name in _TEXTS}
        self._calls: dict[int, _Channel] = {}

    def restore(self, chunk: Chunk) -> list[Chunk]:
        """The chunks that can go on, now that one has come."""
        is_last = chunk.finish_reason is not None
        coming = {name for name in _TEXTS if getattr(chunk, name)}
        before = self._flush_others(coming, bool(chunk.tool_calls), is_last=is_last)
        fields: dict[str, Any] = {
            name: self._texts[name].feed(getattr(chunk, name)) for name in coming
        }
        calls = tuple(map(self._restore_call, chunk.tool_calls))
        native = chunk.native and self._restoring.restore_native(chunk.native)
        extra = self._restoring.restore_value(chunk.extra)
        restored = structs.replace(
            chunk, raw=None, tool_calls=calls, native=native, extra=extra, **fields
        )
        if is_last:
            return [*before, *self._end(restored)]
        return [*before, restored]

    def flush(self) -> list[Chunk]:
        """What waits at the end."""
        texts = {name: channel.flush() for name, channel in self._texts.items()}
        chunks = [_say(name, text) for name, text in texts.items() if text]
        calls = tuple(
            ToolCallDelta(index=index, arguments=channel.flush())
            for index, channel in self._calls.items()
            if channel.waiting
        )
        return [*chunks, Chunk(tool_calls=calls)] if calls else chunks

    def _flush_others(self, coming: set[str], calls: bool, *, is_last: bool) -> list[Chunk]:
        """What waits of other texts than those of which a piece comes now, which follow it."""
        if not (coming or calls or is_last):
            return []
        waiting = {n: c.flush() for n, c in self._texts.items() if n not in coming and c.waiting}
        return [_say(name, text) for name, text in waiting.items()]

    def _restore_call(self, delta: ToolCallDelta) -> ToolCallDelta:
        channel = self._calls.get(delta.index)
        if channel is None:
            channel = _Channel(self._restoring, is_json=delta.type == "function")
            self._calls[delta.index] = channel
        return structs.replace(delta, arguments=channel.feed(delta.arguments))

    def _end(self, last: Chunk) -> list[Chunk]:
        """The last chunk, before which nothing waits any more."""
        content = structs.replace(last, finish_reason=None, usage=None, form=None, native=None)
        waiting = self.flush()
        if not waiting:
            return [last]
        return [
            content,
            *waiting,
            Chunk(
                finish_reason=last.finish_reason,
                usage=last.usage,
                id=last.id,
                model=last.model,
                form=last.form,
                native=last.native,
            ),
        ]


def _say(name: str, text: str) -> Chunk:
    return structs.replace(Chunk(), **{name: text})


def _go_through(nesting: Nesting, text: str) -> list[int]:
    """How deep each placeholder of the next piece of a JSON text stands."""
    depths: list[int] = []
    at = 0
    for found in PLACEHOLDER.finditer(text):
        nesting.feed(text[at : found.start()])
        depths.append(max(nesting.depth, 1))
        nesting.feed(found[0])
        at = found.end()
    nesting.feed(text[at:])
    return depths


def _depths_in(text: str, *, is_json: bool) -> list[int]:
    """How deep each placeholder of a whole text stands."""
    return _go_through(Nesting(), text) if is_json else [0] * len(PLACEHOLDER.findall(text))


def _find_depths(inner: str) -> list[int]:
    """How deep each placeholder stands in a string of JSON, with its escapes: deeper where the
    string holds JSON itself."""
    if inner.lstrip()[:1] in ("{", "["):
        with suppress(ValueError):
            text = json.loads(f'"{inner}"')
            if is_json(text.encode()):
                return [1 + depth for depth in _go_through(Nesting(), text)]
    return [1] * len(PLACEHOLDER.findall(inner))


def _clean(value: str) -> str:
    """A value that UTF-8 can hold, with its surrogates joined."""
    return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
