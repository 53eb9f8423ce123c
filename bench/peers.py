"""Other gateways, each pinned, in an environment of its own and in its documented fast
configuration: a process without a database, with quiet logs. What can't be installed or started
is left out with a word."""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

from bench import processes
from bench.rows import KEY, Server
from tools import runtime
from tools.layout import CACHE, NODE_MODULES

_FOLDER = CACHE / "peers"
_KEY = f"sk-{KEY}"  # LiteLLM wants its keys to begin so
_BEARER = {"authorization": f"Bearer {_KEY}"}
_SECONDS = 120
_PORTKEY = {
    "private": True,
    "dependencies": {"@portkey-ai/gateway": "1.15.2", "hono": "4.9.7"},
    # With newer ones, which its own range allows, each of its streams fails.
    "overrides": {"hono": "4.9.7", "@hono/node-server": "1.13.5"},
}


class _Start(NamedTuple):
    """How a gateway is started."""

    command: Sequence[str | Path]
    variables: Mapping[str, str]
    ready: str
    """The path that answers 200 once it is ready."""
    headers: Mapping[str, str]


class _Peer(NamedTuple):
    """A gateway."""

    name: str
    version: str
    install: Callable[[Path], None]
    start: Callable[[Path, int, str, bool], _Start]
    """Takes its folder, its port, the upstream's URL and whether it has to cache."""
    hit_mark: bytes
    """See rows.Server."""


def start(stack: ExitStack, upstream: str) -> Iterator[tuple[Server, str]]:
    """Starts each that can be, twice where it caches. Gives their servers, of which those with a
    hit mark are the caching ones, and their versions. The stack ends them.

    upstream: the URL below which it has /chat/completions.
    """
    for peer in _PEERS:
        folder = _FOLDER / peer.name
        try:
            _install(peer, folder)
            for caches in (False, True) if peer.hit_mark else (False,):
                yield _start(stack, peer, upstream, caches), peer.version
        except (subprocess.CalledProcessError, runtime.StartError) as error:
            why = str(error).splitlines()[0]
            print(f"{peer.name} {peer.version} is left out: {why}", file=sys.stderr)


def _install(peer: _Peer, folder: Path) -> None:
    """Raises CalledProcessError."""
    stamp = folder / "installed"
    wanted = f"{peer.version} {json.dumps(_PORTKEY)}"
    if stamp.exists() and stamp.read_text("utf-8") == wanted:
        return
    print(f"{peer.name} {peer.version} is installed into {folder}", file=sys.stderr)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    peer.install(folder)
    stamp.write_text(wanted, "utf-8")


def _start(stack: ExitStack, peer: _Peer, upstream: str, caches: bool) -> Server:
    """Tries twice: while one starts slowly, another's connection may take its port.

    Raises StartError.
    """
    try:
        return _try(stack, peer, upstream, caches)
    except runtime.StartError:
        return _try(stack, peer, upstream, caches)


def _try(stack: ExitStack, peer: _Peer, upstream: str, caches: bool) -> Server:
    """Raises StartError."""
    port = runtime.free_port()
    how = peer.start(_FOLDER / peer.name, port, upstream, caches)
    url = f"http://{runtime.LOOPBACK}:{port}"
    log = _FOLDER / f"{peer.name}.log"
    server = runtime.Server(
        peer.name, url, log, how.command, env=os.environ | how.variables, cwd=_FOLDER
    )
    stack.callback(server.stop)
    deadline = time.monotonic() + _SECONDS
    server.wait_until_ready(how.ready, accept=range(200, 201), deadline=deadline)
    process = processes.listener(port)
    mark = peer.hit_mark if caches else b""
    return Server(peer.name, port, lambda: processes.cpu_seconds(process), how.headers, mark)


def _run(*command: str | Path) -> None:
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def _pip(requirement: str) -> Callable[[Path], None]:
    def install(folder: Path) -> None:
        _run(sys.executable, "-m", "venv", folder)
        pip = (folder / "bin" / "pip", "install", "-qq", "--only-binary=:all:")
        _run(*pip, requirement)

    return install


def _npm(folder: Path) -> None:
    (folder / "package.json").write_text(json.dumps(_PORTKEY), "utf-8")
    quiet = ("--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error")
    _run("npm", "install", "--prefix", folder, *quiet)


def _litellm(folder: Path, port: int, upstream: str, caches: bool) -> _Start:
    where = {"model": "openai/gpt-4o-mini", "api_base": upstream, "api_key": "a-key"}
    cache = {"cache": True, "cache_params": {"type": "local", "ttl": 3600}}
    config = {
        "model_list": [{"model_name": "gpt-4o-mini", "litellm_params": where}],
        "litellm_settings": cache if caches else {},
    }
    file = folder / f"config-{port}.yaml"
    file.write_text(json.dumps(config), "utf-8")
    options = ("--host", runtime.LOOPBACK, "--port", str(port), "--num_workers", "1")
    return _Start(
        (folder / "bin" / "litellm", "--config", file, *options),
        {
            "LITELLM_LOG": "ERROR",
            "LITELLM_MODE": "PRODUCTION",
            "LITELLM_LOCAL_MODEL_COST_MAP": "True",
            "LITELLM_MASTER_KEY": _KEY,
        },
        "/health/liveliness",
        _BEARER,
    )


def _portkey(folder: Path, port: int, upstream: str, caches: bool) -> _Start:
    script = folder / "node_modules/@portkey-ai/gateway/build/start-server.js"
    return _Start(
        (NODE_MODULES / ".bin" / "node", script, f"--port={port}", "--headless"),
        {"NODE_ENV": "production"},
        "/",
        {"x-portkey-provider": "openai", "x-portkey-custom-host": upstream, **_BEARER},
    )


def _ferro(folder: Path, port: int, upstream: str, caches: bool) -> _Start:
    plugin = {"name": "response-cache", "type": "transform", "enabled": True}
    settings = {"max_age": 3600, "max_entries": 1000}
    stages = ("before_request", "after_request") if caches else ()
    config = {
        "strategy": {"mode": "single"},
        "targets": [{"virtual_key": "openai"}],
        "plugins": [{**plugin, "stage": stage, "config": settings} for stage in stages],
    }
    file = folder / f"config-{port}.json"
    file.write_text(json.dumps(config), "utf-8")
    return _Start(
        (folder / "bin" / "ferrogw", "serve"),
        {
            "GATEWAY_CONFIG": str(file),
            "PORT": str(port),
            "MASTER_KEY": _KEY,
            "OPENAI_API_KEY": "a-key",
            "OPENAI_BASE_URL": upstream,
            "RATE_LIMIT_RPS": "0",  # by default it refuses more than 20 a second
            "LOG_LEVEL": "warn",
            "FERRO_MODEL_CATALOG_TIMEOUT": "0",  # else it fetches prices at its start
        },
        "/readyz",
        _BEARER,
    )


_PEERS = (
    _Peer("LiteLLM", "1.106.0", _pip("litellm[proxy]==1.106.0"), _litellm, b"x-litellm-cache-key"),
    _Peer("Portkey", "1.15.2", _npm, _portkey, b""),  # npm's build has its cache compiled out
    # It names the attempts between these two headers, in the order of the alphabet, if any.
    _Peer("Ferro", "1.5.10", _pip("ferrogw==1.5.10"), _ferro, b"DENY\r\nX-Gateway-Overhead-Ms"),
)
