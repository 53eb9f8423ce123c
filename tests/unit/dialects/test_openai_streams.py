"""Streams in OpenAI's dialect."""

import json

from proxy.core.chat import Answer, Chunk, Usage
from proxy.core.errors import Cause, ProviderError
from proxy.core.messages import ToolCallDelta
from proxy.core.sse import DONE, frame
from proxy.dialects import openai
from tests.unit.dialects.making_openai import HEAD, SERVED, delta, events, writer


def test_a_stream_is_rendered() -> None:
    out = writer()
    assert out.chunk(Chunk(usage=Usage(input=1))) == b""
    assert events(out.chunk(Chunk(text="Hi"))) == [delta({"role": "assistant", "content": "Hi"})]
    assert events(out.chunk(Chunk(reasoning="Hm"))) == [delta({"reasoning_content": "Hm"})]
    assert events(out.chunk(Chunk(refusal="No"))) == [delta({"refusal": "No"})]
    assert events(out.chunk(Chunk(extra={"annotations": [1]}))) == [delta({"annotations": [1]})]
    assert events(out.chunk(Chunk(finish_reason="length"))) == [delta({}, "length")]
    assert out.done(Answer(usage=Usage(input=1)), SERVED) == DONE


def test_ids_models_and_logprobs_of_chunks() -> None:
    out = writer()
    out.chunk(Chunk(text="a", id="x", model="m"))
    (event,) = events(out.chunk(Chunk(logprobs={"content": []})))
    assert (event["id"], event["model"]) == ("x", "m")
    assert event["choices"][0]["logprobs"] == {"content": []}


def test_tool_calls_are_streamed_in_openais_form() -> None:
    out = writer()
    first = ToolCallDelta(index=0, id="c", name="f", extra_content={"google": {}})
    (event,) = events(out.chunk(Chunk(tool_calls=(first,))))
    assert event["choices"][0]["delta"] == {
        "role": "assistant",
        "tool_calls": [
            {
                "index": 0,
                "id": "c",
                "type": "function",
                "function": {"name": "f", "arguments": ""},
                "extra_content": {"google": {}},
            }
        ],
    }
    (event,) = events(out.chunk(Chunk(tool_calls=(ToolCallDelta(arguments='{"a"'),))))
    assert event["choices"][0]["delta"] == {
        "tool_calls": [{"index": 0, "function": {"arguments": '{"a"'}}]
    }


def test_what_a_provider_wants_back_goes_out_once_at_the_end() -> None:
    out = writer()
    assert out.chunk(Chunk(extra={"extra_content": {"openai": {"reasoning": [1]}}})) == b""
    state = {"openai": {"reasoning": [1, 2]}}
    said = Chunk(text="Hi", extra={"extra_content": state, "audio": {}})
    assert events(out.chunk(said)) == [delta({"role": "assistant", "content": "Hi", "audio": {}})]
    end = out.chunk(Chunk(finish_reason="stop"))
    assert events(end) == [delta({"extra_content": state}, "stop")]


def test_usage_is_rendered_once_where_wanted() -> None:
    out = writer(include_usage=True)
    (event,) = events(out.chunk(Chunk(text="Hi", usage=Usage(input=1))))
    assert event["usage"] is None
    assert out.chunk(Chunk(usage=Usage(input=1, output=1), usage_only=True)) == b""
    end = out.done(Answer(usage=Usage(input=1, output=2)), SERVED)
    assert end.endswith(DONE)
    usage = {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}
    assert events(end) == [{**HEAD, "choices": [], "usage": usage}]


def test_unknown_usage_is_not_invented() -> None:
    assert writer(include_usage=True).done(Answer(), SERVED) == DONE


CONTENT = b'{"id":"x","choices":[{"delta":{"content":"Hi"}}]}'
FINISH = b'{"id":"x","choices":[{"delta":{},"finish_reason":"stop"}],"usage":{"total_tokens":3}}'
CLOSING = b'{"id":"x","choices":[],"usage":{"total_tokens":3,"cost":0.1}}'
THREE = Usage(input=1, output=2)


def test_a_providers_own_chunks_go_on() -> None:
    out = writer()
    assert out.chunk(Chunk(text="Hi", raw=CONTENT)) == frame(CONTENT)
    assert out.chunk(Chunk(usage=THREE, raw=FINISH)) == frame(FINISH)
    assert out.chunk(Chunk(usage=THREE, raw=CLOSING, usage_only=True)) == b""
    assert out.done(Answer(usage=THREE), SERVED) == DONE


def test_a_providers_closing_chunk_goes_on_once() -> None:
    out = writer(include_usage=True)
    assert out.chunk(Chunk(text="Hi", raw=CONTENT)) == frame(CONTENT)
    (event,) = events(out.chunk(Chunk(finish_reason="stop", usage=THREE, raw=FINISH)))
    assert event["usage"] is None
    assert event["choices"][0]["finish_reason"] == "stop"
    assert out.chunk(Chunk(usage=THREE, raw=CLOSING, usage_only=True)) == b""
    assert out.chunk(Chunk(usage=Usage(), raw=b'{"usage":{"a":0}}', usage_only=True)) == b""
    assert out.done(Answer(usage=THREE), SERVED) == frame(CLOSING) + DONE


def test_usage_beside_a_choice_gets_a_chunk_of_its_own() -> None:
    out = writer(include_usage=True)
    out.chunk(Chunk(finish_reason="stop", usage=THREE, raw=FINISH))
    end = out.done(Answer(usage=THREE), SERVED)
    assert events(end) == [{"id": "x", "choices": [], "usage": {"total_tokens": 3}}]


def test_usage_under_a_providers_own_name_gets_a_chunk_too() -> None:
    groq = b'{"id":"x","choices":[{"delta":{}}],"x_groq":{"usage":{"total_tokens":3}}}'
    out = writer(include_usage=True)
    assert out.chunk(Chunk(usage=THREE, raw=groq, id="x")) == frame(groq)
    (event,) = events(out.done(Answer(usage=THREE), SERVED))
    assert (event["id"], event["usage"]["total_tokens"]) == ("x", 3)


def test_a_broken_stream_ends_in_an_error_chunk() -> None:
    error = ProviderError("It broke.", cause=Cause(source="provider"))
    (event,) = events(writer().error(error, "req_1", 0))
    assert event == delta({}, "error", error=json.loads(openai.error(error, "req_1", 0))["error"])
    assert b"[DONE]" not in writer().error(error, "req_1", 0)
