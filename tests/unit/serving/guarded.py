"""A deployment with a guardrail, and what its callers send."""

from typing import Any

from msgspec import structs

from tests.unit.callers import JSON
from tests.unit.serving.making import House, Received
from tests.unit.serving.stage import make_env, play

MAIL = "joe@x.example"
MASK, REFUSE = {"GUARDRAIL": "mask"}, {"GUARDRAIL": "refuse"}


def played(**env: str) -> House:
    house = House(play, **make_env(), **env)
    house.ports = structs.replace(house.ports, bindings=frozenset({"workers-ai"}))
    house.leave()
    return house


def message(content: Any, **fields: Any) -> dict[str, Any]:
    return {"model": "openai/gpt-4o", "messages": [{"role": "user", "content": content}], **fields}


async def post(house: House, path: str, body: Any, **headers: str) -> Received:
    answer = await house.fetch("POST", path, body, **(JSON | headers))
    await house.settle()
    return answer
