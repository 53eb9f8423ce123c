"""What is measured: each kind of load, the floors, the proxy and its peers under it."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from bench.answers import Expected
from bench.load import NUMBER, Load, Timing
from bench.upstream import EVENTS

KEY = "a-callers-key-0123456789"
PATH = "/v1/chat/completions"
KINDS = ("hit", "miss", "miss 50 ms", "burst", "paced")
ALONE = "upstream alone"
ECHO, READ = "floor: echo", "floor: forward and read"
KEEP = "floor: with KV read and written"
UNTOUCHED, PIPE, PUMP = "floor: untouched", "floor: native pipe", "floor: Python pump"
HIT, QUIET_HIT = "hit", "hit, ANALYTICS=off"
MISS, UNCACHED = "miss", "miss, cache off"
PASSED, TRIMMED, TRANSLATED = "passed through", "passed, usage taken out", "translated"

_MODEL = "gpt-4o-mini"
_LEADS = {"miss 50 ms": 0.35, "paced": 0.6}
_LEAD = 0.25
"""Seconds of lead, longer than an answer takes where the provider waits."""
_ANSWER = Expected(b'"choices"')
_CONNECTIONS = {"burst": (10, 50), "paced": (10, 50)}


class Server(NamedTuple):
    """Who is measured."""

    name: str
    port: int
    cpu: Callable[[], float]
    headers: Mapping[str, str]
    hit_mark: bytes = b""
    """What stands in an answer from its cache, empty where it has none."""


class Servers(NamedTuple):
    """All who are measured in a run."""

    upstream: Server
    floor: Server
    proxy: Server
    quiet: Server
    """The proxy with ANALYTICS=off."""
    peers: Sequence[Server]
    caching_peers: Sequence[Server]


class Row(NamedTuple):
    """A server under a load."""

    kind: str
    connections: int
    name: str
    load: Load
    cpu: Callable[[], float]
    timing: Timing
    floor: str | None
    """The name of the row of the same kind and connections that it is measured by."""
    share: float
    """How much of that floor."""


class _Line(NamedTuple):
    """A server under a kind of load, with any number of connections."""

    name: str
    server: Server
    body: dict[str, Any]
    expected: Expected
    path: str = PATH
    floor: str | None = None
    share: float = 1.0


def rows(servers: Servers, kind: str, seconds: float) -> Iterator[Sequence[Row]]:
    """What is measured in turn for a kind, for each number of connections."""
    lines = list(_LINES[kind](servers))
    timing = Timing(_LEADS.get(kind, _LEAD), seconds)
    for connections in _CONNECTIONS.get(kind, (1, 10, 50, 100)):
        yield [_row(line, kind, connections, timing) for line in lines]


def _row(line: _Line, kind: str, connections: int, timing: Timing) -> Row:
    body = json.dumps({"model": _MODEL, **line.body})
    server = line.server
    load = Load(server.port, line.path, body, server.headers, line.expected)
    return Row(kind, connections, line.name, load, server.cpu, timing, line.floor, line.share)


def _chat(prompt: str, **fields: Any) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": prompt}], **fields}


def _hits(servers: Servers) -> Iterator[_Line]:
    body = _chat("Tell me a joke.")
    yield _Line(ECHO, servers.floor, body, Expected(b"joke"), path="/echo")
    for name, server in ((HIT, servers.proxy), (QUIET_HIT, servers.quiet)):
        yield _Line(name, server, body, Expected(server.hit_mark), floor=ECHO)
    for peer in servers.caching_peers:
        yield _Line(peer.name, peer, body, Expected(peer.hit_mark), floor=ECHO)


def _misses(servers: Servers, delay: int) -> Iterator[_Line]:
    body = _chat(f"Tell me joke {NUMBER}. #d{delay}c0")
    yield _Line(ALONE, servers.upstream, body, _ANSWER)
    yield _Line(READ, servers.floor, body, _ANSWER, path="/read")
    yield _Line(KEEP, servers.floor, body, _ANSWER, path="/keep", floor=READ)
    uncached = {**body, "cache": {"mode": "off"}}
    yield _Line(UNCACHED, servers.proxy, uncached, _ANSWER, floor=READ)
    for name, server in ((MISS, servers.proxy), *((peer.name, peer) for peer in servers.peers)):
        yield _Line(name, server, body, _ANSWER, floor=READ)


def _streams(servers: Servers, delays: str) -> Iterator[_Line]:
    """Streams of 20 pieces of text, the finish, the usage where it is wanted, and [DONE]."""
    prompt = f"Tell me joke {NUMBER}. {delays}"
    plain = _chat(prompt, stream=True)
    counted = {**plain, "stream_options": {"include_usage": True}}
    with_usage = Expected(b"[DONE]", EVENTS + 3, EVENTS + 3)
    without = Expected(b"[DONE]", EVENTS + 2, EVENTS + 2)
    yield _Line(ALONE, servers.upstream, counted, with_usage)
    for name, path in ((UNTOUCHED, "/untouched"), (PIPE, "/pipe"), (PUMP, "/pump")):
        yield _Line(name, servers.floor, counted, with_usage, path)
    yield _Line(PASSED, servers.proxy, counted, with_usage, floor=PIPE)
    yield _Line(TRIMMED, servers.proxy, plain, without, floor=PIPE)
    native = {"prompt": prompt, "stream": True}
    # What comes together goes on as one event, and the last one says that it is done.
    events = Expected(b"event: done", 2, EVENTS + 1)
    yield _Line(TRANSLATED, servers.proxy, native, events, "/v1/generate", PUMP, 0.5)
    for peer in servers.peers:
        yield _Line(peer.name, peer, counted, Expected(b"[DONE]", EVENTS + 1), floor=PIPE)


_LINES: dict[str, Callable[[Servers], Iterator[_Line]]] = {
    "hit": _hits,
    "miss": lambda servers: _misses(servers, 0),
    "miss 50 ms": lambda servers: _misses(servers, 50),
    "burst": lambda servers: _streams(servers, ""),
    "paced": lambda servers: _streams(servers, "#d50c10"),
}
