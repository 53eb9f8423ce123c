"""Calls of tools in streams of OpenAI's Responses."""

from proxy.core.chat import Chunk
from proxy.core.errors import ProviderError
from proxy.core.messages import ToolCallDelta
from proxy.dialects import responses
from tests.unit.dialects.making_responses import (
    CUSTOM,
    FUNCTION,
    MESSAGE,
    SERVED,
    STOP,
    begin,
    calls,
    events,
    last,
    outline,
    parse,
    piece,
    stream,
)

PATCH = {"type": "custom", "name": "patch"}


def test_calls_that_interleave_do_not_open_at_once() -> None:
    chunks = [
        calls(begin(0), begin(1, "g")),
        calls(piece(1, '{"b":')),
        calls(piece(0, '{"a":')),
        calls(piece(1, "2}"), piece(0, "1}")),
        Chunk(finish_reason="tool_calls"),
    ]
    data = stream(chunks)
    assert outline(data) == [*FUNCTION, *FUNCTION, "completed"]
    first, second = last(data)["output"]
    assert (first["call_id"], first["name"], first["arguments"]) == ("c0", "f", '{"a":1}')
    assert (second["call_id"], second["name"], second["arguments"]) == ("c1", "g", '{"b":2}')
    deltas = [e["delta"] for e in events(data) if e["type"].endswith("arguments.delta")]
    assert deltas == ['{"a":', "1}", '{"b":2}']


def test_the_first_call_is_written_as_it_comes() -> None:
    writer = responses.writer(parse(stream=True), SERVED)
    begun = events(writer.chunk(calls(begin(0, arguments='{"a'))))
    assert [event["type"] for event in begun[2:]] == [
        "response.output_item.added",
        "response.function_call_arguments.delta",
    ]
    assert begun[2]["item"]["arguments"] == ""
    (event,) = events(writer.chunk(calls(piece(0, '"'))))
    assert event["delta"] == '"'


def test_a_call_whose_name_comes_late() -> None:
    chunks = [calls(ToolCallDelta(id="c0")), calls(ToolCallDelta(name="f", arguments="{}")), STOP]
    data = stream(chunks)
    assert outline(data) == [*FUNCTION, "completed"]
    assert last(data)["output"][0]["name"] == "f"


def test_a_call_without_an_id_gets_one() -> None:
    data = stream([calls(ToolCallDelta(name="f", arguments="{}")), STOP])
    assert last(data)["output"][0]["call_id"] == "call_1_0"


def test_a_call_without_arguments() -> None:
    data = stream([calls(begin(0)), calls(begin(1)), STOP])
    assert outline(data) == [*FUNCTION, *FUNCTION, "completed"]
    assert [item["arguments"] for item in last(data)["output"]] == ["{}", "{}"]


def test_text_after_a_call_waits_for_its_end() -> None:
    chunks = [calls(begin(0, arguments="{")), Chunk(text="Hi"), calls(piece(0, "}")), STOP]
    data = stream(chunks)
    assert outline(data) == [*FUNCTION, *MESSAGE, "completed"]
    assert last(data)["output"][0]["arguments"] == "{}"


def test_what_was_cut_short_is_what_came_last() -> None:
    chunks = [calls(begin(0, arguments="{}")), Chunk(text="Hi"), Chunk(finish_reason="length")]
    statuses = [item["status"] for item in last(stream(chunks))["output"]]
    assert statuses == ["completed", "incomplete"]


def test_calls_stand_in_their_order() -> None:
    data = stream([calls(begin(0), begin(2), begin(1)), STOP])
    assert [item["call_id"] for item in last(data)["output"]] == ["c0", "c1", "c2"]


def test_no_delta_is_empty() -> None:
    data = stream([calls(begin(0)), calls(piece(0, "")), calls(piece(0, "{}")), STOP])
    assert [e["delta"] for e in events(data) if e["type"].endswith(".delta")] == ["{}"]


def test_a_custom_tool_that_was_called_as_a_function() -> None:
    call = parse(stream=True, tools=[PATCH])
    chunks = [calls(begin(0, "patch", '{"input":"*** ')), calls(piece(0, 'x\\n"}')), STOP]
    data = stream(chunks, call)
    assert outline(data) == [*CUSTOM, "completed"]
    found = events(data)
    assert found[2]["item"]["input"] == ""
    assert found[3]["delta"] == found[4]["input"] == found[5]["item"]["input"] == "*** x\n"


def test_a_custom_tool_that_was_called_as_such() -> None:
    call = parse(stream=True, tools=[PATCH])
    chunks = [calls(begin(0, "patch", kind="custom")), calls(piece(0, "a")), calls(piece(0, "b"))]
    data = stream([*chunks, STOP], call)
    assert outline(data) == [*CUSTOM, "completed"]
    assert [e["delta"] for e in events(data) if e["type"].endswith("input.delta")] == ["a", "b"]
    assert last(data)["output"][0]["input"] == "ab"


def test_a_call_that_was_cut_short() -> None:
    chunks = [
        calls(begin(0, arguments="{}")),
        calls(begin(1, arguments='{"a')),
        Chunk(finish_reason="length"),
    ]
    statuses = [item["status"] for item in last(stream(chunks))["output"]]
    assert statuses == ["completed", "incomplete"]


def test_no_agent_runs_a_call_that_broke_off() -> None:
    writer = responses.writer(parse(stream=True), SERVED)
    begun = writer.chunk(calls(begin(0, arguments='{"cmd": "rm -rf /tmp')))
    data = begun + writer.error(ProviderError("It broke."), "req_1", 0)
    assert not any(e["type"] == "response.output_item.done" for e in events(data))
    assert last(data)["output"] == []
