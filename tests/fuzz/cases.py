"""A hostile request, made from a seed and a number."""

from random import Random
from typing import Any
from urllib.parse import quote

from msgspec import Struct

from proxy.api.routes import ALL_PATHS, PATHS
from tests.fuzz.bodies import BODIES, OTHER
from tests.fuzz.mutate import INSIDE, TEXTS, garble, mutate, pack, render

CALLERS = (*("mallory",) * 12, *("default",) * 4, *("admin",) * 6, "viewer", "wrong", "none")
PROVIDERS = ("openai", "anthropic", "gemini", "groq", "workers-ai", "openrouter", "deepseek", "xai")
MODELS = (
    *(f"{name}/auto" for name in PROVIDERS),
    *("auto", "fast", "gpt-4o", "claude-sonnet-5", "gemini/vision", "openai/unheard-of", "house"),
)
ANNS_RESPONSE = "@anns-response@"
"""Stands for the id of a response that is kept for somebody else,"""
ANNS_REQUEST = "@anns-request@"
"""and this for the id of somebody else's request."""
IDS = (
    *(ANNS_RESPONSE, ANNS_REQUEST, "house", "key_eve", "resp_1", "%00", "%ff", "..%2f..%2fadmin"),
    *("x" * 3000, "%2e%2e", "a%20b", "team:a", "tag:a", "%E5%90%8D", "*", "__proto__", "gpt-4o"),
)
CHATS = ("/v1/generate", "/v1/chat/completions", "/v1/messages", "/v1/responses", "/v1/batch")
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND", "X")
FIXED = tuple(path.name for path in ALL_PATHS if path.name)
NOWHERE = (
    *(
        "/",
        "//",
        "/v1",
        "/v1/",
        "/v2/chat/completions",
        "/admin/",
        "/admin/%6beys",
        "/%2e%2e/admin",
    ),
    *(
        "/v1/messages/batches",
        "/v1beta/models/gemini-2.5-flash:generateContent",
        "/chat/completions",
    ),
    *("/v1/chat/completions/", "/V1/GENERATE", "/v1//generate", "/health/x", "/.env", "/metrics/"),
)
PASSED = (
    *("/p/openai/v1/files", "/p/openai/v1/../admin", "/p/openai/%2e%2e/%2e%2e/x", "/p/nobody/x"),
    *("/openai/v1/chat/completions", "/openai/v1/models", "/anthropic/v1/messages", "/p/openai//x"),
    *("/genai/v1beta/models/gemini-2.5-flash:generateContent", "/genai/upload/v1beta/files"),
    *("/p/groq/openai/v1/chat/completions", "/p/workers-ai/run/@cf/x", "/p/openai/v1/%00", "/p/"),
    *("/p/openai/https://127.0.0.1/x", "/p/openai/\\\\127.0.0.1/x", "/openai/v1/responses/resp_1"),
)
QUERIES = (
    *(
        "",
        "",
        "",
        "window",
        "limit",
        "cursor",
        "alt",
        "key",
        "user",
        "format",
        "from",
        "to",
        "model",
    ),
    *("status", "scope", "provider", "stream", "after", "id", "label.x", "usage", "constructor"),
)
VALUES = (*TEXTS, "1h", "24h", "0", "1000", "99999999999999999999", "sse", "csv", "true", "5xx")
HEADERS: dict[str, tuple[str, ...]] = {
    "content-type": ("", "text/plain", "application/json; charset=utf-16", "multipart/form-data"),
    "accept": ("text/event-stream", "*/*;q=nan"),
    "traceparent": ("00-" + "0" * 32 + "-" + "0" * 16 + "-01", "00-ab-cd-01", "ff-x"),
    "tracestate": ("a=b," * 40,),
    "idempotency-key": ("k",),
    "anthropic-version": ("1999-01-01",),
    "anthropic-beta": ("a,b,,c", "x" * 5000),
    "openai-organization": ("org",),
    "cf-connecting-ip": ("1.2.3.4", "::1", "fe80::1%eth0", "::ffff:1.2.3.4", "x"),
    "x-forwarded-for": ("10.0.0.1, 1.1.1.1",),
    "origin": ("null", "https://evil.example"),
    "access-control-request-method": ("POST",),
    "range": ("bytes=0-",),
    "expect": ("100-continue",),
    "cf-aig-metadata": ("{", '{"a": {"b": 1}}', '{"a": NaN}', "[]", '{"user": "ann"}'),
    "cf-aig-request-timeout": ("0", "1", "99999999999"),
    "cf-aig-cache-ttl": ("0", "60", "1e9"),
    "cf-aig-cache-key": ("k", "ann"),
    "cf-aig-skip-cache": ("true", "1"),
    "cf-aig-max-attempts": ("0", "5", "99"),
    "cf-aig-retry-delay": ("5000", "-5"),
    "cf-aig-backoff": ("exponential", "linear"),
    "cf-aig-collect-log": ("false",),
    "cf-aig-collect-log-payload": ("true",),
    "x-request-id": ("a b", "\xe9", "x" * 300),
    "x-session-id": ("s", "s" * 5000),
    "x-proxy-explain": ("1",),
    "x-http-method-override": ("DELETE",),
    "x-goog-user-project": ("p",),
    "cookie": ("CF_Authorization=a.b.c",),
    "cf-access-jwt-assertion": ("a.b.c", "eyJhbGciOiJub25lIn0.e30.", "."),
    "content-length": ("0", "-1", "99999999999", "x"),
}


class Case(Struct):
    """A request, and how its caller behaves."""

    number: int
    method: str
    path: str
    """With its query."""
    name: str
    """The path as the interface names it; empty: none of its own."""
    headers: dict[str, str]
    body: bytes
    caller: str
    gone_after: int | None
    """Pieces of a stream after which the caller hangs up."""

    def describe(self) -> str:
        shown = {name: value[:80] for name, value in self.headers.items()}
        told = f"#{self.number} {self.caller}: {self.method} {self.path[:200]} {shown}"
        return f"{told}\n  body: {self.body[:1500]!r}"


def make_dice(seed: int, number: int, purpose: str = "") -> Random:
    return Random(f"{seed}:{number}:{purpose}")


def make_case(seed: int, number: int) -> Case:
    dice = make_dice(seed, number)
    name, path = _choose_path(dice)
    method = _choose_method(dice, name)
    headers = _choose_headers(dice)
    body = b"" if method in ("GET", "HEAD") and dice.random() < 0.9 else _make_body(dice, name)
    if body and dice.random() < 0.04:
        headers["content-encoding"], body = pack(dice, body)
    if dice.random() < 0.2:
        path += "?" + _make_query(dice)
    gone = dice.choice((None, None, None, None, 0, 1, 3))
    caller = dice.choice(CALLERS)
    return Case(number, method, path, name, headers, body, caller, gone)


def _choose_path(dice: Random) -> tuple[str, str]:
    """Its name and the path itself."""
    lot = dice.random()
    if lot < 0.45:
        name = dice.choice(CHATS)
    elif lot < 0.6:
        name = dice.choice(tuple(BODIES))
    elif lot < 0.85:
        name = dice.choice(FIXED)
    else:
        return "", dice.choice(PASSED if lot < 0.95 else NOWHERE)
    path = name
    for sign in ("ID", "NAME", "PROVIDER"):
        if name.endswith(sign) or f"/{sign}/" in name:
            path = path.replace(sign, dice.choice(IDS if sign != "PROVIDER" else PROVIDERS))
    return name, path


def _choose_method(dice: Random, name: str) -> str:
    if dice.random() < 0.05:
        return dice.choice(METHODS)
    if path := PATHS.get(name):
        return dice.choice(tuple(path.methods))
    return dice.choice(("GET", "POST", "POST", "DELETE"))


def _choose_headers(dice: Random) -> dict[str, str]:
    headers = {"content-type": "application/json"}
    while dice.random() < 0.3:
        name = dice.choice(tuple(HEADERS))
        value = dice.choice((*HEADERS[name], *HEADERS[name], dice.choice(TEXTS)))
        headers[name] = as_header(value)
    return headers


def as_header(text: str) -> str:
    """As a server hands on a header's value: bytes as Latin-1, no line breaks."""
    kept = text.encode(errors="replace")[:6000].decode("latin-1")
    return kept.replace("\r", "").replace("\n", "").replace("\0", "").strip()


def _make_query(dice: Random) -> str:
    pairs = (
        f"{dice.choice(QUERIES)}={quote(dice.choice(VALUES)[:300], errors='replace')}"
        for _ in range(dice.randrange(1, 4))
    )
    return dice.choice("&;").join(pairs) + dice.choice(("", "", "&", "%", "%ff", "&&=", "#x"))


def _make_body(dice: Random, name: str) -> bytes:
    """A valid body, often changed."""
    body = with_model(dice, dice.choice(BODIES.get(name, OTHER)))
    if dice.random() < 0.4:
        body["stream"] = True
    if dice.random() < 0.1:
        body["fallback"] = dice.choice((True, ["openai"], ["groq", "anthropic"]))
    if dice.random() < 0.05:
        _add_address(dice, body)
    changed = mutate(dice, body, dice.choice((0, 0, 1, 1, 1, 2, 3, 8)))
    data = render(changed).encode(errors="replace")
    return garble(dice, data) if dice.random() < 0.08 else data


def with_model(dice: Random, body: dict[str, Any]) -> dict[str, Any]:
    return {key: dice.choice(MODELS) if value == "" else value for key, value in body.items()}


def _add_address(dice: Random, body: dict[str, Any]) -> None:
    """An image at an address that is nobody's to choose."""
    image = {"type": "image_url", "image_url": {"url": dice.choice(INSIDE)}}
    body["model"] = "gemini/vision"
    body["messages"] = [{"role": "user", "content": [image]}]
