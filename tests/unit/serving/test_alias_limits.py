"""What all callers of an alias together may use of its targets, and who may use it."""

import pytest

from proxy.core.principal import Limits
from tests.unit.routing.making import error
from tests.unit.serving.aliased import (
    GPT,
    LLAMA,
    Aliased,
)
from tests.unit.serving.budgets import reply
from tests.unit.serving.limited import ADMIN, KEYED
from tests.unit.serving.making import NATIVE, OPENAI


class TestAllotments:
    async def test_a_limit_is_all_callers_and_then_the_next_target_answers(self) -> None:
        house = Aliased()
        other = house.issue("key_2", "ben")
        await house.make("support", {"model": GPT, "limit": {"perHour": 2}}, LLAMA)
        for key in ("", other, "", other):
            assert (await house.ask(key=key)).status == 200
        assert house.served == ["openai", "openai", "groq", "groq"]

    async def test_all_used_up_is_a_429(self) -> None:
        house = Aliased()
        await house.make("support", {"model": GPT, "limit": {"perHour": 1}})
        await house.ask()
        answer = await house.ask()
        assert answer.status == 429
        assert "openai/gpt-4o in the alias support" in answer.json["error"]["message"]
        assert int(answer.headers["retry-after"]) > 3000

    async def test_who_is_over_a_limit_of_its_own_takes_nothing_from_others(self) -> None:
        house = Aliased()
        limited = house.issue("key_2", "ben", limits=Limits(per_hour=1, burst=1))
        await house.make("support", {"model": GPT, "limit": {"perHour": 3}})
        statuses = [(await house.ask(key=limited)).status for _ in range(4)]
        assert statuses == [200, 429, 429, 429]
        assert [(await house.ask()).status for _ in range(3)] == [200, 200, 429]

    async def test_a_budget(self) -> None:
        house = Aliased(lambda _: reply(prompt_tokens=1000, completion_tokens=1000))
        await house.make("support", {"model": GPT, "budget": {"day": 0.02}}, LLAMA)
        for _ in range(3):
            await house.ask(OPENAI, max_tokens=1000)
        assert house.served == ["openai", "groq", "groq"]
        account = house.accounts.held["alias:support:openai/gpt-4o"].show(house.buckets.now)
        assert account.spent_day == 12_500_000  # 2.5 and 10 dollars a million
        assert account.reservations == 0

    async def test_two_targets_never_share_a_budget_by_their_names(self) -> None:
        house = Aliased(lambda _: reply(prompt_tokens=1000, completion_tokens=1000))
        budget = {"budget": {"day": 0.02}}
        await house.make("a", {"model": GPT, "id": "b:c", **budget})
        await house.make("a:b", {"model": GPT, "id": "c", **budget})
        for name in ("a", "a:b"):
            assert (await house.ask(OPENAI, name, max_tokens=1000)).status == 200
        assert len(house.accounts.held) == 2

    async def test_a_budget_that_is_used_up_is_a_402(self) -> None:
        house = Aliased()
        await house.make("support", {"model": GPT, "budget": {"month": 0.000001}})
        answer = await house.ask()
        assert answer.status == 402
        assert "The budget of openai/gpt-4o in the alias support" in answer.json["error"]["message"]
        assert "are left" not in answer.json["error"]["message"]

    async def test_a_model_without_a_price_is_refused_a_budget(self) -> None:
        house = Aliased()
        await house.make("support", {"model": "openai/unheard-of", "budget": {"day": 1}})
        answer = await house.ask()
        assert answer.status == 403
        assert "Openai/unheard-of in the alias support has a budget" in answer.body.decode()

    async def test_what_was_used_stays_with_the_target(self) -> None:
        """Whatever becomes of its place and of its model's name."""
        house = Aliased()
        limited = {"model": GPT, "id": "main", "limit": {"perHour": 1}}
        await house.make("support", limited, LLAMA)
        await house.ask()
        await house.make("support", {"model": LLAMA, "limit": {"perHour": 1}}, limited)
        await house.ask()
        assert (await house.ask()).status == 429
        assert house.served == ["openai", "groq"]

    async def test_two_targets_of_a_model_have_each_their_own(self) -> None:
        house = Aliased()
        targets = [
            {"model": GPT, "id": name, "limit": {"perHour": 1}} for name in ("first", "second")
        ]
        await house.make("support", *targets)
        assert [(await house.ask()).status for _ in range(3)] == [200, 200, 429]

    async def test_a_fallback_is_no_way_round_a_limit(self) -> None:
        house = Aliased(DISABLED_PROVIDERS="groq,anthropic")
        tier_model = "openai/fast"
        await house.make("support", {"model": tier_model, "limit": {"perHour": 1}}, fallback=True)
        assert [(await house.ask()).status for _ in range(2)] == [200, 429]

    async def test_a_hit_costs_nothing(self) -> None:
        house = Aliased(CACHE_TTL="60")
        await house.make("support", {"model": GPT, "limit": {"perHour": 1}})
        assert [(await house.ask()).cache for _ in range(3)] == ["MISS", "HIT", "HIT"]


class TestKeys:
    @pytest.mark.parametrize("allowed", ["support", "custom/support", "sup*", "@preset/*"])
    async def test_a_key_for_the_alias_has_its_targets_by_it_only(self, allowed: str) -> None:
        house = Aliased(models=(allowed,))
        await house.make("support", GPT, LLAMA)
        assert (await house.ask()).status == 200
        assert (await house.ask(NATIVE, GPT)).status == 403

    async def test_what_follows_the_alias_needs_the_keys_own_grant(self) -> None:
        house = Aliased(lambda _: error(500), models=("support",))
        await house.make("support", GPT, fallback=True)
        await house.ask(OPENAI, models=["groq/smart"])
        assert house.served == ["openai"]

    async def test_a_key_for_a_target_has_the_alias_as_far(self) -> None:
        house = Aliased(models=(LLAMA,))
        await house.make("support", GPT, LLAMA)
        await house.make("other", GPT)
        assert (await house.ask()).status == 200
        assert house.served == ["groq"]
        assert (await house.ask(NATIVE, "other")).status == 403

    async def test_providers_bind(self) -> None:
        house = Aliased()
        grant = {"providers": ["groq"], "models": ["support"]}
        await house.make("support", GPT, LLAMA)
        issued = await house.fetch("POST", "/admin/keys", {"user": "cy"} | grant, **ADMIN)
        assert (await house.ask(key=issued.json["key"])).status == 200
        assert house.served == ["groq"]

    @pytest.mark.parametrize(
        "headers", [{}, {"anthropic-version": "2023-06-01"}, {"client_version": "1"}]
    )
    async def test_the_lists_of_models(self, headers: dict[str, str]) -> None:
        house = Aliased(models=("support",))
        await house.make("support", GPT)
        await house.make("other", LLAMA)
        await house.make("theirs", {"model": GPT, "when": {"keys": ["key_2"]}})
        bearer = {"authorization": "Bearer " + house.issue("key_3")}

        async def listed(who: dict[str, str]) -> set[str]:
            sent = {n: v for n, v in headers.items() if n != "client_version"} | who
            query = "?client_version=1" if "client_version" in headers else ""
            body = (await house.fetch("GET", f"/v1/models{query}", **sent)).json
            models = body.get("data") or body["models"]
            return {m.get("id") or m["slug"] for m in models}

        assert await listed(KEYED) & {"support", "other", "theirs"} == {"support"}
        assert await listed(bearer) & {"support", "other", "theirs"} == {"support", "other"}

    async def test_one_model(self) -> None:
        house = Aliased()
        await house.make()
        for name in ("support", "custom%2Fsupport", "custom/support"):
            shown = await house.fetch("GET", f"/v1/models/{name}", **ADMIN)
            assert shown.status == 200
            assert shown.json["id"] == name.replace("%2F", "/")
        assert (await house.fetch("GET", "/v1/models/nobody", **ADMIN)).status == 404
