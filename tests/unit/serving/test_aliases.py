"""Requests that name an alias: what reaches the providers, and whom."""

from typing import Any

import pytest

from proxy.aliases.view import HOLD_SECONDS
from tests.unit.routing.making import error
from tests.unit.serving.aliased import (
    CLAUDE,
    EMBEDDINGS,
    GPT,
    LLAMA,
    MESSAGES,
    PATHS,
    RESPONSES,
    Aliased,
    asking,
)
from tests.unit.serving.limited import ADMIN
from tests.unit.serving.making import NATIVE, OPENAI, by_host, stream_of

SPELLINGS = ("support", "custom/support", "dynamic/support", "@preset/support")


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("name", SPELLINGS)
async def test_a_name_means_its_target_in_every_dialect(path: str, name: str) -> None:
    house = Aliased()
    await house.make()
    await house.ask(path, GPT)
    answer = await house.ask(path, name)
    assert answer.status == 200, answer.body
    named, aliased = house.upstream.sent
    assert (aliased.url, aliased.body) == (named.url, named.body)
    assert house.line["gen_ai.request.model"] == "support"


async def test_a_stream(path: str = OPENAI) -> None:
    house = Aliased(lambda _: stream_of(b'data: {"choices": []}\n\n', b"data: [DONE]\n\n"))
    await house.make(fixed={"temperature": 0})
    await house.ask(path, stream=True)
    assert (house.last["temperature"], house.last["stream"]) == (0, True)


async def test_embeddings() -> None:
    house = Aliased()
    await house.make("texts", "openai/text-embedding-3-small", defaults={"temperature": 1})
    answer = await house.ask(EMBEDDINGS, "custom/texts")
    assert answer.status == 200, answer.body
    assert house.last == {"model": "text-embedding-3-small", "input": "Hello"}


async def test_a_batch() -> None:
    house = Aliased()
    await house.make(system="Be brief.")
    body = {"requests": [{"prompt": "A", "model": "support"}, {"prompt": "B", "model": "nobody"}]}
    answer = await house.fetch("POST", "/v1/batch", body, **ADMIN)
    assert [result["status"] for result in answer.json["results"]] == [200, 404]
    assert house.last["messages"][0] == {"role": "system", "content": "Be brief."}


async def test_a_batch_counts_what_an_alias_may_try() -> None:
    house = Aliased(SUBREQUEST_LIMIT="200")
    await house.make("support", *[{"model": GPT, "id": f"{n}"} for n in range(10)])
    for model, chunks in ((GPT, 0), ("support", 4)):
        house.batches.calls.clear()
        requests = [{"prompt": f"{n}", "model": model, "fallback": False} for n in range(4)]
        answer = await house.fetch("POST", "/v1/batch", {"requests": requests}, **ADMIN)
        assert answer.json["summary"]["succeeded"] == 4
        assert len(house.batches.calls) == chunks


@pytest.mark.parametrize("path", [f"{MESSAGES}/count_tokens", f"{RESPONSES}/input_tokens"])
async def test_a_count_has_the_system_prompt_in_it(path: str) -> None:
    house = Aliased()
    await house.make(system="word " * 1000)
    kind = path.rpartition("/")[0]
    counts = []
    for model in (GPT, "support"):
        body = asking(kind) | {"model": model}
        counted = await house.fetch("POST", path, body, **ADMIN)
        counts.append(counted.json["input_tokens"])
    assert counts[1] - counts[0] > 900


async def test_a_preset_leaves_the_model_that_is_named() -> None:
    house = Aliased()
    await house.make("support", LLAMA, system="Be brief.", fixed={"temperature": 0.5})
    await house.ask(OPENAI, f"{GPT}@preset/support")
    assert (house.served, house.last["temperature"]) == (["openai"], 0.5)
    assert house.last["messages"][0]["content"] == "Be brief."
    assert house.line["gen_ai.request.model"] == GPT


async def test_an_alias_goes_before_a_model_of_its_name_but_not_at_a_provider() -> None:
    house = Aliased()
    await house.make("gpt-4o", LLAMA)
    await house.ask(OPENAI, "gpt-4o")
    await house.ask(OPENAI, "openai/gpt-4o")
    await house.ask(NATIVE, "gpt-4o", provider="openai")
    assert house.served == ["groq", "openai", "openai"]


@pytest.mark.parametrize("name", SPELLINGS[1:])
async def test_a_name_that_can_be_an_alias_only_is_refused_where_there_is_none(name: str) -> None:
    answer = await Aliased().ask(OPENAI, name)
    assert (answer.status, answer.json["error"]["code"]) == (404, "model_not_found")
    assert "There is no alias 'support'" in answer.json["error"]["message"]


class TestOrder:
    async def test_the_targets_follow_one_another_and_nobody_else_does(self) -> None:
        house = Aliased(lambda _: error(500))
        await house.make("support", LLAMA, GPT)
        await house.ask()
        assert house.served == ["groq", "openai"]

    async def test_with_fallback_others_follow(self) -> None:
        house = Aliased(lambda _: error(500))
        await house.make("support", LLAMA, fallback=True)
        await house.ask()
        assert set(house.served) == {"groq", "openai", "anthropic"}

    async def test_a_request_may_want_the_first_only(self) -> None:
        house = Aliased(lambda _: error(500))
        await house.make("support", LLAMA, GPT)
        await house.ask(fallback=False)
        assert house.served == ["groq"]

    async def test_weights(self) -> None:
        house = Aliased()
        await house.make("support", {"model": GPT, "weight": 0}, {"model": LLAMA, "weight": 1})
        for number in range(5):
            await house.ask(text=f"{number}")
        assert house.served == ["groq"] * 5

    async def test_a_user_keeps_to_its_side(self) -> None:
        house = Aliased(ROUTING_STICKY="on", SESSION_AFFINITY="off")
        await house.make("support", {"model": GPT, "weight": 1}, {"model": LLAMA, "weight": 1})
        sides = {}
        for user in map(str, range(20)):
            for number in range(3):
                await house.ask(text=f"{number}", user=user)
            [sides[user]] = set(house.served[-3:])
        assert set(sides.values()) == {"groq", "openai"}

    async def test_the_cheapest(self) -> None:
        house = Aliased()
        await house.make("support", CLAUDE, LLAMA, strategy="cheapest")
        await house.ask()
        assert house.served == ["groq"]

    async def test_a_tier(self) -> None:
        house = Aliased(lambda _: error(500))
        await house.make("support", "groq/smart", "fast")
        await house.ask()
        assert house.served[0] == "groq"
        assert set(house.served) == {"groq", "openai", "anthropic"}


class TestConditions:
    async def test_by_key_user_and_label(self) -> None:
        house = Aliased()
        other = house.issue("key_2", "team-b")
        await house.make(
            "support",
            {"model": GPT, "when": {"keys": ["key_1"], "metadata": {"plan": ["pro", "max"]}}},
            {"model": LLAMA, "when": {"users": ["team-*"]}},
            {"model": CLAUDE},
        )
        await house.ask(metadata={"plan": "pro"})
        await house.ask(metadata={"plan": "free"})
        await house.ask(key=other)
        assert house.served == ["openai", "anthropic", "groq"]

    async def test_by_a_label_of_a_header(self) -> None:
        house = Aliased()
        await house.make("support", {"model": GPT, "when": {"metadata": {"plan": "pro"}}}, LLAMA)
        label = {"cf-aig-metadata": '{"plan": "pro"}', **ADMIN}
        await house.fetch("POST", OPENAI, asking(OPENAI) | {"model": "support"}, **label)
        assert house.served == ["openai"]

    async def test_by_need_and_length(self) -> None:
        house = Aliased()
        tool = {"type": "function", "function": {"name": "f", "parameters": {}}}
        await house.make(
            "support",
            {"model": CLAUDE, "when": {"needs": ["tools"]}},
            {"model": LLAMA, "when": {"promptTokens": {"max": 100}}},
            {"model": GPT, "when": {"promptTokens": {"min": 101}}},
        )
        await house.ask(OPENAI, tools=[tool])
        await house.ask(OPENAI)
        await house.ask(OPENAI, text="word " * 500)
        assert house.served == ["anthropic", "groq", "openai"]

    async def test_none_that_holds_is_an_error_that_says_why(self) -> None:
        house = Aliased()
        await house.make(
            "support",
            {"model": GPT, "when": {"keys": ["key_of_another"], "users": ["secret-team"]}},
            {"model": LLAMA, "when": {"promptTokens": {"min": 50}}},
        )
        answer = await house.ask()
        assert (answer.status, answer.json["error"]["type"]) == (400, "no_provider_available")
        message = answer.json["error"]["message"]
        assert f"{GPT}: it is for other callers" in message
        assert f"{LLAMA}: it is for prompts from 50 tokens on, and this has about 1" in message
        assert "key_of_another" not in message and "secret" not in message
        assert house.line["gen_ai.request.model"] == "support"
        assert not house.sent


class TestFreshness:
    async def test_a_change_is_seen_at_once_where_it_was_made(self) -> None:
        house = Aliased(CACHE_TTL="60")
        for target in (GPT, LLAMA, GPT):
            await house.make("support", target)
            for _ in range(3):  # by the cache, and recalled by its bytes
                await house.ask(OPENAI)
        assert house.served == ["openai", "groq"]
        await house.fetch("DELETE", "/admin/aliases/support", **ADMIN)
        assert (await house.ask(OPENAI)).status == 404

    async def test_elsewhere_within_the_time_that_is_promised(self) -> None:
        house = Aliased(CACHE_TTL="600")
        await house.make("support", GPT)
        for _ in range(3):
            await house.ask(OPENAI)
        here, house.app = house.app, house.isolate()
        await house.make("support", LLAMA)
        house.app = here
        house.clock.time += HOLD_SECONDS
        await house.ask(OPENAI)
        assert house.served == ["openai", "groq"]

    async def test_a_request_reads_anew_beside_itself(self) -> None:
        house = Aliased()
        await house.make("support", GPT)
        calls = house.objects.aliases.calls
        calls.clear()
        for _ in range(4):
            house.clock.time += 5
            await house.ask(OPENAI)
        assert len(calls) == 1

    async def test_names_with_a_provider_read_nothing(self) -> None:
        house = Aliased()
        for model in (GPT, "fast", "auto", "groq/smart"):
            await house.ask(OPENAI, model)
        assert not house.objects.aliases.calls

    async def test_without_the_object_models_are_still_served(self) -> None:
        house = Aliased()
        house.objects.aliases.down = True
        assert (await house.ask(OPENAI, "gpt-4o")).status == 200
        answer = await house.ask(OPENAI, "custom/support")
        assert (answer.status, answer.headers["retry-after"]) == (503, "1")
        assert "aliases unreachable" in house.events("error")

    async def test_without_the_object_the_last_that_is_known_goes_on(self) -> None:
        house = Aliased()
        await house.make("support", LLAMA)
        house.objects.aliases.down = True
        house.clock.time += 10 * HOLD_SECONDS
        assert (await house.ask()).status == 200
        assert "aliases unreachable" in house.events("error")

    async def test_a_model_that_becomes_an_alias_is_no_longer_recalled_as_one(self) -> None:
        house = Aliased(CACHE_TTL="60")
        for _ in range(3):
            await house.ask(OPENAI, "gpt-4o")
        await house.make("gpt-4o", LLAMA)
        await house.ask(OPENAI, "gpt-4o")
        assert house.served == ["openai", "groq"]


class TestCache:
    async def test_the_same_meaning_is_the_same_entry(self) -> None:
        house = Aliased(CACHE_TTL="60")
        await house.make("support", GPT, fixed={"temperature": 0.5}, system="Be brief.")
        await house.ask(OPENAI)
        said = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hello"}]
        hit = await house.ask(OPENAI, GPT, messages=said, temperature=0.5)
        assert hit.cache == "HIT"

    @pytest.mark.parametrize(
        "change",
        [{"system": "Be rude."}, {"fixed": {"temperature": 0.1}}, {"defaults": {"seed": 1}}],
    )
    async def test_another_meaning_is_another(self, change: dict[str, Any]) -> None:
        house = Aliased(CACHE_TTL="60")
        await house.make()
        await house.ask(OPENAI)
        await house.make("support", GPT, **change)
        assert (await house.ask(OPENAI)).cache == "MISS"

    async def test_the_aliases_time_to_live_is_the_farthest_voice(self) -> None:
        house = Aliased()
        await house.make("support", GPT, cache={"ttl": 60})
        assert [(await house.ask()).cache for _ in range(2)] == ["MISS", "HIT"]
        assert (await house.ask(cache={"mode": "off"})).cache == "BYPASS"
        house.clock.time += 61
        assert (await house.ask(cache={"ttl": 10})).cache == "MISS"
        house.clock.time += 11
        assert (await house.ask()).cache == "MISS"

    async def test_a_conditions_choice_is_part_of_the_key(self) -> None:
        house = Aliased(CACHE_TTL="60", CACHE_SCOPE="shared")
        other = house.issue("key_2", "ben")
        await house.make("support", {"model": GPT, "when": {"keys": ["key_1"]}}, LLAMA)
        await house.ask()
        await house.ask(key=other)
        assert house.served == ["openai", "groq"]


async def test_a_body_that_is_written_anew_is_counted_too() -> None:
    house = Aliased(BODY_MEMORY_BYTES="2097152")
    of_no_context = "openai/unheard-of"
    await house.make("plain", of_no_context)
    await house.make("wordy", of_no_context, system="Be brief.")
    text = "word " * 250_000
    assert (await house.ask(OPENAI, "plain", text=text)).status == 200
    assert (await house.ask(OPENAI, "wordy", text=text)).status in (413, 503)


async def test_a_time_out() -> None:
    house = Aliased(by_host(openai=5.0, groq=5.0))
    await house.make("support", GPT, timeout=20)
    answer = await house.ask()
    assert answer.status == 504


async def test_a_request_that_no_target_is_meant_for_is_no_error_of_the_server() -> None:
    house = Aliased()
    await house.make("support", {"model": GPT, "when": {"users": ["bob"]}})
    refused = (await house.ask(OPENAI)).json["error"]
    assert (refused["type"], refused["code"]) == ("invalid_request_error", "no_provider_available")
