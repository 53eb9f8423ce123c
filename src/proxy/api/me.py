"""GET /me: who the caller is to the proxy."""

import msgspec
from msgspec import Struct

from proxy import __version__
from proxy.api.services import Services
from proxy.core.principal import Role, Via
from proxy.core.web import FRESH_JSON, Response
from proxy.serving.context import RequestContext


class CallerKey(Struct, frozen=True):
    """The issued key of a caller."""

    id: str
    name: str | None
    team: str | None


class Caller(Struct, frozen=True):
    """A caller, as it is told."""

    user: str
    role: Role
    via: Via
    key: CallerKey | None
    environment: str
    version: str


def show_caller(services: Services, context: RequestContext) -> Response:
    """GET /me: the caller's user, role and key."""
    principal = context.principal
    assert principal  # the path is not public
    key = None
    if principal.key_id:
        key = CallerKey(principal.key_id, principal.key_name, principal.team)
    caller = Caller(
        user=principal.user,
        role=principal.role,
        via=principal.via,
        key=key,
        environment=services.settings.access.environment,
        version=__version__,
    )
    return Response(headers=dict(FRESH_JSON), body=msgspec.json.encode(caller))
