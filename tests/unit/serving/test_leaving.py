"""A request that costs something goes on though its caller leaves, and no longer than it must."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from msgspec import structs

from tests.unit import callers
from tests.unit.callers import send
from tests.unit.doubles import FakeReply, LoopClock, in_no_time
from tests.unit.routing.making import DONE, HELLO, ROLE, STOP, whole
from tests.unit.serving.budgets import EMBEDDINGS, vectors
from tests.unit.serving.making import GPT, NATIVE, OPENAI, House, Outcome, receive, stream_of

CHAT = {"model": GPT, "messages": [{"role": "user", "content": "Hello"}]}
STREAM = CHAT | {"stream": True}


class Leaving(House):
    """A house whose requests are seen to stay."""

    stayed = staying = 0

    def stay(self) -> Callable[[], object]:
        """core.ports.Stay."""
        self.stayed += 1
        self.staying += 1
        left: list[None] = []

        def let_go() -> None:
            if not left:
                self.staying -= 1
            left.append(None)

        return let_go

    async def serve(self, path: str, body: dict[str, Any]) -> tuple[int, int]:
        """The status, and how many requests stay while the answer's body is yet to come."""
        given = structs.replace(callers.request("POST", path, body), stay=self.stay)
        response = await send(self.app, given)
        staying = self.staying
        return (await receive(response)).status, staying


VECTORS = {"model": "openai/text-embedding-3-small", "input": "a"}
PASSED = "/p/openai/v1/chat/completions"
FORMS: dict[str, tuple[str, dict[str, Any], Outcome, tuple[int, int]]] = {
    "a chat": (OPENAI, CHAT, whole("Hi"), (200, 0)),
    "a stream": (OPENAI, STREAM, stream_of(ROLE, HELLO, STOP, DONE), (200, 1)),
    "a stream that breaks": (OPENAI, STREAM, stream_of(ROLE, HELLO, OSError("broke")), (200, 1)),
    "native": (NATIVE, {"prompt": "Hello", "model": GPT}, whole("Hi"), (200, 0)),
    "vectors": (EMBEDDINGS, VECTORS, vectors(), (200, 0)),
    "passed on": (PASSED, CHAT | {"model": "gpt-4o"}, whole("Hi"), (200, 1)),
    "a provider that fails": (OPENAI, CHAT, FakeReply(b"no", status=500), (502, 0)),
}
"""What is asked, what its provider does, and what `serve` gives: the body of what is passed on
streams."""


@pytest.mark.parametrize("form", FORMS.values(), ids=list(FORMS))
@in_no_time
async def test_it_stays_from_its_first_attempt_to_its_end(
    form: tuple[str, dict[str, Any], Outcome, tuple[int, int]],
) -> None:
    path, body, outcome, served = form
    seen: list[int] = []

    def answer(_: object) -> Outcome:
        seen.append(house.staying)
        return outcome

    house = Leaving(answer, LoopClock())
    assert await house.serve(path, body) == served
    assert set(seen) == {1}
    assert house.staying == 0


@in_no_time
async def test_a_hit_and_what_is_refused_do_not_stay() -> None:
    house = Leaving(lambda _: whole("Hi"), LoopClock())
    await house.serve(OPENAI, CHAT)
    stayed = house.stayed
    assert stayed == 1
    assert await house.serve(OPENAI, CHAT) == (200, 0)
    assert await house.serve(OPENAI, {"model": GPT}) == (400, 0)
    assert house.stayed == stayed


@in_no_time
async def test_one_whose_limit_is_used_up_does_not_stay_on() -> None:
    house = Leaving(lambda _: whole("Hi"), LoopClock(), RATE_LIMIT_BURST="1", CACHE_TTL="0")
    for path, status in ((OPENAI, 200), (OPENAI, 429), (PASSED, 429)):
        assert await house.serve(path, CHAT | {"model": "gpt-4o"}) == (status, 0)
        await asyncio.sleep(0)
        assert house.staying == 0
