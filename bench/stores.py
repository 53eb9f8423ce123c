"""KV and R2 in a workerd of their own, as on Cloudflare: what they use is not the Worker's."""

import json
import time
from pathlib import Path

from tools import runtime
from tools.layout import ROOT
from tools.offline import WORKERD

_CONFIG = """\
using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [ ( name = "stores", worker = ( compatibilityDate = "2026-11-01", modules = [
    ( name = "stores.js", esModule = {module} ) ] ) ) ],
  sockets = [
    ( name = "kv", address = "{host}:{kv}", http = (),
      service = ( name = "stores", entrypoint = "KV" ) ),
    ( name = "r2", address = "{host}:{r2}", http = (),
      service = ( name = "stores", entrypoint = "R2" ) ),
  ],
);
"""
_START_SECONDS = 20


class Stores:
    """stores.js on two ports of the loopback."""

    def __init__(self, folder: Path) -> None:
        """folder: for its configuration and its log. Raises StartError."""
        kv, r2 = runtime.free_port(), runtime.free_port()
        module = json.dumps((ROOT / "bench" / "stores.js").read_text("utf-8"))
        config = folder / f"stores-{kv}.capnp"
        config.write_text(_CONFIG.format(host=runtime.LOOPBACK, module=module, kv=kv, r2=r2))
        self.addresses = {
            "CACHE_KV": f"{runtime.LOOPBACK}:{kv}",
            "CACHE_R2": f"{runtime.LOOPBACK}:{r2}",
        }
        self._server = runtime.Server(
            "the stores",
            f"http://{self.addresses['CACHE_KV']}",
            config.with_suffix(".log"),
            (WORKERD, "serve", config),
        )
        deadline = time.monotonic() + _START_SECONDS
        self._server.wait_until_ready("/", accept=range(600), deadline=deadline)

    def stop(self) -> None:
        """Ends it."""
        self._server.stop()
