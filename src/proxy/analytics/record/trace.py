"""W3C Trace Context: the trace that a request belongs to, and what providers are sent of it.

A `traceparent` that is not exactly what the standard allows counts as none: a trace of the proxy's
own begins. Unknown versions are read as far as version 00 goes (W3C Trace Context, 4.3).
"""

import re
from collections.abc import Mapping

from msgspec import Struct

from proxy.core.ports import Random

_PARENT = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-[!-~]*)?")
_STATE = re.compile(r"[\t -~]{1,512}")
_MEMBERS = 32
_SAMPLED = 0x01
_KNOWN_FLAGS = 0x03  # sampled, random: the others must be sent as 0


class Trace(Struct, frozen=True, kw_only=True):
    """Where a request stands in its trace. Ids are lower-case hexadecimal."""

    id: str
    span: str
    """The request's own span."""
    parent: str = ""
    """The caller's; empty where the trace begins here."""
    flags: int = _SAMPLED
    state: str = ""
    """The caller's `tracestate`, unchanged."""

    @property
    def sampled(self) -> bool:
        """Whether the caller, or the proxy where it began, records this trace."""
        return bool(self.flags & _SAMPLED)

    def render_headers(self) -> dict[str, str]:
        """What a provider is sent, as a child of the request's span."""
        headers = {"traceparent": f"00-{self.id}-{self.span}-{self.flags:02x}"}
        if self.state:
            headers["tracestate"] = self.state
        return headers


def begin_trace(headers: Mapping[str, str], random: Random, *, recorded: bool = True) -> Trace:
    """The trace of a request by its headers. recorded: whether a trace that begins here is."""
    span = random.token(8)
    found = _PARENT.fullmatch(headers.get("traceparent", ""))
    if not found or not _is_valid(*found.groups()):
        return Trace(id=random.token(16), span=span, flags=_SAMPLED if recorded else 0)
    return Trace(
        id=found[2],
        span=span,
        parent=found[3],
        flags=int(found[4], 16) & _KNOWN_FLAGS,
        state=_check_state(headers.get("tracestate", "")),
    )


def _is_valid(version: str, trace: str, parent: str, _flags: str, rest: str | None) -> bool:
    if version == "ff" or (version == "00" and rest is not None):
        return False
    return trace.strip("0") != "" and parent.strip("0") != ""


def _check_state(text: str) -> str:
    """A `tracestate` that may go on; one that is too long is left out whole."""
    if _STATE.fullmatch(text) and text.count(",") < _MEMBERS:
        return text
    return ""
