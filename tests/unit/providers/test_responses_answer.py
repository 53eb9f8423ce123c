"""What a whole response means in OpenAI's older terms."""

import json
from typing import Any

import pytest

from proxy.core.chat import Native, Usage
from proxy.core.errors import Fault
from proxy.core.messages import FunctionCall, ToolCall
from proxy.providers import responses
from tests.unit.providers.making_responses import (
    CALL,
    CUSTOM,
    SEALED,
    USAGE,
    read,
    response,
    says,
    target,
    thinks,
)


def test_a_text() -> None:
    answer = read(says("Hello"))
    assert (answer.text, answer.finish_reason) == ("Hello", "stop")
    assert (answer.reasoning, answer.refusal, answer.tool_calls, answer.extra) == (
        None,
        None,
        (),
        {},
    )
    assert (answer.id, answer.model, answer.created) == (
        "resp_1",
        "gpt-5.5-2026-04-23",
        1790000000,
    )
    assert answer.usage == Usage(input=94, output=85, cached=64, cache_write=20, reasoning=63)
    assert answer.raw is None and answer.form is None


def test_the_whole_goes_on_as_it_came() -> None:
    body = json.dumps(response(SEALED, says("Hi"), novelty={"a": 1.10}), indent=1).encode()
    assert responses.read_answer(target(), body).native == Native("responses", body)


def test_calls() -> None:
    answer = read(SEALED, CALL, CUSTOM)
    assert answer.text is None and answer.finish_reason == "tool_calls"
    assert answer.tool_calls == (
        ToolCall(id="call_1", function=FunctionCall("weather", '{"city":"Oslo"}')),
        ToolCall(
            id="call_2", function=FunctionCall("apply_patch", "*** Begin\n*** End"), type="custom"
        ),
    )


@pytest.mark.parametrize(
    ("fields", "id_", "name", "arguments"),
    [
        ({"arguments": ""}, "call_1", "weather", "{}"),
        ({"arguments": {"a": 1}}, "call_1", "weather", '{"a":1}'),
        ({"call_id": None}, "fc_1", "weather", '{"city":"Oslo"}'),
        ({"namespace": "mcp"}, "call_1", "mcp__weather", '{"city":"Oslo"}'),
    ],
)
def test_calls_in_other_forms(fields: Any, id_: str, name: str, arguments: str) -> None:
    [call] = read(CALL | fields).tool_calls
    assert (call.id, call.function) == (id_, FunctionCall(name, arguments))


def test_reasoning_is_told_and_what_is_sealed_is_kept_as_it_came() -> None:
    shown = SEALED | thinks("First.", "Second.")
    answer = read(thinks(content=("Raw.",)), shown, says("So."))
    assert (answer.text, answer.reasoning) == ("So.", "Raw.\n\nFirst.\n\nSecond.")
    assert answer.extra == {"extra_content": {"acme": {"reasoning": [shown]}}}


def test_a_refusal() -> None:
    answer = read(says("") | {"content": [{"type": "refusal", "refusal": "No."}]})
    assert (answer.refusal, answer.finish_reason) == ("No.", "stop")


def test_citations_take_the_form_of_chat_completions() -> None:
    cited = {"url": "https://a.test", "title": "A", "start_index": 0, "end_index": 2}
    part = {"annotations": [{"type": "url_citation", **cited}]}
    found = read(says("Hi", **part)).extra
    assert found == {"annotations": [{"type": "url_citation", "url_citation": cited}]}


def test_log_probabilities_take_the_form_of_chat_completions() -> None:
    token = {"token": "Hi", "logprob": -0.5}
    found = read(says("Hi", logprobs=[token])).logprobs
    assert found == {"content": [{**token, "bytes": None, "top_logprobs": []}]}


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        (None, None),
        ({}, None),
        (5, None),
        ([USAGE], None),
        ({"input_tokens": 3, "output_tokens": 4}, Usage(input=3, output=4)),
        (USAGE | {"input_tokens": -1}, None),
        (USAGE | {"output_tokens": "many"}, None),
        (
            {"input_tokens": 3, "output_tokens": 4, "cost": 0.5},
            Usage(input=3, output=4, cost=5 * 10**8),
        ),
    ],
)
def test_usage(usage: Any, expected: Usage | None) -> None:
    assert read(says("Hi"), usage=usage).usage == expected


def refused(body: Any) -> Fault:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    with pytest.raises(Fault) as raised:
        responses.read_answer(target(), data)
    return raised.value


@pytest.mark.parametrize(
    ("code", "kind", "blame", "falls_over"),
    [
        ("server_error", "unavailable", "model", True),
        ("server_is_overloaded", "unavailable", "model", True),
        ("rate_limit_exceeded", "rate_limited", "provider", True),
        ("insufficient_quota", "rate_limited", "provider", True),
        ("vector_store_timeout", "timeout", "provider", True),
        ("context_length_exceeded", "bad_request", "caller", True),
        ("invalid_encrypted_content", "bad_request", "caller", True),
        ("invalid_prompt", "bad_request", "caller", False),
        ("bio_policy", "bad_request", "caller", False),
        ("invalid_image_format", "bad_request", "caller", False),
        ("image_file_not_found", "bad_request", "caller", False),
        ("data_residency_mismatch", "bad_request", "caller", False),
    ],
)
def test_a_response_that_failed(code: str, kind: str, blame: str, falls_over: bool) -> None:
    error = {"code": code, "message": "It went wrong."}
    fault = refused(response(status="failed", error=error))
    assert (fault.kind, fault.blame, fault.code) == (kind, blame, code)
    assert (fault.falls_over, fault.message) == (falls_over, "It went wrong.")


@pytest.mark.parametrize("status", ["failed", "cancelled"])
def test_a_response_that_ended_without_a_reason(status: str) -> None:
    fault = refused(response(says("Hi"), status=status))
    assert (fault.kind, fault.message) == ("unavailable", f"The response ended as {status}.")


@pytest.mark.parametrize("body", [b"<html>", b"[]", b"{}", {"output": None}, {"output": "text"}])
def test_what_is_no_response(body: Any) -> None:
    assert refused(body).kind == "garbage"


def test_an_error_under_status_200() -> None:
    fault = refused({"error": {"message": "No.", "type": "invalid_request_error", "code": None}})
    assert (fault.kind, fault.message) == ("bad_request", "No.")


def fault_of(status: int, **error: Any) -> Fault:
    body = json.dumps({"error": {"type": "invalid_request_error", "param": None, **error}})
    return responses.read_fault(target(), status, {}, body.encode())


def test_a_model_that_is_not_there() -> None:
    message = "The requested model 'model-1' does not exist."
    fault = fault_of(400, message=message, code="model_not_found", param="model")
    assert (fault.kind, fault.blame, fault.code) == ("not_found", "model", "model_not_found")


def test_a_prompt_that_is_too_long() -> None:
    message = "Your input exceeds the context window of this model. Please adjust your input."
    fault = fault_of(400, message=message, code="context_length_exceeded", param="input")
    assert (fault.kind, fault.lacks, fault.code) == ("bad_request", True, "context_length_exceeded")


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ("The encrypted content could not be verified.", "invalid_encrypted_content"),
        ("Item 'rs_1' of type 'reasoning' was provided without its required following item.", None),
    ],
)
def test_reasoning_that_the_provider_refuses_another_may_do_without(
    message: str, code: str | None
) -> None:
    fault = fault_of(400, message=message, code=code)
    assert (fault.kind, fault.blame, fault.falls_over) == ("bad_request", "caller", True)


def test_a_quota_that_is_used_up() -> None:
    fault = fault_of(429, message="You exceeded your current quota.", code="insufficient_quota")
    assert (fault.kind, fault.quota, fault.retry_after) == ("rate_limited", "exhausted", None)
