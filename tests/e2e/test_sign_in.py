"""Cloudflare Access before the real Worker: the tokens that it signs, which the platform's own
cryptography verifies, and the platform's own word."""

import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
import pytest

from tests.e2e.conftest import Script
from tests.e2e.deployments import ADMIN_TOKEN, DEPLOYMENTS, Deployments
from tests.rsa import encode, pad, signing_key

AUD = "f" * 64
UNCACHED = {"provider": "openai", "cache": {"mode": "off"}}


class Team:
    """A team of Cloudflare Access: what it publishes, and the tokens that it signs."""

    def __init__(self) -> None:
        self.reads = 0
        team = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                assert self.path == "/cdn-cgi/access/certs"
                assert "cf-access-jwt-assertion" not in self.headers
                team.reads += 1
                keys = [signing_key("old").jwk, signing_key().jwk]
                certs = [{"kid": key["kid"], "cert": "-----BEGIN CERTIFICATE-----"} for key in keys]
                published = {"keys": keys, "public_cert": certs[0], "public_certs": certs}
                body = json.dumps(published).encode()
                self.send_response(200)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: Any) -> None:
                return

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def claims(self, **claims: Any) -> dict[str, Any]:
        now = int(time.time())
        issued = {"iss": self.url, "aud": [AUD], "iat": now, "nbf": now, "exp": now + 600}
        return issued | {"type": "app", "email": "ann@example.com", "sub": "u-1"} | claims

    def token(self, **claims: Any) -> str:
        return signing_key().issue(self.claims(**claims))


@pytest.fixture(scope="module")
def team() -> Iterator[Team]:
    team = Team()
    thread = threading.Thread(target=team.server.serve_forever, daemon=True)
    thread.start()
    yield team
    team.server.shutdown()
    team.server.server_close()
    thread.join()


@pytest.fixture(scope="module")
def signed(deployments: Deployments, team: Team) -> Iterator[httpx.Client]:
    """A deployment behind Access; it may be called by others too."""
    DEPLOYMENTS["signed"] = (
        "development",
        {
            "ADMIN_TOKEN": ADMIN_TOKEN,
            "CORS_ORIGINS": "*",
            "ACCESS_ROLES": "ann@example.com=admin, @example.com=viewer, group:devs=user",
            "ACCESS_TEAM_DOMAIN": team.url,
            "ACCESS_AUD": AUD,
        },
    )
    with httpx.Client(base_url=deployments.get("signed").url, timeout=60) as client:
        yield client


def by(token: str, **headers: str) -> dict[str, str]:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return {"cf-access-jwt-assertion": token} | named


def test_who_is_signed_in(signed: httpx.Client, team: Team) -> None:
    for claims, user, role in (
        ({}, "ann@example.com", "admin"),
        ({"email": "Ben@Example.com"}, "ben@example.com", "viewer"),
        ({"email": "c@other.org", "custom": {"groups": ["devs"]}}, "c@other.org", "user"),
    ):
        told = signed.get("/me", headers=by(team.token(**claims))).json()
        assert (told["user"], told["role"], told["via"]) == (user, role, "access")
        assert told["key"] is None
    assert signed.get("/me").status_code == 401
    assert signed.get("/me", headers=by(team.token(email="d@other.org"))).status_code == 403
    assert 1 <= team.reads <= 2


def test_what_is_forged(signed: httpx.Client, team: Team) -> None:
    other = signing_key("another")
    head, body, signature = team.token().split(".")
    none = encode(b'{"alg":"none","kid":"key-1"}')
    for token in (
        other.issue(team.claims(), kid="key-1"),
        other.issue(team.claims()),
        f"{none}.{body}.",
        f"{none}.{body}.{signature}",
        f"{head}.{encode(json.dumps(team.claims(x=1)).encode())}.{signature}",
        f"{head}.{body}.{encode(pad(f'{head}.{body}'.encode()))}",
        f"{head}.{body}.{encode(bytes(256))}",
        f"{head}.{body}.{encode(b'x')}",
        team.token(aud=["e" * 64]),
        team.token(iss="https://evil.cloudflareaccess.com"),
        team.token(exp=int(time.time()) - 1),
        "x.y.z",
        "x",
    ):
        answer = signed.get("/me", headers=by(token))
        assert answer.status_code == 401, token
        assert "Cloudflare Access is not taken" in answer.json()["error"]["message"]


def test_a_flood_of_kids_reads_the_keys_no_more(signed: httpx.Client, team: Team) -> None:
    signed.get("/me", headers=by(team.token()))
    reads = team.reads
    for n in range(100):
        token = signing_key().issue(team.claims(), kid=f"kid-{n}")
        assert signed.get("/me", headers=by(token)).status_code == 401
    assert team.reads <= reads + 1
    assert signed.get("/me", headers=by(team.token())).status_code == 200


def test_the_older_key_of_the_two_is_taken_too(signed: httpx.Client, team: Team) -> None:
    token = signing_key("old").issue(team.claims())
    assert signed.get("/me", headers=by(token)).status_code == 200


def test_a_role_holds_and_other_sites_have_none(
    signed: httpx.Client, team: Team, script: Script
) -> None:
    viewer, admin = by(team.token(email="ben@example.com")), by(team.token())
    own = str(signed.base_url).rstrip("/")
    here, there = {"sec-fetch-site": "same-origin"}, {"sec-fetch-site": "cross-site"}
    assert signed.get("/admin/keys", headers=viewer).status_code == 200
    new = {"user": "eve"}
    assert signed.post("/admin/keys", json=new, headers=viewer | here).status_code == 403
    assert signed.post("/admin/keys", json=new, headers=admin | here).status_code == 201
    assert signed.post("/admin/keys", json=new, headers=admin | {"origin": own}).status_code == 201
    for headers in (
        {},
        there,
        {"sec-fetch-site": "same-site"},
        {"origin": "https://evil.example"},
        {"origin": "null"},
        there | {"origin": own},
    ):
        refused = signed.post("/admin/keys", json=new, headers=admin | headers)
        assert refused.status_code == 403
        assert "access-control-allow-credentials" not in refused.headers
        body = UNCACHED | {"prompt": script()}
        assert signed.post("/v1/generate", json=body, headers=admin | headers).status_code == 403
        assert signed.delete("/admin/cache?all=true", headers=admin | headers).status_code == 403
    assert signed.get("/admin/keys", headers=admin | there).status_code == 403
    body = UNCACHED | {"prompt": script()}
    assert signed.post("/v1/generate", json=body, headers=admin | here).status_code == 200


def test_a_key_goes_before_and_no_provider_sees_a_token(
    signed: httpx.Client, team: Team, script: Script, received: Any
) -> None:
    token = team.token()
    headers = by(token, authorization=f"Bearer {ADMIN_TOKEN}", sec_fetch_site="cross-site")
    assert signed.get("/me", headers=headers).json()["via"] == "admin_token"
    wrong = by(token, authorization="Bearer wrong")
    assert signed.get("/me", headers=wrong).status_code == 401
    sent = {"model": "gpt-4o", "messages": [{"role": "user", "content": script()}]}
    headers = by(token, sec_fetch_site="same-origin", cookie=f"CF_Authorization={token}")
    assert signed.post("/openai/v1/chat/completions", json=sent, headers=headers).status_code == 200
    [request] = received()
    assert token not in str(request)


def test_the_platforms_own_word(deployments: Deployments) -> None:
    with httpx.Client(base_url=deployments.get("granted").url, timeout=60) as granted:
        told = granted.get("/me").json()
        assert (told["user"], told["role"], told["via"]) == ("ann@example.com", "admin", "access")
        forged = granted.get("/me", headers={"cf-access-jwt-assertion": "x.y.z"}).json()
        assert forged["user"] == "ann@example.com"
        here = {"sec-fetch-site": "same-origin"}
        made = granted.post("/admin/keys", json={"user": "ben"}, headers=here)
        assert made.status_code == 201
        key = {"authorization": f"Bearer {made.json()['key']}"}
        assert granted.get("/me", headers=key).json()["via"] == "key"
        assert granted.post("/admin/keys", json={"user": "eve"}).status_code == 403
