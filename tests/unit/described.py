"""Holds every answer of the unit tests to the description of the interface."""

from functools import cache
from typing import Any

from proxy.api.routes import find_path
from proxy.core.web import Request, Response
from tools.openapi.document import build, template

UNSAID = ("content-type", "content-length")
"""Headers that OpenAPI says elsewhere."""


@cache
def description() -> dict[str, Any]:
    return build()


def check_described(request: Request, response: Response) -> None:
    """Fails where an answer's status, type or header is not described."""
    path = find_path(request.path)
    method = "GET" if request.method == "HEAD" else request.method
    if method not in path.methods or "location" in response.headers:
        return
    operation = description()["paths"][template(path)][method.lower()]
    described = _resolve(operation["responses"], f"{response.status}")
    if described is None:
        assert "default" in operation["responses"], (
            f"{method} {path.name} answered {response.status}, which is not described:"
            f" {response.body[:500]!r}"
        )
        return
    unknown = response.headers.keys() - described["headers"].keys() - {*UNSAID}
    assert not unknown, f"{method} {path.name}, {response.status}: {unknown} are not described"
    kind = response.headers.get("content-type", "").partition(";")[0]
    assert not kind or kind in described["content"], (path.name, response.status, kind)


def _resolve(responses: dict[str, Any], status: str) -> dict[str, Any] | None:
    found: dict[str, Any] | None = responses.get(status)
    if found and "$ref" in found:
        name = found["$ref"].rpartition("/")[2]
        found = description()["components"]["responses"][name]
    return found
