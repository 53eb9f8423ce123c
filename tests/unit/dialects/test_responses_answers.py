"""Whole answers as `response` objects of OpenAI's Responses."""

import json
from typing import Any

import pytest
from msgspec import structs
from openai.types.responses import Response

from proxy.core.chat import Answer, Form, Native, Usage
from proxy.core.messages import FunctionCall, ToolCall
from proxy.dialects import responses
from proxy.dialects.seal import ProviderState, unseal
from tests.unit.dialects.making_responses import SEALED, SERVED, USER, answered, parse

CALL = ToolCall("c1", FunctionCall("f", '{"a":1}'))
SIGNED = structs.replace(CALL, extra_content={"google": {"thought_signature": "s"}})
TEXT = {"type": "output_text", "annotations": [], "logprobs": [], "text": "Hi"}
PATCH = {"type": "custom", "name": "patch"}
SPACE = {"type": "namespace", "name": "x", "tools": [{"type": "function", "name": "f"}, PATCH]}


WHOLE = {
    "id": "resp_1",
    "object": "response",
    "created_at": 1_700_000_000,
    "status": "completed",
    "background": False,
    "completed_at": 1_700_000_002,
    "error": None,
    "frequency_penalty": 0.0,
    "incomplete_details": None,
    "instructions": None,
    "max_output_tokens": None,
    "max_tool_calls": None,
    "model": "flash-001",
    "moderation": None,
    "output": [
        {
            "id": "msg_1_0",
            "type": "message",
            "status": "completed",
            "content": [TEXT],
            "role": "assistant",
        }
    ],
    "parallel_tool_calls": True,
    "presence_penalty": 0.0,
    "previous_response_id": None,
    "prompt_cache_key": None,
    "prompt_cache_retention": None,
    "reasoning": {"effort": None, "summary": None},
    "safety_identifier": None,
    "service_tier": "default",
    "store": True,
    "temperature": 1.0,
    "text": {"format": {"type": "text"}, "verbosity": "medium"},
    "tool_choice": "auto",
    "tools": [],
    "top_logprobs": 0,
    "top_p": 1.0,
    "truncation": "disabled",
    "usage": {
        "input_tokens": 5,
        "input_tokens_details": {"cached_tokens": 2, "cache_write_tokens": 1},
        "output_tokens": 7,
        "output_tokens_details": {"reasoning_tokens": 3},
        "total_tokens": 12,
    },
    "user": None,
    "metadata": {},
}


def output(answer: Answer, **body: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = answered(answer, parse(**body))["output"]
    return found


def test_every_field_in_openais_order() -> None:
    usage = Usage(input=5, output=7, cached=2, cache_write=1, reasoning=3)
    body = answered(Answer(text="Hi", model="flash-001", usage=usage))
    assert json.dumps(body) == json.dumps(WHOLE)


def test_the_request_is_repeated() -> None:
    given: dict[str, Any] = {
        "instructions": "Be brief.",
        "max_output_tokens": 20,
        "max_tool_calls": 2,
        "parallel_tool_calls": False,
        "prompt_cache_key": "k",
        "safety_identifier": "s",
        "service_tier": "flex",
        "store": False,
        "temperature": 0.5,
        "tool_choice": {"type": "function", "name": "f"},
        "top_logprobs": 2,
        "top_p": 0.5,
        "truncation": "auto",
        "user": "u",
        "metadata": {"a": "b"},
        "reasoning": {"effort": "low", "summary": "auto"},
        "text": {
            "format": {
                "type": "json_schema",
                "name": "n",
                "schema": {"type": "object"},
                "strict": True,
                "description": None,
            },
            "verbosity": "low",
        },
    }
    tool = {"type": "function", "name": "f", "parameters": {}, "strict": False, "description": "d"}
    body = answered(Answer(text="{}"), parse(**given, tools=[tool]))
    assert {name: body[name] for name in given} == given
    assert body["tools"] == [tool]


def test_reasoning_text_and_calls_follow_one_another() -> None:
    answer = Answer(text="Hi", reasoning="Hm", tool_calls=(CALL,), finish_reason="tool_calls")
    assert output(answer) == [
        {
            "id": "rs_1_0",
            "type": "reasoning",
            "status": "completed",
            "summary": [],
            "content": [{"type": "reasoning_text", "text": "Hm"}],
        },
        {
            "id": "msg_1_1",
            "type": "message",
            "status": "completed",
            "content": [TEXT],
            "role": "assistant",
        },
        {
            "id": "fc_1_2",
            "type": "function_call",
            "status": "completed",
            "arguments": '{"a":1}',
            "call_id": "c1",
            "name": "f",
        },
    ]


def test_reasoning_as_a_summary() -> None:
    (item, _) = output(Answer(text="Hi", reasoning="Hm"), reasoning={"summary": "auto"})
    assert item["summary"] == [{"type": "summary_text", "text": "Hm"}]
    assert "content" not in item


def test_a_state_is_sealed_whether_it_is_wanted_or_not() -> None:
    extra = {"extra_content": {"anthropic": {"thinking_blocks": [1]}}}
    answer = Answer(text="Hi", tool_calls=(SIGNED,), extra=extra)
    item = output(answer)[0]
    assert (item["type"], item["summary"]) == ("reasoning", [])
    assert unseal(item["encrypted_content"]) == ProviderState(
        {"anthropic": {"thinking_blocks": [1]}}, {"c1": {"google": {"thought_signature": "s"}}}
    )


def test_encrypted_content_where_it_is_wanted() -> None:
    (item, _) = output(Answer(text="Hi", reasoning="Hm"), include=SEALED)
    assert unseal(item["encrypted_content"]) == ProviderState()
    assert [item["type"] for item in output(Answer(text="Hi"), include=SEALED)] == ["message"]


def test_a_refusal_is_a_part() -> None:
    refusal = {"type": "refusal", "refusal": "No."}
    assert output(Answer(text="", refusal="No."))[0]["content"] == [refusal]
    assert output(Answer(text="Hi", refusal="No."))[0]["content"] == [TEXT, refusal]


@pytest.mark.parametrize("text", ["", None])
def test_an_answer_of_nothing_is_an_empty_message(text: str | None) -> None:
    (item,) = output(Answer(text=text))
    assert item["content"] == [{**TEXT, "text": ""}]


def test_calls_have_their_callers_names() -> None:
    calls = (
        ToolCall("c1", FunctionCall("x__f", "{}")),
        ToolCall("c2", FunctionCall("x__patch", '{"input":"*** x\\n"}')),
        ToolCall("c3", FunctionCall("x__patch", '{"input":"y"}'), "custom"),
        ToolCall("c4", FunctionCall("x__patch", "not json")),
        ToolCall("c5", FunctionCall("x__patch", '{"patch":"z"}')),
        ToolCall("c6", FunctionCall("other", "")),
    )
    found = output(Answer(tool_calls=calls), tools=[SPACE])
    assert [item["id"] for item in found] == [
        "fc_1_0", "ctc_1_1", "ctc_1_2", "ctc_1_3", "ctc_1_4", "fc_1_5",
    ]  # fmt: skip
    custom = {
        "type": "custom_tool_call",
        "status": "completed",
        "call_id": "c2",
        "name": "patch",
        "namespace": "x",
        "input": "*** x\n",
    }
    assert (found[0]["name"], found[0]["namespace"]) == ("f", "x")
    assert found[1] == {"id": "ctc_1_1", **custom}
    assert [item["input"] for item in found[2:5]] == ['{"input":"y"}', "not json", '{"patch":"z"}']
    assert found[5]["name"] == "other"
    assert "namespace" not in found[5]


@pytest.mark.parametrize(
    ("finish", "reason"),
    [
        ("length", "max_output_tokens"),
        ("content_filter", "content_filter"),
        ("pause_turn", "pause_turn"),
    ],
)
def test_an_answer_that_was_cut_short(finish: str, reason: str) -> None:
    body = answered(Answer(text="Hi", reasoning="Hm", finish_reason=finish))
    assert (body["status"], body["incomplete_details"]) == ("incomplete", {"reason": reason})
    assert [item["status"] for item in body["output"]] == ["completed", "incomplete"]


@pytest.mark.parametrize("finish", ["stop", "tool_calls", "PAUSE"])
def test_an_answer_that_was_not(finish: str) -> None:
    body = answered(Answer(text="Hi", finish_reason=finish))
    assert (body["status"], body["incomplete_details"]) == ("completed", None)


def test_annotations_are_flat() -> None:
    cited = {"url": "https://a.test", "title": "A", "start_index": 0, "end_index": 2}
    odd = {"type": "file_path", "file_id": "f", "index": 0}
    extra = {"annotations": [{"type": "url_citation", "url_citation": cited}, odd, "x"]}
    (item,) = output(Answer(text="Hi", extra=extra))
    assert item["content"][0]["annotations"] == [{"type": "url_citation", **cited}, odd]


def test_logprobs_where_they_are_included() -> None:
    token = {"token": "Hi", "logprob": -0.1, "bytes": [72, 105], "top_logprobs": []}
    answer = Answer(text="Hi", logprobs={"content": [token]})
    assert output(answer)[0]["content"][0]["logprobs"] == []
    include = ["message.output_text.logprobs"]
    assert output(answer, include=include)[0]["content"][0]["logprobs"] == [token]


def test_images_are_items() -> None:
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
    remote = {"type": "image_url", "image_url": {"url": "https://a.test/b.png"}}
    (item,) = output(Answer(text="", extra={"images": [image, remote, 7]}))
    assert item == {
        "id": "ig_1_0",
        "type": "image_generation_call",
        "status": "completed",
        "result": "AAAA",
    }


def test_usage_that_nobody_knows() -> None:
    assert answered(Answer(text="Hi"))["usage"] is None


def test_the_tier_that_served() -> None:
    form = Form(completion={"service_tier": "priority"})
    assert answered(Answer(text="Hi", form=form))["service_tier"] == "priority"


def test_a_providers_own_object_is_left_as_it_is() -> None:
    native = b'{"id": "resp_9",  "odd": 1.0}'
    answer = Answer(text="Hi", native=Native("responses", native))
    assert responses.answer(answer, parse(), SERVED) == native
    other = structs.replace(answer, native=Native("messages", b"{}"))
    assert answered(other)["id"] == "resp_1"


def test_an_object_with_names_of_the_proxys_is_not() -> None:
    answer = Answer(
        tool_calls=(ToolCall("c1", FunctionCall("x__f", "{}")),),
        native=Native("responses", b"{}"),
    )
    call = structs.replace(parse(tools=[SPACE]), rebuilt=True)
    (item,) = answered(answer, call)["output"]
    assert (item["name"], item["namespace"]) == ("f", "x")


def test_the_sdks_type_takes_it_strictly() -> None:
    answer = Answer(
        text="Hi",
        reasoning="Hm",
        refusal="No.",
        tool_calls=(CALL,),
        usage=Usage(input=1, output=2),
        finish_reason="length",
    )
    call = parse(tools=[{"type": "function", "name": "f"}, PATCH], include=SEALED)
    body = responses.answer(answer, call, SERVED)
    response = Response.model_validate_json(body, strict=True)
    assert response.output_text == "Hi"


def test_what_was_rendered_can_go_back() -> None:
    answer = Answer(
        text="Hi",
        reasoning="Hm",
        tool_calls=(SIGNED, ToolCall("c2", FunctionCall("x__patch", "*** x"), "custom")),
        extra={"extra_content": {"anthropic": {"thinking_blocks": [1]}}},
    )
    call = parse(tools=[SPACE], include=SEALED)
    items = answered(answer, call)["output"]
    again = parse(input=[USER, *items], tools=[SPACE]).chat.messages[1]
    assert (again.content, again.reasoning_content) == ("Hi", "Hm")
    assert again.tool_calls == answer.tool_calls
    assert again.extra_content == answer.extra["extra_content"]


def test_the_count_of_tokens() -> None:
    assert json.loads(responses.input_tokens(7)) == {
        "object": "response.input_tokens",
        "input_tokens": 7,
    }
    assert responses.headers("req_1", None) == {}
