"""Who is signed in by Cloudflare Access, by its token or the platform's word, and who is not."""

import asyncio
import hmac
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.access.certs import FETCHES, KEPT_SECONDS, LONGEST_SECONDS, NEW_SECONDS, REST_SECONDS
from proxy.core.errors import Fault
from proxy.core.ports import SignedIn
from tests.rsa import encode, pad, signing_key
from tests.unit.access.signing import AUD, HERE, SAME_ORIGIN, TEAM, Behind, publish
from tests.unit.doubles import FakeReply

DOWN = Fault("network", "gone")
STANDING = Behind()
"""One for many examples."""


@pytest.fixture
def behind() -> Behind:
    return Behind()


class TestRoles:
    @pytest.mark.parametrize(
        ("claims", "user"),
        [
            ({}, "ann@example.com admin"),
            ({"email": "Ann@Example.com"}, "ann@example.com admin"),
            ({"email": "ben@example.com"}, "ben@example.com viewer"),
            ({"email": "ben@example.com", "custom": {"groups": ["ops"]}}, "ben@example.com admin"),
            ({"email": "c@other.org", "groups": [{"name": "devs", "id": "1"}]}, "c@other.org user"),
            ({"email": "c@other.org", "groups": ["devs", "ops"]}, "c@other.org admin"),
            ({"aud": AUD}, "ann@example.com admin"),
            ({"aud": ["other", AUD]}, "ann@example.com admin"),
        ],
    )
    async def test_who_is_let_in(self, behind: Behind, claims: dict[str, Any], user: str) -> None:
        assert await behind.who(behind.token(**claims)) == (200, user)

    @pytest.mark.parametrize(
        "claims",
        [
            {"email": "ann@example.com.evil.org"},
            {"email": "ann@sub.example.com"},
            {"email": "evil@example.com@other.org"},
            {"email": "ann@other.org", "groups": "ops"},
            {"email": "ann@other.org", "groups": ["Ops", {"name": ["ops"]}, None]},
            {"email": "example.com"},
            {"email": "group:ops"},
            {"email": "@example.com"},
            {"email": "a b@example.com"},
            {"email": "ann\u0131@example.com"},
            {"email": "\u212aate@example.com"},  # kate, in lower case
            {"email": "group:ops@example.com"},
            {"email": "x" * 300 + "@example.com"},
        ],
    )
    async def test_who_has_no_role(self, behind: Behind, claims: dict[str, Any]) -> None:
        assert await behind.who(behind.token(**claims)) == (403, "no role")

    async def test_a_role_holds(self, behind: Behind) -> None:
        viewer = behind.token(email="ben@example.com")
        assert (await behind.call("GET", "/admin/keys", viewer)).status == 200
        refused = await behind.call("POST", "/admin/keys", viewer, {"user": "eve"}, **SAME_ORIGIN)
        assert refused.status == 403
        user = behind.token(email="c@other.org", groups=["devs"])
        assert (await behind.call("GET", "/admin/keys", user)).status == 403
        spent = await behind.call("POST", "/v1/generate", user, {"prompt": "Hi"}, **SAME_ORIGIN)
        assert spent.status == 200
        admin = behind.token()
        made = await behind.call("POST", "/admin/keys", admin, {"user": "ben"}, **SAME_ORIGIN)
        assert made.status == 201

    async def test_a_key_that_is_sent_goes_before(self, behind: Behind) -> None:
        key = "the-admin-token"
        for headers in ({"authorization": f"Bearer {key}"}, {"x-api-key": key}):
            response = await behind.call(token=behind.token(email="ben@example.com"), **headers)
            assert json.loads(response.body)["via"] == "admin_token"
        for headers in ({"authorization": "Bearer wrong"}, {"authorization": "Basic eDp5"}):
            assert (await behind.call(token=behind.token(), **headers)).status == 401
        assert behind.fetches == 0

    async def test_nobody_without_a_token_or_with_a_services(self, behind: Behind) -> None:
        assert await behind.who() == (401, "no key")
        service = behind.claims(common_name="x.access")
        del service["email"]
        assert await behind.who(signing_key().issue(service)) == (401, "no key")
        assert (await behind.call("GET", "/health")).status == 200


def forge(behind: Behind) -> dict[str, str]:
    """Tokens that Access has not issued for here and now."""
    key, other, claims = signing_key(), signing_key("another"), behind.claims()
    head, body, signature = key.issue(claims).split(".")
    unsigned, by_hmac = (encode(b'{"alg":"%s","kid":"key-1"}' % a) for a in (b"none", b"HS256"))
    changed = encode(json.dumps(claims | {"email": "eve@example.com"}).encode())
    public = json.dumps(key.jwk).encode()
    digest = hmac.new(public, f"{by_hmac}.{body}".encode(), "sha256").digest()
    return {
        "none": f"{unsigned}.{body}.",
        "none with a signature": f"{unsigned}.{body}.{signature}",
        "HS256 by the public key": f"{by_hmac}.{body}.{encode(digest)}",
        "another key of the same kid": other.issue(claims, kid="key-1"),
        "other claims": f"{head}.{changed}.{signature}",
        "no signature": f"{head}.{body}",
        "an empty signature": f"{head}.{body}.",
        "the padding as its signature": f"{head}.{body}.{encode(pad(f'{head}.{body}'.encode()))}",
        "zero": f"{head}.{body}.{encode(bytes(256))}",
        "a critical extension": key.issue(claims, crit=["exp"]),
        "a key of its own": other.issue(claims, jwk=other.jwk, kid="key-1"),
        "another kind of JSON": f"{encode(b'[]')}.{body}.{signature}",
        "two tokens": f"{key.issue(claims)}, {key.issue(claims)}",
    }


class TestForged:
    async def test_what_access_has_not_signed(self, behind: Behind) -> None:
        for kind, token in forge(behind).items():
            assert await behind.who(token) == (401, "wrong token"), kind

    @pytest.mark.parametrize(
        "claims",
        [
            {"aud": ["e" * 64]},
            {"aud": []},
            {"aud": ""},
            {"iss": "https://evil.cloudflareaccess.com"},
            {"iss": TEAM + "/"},
            {"type": "org"},
            {"exp": 1_700_000_000},
            {"exp": 0},
            {"exp": -1},
            {"nbf": 1_700_000_061},
        ],
    )
    async def test_what_is_not_for_here_and_now(
        self, behind: Behind, claims: dict[str, Any]
    ) -> None:
        assert await behind.who(behind.token(**claims)) == (401, "wrong token")
        assert behind.fetches == 0  # it is refused before a key is looked for

    @pytest.mark.parametrize("field", ["iss", "aud", "exp"])
    async def test_what_leaves_a_claim_out(self, behind: Behind, field: str) -> None:
        claims = behind.claims()
        del claims[field]
        assert (await behind.who(signing_key().issue(claims)))[0] == 401

    async def test_it_ends(self, behind: Behind) -> None:
        token = behind.token()
        behind.clock.time += 599
        assert (await behind.who(token))[0] == 200
        behind.clock.time += 1
        assert (await behind.who(token))[0] == 401

    @given(st.text(st.characters(codec="ascii"), max_size=200) | st.text("abc.=-_", max_size=60))
    def test_whatever_is_sent(self, text: str) -> None:
        async def check() -> None:
            assert (await STANDING.who(text or "x"))[0] == 401
            assert STANDING.fetches == 0

        asyncio.run(check())

    async def test_a_header_is_nothing_without_a_team(self) -> None:
        behind = Behind(ACCESS_TEAM_DOMAIN="", ACCESS_AUD="")
        headers = {"cf-access-authenticated-user-email": "ann@example.com"}
        assert await behind.who(behind.token(), **headers) == (401, "no key")
        plain = Behind(ACCESS_ROLES="", ACCESS_TEAM_DOMAIN="", ACCESS_AUD="")
        plain.signed_in = SignedIn(AUD, '{"email":"ann@example.com"}')
        assert await plain.who(plain.token(), **headers) == (401, "no key")


class TestKeys:
    async def test_they_are_read_once(self, behind: Behind) -> None:
        for _ in range(3):
            assert (await behind.who(behind.token()))[0] == 200
        assert behind.fetches == 1
        behind.clock.time += KEPT_SECONDS
        assert (await behind.who(behind.token()))[0] == 200
        assert behind.fetches == 2

    async def test_a_flood_of_kids_that_there_are_not_reads_them_once_in_a_while(
        self, behind: Behind
    ) -> None:
        for n in range(200):
            token = signing_key().issue(behind.claims(), kid=f"kid-{n}")
            assert await behind.who(token) == (401, "wrong token")
        assert behind.fetches == 1
        assert (await behind.who(behind.token()))[0] == 200
        behind.clock.time += NEW_SECONDS
        token = signing_key().issue(behind.claims(), kid="kid-x")
        await asyncio.gather(*(behind.who(token) for _ in range(500)))
        assert behind.fetches <= 1 + FETCHES

    async def test_a_key_that_is_new(self, behind: Behind) -> None:
        assert (await behind.who(behind.token()))[0] == 200
        behind.certs = publish(signing_key("another"), signing_key())
        behind.clock.time += NEW_SECONDS
        rotated = signing_key("another").issue(behind.claims())
        assert (await behind.who(rotated))[0] == 200

    async def test_one_that_is_withdrawn(self, behind: Behind) -> None:
        assert (await behind.who(behind.token()))[0] == 200
        behind.certs = publish(signing_key("another"))
        behind.clock.time += KEPT_SECONDS
        assert (await behind.who(behind.token()))[0] == 401

    @pytest.mark.parametrize(
        "certs", [DOWN, FakeReply(b"no", status=500), FakeReply(b"<html>"), FakeReply(b"{}"),
                  FakeReply(b'{"keys":[]}'), FakeReply(b'{"keys":5}')]
    )  # fmt: skip
    async def test_that_cannot_be_read(self, behind: Behind, certs: Any) -> None:
        behind.certs = certs
        token = behind.token()
        assert await behind.who(token) == (503, "unreachable")
        for _ in range(50):
            await behind.who(token)
        assert behind.fetches == 1
        assert "access keys unreachable" in [event for _, event, _ in behind.log.lines]
        behind.certs = publish(signing_key())
        behind.clock.time += REST_SECONDS
        assert (await behind.who(behind.token()))[0] == 200

    async def test_those_that_are_known_go_on_for_a_day(self, behind: Behind) -> None:
        assert (await behind.who(behind.token()))[0] == 200
        behind.certs = DOWN
        behind.clock.time += LONGEST_SECONDS - 1
        assert (await behind.who(behind.token()))[0] == 200
        behind.clock.time += 1
        assert await behind.who(behind.token()) == (503, "unreachable")

    @pytest.mark.parametrize(
        "change",
        [{"kty": "oct"}, {"alg": "RS1"}, {"alg": "HS256"}, {"use": "enc"}, {"n": "AQAB"},
         {"n": "!"}],
    )  # fmt: skip
    async def test_what_is_no_key_for_rs256(self, behind: Behind, change: dict[str, str]) -> None:
        behind.certs = publish(signing_key(), **change)
        assert (await behind.who(behind.token()))[0] == 503


class TestThePlatform:
    async def test_its_word_needs_no_token(self) -> None:
        behind = Behind(ACCESS_TEAM_DOMAIN="", ACCESS_AUD="")
        groups = [{"id": "1", "name": "ops", "email": "ops@example.com"}]
        for identity, who in (
            ({"email": "ann@example.com", "groups": []}, "ann@example.com admin"),
            ({"email": "d@other.org", "groups": groups}, "d@other.org admin"),
        ):
            behind.signed_in = SignedIn("any", json.dumps(identity))
            assert await behind.who() == (200, who)
        behind.signed_in = SignedIn("any", "{}")
        assert await behind.who() == (401, "no key")

    async def test_it_goes_before_a_token_and_is_for_this_application(self, behind: Behind) -> None:
        behind.signed_in = SignedIn(AUD, '{"email":"ben@example.com"}')
        assert await behind.who(behind.token()) == (200, "ben@example.com viewer")
        behind.signed_in = SignedIn("other", '{"email":"ann@example.com"}')
        assert await behind.who(behind.token()) == (401, "wrong token")

    async def test_while_it_cannot_say_it_a_token_counts(self, behind: Behind) -> None:
        behind.signed_in = RuntimeError("no")
        assert await behind.who(behind.token()) == (200, "ann@example.com admin")
        alone = Behind(ACCESS_TEAM_DOMAIN="", ACCESS_AUD="")
        alone.signed_in = RuntimeError("no")
        assert await alone.who() == (503, "unreachable")


class TestOtherSites:
    @pytest.mark.parametrize(
        ("headers", "reads", "changes"),
        [
            ({"sec-fetch-site": "same-origin"}, 200, 201),
            ({"sec-fetch-site": "none"}, 200, 403),
            ({"sec-fetch-site": "same-site"}, 403, 403),
            ({"sec-fetch-site": "cross-site"}, 403, 403),
            ({"sec-fetch-site": "cross-site", "origin": HERE}, 403, 403),
            ({"sec-fetch-site": "Same-Origin"}, 403, 403),
            ({"origin": HERE}, 200, 201),
            ({"origin": "https://evil.example"}, 403, 403),
            ({"origin": "https://proxy.example.evil.example"}, 403, 403),
            ({"origin": "http://proxy.example"}, 403, 403),
            ({"origin": "https://proxy.example:8443"}, 403, 403),
            ({"origin": "null"}, 403, 403),
            ({"origin": ""}, 403, 403),
            ({}, 200, 403),
        ],
    )
    @pytest.mark.parametrize("origins", ["", "*", "https://evil.example"])
    async def test_no_page_elsewhere_uses_a_sign_in(
        self, headers: dict[str, str], reads: int, changes: int, origins: str
    ) -> None:
        behind = Behind(CORS_ORIGINS=origins)
        token = behind.token()
        seen = await behind.call("GET", "/admin/keys", token, **headers)
        assert seen.status == reads
        made = await behind.call("POST", "/admin/keys", token, {"user": "eve"}, **headers)
        assert made.status == changes
        spent = await behind.call("POST", "/v1/generate", token, {"prompt": "Hi"}, **headers)
        assert spent.status == (200 if changes == 201 else 403)
        for response in (seen, made, spent):
            assert "access-control-allow-credentials" not in response.headers
        if changes == 403:
            assert "this proxy's own pages only" in json.loads(made.body)["error"]["message"]

    async def test_who_sends_a_key_may_come_from_anywhere(self, behind: Behind) -> None:
        headers = {"authorization": "Bearer the-admin-token", "sec-fetch-site": "cross-site"}
        made = await behind.call("POST", "/admin/keys", behind.token(), {"user": "ben"}, **headers)
        assert made.status == 201


async def test_development_behind_access_is_closed() -> None:
    behind = Behind(ADMIN_TOKEN="")
    assert await behind.who() == (401, "no key")
    assert await behind.who(behind.token()) == (200, "ann@example.com admin")
