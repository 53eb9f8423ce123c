"""Answers, streams, errors, models and embeddings by the official SDK."""

import base64
import json
import struct
from typing import Any

import httpx
import openai
import pytest
from openai import OpenAI
from pydantic import BaseModel

from tests.e2e.deployments import CALLER_KEY
from tests.e2e.openai_sdk.making import PROVIDERS, user, without_fallback


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
