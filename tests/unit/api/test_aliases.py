"""The operators' paths for aliases: what is kept, listed and refused."""

import json
from typing import Any
from urllib.parse import quote

import pytest

from proxy.aliases.model import MOST_BYTES
from tests.unit.serving.aliased import GPT, LLAMA, Aliased
from tests.unit.serving.limited import ADMIN, KEYED
from tests.unit.serving.making import Received

PATH = "/admin/aliases"
EVERYTHING: dict[str, Any] = {
    "name": "support",
    "targets": [
        {
            "model": GPT,
            "id": "main",
            "weight": 90.0,
            "when": {
                "keys": ["key_1"],
                "users": ["ann", "team-*"],
                "metadata": {"plan": "pro", "region": ["eu", "us"]},
                "needs": ["vision", "tools", "json", "reasoning"],
                "promptTokens": {"min": 1, "max": 8000},
            },
            "limit": {"perHour": 100, "burst": 5},
            "budget": {"day": 5.5, "month": 100.0},
        },
        {"model": "groq/smart", "id": "groq/smart", "weight": 10.0},
    ],
    "strategy": "weighted",
    "fallback": True,
    "defaults": {
        "maxTokens": 500,
        "temperature": 0.2,
        "stop": ["END"],
        "seed": 7,
        "frequencyPenalty": 0.5,
        "presencePenalty": -0.5,
        "reasoningEffort": "low",
        "responseFormat": {"type": "json_object"},
    },
    "fixed": {"topP": 1.0},
    "system": "You are kind.",
    "systemMode": "replace",
    "timeout": 20000,
    "cache": {"ttl": 600, "mode": "refresh"},
    "description": "For the help desk",
}


async def call(
    method: str, path: str = PATH, body: Any = b"", house: Aliased | None = None
) -> Received:
    return await (house or Aliased()).fetch(method, path, body, **ADMIN)


async def refused(**fields: Any) -> str:
    """Why an alias with these fields is refused."""
    body = {"name": "support", "targets": [{"model": GPT}]} | fields
    answer = await call("POST", body=body)
    assert answer.status == 400, answer.body
    return str(answer.json["error"]["message"])


async def test_all_that_an_alias_may_hold_comes_back() -> None:
    house = Aliased()
    made = await call("POST", PATH, EVERYTHING, house)
    assert made.status == 201, made.body
    etag = made.headers["etag"]
    assert made.json == EVERYTHING | {"updatedAt": "2023-11-14T22:13:20Z", "etag": etag}
    shown = await call("GET", f"{PATH}/support", house=house)
    assert (shown.json, shown.headers["etag"]) == (made.json, etag)
    listed = await call("GET", house=house)
    assert listed.json == {"aliases": [made.json], "next": None}
    assert listed.headers["cache-control"] == "no-store"


async def test_what_is_left_out_is_spelled_out() -> None:
    made = await call("POST", PATH, {"name": "a", "targets": [{"model": "fast"}]})
    assert made.json["targets"] == [{"model": "fast", "id": "fast"}]
    assert made.json["strategy"] == "priority"
    weighed = await call("POST", PATH, {"name": "a", "targets": [{"model": "fast", "weight": 1}]})
    assert weighed.json["strategy"] == "weighted"


async def test_to_create_is_not_to_replace() -> None:
    house = Aliased()
    body = {"name": "a", "targets": [{"model": GPT}]}
    assert (await call("POST", PATH, body, house)).status == 201
    again = await call("POST", PATH, body, house)
    assert (again.status, again.json["error"]["type"]) == (409, "invalid_request")
    assert "PUT /admin/aliases/a replaces it" in again.json["error"]["message"]


async def test_to_put_is_either() -> None:
    house = Aliased()
    statuses = []
    for model in (GPT, LLAMA):
        put = await call("PUT", f"{PATH}/a.b%3Ac", {"targets": [{"model": model}]}, house)
        statuses.append(put.status)
    assert statuses == [201, 200]
    shown = await call("GET", f"{PATH}/a.b:c", house=house)
    assert (shown.json["name"], shown.json["targets"][0]["model"]) == ("a.b:c", LLAMA)


async def put(house: Aliased, if_match: str, model: str) -> Received:
    body = {"targets": [{"model": model}]}
    return await house.fetch("PUT", f"{PATH}/a", body, **ADMIN, **{"if-match": if_match})


async def delete(house: Aliased, if_match: str) -> Received:
    return await house.fetch("DELETE", f"{PATH}/a", **ADMIN, **{"if-match": if_match})


async def test_of_two_who_change_what_both_have_read_the_second_is_refused() -> None:
    house = Aliased()
    await house.make("a")
    read = (await call("GET", f"{PATH}/a", house=house)).headers["etag"]
    first = await put(house, read, LLAMA)
    assert first.status == 200
    second = await put(house, read, GPT)
    assert (second.status, second.json["error"]["type"]) == (412, "invalid_request")
    shown = await call("GET", f"{PATH}/a?usage=true", house=house)
    assert shown.json["targets"][0]["model"] == LLAMA
    assert shown.headers["etag"] == first.headers["etag"] != read
    assert (await delete(house, read)).status == 412
    assert (await put(house, first.headers["etag"], GPT)).status == 200


@pytest.mark.parametrize(
    ("if_match", "there", "not_there"),
    [
        ("*", 200, 412),
        ('"other", {}', 200, 412),
        ("W/{}", 412, 412),
        ('"other"', 412, 412),
        ("garbage", 412, 412),
        ("", 412, 412),
    ],
)
async def test_which_tags_match(if_match: str, there: int, not_there: int) -> None:
    house = Aliased()
    etag = '"none"'
    assert (await put(house, if_match.format(etag), GPT)).status == not_there
    assert (await delete(house, if_match.format(etag))).status == not_there
    await house.make("a")
    etag = (await call("GET", f"{PATH}/a", house=house)).headers["etag"]
    put_there = await put(house, if_match.format(etag), GPT)
    assert put_there.status == there
    etag = put_there.headers.get("etag", etag)
    deleted = 204 if there == 200 else there
    assert (await delete(house, if_match.format(etag))).status == deleted


async def test_the_name_in_the_body_is_that_of_the_path() -> None:
    put = await call("PUT", f"{PATH}/a", {"name": "b", "targets": [{"model": GPT}]})
    assert (put.status, put.json["error"]["param"]) == (400, "name")


async def test_what_is_deleted_is_gone() -> None:
    house = Aliased()
    await house.make("a")
    assert (await call("DELETE", f"{PATH}/a", house=house)).status == 204
    for method in ("GET", "DELETE"):
        assert (await call(method, f"{PATH}/a", house=house)).status == 404
    assert (await call("GET", house=house)).json["aliases"] == []


async def test_pages() -> None:
    house = Aliased()
    for name in "dcba":
        await house.make(name)
    first = (await call("GET", f"{PATH}?limit=3", house=house)).json
    last = (await call("GET", f"{PATH}?cursor={first['next']}", house=house)).json
    names = [alias["name"] for page in (first, last) for alias in page["aliases"]]
    assert (names, last["next"]) == (["d", "c", "b", "a"], None)
    assert (await call("GET", f"{PATH}?offset=1", house=house)).status == 400


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_they_are_for_operators(method: str) -> None:
    assert (await Aliased().fetch(method, PATH, **KEYED)).status == 403


@pytest.mark.parametrize("name", ["fast", "auto", "openai", "groq"])
async def test_names_of_others(name: str) -> None:
    assert await refused(name=name) == f"name: {name!r} is a tier's or a provider's name"


@pytest.mark.parametrize("name", ["", "-a", "a/b", "a b", "\u00e4", "a" * 65, "custom/a"])
async def test_names_that_are_none(name: str) -> None:
    like = (
        "name: Must have 1 to 64 characters: ASCII letters and digits, after the first also _ . : -"
    )
    assert await refused(name=name) == like
    if name:
        put = await call("PUT", f"{PATH}/{quote(name, safe='')}", {"targets": [{"model": GPT}]})
        assert (put.status, put.json["error"]["message"]) == (400, like)
        assert (await call("GET", f"{PATH}/{quote(name, safe='')}")).status == 404


@pytest.mark.parametrize(
    ("target", "words"),
    [
        ({"model": "gpt-of-nobody"}, "targets[0].model: The model 'gpt-of-nobody' is not known"),
        ({"model": "support"}, "targets[0].model: 'support' is an alias"),
        ({"model": "custom/other"}, "targets[0].model: The model 'custom/other' is not known"),
        ({"model": "nvidia/vision"}, "targets[0].model: No provider has a model of the tier"),
        ({"model": GPT, "wieght": 1}, "targets[0].wieght: Unknown field"),
        ({"model": GPT, "weight": -1}, "targets[0].weight: "),
        ({"model": GPT, "weight": 0}, "targets[0].weight: One of the targets must have more"),
        ({"model": GPT, "when": {"plan": "pro"}}, "targets[0].when.plan: Unknown field"),
        ({"model": GPT, "when": {"keys": []}}, "targets[0].when.keys: "),
        ({"model": GPT, "when": {"needs": ["speed"]}}, "targets[0].when.needs[0]: "),
        (
            {"model": GPT, "when": {"promptTokens": {"min": 2, "max": 1}}},
            "targets[0].when.promptTokens: min is above max",
        ),
        ({"model": GPT, "limit": {"burst": 1}}, "targets[0].limit.perHour: Missing"),
        ({"model": GPT, "limit": {"perHour": 0}}, "targets[0].limit.perHour: "),
        ({"model": GPT, "budget": {}}, "targets[0].budget: Give day, month or both"),
        ({"model": GPT, "budget": {"day": 0}}, "targets[0].budget.day: "),
    ],
)
async def test_targets_that_are_wrong(target: dict[str, Any], words: str) -> None:
    assert (await refused(targets=[target])).startswith(words)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"targets": []}, "targets: "),
        ({"targets": [{"model": GPT}] * 2}, f"targets[1].id: '{GPT}' is another target's"),
        ({"targets": [{"model": f"openai/m{n}"} for n in range(65)]}, "targets: "),
        ({"strategy": "random"}, "strategy: "),
        ({"defaults": {"top_p": 1}}, "defaults.top_p: Unknown field"),
        ({"fixed": {"temperature": 3}}, "fixed.temperature: "),
        ({"fixed": {"messages": []}}, "fixed.messages: Unknown field"),
        ({"defaults": {"responseFormat": {"type": "json_schema"}}}, "defaults.responseFormat"),
        ({"system": ""}, "system: "),
        ({"systemMode": "append"}, "systemMode: "),
        ({"timeout": 0}, "timeout: "),
        ({"cache": {"namespace": "a"}}, "cache.namespace: Unknown field"),
        ({"description": "a\nb"}, "description: "),
        ({"owner": "me"}, "owner: Unknown field"),
        (
            {"system": "x" * 15_990, "description": "y" * 200, "pad": "z" * 300},
            "The body: An alias",
        ),
    ],
)
async def test_fields_that_are_wrong(fields: dict[str, Any], words: str) -> None:
    assert (await refused(**fields)).startswith(words)


async def test_a_target_is_no_alias() -> None:
    house = Aliased()
    await house.make("gpt-4o")
    answer = await call("POST", PATH, {"name": "a", "targets": [{"model": "gpt-4o"}]}, house)
    assert answer.json["error"]["message"] == (
        "targets[0].model: 'gpt-4o' is an alias; name a model, as provider/model"
    )


async def test_what_is_too_large() -> None:
    body = json.dumps({"name": "a"}).encode() + b" " * MOST_BYTES
    assert (await call("POST", PATH, body)).status == 400


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
async def test_a_store_that_does_not_answer(method: str) -> None:
    house = Aliased()
    house.objects.aliases.down = True
    answer = await call(method, f"{PATH}/a", {"targets": [{"model": GPT}]}, house)
    assert (answer.status, answer.headers["retry-after"]) == (503, "1")


async def test_a_key_may_be_issued_for_an_alias() -> None:
    house = Aliased()
    await house.make("support")
    body = {"user": "ann", "models": ["support", "custom/other", "@preset/*"]}
    issued = await call("POST", "/admin/keys", body, house)
    assert (issued.status, issued.json["models"]) == (201, body["models"])
