"""What the adapters share: the reading of streams, inline thinking, made-up call ids, vectors."""

import base64
import struct
from abc import ABC, abstractmethod
from collections.abc import Sequence
from hashlib import sha256
from typing import Literal

from proxy.core.chat import Answer, Chunk, EmbeddingRequest
from proxy.core.errors import Fault
from proxy.core.nesting import Decoder
from proxy.core.sse import EVENT_LIMIT, Event, Parser
from proxy.providers import faults
from proxy.providers.adapter import Target
from proxy.providers.surrogates import mend

Vector = tuple[float, ...] | str
"""An embedding: floats, or base64 of little-endian float32."""

VECTOR_VALUES = 1_000_000
"""Numbers in an answer of embeddings: each takes some 20 bytes of an isolate's 128 MB."""
_ANY = Decoder(object)
DONE_DATA = b"[DONE]"
"""What ends a stream of OpenAI's dialect."""
SEEN = 1024 * 1024
"""Characters of inline reasoning that are kept as they stood."""
_OPEN, _CLOSE = "<think>", "</think>"


class StreamDecoder(ABC):
    """Takes one streamed answer apart. A provider's own decoder adds to `out` what each event
    says, and what a body says that is no event stream at all: some providers answer a
    request for a stream with JSON, a proxy in front of them with a page."""

    finished: bool = False
    over: bool = False

    def __init__(self, target: Target) -> None:
        self.target = target
        self.out: list[Chunk] = []
        self._parser = Parser()
        self._head = b""
        self._plain: bytearray | None = None
        self._any_event = False
        self._any_content = False
        self._any_chunk = False
        self._strange = b""
        """The first event that was passed over."""
        self._fault: Fault | None = None

    @abstractmethod
    def event(self, event: Event) -> None:
        """Reads one event. Raises Fault."""

    @abstractmethod
    def whole(self, body: bytes) -> None:
        """Reads a body that is no event stream. Raises Fault."""

    def feed(self, data: bytes) -> list[Chunk]:
        """The chunks that `data` completes. A fault that comes after content waits for the
        next call, so that nothing told before it is lost; one that comes without is raised
        at once, while another provider can still take over."""
        if self._fault:
            raise self._fault
        try:
            self._read(data)
        except Fault as fault:
            if self.finished and fault.kind == "garbage":  # no tail makes a whole answer an error
                self.over = True
                return self._taken()
            if not self._any_content:
                raise
            self._fault, self.over = fault, True
        return self._taken()

    def end(self) -> list[Chunk]:
        """The chunks that only the end of the body completes. Raises Fault, also where no event
        was a chunk."""
        chunks = self._end()
        if self._strange and not (self.finished or self._any_chunk):
            raise faults.garbage(self.target, "The stream holds no chunk", self._strange)
        return chunks

    def pass_over(self, data: bytes) -> None:
        """Takes note of an event that is no chunk."""
        self._strange = self._strange or data

    def _end(self) -> list[Chunk]:
        if self._fault:
            raise self._fault
        if self.over:
            return self._taken()
        if self._plain is not None:
            self.whole(bytes(self._plain))
            return self._taken()
        for event in self._parser.feed(b"\n\n"):  # some servers forget the last empty line
            if is_readable(event.data) or event.data.strip().startswith(DONE_DATA):
                self._pass(event)  # a connection that breaks leaves half an event
        if not self._any_event:
            raise faults.garbage(self.target, "The stream holds no event", self._head)
        return self._taken()

    def _read(self, data: bytes) -> None:
        if not self._any_event and len(self._head) < faults.HEAD:
            self._head += data[: faults.HEAD]
            if self._plain is None and self._head.lstrip().startswith((b"{", b"[", b"<")):
                self._plain = bytearray()
        if self._plain is None:
            for event in self._parser.feed(data):
                self._pass(event)
            return
        self._plain += data
        if len(self._plain) > EVENT_LIMIT:
            raise faults.garbage(
                self.target, f"It is over {EVENT_LIMIT} bytes", self._head, "proxy"
            )

    def _pass(self, event: Event) -> None:
        if self.over or not event.data.strip():  # what comes after the end, a sign of life
            return
        self._any_event = True
        try:
            self.event(event)
        except Fault as fault:
            if fault.kind != "garbage" or not (self.finished or _is_strange(event)):
                raise
            self.pass_over(event.data)

    def _taken(self) -> list[Chunk]:
        taken = self.out[:]
        self.out.clear()
        self._any_chunk = self._any_chunk or bool(taken)
        self._any_content = self._any_content or any(chunk.has_content for chunk in taken)
        return taken


class Thinking:
    """Parts the reasoning that some models write inline, `<think>…</think>` at the very start
    of their text, from the answer, however the text is cut into pieces. The white space
    around either belongs to neither."""

    def __init__(self) -> None:
        self._stage: Literal["before", "inside", "after", "done"] = "before"
        self._held = ""
        self._spaces: list[str] = []
        """What follows `_held` and is white space: joined once, with what comes after it."""
        self._begun = False
        self._seen: list[str] = []
        self._room = SEEN
        self.inline = ""
        """The reasoning as it stood before the text, tags and white space included, once both
        are parted; empty where that is longer than SEEN."""

    def feed(self, text: str) -> tuple[str, str]:
        """The answer's text and the reasoning that `text` completes."""
        if self._stage == "done":
            return text, ""
        self._room -= len(text)
        if self._room >= 0:
            self._seen.append(text)
        if not text or text.isspace():
            self._spaces.append(text)
            return "", ""
        self._join(text)
        if self._stage == "before":
            lead = self._held.lstrip()
            if lead.startswith(_OPEN):
                self._stage, self._held = "inside", lead[len(_OPEN) :]
            elif not _OPEN.startswith(lead):
                return self.end()
        thought = self._thought() if self._stage == "inside" else ""
        if self._stage == "after":
            self._held = self._held.lstrip()
            if self._held:
                return self.end()[0], thought
        return "", thought

    def end(self) -> tuple[str, str]:
        """What was held back because a tag might have begun in it."""
        self._join("")
        held, self._held = self._held, ""
        stage, self._stage = self._stage, "done"
        if stage == "after" or (stage == "inside" and not self._begun):
            held = held.lstrip()
        text, thought = ("", held) if stage == "inside" else (held, "")
        if stage != "done" and self._room >= 0:
            seen = "".join(self._seen)
            self.inline = seen[: len(seen) - len(text)]
        self._seen.clear()
        return text, thought

    def _join(self, text: str) -> None:
        held = (self._held, *self._spaces, text)
        self._held = "".join(filter(None, held)) if any(held[:-1]) else text
        self._spaces.clear()

    def _thought(self) -> str:
        if not self._begun:
            self._held = self._held.lstrip()
        thought, closed, rest = self._held.partition(_CLOSE)
        if closed:
            self._stage, self._held = "after", rest
            return thought.rstrip()
        tag = next(n for n in range(len(_CLOSE) - 1, -1, -1) if thought.endswith(_CLOSE[:n]))
        sure = thought[: len(thought) - tag].rstrip()
        self._held = thought[len(sure) :]
        self._begun = self._begun or bool(sure)
        return sure


def split_thinking(text: str) -> tuple[str, str]:
    """The answer, which the text ends with, and the reasoning of a whole text."""
    thinking = Thinking()
    answer, thought = thinking.feed(text)
    rest, rest_thought = thinking.end()
    return answer + rest, thought + rest_thought


def call_id(*seed: object) -> str:
    """An id for a tool call whose provider gave none: the same for the same call, so that a
    repeated request and the cache tell the same."""
    return f"call_{sha256(repr(seed).encode()).hexdigest()[:24]}"


def as_chunk(answer: Answer) -> Chunk:
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
    )


def vectors(
    target: Target,
    ask: EmbeddingRequest,
    told: Sequence[Vector],
    body: bytes,
) -> tuple[Vector, ...]:
    """The vectors in the form that was asked for. Raises Fault where one is missing."""
    if len(told) != len(ask.input):
        why = f"It holds {len(told)} vectors for {len(ask.input)} inputs"
        raise faults.garbage(target, why, body)
    try:
        return tuple(_packed(vector) if ask.base64 else _unpacked(vector) for vector in told)
    except (ValueError, OverflowError, struct.error) as error:
        raise faults.garbage(target, f"A vector is broken ({error})", body) from error


def _packed(vector: Vector) -> str:
    if isinstance(vector, str):
        return vector
    return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()


def _unpacked(vector: Vector) -> tuple[float, ...]:
    if not isinstance(vector, str):
        return vector
    data = base64.b64decode(vector, validate=True)
    return struct.unpack(f"<{len(data) // 4}f", data)


def _is_strange(event: Event) -> bool:
    """Whether an event that can't be read may be passed over: it has a name of its own, or is
    JSON that is no object."""
    if event.name not in ("", "message", "error"):
        return True
    return not event.data.lstrip().startswith(b"{") and is_readable(event.data)


def is_readable(data: bytes) -> bool:
    """Whether it is JSON that can be read safely."""
    try:
        _ANY.decode(mend(data))
    except faults.UNREADABLE:
        return False
    return True
