"""What the targets of aliases have used of their own limits and budgets, as operators see it and
reset it."""

from typing import Any

import pytest
from msgspec import Raw

from proxy.aliases.messages import STORE, NewAlias
from proxy.limits.account_messages import SHOW_ACCOUNT
from proxy.limits.lease_messages import SHOW_BUCKET
from tests.unit.serving.aliased import CLAUDE, GPT, LLAMA, Aliased
from tests.unit.serving.budgets import reply
from tests.unit.serving.limited import ADMIN, KEYED
from tests.unit.serving.making import OPENAI

MAIN: dict[str, Any] = {"model": GPT, "id": "main", "limit": {"perHour": 100}}
SPENDER: dict[str, Any] = {"model": CLAUDE, "budget": {"day": 5, "month": 100}}
BOTH = MAIN | {"budget": {"day": 5}}
UNKNOWN = {"day": None, "month": None, "requests": None}


@pytest.fixture
def house() -> Aliased:
    return Aliased(lambda _: reply(prompt_tokens=1000, completion_tokens=1000))


async def read(house: Aliased, path: str) -> Any:
    answer = await house.operate("GET", f"/admin/{path}")
    assert (answer.status, answer.headers["cache-control"]) == (200, "no-store"), answer.body
    return answer.json


async def used(house: Aliased) -> Any:
    return (await read(house, "aliases/support?usage=true"))["used"]


async def reset(house: Aliased, query: str) -> int:
    return (await house.operate("DELETE", f"/admin/limits?{query}")).status


async def ask(house: Aliased, times: int = 1) -> None:
    for _ in range(times):
        assert (await house.ask(OPENAI, max_tokens=1000)).status == 200


async def test_requests_and_money_are_shown_with_the_alias(house: Aliased) -> None:
    await house.make("support", BOTH, LLAMA, SPENDER)
    assert await used(house) == {
        "main": {"day": 0, "month": 0, "requests": 0},
        CLAUDE: {"day": 0, "month": 0, "requests": None},
    }
    await ask(house, 3)
    found = await used(house)
    assert found["main"] == {"day": 0.0375, "month": 0.0375, "requests": 3}
    house.clock.time += 72  # two requests' time at 100 an hour
    assert (await used(house))["main"]["requests"] == 1
    [listed] = (await read(house, "aliases?usage=true"))["aliases"]
    assert listed["used"] == await used(house)


async def test_nothing_is_asked_where_nobody_wants_it(house: Aliased) -> None:
    await house.make("support", BOTH)
    assert "used" not in await read(house, "aliases/support")
    assert "used" not in (await read(house, "aliases"))["aliases"][0]
    assert house.buckets.called(SHOW_BUCKET) == house.accounts.called(SHOW_ACCOUNT) == []
    assert (await house.operate("GET", "/admin/aliases?usage=yes")).status == 400


async def test_what_is_out_of_reach_hides_no_alias(house: Aliased) -> None:
    await house.make("support", BOTH)
    house.buckets.down = house.accounts.down = True
    assert await used(house) == {"main": UNKNOWN}
    assert "accounts unreachable" in house.events("error")


async def test_an_alias_of_another_version_hides_none(house: Aliased) -> None:
    body = Raw(b'{"name": "support", "targets": [{"model": "groq/fast"}], "ofTomorrow": 1}')
    house.objects.aliases.at(STORE).put(NewAlias("support", body, may_replace=True), 0)
    assert (await read(house, "aliases/support?usage=true"))["ofTomorrow"] == 1
    assert await used(house) == {}


async def test_a_page_ends_where_an_invocation_has_no_more_subrequests() -> None:
    house = Aliased(SUBREQUEST_LIMIT="50")
    targets = [BOTH | {"id": f"t{n}"} for n in range(8)]
    for name in "abcd":
        await house.make(name, *targets)  # with 16 objects each, of which 40 may be asked
    assert len((await read(house, "aliases"))["aliases"]) == 4
    names, cursor = [], ""
    while cursor is not None:
        page = await read(house, f"aliases?usage=true{cursor}")
        names.append([alias["name"] for alias in page["aliases"]])
        cursor = page["next"] and f"&cursor={page['next']}"
    assert names == [["a", "b"], ["c", "d"]]


async def test_a_page_has_one_alias_at_least() -> None:
    house = Aliased(SUBREQUEST_LIMIT="50")
    await house.make("a", *(BOTH | {"id": f"t{n}"} for n in range(30)))
    await house.make("b", BOTH)
    page = await read(house, "aliases?usage=true")
    assert [alias["name"] for alias in page["aliases"]] == ["a"]


async def test_how_each_target_stands(house: Aliased) -> None:
    await house.make("support", BOTH, LLAMA, SPENDER)
    await ask(house)
    targets = (await read(house, "limits?alias=support"))["targets"]
    assert targets.keys() == {"main", CLAUDE}
    assert targets["main"]["bucket"]["level"] == 99
    assert targets["main"]["account"]["spent_day"] == 12_500_000
    assert targets[CLAUDE]["bucket"] is None
    one = await read(house, "limits?alias=support&target=main")
    assert one == {"targets": {"main": targets["main"]}}


async def test_one_target_is_reset_or_all_are(house: Aliased) -> None:
    other = MAIN | {"model": LLAMA, "id": "other", "limit": {"perHour": 2}}
    await house.make("support", MAIN | {"limit": {"perHour": 1}}, other)
    await ask(house, 3)
    assert (await house.ask()).status == 429
    assert await reset(house, "alias=support&target=main") == 204
    found = await used(house)
    assert (found["main"]["requests"], found["other"]["requests"]) == (0, 2)
    await ask(house)
    assert house.served[-1] == "openai"
    assert await reset(house, "alias=support") == 204
    assert {its["requests"] for its in (await used(house)).values()} == {0}


async def test_what_was_spent_is_forgotten(house: Aliased) -> None:
    await house.make("support", BOTH | {"budget": {"day": 0.02}})
    await ask(house)
    assert (await house.ask(OPENAI, max_tokens=1000)).status == 402
    assert await reset(house, "alias=support") == 204
    assert (await used(house))["main"] == {"day": 0, "month": 0, "requests": 0}
    await ask(house)


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("alias=nobody", 404),
        ("alias=", 400),
        ("alias=support&target=nobody", 404),
        (f"alias=support&target={LLAMA}", 404),  # nothing limits it
        ("alias=support&target=", 404),
        ("alias=support&provider=openai", 400),
        ("alias=support&user=ann", 400),
        ("target=main", 400),
        (f"alias={'a' * 257}", 400),
    ],
)
@pytest.mark.parametrize("method", ["GET", "DELETE"])
async def test_what_there_is_not_is_refused(
    house: Aliased, method: str, query: str, status: int
) -> None:
    await house.make("support", MAIN, LLAMA)
    assert (await house.operate(method, f"/admin/limits?{query}")).status == status


async def test_objects_out_of_reach_are_a_503(house: Aliased) -> None:
    await house.make("support", BOTH)
    house.accounts.down = True
    for method in ("GET", "DELETE"):
        answer = await house.operate(method, "/admin/limits?alias=support")
        assert answer.status == 503


async def test_only_operators_see_and_only_admins_reset(house: Aliased) -> None:
    await house.make("support", MAIN)
    for method in ("GET", "DELETE"):
        assert (await house.fetch(method, "/admin/limits?alias=support", **KEYED)).status == 403
    assert (await house.fetch("GET", "/admin/limits?alias=support", **ADMIN)).status == 200
