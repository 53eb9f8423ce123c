"""What may not be said of a key."""

from typing import Any

import pytest

from proxy.core.errors import InvalidRequest, Unavailable
from tests.unit.api.office import Office
from tests.unit.memory_objects import MemoryObjects


class TestInvalid:
    @pytest.mark.parametrize(
        ("fields", "param"),
        [
            ({"user": "(other)"}, "user"),
            ({"user": "admin"}, "user"),
            ({"user": "default"}, "user"),
            ({"user": "anonymous"}, "user"),
            ({"user": "ADMIN"}, "user"),
            ({"user": "Ad Min"}, "user"),
            ({"user": " admin"}, "user"),
            ({"user": "\uff41\uff44\uff4d\uff49\uff4e"}, "user"),
            ({"user": "ad\u034fmin\ufe0f"}, "user"),
            ({"user": "\u00e1dm\u0130n"}, "user"),
            ({"user": "adm\u0131n"}, "user"),
            ({"user": "ad\u200bmin"}, "user"),
            ({"user": "\u202eadmin"}, "user"),
            ({"user": "anonymous\u3164"}, "user"),
            ({"user": "   "}, "user"),
            ({"user": "\u00a0"}, "user"),
            ({"user": "\u2800"}, "user"),
            ({"user": "\u3164\u034f"}, "user"),
            ({"user": "a\u0000b"}, "user"),
            ({"user": "a\u0085b"}, "user"),
            ({"user": "a\ufdd0b"}, "user"),
            ({"user": ""}, "user"),
            ({"user": "a\nb"}, "user"),
            ({"user": "x" * 257}, "user"),
            ({"user": 5}, "user"),
            ({"name": "a\u2028b"}, "name"),
            ({"usr": "ann"}, "usr"),
            ({"key": "mine"}, "key"),
            ({"revokedAt": 1}, "revokedAt"),
            ({"admin": True}, "admin"),
            ({"models": [""]}, "models[0]"),
            ({"models": ["a b"]}, "models[0]"),
            ({"models": "gpt-4o"}, "models"),
            ({"limits": {"perHour": -1}}, "limits.perHour"),
            ({"limits": {"perHour": 10_000_001}}, "limits.perHour"),
            ({"limits": {"burst": 0}}, "limits.burst"),
            ({"limits": {"burst": True}}, "limits.burst"),
            ({"limits": {"requestsPerMinute": 0}}, "limits.requestsPerMinute"),
            ({"limits": {"tokensPerMinute": 1_000_000_001}}, "limits.tokensPerMinute"),
            ({"limits": {"per_hour": 1}}, "limits.per_hour"),
            ({"budget": {"day": 0}}, "budget.day"),
            ({"budget": {"day": -1}}, "budget.day"),
            ({"budget": {"month": 1_000_001}}, "budget.month"),
            ({"budget": {"year": 1}}, "budget.year"),
            ({"budget": 5}, "budget"),
            ({"cacheScope": "all"}, "cacheScope"),
            ({"expiresAt": "2030-01-01T00:00:00"}, "expiresAt"),
            ({"expiresAt": "tomorrow"}, "expiresAt"),
            ({"expiresAt": "2020-01-01T00:00:00Z"}, "expiresAt"),
            ({"expiresAt": 1_700_000_000_000}, "expiresAt"),
            ({"expiresAt": -1}, "expiresAt"),
            ({"team": "a,b"}, "team"),
            ({"tags": ["a", ""]}, "tags[1]"),
        ],
    )
    async def test_what_makes_no_sense_is_named(
        self, office: Office, fields: dict[str, Any], param: str
    ) -> None:
        with pytest.raises(InvalidRequest) as caught:
            await office.issue(**fields)
        assert caught.value.param == param
        assert caught.value.message.startswith(f"{param}: ")
        assert await office.keys() == []

    async def test_a_provider_that_there_is_not(self, office: Office) -> None:
        with pytest.raises(InvalidRequest, match=r"providers.*'acme'.*gemini.*groq"):
            await office.issue(providers=["groq", "acme"])

    @pytest.mark.parametrize(
        "body",
        [
            b"",
            b" ",
            b"null",
            b"[]",
            b"{}",
            b'"ann"',
            b"{",
            b'{"user":"\xff"}',
            b'{"user":"\\ud800"}',
            b'{"user":"ann"} x',
            b'{"user":"ann","budget":{"day":1e999}}',
            b'{"user":"ann","budget":{"day":NaN}}',
            b'{"user":"ann","models":' + b"[" * 5000 + b"]" * 5000 + b"}",
            b'{"user":"ann","models":[' + b'"a",' * 600_000 + b'"a"]}',
        ],
    )
    async def test_hostile_bodies(self, office: Office, body: bytes) -> None:
        with pytest.raises(InvalidRequest) as caught:
            await office.posted(body)
        assert len(caught.value.message) < 1000
        assert await office.keys() == []


@pytest.mark.parametrize("moment", [10**18, "9999-12-31T23:59:59-12:00"])
async def test_an_expiry_that_cannot_be_shown_is_refused(moment: object) -> None:
    office = Office()
    with pytest.raises(InvalidRequest, match="expiresAt"):
        await office.issue(expiresAt=moment)
    assert await office.keys() == []


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("gpt-4oo", "no alias"),
        ("GPT_4o", "openai/gpt-4o"),
        ("fast", "provider/model"),
        ("acme/gpt-4o", "openai/gpt-4o"),
        ("support", "custom/NAME"),
    ],
)
async def test_a_model_that_nobody_has_is_named(name: str, hint: str) -> None:
    office = Office()
    with pytest.raises(InvalidRequest) as caught:
        await office.issue(models=["openai/gpt-4o", name])
    assert caught.value.param == "models[1]"
    assert repr(name) in caught.value.message
    assert hint in caught.value.message
    assert await office.keys() == []


async def test_while_aliases_cannot_be_read_it_is_not_known_who_has_a_name() -> None:
    office = Office()
    assert isinstance(office.ports.objects, MemoryObjects)
    office.ports.objects.aliases.down = True
    await office.issue(models=["gpt-4o"])
    with pytest.raises(Unavailable):
        await office.issue(models=["support"])


@pytest.mark.parametrize(
    "name",
    [
        *("gpt-4o", "gpt-4o-2024-08-06", "gpt-4", "gpt-3.5-turbo", "openai/of-next-year"),
        *("groq/fast", "gpt-*", "*", "o[34]", "custom/of-next-week", "dynamic/x", "@preset/x"),
    ],
)
async def test_models_that_somebody_has_or_may_have(name: str) -> None:
    assert (await Office().issue(models=[name]))["models"] == [name]


@pytest.mark.parametrize("field", ["providers", "models"])
async def test_an_empty_list_does_not_mean_all(field: str) -> None:
    with pytest.raises(InvalidRequest, match=field):
        await Office().issue(**{field: []})
