"""The isolate's app, which the Worker and its objects share."""

from typing import Any

from proxy.api.app import App
from proxy.api.misconfigured import Misconfigured
from proxy.api.start import start
from proxy.host.worker import ports
from proxy.platform.convert import read_texts

_app: App | Misconfigured | None = None


def started(env: Any) -> App | Misconfigured:
    """The app, built by the first call: before, there are no settings. env: the platform's own
    object, not the SDK's wrapper, which lists no names."""
    global _app
    if _app is None:
        _app = start(read_texts(env), ports(env))
    return _app
