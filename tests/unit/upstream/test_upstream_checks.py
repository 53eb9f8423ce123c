"""The upstream refuses what the real providers refuse, in their own forms."""

import json
import socket

import pytest

from tests.upstream.client import GEMINI, LLAMA, OPENAI_FAMILY, Client, directive
from tests.upstream.gemini_checks import SIGNATURE
from tests.upstream.request import Json

PIXEL = "data:image/png;base64,iVBORw0KGgo="
USER = {"role": "user", "content": "hi"}
CALL = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
ASKED = {"role": "assistant", "content": None, "tool_calls": [CALL]}
RESULT = {"role": "tool", "tool_call_id": "c1", "content": "ok"}
PICTURE = [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": PIXEL}}]}]


@pytest.mark.parametrize(
    ("provider", "status", "fields"),
    [
        ("openai", 400, {"maxTokens": 5}),
        ("groq", 400, {"fallback": True}),
        ("deepseek", 200, {"maxTokens": 5}),
        ("openai", 400, {"model": "gpt-5-mini", "max_tokens": 5}),
        ("openai", 200, {"model": "gpt-5-mini", "max_completion_tokens": 5}),
        ("openai", 400, {"model": ""}),
        ("openai", 404, {"model": "gpt-none"}),
        ("deepseek", 400, {"model": "deepseek-none"}),
        ("openai", 400, {"messages": []}),
        ("openai", 400, {"messages": [{"role": "robot", "content": "hi"}]}),
        ("openai", 400, {"messages": [USER, RESULT]}),
        ("openai", 400, {"messages": [USER, ASKED, USER]}),
        ("openai", 400, {"messages": [USER, ASKED]}),
        ("openai", 200, {"messages": [USER, ASKED, RESULT]}),
        ("openai", 400, {"temperature": 3}),
        ("openai", 400, {"stream_options": {"include_usage": True}}),
        ("openai", 400, {"response_format": {"type": "json_object"}}),
        ("deepseek", 400, {"messages": PICTURE}),
        ("groq", 200, {"messages": PICTURE}),
        ("deepseek", 400, {"messages": [{"role": "developer", "content": "hi"}]}),
        ("deepseek", 400, {"response_format": {"type": "json_schema", "json_schema": {}}}),
    ],
)
def test_openai_checks(client: Client, provider: str, status: int, fields: Json) -> None:
    assert client.chat("hi", provider, **fields).status == status


def test_long_call_ids_are_refused_by_openai_only(client: Client) -> None:
    turn = json.loads(json.dumps([USER, ASKED, RESULT]).replace("c1", "c" * 41))
    assert client.chat(turn).json["error"]["code"] == "string_above_max_length"
    assert client.chat(turn, "groq").status == 200


def turns(*parts: Json) -> list[Json]:
    """Contents of alternating roles, one part each."""
    return [{"role": ("user", "model")[i % 2], "parts": [part]} for i, part in enumerate(parts)]


TEXT = {"text": "hi"}
FUNCTION_CALL = {"functionCall": {"name": "f", "args": {}}}
SIGNED = FUNCTION_CALL | {"thoughtSignature": SIGNATURE}
RESPONSE = {"functionResponse": {"name": "f", "response": {"result": "ok"}}}


@pytest.mark.parametrize(
    ("model", "status", "fields"),
    [
        ("gemini-2.5-flash", 400, {"maxTokens": 5}),
        ("gemini-2.5-flash", 400, {"generationConfig": {"max_tokens": 5}}),
        ("gemini-2.5-flash", 200, {"generation_config": {"max_output_tokens": 5}}),
        ("gemini-2.5-flash", 400, {"contents": [{"role": "assistant", "parts": [TEXT]}]}),
        ("gemini-2.5-flash", 400, {"contents": []}),
        ("gemini-2.5-flash", 400, {"contents": [{"role": "user", "parts": []}]}),
        ("gemini-2.5-flash", 400, {"contents": turns(TEXT, TEXT, RESPONSE)}),
        ("gemini-2.5-flash", 200, {"contents": turns(TEXT, FUNCTION_CALL, RESPONSE)}),
        ("gemini-3-flash", 400, {"contents": turns(TEXT, FUNCTION_CALL, RESPONSE)}),
        ("gemini-3-flash", 200, {"contents": turns(TEXT, SIGNED, RESPONSE)}),
        ("gemini-none", 404, {}),
        (
            "gemini-2.5-flash",
            400,
            {"generationConfig": {"responseSchema": {"additionalProperties": False}}},
        ),
    ],
)
def test_gemini_checks(client: Client, model: str, status: int, fields: Json) -> None:
    body = {"contents": turns(TEXT)} | fields
    answer = client.send("POST", f"/gemini/v1beta/models/{model}:generateContent", body)
    assert answer.status == status


@pytest.mark.parametrize("provider", [*OPENAI_FAMILY, "gemini"])
def test_keys(client: Client, provider: str) -> None:
    path = f"{GEMINI}:generateContent"
    body: Json = {"contents": turns(TEXT)}
    if provider != "gemini":
        path = f"{OPENAI_FAMILY[provider]}/chat/completions"
        body = {"model": "m", "messages": [USER]}
    answer = client.send("POST", path, body, {"content-type": "application/json"})
    assert answer.status == {"gemini": 400, "local": 200}.get(provider, 401)


def test_framing_is_checked(client: Client) -> None:
    head = "POST /local/v1/chat/completions HTTP/1.1\r\nhost: x\r\n"
    with socket.create_connection(("127.0.0.1", client.up.port)) as sock:
        sock.sendall(f"{head}content-type: application/json\r\n\r\n".encode())
        assert sock.recv(100).startswith(b"HTTP/1.1 411 ")
    path = "/local/v1/chat/completions"
    assert client.send("POST", path, {}, {"content-type": "text/plain"}).status == 415
    assert client.send("POST", path, [], {"content-type": "application/json"}).status == 400


def test_ignored_fields_are_in_the_log(client: Client) -> None:
    client.chat("hi " + directive({"tag": "t"}), "deepseek", maxTokens=5)
    assert client.up.log("t")[0]["unknown"] == ["maxTokens"]


@pytest.mark.parametrize(
    ("path", "form"),
    [
        ("/openai/v1/chat/completions", {"error": {"message", "type", "param", "code"}}),
        ("/groq/openai/v1/chat/completions", {"error": {"message", "type"}}),
        ("/openrouter/api/v1/chat/completions", {"error": {"message", "code"}, "user_id": set()}),
        ("/huggingface/v1/chat/completions", {"error": set()}),
        ("/local/v1/chat/completions", {"error": {"code", "message", "type"}}),
        (f"{GEMINI}:generateContent", {"error": {"code", "message", "status"}}),
        (LLAMA, {"internalCode": set(), "message": set(), "name": set(), "description": set()}),
    ],
)
def test_error_forms(client: Client, path: str, form: dict[str, set[str]]) -> None:
    text = directive({"status": 500, "headers": {"retry-after": "3"}})
    body: Json = {"model": "m", "messages": [{"role": "user", "content": text}]}
    if "gemini" in path:
        body = {"contents": turns({"text": text})}
    answer = client.send("POST", path, body)
    assert (answer.status, answer.headers["retry-after"]) == (500, "3")
    assert answer.json.keys() == form.keys()
    for name, inner in form.items():
        assert not inner or answer.json[name].keys() == inner
