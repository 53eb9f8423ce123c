"""Streams of OpenAI's Responses, event by event."""

from proxy.core.chat import Answer, Chunk
from proxy.core.errors import Cause, ProviderError, RateLimitExceeded
from proxy.core.messages import ToolCallDelta
from proxy.dialects import responses
from proxy.dialects.seal import ProviderState, unseal
from tests.unit.dialects.making_responses import (
    FUNCTION,
    MESSAGE,
    REASONING,
    SEALED,
    SERVED,
    STOP,
    SUMMARY,
    answered,
    begin,
    calls,
    collect,
    events,
    last,
    outline,
    parse,
    piece,
    stream,
)


def test_a_text_event_by_event() -> None:
    item = {"id": "msg_1_0", "type": "message", "status": "in_progress", "content": []}
    part = {"type": "output_text", "annotations": [], "logprobs": [], "text": ""}
    at = {"content_index": 0, "item_id": "msg_1_0", "output_index": 0}
    whole = {**part, "text": "Hi there"}
    found = events(stream([Chunk(text="Hi", model="flash-1"), Chunk(text=" there"), STOP]))
    assert [event.pop("sequence_number") for event in found] == list(range(len(found)))
    begun = found[0]["response"]
    assert (begun["status"], begun["output"], begun["usage"]) == ("in_progress", [], None)
    assert (begun["id"], begun["model"]) == ("resp_1", "flash-1")
    assert found[1] == {"type": "response.in_progress", "response": begun}
    done = {**item, "status": "completed", "content": [whole], "role": "assistant"}
    assert found[2:-1] == [
        {
            "type": "response.output_item.added",
            "item": {**item, "role": "assistant"},
            "output_index": 0,
        },
        {"type": "response.content_part.added", **at, "part": part},
        {"type": "response.output_text.delta", **at, "delta": "Hi", "logprobs": []},
        {"type": "response.output_text.delta", **at, "delta": " there", "logprobs": []},
        {"type": "response.output_text.done", **at, "text": "Hi there", "logprobs": []},
        {"type": "response.content_part.done", **at, "part": whole},
        {"type": "response.output_item.done", "item": done, "output_index": 0},
    ]
    assert found[-1]["type"] == "response.completed"
    response = found[-1]["response"]
    assert response["output"] == [done]
    assert response["usage"]["total_tokens"] == 12
    assert list(response) == list(begun)


def test_reasoning_text_and_calls_follow_one_another() -> None:
    chunks = [
        Chunk(reasoning="Hm "),
        Chunk(reasoning="hm"),
        Chunk(text="Hi"),
        calls(begin(0)),
        calls(piece(0, '{"a":')),
        calls(piece(0, "1}")),
        Chunk(finish_reason="tool_calls"),
    ]
    data = stream(chunks)
    assert outline(data) == [*REASONING, *MESSAGE, *FUNCTION, "completed"]
    assert last(data)["output"] == answered(collect(chunks))["output"]


def test_a_summary_where_it_is_wanted() -> None:
    call = parse(stream=True, reasoning={"summary": "auto"})
    data = stream([Chunk(reasoning="Hm"), Chunk(text="Hi"), STOP], call)
    assert outline(data) == [*SUMMARY, *MESSAGE, "completed"]
    deltas = [e for e in events(data) if e["type"] == "response.reasoning_summary_text.delta"]
    assert [(e["summary_index"], e["delta"]) for e in deltas] == [(0, "Hm")]


def test_reasoning_again_after_the_text() -> None:
    data = stream([Chunk(reasoning="a"), Chunk(text="b"), Chunk(reasoning="c"), STOP])
    assert outline(data) == [*REASONING, *MESSAGE, *REASONING, "completed"]
    assert [item["id"] for item in last(data)["output"]] == ["rs_1_0", "msg_1_1", "rs_1_2"]


def test_the_state_that_is_known_in_time_is_in_the_reasoning() -> None:
    state = {"anthropic": {"thinking_blocks": [1]}}
    chunks = [Chunk(reasoning="Hm"), Chunk(extra={"extra_content": state}), Chunk(text="Hi"), STOP]
    done = [e["item"] for e in events(stream(chunks)) if e["type"].endswith("output_item.done")]
    assert [item["type"] for item in done] == ["reasoning", "message"]
    assert unseal(done[0]["encrypted_content"]) == ProviderState(state)


def test_a_state_that_comes_later_has_an_item_of_its_own() -> None:
    signed = ToolCallDelta(id="c0", name="f", extra_content={"google": {"thought_signature": "s"}})
    call = parse(stream=True, include=SEALED)
    data = stream([Chunk(reasoning="Hm"), calls(signed), calls(piece(0, "{}")), STOP], call)
    assert outline(data) == [
        *REASONING, *FUNCTION, "output_item.added", "output_item.done", "completed",
    ]  # fmt: skip
    first, _, second = last(data)["output"]
    assert unseal(first["encrypted_content"]) == ProviderState()
    assert unseal(second["encrypted_content"]) == ProviderState(
        calls={"c0": {"google": {"thought_signature": "s"}}}
    )


def test_a_refusal_is_a_part() -> None:
    data = stream([Chunk(text="Hi"), Chunk(refusal="N"), Chunk(refusal="o"), STOP])
    refusal = ["content_part.added", "refusal.delta", "refusal.done", "content_part.done"]
    assert outline(data) == [*MESSAGE[:-1], *refusal, MESSAGE[-1], "completed"]
    (item,) = last(data)["output"]
    assert item["content"][1] == {"type": "refusal", "refusal": "No"}
    places = [e["content_index"] for e in events(data) if "content_index" in e]
    assert places == sorted(places)
    assert {*places} == {0, 1}


def test_an_answer_that_was_cut_short() -> None:
    data = stream([Chunk(reasoning="Hm"), Chunk(text="Hi"), Chunk(finish_reason="length")])
    assert outline(data) == [*REASONING, *MESSAGE, "incomplete"]
    response = last(data)
    assert response["incomplete_details"] == {"reason": "max_output_tokens"}
    assert [item["status"] for item in response["output"]] == ["completed", "incomplete"]
    done = [e["item"] for e in events(data) if e["type"] == "response.output_item.done"]
    assert done == response["output"]


def test_an_answer_of_nothing_is_an_empty_message() -> None:
    data = stream([STOP])
    assert outline(data) == [
        kind for kind in [*MESSAGE, "completed"] if kind != "output_text.delta"
    ]
    assert last(data)["output"] == answered(Answer(text=""))["output"]


def test_annotations_and_logprobs() -> None:
    cited = {"url": "https://a.test", "title": "A", "start_index": 0, "end_index": 2}
    token = {"token": "Hi", "logprob": -0.1, "bytes": [72, 105], "top_logprobs": []}
    extra = {"annotations": [{"type": "url_citation", "url_citation": cited}]}
    chunks = [
        Chunk(extra=extra),
        Chunk(text="Hi", logprobs={"content": [token]}),
        Chunk(extra=extra),
        STOP,
    ]
    call = parse(stream=True, include=["message.output_text.logprobs"])
    data = stream(chunks, call)
    added = [e for e in events(data) if e["type"] == "response.output_text.annotation.added"]
    assert [e["annotation_index"] for e in added] == [0, 1]
    assert added[0]["annotation"] == {"type": "url_citation", **cited}
    (item,) = last(data)["output"]
    assert item["content"][0]["annotations"] == [{"type": "url_citation", **cited}] * 2
    assert item["content"][0]["logprobs"] == [token]
    (delta,) = [e for e in events(data) if e["type"] == "response.output_text.delta"]
    assert delta["logprobs"] == [token]
    plain = stream(chunks)
    assert last(plain)["output"][0]["content"][0]["logprobs"] == []


def test_images() -> None:
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
    data = stream([Chunk(text="Hi"), Chunk(extra={"images": [image]}), STOP])
    assert outline(data) == [*MESSAGE, "output_item.added", "output_item.done", "completed"]
    assert last(data)["output"][1]["result"] == "AAAA"
    begun, done = events(data)[-3:-1]
    assert (begun["item"]["result"], done["item"]["result"]) == (None, "AAAA")


def test_the_end_of_a_broken_answer() -> None:
    writer = responses.writer(parse(stream=True), SERVED)
    begun = writer.chunk(Chunk(reasoning="Hm")) + writer.chunk(Chunk(text="Hi"))
    error = ProviderError("It broke.", cause=Cause(source="provider"))
    data = begun + writer.error(error, "req_1", 0)
    assert outline(data) == [*REASONING, *MESSAGE[:3], "error", "failed"]
    found = events(data)
    assert [event["sequence_number"] for event in found] == list(range(len(found)))
    failure = {"code": "server_error", "message": "It broke."}
    assert found[-2] | {"sequence_number": 0} == {
        "type": "error",
        **failure,
        "param": None,
        "sequence_number": 0,
    }
    response = found[-1]["response"]
    assert (response["status"], response["error"]) == ("failed", failure)
    assert [(item["type"], item["status"]) for item in response["output"]] == [
        ("reasoning", "completed")
    ]


def test_an_error_before_anything() -> None:
    writer = responses.writer(parse(stream=True), SERVED)
    data = writer.error(RateLimitExceeded("Slow down.", retry_after=2.5), "req_1", 0)
    assert outline(data) == ["error", "failed"]
    assert last(data)["error"] == {
        "code": "rate_limit_exceeded",
        "message": "Slow down. Please try again in 3s.",
    }


def test_the_whole_response_is_known_at_the_end() -> None:
    writer = responses.writer(parse(stream=True), SERVED)
    chunks = [Chunk(text="Hi"), STOP]
    data = b"".join(map(writer.chunk, chunks))
    assert writer.response is None
    data += writer.done(collect(chunks), SERVED)
    assert writer.response
    assert writer.response in data


def test_signs_of_life_and_the_end_of_a_stream_that_flows() -> None:
    writer = responses.writer(parse(stream=True), SERVED)
    assert writer.takes == "responses"
    assert writer.ping().startswith(b":")
    assert events(writer.ping()) == []
    assert writer.close() == b""
