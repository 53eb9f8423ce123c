"""The faults of a provider, how each request ends that meets one, and the matrix of all of them."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from typing import Any

from tests.e2e.forms import PATHS, body_of

ALL = tuple(product((False, True), (False, True)))
"""Without and with a second provider, each whole and streamed."""
SOME = ((False, True), (True, False))
SECOND = "workers-ai"
"""The healthy provider: no fault befalls it."""
AT = {
    "openai": {"local": ALL},
    "messages": {"anthropic": ALL, "groq": SOME},
    "responses": {"openai": ALL, "local": SOME},
}
"""Where each dialect meets the faults: at a provider of its own, and at one that is translated."""
DEADLINE_MS = 6000
"""For cells that have no reason to wait."""
SILENT_MS = 3000
"""For cells that wait in vain."""
TEN_MB = 10_000_000
TEXT = "one two three four five six seven eight"
SPOKEN = "Grüße, 世界 🌍!"


@dataclass(frozen=True)
class Whole:
    """The provider's answer, complete in spite of all."""


@dataclass(frozen=True)
class Second:
    """The answer of the healthy provider."""


@dataclass(frozen=True)
class Refusal:
    """An error in the place of an answer."""

    status: int
    kind: str


@dataclass(frozen=True)
class Broken:
    """An answer that begins and ends in an error."""

    code: int
    kind: str


Ending = Whole | Second | Refusal | Broken

ANSWER = (Whole(),) * 4


def passed_on(status: int, kind: str) -> tuple[Ending, ...]:
    """A failure before any content: alone it is this error, with a second one it is not seen."""
    return Refusal(status, kind), Refusal(status, kind), Second(), Second()


def begun(status: int, kind: str) -> tuple[Ending, ...]:
    """A failure in the middle of an answer, of which the caller has a stream's beginning."""
    return Refusal(status, kind), Broken(status, kind), Second(), Broken(status, kind)


FAILED = passed_on(502, "provider_error")
SILENT = passed_on(504, "provider_timeout")


@dataclass(frozen=True)
class Fault:
    """What goes wrong and how each of its four requests ends."""

    name: str
    does: dict[str, Any]
    """The upstream's directive."""
    ends: tuple[Ending, ...]
    """Alone, alone and streamed, with a second provider, with a second one and streamed."""
    outcome: str = "ok"
    """What the attempts say of it."""
    status: int | None = None
    """The provider's status that they tell."""
    streamed: dict[str, Any] | None = None
    """The directive of a stream, if it is another one."""
    at: tuple[str, ...] = ("groq", "gemini")
    """The providers that it befalls."""
    timeout: int = DEADLINE_MS
    text: str = TEXT
    retry_after: int | None = None
    openai: bool = False
    """Whether it is asked in the other dialects too."""
    heavy: bool = False
    """Whether it keeps the isolate so busy that its cells run alone, and few of them."""


def refused(status: int, kind: str, outcome: str, ends: int = 502, **other: Any) -> Fault:
    name = other.pop("name", str(status))
    does = {"status": status} | other.pop("does", {})
    return Fault(name, does, passed_on(ends, kind), outcome, status, **other)


FAULTS = (
    Fault("connection refused", {}, FAILED, "network", at=("openrouter",), openai=True),
    Fault("name unknown", {}, FAILED, "network", at=("deepseek",), openai=True),
    Fault("no TLS", {}, FAILED, "network", at=("huggingface",), openai=True),
    Fault("not HTTP", {"garbage": True}, FAILED, "network", openai=True),
    Fault("reset", {"refuse": True}, FAILED, "network"),
    Fault(
        "400",
        {"status": 400, "message": "temperature is not to my taste"},
        (Refusal(400, "invalid_request"),) * 4,
        "bad_request",
        400,
        openai=True,
    ),
    refused(401, "provider_error", "unauthorized", openai=True, at=("groq",)),
    refused(403, "provider_error", "unauthorized", at=("gemini",)),
    refused(404, "not_found", "not_found", 404, openai=True, at=("gemini",)),
    refused(408, "provider_timeout", "timeout", 504, at=("groq",)),
    refused(413, "payload_too_large", "too_large", 413, openai=True, at=("gemini",)),
    refused(429, "rate_limit_exceeded", "rate_limited", 429, at=("groq", "local")),
    refused(
        429,
        "rate_limit_exceeded",
        "rate_limited",
        429,
        name="429 with a delay in its body",
        at=("gemini",),
        retry_after=2,
    ),
    refused(
        429,
        "rate_limit_exceeded",
        "rate_limited",
        429,
        name="429 with Retry-After",
        does={"headers": {"retry-after": "30"}},
        at=("groq",),
        retry_after=30,
        openai=True,
    ),
    refused(500, "provider_error", "unavailable", openai=True, at=("gemini",)),
    refused(502, "provider_error", "unavailable", at=("groq",)),
    refused(503, "provider_error", "unavailable", at=("gemini",)),
    refused(529, "provider_error", "unavailable", openai=True, at=("groq",)),
    Fault("empty", {"empty": True}, FAILED, "garbage", openai=True),
    Fault("a page", {"html": True}, FAILED, "garbage", openai=True),
    Fault("half JSON", {"half_json": True}, begun(502, "provider_error"), "garbage", openai=True),
    Fault(
        "half JSON at once",
        {"body": '{"id": "chatcmpl-1", "choi'},
        FAILED,
        "garbage",
        streamed={"body": 'data: {"id": "chatcmpl-1", "choi'},
    ),
    Fault("wrong content type", {"content_type": "text/html"}, ANSWER, openai=True),
    Fault(
        "silence before the headers",
        {"delay_ms": 30_000},
        SILENT,
        "timeout",
        timeout=SILENT_MS,
        at=("groq",),
        openai=True,
    ),
    Fault(
        "silence before the content",
        {"body_delay_ms": 30_000},
        SILENT,
        "timeout",
        timeout=SILENT_MS,
        at=("local",),
    ),
    Fault(
        "silence in the midst",
        {"split": 100, "stall_after": 2},
        begun(504, "provider_timeout"),
        "timeout",
        streamed={"stall_after": 7},
        timeout=SILENT_MS,
        openai=True,
    ),
    Fault(
        "break in the midst",
        {"split": 100, "break_after": 2},
        begun(502, "provider_error"),
        "network",
        streamed={"break_after": 7},
        openai=True,
    ),
    Fault(
        "break within a character",
        {"break_mid_utf8": True},
        begun(502, "provider_error"),
        "network",
        openai=True,
    ),
    Fault("split at every byte", {"split": 1}, ANSWER, text=SPOKEN, openai=True),
    Fault(
        "slow drip",
        {"split": 11, "drip_ms": 8},
        ANSWER,
        text=SPOKEN,
        timeout=2 * DEADLINE_MS,
        at=("groq",),
        openai=True,
    ),
    Fault(
        "drip for seconds",
        {"split": 8, "drip_ms": 30},
        ANSWER,
        timeout=4 * DEADLINE_MS,
        at=("gemini",),
        openai=True,
    ),
    Fault(
        "drip past the deadline",
        {"split": 8, "drip_ms": 150},
        (
            Refusal(504, "provider_timeout"),
            Broken(504, "provider_timeout"),
            Second(),
            Broken(504, "provider_timeout"),
        ),
        "timeout",
        streamed={"split": 80, "drip_ms": 200},
        timeout=2000,
        at=("gemini",),
    ),
    Fault(
        "an event of 10 MB",
        {"big_event": TEN_MB},
        ANSWER,
        timeout=20_000,
        at=("gemini",),
        openai=True,
        heavy=True,
    ),
)


@dataclass(frozen=True)
class Cell:
    """One request of the matrix."""

    fault: Fault
    provider: str
    dialect: str
    second: bool
    stream: bool

    @property
    def id(self) -> str:
        """Its name in pytest's list, and its tag in the upstream's log."""
        whom = "with a second" if self.second else "alone"
        how = "streamed" if self.stream else "whole"
        return f"{self.fault.name}-{self.provider}-{self.dialect}-{whom}-{how}"

    @property
    def end(self) -> Ending:
        return self.fault.ends[2 * self.second + self.stream]

    @property
    def text(self) -> str:
        """What is said if all goes well."""
        if "big_event" in self.fault.does and isinstance(self.end, Whole):
            return "x" * TEN_MB
        return f"echo: {self.fault.text}"

    @property
    def request(self) -> tuple[str, dict[str, Any]]:
        """The path and the body. The model's name is the cell's own, and no catalogue's."""
        fault = self.fault
        does = fault.streamed if self.stream and fault.streamed else fault.does
        directive = {"*": {"tag": self.id}, self.provider: does}
        prompt = f"{fault.text} upstream:{json.dumps(directive)}"
        common = {
            "model": f"{self.provider}/fault-{CELLS.index(self)}",
            "stream": self.stream,
            "fallback": [SECOND] if self.second else False,
            "timeout": fault.timeout,
        }
        body = {"prompt": prompt} if self.dialect == "native" else body_of(self.dialect, prompt)
        return PATHS[self.dialect], common | body


def _cells(fault: Fault) -> Iterator[Cell]:
    for provider in fault.at:
        for second, stream in SOME if fault.heavy else ALL:
            yield Cell(fault, provider, "native", second, stream)
    for dialect, providers in AT.items() if fault.openai else ():
        for provider, ways in providers.items() if fault.does else [(fault.at[0], ALL)]:
            for second, stream in SOME if fault.heavy else ways:
                yield Cell(fault, provider, dialect, second, stream)


CELLS = [cell for fault in FAULTS for cell in _cells(fault)]
