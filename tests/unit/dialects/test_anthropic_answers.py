"""Answers and errors in the form of Messages."""

import json
from typing import Any

import msgspec
import pytest

from proxy.core.chat import Answer, Attempt, Blame, Native, Usage
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
    Unavailable,
)
from proxy.core.messages import BridgedTool, FunctionCall, ToolCall
from proxy.core.model_entry import ModelEntry
from proxy.dialects import anthropic
from proxy.dialects.anthropic_answer import restore_names
from proxy.dialects.seal import ProviderState, seal, unseal
from tests.unit.dialects.making_anthropic import NATIVE, SERVED, TOOL, USER, answered, parse

LONG = "mcp__server__" + "x" * 80
GOOGLE = {"google": {"thought_signature": "s"}}


def made(name: str, arguments: str, id_: str = "t1", **more: Any) -> ToolCall:
    return ToolCall(id=id_, function=FunctionCall(name, arguments), **more)


def test_a_message() -> None:
    usage = Usage(input=100, output=20, cached=60, cache_write=10, reasoning=5)
    answer = Answer(text="Hello.", usage=usage, model="gpt-x", id="chatcmpl-9")
    assert answered(answer) == {
        "id": "msg_chatcmpl-9", "type": "message", "role": "assistant", "model": "gpt-x",
        "content": [{"type": "text", "text": "Hello."}],
        "stop_reason": "end_turn", "stop_sequence": None, "stop_details": None,
        "usage": {
            "input_tokens": 30, "cache_creation_input_tokens": 10, "cache_read_input_tokens": 60,
            "output_tokens": 20, "output_tokens_details": {"thinking_tokens": 5},
        },
    }  # fmt: skip


def test_an_answer_without_anything() -> None:
    message = answered(Answer())
    assert message["content"] == []
    assert message["model"] == "flash"
    assert message["usage"]["input_tokens"] == message["usage"]["output_tokens"] == 0
    assert "output_tokens_details" not in message["usage"]


def test_usage_never_falls_below_zero() -> None:
    assert answered(Answer(usage=Usage(input=5, cached=9)))["usage"]["input_tokens"] == 0


@pytest.mark.parametrize(
    ("finish", "reason"),
    [
        ("stop", "end_turn"),
        ("length", "max_tokens"),
        ("tool_calls", "tool_use"),
        ("content_filter", "refusal"),
        ("MALFORMED", "MALFORMED"),
    ],
)
def test_why_it_stops(finish: str, reason: str) -> None:
    message = answered(Answer(text="x", finish_reason=finish))
    assert message["stop_reason"] == reason
    assert (message["stop_details"] is not None) == (reason == "refusal")


def test_a_refusal() -> None:
    message = answered(Answer(refusal="I won't."))
    assert message["content"] == [{"type": "text", "text": "I won't."}]
    assert message["stop_reason"] == "refusal"
    details = {"type": "refusal", "category": None, "explanation": "I won't."}
    assert message["stop_details"] == details


URL = "https://a.test/1"
CITED = {
    "type": "web_search_result_location",
    "url": URL,
    "title": "A",
    "cited_text": "is 5",
    "encrypted_index": seal(ProviderState()),
}


def cite(**fields: Any) -> dict[str, Any]:
    """The field of a message by which a chat completion names a source."""
    source = {"url": URL, "title": "A", "start_index": 3, "end_index": 7, **fields}
    return {"annotations": [{"type": "url_citation", "url_citation": source}]}


def test_what_a_text_cites() -> None:
    message = answered(Answer(text="It is 5.", refusal="No.", extra=cite()))
    text, refusal = message["content"]
    assert text == {"type": "text", "text": "It is 5.", "citations": [CITED]}
    assert "citations" not in refusal


@pytest.mark.parametrize("place", [{"start_index": None}, {"end_index": "7"}, {"start_index": -1}])
def test_a_source_without_a_place_cites_nothing(place: dict[str, Any]) -> None:
    (text,) = answered(Answer(text="It is 5.", extra=cite(**place)))["content"]
    assert text["citations"] == [{**CITED, "cited_text": ""}]


@pytest.mark.parametrize("found", [None, "x", ["x"], [{"type": "x"}], [{"url_citation": {}}]])
def test_annotations_that_name_no_source(found: Any) -> None:
    (text,) = answered(Answer(text="x", extra={"annotations": found}))["content"]
    assert text == {"type": "text", "text": "x"}


def test_thinking_text_and_calls_in_order() -> None:
    calls = (made("a", '{"n": 1.50}'), made("b", "", "", extra_content=GOOGLE))
    message = answered(Answer(text="Well.", reasoning="Hm.", tool_calls=calls))
    thinking, *rest = message["content"]
    assert (thinking["type"], thinking["thinking"]) == ("thinking", "Hm.")
    assert unseal(thinking["signature"]) == ProviderState({}, {"toolu_1_1": GOOGLE})
    assert rest == [
        {"type": "text", "text": "Well."},
        {"type": "tool_use", "id": "t1", "name": "a", "input": {"n": 1.5}},
        {"type": "tool_use", "id": "toolu_1_1", "name": "b", "input": {}},
    ]
    assert message["stop_reason"] == "tool_use"  # though its provider says `stop`


def test_thinking_is_always_signed() -> None:
    (thinking,) = answered(Answer(reasoning="Hm."))["content"]
    assert thinking["signature"] == seal(ProviderState())


def test_a_state_without_thinking_is_hidden() -> None:
    message = answered(Answer(text="x", extra={"extra_content": GOOGLE}))
    redacted = {"type": "redacted_thinking", "data": seal(ProviderState(GOOGLE))}
    assert message["content"] == [redacted, {"type": "text", "text": "x"}]


@pytest.mark.parametrize("arguments", ["{", "[1]", "5", "\ud800", "[" * 100])
def test_arguments_that_are_no_object_are_not_lost(arguments: str) -> None:
    (call,) = answered(Answer(tool_calls=(made("a", arguments),)))["content"]
    assert call["input"] == {"_raw": arguments.replace("\ud800", "?")}


def test_a_tools_name_is_the_callers() -> None:
    call = parse(tools=[{**TOOL, "name": LONG}])
    (short,) = call.bridged
    (block,) = answered(Answer(tool_calls=(made(short, "{}"),)), call)["content"]
    assert block["name"] == LONG
    body = json.dumps({"content": [{"type": "tool_use", "name": short}]}).encode()
    native = anthropic.answer(Answer(native=Native("messages", body)), call, NATIVE)
    assert json.loads(native)["content"][0]["name"] == LONG


def test_a_message_of_its_own_dialect_is_left_as_it_is() -> None:
    body = b'{"id": "msg_9",  "of_a_later_day": 1e400}'
    answer = Answer(text="x", native=Native("messages", body))
    assert anthropic.answer(answer, parse(), NATIVE) == body
    other = Answer(text="x", native=Native("responses", body))
    assert json.loads(anthropic.answer(other, parse(), SERVED))["id"] == "msg_1"


def test_what_an_answer_holds_can_go_back() -> None:
    answer = Answer(
        text="Well.", reasoning="Hm.", extra={"extra_content": GOOGLE},
        tool_calls=(made("a", '{"n":1.50}', extra_content={"google": {"thought_signature": "c"}}),),
    )  # fmt: skip
    body = anthropic.answer(answer, parse(), SERVED)
    turn = {"role": "assistant", "content": json.loads(body)["content"]}
    message = parse(messages=[USER, turn]).chat.messages[1]
    assert (message.content, message.reasoning_content) == ("Well.", "Hm.")
    assert message.extra_content == GOOGLE
    assert message.tool_calls
    (call,) = message.tool_calls
    assert (call.id, call.extra_content) == ("t1", {"google": {"thought_signature": "c"}})
    assert json.loads(call.function.arguments or "") == {"n": 1.5}


ERRORS: list[tuple[ProxyError, int, str]] = [
    (InvalidRequest("x", param="n"), 400, "invalid_request_error"),
    (AuthenticationFailed("x"), 401, "authentication_error"),
    (BudgetExceeded("x"), 402, "billing_error"),
    (PermissionDenied("x"), 403, "permission_error"),
    (NotFound("x"), 404, "not_found_error"),
    (MethodNotAllowed("x", allow=("GET",)), 405, "invalid_request_error"),
    (InvalidRequest("x", cause=Cause(status=409)), 409, "conflict_error"),
    (PayloadTooLarge("x"), 413, "request_too_large"),
    (InvalidRequest("x", cause=Cause(status=422)), 422, "invalid_request_error"),
    (RateLimitExceeded("x"), 429, "rate_limit_error"),
    (InternalError("x"), 500, "api_error"),
    (ProviderError("x"), 502, "api_error"),
    (NoProviderAvailable("x"), 503, "api_error"),
    (NoProviderAvailable("x", retry_after=1), 529, "overloaded_error"),
    (Unavailable("x"), 529, "overloaded_error"),
    (ProviderTimeout("x"), 504, "timeout_error"),
]


@pytest.mark.parametrize(("error", "status", "kind"), ERRORS)
def test_errors(error: ProxyError, status: int, kind: str) -> None:
    assert anthropic.status(error) == status
    body = json.loads(anthropic.error(error, "req_1", 0))
    assert body["type"] == "error"
    assert body["request_id"] == "req_1"
    assert (body["error"]["type"], body["error"]["message"]) == (kind, "x")


def failed(
    status: int | None, outcome: str = "unavailable", blame: Blame | None = "provider"
) -> Attempt:
    return Attempt(provider="p", model="m", outcome=outcome, ms=1, status=status, blame=blame)


UNSENT = failed(None, "breaker_open", None)
LAST_WORDS: list[tuple[tuple[Attempt, ...], int, str]] = [
    ((failed(529),), 529, "overloaded_error"),
    ((failed(500), failed(503)), 529, "overloaded_error"),
    ((failed(529), UNSENT), 529, "overloaded_error"),
    ((failed(529), failed(500)), 502, "api_error"),
    ((failed(503), failed(None, "network")), 502, "api_error"),
    ((UNSENT,), 502, "api_error"),
]


@pytest.mark.parametrize(("attempts", "status", "kind"), LAST_WORDS)
def test_a_provider_that_has_too_much_to_do_is_overloaded(
    attempts: tuple[Attempt, ...], status: int, kind: str
) -> None:
    """Anthropic's clients wait on a 529 and send the request again."""
    error = ProviderError("x", cause=Cause(source="provider", attempts=attempts))
    assert anthropic.status(error) == status
    assert json.loads(anthropic.error(error, "req_1", 0))["error"]["type"] == kind
    assert "x-should-retry" not in anthropic.headers("req_1", error)
    limited = RateLimitExceeded("x", cause=Cause(source="provider", attempts=attempts))
    assert anthropic.status(limited) == 429


def test_an_error_says_what_is_known_of_it() -> None:
    attempt = Attempt(provider="groq", model="m", outcome="rate_limited", ms=1)
    cause = Cause(source="provider", attempts=(attempt,), limit="requests")
    error = RateLimitExceeded("x", code="slow_down", cause=cause)
    details = json.loads(anthropic.error(error, "req_1", 0))["error"]["details"]
    assert (details["error_code"], details["source"]) == ("slow_down", "provider")
    assert (details["limit"], details["attempts"][0]["provider"]) == ("requests", "groq")


def test_a_providers_own_error_is_left_as_it_is() -> None:
    body = b'{"type":"error", "error":{"type":"invalid_request_error","message":"m"}}'
    error = InvalidRequest("m", cause=Cause(native=("messages", body)))
    assert anthropic.error(error, "req_1", 0) == body
    other = InvalidRequest("m", cause=Cause(native=("responses", body)))
    assert anthropic.error(other, "req_1", 0) != body


ATTEMPT = Attempt(provider="groq", model="m", outcome="breaker_open", ms=0)


@pytest.mark.parametrize(
    ("error", "helps"),
    [
        (None, True),
        (BudgetExceeded("x"), False),
        (InvalidRequest("x"), False),
        (AuthenticationFailed("x"), False),
        (InvalidRequest("x", cause=Cause(status=409)), True),
        (RateLimitExceeded("x"), True),
        (RateLimitExceeded("x", code="insufficient_quota"), False),
        (ProviderError("x"), True),
        (NoProviderAvailable("none is offered"), False),
        (NoProviderAvailable("x", cause=Cause(attempts=(ATTEMPT,))), True),
        (NoProviderAvailable("x", retry_after=1), True),
        (Unavailable("x"), True),
    ],
)
def test_clients_read_whether_another_try_helps(error: ProxyError | None, helps: bool) -> None:
    headers = anthropic.headers("req_1", error)
    assert headers["request-id"] == "req_1"
    assert ("x-should-retry" not in headers) == helps


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (
            "This model's maximum context length is 128,000 tokens. Your messages have 130123.",
            "prompt is too long: 130123 tokens > 128000 maximum (",
        ),
        (
            "The prompt is too long, at about 300000 tokens (groq: llama-3.1-70b has a context of"
            " 131072 tokens; openai: gpt-4-0613 has a context of 8192 tokens).",
            "prompt is too long: 300000 tokens > 131072 maximum (",
        ),
        ("Your input exceeds the context window.", "prompt is too long: Your input"),
        ("prompt is too long: 5 tokens > 4 maximum", "prompt is too long: 5 tokens > 4 maximum"),
    ],
)
def test_a_prompt_that_is_too_long(message: str, expected: str) -> None:
    error = InvalidRequest(message, code="context_length_exceeded")
    said = json.loads(anthropic.error(error, "req_1", 0))["error"]["message"]
    assert said.startswith(expected)
    assert said.removesuffix(")").endswith(message)


def test_a_count_of_tokens() -> None:
    assert json.loads(anthropic.count_tokens(12)) == {"input_tokens": 12}


def test_models() -> None:
    entries = [ModelEntry("groq/fast", "groq"), ModelEntry("openai/gpt", "openai")]
    page = json.loads(anthropic.models(entries))
    assert [model["id"] for model in page["data"]] == ["groq/fast", "openai/gpt"]
    assert (page["has_more"], page["first_id"], page["last_id"]) == (
        False, "groq/fast", "openai/gpt",
    )  # fmt: skip
    empty = {"data": [], "has_more": False, "first_id": None, "last_id": None}
    assert json.loads(anthropic.models([])) == empty


def test_a_name_of_the_history_breaks_no_answer() -> None:
    name = 'a"\\' * 30
    short = 'a"\\_1'
    body = msgspec.json.encode({"name": short, "text": short + "x"})
    restored = restore_names(body, {short: BridgedTool(name)})
    assert msgspec.json.decode(restored) == {"name": name, "text": short + "x"}
