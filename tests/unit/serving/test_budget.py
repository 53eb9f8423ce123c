"""A key's budget through App.handle: what is reserved and sent, for which models, and that many at
once never cost more than it holds."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs

from proxy.core.ports import Outgoing
from proxy.core.principal import Budget, Limits
from proxy.limits.budget import RESERVE, Reserve, Verdict
from proxy.providers.catalog import Catalog
from tests.unit.api.test_app import request
from tests.unit.callers import as_it_is
from tests.unit.doubles import FakeReply, LoopClock, in_no_time
from tests.unit.routing.test_manager import DONE, EVENTS, HELLO, ROLE, STOP, error, event, whole
from tests.unit.serving.test_chat import GPT, GROQ, NATIVE, OPENAI, Told, by_host
from tests.unit.serving.test_limited import OFF, SECRET, Limited, house

DOLLAR = 10**9
DAY = {"budget": Budget(day=DOLLAR)}
EMBEDDINGS = "/v1/embeddings"
LONGEST = Catalog.load().model("openai", "gpt-4o").max_output
UNPRICED = "openai/gpt-of-tomorrow"


def reply(text: str = "Hi!", **usage: Any) -> FakeReply:
    """A whole answer with this usage, or none."""
    body = json.loads(whole(text).pieces[0])  # type: ignore[arg-type]
    del body["usage"]
    return FakeReply(json.dumps(body | ({"usage": usage} if usage else {})).encode())


def vectors(**usage: Any) -> FakeReply:
    """An answer of embeddings with this usage, or none."""
    body = {"data": [{"index": 0, "embedding": [0.5]}]}
    return FakeReply(json.dumps(body | ({"usage": usage} if usage else {})).encode())


def sent(limited: Limited, number: int = -1) -> dict[str, Any]:
    """The body that a provider got."""
    body: dict[str, Any] = json.loads(limited.upstream.sent[number].body or b"")
    return body


def honest(outgoing: Outgoing) -> FakeReply:
    """A provider that writes for a second, as much as it may, and counts each byte of a text as a
    token, beside seven of its own."""
    assert outgoing.body
    body = json.loads(outgoing.body)
    limit = body.get("max_completion_tokens") or body.get("max_tokens")
    content = "".join(message["content"] for message in body["messages"])
    answer = reply(
        prompt_tokens=len(content.encode()) + 7,
        completion_tokens=limit or 16_384,
    )
    return FakeReply(1.0, *answer.pieces)


class TestWhatIsReserved:
    @pytest.mark.parametrize(
        ("env", "asked", "limit"),
        [
            ({}, {}, LONGEST),
            ({"BUDGET_DEFAULT_MAX_TOKENS": "700"}, {}, 700),
            ({"BUDGET_DEFAULT_MAX_TOKENS": "9999999"}, {}, LONGEST),
            ({"BUDGET_DEFAULT_MAX_TOKENS": "700"}, {"maxTokens": 900}, 900),
        ],
    )
    async def test_is_sent_for_the_provider_to_hold(self, env: Any, asked: Any, limit: int) -> None:
        limited = house(key=DAY, **env)
        assert (await limited.keyed(**asked)).status == 200
        assert sent(limited)["max_completion_tokens"] == limit

    @pytest.mark.parametrize(
        "fields", [{}, {"max_tokens": None}, {"max_tokens": None, "max_completion_tokens": None}]
    )
    async def test_also_of_a_body_that_would_go_on_unchanged(self, fields: Any) -> None:
        limited = house(key=DAY, BUDGET_DEFAULT_MAX_TOKENS="700")
        await limited.keyed(OPENAI, **fields)
        body = sent(limited)
        assert (body.get("max_tokens"), body["max_completion_tokens"]) == (None, 700)

    @pytest.mark.parametrize("other", [{}, {"max_completion_tokens": None}])
    async def test_the_callers_own_limit_goes_out_under_the_providers_name(
        self, other: Any
    ) -> None:
        limited = house(key=DAY)
        await limited.keyed(OPENAI, max_tokens=9, **other)
        assert sent(limited)["max_completion_tokens"] == 9

    @pytest.mark.parametrize("path", [NATIVE, OPENAI])
    @pytest.mark.parametrize("model", ["openai/gpt-4o", "groq/fast", "gemini/fast"])
    async def test_no_higher_limit_goes_out_than_is_reserved(self, model: str, path: str) -> None:
        """A model that could write more than the catalogue knows is kept from it."""
        limited = Limited(lambda _: error(400), key=DAY, GEMINI_API_KEY="k", **GROQ)
        field = "maxTokens" if path == NATIVE else "max_completion_tokens"
        await limited.keyed(path, model=model, fallback=False, **{field: 900_000})
        body = sent(limited)
        body = body.get("generationConfig", body)
        names = ("max_tokens", "max_completion_tokens", "maxOutputTokens")
        [limit] = [body[name] for name in names if name in body]
        assert 8_000 < limit < 200_000

    async def test_what_that_cuts_off_is_not_kept(self) -> None:
        cut = whole("Hi").pieces[0].replace(b'"stop"', b'"length"')  # type: ignore[union-attr]
        limited = house(FakeReply(cut), key=DAY)
        for limit, caches in ((20_000, ["MISS", "MISS"]), (10_000, ["MISS", "HIT"])):
            told = [(await limited.keyed(maxTokens=limit)).cache for _ in range(2)]
            assert told == caches

    async def test_who_has_no_budget_sends_nothing_more(self) -> None:
        limited = house(key={"limits": Limits(tokens_per_minute=10**9)})
        body = {"model": "gpt-4o", "messages": [{"role": "user", "content": "Hi"}]}
        await limited.keyed(OPENAI, **body)
        assert sent(limited) == body

    async def test_what_the_limit_has_cut_off_is_not_kept(self) -> None:
        """Another key of the same user may have asked the same without a limit."""
        cut = whole("Hi").pieces[0].replace(b'"stop"', b'"length"')  # type: ignore[union-attr]
        limited = house(FakeReply(cut), key=DAY)
        for _ in range(2):
            assert (await limited.keyed()).cache == "MISS"
        for cache in ("MISS", "HIT"):  # this one is as long as was asked for
            assert (await limited.keyed(maxTokens=1)).cache == cache

    async def test_a_refusal_says_what_the_answer_may_cost(self) -> None:
        limited = house(key={"budget": Budget(day=DOLLAR // 10)})
        told = await limited.keyed()
        assert (told.status, told.json["error"]["limit"]) == (402, "budget_day")
        assert "the answer may cost $0.16" in told.json["error"]["message"]
        assert (await limited.keyed(maxTokens=100)).status == 200


class TestManyAtOnce:
    @pytest.mark.parametrize("path", [NATIVE, OPENAI])
    def test_60_never_exceed_the_budget(self, path: str) -> None:
        @in_no_time
        async def check() -> None:
            budget = DOLLAR // 10
            key = {"budget": Budget(day=budget), "limits": Limits(burst=100)}
            env = {"BUDGET_DEFAULT_MAX_TOKENS": "500"}
            limited = Limited(by_host(openai=honest), LoopClock(), key=key, **env)
            told = await asyncio.gather(*(limited.keyed(path, **OFF) for _ in range(60)))
            statuses = {answer.status for answer in told}
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
        st.integers(10**6, DOLLAR // 5),
    )
    def test_whatever_is_asked(self, asked: list[tuple[str, int | None]], budget: int) -> None:
        @in_no_time
        async def check() -> None:
            key = {"budget": Budget(day=budget), "limits": Limits(burst=100)}
            env = {"BUDGET_DEFAULT_MAX_TOKENS": "1000"}
            limited = Limited(by_host(openai=honest), LoopClock(), key=key, **env)
            calls = (limited.keyed(prompt=p, maxTokens=n, **OFF) for p, n in asked)
            told = await asyncio.gather(*calls)
            costs = [t.json["metadata"]["cost"] for t in told if t.status == 200]
            spent = limited.account().spent_day
            assert round(sum(costs) * DOLLAR) == pytest.approx(spent, abs=len(costs))
            assert spent <= budget

        check()


class TestUnpriced:
    @pytest.mark.parametrize(
        ("path", "asked"),
        [
            (NATIVE, {"model": UNPRICED}),
            (NATIVE, {"model": UNPRICED, "stream": True}),
            (OPENAI, {"model": UNPRICED}),
            (OPENAI, {"model": UNPRICED, "stream": True}),
            (EMBEDDINGS, {"model": UNPRICED, "input": "a cat"}),
        ],
    )
    async def test_a_key_with_a_budget_may_not_ask(self, path: str, asked: Any) -> None:
        answer = vectors() if path == EMBEDDINGS else whole("Hi!")
        if "stream" in asked:
            answer = FakeReply(ROLE, HELLO, STOP, DONE, headers=EVENTS)
        limited = house(answer, key=DAY)
        told = await limited.keyed(path, **asked, fallback=False)
        assert told.status == 403
        problem = told.json["error"]
        assert "permission" in problem["type"]
        assert problem["limit"] == "budget_unpriced"
        assert UNPRICED in problem["message"]
        assert "BUDGET_UNPRICED" in problem["message"]
        assert limited.sent == []
        assert (await limited.keyed(path, key=limited.issue("key_2"), **asked)).status == 200

    async def test_the_next_candidate_answers_for_it(self) -> None:
        replies = by_host(openai=whole("unpriced"), groq=whole("priced"))
        limited = Limited(replies, key=DAY, **GROQ)
        told = await limited.keyed(model=UNPRICED, fallback=["groq"])
        assert (told.status, told.text) == (200, "priced")
        first = told.json["metadata"]["attempts"][0]
        assert (first["provider"], first["outcome"]) == ("openai", "limited")
        assert UNPRICED in first["message"]

    @pytest.mark.parametrize("month", [False, True])
    async def test_or_it_counts_at_the_highest_price(self, month: bool) -> None:
        budget = {"month" if month else "day": 100 * DOLLAR}
        limited = house(
            reply(prompt_tokens=1000, completion_tokens=100),
            key={"budget": Budget(**budget)},
            BUDGET_UNPRICED="tier_max",
        )
        told = await limited.keyed(model=UNPRICED)
        assert (told.status, told.json["metadata"]["cost"]) == (200, None)
        chats = [m for m in Catalog.load().models.values() if m.provider == "openai"]
        chats = [m for m in chats if m.mode == "chat" and m.input is not None]
        prices = [max(getattr(m, n) or 0 for m in chats) for n in ("input", "output")]
        spent = limited.account().spent_month
        assert spent >= 1000 * prices[0] * 1000 + 100 * prices[1] * 1000
        assert spent <= 1000 * 2 * prices[0] * 1000 + 100 * prices[1] * 1000

    async def test_also_what_it_may_use_is_reserved(self) -> None:
        limited = house(key={"budget": Budget(day=1000)}, BUDGET_UNPRICED="tier_max")
        told = await limited.keyed(model=UNPRICED, fallback=False)
        assert (told.status, told.json["error"]["limit"]) == (402, "budget_day")

    async def test_embeddings_at_that_of_embeddings(self) -> None:
        limited = house(vectors(prompt_tokens=1000), key=DAY, BUDGET_UNPRICED="tier_max")
        told = await limited.keyed(EMBEDDINGS, model=UNPRICED, input="a cat")
        assert told.status == 200
        dearest = Catalog.load().model("openai", "text-embedding-3-large").input or 0
        assert limited.account().spent_day == 1000 * dearest * 1000

    async def test_a_local_model_costs_nothing(self) -> None:
        url = {"LOCAL_BASE_URL": "http://127.0.0.1:9/v1", "BUDGET_UNPRICED": "tier_max"}
        limited = Limited(lambda _: whole("Hi!"), key=DAY, **url)
        assert (await limited.keyed(model="local/any")).status == 200
        assert limited.account().spent_day == 0


class TestAttempts:
    """Each has a reservation of its own, which is settled or released once."""

    def raced(self, first: Any, second: Any, budget: int, **env: str) -> Limited:
        replies = by_host(openai=lambda _: first, groq=lambda _: second)
        env = GROQ | {"HEDGE_AFTER_MS": "100", "BUDGET_DEFAULT_MAX_TOKENS": "100"} | env
        return Limited(replies, LoopClock(), key={"budget": Budget(day=budget)}, **env)

    @in_no_time
    async def test_two_that_race_hold_two(self) -> None:
        slow, fast = whole("slow").pieces, whole("fast").pieces
        limited = self.raced(FakeReply(9.0, *slow), FakeReply(3.0, *fast), DOLLAR)
        asking = asyncio.ensure_future(limited.keyed(**OFF | {"fallback": ["groq"]}))
        await asyncio.sleep(1)
        assert limited.account().reservations == 2
        told = await asking
        assert told.text == "fast"
        view = limited.account()
        winner = round(told.json["metadata"]["cost"] * DOLLAR)
        assert view.reservations == 0
        assert winner < view.spent_day < winner + 100_000  # the loser's input

    @in_no_time
    async def test_of_two_that_answer_at_once_both_count(self) -> None:
        first, second = whole("one").pieces, whole("one").pieces
        limited = self.raced(
            FakeReply(2.0, *first), FakeReply(1.0, *second), DOLLAR, HEDGE_AFTER_MS="1000"
        )
        told = await limited.keyed(**OFF | {"fallback": ["groq"]})
        view = limited.account()
        assert view.reservations == 0
        assert view.spent_day > round(told.json["metadata"]["cost"] * DOLLAR)

    @in_no_time
    async def test_the_refusal_of_the_second_frees_nothing_of_the_first(self) -> None:
        slow = whole("slow").pieces
        limited = self.raced(FakeReply(9.0, *slow), whole("fast"), 1_290_000)
        asking = asyncio.ensure_future(
            limited.keyed(model="openai/gpt-4o", **OFF | {"fallback": ["groq"]})
        )
        await asyncio.sleep(0.05)
        held = limited.account().reserved
        assert held > 1_000_000
        await asyncio.sleep(2)
        assert limited.account().reserved == held
        told = await asking
        outcomes = [attempt["outcome"] for attempt in told.json["metadata"]["attempts"]]
        assert (told.text, outcomes) == ("slow", ["limited", "ok"])
        assert limited.account().reserved == 0

    async def test_one_that_failed_leaves_its_place_to_the_next(self) -> None:
        """The budget holds one of them, and both may be tried."""
        replies = by_host(openai=error(503), groq=whole("Hi!"))
        env = GROQ | {"RETRY_ATTEMPTS": "2", "RETRY_DELAY_MS": "0"}
        limited = Limited(replies, key={"budget": Budget(day=1_300_000)}, **env)
        told = await limited.keyed(maxTokens=100, fallback=["groq"])
        assert [a["outcome"] for a in told.json["metadata"]["attempts"]][-1] == "ok"
        assert len(limited.sent) == 3
        view = limited.account()
        assert (view.reserved, view.reservations) == (0, 0)
        assert view.spent_day == round(told.json["metadata"]["cost"] * DOLLAR)

    @in_no_time
    async def test_one_that_timed_out_has_cost_its_input(self) -> None:
        replies = by_host(openai=60.0, groq=whole("Hi!"))
        limited = Limited(replies, LoopClock(), key=DAY, **GROQ)
        told = await limited.keyed(timeout=10_000, prompt="word " * 1000, maxTokens=100)
        outcomes = [attempt["outcome"] for attempt in told.json["metadata"]["attempts"]]
        assert outcomes == ["timeout", "ok"]
        winner = round(told.json["metadata"]["cost"] * DOLLAR)
        lost = limited.account().spent_day - winner
        assert 1000 * 2500 <= lost <= 1400 * 2500  # about a token a word, at $2.5 a million
        assert limited.account().reservations == 0

    @in_no_time
    async def test_also_where_nobody_else_answers(self) -> None:
        limited = Limited(by_host(openai=60.0), LoopClock(), key=DAY)
        told = await limited.keyed(timeout=5_000, prompt="word " * 1000, **OFF)
        assert told.status == 504
        assert 1000 * 2500 <= limited.account().spent_day <= 1400 * 2500

    @in_no_time
    async def test_one_whose_caller_has_left_has_cost_its_input(self) -> None:
        limited = Limited(by_host(openai=60.0), LoopClock(), key=DAY)
        asking = asyncio.ensure_future(limited.keyed(prompt="word " * 1000, **OFF))
        await asyncio.sleep(1)
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
        await limited.settle()
        assert 1000 * 2500 <= limited.account().spent_day <= 1400 * 2500
        assert limited.account().reservations == 0

    @in_no_time
    async def test_one_whose_verdict_came_too_late_is_freed(self) -> None:
        """The object has reserved it, though the request was refused meanwhile."""
        env = {"LIMITER_ON_ERROR": "closed"}
        limited = Limited(by_host(openai=whole("Hi!")), LoopClock(), key=DAY, **env)

        async def late(_: str, __: Reserve, reserve: Callable[[], Awaitable[Verdict]]) -> Verdict:
            verdict = await reserve()
            await asyncio.sleep(2)
            return verdict

        limited.accounts.wrap(RESERVE, late)
        told = await limited.keyed(**OFF)
        assert (told.status, told.json["error"]["limit"]) == (503, "limiter")
        view = limited.account()
        assert (view.reserved, view.reservations, view.spent_day) == (0, 0, 0)


class TestWithoutUsage:
    """What a provider does not report is estimated, and said to be so, in every place."""

    def told(self, limited: Limited, answer: Told) -> tuple[Any, Any]:
        """The cost and its origin as the caller gets them, which the log and the account share."""
        metadata = (answer.events[-1] if answer.body.startswith(b"event") else answer.json)[
            "metadata"
        ]
        line = limited.line
        assert line["proxy.cost.usd"] == pytest.approx(metadata["cost"])
        assert line["proxy.cost.origin"] == metadata["costOrigin"]
        return metadata["cost"], metadata["costOrigin"]

    @pytest.mark.parametrize("stream", [False, True])
    async def test_the_cost_is_estimated(self, stream: bool) -> None:
        answers: dict[bool, Callable[[], FakeReply]] = {
            False: lambda: reply("Hello, hello, hello!"),
            True: lambda: FakeReply(ROLE, HELLO, STOP, DONE, headers=EVENTS),
        }
        limited = house(answers[stream](), key=DAY)
        answer = await limited.keyed(stream=stream, maxTokens=100)
        cost, origin = self.told(limited, answer)
        assert (cost > 0, origin) == (True, "estimated")
        assert limited.account().spent_day == round(cost * DOLLAR)
        if not stream:
            assert answer.json["usage"] is None
            assert answer.headers["x-proxy-cost-origin"] == "estimated"
        hit = await limited.keyed(stream=stream, maxTokens=100)
        assert hit.cache == "HIT"
        assert limited.line["proxy.cost.saved_usd"] == pytest.approx(cost)

    @pytest.mark.parametrize("stream", [False, True])
    @pytest.mark.parametrize("key", [DAY, {}])
    async def test_no_more_is_estimated_than_the_answer_may_have(
        self, key: Any, stream: bool
    ) -> None:
        """Long words are a token each: what is spent stays within what was reserved."""
        words = "internationalization " * 10
        answer = reply(words)
        if stream:
            answer = FakeReply(ROLE, event({"content": words}), STOP, DONE, headers=EVENTS)
        limited = house(answer, key=key)
        cost, _ = self.told(limited, await limited.keyed(stream=stream, maxTokens=10))
        assert cost * 10**6 == pytest.approx(10 * 10, abs=20 * 2.5)

    async def test_reasoning_and_calls_are_part_of_the_answer(self) -> None:
        body = json.loads(reply("Hi").pieces[0])  # type: ignore[arg-type]
        body["choices"][0]["message"]["reasoning_content"] = "thinking " * 500
        limited = house(FakeReply(json.dumps(body).encode()))
        cost, _ = self.told(limited, await limited.keyed())
        assert cost > 1000 * 10 / 10**6

    async def test_embeddings(self) -> None:
        limited = house(vectors(), key=DAY)
        told = await limited.keyed(
            EMBEDDINGS, model="openai/text-embedding-3-small", input="a cat " * 100
        )
        assert told.headers["x-proxy-cost-origin"] == "estimated"
        line = limited.line
        assert line["proxy.cost.origin"] == "estimated"
        assert limited.account().spent_day == round(float(told.headers["x-proxy-cost"]) * DOLLAR)

    async def test_in_a_batch(self) -> None:
        limited = house(reply("Hello"), key=DAY)
        body = {"requests": [{"prompt": "Hi", "model": GPT, "maxTokens": 9}]}
        asked = request("POST", "/v1/batch", body, authorization=f"Bearer {SECRET}")
        reaction = limited.app.handle(structs.replace(asked, defer=limited.defer), as_it_is)
        response: Any = await reaction  # type: ignore[misc]
        await limited.settle()
        metadata = json.loads(response.body)["results"][0]["response"]["metadata"]
        assert (metadata["cost"] > 0, metadata["costOrigin"]) == (True, "estimated")
        assert limited.account().spent_day == round(metadata["cost"] * DOLLAR)
