"""Which callers a path admits, by their role, and from which pages those that Cloudflare Access has
signed in."""

from urllib.parse import urlsplit

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
        viewers = " or viewer (METRICS_TOKEN)" if request.method in _READS else ""
        raise PermissionDenied(
            f"This needs the role admin{viewers}: the admin token (ADMIN_TOKEN), or a key or a"
            " sign-in of that role."
        )

    if principal.via == "access" and not _is_from_here(request):
        raise PermissionDenied(
            "A caller whom Cloudflare Access has signed in changes things from this proxy's own"
            " pages only, and reads from no other site's: a page elsewhere could make a browser"
            " send this. Send a key instead.",
            code="cross_site",
        )


def _is_from_here(request: Request) -> bool:
    """Whether the proxy's own page has a browser send this or, where nothing changes, its user does
    (Fetch Metadata; RFC 6454). A browser sends the sign-in with every request to the proxy."""
    site, origin = request.headers.get("sec-fetch-site"), request.headers.get("origin")
    reads = request.method in _READS
    if site is not None:
        return site == "same-origin" or (site == "none" and reads)
    if origin is not None:
        own = urlsplit(request.url)
        return origin == f"{own.scheme}://{own.netloc}"
    return reads


def _name(viewer: Principal) -> str:
    return "METRICS_TOKEN" if viewer.via == "metrics_token" else "The role viewer"
