"""Errors in OpenAI's form.

The SDKs choose their exception by the HTTP status; what users test beside it is `code`:
`invalid_api_key`, `model_not_found`, `insufficient_quota`, `rate_limit_exceeded`, else SPEC.md's
name of the error. `type` is one of OpenAI's few; `error_type` is always SPEC.md's. `source`,
`request_id` and `attempts` stand beside them.
"""

from typing import Any

from proxy.core.errors import ProxyError

_TYPES = {
    "budget_exceeded": "insufficient_quota",
    "permission_denied": "permission_error",
    "rate_limit_exceeded": "rate_limit_error",
    "internal_error": "server_error",
    "provider_error": "server_error",
    "no_provider_available": "server_error",
    "provider_timeout": "server_error",
}
"""OpenAI's types; what is not listed is an `invalid_request_error`, a bad key too."""
_CODES = {
    "invalid_request": None,
    "authentication_failed": "invalid_api_key",
    "budget_exceeded": "insufficient_quota",
}


def describe_error(error: ProxyError, request_id: str) -> dict[str, Any]:
    """An error as the object in OpenAI's envelope."""
    fields: dict[str, Any] = {
        "message": error.message,
        "type": _type(error),
        "param": error.param,
        "code": error.code or _code(error),
        "error_type": error.type,
        "source": error.source,
        "request_id": request_id,
    }
    if error.limit is not None:
        fields["limit"] = error.limit
    if error.attempts:
        fields["attempts"] = error.attempts
    return fields


def _type(error: ProxyError) -> str:
    """OpenAI's type; what the request itself causes is no error of a server."""
    kind = _TYPES.get(error.type, "invalid_request_error")
    return "invalid_request_error" if kind == "server_error" and error.status < 500 else kind


def _code(error: ProxyError) -> str | None:
    """The code of an error that has none of its own. A provider's 404 is about the model: the proxy
    chose the path."""
    if error.type == "not_found" and (error.param == "model" or error.source == "provider"):
        return "model_not_found"
    return _CODES.get(error.type, error.type)
