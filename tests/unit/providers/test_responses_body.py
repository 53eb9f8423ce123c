"""The body of a caller of Responses at a provider of Responses."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from proxy.core.chat import ChatRequest
from proxy.core.messages import CustomTool, Function, Tool
from proxy.providers import openai, responses
from proxy.providers.specs import Endpoint
from proxy.providers.target import Target
from tests.unit.providers import replay
from tests.unit.providers.making_responses import HELLO, dropped, sent, target

INPUT = b'[ {"role":"user",  "content":"H\\u00e9"}, {"type":"item_reference","id":"rs_1"} ]'
BODY = b'{ "model":"model-1", "input":%b,"novelty":1.10 , "store":true}' % INPUT


def own(body: bytes = BODY, **fields: Any) -> ChatRequest:
    """The request of a caller of Responses."""
    return ChatRequest(messages=HELLO, dialect="responses", body=body, **fields)


def with_fields(fields: bytes) -> bytes:
    return BODY[:-1] + b"," + fields + b"}"


def test_what_needs_no_change_goes_on_as_the_very_bytes() -> None:
    chat = own()
    assert responses.build_request(target(), chat).body is chat.body
    to = target({"drop": ("temperature",), "efforts": {"low": "high"}}, rename={"x": "y"})
    assert responses.build_request(to, chat).body is chat.body


def test_another_model_leaves_all_else_alone() -> None:
    chat = own(BODY.replace(b"model-1", b"auto"))
    expected = b'{"model":"model-1","input":%b,"novelty":1.10,"store":true}' % INPUT
    assert responses.build_request(target(), chat).body == expected


def test_what_is_large_is_not_copied() -> None:
    large = b'"%b"' % (b"A" * 200_000)
    body = responses.build_request(
        target(), own(BODY.replace(INPUT, large).replace(b"-1", b""))
    ).body
    assert isinstance(body, tuple) and any(len(memoryview(part)) == len(large) for part in body)


@pytest.mark.parametrize(
    ("given", "limit", "expected"),
    [
        (b'"max_output_tokens":900', 900, 900),
        (b'"max_output_tokens":900', 300, 300),
        (b'"max_output_tokens":null', 300, 300),
        (b'"max_output_tokens":9', 9, 9),
        (b'"max_output_tokens":900', 3, 16),
        (b'"max_output_tokens":900', None, 900),
        (b'"x":1', 300, 300),
    ],
)
def test_the_limit_of_a_budget_takes_the_place_of_the_callers(
    given: bytes, limit: int | None, expected: int
) -> None:
    chat = own(with_fields(given), max_tokens=limit)
    assert sent(target(), chat)["max_output_tokens"] == expected


def test_whether_it_streams_is_the_requests_word_not_the_bodys() -> None:
    assert sent(target(), own(stream=True))["stream"] is True
    assert "stream" not in sent(target(), own(with_fields(b'"stream":true')))
    chat = own(with_fields(b'"stream":true'), stream=True)
    assert responses.build_request(target(), chat).body is chat.body


def test_fields_that_the_model_refuses_are_left_out_and_named() -> None:
    to = target({"drop": ("temperature", "reasoning_effort", "seed")}, drop=("store",))
    chat = own(with_fields(b'"temperature":1,"reasoning":{"effort":"low"}'), reasoning_effort="low")
    assert set(dropped(to, chat)) == {"reasoning", "store", "temperature"}
    assert sent(to, chat).keys() == {"model", "input", "novelty"}


def test_fields_that_the_provider_does_not_know() -> None:
    to = target({"send": {"top_k": 4}}, unknown_fields=False)
    assert dropped(to, own()) == ("novelty",)
    assert sent(to, own()).keys() == {"model", "input", "store", "top_k"}


def test_an_effort_that_the_model_does_not_know() -> None:
    to = target({"efforts": {"xhigh": "high"}})
    reasoning = b'"reasoning":{"effort":"xhigh","summary":"auto","novelty":1}'
    found = sent(to, own(with_fields(reasoning), reasoning_effort="xhigh"))
    assert found["reasoning"] == {"effort": "high", "summary": "auto", "novelty": 1}


@given(
    st.dictionaries(
        st.text(max_size=8).filter(lambda name: name != "stream"),
        st.text(max_size=8) | st.integers() | st.none(),
    )
)
def test_any_field_comes_through(fields: dict[str, Any]) -> None:
    given = {**fields, "model": "auto", "input": "Hi"}
    chat = own(json.dumps(given).encode())
    assert sent(target(), chat) == given | {"model": "model-1"}


# Where the request goes

PATCH = Tool("custom", custom=CustomTool("apply_patch"))
WEATHER = Tool(function=Function("weather"))


def both(**spec: Any) -> Target:
    """A provider of chat completions and Responses."""
    to = target(**spec)
    endpoints = {"chat": Endpoint(), "responses": Endpoint()}
    return structs.replace(to, spec=structs.replace(to.spec, endpoints=endpoints), wire="chat")


@pytest.mark.parametrize(
    ("tools", "wire"),
    [
        (b"[]", "responses"),
        (b"null", "responses"),
        (b'[{"type":"function","name":"f"}]', "responses"),
        (b'[{"type":"custom","name":"f"}]', "chat"),
        (b'[{"type":"function","name":"f"},{"type":"namespace","name":"n","tools":[]}]', "chat"),
        (b'[{"type":"web_search"}]', "chat"),
    ],
)
def test_a_provider_of_functions_alone_gets_no_body_with_other_tools(
    tools: bytes, wire: str
) -> None:
    chat = own(with_fields(b'"tools":' + tools))
    assert both(custom_tools=False).choose_wire(chat) == wire
    assert both().choose_wire(chat) == "responses"
    bound = structs.replace(chat, native_only="input[0]: …")
    assert both(custom_tools=False).choose_wire(bound) == "responses"


def test_the_same_where_the_body_can_not_go_on() -> None:
    chat = structs.replace(own(tools=(PATCH,)), body=None)
    assert both(custom_tools=False).choose_wire(chat) == "chat"
    chat = structs.replace(chat, tools=(WEATHER,))
    assert both(custom_tools=False).choose_wire(chat) == "responses"


def test_a_request_with_tools_goes_where_the_model_takes_them() -> None:
    to = both()
    to = structs.replace(to, model=structs.replace(to.model, tools_endpoint="responses"))
    assert to.choose_wire(ChatRequest(messages=HELLO)) == "chat"
    assert to.choose_wire(ChatRequest(messages=HELLO, tools=(WEATHER,))) == "responses"


def test_the_body_of_another_dialect_does_not_go_to_chat_completions() -> None:
    found = replay.decode_body(openai.build_request(both(), own()))
    assert found == {"model": "model-1", "messages": [{"role": "user", "content": "Hello"}]}
