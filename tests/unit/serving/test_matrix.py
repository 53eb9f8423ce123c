"""Every provider answers the callers of every dialect: whole, streamed, and with a tool whose
result comes back. Each cell goes through the whole app to the scripted upstream, which refuses what
the real provider refuses."""

import json
from typing import Any

import pytest
from msgspec import structs

from tests.unit.callers import JSON
from tests.unit.providers.replay import CATALOG
from tests.unit.serving.making import House, Received
from tests.unit.serving.stage import SERVERS, find_played, make_env, play
from tests.unit.serving.turns import (
    CALLED,
    PARAMETERS,
    PATHS,
    RESULT,
    WITH_TOOLS,
    ask,
    give_result,
    offer,
)
from tests.unit.serving.understanding import JOIN, READ, Understood

PROVIDERS = [*CATALOG.providers, *SERVERS]
each_cell = pytest.mark.parametrize("dialect", PATHS)
each_provider = pytest.mark.parametrize("provider", PROVIDERS)


def make_house() -> House:
    house = House(play, **make_env())
    house.ports = structs.replace(house.ports, bindings=frozenset({"workers-ai"}))
    house.leave()
    return house


async def send(house: House, dialect: str, model: str, body: dict[str, Any]) -> Received:
    sent = {"model": model, **body}
    sent["fallback"] = False
    if body.get("stream") and dialect == "chat":
        sent["stream_options"] = {"include_usage": True}
    before = len(house.upstream.sent)
    answer = await house.fetch("POST", PATHS[dialect], sent, **JSON)
    await house.settle()
    assert answer.status == 200, answer.body
    assert [find_played(outgoing.url) for outgoing in house.upstream.sent[before:]] == [
        model.partition("/")[0]
    ]
    return answer


def read(dialect: str, answer: Received, *, streams: bool = False) -> Understood:
    body = JOIN[dialect](answer.body) if streams else answer.json
    return READ[dialect](body)


@each_provider
@each_cell
async def test_whole(provider: str, dialect: str) -> None:
    answer = await send(make_house(), dialect, f"{provider}/auto", ask(dialect, "Say hello."))
    said = read(dialect, answer)
    assert (said.text, said.finish) == ("echo: Say hello.", "stop")
    assert (said.counts.input, said.counts.output) == (2, 3)


@each_provider
@each_cell
async def test_stream(provider: str, dialect: str) -> None:
    body = ask(dialect, "Say hello.") | {"stream": True}
    answer = await send(make_house(), dialect, f"{provider}/auto", body)
    said = read(dialect, answer, streams=True)
    assert (said.text, said.finish) == ("echo: Say hello.", "stop")
    assert (said.counts.input, said.counts.output) == (2, 3)


@each_provider
@each_cell
async def test_tools(provider: str, dialect: str) -> None:
    house, model = make_house(), WITH_TOOLS.get(provider, f"{provider}/auto")
    body = ask(dialect, "Please call the tool.") | offer(dialect)
    answer = await send(house, dialect, model, body | {"stream": True})
    called = JOIN[dialect](answer.body)
    said = READ[dialect](called)
    assert [call[1:] for call in said.calls] == [("get_weather", CALLED)]
    assert said.finish == "tool_calls"
    answer = await send(house, dialect, model, give_result(dialect, body, called))
    assert read(dialect, answer).text == f"tool said: {RESULT}"


FOREIGN = f"call_{'0123456789' * 5}"
"""The id of a call that another provider's model made: longer than most take."""


def hand_over(dialect: str) -> dict[str, Any]:
    """A conversation that another provider began: its call with what it thought, the result, and
    what the user says to it."""
    if dialect == "messages":
        used = {"type": "tool_use", "id": FOREIGN, "name": "get_weather", "input": CALLED}
        result = {"type": "tool_result", "tool_use_id": FOREIGN, "content": RESULT}
        turns = [
            {"role": "user", "content": "Weather?"},
            {"role": "assistant", "content": [used]},
            {"role": "user", "content": [result, {"type": "text", "text": "Is it warm?"}]},
        ]
        return {"messages": turns, "max_tokens": 500, **offer(dialect)}
    function = {"name": "get_weather", "arguments": '{"city": "Paris"}'}
    called = {
        "role": "assistant",
        "content": None,
        "refusal": None,
        "annotations": [],
        "reasoning_content": "I should look.",
        "tool_calls": [{"id": FOREIGN, "type": "function", "function": function}],
    }
    turns = [
        {"role": "developer", "content": "Be brief."},
        {"role": "user", "content": [{"type": "text", "text": "Weather?"}]},
        called,
        {"role": "tool", "tool_call_id": FOREIGN, "content": [{"type": "text", "text": RESULT}]},
        {"role": "user", "content": "Is it warm?"},
    ]
    return {"messages": turns, **offer(dialect)}


@each_provider
@pytest.mark.parametrize("dialect", ["chat", "messages"])
async def test_a_conversation_that_another_provider_began(provider: str, dialect: str) -> None:
    model = WITH_TOOLS.get(provider, f"{provider}/auto")
    answer = await send(make_house(), dialect, model, hand_over(dialect))
    told = f"tool said: {RESULT}"  # in Messages the result and the text are one turn
    assert read(dialect, answer).text in ("echo: Is it warm?", told)


SETTINGS = {
    "max_tokens": 100,
    "temperature": 0.5,
    "top_p": 0.9,
    "frequency_penalty": 0.1,
    "presence_penalty": 0.1,
    "seed": 7,
    "stop": ["END"],
    "user": "ann",
    "logit_bias": {"50256": -100},
}


@each_provider
async def test_settings_that_some_refuse(provider: str) -> None:
    house = make_house()
    tier = "reasoning" if "reasoning" in tiers(provider) else "auto"
    for effort in ("none", "minimal", "low", "medium", "high", "xhigh", "max"):
        body = ask("chat", f"Say {effort}.") | SETTINGS | {"reasoning_effort": effort}
        answer = await send(house, "chat", f"{provider}/{tier}", body)
        assert read("chat", answer).text == f"echo: Say {effort}."


@each_provider
async def test_fields_of_responses_that_some_refuse(provider: str) -> None:
    body = ask("responses", "Say hello.") | {"metadata": {"a": "b"}, "store": False}
    answer = await send(make_house(), "responses", f"{provider}/auto", body)
    assert read("responses", answer).text == "echo: Say hello."


@pytest.mark.parametrize("provider", [name for name in PROVIDERS if name != "nvidia"])
async def test_a_schema_that_the_answer_follows(provider: str) -> None:
    form = {"name": "city", "schema": PARAMETERS}
    body = ask("chat", "Name a city.") | {
        "response_format": {"type": "json_schema", "json_schema": form}
    }
    answer = await send(make_house(), "chat", f"{provider}/auto", body)
    assert json.loads(read("chat", answer).text).keys() & {"city", "echo"}


MUTE = {"openai", "azure", "vertex"}
"""Those that count what a model thinks in chat completions and don't show it."""


@each_provider
@pytest.mark.parametrize("streams", [False, True])
async def test_what_a_model_thinks(provider: str, *, streams: bool) -> None:
    thinking = {"thinking": {"type": "enabled", "budget_tokens": 2000}, "max_tokens": 5000}
    body = ask("messages", "Please think.") | thinking | {"stream": streams}
    tier = "reasoning" if "reasoning" in tiers(provider) else "auto"
    answer = await send(make_house(), "messages", f"{provider}/{tier}", body)
    said = read("messages", answer, streams=streams)
    assert said.text == "echo: Please think."
    assert said.reasoning == ("" if provider in MUTE else "thinking about: Please think.")


def tiers(provider: str) -> dict[str, str]:
    spec = CATALOG.providers.get(provider)
    return spec.tiers if spec else {}


@each_provider
@pytest.mark.parametrize("dialect", ["chat", "messages"])
async def test_an_answer_that_was_begun_is_gone_on_with(provider: str, dialect: str) -> None:
    body = ask(dialect, "Say hello.")
    body["messages"] += [{"role": "assistant", "content": "echo:"}]
    answer = await send(make_house(), dialect, f"{provider}/auto", body)
    assert read(dialect, answer).text == "echo: Say hello."
