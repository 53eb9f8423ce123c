"""Errors in the form of Gemini's API, which Google's SDKs read: `code` is the HTTP status, `status`
one of google.rpc.Code's names."""

import msgspec

from proxy.core.errors import ProxyError
from proxy.dialects.contract import DialectName, LimitHeaders
from proxy.dialects.contract import headers as headers
from proxy.dialects.contract import status as status

NAME: DialectName = "gemini"
LIMIT_HEADERS: LimitHeaders = None
_STATUSES = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    402: "RESOURCE_EXHAUSTED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    405: "UNIMPLEMENTED",
    413: "INVALID_ARGUMENT",
    415: "INVALID_ARGUMENT",
    422: "INVALID_ARGUMENT",
    429: "RESOURCE_EXHAUSTED",
    502: "UNAVAILABLE",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}
_INFO = "type.googleapis.com/google.rpc.ErrorInfo"
_RETRY = "type.googleapis.com/google.rpc.RetryInfo"


def error(error: ProxyError, request_id: str, timestamp: float) -> bytes:
    """The body of an error. The time has no place in the form."""
    metadata = {"source": error.source, "requestId": request_id}
    named = {"param": error.param, "limit": error.limit}
    metadata |= {name: value for name, value in named.items() if value is not None}
    reason = (error.code or error.type).upper()
    details: list[dict[str, object]] = [
        {"@type": _INFO, "reason": reason, "domain": "proxy", "metadata": metadata}
    ]
    if error.retry_after is not None:
        details.append({"@type": _RETRY, "retryDelay": f"{max(0.0, error.retry_after):.3f}s"})
    described = {
        "code": error.status,
        "message": error.message,
        "status": _STATUSES.get(error.status, "INTERNAL"),
        "details": details,
    }
    return msgspec.json.encode({"error": described})
