"""What is kept of a key's responses after the key has ended."""

import json
from typing import Any

from proxy.api.app import App
from proxy.core.web import Response
from tests.unit.callers import JSON, send
from tests.unit.routing.making import whole
from tests.unit.serving.making import House, by_host

BODY = {"model": "mistral/mistral-large-4", "input": "Hi"}


class Keyed(House):
    """A house whose callers have keys."""

    def __init__(self) -> None:
        env = {"ADMIN_TOKEN": "admin-key", "MISTRAL_API_KEY": "key"}
        super().__init__(by_host(mistral=whole("Hi")), **env)

    async def call(
        self, method: str, path: str, key: str, body: Any = b"", app: App | None = None
    ) -> Response:
        headers = {"authorization": f"Bearer {key}", **(JSON if body else {})}
        answer = await send(app or self.app, self.request(method, path, body, **headers))
        await self.settle()
        return answer

    async def issue(self) -> tuple[str, str]:
        """A key's id and its secret."""
        made = json.loads(
            (await self.call("POST", "/admin/keys", "admin-key", {"user": "ann"})).body
        )
        return made["id"], made["key"]

    async def create(self, key: str, app: App | None = None) -> str:
        """A response's id."""
        answer = await self.call("POST", "/v1/responses", key, BODY, app)
        assert answer.status == 200, answer.body
        return str(json.loads(answer.body)["id"])


async def test_a_revoked_key_takes_its_responses_with_it() -> None:
    house = Keyed()
    (id_, key), (_, other) = await house.issue(), await house.issue()
    mine, theirs = await house.create(key), await house.create(other)
    late = house.isolate()  # it knows the key for some seconds more
    assert (await house.call("GET", f"/v1/responses/{mine}", key, app=late)).status == 200
    assert (await house.call("DELETE", f"/admin/keys/{id_}", "admin-key")).status == 204
    assert (await house.call("GET", f"/v1/responses/{mine}", key)).status == 401
    assert (await house.call("GET", f"/v1/responses/{mine}", key, app=late)).status == 404
    made = await house.create(key, late)
    assert (await house.call("GET", f"/v1/responses/{made}", key, app=late)).status == 404
    assert (await house.call("GET", f"/v1/responses/{theirs}", other)).status == 200


async def test_a_key_is_revoked_though_its_responses_are_out_of_reach() -> None:
    house = Keyed()
    id_, key = await house.issue()
    mine = await house.create(key)
    house.objects.responses.down = True
    assert (await house.call("DELETE", f"/admin/keys/{id_}", "admin-key")).status == 204
    assert "responses unreachable" in house.events("error")
    house.objects.responses.down = False
    assert (await house.call("GET", f"/v1/responses/{mine}", key)).status == 401
    assert (await house.call("DELETE", f"/admin/keys/{id_}", "admin-key")).status == 204
    assert not house.objects.responses.at(f"key:{id_}").find(mine, 0).is_kept
