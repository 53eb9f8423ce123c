"""Chat requests with tools to models that take them by Responses alone: callers notice nothing but
that the model reasons."""

import json
from typing import Any

from openai.lib.streaming.chat import ChatCompletionStreamState
from openai.types.chat import ChatCompletionChunk

from proxy.core.ports import Outgoing
from tests.unit.doubles import FakeReply
from tests.unit.providers.making_responses import CALL, SEALED, events, response, says
from tests.unit.routing.making import whole
from tests.unit.serving.making import OPENAI, House, by_host, stream_of

MINI = "openai/gpt-5.4-mini"
QUESTION = {"role": "user", "content": "How is the weather in Oslo?"}
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}}
TOOLS = [{"type": "function", "function": {"name": "weather", "parameters": SCHEMA}}]
ASKED: dict[str, Any] = {
    "model": MINI,
    "messages": [QUESTION],
    "tools": TOOLS,
    "reasoning_effort": "high",
    "user": "ann",
    "seed": 1,
}
STATE = {"openai": {"reasoning": [SEALED]}}


def answer(outgoing: Outgoing) -> FakeReply:
    """A call at first, a text once the tool has answered."""
    assert outgoing.url == "https://api.openai.com/v1/responses"
    assert isinstance(outgoing.body, bytes)
    body = json.loads(outgoing.body)
    is_answered = any(item.get("type") == "function_call_output" for item in body["input"])
    output = [says("Rain.")] if is_answered else [SEALED, CALL]
    if body.get("stream"):
        return stream_of(*events(*output))
    return FakeReply(json.dumps(response(*output)).encode())


def house() -> House:
    return House(by_host(openai=answer))


async def test_a_request_with_tools_goes_over_responses_with_its_effort() -> None:
    it = house()
    got = await it.post(OPENAI, **ASKED)
    [sent] = it.sent_bodies
    assert sent == {
        "model": "gpt-5.4-mini",
        "input": [QUESTION],
        "tools": [
            {"type": "function", "name": "weather", "parameters": SCHEMA, "strict": False},
        ],
        "reasoning": {"effort": "high"},
        "include": ["reasoning.encrypted_content"],
        "store": False,
        "user": "ann",
    }
    assert got.status == 200 and got.headers["x-proxy-dropped"] == "seed"
    assert got.json["object"] == "chat.completion"
    [choice] = got.json["choices"]
    assert choice["finish_reason"] == "tool_calls"
    function = {"name": "weather", "arguments": '{"city":"Oslo"}'}
    assert choice["message"] == {
        "role": "assistant",
        "content": None,
        "refusal": None,
        "tool_calls": [{"id": "call_1", "type": "function", "function": function}],
        "extra_content": STATE,
    }
    assert got.json["usage"]["completion_tokens_details"] == {"reasoning_tokens": 63}
    assert float(got.headers["x-proxy-cost"]) > 0


async def test_the_same_streamed() -> None:
    it = house()
    got = await it.post(OPENAI, stream=True, stream_options={"include_usage": True}, **ASKED)
    assert it.sent_bodies[0]["stream"] is True
    *chunks, end = got.events
    assert end == "[DONE]"
    assert {chunk["object"] for chunk in chunks} == {"chat.completion.chunk"}
    deltas = [choice["delta"] for chunk in chunks for choice in chunk["choices"]]
    assert deltas[0]["role"] == "assistant"
    assert [d["extra_content"] for d in deltas if "extra_content" in d] == [STATE]
    calls = [call for delta in deltas for call in delta.get("tool_calls", ())]
    assert (calls[0]["id"], calls[0]["function"]["name"]) == ("call_1", "weather")
    assert "".join(call["function"]["arguments"] for call in calls) == '{"city":"Oslo"}'
    finishes = [choice["finish_reason"] for chunk in chunks for choice in chunk["choices"]]
    assert finishes[-1] == "tool_calls" and set(finishes[:-1]) == {None}
    assert chunks[-1]["usage"]["total_tokens"] == 179


async def test_a_stream_of_several_thoughts_and_sources_is_read_by_the_sdk() -> None:
    cited = [{"type": "url_citation", "url": f"https://{n}.test"} for n in "ab"]
    second = SEALED | {"id": "rs_2"}
    frames = events(SEALED, says("See.", annotations=cited), second, CALL)
    it = House(by_host(openai=lambda _: stream_of(*frames)))
    got = await it.post(OPENAI, stream=True, **ASKED)
    state = ChatCompletionStreamState()
    for event in got.events[:-1]:
        state.handle_chunk(ChatCompletionChunk.model_validate(event))
    message: Any = state.get_final_completion().choices[0].message.to_dict()
    assert message["extra_content"] == {"openai": {"reasoning": [SEALED, second]}}
    urls = [found["url_citation"]["url"] for found in message["annotations"]]
    assert urls == ["https://a.test", "https://b.test"]
    assert message["tool_calls"][0]["id"] == "call_1"


async def test_the_next_turn_gives_the_reasoning_back() -> None:
    it = house()
    turn = (await it.post(OPENAI, **ASKED)).json["choices"][0]["message"]
    result = {"role": "tool", "tool_call_id": "call_1", "content": "rain"}
    got = await it.post(OPENAI, **ASKED | {"messages": [QUESTION, turn, result]})
    assert it.sent_bodies[1]["input"] == [
        QUESTION,
        SEALED,
        {k: CALL[k] for k in ("type", "call_id", "name", "arguments")},
        {"type": "function_call_output", "call_id": "call_1", "output": "rain"},
    ]
    assert got.text == "Rain."


async def test_a_hit_is_the_answer_in_every_field() -> None:
    it = house()
    miss, hit = [await it.post(OPENAI, **ASKED) for _ in range(2)]
    assert (miss.cache, hit.cache) == ("MISS", "HIT")
    assert hit.json == miss.json
    streamed = await it.post(OPENAI, stream=True, **ASKED)
    assert streamed.cache == "HIT" and len(it.sent) == 1
    deltas = [choice["delta"] for chunk in streamed.events[:-1] for choice in chunk["choices"]]
    assert [d["extra_content"] for d in deltas if "extra_content" in d] == [STATE]


async def test_without_tools_it_stays_with_chat_completions() -> None:
    it = House(by_host(openai=whole("Hi")))
    plain = {name: value for name, value in ASKED.items() if name != "tools"}
    assert (await it.post(OPENAI, **plain)).text == "Hi"
    [outgoing] = it.upstream.sent
    assert outgoing.url == "https://api.openai.com/v1/chat/completions"
    assert it.sent_bodies[0]["reasoning_effort"] == "high"


async def test_a_response_that_fails_gives_way_to_the_next_provider() -> None:
    error = {"code": "server_error", "message": "It broke."}
    broken = events(says("Hi"), status="failed", error=error)
    frames = [*broken[:2], broken[-1]]
    it = House(
        by_host(openai=lambda _: stream_of(*frames), groq=lambda _: whole("Hi")),
        GROQ_API_KEY="key-of-groq",
        FALLBACK_CHAIN="openai,groq",
    )
    got = await it.post(OPENAI, stream=True, **ASKED)
    assert got.headers["x-proxy-provider"] == "groq"
    assert got.text == "Hi"


async def test_a_response_that_breaks_off_ends_in_an_error() -> None:
    frames = events(says("Hello"))[:-1]
    it = House(by_host(openai=lambda _: stream_of(*frames)))
    got = await it.post(OPENAI, stream=True, fallback=False, **ASKED)
    assert got.text == "Hello"
    assert got.events[-1]["choices"][0]["finish_reason"] == "error"
