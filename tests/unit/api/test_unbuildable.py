"""Responses that can't be built."""

import asyncio
import json
from typing import Any

import pytest

from proxy.core.web import Response
from tests.unit.api.making import generate, make_app, request_lines
from tests.unit.callers import DEFERRED, JSON, request, send
from tests.unit.doubles import FakeReply
from tests.unit.routing.making import DONE, EVENTS, HELLO, ROLE, STOP, whole

HOSTILE_NAMES = ["a\r\nset-cookie: x=1", "\0", "größe", "模型", "x" * 1_000_000, "\x7f", "a, b"]


@pytest.mark.parametrize("name", HOSTILE_NAMES)
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
async def test_no_header_is_made_of_a_field_that_was_left_out(name: str, stream: bool) -> None:
    candidate = {"content": {"parts": [{"text": "Hi!"}]}, "finishReason": "STOP"}
    reply = json.dumps({"candidates": [candidate]}).encode()
    reply = b"data: " + reply + b"\n\n" if stream else reply
    app, _ = make_app(
        lambda _: FakeReply(reply, headers=EVENTS if stream else JSON), GEMINI_API_KEY="k"
    )
    body: dict[str, Any] = {"model": "gemini/fast", "messages": [{"role": "user", "content": "Hi"}]}
    body |= {name: 1, "logit_bias": {}, "stream": stream}
    response = await send(app, request("POST", "/v1/chat/completions", body))
    assert response.status == 200
    assert response.headers["x-proxy-dropped"] == "logit_bias, +1"


async def test_a_model_of_any_name_is_sent_in_ascii() -> None:
    app, _ = make_app(lambda _: whole("Hi!"))
    response = await generate(app, model="openai/模型 é", prompt="Hi")
    assert response.status == 200
    assert response.headers["x-proxy-model"] == "%E6%A8%A1%E5%9E%8B%20%C3%A9"
    assert json.loads(response.body)["model"] == "模型 é"


@pytest.mark.parametrize("path", ["/v1/generate", "/v1/chat/completions"])
async def test_a_response_that_cannot_be_built_is_an_error_like_any_other(
    path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("proxy.serving.accounting.encode_value", lambda text: "a\r\nb")
    app, outside = make_app(lambda _: whole("Hi!"))
    body = {"model": "openai/gpt-4o-mini", "messages": [{"role": "user", "content": "Hi"}]}
    response = await send(app, request("POST", path, body))
    assert response.status == 500
    error = json.loads(response.body)["error"]
    assert error.get("error_type", error["type"]) == "internal_error"
    assert "x-proxy-model" not in response.headers
    [line] = request_lines(outside)
    assert (line["http.response.status_code"], line["error.type"]) == (500, "internal_error")


async def test_what_the_platform_does_not_take_is_an_error_too() -> None:
    app, outside = make_app()
    built: list[Response] = []

    def build(response: Response) -> str:
        if not built:
            built.append(response)
            raise TypeError("no such header")
        built.append(response)
        return f"built {response.status}"

    reaction = app.handle(request("GET", "/v1/models"), build)
    assert not isinstance(reaction, str)
    assert await reaction == "built 500"
    assert [response.status for response in built] == [200, 500]
    assert [line["http.response.status_code"] for line in request_lines(outside)] == [500]


async def test_a_stream_whose_response_cannot_be_built_is_ended() -> None:
    reply = FakeReply(ROLE, HELLO, STOP, DONE, headers=EVENTS)
    app, outside = make_app(lambda _: reply)
    body = {"model": "openai/gpt-4o-mini", "prompt": "Hi", "stream": True}

    def build(response: Response) -> Response:
        if response.stream:
            raise TypeError("no such header")
        return response

    response = await send(app, request("POST", "/v1/generate", body), build)
    assert response.status == 500
    await asyncio.gather(*DEFERRED)
    assert reply.aborted
    assert [line["http.response.status_code"] for line in request_lines(outside)] == [500]
