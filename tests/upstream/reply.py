"""An answer before it is sent, and the refusal that a provider's checks raise."""

import json
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Reply:
    """Status, headers and the body in pieces: one piece for each event of a stream."""

    status: int
    headers: dict[str, str]
    events: list[bytes] = field(default_factory=list)
    stream: bool = False
    """True: sent chunked, as providers send streams; false: with a Content-Length."""


class RejectedError(Exception):
    """A request that the provider refuses; each provider writes it down in its own form."""

    def __init__(
        self, status: int, message: str, code: str | None = None, param: str | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.code = code
        self.param = param


def names(text: str) -> frozenset[str]:
    """A set of field names, written with spaces between them."""
    return frozenset(text.split())


def dump(value: Any) -> str:
    """JSON as most providers write it: compact, with real characters instead of escapes."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def json_reply(body: Any, headers: dict[str, str], status: int = 200) -> Reply:
    return Reply(status, {"content-type": "application/json"} | headers, [dump(body).encode()])


def sse_reply(events: list[str], headers: dict[str, str]) -> Reply:
    head = {"content-type": "text/event-stream"} | headers
    return Reply(200, head, [event.encode() for event in events], stream=True)


def data(value: Any) -> str:
    """One server-sent event with LF line ends."""
    return f"data: {dump(value)}\n\n"
