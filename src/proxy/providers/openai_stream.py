"""Reads streams of OpenAI's dialect, with what its speakers make of it: errors as events of their
own or inside a chunk, usage told once, twice or three times, signs of life and warnings between
the chunks, calls without an index.
"""

from functools import partial
from typing import Any

from msgspec import structs

from proxy.core.chat import Chunk, Form
from proxy.core.errors import Fault
from proxy.core.nesting import decode_leniently
from proxy.core.sse import Event
from proxy.providers import faults
from proxy.providers.adapter import Target
from proxy.providers.openai_answer import (
    Choice,
    Completion,
    Message,
    answer,
    check,
    decoded,
    ended,
    finish_of,
    is_error,
    is_native,
    read_message,
    text_of,
    usage_of,
)
from proxy.providers.openai_form import FormReader
from proxy.providers.surrogates import Halves, has_halves, mend
from proxy.providers.tool_calls import ToolCalls
from proxy.providers.usage import Report
from proxy.providers.wire import DONE_DATA, StreamDecoder, Thinking, as_chunk

NO_REPORT = Report()


class Decoder(StreamDecoder):
    """Reads a stream of `chat.completion.chunk` events.

    It is finished when a finish reason has come, or `[DONE]` after an answer that is whole and
    counted: some providers leave the reason out where a tool is called.
    """

    passes_on = True
    """Whether chunks keep their bytes."""

    def __init__(self, target: Target) -> None:
        super().__init__(target)
        self._thinking = Thinking()
        self._calls = ToolCalls()
        self._halves = Halves()
        self._form = FormReader()
        self._inline = self.passes_on
        """Whether reasoning that stands in the text goes on there: all its bytes do so far."""
        self._answered = False
        self._counted = False

    def event(self, event: Event) -> None:
        """Reads a chunk, an error or the mark of the end."""
        if event.name == "error":
            raise self.fault(event.data)
        if event.data.strip().startswith(DONE_DATA):
            self.over = True
            self.done()
            return
        self.read(event.data)

    def whole(self, body: bytes) -> None:
        """Reads a whole answer that came in place of a stream."""
        self.out.append(as_chunk(answer(self.target, body)))
        self.finished = True

    def fault(self, data: bytes) -> Fault:
        """The fault that an event tells."""
        return faults.fault(self.target, faults.read(data))

    def done(self) -> None:
        """Takes `[DONE]` for the finish reason of an answer that is whole and counted."""
        if self.finished or not self._counted or not (self.called or self._answered):
            return
        if self._calls.are_whole:
            self.read_choice(Completion(), Choice(finish_reason=ended(self.called)))

    def read(self, data: bytes) -> None:
        """Reads one event. Raises Fault."""
        halves = data if has_halves(data) else None
        data = mend(data)
        told = decoded(self.target, data)
        report = usage_of(self.target, told)
        used = report.usage
        if is_error(told):
            if used:
                self.out.append(Chunk(usage=used, usage_only=True))
            raise self.fault(data)
        if told.choices:
            halved = _message(decode_leniently(halves)["choices"][0]) if halves else None
            self.read_choice(told, told.choices[0], report, data, halved)
        elif used or told.choices is not None:
            kept, form = (data if report.is_sound else None), self._news(data, report)
            self._add(told, kept, usage=used, usage_only=used is not None, form=form)
        else:
            self.pass_over(data)

    @property
    def called(self) -> bool:
        """Whether the model has called a tool."""
        return bool(self._calls)

    def read_choice(
        self,
        told: Completion,
        choice: Choice,
        report: Report = NO_REPORT,
        data: bytes | None = None,
        halved: Message | None = None,
    ) -> None:
        """Reads the choice of a chunk. data: the chunk's bytes, if they may go on; halved: the
        message with the halves of characters that it holds."""
        check(self.target, choice)
        if isinstance(choice.index, int) and choice.index:  # of several answers the first counts
            self._add(told, data if report.is_sound else None, usage=report.usage)
            return
        message = read_message(choice.delta or choice.message or {})
        if halved or self._halves:
            message = self._joined(message, halved or message, last=bool(choice.finish_reason))
        calls = tuple(self._calls.place(call, told.id) for call in message.calls)
        text, thought = self._thinking.feed(message.text or "")
        if finish := finish_of(choice, self.called):
            self.finished = True
            rest, rest_thought = self._thinking.end()
            text, thought = text + rest, thought + rest_thought
            calls += self._calls.fill()
        as_told = message.native and calls == tuple(message.calls)
        native = as_told and is_native(told, choice, finish, report)
        self._inline = self._inline and native
        self._answered = self._answered or bool(text or message.refusal)
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
            form=self._news(data, report, message.reasoning_fields),
        )

    def _joined(self, message: Message, halved: Message, *, last: bool) -> Message:
        """The message with the halves of its characters joined. last: the answer ends with it."""
        join = partial(self._halves.join, last=last)
        return structs.replace(
            message,
            native=False,
            text=join("text", halved.text or ""),
            reasoning=join("reasoning", halved.reasoning),
            refusal=join("refusal", halved.refusal),
            calls=[
                structs.replace(call, arguments=join(call.index, piece.arguments))
                for call, piece in zip(message.calls, halved.calls or message.calls, strict=True)
            ],
        )

    def _news(
        self, data: bytes | None, report: Report, reasoning: tuple[str, ...] = ()
    ) -> Form | None:
        """What is new of the answer's form; where bytes do not go on, it is the proxy's own."""
        if data is None or not self.passes_on:
            return None
        inline = self._thinking.inline if self._inline else ""
        form = self._form.read(data, reasoning, inline)
        return form if form is None or report.is_sound else structs.replace(form, usage=None)

    def _add(self, told: Completion, raw: bytes | None, **fields: Any) -> None:
        """Adds a chunk. Its bytes go on in one line, also where they came in several."""
        kept = raw.replace(b"\n", b" ") if raw and self.passes_on else None
        self._counted = self._counted or fields.get("usage") is not None
        self.out.append(
            Chunk(
                model=text_of(told.model),
                id=text_of(told.id),
                raw=kept,
                **fields,
            )
        )


def _message(choice: dict[str, Any]) -> Message:
    return read_message(choice.get("delta") or choice.get("message") or {})
