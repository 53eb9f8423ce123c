"""Reads streams of OpenAI's dialect, with what its speakers make of it: errors as events of their
own or inside a chunk, usage sent once, twice or three times, signs of life and warnings between
the chunks, calls without an index.
"""

from functools import partial
from typing import Any

from msgspec import structs

from proxy.core.chat import Chunk, Form
from proxy.core.errors import Fault
from proxy.core.json_guard import decode_leniently
from proxy.core.loose_json import as_text
from proxy.core.sse import Event
from proxy.providers.alike import Alike
from proxy.providers.faults import read_inner_fault
from proxy.providers.finish import check_finish, infer_finish, read_finish
from proxy.providers.garbage import decode
from proxy.providers.openai_answer import (
    COMPLETION,
    NO_REPORT,
    Choice,
    Completion,
    MessagePiece,
    is_native,
    read_answer,
    read_message,
    read_report,
)
from proxy.providers.openai_form import FormReader, without_usage
from proxy.providers.stream import EventReader, is_done
from proxy.providers.surrogates import Halves, has_halves, mend
from proxy.providers.target import Target
from proxy.providers.thinking import Thinking
from proxy.providers.tool_calls import ToolCalls
from proxy.providers.usage import UsageReport


class OpenAIReader(EventReader):
    """Reads the events of a stream of `chat.completion.chunk`.

    It is finished when a finish reason has come, or `[DONE]` after an answer that is whole and
    counted: some providers leave the reason out where a tool is called.
    """

    read_answer = staticmethod(read_answer)
    passes_on = True
    """Whether chunks keep their bytes."""
    learns = True

    def __init__(self, target: Target) -> None:
        super().__init__(target)
        self._thinking = Thinking(target.spec.reasoning_tag)
        self._calls = ToolCalls()
        self._halves = Halves()
        self._form = FormReader()
        self._inline = self.passes_on
        """Whether reasoning that stands in the text goes on there: all its bytes do so far."""
        self._answered = False
        self._counted = False
        self._alike: Alike | None = None
        self._alike_chunk = Chunk()
        """The chunk of text that the next ones are like."""

    def read_run(self, stream: bytes) -> bytes:
        """Reads chunks of text that are like the one before, all as one."""
        if self._alike is None or self._halves or self.over:
            return stream
        text, size = self._alike.read_run(stream)
        if size:
            self._add_text(text, stream[len(b"data: ") : size - len(b"\n\n")])
        return stream[size:]

    def read_event(self, event: Event) -> bool:
        """Reads a chunk, an error or the mark of the end."""
        if event.name == "error":
            raise self.read_error_event(event.data)
        alike = None if self._halves else self._alike
        if alike and (text := alike.read(event.data)) is not None:
            self._add_text(text, event.data)
            return True
        if not is_done(event):
            return self.read_chunk(event.data)
        self.over = True
        self.read_done()
        return True

    def read_error_event(self, data: bytes) -> Fault:
        """The fault that an event holds."""
        return read_inner_fault(self.target, data)

    def read_done(self) -> None:
        """Takes `[DONE]` for the finish reason of an answer that is whole and counted."""
        if self.finished or not self._counted or not (self.called or self._answered):
            return
        if self._calls.are_whole:
            self.read_choice(Completion(), Choice(finish_reason=infer_finish(self.called)))

    def read_chunk(self, data: bytes) -> bool:
        """Whether it is a chunk. Raises Fault."""
        halves = data if has_halves(data) else None
        data = mend(data)
        chunk = decode(self.target, COMPLETION, data)
        report = read_report(self.target, chunk)
        if chunk.is_error:
            if report.usage:
                self.chunks.append(Chunk(usage=report.usage, usage_only=True))
            raise self.read_error_event(data)
        if chunk.choices:
            halved = _read_message(decode_leniently(halves)["choices"][0]) if halves else None
            self.read_choice(chunk, chunk.choices[0], report, data, halved)
            self._learn(data)
        elif report.usage or chunk.choices is not None:
            self._add(
                chunk,
                data if report.is_sound else None,
                usage=report.usage,
                usage_only=report.usage is not None,
                form=self._read_form(data, report),
            )
        else:
            return False
        return True

    @property
    def called(self) -> bool:
        """Whether the model has called a tool."""
        return bool(self._calls)

    def read_choice(
        self,
        chunk: Completion,
        choice: Choice,
        report: UsageReport = NO_REPORT,
        data: bytes | None = None,
        halved: MessagePiece | None = None,
    ) -> None:
        """Reads the choice of a chunk. data: the chunk's bytes, if they may go on; halved: the
        message with the halves of characters that it holds."""
        check_finish(self.target, choice.finish_reason, choice.error)
        if isinstance(choice.index, int) and choice.index:  # of several answers the first counts
            self._add(chunk, data if report.is_sound else None, usage=report.usage)
            return
        message = read_message(choice.delta or choice.message or {})
        if halved or self._halves:
            message = self._join(message, halved or message, last=bool(choice.finish_reason))
        calls = tuple(self._calls.place(call, chunk.id) for call in message.calls)
        finish = read_finish(choice.finish_reason, self.called)
        text, thought = self._thinking.feed(message.text or "", last=finish is not None)
        if finish:
            self.finished = True
            calls += self._calls.fill()
        as_openai = message.native and calls == tuple(message.calls)
        native = as_openai and is_native(chunk, choice, finish, report)
        self._inline = self._inline and native
        self._answered = self._answered or bool(text or message.refusal)
        self._add(
            chunk,
            data if native else None,
            text=text,
            reasoning=message.reasoning + thought,
            refusal=message.refusal,
            tool_calls=calls,
            finish_reason=finish,
            usage=report.usage,
            logprobs=choice.logprobs,
            extra=message.extra,
            form=self._read_form(data, report, message.reasoning_fields),
        )

    def _learn(self, data: bytes) -> None:
        """Learns how the next pieces of text look, from a chunk that is nothing else."""
        chunk = self.chunks[-1]
        plain = Chunk(text=chunk.text, model=chunk.model, id=chunk.id, raw=chunk.raw)
        if chunk.text and chunk.raw and chunk == plain and self._thinking.is_over:
            self._alike = Alike.learn(data, chunk.text)
            self._alike_chunk = chunk
            self.learns = self._alike is None

    def _add_text(self, text: str, raw: bytes) -> None:
        """Adds a chunk that is like the one before."""
        like, kept = self._alike_chunk, raw if self.passes_on else None
        self.chunks.append(Chunk(text=text, model=like.model, id=like.id, raw=kept))

    def _join(self, message: MessagePiece, halved: MessagePiece, *, last: bool) -> MessagePiece:
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

    def _read_form(
        self, data: bytes | None, report: UsageReport, reasoning: tuple[str, ...] = ()
    ) -> Form | None:
        """What is new of the answer's form; where bytes do not go on, it is the proxy's own."""
        if data is None or not self.passes_on:
            return None
        inline = self._thinking.inline if self._inline else ""
        form = self._form.read(data, reasoning, inline)
        return form if form is None or report.is_sound else without_usage(form)

    def _add(self, chunk: Completion, raw: bytes | None, **fields: Any) -> None:
        """Adds a chunk. Its bytes go on in one line, also where they came in several."""
        kept = raw.replace(b"\n", b" ") if raw and self.passes_on else None
        self._counted = self._counted or fields.get("usage") is not None
        model, id_ = as_text(chunk.model), as_text(chunk.id)
        self.chunks.append(Chunk(model=model, id=id_, raw=kept, **fields))


def _read_message(choice: dict[str, Any]) -> MessagePiece:
    return read_message(choice.get("delta") or choice.get("message") or {})
