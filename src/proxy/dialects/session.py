"""The conversation that a request belongs to, as its client names it.

Of several names the nearest to the client's own wins: the proxy's header, the body's field, the
headers of Claude Code and Codex, Cloudflare's, then what the body says for other purposes.
"""

import re
from collections.abc import Mapping

import msgspec
from msgspec import Raw

from proxy.core.chat import Call

HEADERS = (
    "x-claude-code-session-id",
    "session-id",  # Codex
    "session_id",
    "thread-id",
    "cf-aig-session-id",
)
_NAME = re.compile(r"[!-~]{1,128}")
"""Others are no names: a label must not hold a text."""
_TEXT = msgspec.json.Decoder(str)


def find_session(headers: Mapping[str, str], call: Call) -> str:
    """The conversation's name; empty where nothing names one. headers: names in lower case."""
    extra = call.chat.extra
    given = (
        headers.get("x-session-id"),
        _read(extra.get("session_id")),
        *(headers.get(name) for name in HEADERS),
        call.session,
        _read(extra.get("prompt_cache_key")),
    )
    return next((name for name in given if name and _NAME.fullmatch(name)), "")


def _read(value: Raw | None) -> str:
    """A field of the body; empty where it is no text."""
    try:
        return _TEXT.decode(value) if value else ""
    except msgspec.DecodeError:
        return ""
