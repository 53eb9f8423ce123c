"""What a provider's refusal means, whichever form it has: one reader for every error body in use
and one table of the phrases by which providers tell what their status does not.

Promises: reading never raises, a message is short and readable, and no key is ever in it.
"""

import re
from collections.abc import Mapping
from itertools import islice
from typing import Any, NamedTuple

import msgspec
from msgspec import Struct, structs

from proxy.core.chat import Blame
from proxy.core.errors import Fault, FaultKind, Source
from proxy.core.nesting import Decoder, Unsafe, is_json
from proxy.core.redaction import redacted
from proxy.core.waits import renewed_after, retry_after, seconds_until
from proxy.providers.adapter import Target
from proxy.providers.blame import Words, blamed, is_oversized, quota_of
from proxy.providers.surrogates import mend

UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What msgspec raises for bytes that are not the JSON that was expected."""
_ANY = Decoder(object)
HEAD = 1000
"""Bytes that are kept of an answer that cannot be read, to tell what came."""
LOOKED_AT = 4096
"""Characters of each text in an error that are looked at: the time that takes has a bound, however
much comes. No expression here repeats anything without a limit."""
LENIENT = 1_000_000
"""Bytes up to which it is found out whether JSON that can't be read is well formed all the same."""
MOST = 100
"""Headers, or quotas, of an error body that are looked at."""
_SHOWN = 200
_LONGEST = 500
_TITLE = re.compile(r"<title[^>]{0,200}>([^<]{0,500})", re.IGNORECASE)
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


class Told(Struct, frozen=True, kw_only=True):
    """What an error body says. `number` is a code of the provider's own (Cloudflare's 3040)."""

    message: str = ""
    code: str | None = None
    type: str | None = None
    param: str | None = None
    status: int | None = None
    number: int | None = None
    delay: Any = None
    """When the error says to come back, in any form."""
    headers: Mapping[str, str] = {}
    """Rate-limit headers that stand in the error (OpenRouter)."""
    quotas: tuple[str, ...] = ()
    """The quotas that are used up, by Google's names."""
    relayed: bool = False
    """Whether a vendor behind the provider says it (OpenRouter)."""

    @property
    def words(self) -> str:
        """All by which a phrase can be recognised."""
        return f"{self.code} {self.type} {self.message}"


class _Meaning(NamedTuple):
    """What a phrase means under some statuses. The first that fits is taken."""

    statuses: frozenset[int]
    phrase: re.Pattern[str]
    kind: FaultKind
    lacks: bool = False
    code: str | None = None


def _meaning(
    statuses: str, phrase: str, kind: FaultKind, *, lacks: bool = False, code: str | None = None
) -> _Meaning:
    numbers = frozenset(int(status) for status in statuses.split())
    return _Meaning(numbers, re.compile(phrase, re.IGNORECASE), kind, lacks, code)


_MEANINGS = (
    _meaning(
        "403",
        r"flagged|moderation|content.?(policy|filter)|guardrail",
        "bad_request",
        code="content_filter",
    ),
    _meaning(
        "400 413 422 500",
        r"context.(length|window|size)|token count.{0,80}exceeds|prompt is too long"
        r"|reduce the length|`max_new_tokens` must be",
        "bad_request",
        lacks=True,
        code="context_length_exceeded",
    ),
    _meaning(
        "400 422",
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
        r"|decommissioned|discontinued|shut down))",
        "not_found",
        code="model_not_found",
    ),
    _meaning("404", r"no endpoints found that support", "bad_request", lacks=True),
    _meaning(
        "400 422",
        r"tool_use_failed|json_validate_failed|unsupported|not support|unknown (variant|name)"
        r"|unknown parameter|unrecognized request argument|unavailable now|not enabled for"
        r"|not used by the model|supports at most|template not found"
        r"|thought_signature|reasoning_content",
        "bad_request",
        lacks=True,
    ),
    _meaning("500 501", r"not support", "bad_request", lacks=True),
)

_STATUSES = tuple(
    (re.compile(words, re.IGNORECASE), status)
    for words, status in (
        (r"context_length|invalid_request|validation|tool_use_failed|invalid_argument", 400),
        (r"authentication|api_key|unauthorized", 401),
        (r"permission|forbidden", 403),
        (r"not_found|invalid_model\b", 404),
        (r"timeout|deadline", 408),
        (r"rate_limit|quota|exhausted|too_many", 429),
        (r"overloaded|unavailable|capacity", 503),
    )
)
"""The status that an error's words would have, for errors told under status 200."""


def read(body: bytes) -> Told:
    """What an error body says, LOOKED_AT characters of each text. Never raises."""
    told = _read(body)
    texts = {"message": told.message, "code": told.code, "type": told.type, "param": told.param}
    return structs.replace(
        told, **{name: text and text[:LOOKED_AT] for name, text in texts.items()}
    )


def _read(body: bytes) -> Told:
    try:
        value = _ANY.decode(mend(body))
    except UNREADABLE:
        return Told(message=_plain(body))
    if isinstance(value, list) and value:
        value = value[0]  # Gemini's errors come in a list where it would have sent one
    if isinstance(value, dict):
        return _told(value)
    return Told(message=value if isinstance(value, str) else _plain(body))


def fault(
    target: Target,
    told: Told,
    status: int | None = None,
    headers: Mapping[str, str] = {},
    now: float | None = None,
) -> Fault:
    """The fault that an error means. status: the answer's, None for an error that was told
    under status 200. now: seconds since 1970; without it no moment is read as a wait."""
    known = status or told.status
    level = known or _status_of(told)
    words = Words.of(
        target,
        told.message,
        code=told.code,
        type=told.type,
        param=told.param,
        relayed=told.relayed,
    )
    meant = _meant(level, told, words)
    kind = meant.kind if meant else _KINDS.get(level, "unavailable")
    if level == 429 and is_oversized(words):
        kind = "too_large"
    message = told.message or f"The provider answered with status {known} and no message."
    return Fault(
        kind,
        clean(target, message),
        status=known,
        code=_word(target, (meant and meant.code) or told.code),
        param=_word(target, told.param),
        retry_after=_retry_after(level, {**told.headers, **headers}, told, now),
        lacks=meant is not None and meant.lacks,
        quota=quota_of(words, told.quotas) if kind == "rate_limited" else "model",
        blame=blamed(target, words, level, kind),
    )


_REFUSES_KEY = _meaning("400 403", "", "unauthorized")
_REFUSES_MODEL = _meaning("400 422", "", "bad_request", lacks=True)


def _meant(level: int, told: Told, words: Words) -> _Meaning | None:
    """What the words say beyond the status, if anything."""
    if level in _REFUSES_KEY.statuses and words.refuses_key:
        return _REFUSES_KEY
    for meaning in _MEANINGS:
        if level in meaning.statuses and meaning.phrase.search(told.words):
            return meaning
    # Whatever is wrong with it: another model may do.
    return _REFUSES_MODEL if told.param == "model" and level in _REFUSES_MODEL.statuses else None


def unread(target: Target, error: Exception, body: bytes) -> Fault:
    """The fault of an answer that the proxy failed to decode. Well-formed JSON in a form that it
    does not know is its own fault, a page or half an answer the provider's."""
    known = isinstance(error, msgspec.ValidationError | Unsafe) or is_json(body[: LENIENT + 1])
    return garbage(target, str(error), body, "proxy" if known else "model")


def garbage(target: Target, why: str, body: bytes, blame: Blame = "model") -> Fault:
    """The fault of an answer that cannot be read; it shows how the answer begins."""
    secrets = _secrets(target)
    beginning = redacted(_plain(body[:HEAD]), secrets, cut=len(body) >= HEAD)[:_SHOWN]
    message = clean(target, f"The answer cannot be read. {why}: {beginning or '(nothing)'}")
    source: Source = "proxy" if blame == "proxy" else "provider"
    return Fault("garbage", message, source=source, blame=blame)


def clean(target: Target, message: str) -> str:
    """A message without any secret and of bearable length."""
    text = _masked(target, message) or ""
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"


def _masked(target: Target, text: str | None) -> str | None:
    cut = text is not None and len(text) >= LOOKED_AT
    return text and redacted(text[:LOOKED_AT], _secrets(target), cut=cut)


def _word(target: Target, text: str | None) -> str | None:
    masked = _masked(target, text)
    return masked and masked[:_SHOWN]


def _secrets(target: Target) -> tuple[str, ...]:
    return (target.key or "", *target.secrets)


def _plain(body: bytes) -> str:
    """A body that is not JSON as one readable line."""
    text = " ".join(body[: 4 * LOOKED_AT].decode("utf-8", "replace").split())
    if not text.startswith("<"):
        return text
    title = _TITLE.search(text)
    return f"The provider answered with an HTML page: {title[1].strip() if title else 'untitled'}"


def _told(value: dict[str, Any]) -> Told:
    error, errors = value.get("error"), value.get("errors")
    if isinstance(error, dict):  # OpenAI, Gemini, OpenRouter
        return _fields(error)
    if isinstance(error, str):  # Hugging Face: the rest stands beside it
        return _fields({**value, "message": error})
    if isinstance(errors, list) and errors and isinstance(errors[0], dict):  # Cloudflare's API
        return _fields(errors[0])
    return _fields(value)  # Cerebras, FastAPI, what the AI binding's upstream says


def _fields(error: dict[str, Any]) -> Told:
    nested = _upstream(error)
    details = _details(error)
    code = error.get("code", error.get("internalCode"))
    words = (code, details.get("reason"), error.get("status"))
    numbers = (code, error.get("status_code"), error.get("status"))
    return Told(
        message=nested.message or _message(error),
        code=next((word for word in words if word and isinstance(word, str)), nested.code),
        type=_text(error.get("type")) or _text(error.get("error_type")) or nested.type,
        param=_text(error.get("param")) or nested.param,
        status=next((n for n in numbers if isinstance(n, int) and 400 <= n < 600), None),
        number=code if isinstance(code, int) else None,
        delay=details.get("retryDelay") or error.get("estimated_time"),
        headers=_headers(error),
        quotas=_quotas(details),
        relayed=nested != Told(),
    )


def _message(error: dict[str, Any]) -> str:
    for name in ("message", "detail", "description", "error_description"):
        told = error.get(name)
        if isinstance(told, list) and told and isinstance(told[0], dict):  # FastAPI's list
            told = told[0].get("msg")
        if isinstance(told, str) and told:
            return told
    return _plain(msgspec.json.encode(error)) if error else ""


def _upstream(error: dict[str, Any]) -> Told:
    """OpenRouter's `metadata.raw`: what the vendor behind it said, JSON or plain text."""
    metadata = error.get("metadata")
    raw = metadata.get("raw") if isinstance(metadata, dict) else None
    return read(raw.encode("utf-8", "replace")) if isinstance(raw, str) else Told()


def _details(error: dict[str, Any]) -> dict[str, Any]:
    """Google's list of details as one: their fields' names do not clash."""
    details = error.get("details")
    merged: dict[str, Any] = {}
    for detail in details if isinstance(details, list) else ():
        merged.update(detail if isinstance(detail, dict) else {})
    return merged


def _headers(error: dict[str, Any]) -> dict[str, str]:
    """OpenRouter's `metadata.headers`: those of a rate limit. Names in lower case."""
    metadata = error.get("metadata")
    headers = metadata.get("headers") if isinstance(metadata, dict) else None
    pairs = headers.items() if isinstance(headers, dict) else ()
    return {
        name.lower(): str(value)
        for name, value in islice(pairs, MOST)
        if len(name) <= _SHOWN and isinstance(value, str | int | float)
    }


def _quotas(details: dict[str, Any]) -> tuple[str, ...]:
    """The names in Google's QuotaFailure."""
    violations = details.get("violations")
    entries = violations if isinstance(violations, list) else ()
    names = (entry.get("quotaId") for entry in entries if isinstance(entry, dict))
    return tuple(name[:_SHOWN] for name in islice(names, MOST) if isinstance(name, str))


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _status_of(told: Told) -> int:
    words = f"{told.code} {told.type}"
    return next((status for phrase, status in _STATUSES if phrase.search(words)), 500)


def _retry_after(
    status: int, headers: Mapping[str, str], told: Told, now: float | None
) -> float | None:
    """Seconds to wait, where waiting can help."""
    if (status != 429 and status < 500) or told.code == "insufficient_quota":
        return None
    waits = (retry_after(headers, now), seconds_until(told.delay, now))
    wait = next((wait for wait in waits if wait is not None), None)
    return renewed_after(headers, now) if wait is None and status == 429 else wait
