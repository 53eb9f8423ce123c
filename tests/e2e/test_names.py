"""Whom a name reaches, at what price, and where a client finds it."""

from collections.abc import Iterator
from typing import Any

import httpx
import openai
import pytest
from openai import OpenAI

CHAT = "/v1/chat/completions"


@pytest.fixture(scope="module")
def litellm(open_url: str) -> Iterator[OpenAI]:
    """A client whose base URL has no /v1."""
    with OpenAI(base_url=open_url, api_key="unused", max_retries=0, timeout=60) as client:
        yield client


def asked(prompt: str, model: str, **more: Any) -> dict[str, Any]:
    messages = [{"role": "user", "content": prompt}]
    return {"model": model, "messages": messages, "fallback": False, **more}


@pytest.mark.parametrize(
    "names",
    [
        ("deepseek/deepseek-v4-flash", "deepseek", "deepseek-flash"),
        ("openrouter/deepseek/deepseek-v4-flash", "openrouter", "deepseek/deepseek-v4-flash"),
        ("openai/gpt-4o", "openai", "gpt-4o"),
        ("openrouter/openai/gpt-4o", "openrouter", "openai/gpt-4o"),
        ("groq/openai/gpt-oss-20b", "groq", "openai/gpt-oss-20b"),
        ("openai/gpt-oss-20b", "openai", "gpt-oss-20b"),
        ("openrouter/anthropic/claude-sonnet-4.5", "openrouter", "anthropic/claude-sonnet-4.5"),
    ],
)
def test_the_provider_that_is_named_is_asked(
    proxy: httpx.Client, script: Any, received: Any, names: tuple[str, str, str]
) -> None:
    model, provider, sent = names
    native = {"prompt": script("Say hello."), "model": model, "fallback": False}
    answer = proxy.post("/v1/generate", json=native | {"cache": {"mode": "off"}})
    assert answer.json()["provider"] == provider, answer.text
    answer = proxy.post(CHAT, json=asked(script("Say hello."), model, cache={"mode": "off"}))
    assert answer.headers["x-proxy-provider"] == provider
    requests = received()
    assert [request["provider"] for request in requests] == [provider, provider]
    assert [request["body"]["model"] for request in requests] == [sent, sent]


def test_a_batch_reaches_whom_it_names(proxy: httpx.Client, script: Any) -> None:
    names = ["deepseek/deepseek-v4-flash", "openrouter/deepseek/deepseek-v4-flash"]
    requests = [{"prompt": script(), "model": name, "fallback": False} for name in names]
    answer = proxy.post("/v1/batch", json={"requests": requests}).json()
    found = [result["response"]["provider"] for result in answer["results"]]
    assert found == ["deepseek", "openrouter"]


def test_one_name_s_answer_is_not_another_s(proxy: httpx.Client, script: Any) -> None:
    prompt = script("The same to both.")
    for name in ("deepseek/deepseek-v4-flash", "openrouter/deepseek/deepseek-v4-flash"):
        answer = proxy.post(CHAT, json=asked(prompt, name))
        assert answer.headers["x-proxy-provider"] == name.partition("/")[0]
        assert answer.headers["cf-aig-cache-status"] == "MISS"


def test_a_snapshot_is_its_model_at_its_price(
    proxy: httpx.Client, script: Any, received: Any
) -> None:
    costs = set()
    for model in ("gpt-4o-2024-08-06", "gpt-4o"):
        prompt = script("Say hello.")
        answer = proxy.post("/v1/generate", json={"prompt": prompt, "model": model}).json()
        assert (answer["provider"], answer["model"]) == ("openai", model)
        assert answer["metadata"]["costOrigin"] == "computed"
        costs.add(answer["metadata"]["cost"])
    assert len(costs) == 1
    assert [request["body"]["model"] for request in received()] == ["gpt-4o-2024-08-06", "gpt-4o"]


def test_paths_without_v1(litellm: OpenAI, script: Any) -> None:
    answer = litellm.chat.completions.create(
        model="openai/fast", messages=[{"role": "user", "content": script("Say hello.")}]
    )
    assert answer.choices[0].message.content == "echo: Say hello."
    assert len(litellm.embeddings.create(model="openai/auto", input="a cat").data) == 1
    assert {model.id for model in litellm.models.list()} >= {"auto", "openai/gpt-4o"}


@pytest.mark.parametrize(
    ("name", "owner"),
    [
        ("gpt-4o", "openai"),
        ("gpt-4", "openai"),
        ("gpt-4o-2024-08-06", "openai"),
        ("smart", "proxy"),
        ("groq/fast", "groq"),
        ("deepseek/deepseek-v4-flash", "deepseek"),
    ],
)
def test_a_model_is_found_by_the_name_that_a_chat_takes(
    litellm: OpenAI, name: str, owner: str
) -> None:
    found = litellm.models.retrieve(name)
    assert (found.id, found.owned_by) == (name, owner)


def test_an_endpoint_that_the_proxy_lacks_is_named_to_the_sdk(litellm: OpenAI) -> None:
    with pytest.raises(openai.NotFoundError, match="OpenAI's Batch API is not offered here"):
        litellm.batches.list()


def test_an_unknown_model_is_met_with_the_one_that_is_there(litellm: OpenAI) -> None:
    with pytest.raises(openai.NotFoundError) as caught:
        litellm.chat.completions.create(
            model="mistral-medium-3-1-20250929", messages=[{"role": "user", "content": "hi"}]
        )
    assert "openrouter/mistralai/mistral-medium-3.1" in caught.value.message
    assert "openai/mistral" not in caught.value.message


@pytest.mark.parametrize("form", ["red", ["red"], ["red", "green"], [1, 2], [[1, 2], [3]]], ids=str)
def test_inputs_to_embed_keep_their_form(proxy: httpx.Client, upstream: Any, form: Any) -> None:
    tag = f"form-{form}"
    body = {"model": "openai/text-embedding-3-small", "input": form, "user": tag}
    answer = proxy.post("/v1/embeddings", json=body | {"fallback": False})
    assert answer.status_code == 200, answer.text
    sent = [r["body"]["input"] for r in upstream.log() if (r["body"] or {}).get("user") == tag]
    assert sent == [form]


def test_any_json_is_a_label(proxy: httpx.Client, script: Any) -> None:
    labels = {"team": "red", "tags": ["a", "b"], "try": 2, "beta": True, "none": None}
    body = asked(script(), "openai/fast", metadata=labels)
    answer = proxy.post(CHAT, json=body)
    assert answer.status_code == 200, answer.text
    logged = proxy.get("/analytics/requests?limit=500").json()["requests"]
    mine = next(r for r in logged if r["requestId"] == answer.headers["x-request-id"])
    assert mine["metadata"] == {
        "team": "red",
        "tags": '["a","b"]',
        "try": "2",
        "beta": "true",
        "none": "null",
    }


def test_openrouters_own_fields_reach_it_alone(
    proxy: httpx.Client, script: Any, received: Any
) -> None:
    wish = {"order": ["anthropic", "groq"], "data_collection": "deny", "allow_fallbacks": False}
    body = asked(script(), "openrouter/anthropic/claude-sonnet-4.5", provider=wish)
    answer = proxy.post(CHAT, json=body)
    assert answer.status_code == 200, answer.text
    assert received()[0]["body"]["provider"] == wish
    refused = proxy.post(CHAT, json=asked(script(), "auto", provider=wish, fallback=True))
    assert refused.status_code == 400
    assert refused.json()["error"]["param"].startswith("provider.")
    assert len(received()) == 1
