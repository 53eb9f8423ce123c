"""The operators' paths: the callers that may purge, what they may say, and what it does."""

import asyncio
from typing import Any

import pytest

from proxy.providers.catalog import Catalog
from tests.unit.doubles import FakeReply, LoopClock, in_no_time
from tests.unit.routing.making import whole
from tests.unit.serving.making import GROQ, House, Received, by_host, counting, in_turn

KEYS = {"PROXY_API_KEY": "one", "ADMIN_TOKEN": "two"}
USER = {"authorization": "Bearer one"}
ADMIN = {"authorization": "Bearer two"}


async def purge(house: House, query: str, method: str = "DELETE", **headers: str) -> Received:
    return await house.fetch(method, f"/admin/cache?{query}", **headers)


@pytest.fixture
def house() -> House:
    return House(by_host(openai=counting(), groq=counting()), **GROQ)


class TestParameters:
    @pytest.mark.parametrize(
        "query",
        ["key=abc", "model=openai/gpt-4o", "user=ann", "all=true", "all=true&key=", "key=%20"],
    )
    async def test_a_purge_names_one_thing(self, house: House, query: str) -> None:
        answer = await purge(house, query)
        assert (answer.status, answer.body) == (204, b"")
        assert "content-type" not in answer.headers
        assert answer.headers["x-request-id"]
        assert house.line["http.response.status_code"] == 204
        assert len(house.objects.ledger) == 1

    @pytest.mark.parametrize(
        ("query", "param"),
        [
            ("", None),
            ("key=", None),
            ("all=false", None),
            ("all=1", None),
            ("all=", None),
            ("all=TRUE", None),
            ("key=a&user=b", None),
            ("all=true&model=openai/gpt-4o", None),
            ("models=openai/gpt-4o", "models"),
            ("all=true&dry=1", "dry"),
            ("All=true", "All"),
            (f"user={'u' * 257}", "user"),
            (f"key={'k' * 257}", "key"),
        ],
    )
    async def test_what_is_not_clear_is_refused(
        self, house: House, query: str, param: str | None
    ) -> None:
        answer = await purge(house, query)
        assert answer.status == 400
        error = answer.json["error"]
        assert (error["type"], error.get("param")) == ("invalid_request", param)
        assert param is None or param in error["message"]
        assert house.objects.ledger == []

    @pytest.mark.parametrize("method", ["POST", "PUT"])
    async def test_a_purge_is_a_deletion(self, house: House, method: str) -> None:
        answer = await purge(house, "all=true", method)
        assert (answer.status, answer.headers["allow"]) == (405, "GET, DELETE, HEAD, OPTIONS")
        assert house.objects.ledger == []


class TestCallers:
    @pytest.mark.parametrize(
        ("headers", "status"),
        [({}, 401), ({"authorization": "Bearer x"}, 401), (USER, 403), (ADMIN, 204)],
    )
    async def test_the_operators_only(self, headers: Any, status: int) -> None:
        house = House(by_host(openai=counting()), **KEYS)
        answer = await purge(house, "all=true", **headers)
        assert answer.status == status
        assert len(house.objects.ledger) == (status == 204)

    async def test_nobody_learns_what_is_wrong_before_the_caller_is_known(self) -> None:
        house = House(by_host(openai=counting()), **KEYS)
        assert (await purge(house, "nonsense=1", **USER)).status == 403

    async def test_everyone_where_the_proxy_is_open(self, house: House) -> None:
        assert (await purge(house, "all=true")).status == 204

    async def test_nobody_where_only_a_users_key_is_set(self) -> None:
        house = House(by_host(openai=counting()), PROXY_API_KEY="one")
        assert (await purge(house, "all=true", **USER)).status == 403


class TestEffect:
    async def after(self, house: House, query: str, **body: Any) -> str:
        """The text of the next answer after the purge."""
        house.clock.time += 1  # a key is written once a second
        assert (await purge(house, query)).status == 204
        house.clock.time += 0.25
        return (await house.post(**body)).text

    @pytest.mark.parametrize(
        ("query", "text"),
        [
            ("all=true", "2"),
            ("model=openai/gpt-4o", "2"),
            ("user=anonymous", "2"),
            ("model=openai/gpt-4.1", "1"),
            ("model=gpt-4o", "1"),
            ("model=openrouter/gpt-4o", "1"),
            ("user=ann", "1"),
            ("user=Anonymous", "1"),
            (f"key={'0' * 64}", "1"),
        ],
    )
    async def test_what_is_named_is_gone_and_nothing_else(
        self, house: House, query: str, text: str
    ) -> None:
        await house.post()
        assert await self.after(house, query) == text
        assert (await house.post()).text == text
        house.leave()
        assert (await house.post()).text == text

    async def test_a_key_as_the_hit_names_it(self, house: House) -> None:
        await house.post()
        await house.post(prompt="Another")
        key = (await house.post()).headers["x-proxy-cache-key"]
        assert await self.after(house, f"key={key}") == "3"
        assert (await house.post(prompt="Another")).text == "2"

    async def test_it_is_the_model_that_answered_that_counts(self) -> None:
        house = House(by_host(openai=counting(), groq=counting()), **GROQ)
        await house.post(model="auto")
        default = Catalog.load().find_tier_model("openai", "auto")
        assert default
        assert await self.after(house, "model=groq/openai/gpt-oss-120b", model="auto") == "1"
        assert await self.after(house, f"model=openai/{default.id}", model="auto") == "2"

    @pytest.mark.parametrize("name", ["llama-3.1-8b-instant", "groq/llama-3.1-8b-instant"])
    async def test_an_alias_is_the_model_that_it_means(self, name: str) -> None:
        house = House(by_host(openai=counting(), groq=counting()), **GROQ)
        await house.post(model=name)
        assert await self.after(house, f"model={name}", model=name) == "2"

    async def test_one_users_purge_leaves_anothers(self) -> None:
        house = House(by_host(openai=counting()), **KEYS)
        assert (await house.post(headers=USER)).text == "1"
        assert (await house.post(headers=ADMIN)).text == "2"
        house.clock.time += 0.25
        assert (await purge(house, "user=default", **ADMIN)).status == 204
        house.clock.time += 0.25
        assert (await house.post(headers=ADMIN)).text == "2"
        assert (await house.post(headers=USER)).text == "3"

    async def test_a_shared_entry_belongs_to_its_first_caller(self) -> None:
        house = House(by_host(openai=counting()), CACHE_SCOPE="shared", **KEYS)
        await house.post(headers=USER)
        house.clock.time += 0.25
        await purge(house, "user=admin", **ADMIN)
        assert (await house.post(headers=ADMIN)).text == "1"
        await purge(house, "user=default", **ADMIN)
        house.clock.time += 0.25
        assert (await house.post(headers=ADMIN)).text == "2"

    async def test_no_stale_answer_comes_of_what_is_gone(self, house: House) -> None:
        await house.post()
        house.clock.time += 3600
        await purge(house, "all=true")
        assert (await house.post(headers={"cache_control": "only-if-cached"})).status == 504

    async def test_an_answer_that_was_under_way_is_not_shown_afterwards(self, house: House) -> None:
        first = await house.receive()  # what it leaves is put off
        assert first.text == "1"
        await purge(house, "all=true")
        await house.settle()
        house.clock.time += 0.25
        assert (await house.post()).text == "2"

    @in_no_time
    async def test_an_answer_to_an_earlier_request_is_not_shown_afterwards(self) -> None:
        slow = FakeReply(5.0, *whole("before").pieces)
        house = House(by_host(openai=in_turn(slow, whole("after"))), LoopClock())
        pending = asyncio.ensure_future(house.post())
        await asyncio.sleep(1)
        await purge(house, "all=true")
        assert (await pending).text == "before"
        assert (await house.post()).text == "after"

    async def test_other_isolates_know_within_30_s(self, house: House) -> None:
        await house.post()
        here, there = house.app, house.isolate()
        house.app = there
        assert (await house.post()).text == "1"
        house.app = here
        assert (await purge(house, "all=true")).status == 204
        house.app = there
        house.clock.time += 30
        assert (await house.post()).text == "2"


class TestLedger:
    @pytest.mark.parametrize("query", ["all=true", "user=anonymous"])
    async def test_a_ledger_that_is_down_is_an_error_and_the_purge_holds_here(
        self, house: House, query: str
    ) -> None:
        await house.post()
        house.purges.down = True
        assert (await purge(house, query)).status >= 500
        house.clock.time += 0.25
        assert (await house.post()).text == "2"

    async def test_tiers_that_are_down_do_not_matter(self, house: House) -> None:
        await house.post()
        key = (await house.post()).headers["x-proxy-cache-key"]
        house.kv.fault = house.r2.fault = RuntimeError("down")
        house.clock.time += 0.25
        assert (await purge(house, f"key={key}")).status == 204
        house.kv.fault = house.r2.fault = None
        house.clock.time += 0.25
        assert (await house.post()).text == "2"

    @in_no_time
    async def test_tiers_that_are_slow_do_not_matter_in_the_end(self) -> None:
        house = House(by_host(openai=counting()), LoopClock())
        await house.post()
        key = (await house.post()).headers["x-proxy-cache-key"]
        house.kv.silent = True
        assert (await purge(house, f"key={key}")).status == 204
        house.kv.silent = False
        assert (await house.post()).text == "2"


class TestCacheFigures:
    async def read(self, house: House) -> Any:
        answer = await house.fetch("GET", "/admin/cache")
        assert (answer.status, answer.headers["cache-control"]) == (200, "no-store")
        return answer.json

    async def test_what_memory_holds_and_what_was_purged(self, house: House) -> None:
        empty = await self.read(house)
        assert empty == empty | {"entries": 0, "bytes": 0, "tiers": ["memory", "kv", "r2"]}
        assert (empty["ttl"], empty["mostEntries"], empty["purges"]) == (3600, 1000, [])
        await house.post()
        await purge(house, "user=ann")
        house.clock.time += 1
        await purge(house, "all=true")
        found = await self.read(house)
        assert found["entries"] == 1
        assert 0 < found["bytes"] < found["mostBytes"]
        assert [(p["scope"], p["value"]) for p in found["purges"]] == [("all", ""), ("user", "ann")]
        assert found["purges"][0]["at"] > found["purges"][1]["at"]

    async def test_purges_out_of_reach_leave_the_rest(self, house: House) -> None:
        house.purges.down = True
        found = await self.read(house)
        assert (found["purges"], found["entries"]) == (None, 0)

    async def test_an_unknown_parameter_is_refused(self, house: House) -> None:
        answer = await house.fetch("GET", "/admin/cache?user=ann")
        assert (answer.status, answer.json["error"]["param"]) == (400, "user")


class TestAllLimits:
    async def test_each_configured_provider_is_there(self, house: House) -> None:
        await house.post()
        found = (await house.fetch("GET", "/admin/limits")).json["providers"]
        assert {"openai", "groq"} <= found.keys()
        assert "gemini" not in found
        assert found["openai"]["rate"] == {"burst": 50, "per_hour": 1000}
        assert found["openai"]["pool"] == found["openai"]["pool"] | {"capacity": None, "scopes": []}

    async def test_what_is_out_of_reach_leaves_the_rest(self, house: House) -> None:
        house.objects.pools.down = True
        found = (await house.fetch("GET", "/admin/limits")).json["providers"]
        assert found["openai"] == {"rate": {"burst": 50, "per_hour": 1000}, "pool": None}


class TestBreakers:
    async def open(self, house: House) -> None:
        """Opens the breakers of two models."""
        for model in ("openai/gpt-4o", "openai/gpt-4.1"):
            for _ in range(5):
                await house.post(model=model, fallback=False, cache={"mode": "off"})
        assert await self.states(house) == {"gpt-4o": "open", "gpt-4.1": "open"}

    async def states(self, house: House) -> dict[str, str]:
        found = (await house.fetch("GET", "/admin/breakers")).json["breakers"]
        return {n.partition("/")[2]: view["phase"] for n, view in found.items() if "/" in n}

    @pytest.mark.parametrize(
        ("query", "still"),
        [
            ("?provider=openai&model=gpt-4o", {"gpt-4.1"}),
            ("?provider=openai", set()),
            ("", set()),
            ("?provider=groq", {"gpt-4o", "gpt-4.1"}),
        ],
    )
    async def test_one_model_a_provider_or_all_are_closed(
        self, query: str, still: set[str]
    ) -> None:
        house = House(by_host(openai=FakeReply(b"{}", status=503)), **GROQ)
        await self.open(house)
        assert (await house.fetch("DELETE", f"/admin/breakers{query}")).status == 204
        left = {name for name, phase in (await self.states(house)).items() if phase != "closed"}
        assert left == still

    @pytest.mark.parametrize(
        ("query", "status"),
        [("provider=openai&model=nobody", 404), ("model=gpt-4o", 400), ("breaker=x", 400)],
    )
    async def test_what_there_is_not_is_refused(
        self, house: House, query: str, status: int
    ) -> None:
        assert (await house.fetch("DELETE", f"/admin/breakers?{query}")).status == status
