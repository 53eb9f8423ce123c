"""What a body may take of an isolate's memory while it is looked at, whatever it holds."""

import asyncio
import json
import tracemalloc
from contextlib import suppress
from types import SimpleNamespace
from typing import Any, cast

import pytest
from msgspec import Raw

from proxy.core.body_memory import weigh
from proxy.core.errors import InvalidRequest
from proxy.core.settings import PrivacySettings
from proxy.privacy.findings import MOST_FOUND, PIECE, Detector, TooMuchFound
from proxy.privacy.kinds import KINDS
from proxy.serving.guarding import Guard

SIZE = 100_000
FINDINGS = 10_000_000
"""Bytes that the most findings may take, which do not grow with the body."""
SETTINGS: Any = SimpleNamespace(guardrail_kinds=tuple(KINDS), patterns=(), guardrail="mask")
GUARD = Guard(cast(PrivacySettings, SETTINGS))


def chat(text: str, *, ascii_only: bool = True) -> bytes:
    body = {"messages": [{"role": "user", "content": text}]}
    return json.dumps(body, ensure_ascii=ascii_only).encode()


def fill(piece: str) -> str:
    return "joe@x.example " + piece * (SIZE // len(piece))


BODIES = {
    "words": chat(fill("word ")),
    "line breaks": chat(fill("\n")),
    "quotes in quotes": chat(json.dumps(json.dumps(fill('"')))),
    "escaped": chat(fill("é")),
    "beyond U+FFFF": chat(fill("😀"), ascii_only=False),
    "digits": chat(fill("4")),
    "groups of digits": chat(fill("1 ")),
    "levels": b"[" * SIZE,
    "backslashes": chat("joe@x.example " * 100 + "\\" * SIZE),
}


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
def test_a_body_takes_three_times_what_it_counts_for(body: bytes) -> None:
    counted = weigh(body, 0) + GUARD.weigh(body)
    tracemalloc.start()
    with suppress(InvalidRequest):
        asyncio.run(GUARD.mask(body))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak + len(body) < 3 * counted + 60_000


@pytest.mark.parametrize(
    "body",
    [
        chat(" ".join(f"{number}@x.example" for number in range(MOST_FOUND * 3))),
        chat("joe@x.example" + "".join(f"[A_{number}]" for number in range(MOST_FOUND * 3))),
        json.dumps({"input": [4111111111111111] * (MOST_FOUND + 1)}).encode(),
        json.dumps([{"text": "joe@x.example"}] * (MOST_FOUND + 1)).encode(),
    ],
    ids=["values", "placeholders", "numbers", "texts"],
)
def test_a_body_that_holds_too_much_is_refused(body: bytes) -> None:
    tracemalloc.start()
    with pytest.raises(InvalidRequest, match=f"more than {MOST_FOUND} values"):
        asyncio.run(GUARD.mask(body))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 3 * len(body) + FINDINGS


def test_so_is_a_batch_of_such_bodies() -> None:
    text = " ".join(f"{number}@x.example" for number in range(MOST_FOUND // 2))
    body = Raw(chat(text))
    assert len(asyncio.run(GUARD.screen_items([body] * 2))[1]) == 2
    with pytest.raises(InvalidRequest, match=f"more than {MOST_FOUND} values"):
        asyncio.run(GUARD.screen_items([body] * 3))


def test_as_many_as_may_be_are_masked() -> None:
    detector = Detector(("email",))
    text = "joe@x.example " * MOST_FOUND
    assert len(detector.find(text)) == MOST_FOUND
    with pytest.raises(TooMuchFound):
        detector.find(f"{text}joe@x.example")


def test_an_image_counts_once() -> None:
    image = "data:image/png;base64," + "iVBORw0K" * 10_000
    body = {"messages": [{"content": [{"image_url": {"url": image}}, {"text": "word " * 100}]}]}
    assert 500 < GUARD.weigh(json.dumps(body).encode()) < 1000
    assert GUARD.weigh(chat(f'"{image}"')) > 80_000


@pytest.mark.parametrize(
    "body",
    [
        chat("word " * 200_000),
        chat("\n é " * 100_000),
        json.dumps({"n": [4111111111112] * 50_000}).encode(),
        json.dumps([{"text": "joe@"}, {"text": "x"}] * 20_000).encode(),
    ],
    ids=["a text", "escapes", "numbers", "parts"],
)
def test_other_requests_have_a_turn_while_a_body_is_looked_at(body: bytes) -> None:
    async def look() -> int:
        turns, done = 0, asyncio.Event()

        async def take_turns() -> None:
            nonlocal turns
            while not done.is_set():
                await asyncio.sleep(0)
                turns += 1

        other = asyncio.create_task(take_turns())
        await GUARD.mask(body)
        done.set()
        await other
        return turns

    assert asyncio.run(look()) >= len(body) // PIECE
