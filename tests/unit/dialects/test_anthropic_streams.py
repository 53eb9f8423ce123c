"""Streams of Messages: blocks one after another, whatever a provider sends."""

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.cache.chunks import chunks_of
from proxy.core.chat import Answer, Chunk, Native, Usage
from proxy.core.errors import Cause, InvalidRequest, ProviderError
from proxy.core.messages import FunctionCall, ToolCall, ToolCallDelta
from proxy.core.sse import frame
from proxy.dialects import anthropic
from proxy.dialects.seal import ProviderState, seal, unseal
from tests.unit.dialects.making_anthropic import (
    NATIVE,
    SERVED,
    TOOL,
    answered,
    assemble,
    collect,
    events,
    parse,
    streamed,
)

GOOGLE = {"google": {"thought_signature": "s"}}
USAGE = Usage(input=9, output=7, cached=4)
END = Chunk(finish_reason="tool_calls", usage=USAGE)


def piece(index: int, arguments: str = "", **named: Any) -> Chunk:
    return Chunk(tool_calls=(ToolCallDelta(index=index, arguments=arguments, **named),))


def kinds(data: bytes) -> list[str]:
    """What happens, in short: `+text`, `text_delta`, `-`."""
    found = []
    for event in events(data):
        kind = event["type"].removeprefix("content_block_")
        if kind == "start":
            kind = "+" + event["content_block"]["type"]
        found.append(event["delta"]["type"] if kind == "delta" else "-" if kind == "stop" else kind)
    return found


def test_a_text() -> None:
    data = streamed([Chunk(text="It is ", model="gpt"), Chunk(text="sunny.", model="gpt"), END])
    start, *rest = events(data)
    assert start["message"] == {
        "id": "msg_1", "type": "message", "role": "assistant", "model": "gpt", "content": [],
        "stop_reason": None, "stop_sequence": None, "stop_details": None,
        "usage": {
            "input_tokens": 0, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 0,
            "output_tokens": 0,
        },
    }  # fmt: skip
    text = {"type": "content_block_delta", "index": 0}
    assert rest == [
        {
            "type": "content_block_start", "index": 0,
            "content_block": {"type": "text", "text": ""},
        },
        {**text, "delta": {"type": "text_delta", "text": "It is "}},
        {**text, "delta": {"type": "text_delta", "text": "sunny."}},
        {"type": "content_block_stop", "index": 0},
        {
            "type": "message_delta",
            "delta": {"stop_reason": "tool_use", "stop_sequence": None, "stop_details": None},
            "usage": {
                "input_tokens": 5, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 4,
                "output_tokens": 7,
            },
        },
        {"type": "message_stop"},
    ]  # fmt: skip


def test_thinking_is_signed_before_it_ends() -> None:
    data = streamed([Chunk(reasoning="Hm."), Chunk(text="x"), END])
    assert kinds(data) == [
        "message_start", "+thinking", "thinking_delta", "signature_delta", "-",
        "+text", "text_delta", "-", "message_delta", "message_stop",
    ]  # fmt: skip
    assert assemble(data)["content"][0]["signature"] == seal(ProviderState())


def test_each_piece_of_a_call_goes_out_at_once() -> None:
    writer = anthropic.writer(parse(), SERVED)
    assert kinds(writer.chunk(piece(0, id="t1", name="a"))) == ["message_start", "+tool_use"]
    assert kinds(writer.chunk(piece(0, '{"n"'))) == ["input_json_delta"]
    assert kinds(writer.chunk(piece(0, ":1}"))) == ["input_json_delta"]
    # A call is whole when its object is: then the next begins.
    assert kinds(writer.chunk(piece(1, "{", id="t2", name="b"))) == [
        "-", "+tool_use", "input_json_delta",
    ]  # fmt: skip


def test_a_call_waits_for_its_name_and_its_id() -> None:
    writer = anthropic.writer(parse(), SERVED)
    assert kinds(writer.chunk(piece(0, "{", id="t1"))) == ["message_start"]
    assert writer.chunk(piece(0, '"n"')) == b""
    data = writer.chunk(piece(0, ":1}", name="a"))
    assert events(data)[1]["delta"]["partial_json"] == '{"n":1}'


def test_interleaved_calls_come_one_after_another() -> None:
    chunks = [
        piece(0, '{"n":', id="t1", name="a"), piece(1, "{", id="t2", name="b"), piece(0, "1"),
        piece(1, "}"), Chunk(text="Meanwhile."), piece(0, "}"), END,
    ]  # fmt: skip
    message = assemble(streamed(chunks))
    assert message["content"] == [
        {"type": "tool_use", "id": "t1", "name": "a", "input": {"n": 1}},
        {"type": "tool_use", "id": "t2", "name": "b", "input": {}},
        {"type": "text", "text": "Meanwhile."},
    ]


def test_a_call_is_not_whole_where_an_object_in_it_is() -> None:
    chunks = [
        piece(0, '{"a":{}', id="t1", name="a"), piece(1, "{}", id="t2", name="b"),
        piece(0, "}"), END,
    ]  # fmt: skip
    first, second = assemble(streamed(chunks))["content"]
    assert (first["input"], second["input"]) == ({"a": {}}, {})


def test_a_message_that_comes_last_is_not_shown_again() -> None:
    chunks = [Chunk(text="It is."), Chunk(finish_reason="stop", usage=USAGE, native=KEPT.native)]
    assert assemble(streamed(chunks))["content"] == [{"type": "text", "text": "It is."}]


def test_a_call_without_arguments_or_an_id() -> None:
    message = assemble(streamed([piece(0, name="a"), piece(1, name="b", id="t2"), END]))
    first, second = message["content"]
    assert (first["id"], first["input"]) == ("toolu_1_0", {})
    assert (second["id"], second["input"]) == ("t2", {})


def test_what_the_provider_wants_back_comes_before_a_call() -> None:
    data = streamed([piece(0, "{}", id="t1", name="a", extra_content=GOOGLE), END])
    redacted, call = assemble(data)["content"]
    assert redacted["type"] == "redacted_thinking"
    assert unseal(redacted["data"]) == ProviderState({}, {"t1": GOOGLE})
    assert call["type"] == "tool_use"


def test_what_comes_before_thinking_ends_is_its_signature() -> None:
    thinking = Chunk(reasoning="Hm.", extra={"extra_content": GOOGLE})
    (block, _) = assemble(streamed([thinking, Chunk(text="x"), END]))["content"]
    assert unseal(block["signature"]) == ProviderState(GOOGLE)


def test_what_comes_later_has_a_block_of_its_own() -> None:
    late = Chunk(extra={"extra_content": GOOGLE}, finish_reason="stop")
    message = assemble(streamed([Chunk(reasoning="Hm."), Chunk(text="x"), late]))
    types = [block["type"] for block in message["content"]]
    assert types == ["thinking", "text", "redacted_thinking"]
    assert unseal(message["content"][2]["data"]) == ProviderState(GOOGLE)


def test_a_refusal() -> None:
    message = assemble(streamed([Chunk(text="Well. "), Chunk(refusal="No."), END]))
    assert [block["text"] for block in message["content"]] == ["Well. ", "No."]
    assert message["stop_reason"] == "refusal"
    assert message["stop_details"]["explanation"] == "No."


def test_an_empty_answer() -> None:
    data = streamed([Chunk(finish_reason="stop")])
    assert kinds(data) == ["message_start", "message_delta", "message_stop"]
    assert kinds(streamed([])) == ["message_start", "message_delta", "message_stop"]


def test_usage_that_is_known_at_once_stands_at_the_beginning() -> None:
    start = events(streamed([Chunk(text="x", usage=USAGE)]))[0]
    assert start["message"]["usage"]["input_tokens"] == 5
    assert start["message"]["usage"]["output_tokens"] == 0


def test_a_long_name_is_restored() -> None:
    call = parse(tools=[{**TOOL, "name": "x" * 100}])
    (short,) = call.bridged
    chunks = [piece(0, "{}", id="t1", name=short)]
    assert assemble(streamed(chunks, call))["content"][0]["name"] == "x" * 100
    raw = b'{"type":"content_block_start","content_block":{"name":"%b"}}' % short.encode()
    writer = anthropic.writer(call, NATIVE)
    assert writer.takes == ""
    data = writer.chunk(Chunk(raw=raw))
    assert events(data)[0]["content_block"]["name"] == "x" * 100


def test_a_ping_comes_after_the_beginning() -> None:
    writer = anthropic.writer(parse(), SERVED)
    assert writer.ping() == b""
    writer.chunk(Chunk(text="x"))
    assert events(writer.ping()) == [{"type": "ping"}]


def test_a_broken_stream_ends_in_an_error() -> None:
    writer = anthropic.writer(parse(), SERVED)
    (event,) = events(writer.error(ProviderError("It broke."), "req_1", 0))
    assert event["error"]["type"] == "api_error"
    assert (event["error"]["message"], event["request_id"]) == ("It broke.", "req_1")
    body = b'{"type": "error",\n "error": {"type": "overloaded_error", "message": "m"}}'
    native = InvalidRequest("m", cause=Cause(native=("messages", body)))
    assert events(writer.error(native, "req_1", 0)) == [json.loads(body)]


BLOCKS: list[Any] = [
    {"type": "thinking", "thinking": "Hm.", "signature": "EqYC"},
    {"type": "redacted_thinking", "data": "Em8="},
    {"type": "server_tool_use", "id": "s1", "name": "web_search", "input": {"query": "x"}},
    {"type": "web_search_tool_result", "tool_use_id": "s1", "content": [{"title": "X"}]},
    {"type": "text", "text": "It is.", "citations": [{"type": "char_location"}, {"type": "x"}]},
    {"type": "text", "text": "", "citations": None},
    {"type": "tool_use", "id": "t1", "name": "a", "input": {"n": 12345678901234567890123.5}},
    {"type": "tool_use", "id": "t2", "name": "b", "input": {}, "caller": {"type": "direct"}},
    {"type": "of_a_later_day", "text": [1, 2]},
]
MESSAGE = {
    "id": "msg_9", "type": "message", "role": "assistant", "model": "claude", "content": BLOCKS,
    "stop_reason": "stop_sequence", "stop_sequence": "END", "stop_details": None,
    "container": {"id": "c"}, "input_transformations": [],
    "usage": {"input_tokens": 5, "output_tokens": 7, "service_tier": "standard"},
}  # fmt: skip
KEPT = Answer(
    text="It is.",
    reasoning="Hm.",
    tool_calls=(ToolCall(id="t1", function=FunctionCall("a", '{"n":1}')),),
    usage=USAGE,
    native=Native("messages", json.dumps(MESSAGE).encode()),
)


def test_a_kept_message_comes_with_all_that_it_had() -> None:
    writer = anthropic.writer(parse(), SERVED)
    data = b"".join(map(writer.chunk, chunks_of(KEPT))) + writer.done(KEPT, SERVED)
    message = assemble(data)
    assert message["content"].pop(5) == {"type": "text", "text": ""}
    assert message == {**MESSAGE, "content": BLOCKS[:5] + BLOCKS[6:]}
    assert kinds(data).count("signature_delta") == 1
    assert kinds(data).count("citations_delta") == 2
    assert kinds(data).count("text_delta") == 1  # none for an empty text
    starts = [event["content_block"] for event in events(data) if "content_block" in event]
    assert [start["input"] for start in starts if "input" in start] == [{}, {}, {}]
    assert writer.ping() == b""


def test_a_kept_answer_of_another_dialect_is_translated() -> None:
    answer = Answer(text="x", native=Native("responses", b"{}"), usage=USAGE)
    writer = anthropic.writer(parse(), SERVED)
    data = b"".join(map(writer.chunk, chunks_of(answer))) + writer.done(answer, SERVED)
    assert assemble(data)["content"] == [{"type": "text", "text": "x"}]


RAW = [
    b'{"type":"message_start","message":{"id":"msg_9","usage":{"input_tokens":5}}   }',
    b'{"type": "ping"}',
    b'{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}',
    b'{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"x"}}',
    b'{"type":"content_block_stop","index":0  }',
    b'{"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":1}}',
    b'{"type":"message_stop"}',
]


def test_events_of_its_own_dialect_go_on_as_they_are() -> None:
    native = Native("messages", b"{}")
    chunks = [Chunk(raw=raw, native=native if "delta" in str(raw) else None) for raw in RAW]
    data = streamed(chunks, served=NATIVE)
    assert data == b"".join(frame(raw, json.loads(raw)["type"]) for raw in RAW)


def test_the_end_that_a_provider_left_out_is_added() -> None:
    late = Chunk(usage=USAGE, text="x")  # which no event is of
    data = streamed([*(Chunk(raw=raw) for raw in RAW[:-1]), late], served=NATIVE)
    assert kinds(data)[-2:] == ["message_delta", "message_stop"]
    writer = anthropic.writer(parse(), NATIVE)
    assert (writer.takes, events(writer.close())) == ("messages", [{"type": "message_stop"}])


def test_events_of_another_dialect_do_not_go_on() -> None:
    data = streamed([Chunk(text="x", raw=b'{"choices": []}')])
    assert assemble(data)["content"] == [{"type": "text", "text": "x"}]


def test_a_message_that_came_whole_in_place_of_a_stream_is_shown_as_it_is() -> None:
    whole = Chunk(text="It is.", finish_reason="stop", native=KEPT.native)
    assert assemble(streamed([whole], served=NATIVE))["content"][1] == BLOCKS[1]


TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
ARGUMENTS = st.dictionaries(TEXTS, st.integers() | TEXTS, max_size=3).map(json.dumps)
CALLS = st.lists(ARGUMENTS, max_size=4)


@settings(deadline=None)
@given(TEXTS, TEXTS, CALLS, st.data())
def test_pieces_cut_anyhow_give_the_same_message(
    reasoning: str, text: str, calls: list[str], data: st.DataObject
) -> None:
    def cut(whole: str) -> list[str]:
        at = data.draw(st.lists(st.integers(0, len(whole)), max_size=4).map(sorted))
        return [whole[i:j] for i, j in zip([0, *at], [*at, len(whole)], strict=True)]

    chunks = [Chunk(reasoning=piece) for piece in cut(reasoning)]
    chunks += [Chunk(text=piece) for piece in cut(text)]
    left = {index: cut(arguments) for index, arguments in enumerate(calls)}
    for index in left:  # the calls begin in order, then go on in any
        chunks.append(piece(index, id=f"t{index}", name=f"f{index}"))
    while left:
        index = data.draw(st.sampled_from(sorted(left)))
        chunks.append(piece(index, left[index].pop(0)))
        left = {index: pieces for index, pieces in left.items() if pieces}
    chunks.append(Chunk(finish_reason="stop", usage=USAGE))
    message, whole = assemble(streamed(chunks)), answered(collect(chunks))
    assert message == whole


def test_a_text_cites_its_sources_at_its_end() -> None:
    source = {"url": "https://a.test", "start_index": 0, "end_index": 2}
    extra = {"annotations": [{"type": "url_citation", "url_citation": source}]}
    chunks = [Chunk(text="It"), Chunk(text=" is."), Chunk(extra=extra, finish_reason="stop")]
    (text,) = assemble(streamed(chunks))["content"]
    assert text["text"] == "It is."
    (citation,) = text["citations"]
    assert (citation["url"], citation["cited_text"]) == ("https://a.test", "It")
