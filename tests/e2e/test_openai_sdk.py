"""The official OpenAI SDK, unchanged but for its base URL."""

import base64
import json
import struct
from collections.abc import Iterator
from typing import Any

import httpx
import openai
import pytest
from openai import BadRequestError, OpenAI
from pydantic import BaseModel

from tests.e2e.deployments import CALLER_KEY

PROVIDERS = [
    "gemini",
    "deepseek",
    "groq",
    "openai",
    "openrouter",
    "huggingface",
    "local",
    "workers-ai",
]
WEATHER: Any = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
    },
}


@pytest.fixture(scope="module")
def sdk(open_url: str) -> Iterator[OpenAI]:
    with OpenAI(base_url=f"{open_url}/v1", api_key="unused", max_retries=0, timeout=60) as client:
        yield client


def user(text: str) -> Any:
    return [{"role": "user", "content": text}]


def without_fallback(**more: Any) -> dict[str, Any]:
    return {"fallback": False, **more}


@pytest.mark.parametrize("provider", PROVIDERS)
def test_chat(sdk: OpenAI, script: Any, provider: str) -> None:
    answer = sdk.chat.completions.create(
        model=f"{provider}/auto", messages=user(script("Say hello.")), extra_body=without_fallback()
    )
    assert answer.object == "chat.completion"
    assert answer.choices[0].message.role == "assistant"
    assert answer.choices[0].message.content == "echo: Say hello."
    assert answer.choices[0].finish_reason == "stop"
    assert answer.usage
    assert answer.usage.completion_tokens == 3
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + 3
    assert answer.created > 1_600_000_000


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize("wanted", [True, False], ids=["usage", "no-usage"])
def test_streaming(sdk: OpenAI, script: Any, provider: str, wanted: bool) -> None:
    options: Any = {"stream_options": {"include_usage": True}} if wanted else {}
    stream = sdk.chat.completions.create(
        model=f"{provider}/auto", messages=user(script("One two.")), stream=True, **options
    )
    chunks = list(stream)
    text = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
    assert text == "echo: One two."
    reasons = [c.choices[0].finish_reason for c in chunks if c.choices]
    assert [reason for reason in reasons if reason][-1] == "stop"
    bare = [chunk for chunk in chunks if not chunk.choices]
    if wanted:
        assert any(chunk.usage and chunk.usage.completion_tokens == 3 for chunk in chunks)
    else:
        assert bare == []


# OpenRouter repeats the role in every chunk, which the SDK's accumulator joins: not here.
@pytest.mark.parametrize("provider", ["gemini", "openai", "groq", "workers-ai", "deepseek"])
def test_tools_streamed_and_sent_back(sdk: OpenAI, script: Any, provider: str) -> None:
    model = f"{provider}/auto"
    messages = user(script("call the tool twice"))
    with sdk.chat.completions.stream(model=model, messages=messages, tools=[WEATHER]) as stream:
        for _ in stream:
            pass
        completion = stream.get_final_completion()
    message = completion.choices[0].message
    assert completion.choices[0].finish_reason == "tool_calls"
    assert message.tool_calls
    assert [call.function.name for call in message.tool_calls] == ["get_weather"] * 2
    messages.append(message)
    for call in message.tool_calls:
        assert json.loads(call.function.arguments) == {"city": "Paris"}
        messages.append({"role": "tool", "tool_call_id": call.id, "content": "sunny"})
    again = sdk.chat.completions.create(model=model, messages=messages, tools=[WEATHER])
    assert "sunny" in (again.choices[0].message.content or "")


def test_a_named_tool_and_no_parallel_calls(sdk: OpenAI, script: Any, received: Any) -> None:
    answer = sdk.chat.completions.create(
        model="gpt-4o-mini",
        messages=user(script("hi")),
        tools=[WEATHER],
        tool_choice={"type": "function", "function": {"name": "get_weather"}},
        parallel_tool_calls=False,
        extra_body=without_fallback(),
    )
    assert answer.choices[0].message.tool_calls
    assert received()[0]["body"]["parallel_tool_calls"] is False


@pytest.mark.parametrize("provider", ["openai", "gemini"])
@pytest.mark.parametrize("stream", [False, True])
def test_functions_as_they_were_before_tools(
    sdk: OpenAI, script: Any, provider: str, stream: bool
) -> None:
    asked: dict[str, Any] = {
        "model": f"{provider}/auto",
        "functions": [WEATHER["function"]],
        "function_call": {"name": "get_weather"},
    }
    messages = user(script("call the tool"))
    if stream:
        chunks = sdk.chat.completions.create(messages=messages, stream=True, **asked)
        choices = [chunk.choices[0] for chunk in chunks if chunk.choices]
        calls = [choice.delta.function_call for choice in choices if choice.delta.function_call]
        name = calls[0].name
        arguments = "".join(call.arguments or "" for call in calls)
        finish = choices[-1].finish_reason
    else:
        choice = sdk.chat.completions.create(messages=messages, **asked).choices[0]
        assert choice.message.function_call
        assert not choice.message.tool_calls
        name, arguments = choice.message.function_call.name, choice.message.function_call.arguments
        finish = choice.finish_reason
    assert (name, json.loads(arguments), finish) == (
        "get_weather",
        {"city": "Paris"},
        "function_call",
    )
    made = {"name": name, "arguments": arguments}
    messages += [
        {"role": "assistant", "content": None, "function_call": made},
        {"role": "function", "name": name, "content": "sunny"},
    ]
    again = sdk.chat.completions.create(
        model=f"{provider}/auto", messages=messages, functions=[WEATHER["function"]]
    )
    assert "sunny" in (again.choices[0].message.content or "")


SHELL: Any = {
    "type": "custom",
    "custom": {"name": "shell", "description": "Runs a command", "format": {"type": "text"}},
}
ONLY_SHELL: Any = {"type": "custom", "custom": {"name": "shell"}}


@pytest.mark.parametrize("provider", ["openai", "openrouter"])
@pytest.mark.parametrize("stream_first", [False, True])
def test_custom_tools(
    sdk: OpenAI, script: Any, received: Any, provider: str, stream_first: bool
) -> None:
    model = f"{provider}/auto"
    messages = user(script("run it"))
    asked: dict[str, Any] = {"model": model, "tools": [SHELL], "tool_choice": ONLY_SHELL}
    for streamed in (stream_first, not stream_first):  # from the provider, then from the cache
        if not streamed:
            answer = sdk.chat.completions.create(messages=messages, **asked).choices[0]
            [call] = answer.message.to_dict()["tool_calls"]
            finish = answer.finish_reason
        else:
            stream = sdk.chat.completions.create(messages=messages, stream=True, **asked)
            choices = [chunk.choices[0] for chunk in stream if chunk.choices]
            deltas = [one.delta.to_dict().get("tool_calls") or [] for one in choices]
            call, *rest = [delta for told in deltas for delta in told]
            assert call.pop("index") == 0
            call["custom"]["input"] += "".join(one["custom"]["input"] for one in rest)
            finish = choices[-1].finish_reason or choices[-2].finish_reason
        assert call["custom"] == {"name": "shell", "input": 'weather --city "Paris"\n'}
        assert (call["type"], finish) == ("custom", "tool_calls")
    assert len(received()) == 1
    assert received()[0]["body"]["tools"] == [SHELL]
    assert received()[0]["body"]["tool_choice"] == ONLY_SHELL
    messages += [
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": call["id"], "content": "sunny"},
    ]
    again = sdk.chat.completions.create(model=model, messages=messages, tools=[SHELL])
    assert "sunny" in (again.choices[0].message.content or "")
    assert received()[-1]["body"]["messages"][1]["tool_calls"] == [call]


@pytest.mark.parametrize("provider", ["gemini", "deepseek", "workers-ai"])
def test_custom_tools_where_there_are_none(sdk: OpenAI, script: Any, provider: str) -> None:
    asked: Any = {"model": f"{provider}/auto", "messages": user(script("run it"))}
    with pytest.raises(BadRequestError, match="function with one string parameter") as raised:
        sdk.chat.completions.create(**asked, tools=[WEATHER, SHELL], extra_body=without_fallback())
    assert raised.value.param == "tools[1].type"
    call = {"id": "call_1", **ONLY_SHELL}
    call["custom"] = call["custom"] | {"input": "ls"}
    asked["messages"] += [
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "call_1", "content": "sunny"},
    ]
    answer = sdk.chat.completions.create(**asked, extra_body=without_fallback())
    assert "sunny" in (answer.choices[0].message.content or "")


class Person(BaseModel):
    name: str


@pytest.mark.parametrize("provider", ["gemini", "openai", "openrouter"])
def test_structured_output(sdk: OpenAI, script: Any, provider: str) -> None:
    answer = sdk.chat.completions.parse(
        model=f"{provider}/auto",
        messages=user(script("A name as JSON.")),
        response_format=Person,
        extra_body=without_fallback(),
    )
    assert isinstance(answer.choices[0].message.parsed, Person)


def test_openai_gets_the_very_bytes(open_url: str, script: Any, received: Any) -> None:
    body = {
        "model": "gpt-4o-mini",
        "messages": [
            {"role": "developer", "content": "Be brief."},
            {"content": script("hi"), "role": "user", "name": "ann"},
        ],
        "seed": 7,
        "logit_bias": {"50256": -100},
        "service_tier": "auto",
    }
    raw = json.dumps(body, indent=1).encode()
    answer = httpx.post(
        f"{open_url}/v1/chat/completions",
        content=raw,
        headers={"content-type": "application/json"},
    )
    assert answer.status_code == 200, answer.text
    assert received()[0]["raw"].encode() == raw


def test_n_is_one_only(sdk: OpenAI) -> None:
    with pytest.raises(openai.BadRequestError, match="n") as caught:
        sdk.chat.completions.create(model="gpt-4o-mini", messages=user("hi"), n=2)
    assert caught.value.param == "n"


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, openai.BadRequestError),
        (404, openai.NotFoundError),
        (422, openai.UnprocessableEntityError),
        (429, openai.RateLimitError),
        (500, openai.InternalServerError),
        (401, openai.InternalServerError),
    ],
)
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
def test_a_providers_error_is_the_sdks_exception(
    sdk: OpenAI, script: Any, status: int, error: type[openai.APIStatusError], stream: bool
) -> None:
    behaviour = {"status": status, "message": "as told"}
    with pytest.raises(error) as caught:
        sdk.chat.completions.create(
            model="groq/auto",
            messages=user(script("hi", groq=behaviour)),
            stream=stream,
            extra_body=without_fallback(),
        )
    assert caught.value.request_id
    if status in (400, 422, 429):
        assert "as told" in caught.value.message


def test_the_proxys_own_errors(sdk: OpenAI, keyed_url: str) -> None:
    with pytest.raises(openai.NotFoundError) as missing:
        sdk.chat.completions.create(model="no-such-model", messages=user("hi"))
    assert missing.value.code == "model_not_found"
    with (
        OpenAI(base_url=f"{keyed_url}/v1", api_key="wrong", max_retries=0) as stranger,
        pytest.raises(openai.AuthenticationError) as caught,
    ):
        stranger.models.list()
    assert caught.value.code == "invalid_api_key"
    with OpenAI(base_url=f"{keyed_url}/v1", api_key=CALLER_KEY, max_retries=0) as caller:
        assert caller.models.list().data


def test_a_stream_that_breaks_raises(sdk: OpenAI, script: Any) -> None:
    prompt = script("one two three four five six", groq={"break_after": 4})
    stream = sdk.chat.completions.create(model="groq/auto", messages=user(prompt), stream=True)
    first = next(stream)
    assert first.choices
    with pytest.raises(openai.APIError):
        list(stream)


async def test_the_async_sdk(open_url: str, script: Any) -> None:
    async with openai.AsyncOpenAI(base_url=f"{open_url}/v1", api_key="x", max_retries=0) as sdk:
        stream = await sdk.chat.completions.create(
            model="gemini/auto", messages=user(script("One two.")), stream=True
        )
        text = ""
        async for chunk in stream:
            text += (chunk.choices[0].delta.content or "") if chunk.choices else ""
        assert text == "echo: One two."
        broken = await sdk.chat.completions.create(
            model="gemini/auto",
            messages=user(script("one two three four five", gemini={"break_after": 4})),
            stream=True,
        )
        with pytest.raises(openai.APIError):
            async for _ in broken:
                pass


def test_models(sdk: OpenAI) -> None:
    ids = {model.id for model in sdk.models.list()}
    assert {"auto", "fast", "gemini/gemini-2.5-flash", "openai/gpt-4o-mini"} <= ids
    one = sdk.models.retrieve("openai/gpt-4o-mini")
    assert (one.id, one.object, one.owned_by) == ("openai/gpt-4o-mini", "model", "openai")
    with pytest.raises(openai.NotFoundError):
        sdk.models.retrieve("openai/gpt-none")


EMBEDDERS = {
    "openai": "openai/text-embedding-3-small",
    "gemini": "gemini/gemini-embedding-001",
    "workers-ai": "workers-ai/@cf/baai/bge-m3",
    "openrouter": "openrouter/openai/text-embedding-3-small",
    "huggingface": "huggingface/some/embedder",
    "local": "local/multilingual-e5-small-q4",
}


@pytest.mark.parametrize("provider", EMBEDDERS)
def test_embeddings(sdk: OpenAI, provider: str) -> None:
    model = EMBEDDERS[provider]
    answer = sdk.embeddings.create(model=model, input=["one", "two words"])  # asks for base64
    floats = sdk.embeddings.create(model=model, input=["one", "two words"], encoding_format="float")
    assert [item.index for item in answer.data] == [0, 1]
    assert len(answer.data[0].embedding) == len(floats.data[0].embedding) > 0
    assert answer.data[1].embedding == pytest.approx(floats.data[1].embedding, rel=1e-5)
    single = sdk.embeddings.create(model=model, input="one")
    assert single.data[0].embedding == pytest.approx(answer.data[0].embedding)


def test_base64_is_little_endian_float32(sdk: OpenAI) -> None:
    model = EMBEDDERS["gemini"]
    raw: Any = sdk.embeddings.with_raw_response.create(
        model=model, input="one", encoding_format="base64"
    )
    text = json.loads(raw.content)["data"][0]["embedding"]
    floats = sdk.embeddings.create(model=model, input="one", encoding_format="float")
    packed = base64.b64decode(text)
    assert list(struct.unpack(f"<{len(packed) // 4}f", packed)) == pytest.approx(
        floats.data[0].embedding
    )


def test_who_has_no_embeddings_says_so(sdk: OpenAI) -> None:
    with pytest.raises(openai.APIStatusError) as caught:
        sdk.embeddings.create(model="groq/llama-3.1-8b-instant", input="one")
    assert caught.value.status_code in (400, 404, 503)
