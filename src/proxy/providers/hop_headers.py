"""The headers that go on between a caller and a provider where nothing else is read: all but those
that belong to one of the two connections, or to the proxy."""

import re
from collections.abc import Mapping

from proxy.core.codings import WITHOUT
from proxy.core.errors import InvalidRequest
from proxy.core.redaction import MASK
from proxy.providers.target import Target

KEYS = frozenset({"authorization", "x-api-key", "api-key", "x-goog-api-key"})
"""Where SDKs put a key: the caller's stays here."""
_HOP = frozenset({
    "connection", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade", "content-length",
})  # fmt: skip
"""Those of one connection (RFC 9110, 7.6.1); the platform writes its own."""
_OF_CALLER = _HOP | KEYS | frozenset({
    "host", "expect", "accept-encoding", "cookie", "forwarded", "via", "x-real-ip",
    "true-client-ip", "cdn-loop", "origin", "referer", "x-request-id", "traceparent", "tracestate",
    "openai-organization", "openai-project", "x-goog-user-project",
    "x-http-method", "x-http-method-override", "x-method-override", "x-original-url",
    "x-original-host", "x-original-uri", "x-rewrite-url", "x-host",
})  # fmt: skip
"""Of a request. Some say which account pays: that is the key's to say; some servers take the last
for the method and the address in the place of those that were judged here."""
_OF_PROXY = ("cf-", "x-forwarded-", "x-proxy-", "x-litellm-", "sec-", "proxy-")
_OF_PROVIDER = _HOP | frozenset({
    "set-cookie", "set-cookie2", "alt-svc", "strict-transport-security", "nel", "report-to",
    "clear-site-data", "content-security-policy", "content-security-policy-report-only", "refresh",
    "service-worker-allowed", "reporting-endpoints", "openai-organization", "openai-project",
    "anthropic-organization-id",
})  # fmt: skip
"""Of an answer: what a browser would take for the word of the proxy's own host, and whose account
it is."""
_OF_ORIGIN = ("access-control-", "proxy-", "cf-", "x-proxy-")
_SENDABLE = re.compile(r"[ -~]{0,4096}")
_LONGEST = 12_000
"""Characters of all of an answer's together, which leaves room for the proxy's own."""
_MOST_SENT = 16_000
"""Characters of all of a request's together: some servers close the connection on more, and would
seem broken to all."""
_SANDBOX = {"content-security-policy": "sandbox"}
"""Where a browser opens an answer, it is no page of the proxy's, which has a dashboard to show."""
_THEIR_ID = "x-proxy-provider-request-id"
_IDS = ("x-request-id", "request-id")


def check_request(sent: Mapping[str, str]) -> None:
    """Raises InvalidRequest for headers that not every provider takes."""
    passed = _choose(sent)
    if sum(len(name) + len(value) for name, value in passed.items()) > _MOST_SENT:
        raise InvalidRequest(f"headers: more than {_MOST_SENT} characters can't be passed on.")
    if name := next((n for n, value in passed.items() if not _SENDABLE.fullmatch(value)), None):
        why = f"{name[:100]}: Expected at most 4096 characters of visible ASCII, or spaces"
        raise InvalidRequest(why, param=name[:100])


def pass_request(sent: Mapping[str, str], target: Target) -> dict[str, str]:
    """The headers for a provider: the caller's, with the provider's key in the place of its own."""
    passed, own = _choose(sent), target.auth_headers
    if "range" in passed:  # a part of a body that is coded can't be decoded
        passed["accept-encoding"] = "identity"
    return {**own, **passed, **{name: own[name] for name in KEYS & own.keys()}}


def _choose(sent: Mapping[str, str]) -> dict[str, str]:
    """Those of the caller's headers that go on."""
    listed = sent.get("connection", "").lower()
    hops = {name.strip() for name in listed.split(",")} if listed else ()
    return {
        name: value
        for name, value in sent.items()
        if name not in _OF_CALLER and not name.startswith(_OF_PROXY) and name not in hops
    }


def pass_answer(
    headers: Mapping[str, str], key: str | None = None
) -> tuple[dict[str, str], int | None]:
    """The headers for the caller, and the length of the body as it goes on, None where that is not
    known: what the platform decodes has no length that is said. key: the provider's, which none
    of them repeats."""
    coding = headers.get("content-encoding", "").strip().lower()
    is_decoded = coding in WITHOUT
    passed = dict[str, str]()
    room = _LONGEST
    for name, value in headers.items():
        is_own = name in _OF_PROVIDER or name.startswith(_OF_ORIGIN)
        if is_own or (is_decoded and name == "content-encoding"):
            continue
        room -= len(name) + len(value)
        if _SENDABLE.fullmatch(value) and room >= 0:
            passed[name] = value.replace(key, MASK) if key else value
    if theirs := next((passed[name] for name in _IDS if name in passed), None):
        passed[_THEIR_ID] = theirs
    length = headers.get("content-length", "")
    known = int(length) if length.isdecimal() and not is_decoded else None
    return passed | _SANDBOX, known
