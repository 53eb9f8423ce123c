"""What a browser lets a page do with the proxy (Fetch standard, 3.3)."""

import re

from proxy.core.web import Request, Response

EXPOSED = (
    "age, cache-status, cf-aig-cache-status, cf-aig-step, deprecation, ratelimit,"
    " ratelimit-policy, request-id, retry-after, server-timing, sunset, x-proxy-cache-key,"
    " x-proxy-cost, x-proxy-cost-origin, x-proxy-dropped, x-proxy-estimate, x-proxy-model,"
    " x-proxy-provider, x-request-id, x-should-retry"
)
SENT = "authorization, x-api-key, api-key, x-goog-api-key, content-type"
"""The headers that a page may send, where it does not say which it wants to."""
_ORIGIN = re.compile(r"[!-~]{1,512}")
_HEADER_NAMES = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~, -]{1,2000}")


def cors_headers(allowed: tuple[str, ...], origin: str | None) -> dict[str, str]:
    """The headers by which a browser lets a page of an allowed origin read the answer."""
    if not origin or not ("*" in allowed or origin in allowed) or not _ORIGIN.fullmatch(origin):
        return {"vary": "Origin"}
    return {
        "access-control-allow-origin": origin,
        "access-control-expose-headers": EXPOSED,
        "vary": "Origin",
    }


def answer_preflight(
    request: Request, allow: tuple[str, ...], origins: tuple[str, ...]
) -> Response:
    """Answers OPTIONS: what the path takes, and to a browser what a page may send."""
    headers = {"allow": ", ".join(allow)}
    granted = cors_headers(origins, request.headers.get("origin"))
    if origins and "access-control-allow-origin" in granted:
        wanted = request.headers.get("access-control-request-headers", "")
        headers |= granted
        headers["access-control-allow-methods"] = headers["allow"]
        headers["access-control-allow-headers"] = (
            wanted if _HEADER_NAMES.fullmatch(wanted) else SENT
        )
        headers["access-control-max-age"] = "86400"
    return Response(status=204, headers=headers)
