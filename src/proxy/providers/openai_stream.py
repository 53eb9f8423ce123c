"""Reads streams of OpenAI's dialect, with what its speakers make of it: errors as events of their
own or inside a chunk, usage told once, twice or three times, calls without an index.
"""

from typing import Any

from msgspec import structs

from proxy.core.chat import Chunk, ToolCallDelta
from proxy.core.sse import Event
from proxy.providers import faults
from proxy.providers.adapter import Target
from proxy.providers.openai_answer import (
    Choice,
    Completion,
    answer,
    check,
    decoded,
    finish_of,
    is_native,
    read_message,
    text_of,
    usage_of,
)
from proxy.providers.usage import Report
from proxy.providers.wire import DONE_DATA, StreamDecoder, Thinking, as_chunk, call_id


class Decoder(StreamDecoder):
    """Reads a stream of `chat.completion.chunk` events.

    It is finished when a finish reason has come: no provider of this dialect sends `[DONE]`
    without one, so that `[DONE]` alone is the end of a broken answer.
    """

    passes_on = True
    """Whether chunks keep their bytes."""

    def __init__(self, target: Target) -> None:
        super().__init__(target)
        self._thinking = Thinking()
        self._last_call = -1

    def event(self, event: Event) -> None:
        """Reads a chunk, an error or the mark of the end."""
        if event.name == "error":
            self._fail(event.data)
        elif event.data.strip() != DONE_DATA:
            self.read_chunk(event.data)

    def whole(self, body: bytes) -> None:
        """Reads a whole answer that came in place of a stream."""
        self.out.append(as_chunk(answer(self.target, body)))
        self.finished = True

    def read_chunk(self, data: bytes) -> None:
        """Reads one chunk."""
        told = decoded(self.target, data)
        report = usage_of(self.target, told)
        used = report.usage
        if told.error:
            if used:
                self.out.append(Chunk(usage=used, usage_only=True))
            self._fail(data)
        elif told.choices:
            self.read_choice(told, told.choices[0], report, data)
        elif used or told.choices is not None:
            kept = data if report.is_sound else None
            self._add(told, kept, usage=used, usage_only=used is not None)
        else:
            raise faults.garbage(self.target, "A chunk has no choices", data)

    @property
    def called(self) -> bool:
        """Whether the model has called a tool."""
        return self._last_call >= 0

    def read_choice(self, told: Completion, choice: Choice, report: Report, data: bytes) -> None:
        """Reads the choice of a chunk. data: the chunk's bytes."""
        check(self.target, choice)
        if choice.index not in (None, 0):  # of several answers the first one counts
            self._add(told, data if report.is_sound else None, usage=report.usage)
            return
        message = read_message(choice.delta or choice.message or {})
        text, thought = self._thinking.feed(message.text or "")
        placed = all(call.index >= 0 for call in message.calls)
        calls = tuple(self._placed(call, told.id) for call in message.calls)
        finish = finish_of(choice, self.called)
        if finish:
            self.finished = True
            rest, rest_thought = self._thinking.end()
            text, thought = text + rest, thought + rest_thought
        native = message.native and placed and is_native(told, choice, report)
        self._add(
            told,
            data if native else None,
            text=text,
            reasoning=message.reasoning + thought,
            refusal=message.refusal,
            tool_calls=calls,
            finish_reason=finish,
            usage=report.usage,
            logprobs=choice.logprobs,
            extra=message.extra,
        )

    def _fail(self, data: bytes) -> None:
        """Raises the fault that an event tells; what is complete no error takes back."""
        if not self.finished:
            raise faults.fault(self.target, faults.read(data))

    def _placed(self, call: ToolCallDelta, answer_id: Any) -> ToolCallDelta:
        """A piece of a call with its index and, at its beginning, an id."""
        index = call.index
        if index < 0:  # not told: a name begins the next call
            index = self._last_call + 1 if call.name else max(self._last_call, 0)
        self._last_call = max(self._last_call, index)
        made = call_id(answer_id, index, call.name, call.arguments) if call.name else None
        return structs.replace(call, index=index, id=call.id or made)

    def _add(self, told: Completion, raw: bytes | None, **fields: Any) -> None:
        kept = raw if self.passes_on else None
        model, id_ = text_of(told.model), text_of(told.id)
        self.out.append(Chunk(model=model, id=id_, raw=kept, **fields))
