"""What every caller's dialect offers for chat; a module is the dialect, this is its shape."""

from abc import ABC, abstractmethod
from typing import Literal, Protocol

from proxy.core.chat import Answer, Call, Chunk, Served
from proxy.core.errors import ProxyError

DialectName = Literal["native", "openai", "messages", "responses", "gemini"]
"""The dialects as records name them."""
LimitHeaders = Literal["openai", "anthropic"] | None


class StreamWriter(ABC):
    """Renders one streamed answer; the bytes that each step returns go out as they are."""

    response: bytes | None = None
    """The whole answer as a body, once all is written, in a dialect whose answers are kept."""
    takes: str = ""
    """The wire (core.chat.Wire) of providers whose streams the caller takes as they are; empty:
    none's."""
    pings: bool = False
    """Whether the dialect has a sign of life."""
    cut: bytes = b"\n\n"
    """What ends an event of which the beginning alone may have come, in a stream that has gone on
    as it was."""

    @abstractmethod
    def chunk(self, chunk: Chunk) -> bytes:
        """A piece of the answer; empty bytes where the caller has no use for it."""

    @abstractmethod
    def done(self, answer: Answer, served: Served) -> bytes:
        """The end of a complete answer; nothing is sent after it."""

    def ping(self) -> bytes:
        """A sign of life while the provider is silent; empty where there can be none now."""
        return b""

    def close(self) -> bytes:
        """The mark that ends a stream which has gone on as it was, where its provider left that
        out; empty where the dialect has none."""
        return b""

    @abstractmethod
    def error(self, error: ProxyError, request_id: str, timestamp: float) -> bytes:
        """The end of a broken one; nothing is sent after it."""


class ErrorForm(Protocol):
    """The part of a dialect in which the proxy's errors are read."""

    NAME: DialectName
    LIMIT_HEADERS: LimitHeaders
    """Whose SDKs look for limits in headers of their own."""

    def error(self, error: ProxyError, request_id: str, timestamp: float, /) -> bytes:
        """The body of an error; timestamp in seconds since 1970."""

    def status(self, error: ProxyError, /) -> int:
        """The HTTP status of an error."""

    def headers(self, request_id: str, error: ProxyError | None, /) -> dict[str, str]:
        """Headers that its clients look for: in every answer, and beside those in an `error`."""


def status(error: ProxyError) -> int:
    """SPEC.md's status, for a dialect that has no other."""
    return error.status


def headers(request_id: str, error: ProxyError | None) -> dict[str, str]:
    """No header beside those of every answer, for a dialect whose clients look for none."""
    return {}


class Dialect(ErrorForm, Protocol):
    """A caller's dialect."""

    def parse_chat(self, body: bytes, /) -> Call:
        """Reads and validates a body. Raises InvalidRequest, its message naming the field."""

    def answer(self, answer: Answer, call: Call, served: Served, /) -> bytes:
        """The body of a complete answer."""

    def writer(self, call: Call, served: Served, /) -> StreamWriter:
        """A writer for one stream. `served` is what is known when the stream begins."""
