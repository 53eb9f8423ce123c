"""What the tests of access have in common."""

import pytest

from proxy.access.authenticator import hash_secret
from tests.unit.access.making import KEY, SECRET, Isolate
from tests.unit.doubles import ManualClock
from tests.unit.memory_objects import Keys, MemoryObjects


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def objects(clock: ManualClock) -> MemoryObjects:
    objects = MemoryObjects(clock)
    objects.keys.book.issue(KEY, hash_secret(SECRET))
    return objects


@pytest.fixture
def store(objects: MemoryObjects) -> Keys:
    return objects.keys


@pytest.fixture
def isolate(clock: ManualClock, objects: MemoryObjects) -> Isolate:
    return Isolate(clock, objects)
