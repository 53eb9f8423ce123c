"""Workers in workerd itself, without `wrangler dev` and the two Workers that it puts in front, so
that nothing but the Worker is measured."""

import json
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path
from types import TracebackType
from typing import Self

from msgspec import Struct

from bench import processes
from bench.stores import Stores
from tools import runtime
from tools.layout import WRANGLER_TOML
from tools.offline import WORKERD, snapshot

_CONFIG = """\
using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [
    ( name = "main", worker = .worker ),
    ( name = "internet", network = ( allow = ["private", "public"] ) ),
    ( name = "disk", disk = ( path = "{disk}", writable = true ) ),
    ( name = "points", external = ( address = "{points}", http = () ) ),
    {stores}
  ],
  sockets = [ ( name = "http", address = "{host}:{port}", http = (), service = "main" ) ],
  extensions = [ ( modules = [ ( name = "bench:dataset", internal = true, esModule =
    "export default env => ({{ writeDataPoint(point) {{}} }});" ) ] ) ],
);
const worker :Workerd.Worker = (
  compatibilityDate = "{date}",
  compatibilityFlags = [ {flags} ],
  modules = [
    {modules}
  ],
  durableObjectNamespaces = [ {namespaces} ],
  durableObjectStorage = ( localDisk = "disk" ),
  bindings = [ {bindings} ],
);
"""
_NOWHERE = 'wrapped = ( moduleName = "bench:dataset" )'
_STORES = {"CACHE_KV": "kvNamespace", "CACHE_R2": "r2Bucket"}
_START_SECONDS = 60


class Bare:
    """A Worker in a workerd of its own, on a free port of the loopback."""

    def __init__(
        self,
        upload: Path,
        main: str,
        vars: Mapping[str, str],
        log: Path,
        points: str | None = None,
    ) -> None:
        """upload: the folder of its modules; main: the module that starts; vars: bound beside the
        data set METRICS, stores.js as KV and R2 and, for the proxy, wrangler.toml's objects;
        points: the HTTP server to which workerd sends the data points, None where it drops them.
        Raises StartError."""
        self.port = runtime.free_port()
        self._stores = Stores(log.parent)
        config = upload / "bench.capnp"
        settings = _Settings(main, vars, self.port, points, self._stores.addresses)
        config.write_text(_configuration(upload, settings), "utf-8")
        # As a deployed one, the proxy starts from its memory after its imports.
        memory = snapshot.keep().snapshot if main == "entry.py" else None
        start = snapshot.start_options(memory) if memory else ()
        command = (WORKERD, "serve", config, "--experimental", *start)
        self._server = runtime.Server("workerd", f"http://127.0.0.1:{self.port}", log, command)
        deadline = time.monotonic() + _START_SECONDS
        try:
            self._server.wait_until_ready("/health", accept=range(600), deadline=deadline)
        except BaseException:
            self._stop()
            raise
        self.process = processes.listener(self.port)

    def cpu(self) -> float:
        """Seconds of CPU that its process has used."""
        return processes.cpu_seconds(self.process)

    def post(
        self, path: str, body: bytes, headers: Mapping[str, str] | None = None
    ) -> tuple[int, bytes]:
        """Sends one request and gives its status and body."""
        all_headers = {"content-type": "application/json", **(headers or {})}
        with closing(HTTPConnection("127.0.0.1", self.port, timeout=60)) as connection:
            connection.request("POST", path, body, all_headers)
            answer = connection.getresponse()
            return answer.status, answer.read()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stop()

    def _stop(self) -> None:
        self._server.stop()
        self._stores.stop()


class _Settings(Struct, frozen=True):
    main: str
    vars: Mapping[str, str]
    port: int
    points: str | None
    stores: Mapping[str, str]
    """The addresses of KV and R2 by their bindings."""


def proxy(directory: Path) -> Path:
    """Copies the modules that wrangler would upload of the proxy into a new folder."""
    return shutil.copytree(snapshot.keep().modules, directory / "proxy")


def _configuration(upload: Path, settings: _Settings) -> str:
    config = runtime.load_config(WRANGLER_TOML)
    is_proxy = (upload / "entry.py").is_file()
    objects = config["durable_objects"]["bindings"] if is_proxy else []
    disk = upload.parent / f"{upload.name}-objects"
    disk.mkdir()
    files = [path.relative_to(upload) for path in sorted(upload.rglob("*")) if path.is_file()]
    files = [file for file in files if file.suffix != ".capnp"]
    files.sort(key=lambda file: file.as_posix() != settings.main)
    return _CONFIG.format(
        host=runtime.LOOPBACK,
        port=settings.port,
        disk=disk,
        points=settings.points or f"{runtime.LOOPBACK}:1",
        date=config["compatibility_date"],
        flags=snapshot.flag_list(config),
        modules=snapshot.module_list(files),
        stores="\n    ".join(
            f'( name = "{name}", external = ( address = "{address}", http = () ) ),'
            for name, address in settings.stores.items()
        ),
        namespaces=", ".join(
            f'( className = "{bound["class_name"]}", uniqueKey = "{bound["name"]}",'
            " enableSql = true )"
            for bound in objects
        ),
        bindings=",\n    ".join(_bindings(objects, settings)),
    )


def _bindings(objects: list[dict[str, str]], settings: _Settings) -> Iterator[str]:
    for name, value in settings.vars.items():
        yield f"( name = {json.dumps(name)}, text = {json.dumps(value)} )"
    for bound in objects:
        namespace = f'( className = "{bound["class_name"]}" )'
        yield f'( name = "{bound["name"]}", durableObjectNamespace = {namespace} )'
    for name in settings.stores:
        yield f'( name = "{name}", {_STORES[name]} = "{name}" )'
    dataset = 'analyticsEngine = "points"' if settings.points else _NOWHERE
    yield f'( name = "METRICS", {dataset} )'
