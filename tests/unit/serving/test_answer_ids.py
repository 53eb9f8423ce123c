"""No two answers have an id in common, though their caller gives all requests the same."""

import json
from typing import Any

import pytest

from proxy.core.web import Response
from tests.unit.callers import JSON, send
from tests.unit.doubles import FakeReply
from tests.unit.routing.making import whole
from tests.unit.serving.making import House, by_host

AGAIN = JSON | {"x-request-id": "again"}
MODEL = "mistral/mistral-large-4"
RESPONSES = "/v1/responses"
LOOK = {"name": "look", "parameters": {"type": "object"}}
TOOLS: dict[str, dict[str, Any]] = {
    RESPONSES: {"type": "function", **LOOK},
    "/v1/chat/completions": {"type": "function", "function": LOOK},
    "/v1/messages": {"name": "look", "input_schema": {"type": "object"}},
}


def calling() -> FakeReply:
    """An answer with a tool's call, both without an id."""
    body = json.loads(whole("Hi").pieces[0])  # type: ignore[arg-type]
    del body["id"]
    call = {"type": "function", "function": {"name": "look", "arguments": "{}"}}
    body["choices"][0]["message"]["tool_calls"] = [call]
    return FakeReply(json.dumps(body).encode())


async def ask(house: House, path: str, text: str, **fields: Any) -> Response:
    said: dict[str, Any] = {"input": text}
    if path != RESPONSES:
        said = {"messages": [{"role": "user", "content": text}], "max_tokens": 9}
    request = house.request("POST", path, {"model": MODEL, **said, **fields}, **AGAIN)
    answer = await send(house.app, request)
    assert answer.status == 200, answer.body
    assert answer.headers["x-request-id"] == "again"
    await house.settle()
    return answer


async def test_each_response_is_kept_under_an_id_of_its_own() -> None:
    house = House(by_host(mistral=whole("Hi")), MISTRAL_API_KEY="key")
    texts = ("one", "two", "two")  # the last comes from the cache
    answers = [await ask(house, RESPONSES, text) for text in texts]
    ids = [json.loads(answer.body)["id"] for answer in answers]
    assert len(set(ids)) == 3
    for id_, text in zip(ids, texts, strict=True):
        path = f"{RESPONSES}/{id_}/input_items"
        items = await send(house.app, house.request("GET", path))
        assert json.loads(items.body)["data"][0]["content"] == text


@pytest.mark.parametrize(("path", "tool"), TOOLS.items())
async def test_answers_and_their_parts_have_ids_of_their_own(
    path: str, tool: dict[str, Any]
) -> None:
    house = House(by_host(mistral=calling()), MISTRAL_API_KEY="key")
    seen: set[str] = set()
    for text in ("one", "two"):
        body = json.loads((await ask(house, path, text, tools=[tool])).body)
        ids = {body["id"], *(item["id"] for item in body.get("output", ()))}
        assert not seen & ids
        seen |= ids
