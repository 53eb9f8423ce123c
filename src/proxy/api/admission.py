"""Which callers a path admits, by their role."""

from proxy.api.routes import Path
from proxy.core.errors import PermissionDenied
from proxy.core.principal import Principal
from proxy.core.web import Request

_READS = ("GET", "HEAD")


def check_admission(path: Path, request: Request, principal: Principal) -> None:
    """Raises PermissionDenied for a caller that a path does not admit."""
    if principal.role == "viewer" and not (path.is_own and request.method in _READS):
        raise PermissionDenied(
            f"{_name(principal)} may only read: GET of /metrics, /analytics, /health/providers,"
            " /admin and /me. It changes nothing and calls no model."
        )
    if path.admin and not principal.sees_all:
        raise PermissionDenied(
            "This needs the role admin: the admin token (ADMIN_TOKEN), or a key or a sign-in of"
            " that role."
        )


def _name(viewer: Principal) -> str:
    return "METRICS_TOKEN" if viewer.via == "metrics_token" else "The role viewer"
