"""The budgets of teams and tags through App.handle: all isolates charge them wherever a key's is
charged."""

import asyncio
import json
from typing import Any

import pytest

from proxy.access import keys
from proxy.core.money import NANO
from proxy.core.principal import Budget
from proxy.core.replica import STORE_SECONDS
from proxy.limits import shared_budgets
from proxy.limits.account_messages import RESERVE, SETTLE, AccountView
from proxy.limits.budget_view import HOLD_SECONDS
from proxy.limits.shared_budgets import READ_BUDGETS, SharedBudget
from proxy.limits.tab import RESERVED_MS
from tests.unit.callers import JSON, request, send
from tests.unit.doubles import LoopClock, in_no_time
from tests.unit.routing.making import DONE, HELLO
from tests.unit.serving.aliased import EMBEDDINGS, PATHS, Aliased
from tests.unit.serving.budgets import honest, reply
from tests.unit.serving.limited import ADMIN, OFF, Limited, house
from tests.unit.serving.making import NATIVE, OPENAI, by_host, stream_of, usage_event

TEAM: dict[str, Any] = {"team": "search"}
SMALL = 0.000_001
"""A budget in dollars that allows nothing."""


async def put(limited: Limited, name: str, **budget: float) -> int:
    answer = await limited.fetch("PUT", f"/admin/budgets/{name}", budget, **ADMIN)
    return answer.status


def account(limited: Limited, name: str) -> AccountView:
    return limited.accounts.held[name].show(limited.buckets.now)


class TestWhereAKeysBudgetHolds:
    @pytest.mark.parametrize("path", [*PATHS, EMBEDDINGS])
    async def test_a_teams_does(self, path: str) -> None:
        limited = Aliased()
        secret = limited.issue("key_2", **TEAM)
        model = "openai/text-embedding-3-small" if path == EMBEDDINGS else "openai/gpt-4o"
        assert await put(limited, "team:search", day=1) == 201
        assert (await limited.ask(path, model, key=secret)).status == 200
        spent = account(limited, "team:search")
        assert (spent.spent_day > 0, spent.reservations) == (True, 0)
        assert await put(limited, "team:search", day=1e-9) == 200
        refused = await limited.ask(path, model, key=secret)
        assert refused.status == 402
        assert "The budget of the team search" in refused.body.decode()

    @pytest.mark.parametrize("path", [NATIVE, OPENAI])
    async def test_for_streams(self, path: str) -> None:
        limited = house(stream_of(HELLO, usage_event(), DONE), key=TEAM)
        await put(limited, "team:search", month=1)
        assert (await limited.keyed(path, stream=True, **OFF)).status == 200
        assert account(limited, "team:search").spent_month > 0
        await put(limited, "team:search", month=SMALL)
        assert (await limited.keyed(path, stream=True, **OFF)).status == 402

    async def test_for_a_batch_and_its_parts_elsewhere(self) -> None:
        for env in ({}, {"SUBREQUEST_LIMIT": "50"}):
            limited = house(reply(prompt_tokens=9, completion_tokens=9), key=TEAM, env=env)
            await put(limited, "team:search", day=0.01)
            asked = [
                {"prompt": f"{n}", "model": "openai/gpt-4o", "maxTokens": 500} for n in range(30)
            ]
            headers = {"authorization": f"Bearer {limited.issue('key_2', team='search')}"} | JSON
            sent = limited.request("POST", "/v1/batch", {"requests": asked}, **headers)
            statuses = {r["status"] for r in (await _json(limited, sent))["results"]}
            assert statuses == {200, 402}
            assert account(limited, "team:search").spent_day <= 0.01 * NANO

    async def test_for_an_aliass_target(self) -> None:
        limited = Aliased(lambda _: reply(prompt_tokens=1000, completion_tokens=1000))
        secret = limited.issue("key_2", **TEAM)
        await put(limited, "team:search", day=1)
        await limited.make("support", {"model": "openai/gpt-4o", "budget": {"day": 1}})
        assert (await limited.ask(OPENAI, max_tokens=1000, key=secret)).status == 200
        spent = {name: account(limited, name).spent_day for name in limited.accounts.held}
        assert spent == {"team:search": 12_500_000, "alias:support:openai/gpt-4o": 12_500_000}


class TestTags:
    @pytest.mark.parametrize("where", ["key", "body", "header"])
    async def test_those_of_the_key_and_those_that_are_sent(self, where: str) -> None:
        limited = house()
        await put(limited, "tag:eval", day=1)
        fields: dict[str, Any] = {"metadata": {"tags": ["eval", "other"]}}
        headers = {"x-litellm-tags": "other, eval"}
        body = {"messages": [{"role": "user", "content": "Hi"}], "model": "openai/gpt-4o"}
        body |= fields if where == "body" else {}
        secret = limited.issue("key_2", tags=("eval",) if where == "key" else ())
        headers = {"authorization": f"Bearer {secret}"} | (headers if where == "header" else {})
        assert (await limited.post(OPENAI, headers=headers, **body)).status == 200
        assert list(limited.accounts.held) == ["tag:eval"]  # the other has no budget
        assert account(limited, "tag:eval").spent_day > 0
        tags = ("eval",) if where == "key" else ("eval", "other")
        assert set(limited.line["proxy.tags"].split(", ")) == set(tags)
        await put(limited, "tag:eval", day=SMALL)
        refused = await limited.post(OPENAI, headers=headers, **body | {"model": "openai/o3"})
        assert refused.status == 402
        assert "The budget of the tag eval, $0.000001 a day" in refused.json["error"]["message"]

    async def test_a_name_reaches_no_other_account(self) -> None:
        """A tag or a team may be called like a key, an alias's target or the other kind."""
        odd = ("key_1", "team:search", "alias:a:b")
        limited = house(key={"budget": Budget(day=NANO), "team": "key_1", "tags": odd})
        for name in ("team:key_1", *(f"tag:{tag}" for tag in odd)):
            assert await put(limited, name, day=1) == 201
        assert (await limited.keyed()).status == 200
        assert set(limited.accounts.held) == {
            "key_1", "team:key_1", "tag:key_1", "tag:team:search", "tag:alias:a:b",
        }  # fmt: skip
        assert len({account(limited, name).spent_day for name in limited.accounts.held}) == 1

    async def test_each_reserves_once_however_often_it_is_named(self) -> None:
        limited = house(key={"tags": ("eval",)})
        await put(limited, "tag:eval", day=1)
        await limited.keyed(OPENAI, metadata={"tags": ["eval", "eval"]})
        assert limited.accounts.called(RESERVE) == ["tag:eval"]
        assert limited.accounts.called(SETTLE) == ["tag:eval"]


async def test_where_one_budget_refuses_nothing_stays_reserved_of_the_others() -> None:
    limited = house(key={"budget": Budget(day=NANO), "team": "search", "tags": ("eval",)})
    await put(limited, "team:search", day=1)
    await put(limited, "tag:eval", day=SMALL)
    refused = await limited.keyed()
    assert "The budget of the tag eval" in refused.json["error"]["message"]
    for name in ("key_1", "team:search", "tag:eval"):
        held = account(limited, name)
        assert (held.reservations, held.spent_day) == (0, 0), name


async def test_who_has_neither_team_nor_tags_has_nothing_looked_up() -> None:
    limited = house()
    await put(limited, "team:search", day=1)
    limited.objects.keys.calls.clear()
    limited.accounts.calls.clear()
    for _ in range(3):
        await limited.keyed(**OFF)
    assert limited.objects.keys.called(READ_BUDGETS) == []
    assert limited.accounts.calls == []


async def test_the_budgets_are_read_once_in_a_while_and_a_change_reaches_all() -> None:
    limited = house(key=TEAM)
    operators = limited.isolate()
    await limited.keyed(**OFF)
    limited.objects.keys.calls.clear()
    body = {"day": SMALL}
    answer = await send(operators, request("PUT", "/admin/budgets/team:search", body, **ADMIN))
    assert answer.status == 201
    limited.objects.keys.calls.clear()
    assert (await limited.keyed(**OFF)).status == 200  # it goes by what it read a moment ago
    assert limited.objects.keys.called(READ_BUDGETS) == []
    limited.clock.time += HOLD_SECONDS
    assert (await limited.keyed(**OFF)).status == 402
    assert len(limited.objects.keys.called(READ_BUDGETS)) == 1
    await limited.fetch("DELETE", "/admin/budgets/team:search", **ADMIN)
    assert (await limited.keyed(**OFF)).status == 200  # at once where it was changed


@pytest.mark.parametrize("on_error", ["open", "closed"])
async def test_while_they_cannot_be_read(on_error: str) -> None:
    limited = house(key=TEAM, env={"LIMITER_ON_ERROR": on_error})
    await limited.keyed(**OFF)
    await put(limited, "team:search", day=SMALL)
    known, fresh = limited.app, limited.isolate()
    limited.objects.keys.wrap(READ_BUDGETS, _fail)
    limited.clock.time += HOLD_SECONDS
    assert (await limited.keyed(**OFF)).status == 402  # by what was read last
    limited.app = fresh
    assert (await limited.keyed(**OFF)).status == (200 if on_error == "open" else 503)
    limited.app = known
    limited.clock.time += STORE_SECONDS
    assert (await limited.keyed(**OFF)).status == 402
    assert "budgets unreachable" in limited.events("error")


def test_a_team_on_several_isolates_never_exceeds_its_budget() -> None:
    @in_no_time
    async def check() -> None:
        budget = NANO // 10
        env = {"BUDGET_DEFAULT_MAX_TOKENS": "500"}
        limited = Limited(by_host(openai=honest), LoopClock(), key=TEAM, env=env)
        await put(limited, "team:search", day=budget / NANO)
        secrets = [limited.issue(f"key_{n}", f"user {n}", team="search") for n in range(2, 8)]
        isolates = [limited.isolate() for _ in range(4)]

        async def call(number: int) -> int:
            headers = {"authorization": f"Bearer {secrets[number % len(secrets)]}"}
            sent = limited.chat_request({**OFF, "prompt": "Hello"}, NATIVE, headers)
            return (await send(isolates[number % len(isolates)], sent)).status

        statuses = await asyncio.gather(*(call(number) for number in range(80)))
        await limited.settle()
        assert set(statuses) == {200, 402}
        held = account(limited, "team:search")
        assert 0.8 * budget < held.spent_day <= budget
        assert held.reservations == 0

    check()


async def test_what_a_crash_leaves_reserved_lapses() -> None:
    """Between the team's reservation and the tag's the isolate ends: nobody settles."""
    limited = house(key={"team": "search", "tags": ("eval",)})
    await put(limited, "team:search", day=0.25)
    await put(limited, "tag:eval", day=1)
    reached = asyncio.Event()

    async def never(name: str, _: Any, answer: Any) -> Any:
        if name == "tag:eval":
            reached.set()
            await asyncio.Event().wait()
        return await answer()

    limited.accounts.wrap(RESERVE, never)
    running = asyncio.ensure_future(limited.receive(headers=_bearer(limited)))
    await reached.wait()
    assert account(limited, "team:search").reservations == 1
    limited.accounts.unwrap(RESERVE)
    limited.leave()
    refused = await limited.keyed(**OFF)
    assert refused.status == 402
    limited.clock.time += RESERVED_MS / 1000
    assert (await limited.keyed(**OFF)).status == 200
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


def test_the_budgets_lie_beside_the_keys() -> None:
    assert (READ_BUDGETS.binding, shared_budgets.STORE) == (keys.LOOKUP.binding, keys.STORE)
    assert SharedBudget(name="team:a").day is None


def _bearer(limited: Limited) -> dict[str, str]:
    return {"authorization": f"Bearer {limited.issue('key_9', team='search', tags=('eval',))}"}


async def _fail(*_: Any) -> Any:
    raise RuntimeError("the object is unreachable")


async def _json(limited: Limited, sent: Any) -> Any:
    response = await send(limited.app, sent)
    await limited.settle()
    return json.loads(response.body)
