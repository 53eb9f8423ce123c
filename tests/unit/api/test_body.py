"""What a body counts for in the isolate's memory."""

import pytest

from proxy.api.body import read_body
from proxy.dialects import anthropic, native, openai, responses
from proxy.dialects.contract import Dialect
from tests.unit.api.office import Office

BODY = b'"' + b"a" * 1_000_000 + b'"'


@pytest.mark.parametrize("dialect", [native, openai])
async def test_a_body_that_is_read_once(dialect: Dialect) -> None:
    assert await held(dialect, BODY) == len(BODY)


@pytest.mark.parametrize("dialect", [anthropic, responses])
async def test_a_body_that_is_written_anew(dialect: Dialect) -> None:
    assert await held(dialect, BODY) == len(BODY) * 3 // 2


@pytest.mark.parametrize("dialect", [anthropic, responses])
async def test_the_largest_body_finds_room_by_itself(dialect: Dialect) -> None:
    largest = b'"' + b"a" * 20_000_000 + b'"'
    assert len(largest) < await held(dialect, largest) <= len(largest) * 3 // 2


async def held(dialect: Dialect, body: bytes) -> int:
    office = Office()
    context = office.context("POST", "/", body)
    context.dialect = dialect
    assert await read_body(office.services, context) == body
    assert context.hold
    return context.hold.size
