"""Start and stop the real servers of the project: `wrangler dev`, and the local model.

    with runtime.start(Launch(8787, Path("worker.log"))) as worker:
        ... worker.url ...

Used by `make dev` and by the end-to-end tests. Whatever becomes of the caller, nothing that was
started outlives it (see tools/guard.py). Instances don't disturb one another: each has its own
port, state and registry.
"""

import http.client
import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
import tomllib
from collections.abc import Mapping, Sequence
from itertools import chain
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self
from urllib.parse import urlsplit

from tools import offline
from tools.layout import CACHE, LOCAL_MODEL, NODE_MODULES, ROOT, WRANGLER_TOML

START_SECONDS = 120.0
LOOPBACK = "127.0.0.1"
_TAIL_LINES = 40


class StartError(Exception):
    """A server did not come up; the message ends with the tail of its log."""


class Server:
    """A running server and everything it started.

    `url` has no path and no trailing slash; `log` holds what the server writes.
    """

    def __init__(self, name: str, url: str, log: Path, command: Sequence[str | Path], **popen: Any):
        self.name = name
        self.url = url
        self.log = log
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("wb") as output:
            self._guard = subprocess.Popen(
                [sys.executable, ROOT / "tools" / "guard.py", *command],
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C at the terminal is for the caller alone
                **popen,
            )

    def running(self) -> bool:
        """Whether the server has not ended."""
        return self._guard.poll() is None

    def stop(self) -> None:
        """End the server with all its descendants; return when they are gone."""
        assert self._guard.stdin is not None
        self._guard.stdin.close()
        self._guard.wait()

    def kill(self) -> None:
        """SIGKILL to the server and all that it started: none of them says goodbye."""
        children = ["pgrep", "-P", str(self._guard.pid)]  # the guard's child leads their group
        leader = subprocess.run(children, stdout=subprocess.PIPE, check=True).stdout
        os.killpg(int(leader), signal.SIGKILL)
        self.stop()

    def tail(self) -> str:
        """The last lines of the log."""
        return "\n".join(self.log.read_text("utf-8", "replace").splitlines()[-_TAIL_LINES:])

    def wait_until_ready(self, path: str, *, accept: range, deadline: float) -> Self:
        """Return once GET `path` answers with a status in `accept`.

        Raises StartError, with the server stopped, when it ends or `deadline` (of the monotonic
        clock) passes.
        """
        try:
            while self._status(path, deadline) not in accept:
                if not self.running():
                    raise StartError(f"{self.name} ended while starting.\n{self.tail()}")
                if time.monotonic() > deadline:
                    raise StartError(f"{self.name} did not answer in time.\n{self.tail()}")
                time.sleep(0.1)
        except BaseException:
            self.stop()
            raise
        return self

    def _status(self, path: str, deadline: float) -> int | None:
        address = urlsplit(self.url)
        connection = http.client.HTTPConnection(
            address.hostname or LOOPBACK,
            address.port,
            timeout=max(0.1, min(10.0, deadline - time.monotonic())),
        )
        try:
            connection.request("GET", path)
            return connection.getresponse().status
        except (OSError, http.client.HTTPException):
            return None
        finally:
            connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()


class Launch(NamedTuple):
    """How to start `wrangler dev`. `vars` are visible in the process list: a secret belongs into
    .env or a configuration of its own.
    """

    port: int
    log: Path
    host: str = LOOPBACK
    configs: Sequence[Path] = (WRANGLER_TOML,)
    """The first is the Worker that the port serves; the others are those it is bound to."""
    env: str | None = "development"
    vars: Mapping[str, str] = {}
    persist_to: Path = ROOT / ".wrangler" / "state"
    snapshot: Path | None = None
    """The memory from which the Worker starts (tools.offline.snapshot)."""


def start(launch: Launch) -> Server:
    """Start `wrangler dev --local` and wait until the Worker answers. Raises StartError."""
    worker = Server(
        "wrangler dev",
        f"http://{LOOPBACK if launch.host == '0.0.0.0' else launch.host}:{launch.port}",
        launch.log,
        _wrangler_dev(launch),
        cwd=launch.configs[0].parent,
        env=wrangler_environment(launch.persist_to, launch.snapshot),
    )
    deadline = time.monotonic() + START_SECONDS
    return worker.wait_until_ready("/health", accept=range(100, 600), deadline=deadline)


def _wrangler_dev(launch: Launch) -> list[str | Path]:
    config = load_config(launch.configs[0])
    vars = launch.vars
    if "ai" in config:  # Cloudflare's own, which --local does not reach
        vars = {"AI_BINDING": "off", **vars}
    options = {
        "config": launch.configs,
        "env": [launch.env] if launch.env else [],
        "ip": [launch.host],
        "port": [str(launch.port)],
        "inspector-port": ["0"],
        "persist-to": [launch.persist_to],
        "compatibility-flags": [*config["compatibility_flags"], *offline.FLAGS],
        "var": [f"{name}:{value}" for name, value in vars.items()],
    }
    return [
        NODE_MODULES / ".bin" / "wrangler",
        "dev",
        "--local",
        "--show-interactive-dev-session=false",
        *chain.from_iterable(
            (f"--{name}", value) for name, values in options.items() for value in values
        ),
    ]


def start_local_model(*, log: Path) -> tuple[Server, dict[str, str]]:
    """Start the local model on free ports and wait until it answers.

    Returns the server and the variables that lead the Worker to it. Raises StartError.
    """
    chat, embeddings = free_port(), free_port()
    server = Server(
        "the local model",
        f"http://{LOOPBACK}:{chat}",
        log,
        [
            LOCAL_MODEL / "bin" / "python",
            ROOT / "tools" / "local_model.py",
            *("--port", str(chat)),
            *("--embeddings-port", str(embeddings)),
        ],
    )
    server.wait_until_ready(
        "/health", accept=range(200, 201), deadline=time.monotonic() + START_SECONDS
    )
    return server, {
        "LOCAL_BASE_URL": f"{server.url}/v1",
        "LOCAL_EMBEDDINGS_BASE_URL": f"http://{LOOPBACK}:{embeddings}/v1",
    }


def load_config(path: Path) -> dict[str, Any]:
    """A wrangler configuration, in TOML or plain JSON."""
    text = path.read_text("utf-8")
    return tomllib.loads(text) if path.suffix == ".toml" else json.loads(text)


def wrangler_environment(state: Path, snapshot: Path | None = None) -> dict[str, str]:
    """The environment variables under which wrangler runs offline, quietly and by itself.

    What the caller's environment says to wrangler (a token, an environment's name) is left out.
    """
    own = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("CLOUDFLARE_", "MINIFLARE_", "WRANGLER_"))
    }
    return {
        **own,
        "PATH": f"{NODE_MODULES / '.bin'}{os.pathsep}{os.environ['PATH']}",
        **offline.environment(snapshot),
        "CLOUDFLARE_CF_FETCH_ENABLED": "false",
        # V8 knows nothing of the native memory behind each request and response, and collects
        # them so seldom that both workerds grow by some 40 KB a request.
        "MINIFLARE_WORKERD_V8_FLAGS": "--gc-global",
        "X_LOCAL_OBSERVABILITY": "false",  # keeps a trace of each request, which nothing here shows
        "WRANGLER_SEND_METRICS": "false",
        "WRANGLER_HIDE_BANNER": "true",  # and with it the check for updates
        "WRANGLER_REGISTRY_PATH": str(state / "registry"),
        "XDG_CONFIG_HOME": str(CACHE / "wrangler"),  # HOME may be read-only
    }


def free_port() -> int:
    """A loopback port that nothing listens on now, below those that systems give out by themselves:
    no other process is handed it before it is taken."""
    while True:
        port = random.randrange(20_000, 32_768)
        with socket.socket() as probe:
            try:
                probe.bind((LOOPBACK, port))
            except OSError:
                continue
        return port
