"""The isolate's app, which the Worker and its objects share."""

from typing import Any

from proxy.app import App, Misconfigured, start
from proxy.edge.convert import texts
from proxy.edge.worker import ports

_app: App | Misconfigured | None = None


def started(env: Any) -> App | Misconfigured:
    """The app, built by the first who asks: before, there are no settings. env: the platform's
    own object, not the SDK's wrapper, which can be asked for names only."""
    global _app
    if _app is None:
        _app = start(texts(env), ports(env))
    return _app
