"""What a provider of OpenAI's Responses has sent, as its callers get it."""

import json
from typing import Any

import pytest
from msgspec import structs

from proxy.cache.chunks import chunks_of
from proxy.core.chat import Answer, Chunk, Native, Usage
from proxy.core.errors import ProviderError
from proxy.core.messages import FunctionCall, ToolCall, ToolCallDelta
from proxy.dialects import responses
from tests.unit.dialects.making_responses import SERVED, events, last, outline, parse, stream

OWN = structs.replace(SERVED, provider="openai", wire="responses")
HIT = structs.replace(SERVED, cache_status="hit")
BEGUN = {"id": "resp_9", "object": "response", "status": "in_progress", "output": [], "odd": 1}
SPACE = {"type": "namespace", "name": "x", "tools": [{"type": "function", "name": "f"}]}
WHOLE: dict[str, Any] = {
    **BEGUN,
    "status": "completed",
    "completed_at": 7,
    "usage": {"input_tokens": 1},
    "output": [
        {
            "id": "rs_9",
            "type": "reasoning",
            "encrypted_content": "gAAA",
            "summary": [{"type": "summary_text", "text": t} for t in ("a", "b")],
        },
        {"id": "rs_8", "type": "reasoning", "status": "completed", "summary": [],
         "content": [{"type": "reasoning_text", "text": "c"}]},
        {"id": "ws_9", "type": "web_search_call", "status": "completed", "action": {"q": "x"}},
        {
            "id": "msg_9",
            "type": "message",
            "status": "completed",
            "phase": "final_answer",
            "role": "assistant",
            "content": [
                {
                    "type": "output_text",
                    "text": "Hi",
                    "logprobs": [],
                    "annotations": [{"type": "url_citation", "url": "u"}],
                },
                {"type": "refusal", "refusal": "No"},
                {"type": "new_part", "data": 1},
            ],
        },
        {"id": "fc_9", "type": "function_call", "status": "completed", "call_id": "c",
         "name": "f", "arguments": "{}", "namespace": "x"},
        {"id": "ctc_9", "type": "custom_tool_call", "status": "completed", "call_id": "d",
         "name": "patch", "input": ""},
    ],
}  # fmt: skip


def data(kind: str, number: int, **fields: Any) -> bytes:
    event = {"type": f"response.{kind}", **fields, "sequence_number": number}
    return json.dumps(event, indent=None).encode()


RAW = [
    data("created", 0, response=BEGUN),
    data("output_text.delta", 1, delta="Hi", obfuscation="xyz"),
    data("completed", 2, response=WHOLE),
]


def native(body: Any = WHOLE) -> Answer:
    return Answer(text="Hi", native=Native("responses", json.dumps(body).encode()))


def test_its_events_go_on_as_they_came() -> None:
    writer = responses.writer(parse(stream=True), OWN)
    written = b"".join(writer.chunk(Chunk(text="Hi", raw=raw)) for raw in RAW)
    written += writer.done(native(), OWN)
    assert events(written) == [json.loads(raw) for raw in RAW]
    assert all(b"data: " + raw + b"\n\n" in written for raw in RAW)
    assert json.loads(writer.response or b"") == WHOLE


def test_what_it_says_beside_its_events_is_left_out() -> None:
    writer = responses.writer(parse(stream=True), OWN)
    writer.chunk(Chunk(raw=RAW[0]))
    assert writer.chunk(Chunk(usage=Usage(input=1))) == b""


def test_another_wires_events_do_not() -> None:
    writer = responses.writer(parse(stream=True), structs.replace(OWN, wire="messages"))
    written = writer.chunk(Chunk(text="Hi", raw=b'{"type": "content_block_delta"}'))
    assert b"content_block_delta" not in written
    assert b"response.output_text.delta" in written


def test_events_with_names_of_the_proxys_do_not() -> None:
    call = structs.replace(parse(stream=True, tools=[SPACE]), rebuilt=True)
    writer = responses.writer(call, OWN)
    assert writer.takes == ""
    called = (ToolCallDelta(id="c", name="x__f", arguments="{}"),)
    found = events(writer.chunk(Chunk(tool_calls=called, raw=RAW[1])))
    assert (found[2]["item"]["name"], found[2]["item"]["namespace"]) == ("f", "x")


def test_a_stream_of_its_own_that_breaks() -> None:
    writer = responses.writer(parse(stream=True), OWN)
    for raw in RAW[:2]:
        writer.chunk(Chunk(raw=raw))
    error, failed = events(writer.error(ProviderError("It broke."), "req_1", 0))
    assert (error["type"], error["sequence_number"]) == ("error", 2)
    assert failed["sequence_number"] == 3
    failure = {"code": "server_error", "message": "It broke."}
    assert failed["response"] == {**BEGUN, "status": "failed", "error": failure}


def test_a_stream_of_its_own_that_has_said_that_it_failed() -> None:
    writer = responses.writer(parse(stream=True), OWN)
    writer.chunk(Chunk(raw=data("failed", 0, response=BEGUN)))
    assert writer.error(ProviderError("It broke."), "req_1", 0) == b""


def test_a_stream_that_flows_breaks_without_another_beginning() -> None:
    writer = responses.writer(parse(stream=True), OWN)
    found = events(writer.error(ProviderError("It broke."), "req_1", 0))
    assert [event["type"] for event in found] == ["error", "response.failed"]


def test_a_kept_answer_has_every_field() -> None:
    data = stream(chunks_of(native()), served=HIT)
    assert last(data) == WHOLE
    assert outline(data) == [
        "output_item.added",
        *["reasoning_summary_part.added", "reasoning_summary_text.delta",
          "reasoning_summary_text.done", "reasoning_summary_part.done"] * 2,
        "output_item.done",
        "output_item.added", "content_part.added", "reasoning_text.delta", "reasoning_text.done",
        "content_part.done", "output_item.done",
        "output_item.added", "output_item.done",
        "output_item.added",
        "content_part.added", "output_text.delta", "output_text.annotation.added",
        "output_text.done", "content_part.done",
        "content_part.added", "refusal.delta", "refusal.done", "content_part.done",
        "content_part.added", "content_part.done",
        "output_item.done",
        "output_item.added", "function_call_arguments.delta", "function_call_arguments.done",
        "output_item.done",
        "output_item.added", "custom_tool_call_input.done", "output_item.done",
        "completed",
    ]  # fmt: skip
    done = [e["item"] for e in events(data) if e["type"] == "response.output_item.done"]
    assert done == WHOLE["output"]
    begun = [e["item"] for e in events(data) if e["type"] == "response.output_item.added"]
    assert "encrypted_content" not in begun[0]
    assert (begun[0]["summary"], begun[3]["content"], begun[4]["arguments"]) == ([], [], "")
    assert (begun[3]["status"], begun[3]["phase"]) == ("in_progress", "final_answer")
    assert events(data)[0]["response"] == {
        **BEGUN,
        "completed_at": None,
        "error": None,
        "incomplete_details": None,
        "usage": None,
    }


@pytest.mark.parametrize("place", ["before", "after"])
def test_the_whole_may_come_with_the_first_chunk_or_the_last(place: str) -> None:
    answer = native()
    whole, text = Chunk(native=answer.native, finish_reason="stop"), Chunk(text="Hi")
    if place == "before":
        assert last(stream([whole, text])) == WHOLE
        assert last(stream([whole, text], served=HIT)) == WHOLE
    else:  # what was written cannot be taken back
        assert last(stream([text, whole], served=HIT)) == WHOLE
        assert last(stream([text, whole]))["id"] == "resp_1"


@pytest.mark.parametrize("status", ["completed", "incomplete", "failed"])
def test_a_kept_answer_ends_as_it_ended(status: str) -> None:
    data = stream(chunks_of(native({**WHOLE, "status": status})), served=HIT)
    assert outline(data)[-1] == status


def test_a_kept_answer_of_another_dialect_is_the_answer_that_is_not_streamed() -> None:
    call = structs.replace(parse(stream=True), bridged=parse(tools=[SPACE]).bridged)
    answer = Answer(
        text="Hi",
        reasoning="Hm",
        tool_calls=(ToolCall("c", FunctionCall("x__f", "{}")),),
        usage=Usage(input=1, output=2),
    )
    data = stream(chunks_of(answer), call, HIT)
    assert last(data) == json.loads(responses.answer(answer, call, HIT))


@pytest.mark.parametrize("space", ["", " "])
def test_a_providers_response_names_the_one_that_it_follows(space: str) -> None:
    """Its provider has the conversation in the input and knows of no response before."""
    said = '{"previous_response_id\\": null}'
    whole = {**WHOLE, "previous_response_id": None, "metadata": {"said": said}}
    body = json.dumps(whole, separators=(",", f":{space}")).encode()
    call = structs.replace(parse(input="and?"), echo={"previous_response_id": "resp_8"})
    answer = Answer(native=Native("responses", body))
    named = json.loads(responses.answer(answer, call, OWN))
    assert named == {**whole, "previous_response_id": "resp_8"}
    writer = responses.writer(call, OWN)
    assert writer.takes == ""
    raw = b'{"type":"response.completed","response":%b,"sequence_number":9}' % body
    told = writer.chunk(Chunk(raw=raw))
    assert b'"previous_response_id":"resp_8"' in told
    assert writer.response is not None
    assert json.loads(writer.response)["previous_response_id"] == "resp_8"
    assert responses.writer(parse(input="Hi"), OWN).takes == "responses"
