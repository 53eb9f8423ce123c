"""The deployment whose figures nobody else has a part in, its collector and its callers."""

from collections.abc import Iterator
from contextlib import ExitStack

import httpx
import pytest

from tests.e2e.analytics.making import COLLECTOR_KEY, Issue, open_client
from tests.e2e.collector import Collector, collecting
from tests.e2e.deployments import ADMIN_TOKEN, DEPLOYMENTS, Deployments


@pytest.fixture(scope="session")
def collector() -> Iterator[Collector]:
    with collecting() as found:
        yield found


@pytest.fixture(scope="session")
def admin(deployments: Deployments, collector: Collector) -> Iterator[httpx.Client]:
    """A deployment whose figures nobody else has a part in."""
    DEPLOYMENTS["counted"] = (
        "development",
        {
            "ADMIN_TOKEN": ADMIN_TOKEN,
            "ANALYTICS_SHARDS": "3",
            "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url,
            "OTEL_METRICS_EXPORTER": "otlp",
            "OTEL_EXPORTER_OTLP_HEADERS": f"authorization=Bearer%20{COLLECTOR_KEY}",
        },
    )
    with open_client(deployments.get("counted").url) as found:
        yield found


@pytest.fixture
def issue(admin: httpx.Client, request: pytest.FixtureRequest) -> Iterator[Issue]:
    """A client with a key of its own, whose user is the test's name."""
    with ExitStack() as clients:

        def made(user: str = "") -> httpx.Client:
            body = {"user": user or request.node.name}
            key = admin.post("/admin/keys", json=body).json()["key"]
            return clients.enter_context(open_client(str(admin.base_url), key))

        yield made
