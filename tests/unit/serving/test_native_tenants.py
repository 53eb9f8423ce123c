"""What a caller gets of a provider's own bytes is its own, and none of the deployment's secrets."""

import json
from base64 import b64encode
from typing import Any
from urllib.parse import quote

import pytest

from tests.unit.doubles import FakeReply
from tests.unit.providers.making_anthropic import event
from tests.unit.providers.making_responses import response, says
from tests.unit.serving.making import House, by_host, stream_of

MESSAGES, RESPONSES = "/v1/messages", "/v1/responses"
KEY = "secret-of-the-deployment"
ASKED: dict[str, Any] = {
    "model": "anthropic/claude-haiku-4-5",
    "max_tokens": 9,
    "fallback": False,
    "messages": [{"role": "user", "content": "Hi"}],
}


def refusing(body: bytes, status: int = 404) -> House:
    return House(by_host(anthropic=FakeReply(body, status=status)), ANTHROPIC_API_KEY=KEY)


async def test_a_page_of_another_server_is_no_error_of_messages() -> None:
    got = await refusing(b"<html><title>Not here</title></html>").post(MESSAGES, **ASKED)
    assert got.json["type"] == "error"
    assert "Not here" in got.json["error"]["message"]


@pytest.mark.parametrize("shown", [b64encode(KEY.encode()).decode(), "sk-ant-" + "a1" * 20])
async def test_no_spelling_of_a_key_reaches_a_caller(shown: str) -> None:
    error = {"type": "invalid_request_error", "message": f"Bad header {shown}"}
    body = json.dumps({"type": "error", "error": error}).encode()
    got = await refusing(body, 400).post(MESSAGES, **ASKED)
    assert got.status == 400 and shown not in json.dumps(got.json)


@pytest.mark.parametrize("stream", [False, True])
async def test_a_kept_response_has_the_labels_of_its_caller(stream: bool) -> None:
    labels = {"metadata": {"team": "a"}, "user": "ann", "safety_identifier": "s-ann"}
    body = json.dumps(response(says("Hi")) | labels | {"prompt_cache_key": "k-ann"}).encode()
    it = House(by_host(openai=FakeReply(body)))
    asked = {"model": "openai/gpt-5.4-mini", "input": "Hi"}
    first = await it.post(RESPONSES, **asked, **labels, prompt_cache_key="k-ann")
    second = await it.post(RESPONSES, **asked, metadata={"team": "b"}, stream=stream)
    assert (first.cache, second.cache) == ("MISS", "HIT")
    assert first.json["user"] == "ann"
    assert 'ann"' not in second.body.decode()
    kept = second.events[-1]["response"] if stream else second.json
    assert kept["metadata"] == {"team": "b"}
    assert kept["output"] == first.json["output"]


async def test_a_beta_makes_another_request() -> None:
    body = {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "claude-haiku-4-5",
        "content": [{"type": "text", "text": "Hi"}],
        "stop_reason": "end_turn",
        "usage": {"input_tokens": 1, "output_tokens": 1},
    }
    it = House(
        by_host(anthropic=lambda _: FakeReply(json.dumps(body).encode())), ANTHROPIC_API_KEY=KEY
    )
    sent = [{}, {"anthropic-beta": "a"}, {"anthropic-beta": "a"}, {"anthropic-beta": "a"}, {}]
    got = [await it.post(MESSAGES, headers, **ASKED) for headers in sent]
    assert [each.cache for each in got] == ["MISS", "MISS", "HIT", "HIT", "HIT"]


@pytest.mark.parametrize("limit", ["0", "101", "0001" + "0" * 5000, "000199", "٣"])
async def test_a_page_has_a_limit(limit: str) -> None:
    it = House(by_host())
    got = await it.fetch("GET", f"{RESPONSES}/resp_1/input_items?limit={quote(limit)}")
    assert (got.status, got.json["error"]["param"]) == (400, "limit")


async def test_headers_of_a_client_have_a_bound() -> None:
    body = {"id": "m", "type": "message", "content": [{"type": "text", "text": "Hi"}]}
    it = House(by_host(anthropic=FakeReply(json.dumps(body).encode())), ANTHROPIC_API_KEY=KEY)
    many = {f"x-claude-code-{n}": "v" for n in range(99)}
    odd = {"anthropic-version": "2023\x7f", "anthropic-beta": "b" * 2000}
    await it.post(MESSAGES, {**many, **odd}, **ASKED)
    sent = it.upstream.sent[0].headers
    assert len([name for name in sent if name.startswith("x-claude-code-")]) == 16
    assert sent["anthropic-version"] == "2023-06-01" and "anthropic-beta" not in sent


ODD: list[Any] = [None, 1, "x", {}, ["x"], {"type": ["x"]}, [{"type": ["x"]}]]


@pytest.mark.parametrize("odd", ODD, ids=str)
async def test_an_odd_answer_that_was_kept_is_no_error_of_the_proxy(odd: Any) -> None:
    block = {"type": "text", "text": "Hi", "citations": odd}
    message = {"id": "m", "type": "message", "content": [block], "stop_reason": "end_turn"}
    item = says("Hi") | {"id": odd}
    item["content"] += [{"type": odd, "text": "x"}]
    given = response(item, {"type": odd, "summary": odd, "content": odd})
    it = House(
        by_host(
            anthropic=lambda _: FakeReply(json.dumps(message).encode()),
            openai=lambda _: FakeReply(json.dumps(given).encode()),
        ),
        ANTHROPIC_API_KEY=KEY,
    )
    asked = {"model": "openai/gpt-5.4-mini", "input": "Hi"}
    for path, body in ((MESSAGES, ASKED), (RESPONSES, asked)):
        got = [await it.post(path, stream=stream, **body) for stream in (False, True, True)]
        assert [(each.status, each.cache) for each in got] == [
            (200, "MISS"),
            (200, "HIT"),
            (200, "HIT"),
        ]


@pytest.mark.parametrize("odd", ODD, ids=str)
async def test_nor_one_that_was_streamed(odd: Any) -> None:
    start = {"type": "text", "text": "Hi", "citations": odd}
    cited = {"type": "citations_delta", "citation": {"type": "char_location"}}
    frames = [
        event("message_start", message={"id": "m", "type": "message", "role": "assistant"}),
        event("content_block_start", index=0, content_block={"type": odd}),
        event("content_block_start", index=1, content_block=start),
        event("content_block_delta", index=1, delta=cited),
        event("message_delta", delta={"stop_reason": "end_turn"}, usage={"output_tokens": 1}),
        event("message_stop"),
    ]
    it = House(by_host(anthropic=lambda _: stream_of(*frames)), ANTHROPIC_API_KEY=KEY)
    got = [await it.post(MESSAGES, stream=True, **ASKED) for _ in range(3)]
    assert [each.cache for each in got] == ["MISS", "HIT", "HIT"]
    assert [each.events[-1]["type"] for each in got] == ["message_stop"] * 3
