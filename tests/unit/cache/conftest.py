"""What the tests of the cache share."""

import pytest

from tests.unit.cache.isolate import Isolate


@pytest.fixture
def isolate() -> Isolate:
    return Isolate()
