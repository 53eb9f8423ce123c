"""The conversation that a request belongs to, as its client names it.

Of several names the nearest to the client's own wins: the proxy's header, the body's field, the
headers of Claude Code and Codex, Cloudflare's, then what the body says for other purposes.
"""

import re
from collections.abc import Mapping

import msgspec
from msgspec import Raw

from proxy.core.chat import Call

OWN = "x-session-id"
HEADERS = (
    "x-claude-code-session-id",
    "session-id",  # Codex
    "session_id",
    "thread-id",
    "cf-aig-session-id",
)
CACHE_KEY = "prompt_cache_key"
_NAMING = frozenset({OWN, *HEADERS})
_NAME = re.compile(r"[!-~]{1,128}")
"""Others are no names: a label must not hold a text."""
_TEXT = msgspec.json.Decoder(str)


def find_session(headers: Mapping[str, str], call: Call | None = None) -> str:
    """The conversation's name; empty where nothing names one. headers: names in lower case; call:
    None: it is no chat, whose body may name one."""
    field = found = cache_key = ""
    if call and (call.session or call.chat.extra):
        # Messages has no field for it: there it stands in the user's, after Claude Code's header.
        if call.chat.dialect == "messages":
            found = call.session
        else:
            field = call.session
        cache_key = _read(call.chat.extra.get(CACHE_KEY))
    elif _NAMING.isdisjoint(headers):
        return ""  # most requests
    given = (headers.get(OWN), field, *(headers.get(name) for name in HEADERS), found, cache_key)
    return next((name for name in given if name and _NAME.fullmatch(name)), "")


def keep_name(extra: Mapping[str, Raw]) -> dict[str, Raw]:
    """What of the fields that the proxy does not know may name a conversation, as a copy."""
    value = extra.get(CACHE_KEY)
    return {CACHE_KEY: value.copy()} if value and _NAME.fullmatch(_read(value)) else {}


def _read(value: Raw | None) -> str:
    """A field of the body; empty where it is no text."""
    try:
        return _TEXT.decode(value) if value else ""
    except msgspec.DecodeError:
        return ""
