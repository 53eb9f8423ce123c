"""The counted Worker in a workerd of its own, with its objects in another Worker beside it, so that
nothing of theirs is counted."""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from time import monotonic

from bench.bare import proxy
from tools import runtime
from tools.layout import ROOT, WRANGLER_TOML
from tools.offline import WORKERD, snapshot

_CONFIG = """\
using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [
    ( name = "main", worker = .main ),
    ( name = "objects", worker = .objects ),
    ( name = "internet", network = ( allow = ["private", "public"] ) ),
    ( name = "disk", disk = ( path = "{disk}", writable = true ) ),
  ],
  sockets = [ ( name = "http", address = "{host}:{port}", http = (), service = "main" ) ],
  extensions = [ ( modules = [
    ( name = "bench:kv", internal = true, esModule = {kv} ),
    ( name = "bench:r2", internal = true, esModule = {r2} ),
    ( name = "bench:points", internal = true, esModule = {points} ),
  ] ) ],
);
const main :Workerd.Worker = (
  compatibilityDate = "{date}",
  compatibilityFlags = [ {flags} ],
  modules = [ {counted} ],
  bindings = [ {bindings} ],
);
const objects :Workerd.Worker = (
  compatibilityDate = "{date}",
  compatibilityFlags = [ {flags} ],
  modules = [ {modules} ],
  durableObjectNamespaces = [ {namespaces} ],
  durableObjectStorage = ( localDisk = "disk" ),
  bindings = [ {bindings} ],
);
"""
_KV = """\
const kept = new Map();
export default () => ({
  async get(key) { return kept.get(key)?.slice().buffer ?? null; },
  async put(key, value) { kept.set(key, value.slice()); },
  async delete(key) { kept.delete(key); },
});
"""
_R2 = """\
const kept = new Map();
export default () => ({
  async get(key) {
    const value = kept.get(key);
    return value ? { async arrayBuffer() { return value.slice().buffer; } } : null;
  },
  async put(key, value) { kept.set(key, value.slice()); },
  async delete(keys) { for (const key of [keys].flat()) kept.delete(key); },
  async list() { return { objects: [], truncated: false }; },
});
"""
_POINTS = "export default () => ({ writeDataPoint(point) {} });"
_START_SECONDS = 60


class Counted:
    """The proxy that counts, on a free port of the loopback."""

    def __init__(self, directory: Path, vars: Mapping[str, str]) -> None:
        """directory: for its modules and its log; vars: bound beside stores of each kind. Raises
        StartError."""
        self.port = runtime.free_port()
        upload = proxy(directory)
        shutil.copy(ROOT / "bench" / "crossings_worker.py", upload)
        config = upload / "crossings.capnp"
        config.write_text(_configuration(upload, vars, self.port), "utf-8")
        command = (WORKERD, "serve", config, "--experimental")
        url = f"http://{runtime.LOOPBACK}:{self.port}"
        self._server = runtime.Server("workerd", url, directory / "worker.log", command)
        self._server.wait_until_ready(
            "/health", accept=range(600), deadline=monotonic() + _START_SECONDS
        )

    def stop(self) -> None:
        """Ends it."""
        self._server.stop()


def _configuration(upload: Path, vars: Mapping[str, str], port: int) -> str:
    config = runtime.load_config(WRANGLER_TOML)
    objects = config["durable_objects"]["bindings"]
    disk = upload.parent / "objects"
    disk.mkdir()
    files = [path.relative_to(upload) for path in sorted(upload.rglob("*")) if path.is_file()]
    files = [file for file in files if file.suffix != ".capnp"]
    return _CONFIG.format(
        host=runtime.LOOPBACK,
        port=port,
        disk=disk,
        kv=json.dumps(_KV),
        r2=json.dumps(_R2),
        points=json.dumps(_POINTS),
        date=config["compatibility_date"],
        flags=snapshot.flag_list(config),
        counted=snapshot.module_list(_first(files, "crossings_worker.py")),
        modules=snapshot.module_list(_first(files, "entry.py")),
        namespaces=", ".join(
            f'( className = "{bound["class_name"]}", uniqueKey = "{bound["name"]}",'
            " enableSql = true )"
            for bound in objects
        ),
        bindings=",\n    ".join(_bindings(objects, vars)),
    )


def _first(files: list[Path], main: str) -> list[Path]:
    return sorted(files, key=lambda file: file.as_posix() != main)


def _bindings(objects: list[dict[str, str]], vars: Mapping[str, str]) -> list[str]:
    texts = [f"( name = {json.dumps(name)}, text = {json.dumps(vars[name])} )" for name in vars]
    namespaces = [
        f'( name = "{bound["name"]}", durableObjectNamespace ='
        f' ( className = "{bound["class_name"]}", serviceName = "objects" ) )'
        for bound in objects
    ]
    stores = {"CACHE_KV": "bench:kv", "CACHE_R2": "bench:r2", "METRICS": "bench:points"}
    wrapped = [
        f'( name = "{name}", wrapped = ( moduleName = "{module}" ) )'
        for name, module in stores.items()
    ]
    return texts + namespaces + wrapped
