"""Answers and errors in OpenAI's dialect."""

import json

import pytest

from proxy.core.chat import Answer, Attempt, Usage
from proxy.core.embedding import Embeddings
from proxy.core.errors import (
    AuthenticationFailed,
    BudgetExceeded,
    Cause,
    InternalError,
    InvalidRequest,
    MethodNotAllowed,
    NoProviderAvailable,
    NotFound,
    PayloadTooLarge,
    PermissionDenied,
    ProviderError,
    ProviderTimeout,
    ProxyError,
    RateLimitExceeded,
    UnsupportedMediaType,
)
from proxy.core.messages import FunctionCall, ToolCall
from proxy.core.model_entry import ModelEntry
from proxy.dialects import openai
from tests.unit.dialects.making_openai import SERVED, answered, parse


def test_a_providers_own_bytes_go_on() -> None:
    body = b'{"odd": 1}'
    assert openai.answer(Answer(text="x", raw=body), parse(), SERVED) is body


def test_an_answer() -> None:
    usage = Usage(input=3, output=4, cached=0, cache_write=1, reasoning=2)
    assert answered(Answer(text="Hi", usage=usage, logprobs={"content": []})) == {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1_700_000_000,
        "model": "flash",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": "Hi", "refusal": None},
                "logprobs": {"content": []},
                "finish_reason": "stop",
            }
        ],
        "usage": {
            "prompt_tokens": 3,
            "completion_tokens": 4,
            "total_tokens": 7,
            "prompt_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 1},
            "completion_tokens_details": {"reasoning_tokens": 2},
        },
    }


def test_an_answer_with_all_there_is() -> None:
    call = ToolCall("c", FunctionCall("f", "{}"), extra_content={"google": {}})
    body = answered(
        Answer(
            reasoning="Hm.",
            refusal="No.",
            tool_calls=(call,),
            finish_reason="tool_calls",
            id="x",
            created=5,
            model="flash-001",
            extra={"annotations": [1], "role": "robot"},
        )
    )
    assert (body["id"], body["created"], body["model"]) == ("x", 5, "flash-001")
    assert "usage" not in body
    assert body["choices"][0]["finish_reason"] == "tool_calls"
    assert body["choices"][0]["message"] == {
        "role": "assistant",
        "content": None,
        "refusal": "No.",
        "reasoning_content": "Hm.",
        "annotations": [1],
        "tool_calls": [
            {
                "id": "c",
                "type": "function",
                "function": {"name": "f", "arguments": "{}"},
                "extra_content": {"google": {}},
            }
        ],
    }


def test_embeddings() -> None:
    found = Embeddings(vectors=((0.5, 1.0), "AAAA"), model="e", usage=Usage(input=4))
    assert json.loads(openai.embeddings(found, SERVED)) == {
        "object": "list",
        "data": [
            {"object": "embedding", "index": 0, "embedding": [0.5, 1.0]},
            {"object": "embedding", "index": 1, "embedding": "AAAA"},
        ],
        "model": "e",
        "usage": {"prompt_tokens": 4, "total_tokens": 4},
    }
    bare = json.loads(openai.embeddings(Embeddings(vectors=()), SERVED))
    assert (bare["model"], bare["usage"]["total_tokens"]) == ("flash", 0)


def test_models() -> None:
    entry = ModelEntry("groq/fast", "groq")
    listed = {"id": "groq/fast", "object": "model", "created": 0, "owned_by": "groq"}
    assert json.loads(openai.model(entry)) == listed
    assert json.loads(openai.models([entry])) == {"object": "list", "data": [listed]}


@pytest.mark.parametrize(
    ("error", "type_", "code"),
    [
        (InvalidRequest("x"), "invalid_request_error", None),
        (AuthenticationFailed("x"), "invalid_request_error", "invalid_api_key"),
        (BudgetExceeded("x"), "insufficient_quota", "insufficient_quota"),
        (PermissionDenied("x"), "permission_error", "permission_denied"),
        (NotFound("x"), "invalid_request_error", "not_found"),
        (NotFound("x", param="model"), "invalid_request_error", "model_not_found"),
        (NotFound("x", cause=Cause(source="provider")), "invalid_request_error", "model_not_found"),
        (MethodNotAllowed("x", allow=("GET",)), "invalid_request_error", "method_not_allowed"),
        (PayloadTooLarge("x"), "invalid_request_error", "payload_too_large"),
        (UnsupportedMediaType("x"), "invalid_request_error", "unsupported_media_type"),
        (RateLimitExceeded("x"), "rate_limit_error", "rate_limit_exceeded"),
        (
            RateLimitExceeded("x", code="insufficient_quota"),
            "rate_limit_error",
            "insufficient_quota",
        ),
        (InternalError("x"), "server_error", "internal_error"),
        (ProviderError("x"), "server_error", "provider_error"),
        (NoProviderAvailable("x"), "server_error", "no_provider_available"),
        (ProviderTimeout("x"), "server_error", "provider_timeout"),
    ],
)
def test_errors_in_openais_words(error: ProxyError, type_: str, code: str | None) -> None:
    assert json.loads(openai.error(error, "req_1", 0)) == {
        "error": {
            "message": "x",
            "type": type_,
            "param": error.param,
            "code": code,
            "error_type": error.type,
            "source": error.source,
            "request_id": "req_1",
        }
    }


def test_an_error_lists_the_attempts() -> None:
    attempt = Attempt(provider="groq", model="m", outcome="timeout", ms=9)
    body = json.loads(
        openai.error(ProviderError("x", cause=Cause(attempts=(attempt,))), "req_1", 0)
    )
    assert body["error"]["attempts"] == [
        {"provider": "groq", "model": "m", "outcome": "timeout", "ms": 9}
    ]
