"""What the upstream remembers: the requests it was sent, how each ended, and standing plans."""

import time
from collections import Counter
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from .behaviour import Behaviour
from .request import Json, Request

Ending = Literal["complete", "client_gone", "broken"]
"""All was sent; the client left first; a directive cut it (or the upstream was stopped)."""


@dataclass
class Entry:
    """One request; `ended` stays "open" while its answer is on the way."""

    tag: str
    provider: str
    method: str
    path: str
    headers: dict[str, str]
    body: Any
    """Parsed JSON with the directives cut out, None where it is not JSON."""
    raw: str
    """The body as it came."""
    key: int = 1
    """Which of the provider's keys it was sent with."""
    start: float = field(default_factory=time.monotonic)
    status: int | None = None
    ended: Ending | Literal["open"] = "open"
    ms: float | None = None
    bytes: int = 0
    """Of the body, framing not counted."""
    events: int = 0
    unknown: list[str] = field(default_factory=list)
    """Fields that the provider does not know, also where it ignores them."""
    refused: str | None = None
    """The checks' message, where they refused the request."""

    def end(self, how: Ending) -> None:
        self.ended = how
        self.ms = round((time.monotonic() - self.start) * 1000, 3)


class Journal:
    """Belongs to the server's loop; the test's thread asks through the loop (see server.py)."""

    def __init__(self) -> None:
        self.plan: Json = {}
        """A directive that stands for every request, under the one in the request's own text."""
        self._entries: list[Entry] = []
        self._used: Counter[tuple[str, str]] = Counter()

    def add(self, tag: str, provider: str, request: Request, body: Any) -> Entry:
        raw = request.body.decode(errors="replace")
        head = request.method, request.target, request.headers
        entry = Entry(tag, provider, *head, body, raw, request.key_number)
        self._entries.append(entry)
        return entry

    def entries(self, tag: str | None = None) -> list[Json]:
        """The entries of one tag, or all, oldest first."""
        return [asdict(entry) for entry in self._entries if tag is None or entry.tag == tag]

    def spend(self, provider: str, behaviour: Behaviour) -> Behaviour:
        """The behaviour, or a healthy one once it has been used `times` times for its tag."""
        if behaviour.times is None:
            return behaviour
        key = (provider, behaviour.tag)
        self._used[key] += 1
        return behaviour if self._used[key] <= behaviour.times else Behaviour(tag=behaviour.tag)

    def reset(self) -> None:
        self._entries.clear()
        self._used.clear()
        self.plan = {}
