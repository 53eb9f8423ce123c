"""The names that users may have."""

import unicodedata

from proxy.core.errors import InvalidRequest
from proxy.core.principal import OTHER

OWN = frozenset({"admin", "default", "anonymous", "metrics", OTHER})
"""Users that the proxy itself names: those of the deployment's own keys and of an open one, and
the one that stands for many."""
_UNSEEN = frozenset("\u115f\u1160\u2800\u3164\uffa0")
"""Letters and symbols that look like nothing; Unicode has them in no class of their own."""


def check_user(name: str) -> None:
    """Raises InvalidRequest for what is no name, or looks like one of the proxy's own."""
    if not name.isprintable() or name != name.strip():
        raise _invalid("Must be visible characters, without spaces at its ends")
    alike = unicodedata.normalize("NFKD", name).upper().casefold()  # \u0131 is a lower-case I
    seen = "".join(c for c in alike if _is_seen(c))
    if not seen:
        raise _invalid("Must be visible characters")
    if seen in OWN:
        raise _invalid(f"Must not be {seen}, which the proxy itself calls its callers by")


def _is_seen(character: str) -> bool:
    """Whether a character tells a name from others at a glance: no space, no mark on another."""
    mark = unicodedata.category(character).startswith("M")
    return not (mark or character.isspace() or character in _UNSEEN)


def _invalid(reason: str) -> InvalidRequest:
    return InvalidRequest(f"user: {reason}", param="user")
