"""The pipeline from request to response, on plain CPython with scripted ports."""

import json

import pytest

from proxy.core.web import Request
from tests.unit.api.making import generate, make_app, request_lines, unused
from tests.unit.callers import JSON, request, send, send_at_once
from tests.unit.doubles import FakeReply, FakeUpstream, Logbook
from tests.unit.routing.making import error, whole


async def test_generate() -> None:
    app, outside = make_app(lambda _: whole("Hi!"))
    response = await generate(app)
    body = json.loads(response.body)
    assert (response.status, body["data"], body["provider"]) == (200, "Hi!", "openai")
    assert response.headers["x-proxy-provider"] == "openai"
    assert response.headers["cf-aig-step"] == "0"
    assert response.headers["x-proxy-cost-origin"] == "computed"
    line = request_lines(outside)[0]
    assert (line["gen_ai.provider.name"], line["proxy.attempts"], line["enduser.id"]) == (
        "openai",
        "openai:ok",
        "anonymous",
    )
    assert "Hello" not in json.dumps(line)


async def test_dropped_parameters_are_named() -> None:
    app, _ = make_app(lambda _: whole("Hi!"))
    response = await generate(app, stop="x", model="openai/gpt-5.4-mini")
    assert response.headers["x-proxy-dropped"] == "stop"


async def test_embeddings() -> None:
    data = [{"index": 0, "embedding": [0.5, 1.0]}]
    reply = FakeReply(json.dumps({"data": data, "usage": {"prompt_tokens": 2}}).encode())
    app, _ = make_app(lambda _: reply)
    body = {"model": "text-embedding-3-small", "input": "hi"}
    response = await send(app, request("POST", "/v1/embeddings", body, **JSON))
    assert json.loads(response.body)["data"][0]["embedding"] == [0.5, 1.0]


@pytest.mark.parametrize(
    ("refused", "status"),
    [
        (request("GET", "/nowhere"), 404),
        (request("PUT", "/v1/generate"), 405),
        (request("POST", "/v1/generate", b"{}", content_type="text/plain"), 415),
        (request("POST", "/v1/generate", b"{}"), 400),
        (request("POST", "/v1/generate", b"x" * 2000, **JSON), 413),
        (request("POST", "/v1/chat/completions", {"model": "none", "messages": []}), 400),
    ],
)
async def test_refusals(refused: Request, status: int) -> None:
    app, outside = make_app(MAX_BODY_BYTES="1024")
    response = await send(app, refused)
    assert response.status == status
    assert json.loads(response.body)["error"]["message"]
    assert request_lines(outside)[0]["http.response.status_code"] == status


async def test_a_bug_is_an_internal_error_without_its_traceback() -> None:
    app, outside = make_app(unused)
    response = await generate(app)
    assert response.status == 500
    assert json.loads(response.body)["error"]["type"] == "internal_error"
    assert b"no provider should" not in response.body
    assert isinstance(outside.log, Logbook)
    assert [event for _, event, _ in outside.log.lines] == ["bug", "request"]


async def test_retry_after_is_rounded_up() -> None:
    app, _ = make_app(lambda _: error(429, **{"retry-after-ms": "1200"}))
    response = await generate(app)
    assert (response.status, response.headers["retry-after"]) == (429, "2")


async def test_a_key_is_wanted_where_one_is_set() -> None:
    app, _ = make_app(PROXY_API_KEY="the-key")
    refused = send_at_once(app, request("GET", "/v1/models"))
    assert (refused.status, refused.headers["www-authenticate"]) == (401, "Bearer")
    passed = await send(app, request("GET", "/v1/models", authorization="Bearer the-key"))
    assert passed.status == 200


@pytest.mark.parametrize("name", ["authorization", "x_api_key", "api_key"])
async def test_a_key_goes_no_further(name: str) -> None:
    """Whichever header carries it: not to a provider, and into no log."""
    key = "the-key-of-the-caller"
    app, outside = make_app(lambda _: whole("Hi!"), PROXY_API_KEY=key)
    assert isinstance(outside.upstream, FakeUpstream)
    assert isinstance(outside.log, Logbook)
    given = {name: f"Bearer {key}" if name == "authorization" else key}
    response = await send(
        app, request("POST", "/v1/generate", {"prompt": "Hello"}, **JSON, **given)
    )
    assert response.status == 200
    for outgoing in outside.upstream.sent:
        assert key not in repr(outgoing)
        assert not {"x-api-key", "api-key"} & outgoing.headers.keys()
    assert key not in repr(outside.log.lines)
    refused = await send(app, request("GET", "/v1/models", **{name: "not-the-key"}))
    assert refused.status == 401


async def test_the_last_provider_is_recorded_of_a_request_that_failed() -> None:
    app, outside = make_app(lambda _: error(500))
    assert (await generate(app, model="openai/gpt-4o", fallback=False)).status == 502
    line = request_lines(outside)[0]
    assert (line["gen_ai.provider.name"], line["error.type"]) == ("openai", "provider_error")


async def test_nobody_is_charged_with_what_no_provider_saw() -> None:
    app, outside = make_app()
    assert (await generate(app, model="nobody-knows-it")).status == 404
    assert "gen_ai.provider.name" not in request_lines(outside)[0]
