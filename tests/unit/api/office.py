"""The operators' paths for keys in one isolate."""

import hashlib
import json
from typing import Any

from msgspec import structs

from proxy.access.key_cache import KeyCache
from proxy.api import keys
from proxy.api.services import Services
from proxy.core.web import Response
from proxy.dialects import native
from proxy.serving.context import RequestContext
from tests.unit.callers import request
from tests.unit.doubles import FakeReply, Logbook, ManualClock, ports
from tests.unit.memory_objects import MemoryObjects

HERE = "192.0.2.1"


class Office:
    """The paths of one isolate; `other` is the key cache of another."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.log = Logbook()
        self.ports = structs.replace(ports(lambda _: FakeReply(), clock=self.clock), log=self.log)
        assert isinstance(self.ports.objects, MemoryObjects)
        self.store = self.ports.objects.keys
        self.services = Services({"ENVIRONMENT": "staging", "ANALYTICS": "off"}, self.ports)
        self.cache = self.services.key_cache
        self.other = KeyCache(self.ports.objects, self.clock, self.log)

    def context(self, method: str, path: str, body: bytes = b"") -> RequestContext:
        context = RequestContext(
            request(method, path, body), path, native, self.clock, self.ports.random
        )
        context.hold = self.services.memory.open()
        return context

    async def posted(self, body: bytes) -> Response:
        return await keys.issue_key(self.services, self.context("POST", "/admin/keys", body))

    async def issue(self, **fields: Any) -> Any:
        response = await self.posted(json.dumps({"user": "ann"} | fields).encode())
        assert response.status == 201
        assert response.headers["cache-control"] == "no-store"
        return json.loads(response.body)

    async def page(self, query: str = "") -> Any:
        context = self.context("GET", f"/admin/keys?{query}")
        response = await keys.list_keys(self.services, context)
        assert response.headers["cache-control"] == "no-store"
        return json.loads(response.body)

    async def keys(self) -> Any:
        page = await self.page()
        assert page["next"] is None
        return page["keys"]

    async def key(self, key_id: str) -> Any:
        context = self.context("GET", f"/admin/keys/{key_id}")
        return json.loads((await keys.show_key(self.services, context)).body)

    async def revoke(self, key_id: str) -> Response:
        context = self.context("DELETE", f"/admin/keys/{key_id}")
        return await keys.revoke_key(self.services, context)

    async def rotate(self, key_id: str, body: bytes = b"") -> Any:
        context = self.context("POST", f"/admin/keys/{key_id}/rotate", body)
        response = await keys.rotate_key(self.services, context)
        assert (response.status, response.headers["cache-control"]) == (200, "no-store")
        return json.loads(response.body)

    async def change(self, key_id: str, body: bytes) -> Any:
        context = self.context("PATCH", f"/admin/keys/{key_id}", body)
        return json.loads((await keys.change_key(self.services, context)).body)

    @staticmethod
    def digest(secret: str) -> str:
        return hashlib.sha256(secret.encode()).hexdigest()

    async def opens(self, secret: str, cache: KeyCache | None = None) -> str | None:
        """The id of the key that a secret opens, anew."""
        cache = cache or KeyCache(self.ports.objects, self.clock, self.log)
        return (await cache.lookup(hashlib.sha256(secret.encode()).hexdigest(), HERE)).key_id
