"""Errors in the form of Messages.

The SDKs choose their exception by the HTTP status, Claude Code what to do by the wording. What
the proxy knows beside it stands in `details`. There the SDKs learn that a thread can't go on, and
send the whole conversation again.
"""

import re
from typing import Any

import msgspec

from proxy.core.errors import ProxyError

_TYPES = {
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    409: "conflict_error",
    413: "request_too_large",
    429: "rate_limit_error",
    504: "timeout_error",
    529: "overloaded_error",
}
"""By the status; below 500 all others are an `invalid_request_error`, else an `api_error`."""
_OVERLOADED = 529
_RETRYABLE = (408, 409, 429)
"""Below 500; the SDKs send such a request again."""
_NO_THREAD = "(capability_rejected: thread)"
"""How the message ends for a thread that nobody here holds."""
_TOO_LONG = "prompt is too long"
_NUMBER = re.compile(r"(?<![\w.,-])\d{3,9}(?![\w-])")
_GROUPED = re.compile(r"(?<=\d),(?=\d{3}\b)")


def error(error: ProxyError, request_id: str, timestamp: float) -> bytes:
    """The body of an error: the provider's own where it is of this dialect. The time has no place
    in the form."""
    if error.native is not None and error.native[0] == "messages":
        return error.native[1]
    code = status(error)
    kind = _TYPES.get(code, "invalid_request_error" if code < 500 else "api_error")
    lost_thread = "thread_not_found" if _NO_THREAD in error.message else None
    details: dict[str, Any] = {
        "error_code": lost_thread or error.code or error.type,
        "source": error.source,
        "param": error.param,
        "limit": error.limit,
        "attempts": error.attempts or None,
    }
    described = {
        "type": kind,
        "message": _word(error),
        "details": {name: value for name, value in details.items() if value is not None},
    }
    return msgspec.json.encode({"type": "error", "error": described, "request_id": request_id})


def status(error: ProxyError) -> int:
    """SPEC.md's status, but 529 where it is a 503 that passes, or where a provider's own 503 or 529
    was the last word: what Anthropic's clients wait on. Claude Code sends each 529 again for
    minutes, so what no other try can mend is none."""
    passes = error.status == 503 and _is_retryable(error)
    if passes or (error.type == "provider_error" and _is_overloaded(error)):
        return _OVERLOADED
    return error.status


def _is_overloaded(error: ProxyError) -> bool:
    """Whether the last attempt that was made met a provider that has too much to do."""
    made = [attempt for attempt in error.attempts if attempt.blame]
    return bool(made) and made[-1].status in (503, _OVERLOADED)


def headers(request_id: str, error: ProxyError | None) -> dict[str, str]:
    """The request's id, and whether it makes no sense to send the request again."""
    named = {"request-id": request_id}
    if error is not None and not _is_retryable(error):
        named["x-should-retry"] = "false"
    return named


def _is_retryable(error: ProxyError) -> bool:
    if error.type == "no_provider_available":  # without an attempt none can be made
        return bool(error.attempts) or error.retry_after is not None
    if error.code == "insufficient_quota":
        return False
    return error.status >= 500 or error.status in _RETRYABLE


def _word(error: ProxyError) -> str:
    """The message. That of a prompt which is too long begins as Anthropic's, by which clients know
    to make it shorter."""
    message = error.message
    if error.code != "context_length_exceeded" or message.startswith(_TOO_LONG):
        return message
    found = {int(n) for n in _NUMBER.findall(_GROUPED.sub("", message))}
    if len(found) < 2:
        return f"{_TOO_LONG}: {message}"
    limit, length = sorted(found)[-2:]
    return f"{_TOO_LONG}: {length} tokens > {limit} maximum ({message})"
