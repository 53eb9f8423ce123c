"""What requests under way hold together of an isolate's memory."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.core.body_memory import LAPSE_SECONDS, VALUE_BYTES, BodyMemory, weigh
from proxy.core.errors import Fault, InternalError, PayloadTooLarge
from proxy.core.receive import HEAD_BYTES, read_head, read_whole
from tests.unit.doubles import FakeReply

MB = 1024 * 1024


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 120)), max_size=60))
def test_never_more_together_than_the_limit(steps: list[tuple[int, int]]) -> None:
    memory = BodyMemory(100)
    holds = [memory.open() for _ in range(5)]
    for which, size in steps:
        before = holds[which].size
        others = sum(hold.size for hold in holds) - before
        try:
            holds[which].keep(size)
        except PayloadTooLarge:
            assert size > 100
        except InternalError as error:
            assert (error.status, error.code, error.retry_after) == (503, "overloaded", 1)
            assert others + size > 100
        assert holds[which].size in (before, size)
        assert memory.held == sum(hold.size for hold in holds) <= 100
    for hold in holds:
        hold.release()
    assert memory.held == 0


def test_what_nobody_gives_back_lapses() -> None:
    memory = BodyMemory(100)
    lost, alive = memory.open(), memory.open()
    lost.keep(60)
    memory.now = LAPSE_SECONDS - 1
    with pytest.raises(InternalError):
        alive.keep(50)
    memory.now = LAPSE_SECONDS
    alive.keep(50)
    lost.release()  # late, and nothing is given back twice
    assert memory.held == 50


def test_an_ordinary_body_counts_its_bytes() -> None:
    body = b'{"prompt": "%s"}' % (b"word " * 100_000)
    assert weigh(body, MB) <= len(body) + 10 * VALUE_BYTES


def test_commas_of_a_large_text_are_no_values() -> None:
    body = json.dumps({"prompt": "a, [b], " * 100_000}).encode()
    assert weigh(body, MB) <= len(body) + 10 * VALUE_BYTES
    values = b"[%s0]" % (b"0," * 100_000)
    assert weigh(values, MB) >= len(values) + 100_000 * VALUE_BYTES


@pytest.mark.parametrize("letter", ["\U0001f600", "\U00010000", "\U0010ffff"])
@pytest.mark.parametrize("escaped", [True, False])
def test_a_string_with_a_wide_character_counts_three_times(letter: str, escaped: bool) -> None:
    texts = ["a" * 10_000, 'say \\ "hi" ' * 100 + letter + "b" * 10_000]
    body = json.dumps(texts, ensure_ascii=escaped).encode()
    wide = len(json.dumps(texts[1], ensure_ascii=escaped).encode())
    counted = weigh(body, MB) - len(body)
    assert 2 * wide - 10 <= counted <= 2 * wide + 10 * VALUE_BYTES
    assert weigh(json.dumps("é漢" * 9, ensure_ascii=escaped).encode(), MB) < 200


@pytest.mark.parametrize("unit", ["\U0001f600", '\\"', '","\U0001f600', "\\ud83d"])
def test_it_is_counted_in_bounded_time(unit: str) -> None:
    body = b'["\xf0\x9f\x98\x80' + unit.encode() * 300_000 + b'"]'
    assert len(body) <= weigh(body, MB) <= 20 * len(body)


async def test_an_answer_is_held_while_it_is_used() -> None:
    memory = BodyMemory(MB)
    hold = memory.open()
    hold.keep(1000)
    pieces = [b"x" * 100_000] * 5
    assert await read_whole(FakeReply(*pieces), MB, hold) == b"".join(pieces)
    assert 501_000 <= memory.held <= 501_000 + 200_000
    other = FakeReply(*pieces * 2)
    with pytest.raises(InternalError):
        await read_whole(other, MB, memory.open())
    assert other.aborted
    assert memory.held == hold.size


@pytest.mark.parametrize("headers", [{}, {"content-length": "3000000"}])
async def test_an_answer_that_is_too_long_is_not_read_to_its_end(headers: dict[str, str]) -> None:
    memory = BodyMemory(4 * MB)
    hold = memory.open()
    reply = FakeReply(*[b"x" * MB] * 3, headers=headers)
    with pytest.raises(Fault, match="over 2000000 bytes") as raised:
        await read_whole(reply, 2_000_000, hold)
    assert (raised.value.kind, reply.aborted, memory.held) == ("garbage", True, 0)


async def test_of_an_error_only_its_head_is_read() -> None:
    reply = FakeReply(*[b"x" * 10_000] * 100)
    assert await read_head(reply) == b"x" * HEAD_BYTES
    assert reply.aborted
    assert await read_head(FakeReply(b"ab", Fault("network", "broke"))) == b"ab"
