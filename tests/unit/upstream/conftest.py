"""One upstream for all tests of a module, forgetful between them."""

from collections.abc import Iterator

import pytest

from tests.upstream import Upstream
from tests.upstream.client import Client


@pytest.fixture(scope="module")
def up() -> Iterator[Upstream]:
    with Upstream() as upstream:
        yield upstream


@pytest.fixture
def client(up: Upstream) -> Client:
    up.reset()
    return Client(up)
