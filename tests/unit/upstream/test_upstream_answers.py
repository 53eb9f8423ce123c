"""The fake model answers in each provider's own form."""

import json

import pytest

from tests.upstream.client import GEMINI, LLAMA, OPENAI_FAMILY, Client

TOOL = {"type": "function", "function": {"name": "get_weather", "parameters": {"type": "object"}}}
PIXEL = "data:image/png;base64,iVBORw0KGgo="


@pytest.mark.parametrize("provider", OPENAI_FAMILY)
def test_echo_in_the_openai_family(client: Client, provider: str) -> None:
    answer = client.chat("say hello", provider).json
    assert answer["choices"][0]["message"]["content"] == "echo: say hello"
    assert answer["choices"][0]["finish_reason"] == "stop"
    usage = answer["usage"]
    counts = usage["prompt_tokens"], usage["completion_tokens"], usage["total_tokens"]
    assert counts == (2, 3, 5)


@pytest.mark.parametrize("provider", OPENAI_FAMILY)
def test_stream_in_the_openai_family(client: Client, provider: str) -> None:
    options = {"include_usage": True}
    answer = client.chat("say hello", provider, stream=True, stream_options=options)
    chunks = [event for event in answer.events if isinstance(event, dict)]
    deltas = [choice["delta"] for chunk in chunks for choice in chunk["choices"]]
    assert "".join(delta.get("content") or "" for delta in deltas) == "echo: say hello"
    assert answer.events[-1] == "data: [DONE]"
    told = [chunk["usage"] for chunk in chunks if chunk.get("usage")]
    assert {usage["total_tokens"] for usage in told} == {5}
    assert len(told) == (2 if provider == "groq" else 1)


def test_usage_in_a_stream_without_being_asked(client: Client) -> None:
    told = {}
    for provider in OPENAI_FAMILY:
        events = client.chat("hi", provider, stream=True).events
        told[provider] = any(isinstance(e, dict) and e.get("usage") for e in events)
    assert {name for name, usage in told.items() if usage} == {"deepseek", "openrouter"}


def test_gemini_echo_and_usage(client: Client) -> None:
    system = {"parts": [{"text": "be brief"}]}
    thoughts = {"thinkingConfig": {"includeThoughts": True}}
    answer = client.gemini("think now", systemInstruction=system, generationConfig=thoughts).json
    thought, text = answer["candidates"][0]["content"]["parts"]
    assert (thought["text"], thought["thought"]) == ("thinking about: think now", True)
    assert text == {"text": "echo: think now"}
    usage = answer["usageMetadata"]
    assert usage == {
        "promptTokenCount": 4,
        "candidatesTokenCount": 3,
        "thoughtsTokenCount": 4,
        "totalTokenCount": 11,
    }


def test_gemini_stream_forms(client: Client) -> None:
    sse = client.gemini("say hello", "streamGenerateContent?alt=sse")
    assert sse.bytes.endswith(b"}\r\n\r\n")
    texts = [e["candidates"][0]["content"]["parts"][0]["text"] for e in sse.events]
    assert texts == ["echo:", " say", " hello"]
    assert [e["candidates"][0].get("finishReason") for e in sse.events] == [None, None, "STOP"]
    array = client.gemini("say hello", "streamGenerateContent")
    assert len(array.json) == 3


def test_workers_ai_forms(client: Client) -> None:
    body = {"messages": [{"role": "user", "content": "say hello"}]}
    native = client.send("POST", LLAMA, body).json
    assert native["response"] == "echo: say hello"
    assert native["usage"]["total_tokens"] == 5
    events = client.send("POST", LLAMA, body | {"stream": True}).events
    assert [e.get("response") for e in events[:-1]] == ["echo:", " say", " hello", ""]
    shaped = client.send("POST", "/workers-ai/run/@cf/openai/gpt-oss-20b", body | {"stream": True})
    closing = [e for e in shaped.events[:-1] if e["choices"][0]["finish_reason"]]
    assert len(closing) == 2


def test_tools(client: Client) -> None:
    answer = client.chat("call the tool twice", tools=[TOOL]).json
    calls = answer["choices"][0]["message"]["tool_calls"]
    assert [json.loads(c["function"]["arguments"]) for c in calls] == [{"city": "Paris"}] * 2
    assert answer["choices"][0]["finish_reason"] == "tool_calls"
    asked = {"role": "user", "content": "call the tool"}
    turn = [asked, {"role": "assistant", "content": None, "tool_calls": calls[:1]}]
    turn.append({"role": "tool", "tool_call_id": calls[0]["id"], "content": "sunny"})
    after = client.chat(turn, tools=[TOOL]).json
    assert after["choices"][0]["message"]["content"] == "tool said: sunny"
    declared = [{"functionDeclarations": [{"name": "get_weather"}]}]
    forced = {"functionCallingConfig": {"mode": "ANY"}}
    part = client.gemini("hi", tools=declared, toolConfig=forced).json["candidates"][0]["content"]
    assert part["parts"][0]["functionCall"] == {"name": "get_weather", "args": {"city": "Paris"}}


def test_tools_in_a_stream(client: Client) -> None:
    events = client.chat("hi", tools=[TOOL], tool_choice="required", stream=True).events
    pieces = [c for e in events[:-1] for c in e["choices"][0]["delta"].get("tool_calls", [])]
    assert pieces[0]["id"] and pieces[0]["function"]["arguments"] == ""
    assert json.loads("".join(p["function"]["arguments"] for p in pieces)) == {"city": "Paris"}


def test_json_images_and_reasoning(client: Client) -> None:
    schema = {"type": "object", "properties": {"n": {"type": "integer"}, "s": {"enum": ["a", "b"]}}}
    wanted = {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}
    answer = client.chat("hi", response_format=wanted).json
    assert json.loads(answer["choices"][0]["message"]["content"]) == {"n": 1, "s": "a"}
    image = {"type": "image_url", "image_url": {"url": PIXEL}}
    seen = client.chat([{"role": "user", "content": [{"type": "text", "text": "look"}, image]}])
    assert seen.json["choices"][0]["message"]["content"] == "saw 1 images: image/png"
    fields = {"deepseek": "reasoning_content", "groq": "reasoning", "openrouter": "reasoning"}
    for provider, field in fields.items():
        message = client.chat("think hard", provider).json["choices"][0]["message"]
        assert message[field] == "thinking about: think hard"


def test_embeddings(client: Client) -> None:
    for one in ("red", [1, 2, 3], [[1, 2]]):
        answer = client.send("POST", "/openai/v1/embeddings", {"model": "m", "input": one})
        assert len(answer.json["data"]) == 1
    body = {"model": "m", "input": ["red", "deep blue"], "dimensions": 4}
    answer = client.send("POST", "/openai/v1/embeddings", body).json
    assert [len(entry["embedding"]) for entry in answer["data"]] == [4, 4]
    assert answer["usage"]["total_tokens"] == 3
    packed = client.send("POST", "/openai/v1/embeddings", body | {"encoding_format": "base64"}).json
    assert isinstance(packed["data"][0]["embedding"], str)
    content = {"content": {"parts": [{"text": "red"}]}}
    one = client.send("POST", f"{GEMINI}:embedContent", content).json
    two = client.send("POST", f"{GEMINI}:batchEmbedContents", {"requests": [content] * 2}).json
    assert two["embeddings"] == [one["embedding"]] * 2
    bge = client.send("POST", "/workers-ai/run/@cf/baai/bge-m3", {"text": ["red"]}).json
    assert bge["shape"] == [1, 8]


def test_models(client: Client) -> None:
    for prefix in OPENAI_FAMILY.values():
        assert client.send("GET", f"{prefix}/models").json["data"]
    assert client.send("GET", "/gemini/v1beta/models").json["models"]
