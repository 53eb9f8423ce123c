"""What Gemini's own API can and what it insists on, for callers of OpenAI's dialect."""

import json
from typing import Any

import httpx

OPENAI = "/v1/chat/completions"
FLASH = {"model": "gemini/gemini-2.5-flash", "fallback": False}


def said(proxy: httpx.Client, prompt: str, **fields: Any) -> httpx.Response:
    messages = [{"role": "user", "content": prompt}]
    return proxy.post(OPENAI, json={**FLASH, "messages": messages, **fields})


def test_images_of_an_answer_are_a_hit_too(proxy: httpx.Client, script: Any) -> None:
    prompt = script("Draw a red dot.", gemini={"fixture": "image"})
    miss, hit = said(proxy, prompt), said(proxy, prompt)
    assert hit.headers["cf-aig-cache-status"] == "HIT"
    for answer in (miss, hit):
        message = answer.json()["choices"][0]["message"]
        assert message["content"] == "Here it is."
        [image] = message["images"]
        assert image["image_url"]["url"].startswith("data:image/png;base64,iVBOR")


def test_images_of_a_stream_and_usage_after_its_finish(proxy: httpx.Client, script: Any) -> None:
    prompt = script("Draw a red dot.", gemini={"fixture": "stream-image"})
    told = said(proxy, prompt, stream=True, stream_options={"include_usage": True})
    data = [line[6:] for line in told.text.splitlines() if line.startswith("data: ")]
    assert data[-1] == "[DONE]"
    chunks = [json.loads(line) for line in data[:-1]]
    images = [i for c in chunks if c["choices"] for i in c["choices"][0]["delta"].get("images", [])]
    assert [image["index"] for image in images] == [0]
    assert chunks[-1]["usage"]["completion_tokens"] == 1294


def test_a_conversation_that_begins_with_calls_and_goes_on_after_results(
    proxy: httpx.Client, script: Any
) -> None:
    function = {"name": "f", "arguments": "{}"}
    call = {"id": "c1", "type": "function", "function": function}
    messages = [
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c1", "content": '{"$ref": "#/x"}'},
        {"role": "user", "content": script("And now?")},
    ]
    answer = proxy.post(OPENAI, json={**FLASH, "messages": messages})
    assert answer.status_code == 200, answer.text
    assert answer.json()["choices"][0]["message"]["content"] == "echo: And now?"


def test_schemas_with_references(proxy: httpx.Client, script: Any) -> None:
    city = {"$ref": "#/definitions/city", "description": "where to"}
    schema: dict[str, Any] = {
        "type": "object",
        "properties": {"to": city},
        "definitions": {"city": {"type": "string"}},
    }
    tools = [{"type": "function", "function": {"name": "travel", "parameters": schema}}]
    answer = said(proxy, script("Hello."), tools=tools)
    assert answer.status_code == 200, answer.text
    schema["definitions"]["city"] = {"anyOf": [city]}
    refused = said(proxy, script("Hello."), tools=tools)
    assert refused.status_code == 400
    assert "refers to itself" in refused.json()["error"]["message"]


def test_more_texts_than_it_embeds_at_once(proxy: httpx.Client) -> None:
    texts = [f"text {number}" for number in range(250)]
    body = {"model": "gemini/gemini-embedding-001", "input": texts}
    answer = proxy.post("/v1/embeddings", json=body)
    assert answer.status_code == 200, answer.text
    told = answer.json()
    assert [item["index"] for item in told["data"]] == list(range(250))
    alone = proxy.post("/v1/embeddings", json=body | {"input": texts[249]}).json()
    assert told["data"][249]["embedding"] == alone["data"][0]["embedding"]
    assert told["usage"]["prompt_tokens"] == 500
