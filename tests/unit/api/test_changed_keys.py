"""PATCH /admin/keys/ID, and what keys have used."""

import json
from typing import Any

import pytest
from msgspec import structs

from proxy.access.keys import CHANGE, Key, KeyChange
from proxy.core.errors import InvalidRequest, NotFound
from proxy.core.principal import Budget
from tests.unit.api.office import Office
from tests.unit.serving.budgets import reply
from tests.unit.serving.limited import ADMIN, house

FULL: dict[str, Any] = {
    "name": "laptop",
    "role": "viewer",
    "team": "search",
    "tags": ["eval", "nightly run"],
    "providers": ["groq"],
    "models": ["groq/*"],
    "limits": {"perHour": 0, "burst": 5, "requestsPerMinute": 6, "tokensPerMinute": 7},
    "budget": {"day": 0.001, "month": 100},
    "cacheScope": "shared",
    "passthrough": True,
    "expiresAt": "2030-01-01T00:00:00.250Z",
}


async def change(office: Office, key_id: str, **fields: Any) -> Any:
    return await office.change(key_id, json.dumps(fields).encode())


async def test_what_is_not_named_stays(office: Office) -> None:
    issued = await office.issue(**FULL)
    del issued["key"]
    assert await change(office, issued["id"]) == issued
    changed = await change(office, issued["id"], note="Ann's", team="ads")
    assert changed == issued | {"note": "Ann's", "team": "ads"}
    assert await office.key(issued["id"]) == changed


@pytest.mark.parametrize("field", [*FULL, "note"])
async def test_null_takes_a_field_out(office: Office, field: str) -> None:
    issued = await office.issue(**FULL, note="x")
    plain = await office.issue(**{"budget": FULL["budget"]} if field == "passthrough" else {})
    changed = await change(office, issued["id"], **{field: None})
    assert changed == {k: v for k, v in issued.items() if k != "key"} | {field: plain[field]}


async def test_a_model_that_nobody_has_is_refused_where_it_is_named_only(office: Office) -> None:
    issued = await office.issue(models=["custom/gone"])
    stored = office.store.book.find_key(issued["id"])
    assert stored
    named = structs.replace(stored.grant, models=("gone",))
    assert office.store.book.change(KeyChange(stored, structs.replace(stored, grant=named)))
    with pytest.raises(InvalidRequest, match="'nobodys'"):
        await change(office, issued["id"], models=["groq/fast", "nobodys"])
    assert (await change(office, issued["id"], note="x"))["models"] == ["gone"]


async def test_a_part_of_an_object(office: Office) -> None:
    issued = await office.issue(**FULL)
    changed = await change(office, issued["id"], limits={"burst": None}, budget={"day": 3})
    assert changed["limits"] == {"perHour": 0, "requestsPerMinute": 6, "tokensPerMinute": 7}
    assert changed["budget"] == {"day": 3, "month": 100}


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"user": "ben"}, "user"),
        ({"user": None}, "user"),
        ({"role": "owner"}, "role"),
        ({"team": ""}, "team"),
        ({"team": "a,b"}, "team"),
        ({"tags": ["a", ""]}, "tags[1]"),
        ({"tags": [f"{n}" for n in range(17)]}, "tags"),
        ({"limits": {"burst": 0}}, "limits.burst"),
        ({"limits": 5}, "limits"),
        ({"budget": {"year": 1}}, "budget.year"),
        ({"providers": ["nobody"]}, "providers"),
        ({"expiresAt": 1}, "expiresAt"),
        ({"revokedAt": None}, "revokedAt"),
        ({"id": "key_2"}, "id"),
    ],
)
async def test_what_makes_no_sense_changes_nothing(
    office: Office, fields: dict[str, Any], param: str
) -> None:
    issued = await office.issue(**FULL)
    with pytest.raises(InvalidRequest) as caught:
        await change(office, issued["id"], **fields)
    assert caught.value.param == param
    assert (await office.key(issued["id"]))["limits"] == FULL["limits"]


async def test_it_holds_at_once_here_and_elsewhere_in_time(office: Office) -> None:
    issued = await office.issue(role="admin")
    digest = office.digest(issued["key"])
    assert (await office.other.lookup(digest, "192.0.2.1")).admin
    await change(office, issued["id"], role=None, team="ads")
    here = await office.cache.lookup(digest, "192.0.2.1")
    assert (here.role, here.team) == ("user", "ads")
    elsewhere = office.other.peek(digest)
    assert elsewhere
    assert elsewhere.role == "admin"  # for at most a minute
    office.clock.time += 60
    assert office.other.peek(digest) is None


async def test_one_that_is_revoked_meanwhile_stays_so(office: Office) -> None:
    issued = await office.issue()
    book = office.store.book

    async def revoke_first(_: str, __: Any, answer: Any) -> Any:
        office.store.unwrap(CHANGE)
        book.revoke(issued["id"], office.store.now)
        return await answer()

    office.store.wrap(CHANGE, revoke_first)
    with pytest.raises(NotFound, match="revoked"):
        await change(office, issued["id"], name="mine")
    kept = book.find_key(issued["id"])
    assert kept
    assert (kept.revoked_at is not None, kept.name) == (True, None)


async def test_two_changes_at_once_are_both_kept(office: Office) -> None:
    issued = await office.issue()
    book = office.store.book

    async def change_first(_: str, __: Any, answer: Any) -> Any:
        office.store.unwrap(CHANGE)
        key = book.find_key(issued["id"])
        assert key
        book._put(structs.replace(key, team="ads"))
        return await answer()

    office.store.wrap(CHANGE, change_first)
    changed = await change(office, issued["id"], name="mine")
    assert (changed["name"], changed["team"]) == ("mine", "ads")


async def test_a_key_of_before_has_none_of_the_new_fields(office: Office) -> None:
    await office.keys()
    body = '{"id":"key_old","user":"ann","created_at":5,"budget":{"day":7}}'
    office.store._sql("INSERT INTO keys (id, body) VALUES ('key_old', ?)", body)
    office.store._sql(
        "INSERT INTO secrets (digest, key_id, until) VALUES (?, 'key_old', 0)", office.digest("old")
    )
    seen = await office.key("key_old")
    assert (seen["role"], seen["team"], seen["tags"]) == ("user", None, [])
    caller = await office.other.lookup(office.digest("old"), "192.0.2.1")
    assert (
        caller == Key(id="key_old", user="ann", created_at=5, budget=Budget(day=7)).make_principal()
    )
    assert (await change(office, "key_old", team="ads"))["team"] == "ads"


async def test_what_keys_have_used() -> None:
    answer = reply(prompt_tokens=1000, completion_tokens=1000)
    limited = house(answer, key={"budget": Budget(day=10**9)})
    limited.issue("key_2")
    await limited.keyed(maxTokens=1000)
    listed = (await limited.fetch("GET", "/admin/keys?usage=true", **ADMIN)).json["keys"]
    assert [key["used"] for key in listed] == [
        {"day": 0.0125, "month": 0.0125},
        {"day": None, "month": None},  # nothing of it is limited, so nothing is counted
    ]
    one = (await limited.fetch("GET", "/admin/keys/key_1?usage=true", **ADMIN)).json
    assert one["used"]["day"] == 0.0125
    assert "used" not in (await limited.fetch("GET", "/admin/keys/key_1", **ADMIN)).json
    wrong = await limited.fetch("GET", "/admin/keys?usage=yes", **ADMIN)
    assert (wrong.status, wrong.json["error"]["param"]) == (400, "usage")
