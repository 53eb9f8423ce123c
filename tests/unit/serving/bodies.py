"""A deployment that keeps bodies, and what its callers ask of it."""

from typing import Any

from msgspec import structs

from proxy.privacy.body_log import PREFIX
from tests.unit.callers import JSON
from tests.unit.serving.making import OPENAI, House, Received
from tests.unit.serving.stage import make_env, play

MAIL, CARD = "joe@x.example", "4111 1111 1111 1111"
ADMIN, VIEWER = "admin-token-0123456789", "metrics-token-0123456789"
ON = {"BODY_LOG": "on", "ANALYTICS": "on", "ADMIN_TOKEN": ADMIN, "METRICS_TOKEN": VIEWER}


def by(key: str) -> dict[str, str]:
    return JSON | {"authorization": f"Bearer {key}"}


def logged(answer: Any = None, **env: str) -> House:
    house = House(answer or play, **(make_env() | ON | env))
    house.ports = structs.replace(house.ports, bindings=frozenset({"workers-ai"}))
    house.leave()
    return house


async def issue(house: House, user: str) -> str:
    made = await house.fetch("POST", "/admin/keys", {"user": user}, **by(ADMIN))
    return str(made.json["key"])


async def say(house: House, path: str = OPENAI, key: str = ADMIN, /, **fields: Any) -> Received:
    headers = {name: fields.pop(name) for name in [*fields] if name.startswith(("cf_", "x_"))}
    body = {} if path == "/v1/batch" else {"model": "openai/auto"}
    body |= fields
    answer = await house.fetch("POST", path, body, **(by(key) | headers))
    await house.settle()
    return answer


async def look(house: House, answer: Received, key: str = ADMIN) -> Received:
    id_ = answer.headers["x-request-id"]
    return await house.fetch("GET", f"/analytics/requests/{id_}/body", **by(key))


def kept(house: House) -> list[bytes]:
    return [data for key, (data, _) in house.r2.held.items() if key.startswith(PREFIX)]


def message(text: Any) -> list[dict[str, Any]]:
    return [{"role": "user", "content": text}]
