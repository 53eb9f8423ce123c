"""The pipeline from request to response, on plain CPython with scripted ports."""

import asyncio
import json
from typing import Any

import pytest
from msgspec import structs

from proxy.api.app import App
from proxy.api.batch import run_chunk
from proxy.api.misconfigured import Misconfigured
from proxy.api.start import start
from proxy.core.errors import Fault
from proxy.core.web import Request, Response
from proxy.host.maintenance import maintain
from tests.unit.api.making import make_app, request_lines, unused
from tests.unit.callers import (
    DEFERRED,
    ENV,
    JSON,
    defer,
    read_stream,
    request,
    send,
    send_at_once,
)
from tests.unit.doubles import (
    FakeReply,
    FakeUpstream,
    Logbook,
    LoopClock,
    in_no_time,
    ports,
)
from tests.unit.memory_objects import MemoryObjects
from tests.unit.routing.making import DONE, EVENTS, HELLO, ROLE, STOP, error, whole


async def unheard(_: bytes) -> None:
    raise AssertionError("nothing should have been told")


def test_health_is_answered_without_waiting() -> None:
    app, outside = make_app()
    response = send_at_once(app, request("GET", "/health", x_request_id="abc"))
    assert json.loads(response.body)["status"] == "ok"
    assert response.headers["x-request-id"] == "abc"
    assert response.headers["server-timing"] == "upstream;dur=0, total;dur=0"
    assert request_lines(outside)[0]["http.response.status_code"] == 200


async def test_generate() -> None:
    app, outside = make_app(lambda _: whole("Hi!"))
    response = await send(app, request("POST", "/v1/generate", {"prompt": "Hello"}, **JSON))
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


async def test_dropped_parameters_are_told() -> None:
    app, _ = make_app(lambda _: whole("Hi!"))
    body = {"prompt": "Hello", "stop": "x", "model": "openai/gpt-5.4-mini"}
    response = await send(app, request("POST", "/v1/generate", body, **JSON))
    assert response.headers["x-proxy-dropped"] == "stop"


@pytest.mark.parametrize(
    ("path", "end"),
    [("/v1/generate", b"event: done\n"), ("/v1/chat/completions", b"data: [DONE]\n\n")],
)
async def test_a_stream(path: str, end: bytes) -> None:
    reply = FakeReply(ROLE, HELLO, STOP, DONE, headers=EVENTS)
    app, outside = make_app(lambda _: reply)
    body: dict[str, Any] = {"stream": True, "model": "openai/gpt-4o"}
    if path == "/v1/generate":
        body["prompt"] = "Hello"
    else:
        body["messages"] = [{"role": "user", "content": "Hello"}]
    response = await send(app, request("POST", path, body, **JSON))
    assert response.headers["content-type"].startswith("text/event-stream")
    assert request_lines(outside) == []
    text = await read_stream(response)
    assert b"Hello" in text
    assert end in text
    assert request_lines(outside)[0]["proxy.stream.ended"] == "ok"
    assert reply.aborted


async def test_a_stream_that_breaks_ends_in_an_error() -> None:
    reply = FakeReply(HELLO, Fault("network", "The connection broke."), headers=EVENTS)
    app, outside = make_app(lambda _: reply)
    body = {"prompt": "Hello", "stream": True}
    text = await read_stream(await send(app, request("POST", "/v1/generate", body, **JSON)))
    last = text.strip().rsplit(b"\n\n", 1)[1]
    assert last.startswith(b"event: error\ndata: ")
    assert json.loads(last.split(b"data: ")[1])["error"]["code"] == 502
    assert request_lines(outside)[0]["proxy.stream.ended"] == "network"


async def test_a_stream_ends_at_the_callers_deadline() -> None:
    reply = FakeReply(HELLO, 10.0, STOP, headers=EVENTS)
    app, outside = make_app(lambda _: reply)
    body = {"prompt": "Hello", "stream": True, "timeout": 100}
    text = await read_stream(await send(app, request("POST", "/v1/generate", body, **JSON)))
    assert b'"code":504' in text
    assert request_lines(outside)[0]["proxy.stream.ended"] == "timeout"
    assert reply.aborted


async def test_a_caller_who_leaves_ends_the_upstream() -> None:
    reply = FakeReply(HELLO, HELLO, HELLO, STOP, headers=EVENTS)
    app, outside = make_app(lambda _: reply)
    body = {"prompt": "Hello", "stream": True}
    response = await send(app, request("POST", "/v1/generate", body, **JSON))
    await read_stream(response, gone_after=1)
    assert reply.aborted
    assert request_lines(outside)[0]["proxy.stream.ended"] == "client_gone"


async def test_a_caller_who_leaves_before_the_error_is_told() -> None:
    reply = FakeReply(HELLO, Fault("network", "broke"), headers=EVENTS)
    app, outside = make_app(lambda _: reply)
    body = {"prompt": "Hello", "stream": True}
    response = await send(app, request("POST", "/v1/generate", body, **JSON))
    await read_stream(response, gone_after=1)
    assert request_lines(outside)[0]["proxy.stream.ended"] == "network"


async def test_embeddings() -> None:
    data = [{"index": 0, "embedding": [0.5, 1.0]}]
    reply = FakeReply(json.dumps({"data": data, "usage": {"prompt_tokens": 2}}).encode())
    app, _ = make_app(lambda _: reply)
    body = {"model": "text-embedding-3-small", "input": "hi"}
    response = await send(app, request("POST", "/v1/embeddings", body, **JSON))
    assert json.loads(response.body)["data"][0]["embedding"] == [0.5, 1.0]


async def test_models() -> None:
    app, _ = make_app()
    listed = json.loads((await send(app, request("GET", "/v1/models"))).body)
    ids = [entry["id"] for entry in listed["data"]]
    assert "openai/gpt-4o" in ids
    assert not any(id_.startswith("groq/") for id_ in ids)
    one = await send(app, request("GET", "/v1/models/openai%2Fgpt-4o"))
    assert json.loads(one.body)["id"] == "openai/gpt-4o"
    missing = await send(app, request("GET", "/v1/models/groq/none"))
    assert (missing.status, json.loads(missing.body)["error"]["code"]) == (404, "model_not_found")


@pytest.mark.parametrize(
    "name",
    ["gpt-4o", "gpt-4", "fast", "openai/fast", "openai/gpt-4o-2024-08-06", "gpt-4o-2024-08-06"],
)
@pytest.mark.parametrize("prefix", ["/v1/models/", "/models/"])
async def test_a_model_is_found_by_any_name_that_a_request_may_use(name: str, prefix: str) -> None:
    app, _ = make_app()
    found = await send(app, request("GET", prefix + name.replace("/", "%2F")))
    assert json.loads(found.body)["id"] == name


@pytest.mark.parametrize(
    ("method", "path", "endpoint"),
    [
        ("POST", "/chat/completions", "/v1/chat/completions"),
        ("POST", "/embeddings/", "/v1/embeddings"),
        ("GET", "/models", "/v1/models"),
        ("GET", "/models/openai/gpt-4o", "/v1/models/ID"),
    ],
)
async def test_openais_paths_without_v1(method: str, path: str, endpoint: str) -> None:
    data = [{"index": 0, "embedding": [1.0]}]
    answer = {"/embeddings/": FakeReply(json.dumps({"data": data}).encode())}
    app, outside = make_app(lambda _: answer.get(path, whole("Hi!")))
    body = {"messages": [{"role": "user", "content": "Hello"}], "input": "hi", "model": "auto"}
    response = await send(app, request(method, path, body if method == "POST" else b"", **JSON))
    assert response.status == 200, response.body
    assert request_lines(outside)[0]["http.route"] == endpoint


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_the_root_leads_to_the_dashboard(method: str) -> None:
    app, _ = make_app(PROXY_API_KEY="the-key")
    response = send_at_once(app, request(method, "/"))
    assert (response.status, response.headers["location"]) == (302, "/dashboard")
    refused = send_at_once(app, request("POST", "/"))
    assert (refused.status, refused.headers["allow"]) == (405, "GET, HEAD, OPTIONS")


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("/v1/completions", "OpenAI's Completions API is not offered here"),
        ("/completions", "OpenAI's Completions API is not offered here"),
        ("/v1/audio/transcriptions", "OpenAI's Audio API"),
        ("/v1/images/generations", "OpenAI's Images API"),
        ("/v1/moderations", "OpenAI's Moderations API"),
        ("/v1/files/file-1/content", "OpenAI's Files API"),
        ("/v1/batches", "use POST /v1/batch."),
        ("/v1/threads/t/runs", "OpenAI's Assistants API"),
        ("/v1/fine_tuning/jobs", "OpenAI's Fine-tuning API"),
        ("/v1/realtime", "OpenAI's Realtime API"),
        ("/v1/vector_stores", "OpenAI's Vector Stores API"),
        ("/v1beta/models/gemini-2.5-flash:generateContent", "Gemini's own API"),
        ("/v1beta/models/gemini-2.5-flash:streamGenerateContent", "use POST /v1/chat/completions"),
        ("/v1/models/gemini-2.5-flash:generateContent", "Gemini's own API"),
        ("/v1/models/gemini-2.5-flash:batchGenerateContent", "Gemini's own API"),
        ("/v1/models/gemini-2.5-flash%3AgenerateContent", "Gemini's own API"),
        ("/models/veo-3:predictLongRunning", "Gemini's own API"),
        ("/models/gemini-2.5-flash:countTokens", "Gemini's own API"),
        ("/v1beta/models", "Gemini's own API"),
        ("/v1/nonsense", "There is nothing at /v1/nonsense."),
        ("/v2/chat/completions", "There is nothing at"),
        ("/nowhere", "There is nothing at /nowhere."),
        ("/v1", "There is nothing at /v1."),
        ("/v1/" + "a" * 9000, "There is nothing at"),
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
def test_a_path_that_is_nowhere(method: str, path: str, said: str) -> None:
    app, _ = make_app(CORS_ORIGINS="https://a.example", PROXY_API_KEY="the-key")
    origin = {"origin": "https://a.example"}
    response = send_at_once(app, request(method, path, **origin))
    assert response.status == 404
    error = json.loads(response.body)["error"]
    assert (error["type"], error["code"]) == ("invalid_request_error", "unknown_url")
    assert said in error["message"]
    assert len(error["message"]) < 400
    assert response.headers["access-control-allow-origin"] == "https://a.example"
    asked = request("OPTIONS", path, access_control_request_method=method, **origin)
    before = send_at_once(app, asked)
    assert before.status == 204
    assert method in before.headers["access-control-allow-methods"]


@pytest.mark.parametrize("path", ["/analytics/more", "/admin/none", "/dashboard/none.js"])
def test_nothing_below_the_proxys_own_paths(path: str) -> None:
    app, _ = make_app()
    response = send_at_once(app, request("GET", path))
    assert (response.status, json.loads(response.body)["error"]["type"]) == (404, "not_found")


async def test_provider_health_survives_its_board() -> None:
    app, outside = make_app()
    assert isinstance(outside.objects, MemoryObjects)
    outside.objects.board.down = True
    response = await send(app, request("GET", "/health/providers"))
    assert response.status == 200
    assert all(entry["lastCheck"] is None for entry in json.loads(response.body)["providers"])


async def test_the_cron_check_tells_who_is_ill() -> None:
    app, outside = make_app(lambda _: error(503), GROQ_API_KEY="key-of-groq")
    await maintain(app.services)
    assert isinstance(outside.log, Logbook)
    ill = [fields["provider"] for _, event, fields in outside.log.lines if "unhealthy" in event]
    assert ill == ["groq", "openai"]


@pytest.mark.parametrize(
    ("asked", "status"),
    [
        (request("GET", "/nowhere"), 404),
        (request("PUT", "/v1/generate"), 405),
        (request("POST", "/v1/generate", b"{}", content_type="text/plain"), 415),
        (request("POST", "/v1/generate", b"{}"), 400),
        (request("POST", "/v1/generate", b"x" * 2000, **JSON), 413),
        (request("POST", "/v1/chat/completions", {"model": "none", "messages": []}), 400),
    ],
)
async def test_refusals(asked: Request, status: int) -> None:
    app, outside = make_app(MAX_BODY_BYTES="1024")
    response = await send(app, asked)
    assert response.status == status
    assert json.loads(response.body)["error"]["message"]
    assert request_lines(outside)[0]["http.response.status_code"] == status


async def test_a_bug_is_an_internal_error_without_its_traceback() -> None:
    app, outside = make_app(unused)
    response = await send(app, request("POST", "/v1/generate", {"prompt": "Hello"}, **JSON))
    assert response.status == 500
    assert json.loads(response.body)["error"]["type"] == "internal_error"
    assert b"no provider should" not in response.body
    assert isinstance(outside.log, Logbook)
    assert [event for _, event, _ in outside.log.lines] == ["bug", "request"]


async def test_retry_after_is_rounded_up() -> None:
    app, _ = make_app(lambda _: error(429, **{"retry-after-ms": "1200"}))
    response = await send(app, request("POST", "/v1/generate", {"prompt": "Hello"}, **JSON))
    assert (response.status, response.headers["retry-after"]) == (429, "2")


def test_a_key_is_wanted_where_one_is_set() -> None:
    app, _ = make_app(PROXY_API_KEY="the-key")
    refused = send_at_once(app, request("GET", "/v1/models"))
    assert (refused.status, refused.headers["www-authenticate"]) == (401, "Bearer")
    passed = send_at_once(app, request("GET", "/v1/models", authorization="Bearer the-key"))
    assert passed.status == 200


def test_cross_origin() -> None:
    app, _ = make_app(CORS_ORIGINS="https://a.example")
    wanted = request("OPTIONS", "/v1/generate", origin="https://a.example")
    response = send_at_once(app, wanted)
    assert response.status == 204
    assert response.headers["access-control-allow-origin"] == "https://a.example"
    assert response.headers["access-control-allow-methods"] == "POST, OPTIONS"
    allowed = response.headers["access-control-allow-headers"].split(", ")
    assert {"authorization", "x-api-key", "api-key", "content-type"} <= set(allowed)
    stranger = send_at_once(app, request("OPTIONS", "/v1/generate", origin="https://b.example"))
    assert "access-control-allow-origin" not in stranger.headers
    everyone, _ = make_app(CORS_ORIGINS="*")
    seen = send_at_once(everyone, request("GET", "/health", origin="https://b.example"))
    assert seen.headers["access-control-allow-origin"] == "https://b.example"


async def test_wrong_settings_answer_everything() -> None:
    app = start({"ENVIRONMENT": "moon"}, ports(unused))
    assert isinstance(app, Misconfigured)
    response = send_at_once(app, request("GET", "/v1/models"))
    assert response.status == 500
    assert "ENVIRONMENT must be one of" in json.loads(response.body)["error"]["message"]
    with pytest.raises(Exception, match="ENVIRONMENT"):
        await maintain(app.services)
    with pytest.raises(Exception, match="ENVIRONMENT"):
        await run_chunk(app.services, b"", defer, unheard)


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
@pytest.mark.parametrize(
    "path", ["/v1", "/v1/", "/v1/nothing", "/v1/generate/more", "/v1/chat", "/v1/%2e%2e"]
)
def test_what_is_not_there_under_v1_is_told_in_openais_form(method: str, path: str) -> None:
    app, _ = make_app()
    response = send_at_once(app, request(method, path))
    assert response.status == 404
    problem = json.loads(response.body)["error"]
    assert (problem["type"], problem["code"]) == ("invalid_request_error", "unknown_url")
    assert problem["param"] is None


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


async def test_missing_bindings_are_told_to_everyone() -> None:
    outside = structs.replace(ports(unused), unbound=("RATE_BUCKET", "STATISTICS"))
    app = start({"ENVIRONMENT": "moon"}, outside)
    assert isinstance(app, Misconfigured)
    for path in ("/health", "/v1/models", "/nowhere"):
        response = send_at_once(app, request("GET", path))
        assert response.status == 500
        message = json.loads(response.body)["error"]["message"]
        assert "RATE_BUCKET, STATISTICS" in message
        assert "wrangler.toml" in message
        assert "ENVIRONMENT must be one of" in message
    with pytest.raises(Exception, match="RATE_BUCKET"):
        await maintain(app.services)


@in_no_time
async def test_health_is_told_though_the_board_hangs() -> None:
    outside = ports(unused, clock=LoopClock())

    assert isinstance(outside.objects, MemoryObjects)
    outside.objects.board.silent = True
    app = start(ENV, outside)
    assert isinstance(app, App)
    loop = asyncio.get_running_loop()
    for _ in range(10):
        assert (await send(app, request("GET", "/health/providers"))).status == 200
    assert loop.time() < 3


# --- responses that can't be built --------------------------------------------------------------

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


async def test_a_model_of_any_name_is_told_in_ascii() -> None:
    app, _ = make_app(lambda _: whole("Hi!"))
    body = {"model": "openai/模型 é", "prompt": "Hi"}
    response = await send(app, request("POST", "/v1/generate", body))
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

    assert app.handle(request("GET", "/v1/models"), build) == "built 500"
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


async def test_who_was_asked_last_is_kept_of_a_request_that_failed() -> None:
    app, outside = make_app(lambda _: error(500))
    body = {"prompt": "Hello", "model": "openai/gpt-4o", "fallback": False}
    assert (await send(app, request("POST", "/v1/generate", body, **JSON))).status == 502
    line = request_lines(outside)[0]
    assert (line["gen_ai.provider.name"], line["error.type"]) == ("openai", "provider_error")


async def test_nobody_is_charged_with_what_no_provider_saw() -> None:
    app, outside = make_app()
    body = {"prompt": "Hello", "model": "nobody-knows-it"}
    assert (await send(app, request("POST", "/v1/generate", body, **JSON))).status == 404
    assert "gen_ai.provider.name" not in request_lines(outside)[0]
