"""What providers answer: their fixtures, often changed, as whole and streamed answers."""

import json
from random import Random
from typing import Any

from tests.fuzz.mutate import Raw, garble, mutate, render
from tests.upstream import fixtures
from tests.upstream.behaviour import BadDirectiveError
from tests.upstream.reply import Reply

NAMES = {
    folder.name: sorted(path.stem for path in folder.glob("*.json"))
    for folder in sorted(fixtures.ROOT.iterdir())
    if folder.is_dir()
}
"""The fixtures of each provider."""
_loaded: dict[tuple[str, str], Reply | None] = {}
STATUSES = (
    200,
    200,
    201,
    204,
    302,
    304,
    400,
    401,
    402,
    403,
    404,
    408,
    413,
    422,
    429,
    500,
    503,
    529,
)
HEADERS: dict[str, tuple[str, ...]] = {
    "retry-after": ("0", "-1", "1e300", "99999999999", "nan", "Wed, 21 Oct 2099 07:28:00 GMT", "x"),
    "x-ratelimit-remaining-requests": ("0", "-5", "1e999", "\xe9"),
    "x-ratelimit-reset-requests": ("0s", "9999999h", "soon"),
    "anthropic-ratelimit-requests-reset": ("2099-01-01T00:00:00Z", "9999-99-99"),
    "location": ("http://169.254.169.254/latest", "/x", "//127.0.0.1/"),
    "content-type": ("text/html", "text/event-stream", "application/json", "x" * 200, "image/png"),
    "content-length": ("5", "99999999999"),
    "x-request-id": ("a" * 3000, "\xff", "ok"),
    "set-cookie": ("a=b; Domain=example.com",),
    "access-control-allow-origin": ("*",),
    "openai-processing-ms": ("nan",),
}


def load(provider: str, name: str) -> Reply | None:
    """A fixture; None for a file that is none."""
    if (provider, name) not in _loaded:
        try:
            _loaded[provider, name] = fixtures.load(provider, name)
        except (BadDirectiveError, KeyError):
            _loaded[provider, name] = None
    return _loaded[provider, name]


def choose(dice: Random, provider: str, *, streams: bool) -> Reply:
    """What a provider answers: most often what fits, often changed."""
    names = NAMES.get(provider) or NAMES["openai"]
    owner = provider if provider in NAMES else "openai"
    fitting = [name for name in names if name.startswith("stream") == streams] or names
    if dice.random() < 0.3:
        fitting = names
    elif dice.random() < 0.4:
        fitting = [name for name in fitting if "error" not in name] or fitting
    reply = load(owner, dice.choice(fitting)) or load("openai", "basic")
    assert reply
    return _change(dice, reply) if dice.random() < 0.6 else reply


def _change(dice: Random, reply: Reply) -> Reply:
    status, headers, events = reply.status, dict(reply.headers), list(reply.events)
    if dice.random() < 0.2:
        status = dice.choice(STATUSES)
    if dice.random() < 0.3:
        name = dice.choice(tuple(HEADERS))
        headers[name] = dice.choice(HEADERS[name])
    for _ in range(dice.choice((0, 1, 1, 2, 4))):
        if events:
            at = dice.randrange(len(events))
            events[at : at + 1] = _damage(dice, events[at])
    return Reply(status, headers, events, reply.stream)


def _damage(dice: Random, event: bytes) -> list[bytes]:
    lot = dice.random()
    if lot < 0.1:
        return []
    if lot < 0.2:
        return [event, event]
    if lot < 0.4:
        return [garble(dice, event)]
    head, mark, rest = event.partition(b"data: ")
    if not mark:
        head, rest = b"", event
    text, end = rest.rstrip(b"\r\n"), rest[len(rest.rstrip(b"\r\n")) :]
    try:
        value: Any = json.loads(text)
    except (ValueError, RecursionError):
        return [event + dice.choice((b"\n\n", b": x\n", b"data: [DONE]\n\n", b"\0"))]
    changed = render(mutate(dice, value, dice.choice((1, 1, 2, 5))))
    return [head + mark + changed.encode(errors="replace") + end]


def echo(reply: Reply, secret: str) -> Reply:
    """The reply of a provider that refuses, and repeats the key that it was sent."""
    message = f"Incorrect API key provided: {secret}. You sent authorization: Bearer {secret}"
    fields: dict[str, Any] = {"message": message, "type": "x", "code": secret, "param": secret}
    body = render({"error": fields, "detail": message, "x": Raw("1")}).encode()
    return Reply(reply.status if reply.status >= 400 else 401, reply.headers, [body])
