"""The scripted upstream without a socket: what a provider makes of a call, at once."""

import json
import re
from typing import Any
from urllib.parse import urlsplit

from proxy.core.ports import Outgoing
from tests.unit.doubles import FakeReply
from tests.upstream.behaviour import behaviour_for, extract
from tests.upstream.journal import Journal
from tests.upstream.reply import RejectedError
from tests.upstream.request import Request
from tests.upstream.server import PROVIDERS, Provider, make_reply

HOST = "http://127.0.0.1:9"
PLAYED: dict[str, Provider] = {provider.name: provider for provider in (p() for p in PROVIDERS)}
BASES = {"gemini": "/gemini/v1beta"}
"""Base URLs that are longer than what the provider is known by."""
MODEL = "qwen3:8b"
"""The model of servers that have whichever their owner gave them."""
SERVERS = ("lab", "gpu-2")
"""Those that no catalogue names."""


def make_env(host: str = HOST) -> dict[str, str]:
    """The settings that lead each provider to the scripted upstream, with the key that it wants."""
    env = {"LOCAL_PROVIDERS": ",".join(SERVERS)}
    for name, provider in PLAYED.items():
        variable = name.upper().replace("-", "_")
        key = getattr(provider, "key", "test-gemini-key" if name == "gemini" else None)
        env |= {f"{variable}_API_KEY": key} if key else {}
        if name != "workers-ai":
            env[f"{variable}_BASE_URL"] = host + BASES.get(name, provider.prefix)
        if name in ("ollama", "vllm", *SERVERS):
            env[f"{variable}_MODELS"] = MODEL
    return env


def play(outgoing: Outgoing) -> FakeReply:
    """What the provider answers that is called, after its checks."""
    parts = urlsplit(_find_url(outgoing.url))
    body = outgoing.body or b""
    data = body if isinstance(body, bytes) else b"".join(map(bytes, body))
    headers = {name.lower(): value for name, value in outgoing.headers.items()}
    headers.setdefault("content-type", "application/json")
    target = f"{parts.path}?{parts.query}" if parts.query else parts.path
    request = Request(outgoing.method, target, headers, data, framed=True)
    return _answer(PLAYED[find_played(outgoing.url)], request)


def find_played(url: str) -> str:
    """The provider that a call goes to."""
    path = urlsplit(_find_url(url)).path
    return next(name for name, p in PLAYED.items() if path.startswith(f"{p.prefix}/"))


def _find_url(url: str) -> str:
    return re.sub("^ai:", f"{HOST}/workers-ai/run/", url)


def _answer(provider: Provider, request: Request) -> FakeReply:
    given: Any = json.loads(request.body) if request.body else None
    sent, directive = extract(given)
    behaviour = behaviour_for(provider.name, directive)
    entry = Journal().add("", provider.name, request, sent)
    try:
        reply = make_reply(provider, request, entry, behaviour)
    except RejectedError as rejected:
        reply = provider.error(rejected)
    return FakeReply(*reply.events, status=reply.status, headers=reply.headers)
