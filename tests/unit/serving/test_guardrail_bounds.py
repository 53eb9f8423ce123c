"""What the guardrail takes of the memory, and what else than a body it looks at."""

from typing import Any

import pytest

from tests.unit.routing.making import whole
from tests.unit.serving.bodies import kept, logged, say
from tests.unit.serving.guarded import MAIL, MASK, REFUSE, message, played, post
from tests.unit.serving.making import NATIVE, House


@pytest.mark.parametrize("path", [NATIVE, "/p/openai/v1/chat/completions"])
async def test_a_text_counts_twice_where_it_is_looked_at(path: str) -> None:
    """Looking at it takes as much memory again."""
    body = message("word " * 10_000)
    body = {"prompt": "word " * 10_000} if path == NATIVE else body
    limit = {"BODY_MEMORY_BYTES": "80000"}
    assert (await post(House(lambda _: whole("Hi!"), **limit), path, body)).status == 200
    assert (await post(House(lambda _: whole("Hi!"), **limit, **MASK), path, body)).status == 413


async def test_what_was_masked_is_counted_until_it_is_put_back() -> None:
    house = House(lambda _: whole("Hi!"), BODY_MEMORY_BYTES="80000", **MASK)
    mails = " ".join(f"{number}@x.example" for number in range(1000))
    answer = await post(house, NATIVE, {"prompt": mails})
    assert (answer.status, house.upstream.sent) == (413, [])


LOOKED_AT = {
    "x-claude-code-session-id": MAIL,
    "tracestate": f"vendor={MAIL}",
    "traceparent": f"00-{'a' * 32}-{'b' * 16}-01",
}


@pytest.mark.parametrize("path", ["/v1/messages", "/v1/embeddings", "/v1/batch"])
@pytest.mark.parametrize("mode", [MASK, REFUSE], ids=["mask", "refuse"])
async def test_headers_that_go_on_are_looked_at(path: str, mode: dict[str, str]) -> None:
    house = played(**mode)
    hello = [{"role": "user", "content": "Hi"}]
    body: dict[str, Any] = {"model": "anthropic/auto", "messages": hello, "max_tokens": 9}
    if path == "/v1/embeddings":
        body = {"model": "openai/text-embedding-3-small", "input": "Hi"}
    body = {"requests": [{"model": "openai/auto", "messages": hello}]} if "batch" in path else body
    answer = await post(house, path, body, **LOOKED_AT)
    sent = [outgoing.headers for outgoing in house.upstream.sent]
    if mode is MASK:
        assert answer.status == 200 and b"error" not in answer.body
        [headers] = sent
        assert "traceparent" in headers
        assert not {"tracestate", "x-claude-code-session-id"} & headers.keys()
        assert MAIL not in repr(headers)
    else:
        assert sent == [] and b"may not go to a provider here" in answer.body
        assert MAIL.encode() not in answer.body


async def test_conversations_of_two_names_stay_two() -> None:
    """Both have the same placeholder."""
    house = played(**MASK)
    for mail in (MAIL, "ann@y.example", MAIL):
        body = message("Hi", prompt_cache_key=mail, model="groq/auto")
        assert (await post(house, "/v1/chat/completions", body)).status == 200
    names = [line["gen_ai.conversation.id"] for line in house.lines]
    assert len(set(names)) == 2 and names[0] == names[2]
    assert MAIL not in repr(names)


async def test_an_address_that_holds_too_much_is_refused() -> None:
    house = House(lambda _: whole("Hi!"), REDACT_PATTERNS=r"DIGIT=\d", **MASK)
    answer = await post(house, f"/p/openai/v1/models?x={'1' * 10_001}", b"")
    assert (answer.status, house.sent) == (400, [])
    assert b"more than 10000 values" in answer.body


async def test_the_body_log_keeps_none_of_such_a_body() -> None:
    house = logged()
    content = [{"role": "user", "content": "a@b.cc " * 10_001}]
    assert (await say(house, messages=content)).status == 200
    assert kept(house) == [] and "body not kept" in house.events("error")
