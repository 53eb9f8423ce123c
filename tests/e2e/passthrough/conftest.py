"""A deployment with keys, and what its providers were sent."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from tests.e2e.deployments import CALLER_KEY
from tests.upstream import Upstream


@pytest.fixture
def tag(request: pytest.FixtureRequest) -> dict[str, str]:
    """The header by which the upstream knows the test; it goes on like any other."""
    return {"x-test-tag": str(request.node.nodeid)}


@pytest.fixture
def caller(keyed_url: str, tag: dict[str, str]) -> Iterator[httpx.Client]:
    """A client with a key, who says which test it is."""
    headers = tag | {"authorization": f"Bearer {CALLER_KEY}"}
    with httpx.Client(base_url=keyed_url, timeout=60, headers=headers) as client:
        yield client


@pytest.fixture
def arrived(upstream: Upstream, tag: dict[str, str]) -> Callable[[], list[Any]]:
    """What the upstream has received; the caller's key is never part of it."""

    def read() -> list[Any]:
        entries = upstream.log(tag["x-test-tag"])
        assert CALLER_KEY not in json.dumps(entries)
        return entries

    return read
