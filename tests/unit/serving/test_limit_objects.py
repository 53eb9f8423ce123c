"""The objects of the limits through App.handle: out of reach, and as operators see them."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from proxy.access.keys import LIST_KEYS
from proxy.core.circuit import REST_SECONDS
from proxy.core.principal import Budget, Limits
from proxy.limits.lease_messages import TAKE, LeaseGrant, LeaseRequest
from tests.unit.doubles import LoopClock, in_no_time
from tests.unit.routing.making import whole
from tests.unit.serving.limited import ADMIN, ANYONE, KEYED, OFF, Limited, house
from tests.unit.serving.making import GROQ, by_host

BUDGET = 12_000_000
"""Nano-dollars."""


class TestFaults:
    @pytest.mark.parametrize(("choice", "status"), [("open", 200), ("closed", 503)])
    @pytest.mark.parametrize("fault", ["down", "silent"])
    @pytest.mark.parametrize("part", ["buckets", "accounts"])
    def test_an_object_out_of_reach(self, choice: str, status: int, fault: str, part: str) -> None:
        @in_no_time
        async def check() -> None:
            key = {"limits": Limits(tokens_per_minute=1000)}
            replies = by_host(openai=whole("Hi!"))
            limited = Limited(replies, LoopClock(), key=key, env={"LIMITER_ON_ERROR": choice})
            setattr(getattr(limited, part), fault, True)
            answer = await limited.keyed()
            assert answer.status == status
            assert "limiter unreachable" in limited.events("error")
            if status == 503:
                assert answer.json["error"]["limit"] == "limiter"

        check()

    @pytest.mark.parametrize(("choice", "status"), [("open", 200), ("closed", 503)])
    @pytest.mark.parametrize("part", ["buckets", "accounts"])
    def test_one_that_hangs_costs_one_request_its_time(
        self, choice: str, status: int, part: str
    ) -> None:
        @in_no_time
        async def check() -> None:
            replies = by_host(openai=lambda _: whole("Hi!"), groq=lambda _: whole("Hi!"))
            settings = GROQ | {"LIMITER_ON_ERROR": choice, "ADMIN_TOKEN": "admin"}
            key = {"budget": Budget(day=10**12)}
            limited = Limited(replies, LoopClock(), key=key, env=settings)
            await limited.keyed(**ANYONE)
            objects = getattr(limited, part)
            objects.silent = True
            loop = asyncio.get_running_loop()
            began, calls = loop.time(), len(objects.calls)
            for _ in range(20):
                assert (await limited.receive(headers=KEYED, **ANYONE)).status == status
            assert loop.time() - began == pytest.approx(1)
            assert len(objects.calls) == calls + 1
            await asyncio.sleep(5)
            began = loop.time()
            for _ in range(20):
                await limited.receive(headers=KEYED, **ANYONE)
            assert loop.time() - began == pytest.approx(1)
            objects.silent = False
            await asyncio.sleep(5)
            assert (await limited.keyed(**ANYONE)).status == 200
            assert (await limited.keyed(**ANYONE)).status == 200
            await limited.settle()

        check()

    @pytest.mark.parametrize("fault", ["down", "silent"])
    def test_a_budget_that_is_out_of_reach_is_spent_up_to_what_was_last_known_of_it(
        self, fault: str
    ) -> None:
        @in_no_time
        async def check() -> None:
            replies = by_host(openai=lambda _: whole("Hi!"))
            limited = Limited(replies, LoopClock(), key={"budget": Budget(day=BUDGET)})
            asked = OFF | {"model": "openai/gpt-4o", "maxTokens": 100}  # a tenth of it, reserved

            async def ask_while_it_is_out_of_reach() -> list[int]:
                setattr(limited.accounts, fault, True)
                statuses = [(await limited.keyed(**asked)).status for _ in range(12)]
                setattr(limited.accounts, fault, False)
                await limited.settle()
                await asyncio.sleep(REST_SECONDS)
                return statuses

            assert await ask_while_it_is_out_of_reach() == [503] * 12  # nothing was known yet
            assert (await limited.keyed(**asked)).status == 200
            statuses = await ask_while_it_is_out_of_reach()
            assert statuses == [200] * 8 + [503] * 4
            assert (await limited.keyed(**asked)).status == 200
            assert await ask_while_it_is_out_of_reach() == [503] * 12
            assert (await limited.keyed(**asked)).status == 200

        check()

    @in_no_time
    async def test_a_users_bucket_that_hangs_opens_nobody_elses(self) -> None:
        replies = by_host(openai=lambda _: whole("Hi!"))
        limited = Limited(
            replies,
            LoopClock(),
            env={"RATE_LIMIT_BURST": "2", "RATE_LIMIT_PER_HOUR": "1", "ADMIN_TOKEN": "admin"},
        )

        async def hanging(
            name: str, _: LeaseRequest, take: Callable[[], Awaitable[LeaseGrant]]
        ) -> LeaseGrant:
            if name == "openai:ann":
                await asyncio.sleep(10_000)
            return await take()

        limited.buckets.wrap(TAKE, hanging)
        statuses = []
        for _ in range(4):
            assert (await limited.receive(headers=KEYED, **OFF)).status == 200
            statuses.append((await limited.receive(headers=ADMIN, **OFF)).status)
        assert statuses == [200, 200, 429, 429]


@pytest.mark.parametrize(
    ("query", "holds"),
    [
        ("provider=openai&user=ann", "level"),
        ("provider=openai&key=key_1", "level"),
        ("key=key_1", "spentDay"),
        ("provider=openai", "users"),
    ],
)
async def test_operators_see_and_reset_limits(query: str, holds: str) -> None:
    limited = house(key={"limits": Limits(burst=1, per_hour=1), "budget": Budget(day=10**9)})
    await limited.keyed(maxTokens=10)

    shown = await limited.operate("GET", f"/admin/limits?{query}")
    assert shown.status == 200
    assert any(holds.lower() in name.lower().replace("_", "") for name in shown.json)
    assert limited.objects.keys.called(LIST_KEYS) == []  # of which there may be many
    assert (await limited.operate("DELETE", f"/admin/limits?{query}")).status == 204
    if "&" in query:
        assert (await limited.keyed(**OFF, maxTokens=10)).status == 200


@pytest.mark.parametrize("query", ["provider=openai&user=ann", "key=key_1", "provider=openai"])
@pytest.mark.parametrize("method", ["GET", "DELETE"])
@pytest.mark.parametrize("fault", ["down", "silent"])
def test_operators_learn_of_limits_out_of_reach(query: str, method: str, fault: str) -> None:
    @in_no_time
    async def check() -> None:
        limited = Limited(by_host(openai=whole("Hi!")), LoopClock())
        for objects in (limited.buckets, limited.accounts, limited.pools):
            setattr(objects, fault, True)
        response = await asyncio.wait_for(limited.operate(method, f"/admin/limits?{query}"), 10)
        assert response.status == 503
        assert response.headers["retry-after"] == "1"
        assert "limiter unreachable" in limited.events("error")

    check()


@pytest.mark.parametrize(
    "query", ["provider=openai&user=", "provider=openai&key=", "provider=&key=k"]
)
@pytest.mark.parametrize("method", ["GET", "DELETE"])
async def test_a_name_that_was_left_empty_is_refused(query: str, method: str) -> None:
    response = await house().operate(method, f"/admin/limits?{query}")
    assert response.status == 400


@pytest.mark.parametrize("name", ["user", "key"])
async def test_a_name_that_nobody_can_have_is_refused(name: str) -> None:
    limited = house()
    query = f"{'provider=openai&' if name == 'user' else ''}{name}={'x' * 257}"
    response = await limited.operate("GET", f"/admin/limits?{query}")
    assert response.status == 400
    assert response.json["error"]["message"].startswith(f"{name}:")
