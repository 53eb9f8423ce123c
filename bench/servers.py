"""Starts what is measured."""

import shutil
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

from bench import peers, processes
from bench.bare import Bare, proxy
from bench.rows import KEY, PATH, Server, Servers
from tools import runtime
from tools.layout import PYTHON_MODULES, ROOT

_SETTINGS = {
    "ENVIRONMENT": "development",  # elsewhere a provider must be reached by https
    "PROXY_API_KEY": KEY,
    "OPENAI_API_KEY": "a-provider-key",
    "RATE_LIMIT_BURST": "1000000",
    "RATE_LIMIT_PER_HOUR": "10000000",
}
_HIT_MARK = b"proxy-memory; hit"


def start(stack: ExitStack, with_peers: bool) -> tuple[Servers, dict[str, str]]:
    """All that is measured, and the versions of the peers by name. The stack ends it."""
    folder = Path(stack.enter_context(TemporaryDirectory()))
    upstream = _start_upstream(stack, folder)
    url = f"http://{runtime.LOOPBACK}:{upstream.port}/v1"
    floor = Bare(
        _floor(folder),
        "floor_worker.py",
        {"UPSTREAM": url.removesuffix("/v1") + PATH},
        folder / "floor.log",
    )
    stack.enter_context(floor)
    modules = proxy(folder)
    quiet = folder / "quiet"
    shutil.copytree(modules, quiet)
    settings = {**_SETTINGS, "OPENAI_BASE_URL": url}
    started = list(peers.start(stack, url)) if with_peers else []
    servers = Servers(
        upstream,
        Server("floor", floor.port, floor.cpu, {}),
        _start_proxy(stack, modules, settings),
        _start_proxy(stack, quiet, settings | {"ANALYTICS": "off"}),
        [peer for peer, _ in started if not peer.hit_mark],
        [peer for peer, _ in started if peer.hit_mark],
    )
    return servers, {peer.name: version for peer, version in started}


def _start_upstream(stack: ExitStack, folder: Path) -> Server:
    port = runtime.free_port()
    url = f"http://{runtime.LOOPBACK}:{port}"
    command = (sys.executable, "-m", "bench.upstream", str(port))
    server = runtime.Server("the upstream", url, folder / "upstream.log", command, cwd=ROOT)
    stack.callback(server.stop)
    server.wait_until_ready("/", accept=range(200, 201), deadline=time.monotonic() + 10)
    process = processes.listener(port)
    return Server("upstream", port, lambda: processes.cpu_seconds(process), {})


def _floor(folder: Path) -> Path:
    """The modules of the bare Worker."""
    modules = folder / "floor"
    modules.mkdir()
    shutil.copy(ROOT / "bench" / "floor_worker.py", modules)
    shutil.copytree(PYTHON_MODULES, modules / "python_modules")
    return modules


def _start_proxy(stack: ExitStack, modules: Path, settings: dict[str, str]) -> Server:
    log = modules.parent / f"{modules.name}.log"
    worker = stack.enter_context(Bare(modules, "entry.py", settings, log))
    key = {"authorization": f"Bearer {KEY}"}
    return Server(modules.name, worker.port, worker.cpu, key, _HIT_MARK)
