"""What crosses between an isolate and the object of a key's responses."""

import pytest
from msgspec import Raw

from proxy.core.errors import PayloadTooLarge, Unavailable
from proxy.core.principal import Principal
from proxy.responses.messages import ContextQuery, Exchange, InputQuery
from proxy.responses.store import ResponseStore
from tests.unit.doubles import Logbook, ManualClock
from tests.unit.memory_objects import MemoryObjects

ANNA, BERTA = Principal(user="anna", key_id="k1"), Principal(user="berta", key_id="k2")
ITEM = Raw(b'{"id":"in_1","role":"user","content":"Hi"}')
BODY = Raw(b'{"id":"resp_1","output":[{"id":"msg_1"}]}')
EXCHANGE = Exchange(id="resp_1", input=(ITEM,), body=BODY)


@pytest.fixture
def objects() -> MemoryObjects:
    return MemoryObjects(ManualClock())


@pytest.fixture
def store(objects: MemoryObjects) -> ResponseStore:
    return ResponseStore(objects, ManualClock(), Logbook())


async def test_a_response_comes_back_to_its_key_alone(store: ResponseStore) -> None:
    await store.keep(ANNA, EXCHANGE)
    assert await store.find(ANNA, "resp_1") == BODY
    assert await store.find(BERTA, "resp_1") is None
    assert not await store.delete(BERTA, "resp_1")
    query = ContextQuery(previous="resp_1", items=("msg_1",), limit=1000)
    context = await store.read_context(ANNA, query)
    assert [bytes(item) for item in context.earlier] == [bytes(ITEM), b'{"id":"msg_1"}']
    assert bytes(context.items["msg_1"]) == b'{"id":"msg_1"}'
    assert not (await store.read_context(BERTA, query)).has_previous
    page = await store.list_input(ANNA, InputQuery(id="resp_1"))
    assert (page.is_kept, [bytes(item) for item in page.items]) == (True, [bytes(ITEM)])
    assert await store.delete(ANNA, "resp_1")
    assert await store.find(ANNA, "resp_1") is None


async def test_callers_without_an_issued_key_are_apart_by_their_user(store: ResponseStore) -> None:
    await store.keep(Principal(user="k1"), EXCHANGE)
    assert await store.find(ANNA, "resp_1") is None
    assert await store.find(Principal(user="k1"), "resp_1") == BODY


async def test_more_than_a_request_has_room_for(store: ResponseStore) -> None:
    await store.keep(ANNA, EXCHANGE)
    with pytest.raises(PayloadTooLarge):
        await store.read_context(ANNA, ContextQuery(previous="resp_1", limit=10))


async def test_without_the_object(store: ResponseStore, objects: MemoryObjects) -> None:
    """An answer is given though it can't be kept; what refers to one is told to come again."""
    objects.responses.down = True
    await store.keep(ANNA, EXCHANGE)
    with pytest.raises(Unavailable):
        await store.find(ANNA, "resp_1")
