"""The real Worker under the real `wrangler dev`, in front of the scripted upstream.

Each kind of deployment is started once, by the first test that asks for it, on free ports.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import httpx
import pytest

from tests.e2e.deployments import (
    ADMIN_TOKEN,
    CALLER_KEY,
    DAY,
    DEPLOYMENTS,
    KEYS,
    PATHS,
    ROOMY,
    Deployments,
)
from tests.e2e.pair import Pair
from tests.upstream import Upstream


@pytest.fixture(scope="session")
def upstream() -> Iterator[Upstream]:
    with Upstream() as server:
        yield server


@pytest.fixture(scope="session")
def deployments(
    upstream: Upstream, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[Deployments]:
    running = Deployments(upstream, tmp_path_factory.mktemp("deployments"))
    wanted = {name for item in request.session.items for name in item.fixturenames}  # type: ignore[attr-defined]
    for name in DEPLOYMENTS:
        if f"{name}_url" in wanted or name in wanted:
            running.begin(name)
    yield running
    running.stop()


def _client(url: str, headers: Mapping[str, str] | None = None) -> httpx.Client:
    return httpx.Client(base_url=url, timeout=60, headers=headers)


@pytest.fixture(scope="session")
def open_url(deployments: Deployments) -> str:
    return deployments.get("open").url


@pytest.fixture(scope="session")
def keyed_url(deployments: Deployments) -> str:
    return deployments.get("keyed").url


@pytest.fixture(scope="session")
def proxy(open_url: str) -> Iterator[httpx.Client]:
    """The open development deployment with every provider behind it."""
    with _client(open_url) as client:
        yield client


@pytest.fixture(scope="session")
def keyed(keyed_url: str) -> Iterator[httpx.Client]:
    """A deployment with keys; the client sends none."""
    with _client(keyed_url) as client:
        yield client


@pytest.fixture(scope="session")
def closed(deployments: Deployments) -> Iterator[httpx.Client]:
    """Production as a plain deploy leaves it: no key, no provider."""
    with _client(deployments.get("closed").url) as client:
        yield client


@pytest.fixture(scope="session")
def later(deployments: Deployments) -> Iterator[httpx.Client]:
    """An operator of a deployment on the day after several models have ended, with every provider
    of the catalogue, three keys of openai, and two of one account of groq."""
    headers = {"authorization": f"Bearer {ADMIN_TOKEN}"}
    with _client(deployments.get("later").url, headers) as client:
        yield client


@pytest.fixture(scope="session")
def broken(deployments: Deployments) -> Iterator[httpx.Client]:
    """A deployment whose settings make no sense."""
    with _client(deployments.get("broken").url) as client:
        yield client


@pytest.fixture(scope="session")
def coalescing(deployments: Deployments) -> str:
    """The URL of a deployment with one flight for identical requests."""
    return deployments.get("coalescing").url


@pytest.fixture(scope="session", params=["coalescing", "faulty"])
def tierless(deployments: Deployments, request: pytest.FixtureRequest) -> Iterator[httpx.Client]:
    """Deployments whose KV and R2 are missing, or fail."""
    with _client(deployments.get(request.param).url) as client:
        yield client


@pytest.fixture(scope="module")
def pair(upstream: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    """Two isolates of a deployment with one flight for identical requests and keys."""
    urls = {f"{who}_BASE_URL": upstream.url + path for who, path in PATHS.items()}
    keys = {"PROXY_API_KEY": CALLER_KEY, "ADMIN_TOKEN": ADMIN_TOKEN}
    settings = urls | KEYS | ROOMY | DAY | keys | {"CACHE_COALESCE": "on"}
    both = Pair(tmp_path_factory.mktemp("pair"), settings)
    try:
        both.start()
        yield both
    finally:
        both.stop()


@pytest.fixture(autouse=True)
def healed(request: pytest.FixtureRequest) -> None:
    """No breaker is left open by the test before."""
    if "open_url" in request.fixturenames:
        proxy: httpx.Client = request.getfixturevalue("proxy")
        assert proxy.delete("/admin/breakers").status_code == 204


Script = Callable[..., str]


@pytest.fixture
def script(request: pytest.FixtureRequest) -> Script:
    """Builds a prompt that tells the upstream how to behave; the test's own tag is added."""

    def prompt(text: str = "Say hello.", **behaviour: Mapping[str, Any]) -> str:
        directive: dict[str, Any] = {"*": {"tag": request.node.nodeid}}
        directive |= {name.replace("_", "-"): value for name, value in behaviour.items()}
        return f"{text} upstream:{json.dumps(directive)}"

    return prompt


@pytest.fixture
def received(upstream: Upstream, request: pytest.FixtureRequest) -> Callable[[], list[Any]]:
    """What the upstream has received from this test so far."""
    return lambda: upstream.log(request.node.nodeid)
