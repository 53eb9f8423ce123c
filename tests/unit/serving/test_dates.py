"""What callers meet before and after the day on which a model ends, of an isolate that lives on."""

import json
from typing import Any

import pytest

from tests.unit.callers import JSON
from tests.unit.doubles import FakeReply, ManualClock
from tests.unit.routing.making import EVENTS, event, whole
from tests.unit.serving.making import FORMS, OPENAI, House, by_host, in_turn

END = 1_799_884_800.0  # 2027-01-14, when gpt-4o ends
SUNSET = {"deprecation": "@1799884800", "sunset": "Thu, 14 Jan 2027 00:00:00 GMT"}
OLD, NEW = "gpt-4o", "gpt-5.4"
NOON = 1_796_040_000.0  # of 2026-11-30
SAID = {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Hi"}]}
RESPONSE = {"id": "resp_1", "object": "response", "status": "completed", "output": [SAID]}


def ends(headers: dict[str, str]) -> dict[str, str]:
    return {name: headers[name] for name in SUNSET if name in headers}


def reply(body: dict[str, Any]) -> FakeReply:
    return FakeReply(json.dumps(body).encode())


def answer(text: str, stream: bool) -> FakeReply:
    if not stream:
        return whole(text)
    pieces = (event({"content": text}), event({}, "stop"), b"data: [DONE]\n\n")
    return FakeReply(*pieces, headers=EVENTS)


@pytest.mark.parametrize(("path", "stream"), FORMS)
async def test_answers_of_a_model_that_ends_say_when(path: str, stream: bool) -> None:
    house = House(by_host(openai=answer("Hi", stream)), ManualClock(END - 1))
    for cache in ("MISS", "HIT", "HIT", "HIT"):
        got = await house.post(path, model=f"openai/{OLD}", stream=stream)
        assert (got.cache, ends(got.headers)) == (cache, SUNSET)
    house.leave()  # KV has it
    got = await house.post(path, model=OLD, stream=stream)
    assert (got.cache, ends(got.headers)) == ("HIT", SUNSET)


async def test_answers_in_agents_dialects_say_it_too() -> None:
    house = House(in_turn(whole("Hi"), reply(RESPONSE)), ManualClock(END - 1))
    turn = {"model": f"openai/{OLD}", "messages": [{"role": "user", "content": "Hello"}]}
    got = await house.fetch("POST", "/v1/messages", turn | {"max_tokens": 9}, **JSON)
    assert (got.status, ends(got.headers)) == (200, SUNSET)
    asked = {"model": f"openai/{OLD}", "input": "Hello", "store": False}
    got = await house.fetch("POST", "/v1/responses", asked, **JSON)
    assert (got.status, ends(got.headers)) == (200, SUNSET)


async def test_a_snapshot_ends_with_its_model_and_others_do_not() -> None:
    house = House(in_turn(whole("Hi")), ManualClock(END - 1))
    got = await house.post(model=f"{OLD}-2024-08-06")
    assert ends(got.headers) == SUNSET
    got = await house.post(model=f"openai/{NEW}")
    assert got.status == 200 and not ends(got.headers)
    assert not ends((await house.fetch("GET", "/v1/models")).headers)


@pytest.mark.parametrize(("path", "stream"), FORMS)
async def test_with_the_day_the_name_goes_to_what_replaces_it(path: str, stream: bool) -> None:
    turns = in_turn(answer("old", stream), answer("new", stream))
    house = House(by_host(openai=turns), ManualClock(END - 1))
    for _ in range(3):
        assert (await house.post(path, model=OLD, stream=stream)).text == "old"
    house.clock.time = END
    for cache in ("MISS", "HIT", "HIT"):
        got = await house.post(path, model=OLD, stream=stream)
        assert (got.text, got.cache, got.headers["x-proxy-model"]) == ("new", cache, NEW)
        assert not ends(got.headers)
    assert [body["model"] for body in house.sent_bodies] == [OLD, NEW]
    # What answers for it has its own answers, under whichever name.
    assert (await house.post(path, model=f"openai/{NEW}", stream=stream)).cache == "HIT"


async def test_the_attempts_and_the_log_say_what_is_replaced() -> None:
    house = House(in_turn(whole("Hi")), ManualClock(END))
    got = (await house.post(model=f"openai/{OLD}-2024-08-06")).json["metadata"]["attempts"]
    assert [(a["model"], a["replaces"]) for a in got] == [(NEW, f"{OLD}-2024-08-06")]
    got = (await house.post(model=f"openai/{NEW}", prompt="Else")).json["metadata"]["attempts"]
    assert "replaces" not in got[0]


async def test_each_request_of_a_batch_follows() -> None:
    house = House(in_turn(whole("Hi")), ManualClock(END))
    requests = [{"prompt": name, "model": name, "fallback": False} for name in (OLD, NEW)]
    got = await house.fetch("POST", "/v1/batch", {"requests": requests}, **JSON)
    attempts = [result["response"]["metadata"]["attempts"][0] for result in got.json["results"]]
    assert [(a["model"], a.get("replaces")) for a in attempts] == [(NEW, OLD), (NEW, None)]


async def test_a_failed_attempt_says_it_too() -> None:
    house = House(in_turn(FakeReply(b"no", status=400)), ManualClock(END))
    got = await house.post(OPENAI, model=OLD, fallback=False)
    assert got.status == 400 and not ends(got.headers)
    assert got.json["error"]["attempts"][0]["replaces"] == OLD
    house.clock.time = END - 1
    got = await house.post(OPENAI, model=OLD, fallback=False)
    assert got.status == 400 and not ends(got.headers)  # the model gave no answer


async def test_what_it_costs_is_the_price_of_the_day_and_of_the_hour() -> None:
    said = {"candidates": [{"content": {"parts": [{"text": "Hi"}]}, "finishReason": "STOP"}]}
    used = {"usageMetadata": {"promptTokenCount": 1_000, "candidatesTokenCount": 1_000}}
    house = House(in_turn(reply(said | used)), GEMINI_API_KEY="k")
    costs = []
    for seconds in (0, 43_199, 43_200):
        house.clock.time = NOON + seconds
        got = await house.post(model="gemini/gemini-4-argon", prompt=f"{seconds}")
        costs.append(got.headers["x-proxy-cost"])
    assert costs == ["0.012000000", "0.012000000", "0.024000000"]


async def test_it_costs_half_at_night() -> None:
    house = House(in_turn(whole("Hi")), DEEPSEEK_API_KEY="k")
    costs = []
    for hours in (-9, 0):
        house.clock.time = NOON + hours * 3600
        got = await house.post(model="deepseek/deepseek-chat", prompt=f"{hours}")
        costs.append(float(got.headers["x-proxy-cost"]))
    assert costs[0] == pytest.approx(2 * costs[1]) and costs[1] > 0


async def test_the_day_may_be_set() -> None:
    house = House(in_turn(whole("Hi")), CATALOG_DATE="2027-01-14")
    assert (await house.post(model=OLD)).headers["x-proxy-model"] == NEW
    house = House(in_turn(whole("Hi")), ManualClock(END), CATALOG_DATE="2027-01-13")
    got = await house.post(model=OLD)
    assert (got.headers["x-proxy-model"], ends(got.headers)) == (OLD, SUNSET)


async def test_what_ends_is_announced_by_provider() -> None:
    house = House(in_turn(whole("Hi")), CATALOG_DATE="2026-12-01")
    told = (await house.fetch("GET", "/health/providers")).json["providers"]
    [openai] = [each for each in told if each["name"] == "openai"]
    end = {"model": OLD, "shutdown": "2027-01-14", "replacedBy": f"openai/{NEW}"}
    assert end in openai["endings"] and openai["priceChanges"] == []
