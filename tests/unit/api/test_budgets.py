"""The operators' paths for the budgets of teams and tags."""

import json
from typing import Any
from urllib.parse import quote

import pytest

from proxy.limits.account_messages import SHOW_ACCOUNT
from proxy.limits.budget_book import MOST_BUDGETS
from proxy.limits.shared_budgets import SharedBudget
from tests.unit.serving.budgets import reply
from tests.unit.serving.limited import ADMIN, Limited, house
from tests.unit.serving.making import Received

NOTHING = {"day": 0, "month": 0}


class Office:
    """The operator's way to the budgets of a deployment."""

    def __init__(self) -> None:
        self.house: Limited = house(
            reply(prompt_tokens=1000, completion_tokens=1000), key={"team": "search"}
        )

    async def call(self, method: str, path: str = "", body: Any = b"") -> Received:
        path = f"/admin/budgets{path}"
        return await self.house.fetch(method, path, body, **ADMIN)

    async def list(self, query: str = "") -> Any:
        return (await self.call("GET", query)).json


@pytest.fixture
def office() -> Office:
    return Office()


async def test_made_changed_and_deleted(office: Office) -> None:
    made = await office.call("PUT", "/team:search", {"day": 2.5})
    view = {"name": "team:search", "day": 2.5, "month": None, "used": NOTHING}
    assert (made.status, made.json) == (201, view)
    await office.house.keyed(maxTokens=1000)
    seen = (await office.call("GET", "/team:search")).json
    assert seen["used"] == {"day": 0.0125, "month": 0.0125}
    changed = await office.call("PUT", "/team:search", {"month": 40, "day": None})
    assert (changed.status, changed.json["day"], changed.json["month"]) == (200, None, 40)
    assert changed.json["used"]["month"] == 0.0125
    assert (await office.list())["budgets"] == [changed.json]
    assert (await office.call("DELETE", "/team:search")).status == 204
    assert (await office.call("GET", "/team:search")).status == 404
    assert (await office.call("DELETE", "/team:search")).status == 404
    assert await office.list() == {"budgets": [], "next": None}


async def test_what_was_used_is_forgotten(office: Office) -> None:
    await office.call("PUT", "/team:search", {"day": 2.5})
    await office.house.keyed(maxTokens=1000)
    shown = await office.house.operate("GET", "/admin/limits?key=team:search")
    assert shown.json["spent_day"] == 12_500_000
    reset = await office.house.operate("DELETE", "/admin/limits?key=team:search")
    assert reset.status == 204
    assert (await office.call("GET", "/team:search")).json["used"] == NOTHING


@pytest.mark.parametrize(
    "name", ["team:a", "tag:a b", "tag:User-Agent: x/1.0", "tag:a/b?c#d%", "team:" + "x" * 64]
)
async def test_names(office: Office, name: str) -> None:
    path = f"/{quote(name, safe='')}"
    assert (await office.call("PUT", path, {"day": 1})).json["name"] == name
    assert (await office.call("GET", path)).json["name"] == name


@pytest.mark.parametrize(
    "name",
    ["search", "user:a", "team:", "tag:", "tag:%20", "tag:a,b", "team:é", "team:" + "x" * 65,
     "Team:a", "key_1", "alias:a:b", "team:a%0A"],
)  # fmt: skip
async def test_what_is_no_name(office: Office, name: str) -> None:
    refused = await office.call("PUT", f"/{quote(name, safe=':%')}", {"day": 1})
    assert (refused.status, refused.json["error"]["param"]) == (400, "name")
    assert (await office.call("GET", f"/{quote(name, safe=':%')}")).status == 404


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({}, None),
        ({"day": None, "month": None}, None),
        ({"day": 0}, "day"),
        ({"day": -1}, "day"),
        ({"month": 1_000_001}, "month"),
        ({"day": "1"}, "day"),
        ({"year": 1}, "year"),
        ([], None),
        (b"{", None),
        (b"", None),
    ],
)
async def test_what_is_no_budget(office: Office, body: Any, param: str | None) -> None:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    refused = await office.call("PUT", "/tag:a", content)
    assert (refused.status, refused.json["error"].get("param")) == (400, param)


async def test_page_by_page_and_not_without_end(office: Office) -> None:
    for n in range(MOST_BUDGETS):
        office.house.objects.keys.budgets.put(SharedBudget(name=f"tag:{n:04}", day=1))
    refused = await office.call("PUT", "/tag:x", {"day": 1})
    assert (refused.status, "1,000 budgets" in refused.body.decode()) == (400, True)
    assert (await office.call("PUT", "/tag:0000", {"day": 2})).status == 200
    names, cursor = [], ""
    while True:
        page = await office.list(f"?limit=400{cursor}")
        names += [budget["name"] for budget in page["budgets"]]
        if page["next"] is None:
            break
        cursor = f"&cursor={page['next']}"
    assert names == [f"tag:{n:04}" for n in range(MOST_BUDGETS)]
    assert (await office.call("GET", "?limit=0")).status == 400
    assert (await office.call("GET", "?page=1")).status == 400


async def test_what_comes_or_goes_between_two_pages_moves_no_other(office: Office) -> None:
    for name in ("team:b", "team:d", "team:f", "team:h"):
        await office.call("PUT", f"/{name}", {"day": 1})
    page = await office.list("?limit=2")
    assert [budget["name"] for budget in page["budgets"]] == ["team:b", "team:d"]
    await office.call("PUT", "/team:a", {"day": 1})
    await office.call("PUT", "/team:e", {"day": 1})
    await office.call("DELETE", "/team:d")
    rest = await office.list(f"?cursor={page['next']}")
    assert [budget["name"] for budget in rest["budgets"]] == ["team:e", "team:f", "team:h"]
    await office.call("DELETE", "/team:b")
    assert (await office.list(f"?limit=3&cursor={page['next']}"))["next"] is None


@pytest.mark.parametrize(
    "cursor",
    ["", "WzJd", "x", "é", "_w", "dGVhbTo", "dXNlcjph", "dGVhbTphYg==", "dGVhbTphYh", "A" * 3000],
)
async def test_what_is_no_cursor(office: Office, cursor: str) -> None:
    refused = await office.call("GET", f"?cursor={quote(cursor)}")
    assert (refused.status, refused.json["error"]["param"]) == (400, "cursor")
    assert (await office.call("GET", "?cursor=dGVhbTphYg")).status == 200


async def test_an_account_that_cannot_be_reached_hides_no_budget(office: Office) -> None:
    await office.call("PUT", "/tag:a", {"day": 1})

    async def fail(*_: Any) -> Any:
        raise RuntimeError("the object is unreachable")

    office.house.accounts.wrap(SHOW_ACCOUNT, fail)
    [budget] = (await office.list())["budgets"]
    assert budget["used"] == {"day": None, "month": None}
    assert "accounts unreachable" in office.house.events("error")


async def test_a_book_that_cannot_be_reached_is_a_503(office: Office) -> None:
    office.house.objects.keys.down = True
    for method, path in (("GET", ""), ("GET", "/tag:a"), ("PUT", "/tag:a"), ("DELETE", "/tag:a")):
        assert (await office.call(method, path, {"day": 1})).status == 503
