"""An app whose callers have issued keys with limits."""

import json
from collections.abc import Mapping
from hashlib import sha256
from typing import Any

from proxy.access.authenticator import format_secret, hash_secret
from proxy.access.keys import Key
from proxy.core.errors import Fault
from proxy.limits.account_messages import AccountView
from tests.unit.doubles import Answerer, FakeReply, ManualClock
from tests.unit.routing.making import whole
from tests.unit.serving.making import NATIVE, House, Received, by_host, in_turn

SECRET = format_secret("development", sha256(b"key_1").hexdigest())
KEYED = {"authorization": f"Bearer {SECRET}"}
ADMIN = {"authorization": "Bearer admin"}
ANYONE: dict[str, Any] = {"cache": {"mode": "off"}}
OFF = ANYONE | {"fallback": False}
Fields = dict[str, Any]
"""Of an issued key."""


class Limited(House):
    """A house whose caller has an issued key with these fields."""

    def __init__(
        self,
        answer: Answerer,
        clock: ManualClock | None = None,
        key: Fields | None = None,
        user: str = "ann",
        env: Mapping[str, str] = {},
    ) -> None:
        super().__init__(answer, clock, **{"ADMIN_TOKEN": "admin", "RATE_LIMIT_LEASE": "1", **env})
        self.buckets, self.accounts = self.objects.buckets, self.objects.accounts
        self.pools = self.objects.pools
        self.issue("key_1", user, **key or {})

    def issue(self, id: str, user: str = "ann", **fields: Any) -> str:
        """A key's secret."""
        secret = format_secret("development", sha256(id.encode()).hexdigest())
        self.objects.keys.book.issue(
            Key(id=id, user=user, created_at=0, **fields), hash_secret(secret)
        )
        return secret

    async def keyed(self, path: str = NATIVE, /, key: str = SECRET, **body: Any) -> Received:
        headers = {"authorization": f"Bearer {key}"}
        return await self.post(path, headers=headers, **body)

    async def operate(self, method: str, path: str) -> Received:
        """What an operator gets."""
        return await self.fetch(method, path, **ADMIN)

    def account(self) -> AccountView:
        return self.accounts.held["key_1"].show(round(self.clock.now() * 1000))


def house(
    *replies: FakeReply | Fault,
    key: Fields | None = None,
    user: str = "ann",
    env: Mapping[str, str] = {},
) -> Limited:
    """A house whose OpenAI gives these replies in turn."""
    return Limited(
        by_host(openai=in_turn(*replies or (whole("Hi!"),))), key=key, user=user, env=env
    )


def refused(code: str, message: str = "No.", /, **headers: str) -> FakeReply:
    body = {"error": {"message": message, "type": "x", "code": code}}
    return FakeReply(json.dumps(body).encode(), status=429, headers=headers)
