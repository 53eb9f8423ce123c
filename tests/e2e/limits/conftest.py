"""A deployment with limits, and its operator."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.e2e.deployments import Deployments
from tests.e2e.limits.making import ADMIN, Issue


@pytest.fixture
def url(deployments: Deployments) -> str:
    return deployments.get("limited").url


@pytest.fixture
def admin(url: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=url, headers=ADMIN, timeout=60) as client:
        yield client


@pytest.fixture
def issue(admin: httpx.Client, request: pytest.FixtureRequest) -> Issue:
    """Issues a key to a user of the test's own."""

    def key(**fields: Any) -> dict[str, Any]:
        answer = admin.post("/admin/keys", json={"user": request.node.name} | fields)
        assert answer.status_code == 201, answer.text
        issued: dict[str, Any] = answer.json()
        return issued

    return key
