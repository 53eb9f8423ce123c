"""What goes to each of the newer providers of a request that has every field: the catalogue's facts
once more, so that none of them is lost unseen."""

import json
from typing import Any

import pytest

from proxy.providers import openai
from tests.unit.providers import replay
from tests.unit.providers.making_openai_request import as_called

FIELDS: dict[str, Any] = {
    "frequency_penalty": 0.1,
    "presence_penalty": 0.1,
    "logit_bias": {"5": 1},
    "logprobs": True,
    "top_logprobs": 2,
    "seed": 7,
    "stop": ["END"],
    "user": "ann",
    "store": False,
    "metadata": {"a": "b"},
    "service_tier": "auto",
    "verbosity": "low",
    "safety_identifier": "s",
    "prompt_cache_key": "p",
    "prompt_cache_retention": "24h",
    "web_search_options": {},
    "modalities": ["text"],
    "parallel_tool_calls": False,
    "tool_choice": "auto",
}
OF_MESSAGES: dict[str, Any] = {
    "name": "ann",
    "refusal": "No.",
    "annotations": [{"a": 1}],
    "audio": {"id": "a"},
    "reasoning": "So.",
    "reasoning_content": "So.",
    "reasoning_details": [{"a": 1}],
    "extra_content": {"a": 1},
}
EFFORTS = ("none", "minimal", "low", "medium", "high", "xhigh", "max")
NAMES = {"max_tokens", "max_completion_tokens", "seed", "random_seed"}
EXPECTED: dict[str, dict[str, str]] = {
    "mistral": {
        "left out": (
            "logit_bias logprobs top_logprobs seed user store service_tier "
            "verbosity safety_identifier prompt_cache_retention web_search_options "
            "modalities"
        ),
        "of messages": (
            "name refusal annotations audio reasoning reasoning_content "
            "reasoning_details extra_content"
        ),
        "efforts": "minimal=none low=high medium=high xhigh=high max=high",
        "names": "max_tokens random_seed",
        "form": "parts schema id9 turns6 +prefix",
    },
    "xai": {
        "left out": "frequency_penalty presence_penalty logit_bias",
        "of messages": "refusal annotations audio reasoning_details extra_content",
        "efforts": "minimal=low xhigh=high max=high",
        "names": "max_completion_tokens max_tokens seed",
        "form": "usage parts schema id45 turns5 +",
    },
    "cerebras": {
        "left out": "logit_bias store metadata verbosity safety_identifier prompt_cache_key",
        "of messages": (
            "refusal annotations audio reasoning_content reasoning_details extra_content"
        ),
        "efforts": "minimal=low xhigh=high max=high",
        "names": "max_completion_tokens max_tokens seed",
        "form": "usage parts schema id45 turns5 +",
    },
    "together": {
        "left out": "",
        "of messages": (
            "refusal annotations audio reasoning_content reasoning_details extra_content"
        ),
        "efforts": "none=low minimal=low xhigh=high max=high",
        "names": "max_tokens seed",
        "form": "usage parts schema id45 turns5 +",
    },
    "fireworks": {
        "left out": "store verbosity safety_identifier",
        "of messages": "name refusal annotations audio reasoning reasoning_details extra_content",
        "efforts": "",
        "names": "max_tokens seed",
        "form": "usage parts schema id45 turns5 +",
    },
    "moonshot": {
        "left out": "",
        "of messages": "refusal annotations audio reasoning reasoning_details extra_content",
        "efforts": "none=low minimal=low medium=high xhigh=max",
        "names": "max_completion_tokens seed",
        "form": "usage parts schema id45 turns5 +partial,reasoning_content",
    },
    "zai": {
        "left out": (
            "frequency_penalty presence_penalty logit_bias logprobs top_logprobs "
            "seed parallel_tool_calls"
        ),
        "of messages": "refusal annotations audio reasoning reasoning_details extra_content",
        "efforts": "none=low minimal=low medium=high xhigh=max",
        "names": "max_tokens",
        "form": "usage parts id45 turns5 +",
    },
    "deepinfra": {
        "left out": "",
        "of messages": "refusal annotations audio reasoning reasoning_details extra_content",
        "efforts": "",
        "names": "max_tokens seed",
        "form": "usage schema id45 turns5 +",
    },
    "nvidia": {
        "left out": "store metadata service_tier verbosity safety_identifier prompt_cache_key",
        "of messages": (
            "refusal annotations audio reasoning reasoning_content reasoning_details extra_content"
        ),
        "efforts": "none=low minimal=low xhigh=high max=high",
        "names": "max_tokens seed",
        "form": "usage parts schema id45 turns5 +",
    },
    "perplexity": {
        "left out": "logit_bias seed user store metadata",
        "of messages": (
            "name refusal annotations audio reasoning reasoning_content "
            "reasoning_details extra_content"
        ),
        "efforts": "none=minimal xhigh=high max=high",
        "names": "max_tokens",
        "form": "parts schema id45 turns5 +",
    },
    "azure": {
        "left out": "",
        "of messages": "reasoning reasoning_content reasoning_details extra_content",
        "efforts": "",
        "names": "max_completion_tokens seed",
        "form": "developer usage parts schema id40 turns5 +",
    },
    "vertex": {
        "left out": (
            "logit_bias user store metadata service_tier verbosity "
            "safety_identifier prompt_cache_key parallel_tool_calls"
        ),
        "of messages": "refusal annotations audio reasoning reasoning_content reasoning_details",
        "efforts": "minimal=low xhigh=high max=high",
        "names": "max_completion_tokens max_tokens seed",
        "form": "usage parts schema id45 turns5 +",
    },
    "bedrock": {
        "left out": "",
        "of messages": (
            "refusal annotations audio reasoning reasoning_content reasoning_details extra_content"
        ),
        "efforts": "",
        "names": "max_completion_tokens seed",
        "form": "developer usage parts schema id40 turns5 +",
    },
    "ollama": {
        "left out": "logit_bias tool_choice",
        "of messages": "",
        "efforts": "minimal=low xhigh=high max=high",
        "names": "max_tokens seed",
        "form": "usage parts schema id45 turns5 +",
    },
    "vllm": {
        "left out": "",
        "of messages": "",
        "efforts": "",
        "names": "max_completion_tokens max_tokens seed",
        "form": "usage parts schema id45 turns5 +",
    },
}


def send(provider: str, **fields: Any) -> dict[str, Any]:
    """The body that goes out for an unlisted model."""
    body = {"model": "m", "messages": [{"role": "developer", "content": "Be brief."}], **fields}
    outgoing = openai.build_request(replay.target(provider), as_called(json.dumps(body).encode()))
    sent: dict[str, Any] = replay.decode_body(outgoing)
    return sent


def describe(provider: str) -> dict[str, str]:
    tool = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}
    sent = send(provider, max_tokens=5, stream=True, tools=[tool], **FIELDS)
    newer = send(provider, max_completion_tokens=5)
    turns = [
        {"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]},
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [{"id": "call_" + 40 * "1", "type": "function",
                            "function": {"name": "f", "arguments": "{}"}}],
        },
        {"role": "tool", "tool_call_id": "call_" + 40 * "1", "content": "18"},
        {"role": "user", "content": "b"},
        {"role": "assistant", "content": "He", **OF_MESSAGES},
    ]  # fmt: skip
    told = send(provider, messages=turns)["messages"]
    called, begun = next(t for t in told if t.get("tool_calls")), told[-1]
    own = called.keys() | begun.keys() - {"role", "content", "tool_calls", *OF_MESSAGES}
    schema = {"type": "json_schema", "json_schema": {"name": "n", "schema": {"type": "object"}}}
    efforts = {e: send(provider, reasoning_effort=e).get("reasoning_effort") for e in EFFORTS}
    return {
        "left out": " ".join(name for name in FIELDS if name not in sent),
        "of messages": " ".join(name for name in OF_MESSAGES if name not in begun),
        "efforts": " ".join(f"{e}={got}" for e, got in efforts.items() if got != e),
        "names": " ".join(sorted((sent.keys() | newer.keys()) & NAMES)),
        "form": " ".join(
            name
            for name, holds in {
                "developer": sent["messages"][0]["role"] == "developer",
                "usage": "stream_options" in sent,
                "parts": isinstance(told[0]["content"], list),
                "schema": send(provider, response_format=schema)["response_format"] == schema,
                f"id{len(called['tool_calls'][0]['id'])}": True,
                f"turns{len(told)}": True,
                "+" + ",".join(sorted(own - {"role", "content", "tool_calls"})): True,
            }.items()
            if holds
        ),
    }


@pytest.mark.parametrize("provider", EXPECTED)
def test_a_vendor_gets_what_it_takes(provider: str) -> None:
    assert describe(provider) == EXPECTED[provider]


DATED = ("anthropic-version", "2023-06-01")


@pytest.mark.parametrize(
    ("provider", "url"),
    [
        ("fireworks", None),
        ("moonshot", "https://api.moonshot.ai/anthropic/v1"),
        ("zai", "https://api.z.ai/api/anthropic/v1"),
        ("deepinfra", "https://api.deepinfra.com/anthropic/v1"),
    ],
)
def test_where_messages_go(provider: str, url: str | None) -> None:
    endpoint = replay.CATALOG.providers[provider].endpoints["messages"]
    assert (endpoint.base_url, *endpoint.headers.items()) == (url, DATED)


def test_what_few_vendors_have() -> None:
    specs = {name: replay.CATALOG.providers[name] for name in EXPECTED}
    assert {n for n, spec in specs.items() if spec.thoughts_in_total} == {"vertex"}
    assert {n for n, spec in specs.items() if spec.custom_tools} == {"azure"}
    assert {n for n, spec in specs.items() if spec.reasoning_tag != "think"} == {"bedrock"}
    assert specs["azure"].endpoints["responses"].key_header == "api-key"
    assert specs["perplexity"].endpoints["responses"].base_url == "https://api.perplexity.ai/v1"
    assert specs["xai"].endpoints["responses"].drop == ("metadata",)


def test_models_add_to_their_vendors_efforts() -> None:
    def efforts(model: str) -> list[Any]:
        body = b'{"model":"m","messages":[],"reasoning_effort":"%b"}'
        to = replay.target("xai", model)
        made = (openai.build_request(to, as_called(body % e.encode())) for e in EFFORTS)
        return [replay.decode_body(each).get("reasoning_effort") for each in made]

    low, medium, high = "low", "medium", "high"
    assert efforts("grok-4.3") == ["none", low, low, medium, high, high, high]
    assert efforts("grok-4.6") == [low, low, low, medium, high, high, high]
    assert efforts("grok-4.7") == [low, low, low, medium, high, "xhigh", "xhigh"]
    assert efforts("grok-4.20-non-reasoning") == [None] * 7
