"""Puts the chunks of a streamed answer together again, for the closing event, the accounting
and the cache."""

from typing import Any

from proxy.core.chat import Answer, Chunk, FinishReason, FunctionCall, ToolCall, Usage


class _Call:
    def __init__(self) -> None:
        self.id = ""
        self.name = ""
        self.arguments: list[str] = []
        self.extra_content: dict[str, Any] | None = None


LIMIT = 8 * 1024 * 1024
"""Bytes that a streamed answer may take while it is kept."""
PIECE = 64
"""Bytes that a piece takes beside its characters."""


class Collector:
    """Holds what has been streamed so far; `answer` may be asked at any time.

    Beyond `limit` bytes of memory what is kept is dropped (`overflowed`): the stream goes on, only
    the usage and the finish reason are still taken in.
    """

    def __init__(self, limit: int = LIMIT) -> None:
        self.overflowed = False
        self.characters = 0
        """How many came, those that were dropped too."""
        self._left = limit
        self._text: list[str] = []
        self._reasoning: list[str] = []
        self._refusal: list[str] = []
        self._calls: dict[int, _Call] = {}
        self._logprobs: list[Any] = []
        self._extra: dict[str, Any] = {}
        self.finish_reason: FinishReason | None = None
        self.usage: Usage | None = None
        self.model: str | None = None
        self.id: str | None = None

    def add(self, chunk: Chunk) -> None:
        """Takes in the next chunk. Usage that comes several times is counted once: providers
        repeat it, some with a closing zero, so the largest stands."""
        if chunk.usage and (self.usage is None or chunk.usage.total >= self.usage.total):
            self.usage = chunk.usage
        self.finish_reason = chunk.finish_reason or self.finish_reason
        self.model = chunk.model or self.model
        self.id = chunk.id or self.id
        for text in (chunk.text, chunk.reasoning, chunk.refusal):
            self._count(text)
        for delta in chunk.tool_calls:
            self._count(delta.arguments)
        if self._left >= 0:
            self._record(chunk)
        elif not self.overflowed:
            self.overflowed = True
            for pieces in (self._text, self._reasoning, self._refusal, self._logprobs):
                pieces.clear()
            self._calls.clear()
            self._extra.clear()

    def _count(self, text: str) -> None:
        if text:
            self.characters += len(text)
            self._left -= PIECE + len(text) * (1 if text.isascii() else 4)

    def _record(self, chunk: Chunk) -> None:
        if chunk.text:
            self._text.append(chunk.text)
        if chunk.reasoning:
            self._reasoning.append(chunk.reasoning)
        if chunk.refusal:
            self._refusal.append(chunk.refusal)
        for delta in chunk.tool_calls:
            call = self._calls.setdefault(delta.index, _Call())
            call.id = call.id or delta.id or ""
            call.name = call.name or delta.name or ""
            call.arguments.append(delta.arguments)
            call.extra_content = delta.extra_content or call.extra_content
        if chunk.logprobs:
            self._logprobs.append(chunk.logprobs)
        if chunk.extra:
            _extend(self._extra, chunk.extra)

    def answer(self) -> Answer:
        """What has come so far as one answer."""
        calls = tuple(
            ToolCall(
                id=call.id,
                function=FunctionCall(name=call.name, arguments="".join(call.arguments) or "{}"),
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
            logprobs=_join_logprobs(self._logprobs),
            extra=self._extra,
        )


def _extend(into: dict[str, Any], extra: dict[str, Any]) -> None:
    """Lists grow, anything else is replaced: how streamed fields of a message add up."""
    for key, value in extra.items():
        if isinstance(value, list) and isinstance(into.get(key), list):
            into[key] = [*into[key], *value]
        else:
            into[key] = value


def _join_logprobs(pieces: list[Any]) -> Any:
    joined: dict[str, Any] = {}
    for piece in pieces:
        if isinstance(piece, dict):
            _extend(joined, piece)
    return joined or None
