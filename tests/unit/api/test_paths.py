"""The paths that there are, by each of their names, and those that there are not."""

import json

import pytest

from tests.unit.api.making import make_app, request_lines
from tests.unit.callers import JSON, request, send, send_at_once
from tests.unit.doubles import FakeReply
from tests.unit.routing.making import whole


async def test_models() -> None:
    app, _ = make_app()
    listed = json.loads((await send(app, request("GET", "/v1/models"))).body)
    ids = [entry["id"] for entry in listed["data"]]
    assert "openai/gpt-4o" in ids
    assert not any(id_.startswith("groq/") for id_ in ids)
    found = await send(app, request("GET", "/v1/models/openai%2Fgpt-4o"))
    assert json.loads(found.body)["id"] == "openai/gpt-4o"
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
    if method == "HEAD":  # coding agents look whether anybody is there
        assert response.status == 200
    else:
        assert (response.status, response.headers["location"]) == (302, "/dashboard")
    refused = send_at_once(app, request("POST", "/"))
    assert (refused.status, refused.headers["allow"]) == (405, "GET, HEAD, OPTIONS")


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("/v1/audio/voices", "This part of OpenAI's Audio API is not offered here"),
        ("/images/x", "This part of OpenAI's Images API is not offered here"),
        ("/v1/files/file-1/content", "the provider's own at /openai/v1/files/file-1/content."),
        ("/v1/batches", "use POST /v1/batch or the provider's own at /openai/v1/batches."),
        ("/v1/complete", "the provider's own at /anthropic/v1/complete."),
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
        ("/v1beta/models", "the provider's own at /genai/v1beta/models."),
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
    preflight = request("OPTIONS", path, access_control_request_method=method, **origin)
    allowed = send_at_once(app, preflight)
    assert allowed.status == 204
    assert method in allowed.headers["access-control-allow-methods"]


@pytest.mark.parametrize("path", ["/analytics/more", "/admin/none", "/dashboard/none.js"])
def test_nothing_below_the_proxys_own_paths(path: str) -> None:
    app, _ = make_app()
    response = send_at_once(app, request("GET", path))
    assert (response.status, json.loads(response.body)["error"]["type"]) == (404, "not_found")


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
@pytest.mark.parametrize(
    "path", ["/v1", "/v1/", "/v1/nothing", "/v1/generate/more", "/v1/chat", "/v1/%2e%2e"]
)
def test_what_is_not_there_under_v1_is_an_error_in_openais_form(method: str, path: str) -> None:
    app, _ = make_app()
    response = send_at_once(app, request(method, path))
    assert response.status == 404
    problem = json.loads(response.body)["error"]
    assert (problem["type"], problem["code"]) == ("invalid_request_error", "unknown_url")
    assert problem["param"] is None


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


def test_a_page_may_read_what_anthropics_sdk_reads() -> None:
    app, _ = make_app(CORS_ORIGINS="*")
    response = send_at_once(
        app, request("POST", "/v1/messages/none", {}, origin="https://a.example", **JSON)
    )
    exposed = response.headers["access-control-expose-headers"].split(", ")
    assert {"request-id", "x-should-retry"} <= response.headers.keys() & set(exposed)
