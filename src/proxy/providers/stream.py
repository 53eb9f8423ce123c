"""Reads streamed answers: cuts the bytes into events, and decides when a fault comes out. What an
event says is for the provider's own EventReader."""

from abc import ABC, abstractmethod
from collections.abc import Iterator

from proxy.core.chat import Answer, Chunk
from proxy.core.errors import Fault
from proxy.core.sse import EVENT_LIMIT, Event, Parser
from proxy.providers.garbage import HEAD, garbage, is_readable
from proxy.providers.target import Target

LESSONS = 2
"""Events of a piece that are read by themselves: the first tells the role, the second is text."""


class EventReader(ABC):
    """Reads the events of one streamed answer."""

    learns = False
    """Whether `read_run` reads nothing until more events have been read one by one."""

    def __init__(self, target: Target) -> None:
        self.target = target
        self.chunks: list[Chunk] = []
        """What has been read and not yet been taken."""
        self.finished = False
        """Whether the provider said why it stopped."""
        self.over = False
        """Whether the provider said that this was all."""

    @classmethod
    def make_decoder(cls, target: Target) -> "StreamDecoder":
        """A decoder for one streamed answer."""
        return StreamDecoder(target, cls(target))

    def read_run(self, stream: bytes) -> bytes:
        """Reads the events with which a stream goes on, as far as it can read many at once; what is
        left of it, from an event on."""
        return stream

    @abstractmethod
    def read_event(self, event: Event) -> bool:
        """Whether it is an event of such a stream. Raises Fault for an error in the stream (with
        the kind that its status would have) and for what cannot be read (garbage)."""

    @staticmethod
    @abstractmethod
    def read_answer(target: Target, body: bytes) -> Answer:
        """Reads a whole answer. Raises Fault."""

    def read_whole(self, body: bytes) -> None:
        """Reads a body that is no event stream: some providers answer a request for a stream with
        JSON, a proxy in front of them with a page. Raises Fault."""
        self.chunks.append(to_chunk(self.read_answer(self.target, body)))
        self.finished = True

    def end(self) -> list[Chunk]:
        """The chunks that were held back to the end."""
        return []


class StreamDecoder:
    """Turns the bytes of one streamed answer into chunks."""

    def __init__(self, target: Target, reader: EventReader) -> None:
        self._target = target
        self._reader = reader
        self._parser = Parser(take=reader.read_run)
        self._head = b""
        self._plain: bytearray | None = None
        """The body so far, where it is no event stream."""
        self._any_event = False
        self._any_content = False
        self._any_chunk = False
        self._strange = b""
        """The first event that was passed over."""
        self._fault: Fault | None = None
        self.over = False
        """Whether nothing more need be read: the provider has said that this was all, or a fault
        waits. `end` gives what is left."""

    @property
    def finished(self) -> bool:
        """Whether the provider said why it stopped. A stream that ends without is broken."""
        return self._reader.finished

    @property
    def closed(self) -> bool:
        """Whether the provider has sent the mark that ends a stream of its dialect."""
        return self._reader.over

    def feed(self, data: bytes) -> list[Chunk]:
        """The chunks that `data` completes. A fault that comes after content waits for the
        next call, so that nothing before it is lost; one that comes without is raised at once,
        while another provider can still take over."""
        if self._fault:
            raise self._fault
        try:
            self._read(data)
        except Fault as fault:
            is_tail = self.finished and fault.kind == "garbage"  # makes no whole answer an error
            if not (is_tail or self._any_content):
                raise
            self._fault, self.over = None if is_tail else fault, True
        return self._take()

    def end(self) -> list[Chunk]:
        """The body has ended cleanly: the chunks still held back. Raises Fault, also where no event
        was a chunk."""
        if self._fault:
            raise self._fault
        if not self.over:
            self._read_rest()
        chunks = self._take()
        if self._strange and not (self.finished or self._any_chunk):
            raise garbage(self._target, "The stream holds no chunk", self._strange)
        return chunks + self._reader.end()

    def _read(self, data: bytes) -> None:
        if not self._any_event and len(self._head) < HEAD:
            self._head += data[:HEAD]
            if self._plain is None and self._head.lstrip().startswith((b"{", b"[", b"<")):
                self._plain = bytearray()
        if self._plain is None:
            for part in self._cut(data):
                for event in self._parser.feed(part):
                    self._read_event(event)
            return
        self._plain += data
        if len(self._plain) > EVENT_LIMIT:
            raise garbage(self._target, f"It is over {EVENT_LIMIT} bytes", self._head, "proxy")

    def _cut(self, data: bytes) -> Iterator[bytes]:
        """The data, its first events by themselves as long as the reader learns: then it reads the
        others at once."""
        for _ in range(LESSONS):
            end = data.find(b"\n\n") + len(b"\n\n")
            if not self._reader.learns or end == 1:
                break
            yield data[:end]
            data = data[end:]
        yield data

    def _read_rest(self) -> None:
        if self._plain is not None:
            self._reader.read_whole(bytes(self._plain))
            return
        for event in self._parser.feed(b"\n\n"):  # some servers forget the last empty line
            if is_readable(event.data) or is_done(event):
                self._read_event(event)  # a connection that breaks leaves half an event
        if not self._any_event:
            raise garbage(self._target, "The stream holds no event", self._head)

    def _read_event(self, event: Event) -> None:
        if self.over or not event.data.strip():  # what comes after the end, a sign of life
            return
        self._any_event = True
        try:
            known = self._reader.read_event(event)
        except Fault as fault:
            if fault.kind != "garbage" or not (self.finished or _is_strange(event)):
                raise
            known = False
        self.over = self._reader.over
        if not known:
            self._strange = self._strange or event.data

    def _take(self) -> list[Chunk]:
        taken, self._reader.chunks = self._reader.chunks, []
        self._any_chunk = self._any_chunk or bool(taken)
        self._any_content = self._any_content or any(chunk.has_content for chunk in taken)
        return taken


def is_done(event: Event) -> bool:
    """Whether it is the mark that ends a stream of OpenAI's dialect."""
    return event.data.strip().startswith(b"[DONE]")


_ANSWERS = ("message", "content_block", "response", "error")
"""How the names of the events begin that an answer consists of."""


def _is_strange(event: Event) -> bool:
    """Whether an event that can't be read may be passed over: it has a name of its own, or is
    JSON that is no object."""
    if event.name and not event.name.startswith(_ANSWERS):
        return True
    return not event.data.lstrip().startswith(b"{") and is_readable(event.data)


def to_chunk(answer: Answer) -> Chunk:
    """A whole answer as the one chunk of a stream."""
    return Chunk(
        text=answer.text or "",
        reasoning=answer.reasoning or "",
        refusal=answer.refusal or "",
        tool_calls=tuple(call.as_delta(n) for n, call in enumerate(answer.tool_calls)),
        finish_reason=answer.finish_reason,
        usage=answer.usage,
        model=answer.model,
        id=answer.id,
        logprobs=answer.logprobs,
        extra=answer.extra,
        form=answer.form,
        native=answer.native,
    )
