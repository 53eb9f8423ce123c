"""What each role may do: an admin all, a viewer read what is the proxy's own, a user spend."""

import json

import pytest

from proxy import __version__
from proxy.api.routes import ALL_PATHS
from proxy.core.web import Response
from tests.unit.api.deployment import ADMIN, CALLER, Deployment
from tests.unit.callers import JSON, request, send

METRICS = "the-token-of-prometheus"
WORDS = "/analytics/requests/ID/body"
"""What callers say is no figure."""
READABLE = ("/admin", "/analytics", "/health/providers", "/me", "/metrics")
GUARDED = [
    (method, path.name)
    for path in ALL_PATHS
    if path.name and not path.public
    for method in path.methods
]


async def call(deployment: Deployment, method: str, path: str, key: str) -> Response:
    headers = {"authorization": f"Bearer {key}"} | JSON
    return await send(deployment.app, request(method, path, b"{}", **headers))


@pytest.fixture
async def deployment() -> Deployment:
    return Deployment(METRICS_TOKEN=METRICS)


@pytest.mark.parametrize(("method", "path"), GUARDED)
async def test_the_token_of_metrics_only_reads(
    deployment: Deployment, method: str, path: str
) -> None:
    response = await call(deployment, method, path, METRICS)
    if method == "GET" and path.startswith(READABLE) and path != WORDS:
        assert response.status not in (401, 403), response.body
    else:
        assert response.status == 403


@pytest.mark.parametrize(("method", "path"), GUARDED)
async def test_a_user_meets_no_path_of_operators(
    deployment: Deployment, method: str, path: str
) -> None:
    response = await call(deployment, method, path, CALLER)
    is_theirs = path.startswith(("/admin", "/metrics"))
    assert (response.status == 403) is is_theirs
    if is_theirs:
        assert "the admin token (ADMIN_TOKEN)" in json.loads(response.body)["error"]["message"]


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE"])
@pytest.mark.parametrize("path", ["/openai/models", "/anthropic/x", "/genai/v1beta/x", "/p/groq/x"])
async def test_the_token_of_metrics_passes_nothing_on(
    deployment: Deployment, method: str, path: str
) -> None:
    response = await call(deployment, method, path, METRICS)
    assert response.status == 403
    assert "METRICS_TOKEN may only read" in response.body.decode()


async def test_it_reads_everybodys_figures(deployment: Deployment) -> None:
    await deployment.chat()
    seen = await deployment.read("/analytics/requests?limit=1", METRICS)
    assert seen["requests"][0]["user"] == "default"
    head = await call(deployment, "HEAD", "/analytics/requests", METRICS)
    assert head.status == 200


@pytest.mark.parametrize(
    ("key", "user", "role", "via"),
    [
        (ADMIN, "admin", "admin", "admin_token"),
        (CALLER, "default", "user", "proxy_key"),
        (METRICS, "metrics", "viewer", "metrics_token"),
    ],
)
async def test_each_is_told_who_it_is(
    deployment: Deployment, key: str, user: str, role: str, via: str
) -> None:
    assert await deployment.read("/me", key) == {
        "user": user,
        "role": role,
        "via": via,
        "key": None,
        "environment": "development",
        "version": __version__,
    }
    assert (await call(deployment, "GET", "/me", "wrong")).status == 401
    open_one = Deployment(ADMIN_TOKEN="", PROXY_API_KEY="")
    told = await open_one.read("/me", "anything")
    assert (told["user"], told["role"], told["via"]) == ("anonymous", "admin", "open")
