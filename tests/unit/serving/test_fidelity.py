"""A hit is the same answer as the miss was, in every field that OpenAI's dialect has: whole and
streamed, whichever of them filled the cache."""

import json
import re
from typing import Any

import pytest

from tests.unit.doubles import FakeReply
from tests.unit.providers import replay
from tests.unit.routing.making import EVENTS
from tests.unit.serving.making import OPENAI, House, Received

PROVIDERS = ("openai", "deepseek", "groq", "openrouter", "huggingface", "local")
ENV = {f"{name.upper()}_API_KEY": f"key-of-{name}" for name in PROVIDERS}
ENV["LOCAL_BASE_URL"] = "http://127.0.0.1:9/v1"
FIXTURES = [
    (provider, case)
    for provider in PROVIDERS
    for case in replay.cases(provider)
    if not re.search(
        "FAULT|UNFINISHED|content_filter|^'' ", replay.outcomes(provider)[case].strip()
    )
]
"""All that are kept: answers that are whole and not empty."""
WHOLE = [pair for pair in FIXTURES if not replay.load(*pair).streams]
STREAMS = [pair for pair in FIXTURES if replay.load(*pair).streams]
VOLATILE = ("obfuscation",)


def each(pairs: list[tuple[str, str]]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize(("provider", "case"), pairs, ids=["/".join(p) for p in pairs])


def house_of(body: bytes, *, streams: bool) -> House:
    headers = EVENTS if streams else {"content-type": "application/json"}
    return House(lambda _: FakeReply(body, headers=headers), **ENV)


async def chat(house: House, provider: str, **fields: Any) -> Received:
    return await house.post(OPENAI, model=f"{provider}/model-1", fallback=False, **fields)


def assembled(answer: Received) -> dict[str, Any]:
    """What a stream's chunks add up to, as a completion."""
    assert answer.events[-1] == "[DONE]"
    whole: dict[str, Any] = {}
    choice: dict[str, Any] = {}
    message: dict[str, Any] = {"calls": {}}
    for chunk in answer.events[:-1]:
        for piece in chunk.pop("choices")[:1]:
            _merge_message(message, piece.pop("delta"))
            choice |= {name: value for name, value in piece.items() if value is not None}
        whole |= {k: v for k, v in chunk.items() if v is not None and k not in VOLATILE}
    if re.fullmatch("chatcmpl-[0-9a-f]{24}", whole["id"]):
        whole["id"] = ""  # the provider gave none
    return whole | {"choice": choice, "message": {k: v for k, v in message.items() if v}}


def _merge_message(message: dict[str, Any], delta: dict[str, Any]) -> None:
    for call in delta.pop("tool_calls", None) or ():
        kept = message["calls"].setdefault(call["index"], {"arguments": ""})
        kept["arguments"] += call["function"].get("arguments") or ""
        kept |= {k: call[k] for k in ("id", "type") if call.get(k)}
        kept |= {"name": call["function"]["name"]} if call["function"].get("name") else {}
    for name, value in delta.items():
        if name == "channel":  # Groq's mark on pieces of reasoning
            continue
        if isinstance(value, str) and name != "role" and isinstance(message.get(name), str):
            message[name] += value
        elif isinstance(value, list) and isinstance(message.get(name), list):
            message[name] = message[name] + value
        elif value is not None:
            message[name] = value


@each(WHOLE)
async def test_a_whole_hit_is_the_miss(provider: str, case: str) -> None:
    body = replay.load(provider, case).body
    house = house_of(body, streams=False)
    miss, hit = await chat(house, provider), await chat(house, provider)
    assert (miss.cache, hit.cache) == ("MISS", "HIT")
    assert _without_created(hit.json) == _without_created(miss.json)
    if replay.outcomes(provider)[case].strip().endswith("raw"):
        assert miss.body == body


def _without_created(completion: Any) -> Any:
    """Where the provider tells no time the proxy tells its own."""
    return completion | {"created": completion["created"] and 0}


@each(STREAMS)
@pytest.mark.parametrize("counted", [True, False], ids=["usage", "no usage"])
async def test_a_streamed_hit_is_the_miss(provider: str, case: str, counted: bool) -> None:
    house = house_of(replay.load(provider, case).body, streams=True)
    options = {"stream": True, "stream_options": {"include_usage": counted}}
    first, second = await chat(house, provider, **options), await chat(house, provider, **options)
    assert (first.cache, second.cache) == ("MISS", "HIT")
    miss, hit = assembled(first), assembled(second)
    if not counted:  # what stood in the chunk of usage, which the caller did not want
        hit = {name: value for name, value in hit.items() if name in miss}
    assert hit == miss


@each(STREAMS)
async def test_a_stream_fills_the_cache_for_whole_answers(provider: str, case: str) -> None:
    house = house_of(replay.load(provider, case).body, streams=True)
    streamed = assembled(await chat(house, provider, stream=True))
    hit = (await chat(house, provider)).json
    message = hit["choices"][0]["message"]
    for name, value in streamed["message"].items():
        if name == "calls":
            made = [(c["id"], c["function"]["name"]) for c in message["tool_calls"]]
            assert made == [(c["id"], c["name"]) for c in value.values()]
        else:
            assert message[name] == value
    for name in streamed.keys() - {"choice", "message", "object", "usage", "id"}:
        assert hit[name] == streamed[name]


@each(WHOLE)
async def test_a_whole_answer_fills_the_cache_for_streams(provider: str, case: str) -> None:
    house = house_of(replay.load(provider, case).body, streams=False)
    miss = (await chat(house, provider)).json
    options = {"stream": True, "stream_options": {"include_usage": True}}
    streamed = assembled(await chat(house, provider, **options))
    message = miss["choices"][0]["message"]
    for name, value in message.items():
        if value and name not in ("tool_calls", "role"):
            assert streamed["message"][name] == value
    for name in miss.keys() - {"choices", "object", "created"}:
        assert streamed.get(name) == miss[name]


# What fixtures don't have

THOUGHT = "<think>\nHm.\n</think>\n\nHi"


def completion(message: dict[str, Any], **fields: Any) -> bytes:
    choice = {"index": 0, "message": message, "finish_reason": "stop", "stop_reason": 7}
    head = {"id": "c-1", "object": "chat.completion", "created": 7, "model": "m-1"}
    return json.dumps({**head, "choices": [choice], **fields}).encode()


@pytest.mark.parametrize(
    "message",
    [
        {"role": "assistant", "content": THOUGHT},
        {"role": "assistant", "content": "<think></think>Hi"},
        {"role": "assistant", "content": "\n<think>Hm.</think>\n<think>Hi"},
        {"role": "assistant", "content": "Hi", "reasoning": "Hm."},
        {"role": "assistant", "content": "Hi", "reasoning_content": "Hm."},
        {"role": "assistant", "content": "Hi", "reasoning": "Hm.", "reasoning_content": "Hm."},
        {"role": "assistant", "content": "Hi", "annotations": [], "new": None, "newer": {"a": []}},
        {"role": "assistant", "content": "Hi", "refusal": None},
    ],
    ids=str,
)
async def test_fields_of_the_message(message: dict[str, Any]) -> None:
    house = house_of(completion(message), streams=False)
    miss, hit = await chat(house, "local"), await chat(house, "local")
    assert (hit.cache, hit.json) == ("HIT", miss.json)
    streamed = assembled(await chat(house, "local", stream=True))["message"]
    assert streamed == {name: value for name, value in message.items() if value not in (None, [])}


async def test_fields_beside_the_choices() -> None:
    beside = {
        "system_fingerprint": "fp",
        "service_tier": "flex",
        "x_new": {"a": 1},
        "usage": {"prompt_tokens": 3, "completion_tokens": 2, "queue_time": 0.5, "total_tokens": 5},
        "huge": 10**400,
    }
    house = house_of(completion({"role": "assistant", "content": "Hi"}, **beside), streams=False)
    miss, hit = await chat(house, "local"), await chat(house, "local")
    expected = {name: value for name, value in miss.json.items() if name != "huge"}
    assert {name: value for name, value in hit.json.items() if name != "huge"} == expected


async def test_inline_reasoning_of_a_stream_comes_again_where_it_stood() -> None:
    pieces = [THOUGHT[:4], THOUGHT[4:12], THOUGHT[12:]]
    head = {"id": "c", "object": "chat.completion.chunk", "model": "m", "created": 7}
    choices = [{"index": 0, "delta": {"content": piece}} for piece in pieces]
    choices.append({"index": 0, "delta": {}, "finish_reason": "stop"})
    chunks = [f"data: {json.dumps({**head, 'choices': [choice]})}\n\n" for choice in choices]
    house = house_of("".join([*chunks, "data: [DONE]\n\n"]).encode(), streams=True)
    miss = await chat(house, "local", stream=True)
    hit = await chat(house, "local", stream=True)
    assert miss.text == hit.text == THOUGHT
    assert (await chat(house, "local")).json["choices"][0]["message"]["content"] == THOUGHT
    native = await house.post(model="local/model-1", fallback=False)
    assert (native.json["data"], native.json["reasoning"]) == ("Hi", "Hm.")


F = {"name": "f", "parameters": {"type": "object"}}
MADE = {"name": "f", "arguments": '{"a": 1}'}
IN_TOOLS = {"tools": [{"type": "function", "function": F}], "parallel_tool_calls": False}
IN_FUNCTIONS = {"functions": [F]}


def house_that_calls(call: dict[str, Any], *, streams: bool) -> House:
    """Whose provider answers with a call of a tool."""
    message = {"role": "assistant", "content": None, "tool_calls": [call]}
    if not streams:
        body = json.loads(completion(message))
        body["choices"][0]["finish_reason"] = "tool_calls"
        return house_of(json.dumps(body).encode(), streams=False)
    head = {"id": "c", "object": "chat.completion.chunk", "model": "m", "created": 7}
    kind = call["type"]
    text = "input" if kind == "custom" else "arguments"
    begun = {"index": 0, **call, kind: {**call[kind], text: ""}}
    deltas = [{"role": "assistant", "content": None, "tool_calls": [begun]}]
    deltas += [
        {"tool_calls": [{"index": 0, kind: {text: piece}}]}
        for piece in re.findall("..?.?", call[kind][text], re.DOTALL)
    ]
    choices: list[dict[str, Any]] = [{"index": 0, "delta": delta} for delta in deltas]
    choices.append({"index": 0, "delta": {}, "finish_reason": "tool_calls"})
    chunks = [f"data: {json.dumps({**head, 'choices': [choice]})}\n\n" for choice in choices]
    return house_of("".join([*chunks, "data: [DONE]\n\n"]).encode(), streams=True)


def call_in(answer: Received) -> tuple[dict[str, Any], str]:
    """The call that an answer holds, under the field that holds it, and the finish reason."""
    message: dict[str, Any] = {}
    finish = ""
    for part in answer.events[:-1] or [answer.json]:
        choice = part["choices"][0]
        finish = choice.get("finish_reason") or finish
        for name in ("tool_calls", "function_call"):
            held = choice.get("message", choice.get("delta")).get(name) or {}
            _add(message.setdefault(name, {}), held[0] if isinstance(held, list) else held)
    return {name: call for name, call in message.items() if call}, finish


def _add(call: dict[str, Any], piece: dict[str, Any]) -> None:
    for name, value in piece.items():
        if isinstance(value, dict):
            _add(call.setdefault(name, {}), value)
        elif name != "index":
            call[name] = call.get(name, "") + value


@pytest.mark.parametrize("streams", [False, True])
@pytest.mark.parametrize("first", [IN_FUNCTIONS, IN_TOOLS], ids=["functions", "tools"])
async def test_a_kept_call_comes_in_the_form_of_each_caller(
    first: dict[str, Any], streams: bool
) -> None:
    call = {"id": "c_1", "type": "function", "function": MADE}
    house = house_that_calls(call, streams=streams)
    answers = [await chat(house, "openai", stream=streams, **first)]
    for form in (IN_FUNCTIONS, IN_TOOLS):
        answers += [await chat(house, "openai", stream=stream, **form) for stream in (False, True)]
    in_functions, in_tools = (
        ({"function_call": MADE}, "function_call"),
        ({"tool_calls": call}, "tool_calls"),
    )
    forms = [in_functions if first is IN_FUNCTIONS else in_tools]
    forms += [in_functions, in_functions, in_tools, in_tools]
    assert [answer.cache for answer in answers] == ["MISS", *["HIT"] * 4]
    assert [call_in(answer) for answer in answers] == forms


SHELL = {"type": "custom", "custom": {"name": "sh", "format": {"type": "text"}}}


@pytest.mark.parametrize("provider", ["openai", "openrouter"])
@pytest.mark.parametrize("streams", [False, True])
@pytest.mark.parametrize("text", ["", 'ls "é"\n\t-l', "{}"])
async def test_a_call_of_a_custom_tool_keeps_name_and_input(
    provider: str, streams: bool, text: str
) -> None:
    call = {"id": "c_1", "type": "custom", "custom": {"name": "sh", "input": text}}
    house = house_that_calls(call, streams=streams)
    for number, stream in enumerate((streams, streams, not streams)):
        answer = await chat(house, provider, stream=stream, tools=[SHELL])
        assert answer.cache == ("HIT" if number else "MISS")
        assert call_in(answer) == ({"tool_calls": call}, "tool_calls")
    native = {"model": f"{provider}/model-1", "fallback": False, "tools": [SHELL]}
    assert (await house.post(**native)).json["toolCalls"] == [call]
    [*deltas, done] = (await house.post(stream=True, **native)).events
    assert done["toolCalls"] == [call]
    streamed: dict[str, Any] = {}
    for delta in deltas:
        _add(streamed, delta["toolCall"])
    assert streamed == {"id": "c_1", "type": "custom", "name": "sh", "input": text}
