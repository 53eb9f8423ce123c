"""One deployment in two workerd processes, as the platform runs it in many isolates.

`first` holds the Durable Objects. `second` reaches them by RPC, through a registry of wrangler's
that the two share, and can be killed without them. Neither has KV or R2, so what they share is
the objects alone.
"""

import json
from collections.abc import Mapping
from pathlib import Path

from tests.e2e.configuration import build, derive_config
from tools import runtime
from tools.runtime import load_config


class Pair:
    """The two processes. `second` is started anew when it is asked for after it was killed."""

    def __init__(self, directory: Path, settings: Mapping[str, str]) -> None:
        self._directory = directory
        self._settings = settings
        self._running: dict[str, runtime.Server] = {}
        (directory / "registry").mkdir()

    def start(self) -> None:
        """Starts both."""
        assert self.first and self.second

    @property
    def first(self) -> str:
        """The address of the one that holds the objects."""
        return self._url("first")

    @property
    def second(self) -> str:
        """The address of the other."""
        return self._url("second")

    def kill_second(self) -> None:
        """SIGKILL to `second`, workerd and wrangler: none of them says goodbye."""
        self._running.pop("second").kill()

    def stop(self) -> None:
        """Ends both."""
        for server in self._running.values():
            server.stop()

    def _url(self, name: str) -> str:
        if name not in self._running:
            self._running[name] = self._start(name)
        return self._running[name].url

    def _start(self, name: str) -> runtime.Server:
        directory = self._directory / name
        if not directory.exists():
            self._configure(name, directory)
        return runtime.start(
            runtime.Launch(
                runtime.free_port(),
                directory / "worker.log",
                configs=(directory / "wrangler.json",),
                env=None,
                persist_to=directory / "state",
                snapshot=build().snapshot,
            )
        )

    def _configure(self, name: str, directory: Path) -> None:
        state = directory / "state"
        state.mkdir(parents=True)
        (state / "registry").symlink_to(self._directory / "registry")
        path = derive_config(directory, vars=self._settings)
        config = load_config(path) | {"name": name}
        del config["ai"], config["kv_namespaces"], config["r2_buckets"]
        if name == "second":
            del config["migrations"]
            for binding in config["durable_objects"]["bindings"]:
                binding["script_name"] = "first"
        path.write_text(json.dumps(config))
