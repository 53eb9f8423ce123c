"""OpenAI's own SDK, by Responses, in front of every provider."""

import json
from typing import Any

import httpx
import openai
import pytest
from openai import OpenAI
from pydantic import BaseModel

from tests.e2e.agents.test_messages import PROVIDERS
from tests.e2e.deployments import ADMIN_TOKEN, CALLER_KEY
from tests.e2e.sse import events

WEATHER: Any = {
    "type": "function",
    "name": "get_weather",
    "parameters": {
        "type": "object",
        "properties": {"city": {"type": "string"}},
        "required": ["city"],
        "additionalProperties": False,
    },
    "strict": True,
}
PATCH: Any = {"type": "custom", "name": "apply_patch", "description": "Edits files."}
ALONE: Any = {"fallback": False}


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_response(sdk: OpenAI, script: Any, provider: str) -> None:
    response = sdk.responses.create(
        model=f"{provider}/auto",
        instructions="Be brief.",
        input=script("Say hello."),
        extra_body=ALONE,
    )
    assert (response.status, response.output_text) == ("completed", "echo: Say hello.")
    assert response.usage
    assert (response.usage.input_tokens, response.usage.output_tokens) == (4, 3)


@pytest.mark.parametrize("provider", [name for name in PROVIDERS if name != "local"])
def test_a_stream_with_tools_and_its_next_turn(sdk: OpenAI, script: Any, provider: str) -> None:
    items: Any = [{"role": "user", "content": script("call the tool twice")}]
    with sdk.responses.stream(
        model=f"{provider}/auto", input=items, tools=[WEATHER], store=False, extra_body=ALONE
    ) as stream:
        numbers = [event.sequence_number for event in stream]
        response = stream.get_final_response()
    assert numbers == list(range(len(numbers)))
    calls = [item for item in response.output if item.type == "function_call"]
    assert [(call.name, json.loads(call.arguments)) for call in calls] == [
        ("get_weather", {"city": "Paris"})
    ] * 2
    items += [item.model_dump(exclude_none=True) for item in response.output]
    items += [
        {"type": "function_call_output", "call_id": call.call_id, "output": "sunny"}
        for call in calls
    ]
    again = sdk.responses.create(
        model=f"{provider}/auto", input=items, tools=[WEATHER], store=False, extra_body=ALONE
    )
    assert "sunny" in again.output_text


@pytest.mark.parametrize("provider", ["anthropic", "gemini", "groq", "openai"])
@pytest.mark.parametrize("stream", [False, True])
def test_a_custom_tool(open_url: str, script: Any, provider: str, stream: bool) -> None:
    body = {
        "model": f"{provider}/auto",
        "input": script("call the tool"),
        "tools": [PATCH, {"type": "web_search"}],
        "store": False,
        "stream": stream,
        **ALONE,
    }
    answer = httpx.post(f"{open_url}/v1/responses", json=body)
    assert answer.status_code == 200
    response = answer.json() if not stream else list(events(answer))[-1][1]["response"]
    [call] = [item for item in response["output"] if item["type"] != "reasoning"]
    assert (call["type"], call["name"]) == ("custom_tool_call", "apply_patch")
    assert isinstance(call["input"], str)
    if provider != "openai":
        assert "tools.web_search" in answer.headers["x-proxy-dropped"]


class Person(BaseModel):
    name: str


@pytest.mark.parametrize("provider", ["anthropic", "openai", "gemini"])
def test_structured_output(sdk: OpenAI, script: Any, provider: str) -> None:
    response = sdk.responses.parse(
        model=f"{provider}/auto", input=script("A name."), text_format=Person, extra_body=ALONE
    )
    assert response.output_parsed == Person(name="text")


@pytest.mark.parametrize("provider", ["anthropic", "openai", "groq"])
@pytest.mark.parametrize("stream", [False, True])
def test_a_conversation_is_kept_and_goes_on(
    sdk: OpenAI, script: Any, provider: str, stream: bool
) -> None:
    model = f"{provider}/auto"
    first_id = create(sdk, model, script(f"My name is {stream}."), stream)
    kept = sdk.responses.retrieve(first_id)
    assert kept.output_text == f"echo: My name is {stream}."
    again = sdk.responses.create(
        model=model, input=script("Who am I?"), previous_response_id=first_id, extra_body=ALONE
    )
    assert again.previous_response_id == first_id
    assert again.usage
    assert again.usage.input_tokens > 10  # all that was said
    listed = sdk.responses.input_items.list(first_id)
    assert [item.type for item in listed.data] == ["message"]
    sdk.responses.delete(first_id)
    with pytest.raises(openai.NotFoundError):
        sdk.responses.retrieve(first_id)
    with pytest.raises(openai.BadRequestError) as gone:
        sdk.responses.create(model=model, input="x", previous_response_id=first_id)
    assert gone.value.code == "previous_response_not_found"


def create(sdk: OpenAI, model: str, text: str, stream: bool) -> str:
    if not stream:
        return sdk.responses.create(model=model, input=text, extra_body=ALONE).id
    told = list(sdk.responses.create(model=model, input=text, stream=True, extra_body=ALONE))
    last: Any = told[-1]
    assert last.type == "response.completed"
    return str(last.response.id)


def test_an_item_of_a_kept_response_is_found_by_its_id(sdk: OpenAI, script: Any) -> None:
    first = sdk.responses.create(model="groq/auto", input=script("One."), extra_body=ALONE)
    items: Any = [
        {"role": "user", "content": script("One.")},
        {"type": "item_reference", "id": first.output[0].id},
        {"role": "user", "content": script("Two.")},
    ]
    again = sdk.responses.create(model="groq/auto", input=items, extra_body=ALONE)
    assert again.output_text == "echo: Two."
    unknown: Any = [{"type": "item_reference", "id": "rs_unknown"}]
    with pytest.raises(openai.NotFoundError, match="Items are not persisted when `store`"):
        sdk.responses.create(model="groq/auto", input=unknown, extra_body=ALONE)


def test_a_response_belongs_to_its_key(keyed_url: str, script: Any) -> None:
    mine = {"authorization": f"Bearer {CALLER_KEY}"}
    body = {"model": "groq/auto", "input": script("Secret."), **ALONE}
    id_ = httpx.post(f"{keyed_url}/v1/responses", json=body, headers=mine).json()["id"]
    url = f"{keyed_url}/v1/responses/{id_}"
    assert httpx.get(url, headers=mine).status_code == 200
    other = {"authorization": f"Bearer {ADMIN_TOKEN}"}
    for answer in (
        httpx.get(url, headers=other),
        httpx.delete(url, headers=other),
        httpx.get(f"{url}/input_items", headers=other),
    ):
        assert answer.status_code == 404
        assert "Secret" not in answer.text
    follow = body | {"previous_response_id": id_}
    refused = httpx.post(f"{keyed_url}/v1/responses", json=follow, headers=other)
    assert refused.json()["error"]["code"] == "previous_response_not_found"
    assert httpx.get(url, headers=mine).status_code == 200


def test_what_is_not_to_be_kept_is_not(sdk: OpenAI, script: Any) -> None:
    response = sdk.responses.create(
        model="groq/auto", input=script("x"), store=False, extra_body=ALONE
    )
    with pytest.raises(openai.NotFoundError):
        sdk.responses.retrieve(response.id)


def test_errors_raise_the_sdks_own_exceptions(sdk: OpenAI, script: Any) -> None:
    with pytest.raises(openai.BadRequestError) as missing:
        sdk.responses.create(model="nobody-has-this", input="hi")
    assert (missing.value.code, missing.value.param) == ("model_not_found", "model")
    with pytest.raises(openai.RateLimitError):
        text = script("x", groq={"status": 429})
        sdk.responses.create(model="groq/auto", input=text, extra_body=ALONE)


@pytest.mark.parametrize("provider", ["groq", "anthropic", "openai"])
def test_a_stream_that_breaks_ends_in_a_failure(open_url: str, script: Any, provider: str) -> None:
    behaviour = {provider: {"break_after": 7}}
    body = {
        "model": f"{provider}/auto",
        "input": script("One two three four five six seven eight.", **behaviour),
        "stream": True,
        **ALONE,
    }
    answer = httpx.post(f"{open_url}/v1/responses", json=body)
    told = [data for _, data in events(answer)]
    assert told[0]["type"] == "response.created"
    assert told[-1]["type"] == "response.failed"
    assert told[-1]["response"]["error"]["code"]


def test_the_list_of_models_as_codex_reads_it(open_url: str) -> None:
    listed = httpx.get(f"{open_url}/v1/models?client_version=0.171.0").json()["models"]
    assert {"auto", "smart"} <= {model["slug"] for model in listed}


def test_tokens_are_counted_for_nothing(open_url: str) -> None:
    body = {"model": "auto", "input": "word " * 100}
    counted = httpx.post(f"{open_url}/v1/responses/input_tokens", json=body).json()
    assert counted["object"] == "response.input_tokens"
    assert 90 <= counted["input_tokens"] <= 200
