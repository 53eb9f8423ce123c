"""A deployment behind Cloudflare Access, whose tokens a test signs."""

import json
from collections.abc import Callable
from typing import Any

from msgspec import structs

from proxy.api.app import App
from proxy.api.start import start
from proxy.core.errors import Fault
from proxy.core.ports import Outgoing, SignedIn
from proxy.core.web import Response
from tests.rsa import SigningKey, signing_key, verify
from tests.unit.callers import ENV, JSON, request, send
from tests.unit.doubles import FakeReply, FakeUpstream, Logbook, ManualClock, ports
from tests.unit.routing.making import whole

TEAM = "https://example.cloudflareaccess.com"
AUD = "f" * 64
ROLES = "ann@example.com=admin, @example.com=viewer, group:ops=admin, group:devs=user"
SAID = {
    "ACCESS_ROLES gives no role": "no role",
    "The token of Cloudflare Access is not taken": "wrong token",
    "for another application than ACCESS_AUD": "wrong token",
    "No key was sent": "no key",
    "The keys of Cloudflare Access can't be read": "unreachable",
    "Cloudflare Access can't be asked": "unreachable",
}
"""What a refusal says, and its name here."""
HERE = "https://proxy.example"
SAME_ORIGIN = {"sec-fetch-site": "same-origin"}


class Behind:
    """One isolate; `certs` is what the team publishes, or why it can't be read."""

    def __init__(self, **env: str) -> None:
        self.clock = ManualClock()
        self.certs: FakeReply | Fault | Callable[[], FakeReply] = publish(signing_key())
        outside = ports(self._answer, clock=self.clock)
        assert isinstance(outside.upstream, FakeUpstream)
        assert isinstance(outside.log, Logbook)
        self.upstream, self.log = outside.upstream, outside.log
        own = {"ACCESS_ROLES": ROLES, "ACCESS_TEAM_DOMAIN": TEAM[8:], "ACCESS_AUD": AUD}
        app = start(
            ENV | {"ANALYTICS": "off", "ADMIN_TOKEN": "the-admin-token"} | own | env,
            structs.replace(outside, verify_rs256=verify),
        )
        assert isinstance(app, App)
        self.app = app
        self.signed_in: SignedIn | Exception | None = None
        """What the platform says."""

    def _answer(self, outgoing: Outgoing) -> Any:
        if outgoing.url != f"{TEAM}/cdn-cgi/access/certs":
            return whole("Hi!")
        return self.certs() if callable(self.certs) else self.certs

    @property
    def fetches(self) -> int:
        """How often the keys were read."""
        return len([sent for sent in self.upstream.sent if sent.url.endswith("/certs")])

    def claims(self, **claims: Any) -> dict[str, Any]:
        now = int(self.clock.time)
        return {
            "iss": TEAM, "aud": [AUD], "exp": now + 600, "nbf": now, "iat": now, "type": "app",
            "email": "ann@example.com", "sub": "u-1", "country": "DE", "identity_nonce": "x",
        } | claims  # fmt: skip

    def token(self, **claims: Any) -> str:
        return signing_key().issue(self.claims(**claims))

    async def call(
        self,
        method: str = "GET",
        path: str = "/me",
        token: str = "",
        body: Any = b"",
        **headers: str,
    ) -> Response:
        async def identify() -> SignedIn | None:
            if isinstance(self.signed_in, Exception):
                raise self.signed_in
            return self.signed_in

        sent = JSON | ({"cf-access-jwt-assertion": token} if token else {}) | headers
        made = structs.replace(request(method, path, body, **sent), read_identity=identify)
        return await send(self.app, made)

    async def who(self, token: str = "", **headers: str) -> tuple[int, str]:
        """The status, and the user and role, or the name of the refusal."""
        response = await self.call(token=token, **headers)
        body = json.loads(response.body)
        if response.status != 200:
            message = body["error"]["message"]
            return response.status, next(name for text, name in SAID.items() if text in message)
        assert body["via"] == "access"
        return 200, f"{body['user']} {body['role']}"


def publish(*keys: SigningKey, **others: Any) -> FakeReply:
    """What a team publishes."""
    body = {"keys": [key.jwk | others for key in keys], "public_cert": {}, "public_certs": []}
    return FakeReply(json.dumps(body).encode())
