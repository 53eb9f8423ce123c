"""Errors of OpenAI's Responses: the envelope of chat completions, with the statuses and words that
the clients of this dialect look for."""

import re
from math import ceil
from typing import Any

import msgspec

from proxy.core.errors import ProxyError
from proxy.dialects.openai_error import describe_error

TOO_LONG = (
    "Your input exceeds the context window of this model. Please adjust your input and try again."
)
_WAIT = re.compile(r"try again in\s+[\d.]+\s*(?:ms|s)", re.IGNORECASE)
_FAILURES = {
    "invalid_request": "invalid_prompt",
    "payload_too_large": "invalid_prompt",
    "budget_exceeded": "insufficient_quota",
    "rate_limit_exceeded": "rate_limit_exceeded",
    "no_provider_available": "server_is_overloaded",
}
"""The codes of a failed response, by the error's type; any other is a `server_error`."""
_OWN_WORDS = frozenset({
    "context_length_exceeded", "insufficient_quota", "rate_limit_exceeded", "invalid_prompt",
    "server_is_overloaded", "server_error", "usage_not_included",
})  # fmt: skip
_OVERLOADED = frozenset({"overloaded", "overloaded_error", "engine_overloaded", "slow_down"})


def error(error: ProxyError, request_id: str, timestamp: float) -> bytes:
    """The body of an error: the provider's own where it was one of this dialect. The time has no
    place in the form."""
    if error.native and error.native[0] == "responses":
        return error.native[1]
    fields = describe_error(error, request_id)
    if _is_too_long(error):
        fields |= {"message": _say_too_long(error), "param": "input"}
    elif fields["code"] == "model_not_found":
        fields["param"] = "model"
    return msgspec.json.encode({"error": fields})


def status(error: ProxyError) -> int:
    """SPEC.md's status, but 400 for a model that is not there."""
    if error.native and error.native[0] == "responses":
        return error.status
    is_model = error.type == "not_found" and describe_error(error, "")["code"] == "model_not_found"
    return 400 if is_model or _is_too_long(error) else error.status


def describe_failure(error: ProxyError) -> dict[str, Any]:
    """The error of a failed response: a code that agents know, and a message."""
    message, code = error.message, error.code or ""
    if _is_too_long(error):
        message = _say_too_long(error)
    elif code in _OVERLOADED:
        code = "server_is_overloaded"
    elif code not in _OWN_WORDS:
        code = _FAILURES.get(error.type, "server_error")
    wait = error.retry_after
    if code == "rate_limit_exceeded" and wait is not None and not _WAIT.search(message):
        message = f"{message.rstrip('. ')}. Please try again in {max(ceil(wait), 0)}s."
    return {"code": code, "message": message}


def _is_too_long(error: ProxyError) -> bool:
    return error.code == "context_length_exceeded"


def _say_too_long(error: ProxyError) -> str:
    """OpenAI's words, and what else is known."""
    return error.message if TOO_LONG in error.message else f"{TOO_LONG} ({error.message})"
