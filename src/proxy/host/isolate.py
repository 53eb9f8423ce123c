"""The isolate's app, which the Worker and its objects share."""

from typing import Any

from proxy.api.app import App
from proxy.api.misconfigured import Misconfigured
from proxy.api.start import start
from proxy.core.errors import Unavailable
from proxy.core.settings import is_setting
from proxy.host.worker import ports
from proxy.platform.convert import read_env
from proxy.platform.secrets_store import read_secrets

_app: App | Misconfigured | None = None


def started(env: Any) -> App | Misconfigured | None:
    """The app, built by the first call: before, there are no settings. None: `begin` has to build
    it, since settings are bound to secrets of the Secrets Store. env: the platform's own object,
    not the SDK's wrapper, which lists no names."""
    global _app
    if _app is None:
        texts, bound = _sort(read_env(env))
        if not bound:
            _app = start(texts, ports(env))
    return _app


async def begin(env: Any) -> App | Misconfigured:
    """The app, once its secrets are read. Each of the first requests reads them for itself, since
    none may wait for another's. Where one can't be read, what answers this request alone."""
    global _app
    if app := started(env):
        return app
    texts, bound = _sort(read_env(env))
    outside = ports(env)
    secrets, failures = await read_secrets(bound)
    if failures:
        names = ", ".join(sorted(failures))
        outside.log("error", "secrets unreadable", bindings=failures)
        why = f"{names} can't be read from the Secrets Store now. Try again."
        refusal = Unavailable(why, code="secret_unreadable", retry_after=1)
        return Misconfigured(refusal, outside)
    if _app is None:
        _app = start(texts | secrets, outside, frozenset(secrets))
    return _app


def _sort(env: dict[str, Any]) -> tuple[dict[str, str], dict[str, Any]]:
    """The settings that are there as texts, and the bindings of those that have to be read."""
    texts = {name: value for name, value in env.items() if isinstance(value, str)}
    others = env.keys() - texts.keys()
    return texts, {
        name: env[name] for name in sorted(others) if hasattr(env[name], "get") and is_setting(name)
    }
