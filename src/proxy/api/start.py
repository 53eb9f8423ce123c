"""Makes the app of an isolate."""

from collections.abc import Mapping

from proxy.api.app import App
from proxy.api.misconfigured import Misconfigured
from proxy.api.services import Services
from proxy.core.errors import InternalError
from proxy.core.ports import Ports
from proxy.core.settings import SettingsError


def start(
    env: Mapping[str, str], ports: Ports, stored: frozenset[str] = frozenset()
) -> App | Misconfigured:
    """Makes the app, or what answers in its place. env: the Worker's vars and secrets; stored: the
    names of those that come from the Secrets Store."""
    wrong = []
    if ports.unbound:
        names = ", ".join(ports.unbound)
        wrong.append(
            f"The Worker lacks the Durable Object bindings {names}: add them to"
            " durable_objects.bindings of this environment in wrangler.toml."
        )
    try:
        app = App(Services(env, ports, stored))
    except (SettingsError, ValueError) as error:  # ValueError: a wrong catalogue
        wrong.append(str(error))
    if not wrong:
        return app
    return Misconfigured(InternalError(" ".join(wrong), code="misconfigured"), ports)
