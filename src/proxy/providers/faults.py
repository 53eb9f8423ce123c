"""What a provider's refusal means: tables of statuses, and of the phrases by which providers say
what their status does not.

Promises: reading never raises, a message is short and readable, and no key is ever in it.
"""

import re
from collections.abc import Mapping
from typing import NamedTuple

from proxy.core.errors import Fault, FaultDetails, FaultKind
from proxy.core.waits import parse_wait, read_reset, read_retry_after
from proxy.providers.blame import Words, assign_blame, find_quota, is_oversized
from proxy.providers.error_body import ErrorBody, read_error
from proxy.providers.garbage import SHOWN, mask, show
from proxy.providers.target import Target

_KINDS: dict[int, FaultKind] = {
    400: "bad_request",
    401: "unauthorized",
    402: "unauthorized",
    403: "unauthorized",
    404: "not_found",
    408: "timeout",
    413: "too_large",
    422: "bad_request",
    429: "rate_limited",
}
"""What a status means where no phrase says otherwise; any other is `unavailable`."""
_STATUSES = tuple(
    (re.compile(words, re.IGNORECASE), status)
    for words, status in (
        (r"request_too_large", 413),
        (r"billing_error", 402),
        (r"context_length|invalid_request|validation|tool_use_failed|invalid_argument", 400),
        (r"authentication|api_key|unauthorized", 401),
        (r"permission|forbidden", 403),
        (r"not_found|invalid_model\b", 404),
        (r"timeout|deadline", 408),
        (r"rate_limit|quota|exhausted|too_many", 429),
        (r"overloaded|unavailable|capacity", 503),
    )
)
"""The status that an error's code or type would have, for errors that come under status 200."""


class _Meaning(NamedTuple):
    """What a phrase means under some statuses."""

    statuses: frozenset[int]
    phrase: re.Pattern[str]
    kind: FaultKind
    lacks: bool
    code: str | None


def _meaning(
    statuses: str, phrase: str, kind: FaultKind, *, lacks: bool = False, code: str | None = None
) -> _Meaning:
    numbers = frozenset(int(status) for status in statuses.split())
    return _Meaning(numbers, re.compile(phrase, re.IGNORECASE), kind, lacks, code)


_FLAGGED = r"flagged|moderation|content.?(policy|filter)|guardrail"
"""The request was stopped by a filter of its content."""
_TOO_LONG = (
    r"context.(length|window|size|limit)|token count.{0,80}exceeds|prompt is too long"
    r"|reduce the length|`max_new_tokens` must be"
)
"""The prompt is longer than the model's context."""
_NO_SUCH_MODEL = (
    r"model_?not_?(found|supported|available)|model_(decommissioned|unavailable)"
    r"|\b(invalid|unknown)_model\b"
    r"|\b(invalid|unknown|unsupported|unrecogni[sz]ed|no such|no|find( the)?) model\b"
    r"(?! (param|arg|option|setting|config|input|output))"
    r"|not a (valid|supported|known) model|supported api model names"
    r"|model not (exist|found)|model (identifier|id|name)\b.{0,100} is (invalid|unknown)"
    r"|models?[:/]? ?['\"`]?[^\s'\"`]{1,100}['\"`]? (is |was )?not found"
    r"|(requested|specified) model is not supported"
    r"|model ['\"`]?[^\s'\"`]{1,100}['\"`]? is (not supported|unknown)\b"
    r"(?! (with|in|for|when)\b)"
    r"|model\b.{0,100} (does( not|n't) exist|(can|could)( ?not|n?'t) be found"
    r"|supported by (any )?provider"
    r"|(is|was) (unavailable|not recogni[sz]ed)|(is|was)( not|n't| no longer) available"
    r"|(is|was|has been) (deprecated|retired|removed"
    r"|decommissioned|discontinued|shut down))"
)
"""There is no such model, or no longer."""
_INCAPABLE = (
    r"encrypted_content|without its required|"
    r"tool_use_failed|json_validate_failed|unsupported|not support|unknown (variant|name)"
    r"|unknown parameter|unrecognized request argument|unavailable now|not enabled for"
    r"|not used by the model|supports at most|template not found"
    r"|thought_signature|reasoning_content|\bthinking[`'\"]? blocks?\b"
    r"|bound to a different conversation|deprecated for this model"
)
"""The model can't do what the request wants."""

_MEANINGS = (
    _meaning("403", _FLAGGED, "bad_request", code="content_filter"),
    _meaning(
        "400 413 422 500", _TOO_LONG, "bad_request", lacks=True, code="context_length_exceeded"
    ),
    _meaning("400 422", _NO_SUCH_MODEL, "not_found", code="model_not_found"),
    _meaning("404", r"no endpoints found that support", "bad_request", lacks=True),
    _meaning("400 422", _INCAPABLE, "bad_request", lacks=True),
    _meaning("500 501", r"not support", "bad_request", lacks=True),
)
"""The first that fits is taken."""
_REFUSES_KEY = _meaning("400 403", "", "unauthorized")
_REFUSES_MODEL = _meaning("400 422", "", "bad_request", lacks=True)


def read_fault(
    target: Target,
    status: int | None,
    headers: Mapping[str, str],
    body: bytes,
    now: float | None = None,
) -> Fault:
    """The fault that an error's body means; see Adapter.fault."""
    return make_fault(target, read_error(body), status, headers, now)


def read_inner_fault(target: Target, body: bytes) -> Fault:
    """The fault of an error that stands in an answer of status 200."""
    return make_fault(target, read_error(body))


def make_fault(
    target: Target,
    error: ErrorBody,
    status: int | None = None,
    headers: Mapping[str, str] = {},
    now: float | None = None,
) -> Fault:
    """The fault that an error means. status: the answer's, None where that was 200. now: seconds
    since 1970; without it no moment is read as a wait."""
    known = status or error.status
    words = Words.of(target, error)
    level = known or _guess_status(words)
    meant = _find_meaning(level, words)
    kind = meant.kind if meant else _KINDS.get(level, "unavailable")
    if level == 429 and is_oversized(words):
        kind = "too_large"
    message = error.message or f"The provider answered with status {known} and no message."
    return Fault(
        kind,
        show(target, message),
        blame=assign_blame(target, words, level, kind),
        details=FaultDetails(
            status=known,
            code=_show_word(target, (meant and meant.code) or error.code),
            param=_show_word(target, error.param),
            retry_after=_find_wait(level, {**error.headers, **headers}, error, now),
            lacks=meant is not None and meant.lacks,
            quota=find_quota(words) if kind == "rate_limited" else "model",
        ),
    )


def _guess_status(words: Words) -> int:
    return next((status for phrase, status in _STATUSES if phrase.search(words.codes)), 500)


def _find_meaning(level: int, words: Words) -> _Meaning | None:
    """What the words say beyond the status, if anything."""
    if level in _REFUSES_KEY.statuses and words.refuses_key:
        return _REFUSES_KEY
    text = f"{words.codes} {words.error.message}"
    for meaning in _MEANINGS:
        if level in meaning.statuses and meaning.phrase.search(text):
            return meaning
    # Whatever is wrong with it: another model may do.
    is_models = words.error.param == "model" and level in _REFUSES_MODEL.statuses
    return _REFUSES_MODEL if is_models else None


def _show_word(target: Target, word: str | None) -> str | None:
    return word and mask(target, word)[:SHOWN]


def _find_wait(
    level: int, headers: Mapping[str, str], error: ErrorBody, now: float | None
) -> float | None:
    """Seconds to wait, where waiting can help."""
    if (level != 429 and level < 500) or error.code == "insufficient_quota":
        return None
    waits = (read_retry_after(headers, now), parse_wait(error.delay, now))
    wait = next((wait for wait in waits if wait is not None), None)
    return read_reset(headers, now) if wait is None and level == 429 else wait
