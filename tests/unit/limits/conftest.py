"""What the tests of the limits have in common."""

import pytest

from tests.unit.limits.lease_server import Server


@pytest.fixture
def server() -> Server:
    return Server()
