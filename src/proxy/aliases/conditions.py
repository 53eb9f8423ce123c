"""Which targets of an alias are meant for a request."""

from collections.abc import Callable, Mapping
from fnmatch import fnmatchcase

from msgspec import Struct

from proxy.aliases.model import Range, When


class Circumstances(Struct, frozen=True, kw_only=True):
    """What a target's conditions may be about."""

    key_id: str | None
    user: str
    metadata: Mapping[str, str] = {}
    needs: frozenset[str] = frozenset()
    """Abilities that the request needs."""
    count_tokens: Callable[[], int] = lambda: 0
    """Estimates the prompt; called where a condition is about it."""


def explain_refusal(when: When | None, found: Circumstances) -> str | None:
    """Why a target is not meant for a request, in words that name no other caller; None: it is."""
    if when is None:
        return None
    if not admits_caller(when, found.key_id, found.user):
        return "it is for other callers"
    if reason := _compare_labels(when, found.metadata):
        return reason
    if missing := set(when.needs or ()) - found.needs:
        return f"it is for requests that need {' and '.join(sorted(missing))}"
    return _measure_prompt(when.prompt_tokens, found.count_tokens)


def _compare_labels(when: When, metadata: Mapping[str, str]) -> str | None:
    for name, wanted in (when.metadata or {}).items():
        values = (wanted,) if isinstance(wanted, str) else wanted
        if metadata.get(name) not in values:
            return f"it is for other values of metadata.{name}"
    return None


def _measure_prompt(length: Range | None, count_tokens: Callable[[], int]) -> str | None:
    if length is None:
        return None
    tokens = count_tokens()
    if tokens < (length.min or 0):
        return f"it is for prompts from {length.min} tokens on, and this has about {tokens}"
    if length.max is not None and tokens > length.max:
        return f"it is for prompts of up to {length.max} tokens, and this has about {tokens}"
    return None


def admits_caller(when: When | None, key_id: str | None, user: str) -> bool:
    """Whether a target may be meant for a caller."""
    if when is None:
        return True
    if when.keys is not None and key_id not in when.keys:
        return False
    return when.users is None or any(fnmatchcase(user, pattern) for pattern in when.users)
