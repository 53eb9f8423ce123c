"""The office whose paths the tests of keys call."""

import pytest

from tests.unit.api.office import Office


@pytest.fixture
def office() -> Office:
    return Office()
