"""A key's budget through App.handle: what is reserved and sent, for which models, and that many at
once never cost more than it holds."""

import asyncio
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.core.money import NANO
from proxy.core.principal import Budget, Limits
from proxy.providers.catalog import Catalog
from tests.unit.doubles import FakeReply, LoopClock, in_no_time
from tests.unit.routing.making import DONE, EVENTS, HELLO, ROLE, STOP, error, whole
from tests.unit.serving.budgets import (
    DAY,
    EMBEDDINGS,
    LONGEST,
    UNPRICED,
    honest,
    piece_of,
    reply,
    sent,
    vectors,
)
from tests.unit.serving.limited import OFF, Limited, house
from tests.unit.serving.making import GROQ, NATIVE, OPENAI, by_host


class TestWhatIsReserved:
    @pytest.mark.parametrize(
        ("env", "fields", "limit"),
        [
            ({}, {}, LONGEST),
            ({"BUDGET_DEFAULT_MAX_TOKENS": "700"}, {}, 700),
            ({"BUDGET_DEFAULT_MAX_TOKENS": "9999999"}, {}, LONGEST),
            ({"BUDGET_DEFAULT_MAX_TOKENS": "700"}, {"maxTokens": 900}, 900),
        ],
    )
    async def test_is_sent_for_the_provider_to_hold(
        self, env: dict[str, str], fields: dict[str, Any], limit: int
    ) -> None:
        limited = house(key=DAY, env=env)
        assert (await limited.keyed(**fields)).status == 200
        assert sent(limited)["max_completion_tokens"] == limit

    @pytest.mark.parametrize(
        "fields", [{}, {"max_tokens": None}, {"max_tokens": None, "max_completion_tokens": None}]
    )
    async def test_also_of_a_body_that_would_go_on_unchanged(self, fields: dict[str, Any]) -> None:
        limited = house(key=DAY, env={"BUDGET_DEFAULT_MAX_TOKENS": "700"})
        await limited.keyed(OPENAI, **fields)
        body = sent(limited)
        assert (body.get("max_tokens"), body["max_completion_tokens"]) == (None, 700)

    @pytest.mark.parametrize("other", [{}, {"max_completion_tokens": None}])
    async def test_the_callers_own_limit_goes_out_under_the_providers_name(
        self, other: dict[str, Any]
    ) -> None:
        limited = house(key=DAY)
        await limited.keyed(OPENAI, max_tokens=9, **other)
        assert sent(limited)["max_completion_tokens"] == 9

    @pytest.mark.parametrize("path", [NATIVE, OPENAI])
    @pytest.mark.parametrize("model", ["openai/gpt-4o", "groq/fast", "gemini/fast"])
    async def test_no_higher_limit_goes_out_than_is_reserved(self, model: str, path: str) -> None:
        """A model that could write more than the catalogue knows is kept from it."""
        limited = Limited(lambda _: error(400), key=DAY, env=GROQ | {"GEMINI_API_KEY": "k"})
        name = "maxTokens" if path == NATIVE else "max_completion_tokens"
        fields: dict[str, Any] = {name: 900_000}
        await limited.keyed(path, model=model, fallback=False, **fields)
        body = sent(limited)
        body = body.get("generationConfig", body)
        names = ("max_tokens", "max_completion_tokens", "maxOutputTokens")
        [limit] = [body[name] for name in names if name in body]
        assert 8_000 < limit < 200_000

    async def test_what_that_cuts_off_is_not_kept(self) -> None:
        cut = piece_of(whole("Hi")).replace(b'"stop"', b'"length"')
        limited = house(FakeReply(cut), key=DAY)
        for limit, caches in ((20_000, ["MISS", "MISS"]), (10_000, ["MISS", "HIT"])):
            statuses = [(await limited.keyed(maxTokens=limit)).cache for _ in range(2)]
            assert statuses == caches

    async def test_who_has_no_budget_sends_nothing_more(self) -> None:
        limited = house(key={"limits": Limits(tokens_per_minute=10**9)})
        body: dict[str, Any] = {
            "model": "gpt-4o",
            "messages": [{"role": "user", "content": "Hi"}],
        }
        await limited.keyed(OPENAI, **body)
        assert sent(limited) == body

    async def test_what_the_limit_has_cut_off_is_not_kept(self) -> None:
        """Another key of the same user may have sent the same without a limit."""
        cut = piece_of(whole("Hi")).replace(b'"stop"', b'"length"')
        limited = house(FakeReply(cut), key=DAY)
        for _ in range(2):
            assert (await limited.keyed()).cache == "MISS"
        for cache in ("MISS", "HIT"):  # this one is as long as was allowed
            assert (await limited.keyed(maxTokens=1)).cache == cache

    async def test_a_refusal_says_what_the_answer_may_cost(self) -> None:
        limited = house(key={"budget": Budget(day=NANO // 10)})
        answer = await limited.keyed()
        assert (answer.status, answer.json["error"]["limit"]) == (402, "budget_day")
        assert "the answer may cost $0.16" in answer.json["error"]["message"]
        assert (await limited.keyed(maxTokens=100)).status == 200


class TestManyAtOnce:
    @pytest.mark.parametrize("path", [NATIVE, OPENAI])
    def test_60_never_exceed_the_budget(self, path: str) -> None:
        @in_no_time
        async def check() -> None:
            budget = NANO // 10
            key = {"budget": Budget(day=budget), "limits": Limits(burst=100)}
            env = {"BUDGET_DEFAULT_MAX_TOKENS": "500"}
            limited = Limited(by_host(openai=honest), LoopClock(), key=key, env=env)
            answers = await asyncio.gather(*(limited.keyed(path, **OFF) for _ in range(60)))
            statuses = {answer.status for answer in answers}
            assert statuses == {200, 402}
            spent = limited.account().spent_day
            assert 0.8 * budget < spent <= budget
            assert limited.account().reservations == 0

        check()

    @settings(max_examples=40, deadline=None)
    @given(
        st.lists(
            st.tuples(
                st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=300).filter(
                    lambda text: not text.isspace()
                ),
                st.none() | st.integers(1, 3000) | st.integers(10_000, 60_000),
            ),
            min_size=1,
            max_size=60,
        ),
        st.integers(10**6, NANO // 5),
    )
    def test_whatever_is_requested(
        self, requests: list[tuple[str, int | None]], budget: int
    ) -> None:
        @in_no_time
        async def check() -> None:
            key = {"budget": Budget(day=budget), "limits": Limits(burst=100)}
            env = {"BUDGET_DEFAULT_MAX_TOKENS": "1000"}
            limited = Limited(by_host(openai=honest), LoopClock(), key=key, env=env)
            calls = (limited.keyed(prompt=p, maxTokens=n, **OFF) for p, n in requests)
            answers = await asyncio.gather(*calls)
            costs = [a.json["metadata"]["cost"] for a in answers if a.status == 200]
            spent = limited.account().spent_day
            assert round(sum(costs) * NANO) == pytest.approx(spent, abs=len(costs))
            assert spent <= budget

        check()


class TestUnpriced:
    @pytest.mark.parametrize(
        ("path", "fields"),
        [
            (NATIVE, {"model": UNPRICED}),
            (NATIVE, {"model": UNPRICED, "stream": True}),
            (OPENAI, {"model": UNPRICED}),
            (OPENAI, {"model": UNPRICED, "stream": True}),
            (EMBEDDINGS, {"model": UNPRICED, "input": "a cat"}),
        ],
    )
    async def test_a_key_with_a_budget_may_not_ask(self, path: str, fields: dict[str, Any]) -> None:
        reply = vectors() if path == EMBEDDINGS else whole("Hi!")
        if "stream" in fields:
            reply = FakeReply(ROLE, HELLO, STOP, DONE, headers=EVENTS)
        limited = house(reply, key=DAY)
        answer = await limited.keyed(path, **fields, fallback=False)
        assert answer.status == 403
        problem = answer.json["error"]
        assert "permission" in problem["type"]
        assert problem["limit"] == "budget_unpriced"
        assert UNPRICED in problem["message"]
        assert "BUDGET_UNPRICED" in problem["message"]
        assert limited.sent == []
        assert (await limited.keyed(path, key=limited.issue("key_2"), **fields)).status == 200

    async def test_the_next_candidate_answers_for_it(self) -> None:
        replies = by_host(openai=whole("unpriced"), groq=whole("priced"))
        limited = Limited(replies, key=DAY, env=GROQ)
        answer = await limited.keyed(model=UNPRICED, fallback=["groq"])
        assert (answer.status, answer.text) == (200, "priced")
        first = answer.json["metadata"]["attempts"][0]
        assert (first["provider"], first["outcome"]) == ("openai", "limited")
        assert UNPRICED in first["message"]

    @pytest.mark.parametrize("month", [False, True])
    async def test_or_it_counts_at_the_highest_price(self, month: bool) -> None:
        budget = {"month" if month else "day": 100 * NANO}
        limited = house(
            reply(prompt_tokens=1000, completion_tokens=100),
            key={"budget": Budget(**budget)},
            env={"BUDGET_UNPRICED": "tier_max"},
        )
        answer = await limited.keyed(model=UNPRICED)
        assert (answer.status, answer.json["metadata"]["cost"]) == (200, None)
        chats = [m for m in Catalog.load().models.values() if m.provider == "openai"]
        chats = [m for m in chats if m.mode == "chat" and m.input is not None]
        prices = [max(getattr(m, n) or 0 for m in chats) for n in ("input", "output")]
        spent = limited.account().spent_month
        assert spent >= 1000 * prices[0] * 1000 + 100 * prices[1] * 1000
        assert spent <= 1000 * 2 * prices[0] * 1000 + 100 * prices[1] * 1000

    async def test_also_what_it_may_use_is_reserved(self) -> None:
        limited = house(key={"budget": Budget(day=1000)}, env={"BUDGET_UNPRICED": "tier_max"})
        answer = await limited.keyed(model=UNPRICED, fallback=False)
        assert (answer.status, answer.json["error"]["limit"]) == (402, "budget_day")

    async def test_embeddings_at_that_of_embeddings(self) -> None:
        limited = house(vectors(prompt_tokens=1000), key=DAY, env={"BUDGET_UNPRICED": "tier_max"})
        answer = await limited.keyed(EMBEDDINGS, model=UNPRICED, input="a cat")
        assert answer.status == 200
        dearest = Catalog.load().resolve("openai", "text-embedding-3-large").input or 0
        assert limited.account().spent_day == 1000 * dearest * 1000

    async def test_a_local_model_costs_nothing(self) -> None:
        url = {"LOCAL_BASE_URL": "http://127.0.0.1:9/v1", "BUDGET_UNPRICED": "tier_max"}
        limited = Limited(lambda _: whole("Hi!"), key=DAY, env=url)
        assert (await limited.keyed(model="local/any")).status == 200
        assert limited.account().spent_day == 0
