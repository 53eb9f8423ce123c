"""What the catalogue's fields make of requests and answers of OpenAI's dialect."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw, structs

from proxy.providers import openai, responses
from proxy.providers.openai_request import fit_id
from proxy.providers.session import name_session
from proxy.providers.specs import Endpoint, ProviderSpec
from proxy.providers.target import Target
from proxy.providers.usage import MOST_UNPRICED, UsageReport, read_usage
from tests.unit.providers import replay
from tests.unit.providers.making_openai_request import as_called, sent, target

USER = {"role": "user", "content": "Hi"}
CALL = {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
CALLED = {"role": "assistant", "content": None, "tool_calls": [CALL]}
RESULT = {"role": "tool", "tool_call_id": "call_1", "content": "18"}


def messages(to: Target, *turns: dict[str, Any]) -> list[dict[str, Any]]:
    body = {"model": "m", "messages": list(turns)}
    fitted: list[dict[str, Any]] = sent(to, as_called(json.dumps(body).encode()))["messages"]
    return fitted


def spoken_to(wire: Any, **endpoint: Any) -> Target:
    spec = ProviderSpec(name="acme", endpoints={wire: Endpoint(**endpoint)})
    return structs.replace(target(), spec=spec, wire=wire)


@given(st.text(min_size=1), st.integers(4, 40))
def test_an_id_of_one_length_is_the_same_in_the_call_and_in_its_result(
    id_: str, length: int
) -> None:
    spec = ProviderSpec(endpoints={"chat": Endpoint()}, tool_id_length=length)
    fitted = fit_id(id_, spec)
    assert len(fitted) == length and fitted.isascii() and fitted.isalnum()
    assert fit_id(fitted, spec) == fitted  # what it has made itself stays


def test_ids_of_one_length_reach_the_call_and_its_result() -> None:
    called, result = messages(target(tool_id_length=9), USER, CALLED, RESULT)[1:]
    assert called["tool_calls"][0]["id"] == result["tool_call_id"] != "call_1"
    kept = CALL | {"id": "abcDEF123"}
    turns = (USER, CALLED | {"tool_calls": [kept]}, RESULT | {"tool_call_id": "abcDEF123"})
    assert messages(target(tool_id_length=9), *turns) == list(turns)


def test_the_assistant_says_a_word_between_a_result_and_a_user() -> None:
    turns = (USER, CALLED, RESULT, RESULT, USER, USER)
    bridged = messages(target(tool_bridge="."), *turns)
    assert [turn["role"] for turn in bridged] == [
        "user", "assistant", "tool", "tool", "assistant", "user", "user",
    ]  # fmt: skip
    assert bridged[4] == {"role": "assistant", "content": "."}
    assert messages(target(), *turns) == list(turns)
    assert messages(target(tool_bridge="."), USER, CALLED, RESULT) == [USER, CALLED, RESULT]


def test_an_assistants_message_at_the_end_is_marked_unless_the_caller_marks_it() -> None:
    begun = {"role": "assistant", "content": "He"}
    to = target(prefill={"prefix": True})
    assert messages(to, USER, begun)[-1] == begun | {"prefix": True}
    assert messages(to, USER, begun | {"prefix": False})[-1] == begun | {"prefix": False}
    assert messages(to, begun, USER) == [begun, USER]
    assert messages(to, USER, CALLED)[-1] == CALLED


def test_what_one_dialect_refuses_is_left_out_there() -> None:
    body = b'{"model":"m","messages":[{"role":"user","content":"Hi"}],"store":false}'
    chat = as_called(body)
    outgoing = openai.build_request(spoken_to("chat", drop=("store",)), chat)
    assert "store" not in replay.decode_body(outgoing) and outgoing.dropped == ("store",)
    other = responses.build_request(spoken_to("responses"), chat)
    assert "store" in replay.decode_body(other)


def test_a_conversations_name_goes_where_the_dialect_takes_it() -> None:
    chat, other = replay.target("xai"), replay.target("xai").speaking("responses")
    outgoing = openai.build_request(chat, as_called(b'{"model":"m","messages":[]}'))
    named = name_session(outgoing, chat, "s-1")
    assert named.headers["x-grok-conv-id"] == "s-1"
    assert "prompt_cache_key" not in replay.decode_body(named)
    named = name_session(outgoing, other, "s-1")
    assert "x-grok-conv-id" not in named.headers
    assert replay.decode_body(named)["prompt_cache_key"] == "s-1"


def test_azures_key_goes_in_a_header_of_its_own() -> None:
    headers = replay.target("azure", key="k-1").auth_headers
    assert headers == {"api-key": "k-1"}


@pytest.mark.parametrize(
    ("text", "reasoning", "answer"),
    [
        ("<why>So.</why>Yes.", "So.", "Yes."),
        ("<think>So.</think>Yes.", None, "<think>So.</think>Yes."),
        ("Yes. <why>So.</why>", None, "Yes. <why>So.</why>"),
    ],
)
def test_the_tag_around_reasoning_is_the_providers(
    text: str, reasoning: str | None, answer: str
) -> None:
    choice = {"message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
    body = json.dumps({"object": "chat.completion", "choices": [choice]}).encode()
    read = openai.read_answer(target(reasoning_tag="why"), body)
    assert (read.reasoning, read.text) == (reasoning, answer)


def report(to: Target, **fields: Any) -> UsageReport:
    counts = {"prompt_tokens": 10, "completion_tokens": 5}
    return read_usage(to, Raw(msgspec.json.encode(counts | fields)))


@pytest.mark.parametrize(
    ("told", "nano"),
    [
        ({"cost": 0.5}, 500_000_000),
        ({"cost": {"total_cost": 0.5, "request_cost": 0.1}}, 500_000_000),
        ({"cost_in_usd_ticks": 5_000_000_000}, 500_000_000),
        ({"estimated_cost": 0.5}, 500_000_000),
        ({"cost": 0.5, "estimated_cost": 0.1}, 500_000_000),
        ({}, None),
    ],
)
def test_a_cost_is_read_wherever_it_stands(told: dict[str, Any], nano: int | None) -> None:
    read = report(target(), **told)
    assert read.usage is not None and read.usage.cost == nano and read.is_sound


@pytest.mark.parametrize(
    "told",
    [
        {"cost": {"total_cost": "much"}},
        {"cost": {}},
        {"cost_in_usd_ticks": "many"},
        {"cost_in_usd_ticks": -1},
        {"estimated_cost": MOST_UNPRICED},
        {"cost": [0.5]},
    ],
)
def test_a_cost_that_can_not_be_true_counts_for_none(told: dict[str, Any]) -> None:
    read = report(target(), **told)
    assert read.usage is not None and read.usage.cost is None and not read.is_sound


def test_thoughts_that_stand_in_the_total_alone_are_output() -> None:
    read = report(target(thoughts_in_total=True), total_tokens=40).usage
    assert read is not None and (read.output, read.reasoning) == (30, 25)
    read = report(target(), total_tokens=40).usage
    assert read is not None and (read.output, read.reasoning) == (5, None)
    read = report(target(thoughts_in_total=True)).usage
    assert read is not None and (read.output, read.reasoning) == (5, None)


def test_usage_that_is_not_to_be_believed_is_in_no_form() -> None:
    usage = {"prompt_tokens": -1, "completion_tokens": 5}
    choice = {"message": {"role": "assistant", "content": "Hi"}, "finish_reason": "stop"}
    body = {"object": "chat.completion", "choices": [choice | {"usage": usage}]}
    read = openai.read_answer(target(), json.dumps(body).encode())
    assert read.usage is None and read.raw is None
    assert read.form is not None and "usage" not in read.form.choice
