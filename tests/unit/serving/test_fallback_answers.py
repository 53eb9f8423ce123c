"""Under which question the cache keeps the answer of a fallback."""

import json

import pytest

from tests.unit.doubles import FakeReply
from tests.unit.routing.making import DONE, HELLO, STOP, error, whole
from tests.unit.serving.making import GROQ, House, by_host, counting, in_turn, stream_of


def gemini(text: str) -> FakeReply:
    candidate = {"content": {"parts": [{"text": text}]}, "finishReason": "STOP"}
    return FakeReply(json.dumps({"candidates": [candidate]}).encode())


class TestFallback:
    OSS = "groq/openai/gpt-oss-120b"

    async def test_the_answer_is_that_of_the_model_that_gave_it(self) -> None:
        house = House(
            by_host(
                openai=in_turn(error(500), error(500), whole("of openai")), groq=whole("of groq")
            ),
            **GROQ,
        )
        answer = await house.post()
        assert (answer.text, answer.headers["x-proxy-model"]) == ("of groq", "openai/gpt-oss-120b")
        own = await house.post(model=self.OSS)
        assert (own.text, own.cache) == ("of groq", "HIT")
        named = await house.post()
        assert (named.text, named.cache) == ("of openai", "MISS")
        assert (await house.post()).text == "of openai"
        house.leave()
        assert (await house.post()).text == "of openai"

    @pytest.mark.parametrize("stream", [False, True])
    async def test_a_streamed_answer_is_that_of_the_model_that_gave_it(self, stream: bool) -> None:
        reply = stream_of(HELLO, STOP, DONE) if stream else whole("Hello")
        house = House(by_host(openai=error(503), groq=reply), **GROQ)
        await house.post(stream=stream)
        assert (await house.post(fallback=False)).status == 502
        assert (await house.post(model=self.OSS)).cache == "HIT"

    async def test_a_tier_is_one_question_whoever_answers(self) -> None:
        answers = {"openai": error(500), "groq": whole("of groq")}
        house = House(lambda out: by_host(**answers)(out), **GROQ)
        assert (await house.post(model="auto")).text == "of groq"
        answers["openai"] = whole("of openai")
        hit = await house.post(model="auto")
        assert (hit.text, hit.headers["x-proxy-provider"]) == ("of groq", "groq")
        own = await house.post(model=self.OSS)  # a tier's entry is none of its model's
        assert (own.text, own.cache) == ("of groq", "MISS")

    async def test_tiers_are_apart_from_each_other_and_from_the_models(self) -> None:
        house = House(by_host(openai=counting()))
        models = ("auto", "smart", "fast", "openai/gpt-5.4-mini", "openai/auto")
        texts = [(await house.post(model=model)).text for model in models]
        assert texts[:4] == ["1", "2", "3", "4"]
        assert [(await house.post(model=model)).text for model in models] == texts

    async def test_the_providers_that_may_answer_are_part_of_a_question_that_leaves_them_open(
        self,
    ) -> None:
        house = House(by_host(openai=counting(), groq=whole("of groq")), **GROQ)
        assert (await house.post(model="auto")).text == "1"
        assert (await house.post(model="auto", provider="groq")).text == "of groq"
        assert (await house.post(model="auto", strategy="cheapest")).cache == "MISS"

    async def test_what_one_provider_takes_for_granted_another_does_not(self) -> None:
        """top_p 1 is OpenAI's default, and said aloud; Gemini's is 0.95."""
        env = {"GEMINI_API_KEY": "key-of-gemini", "FALLBACK_CHAIN": "openai,gemini"}
        house = House(
            by_host(
                openai=error(500),
                gemini=in_turn(gemini("by top_p 1"), gemini("by Gemini's default")),
            ),
            **env,
        )
        answer = await house.post(topP=1)
        assert answer.text == "by top_p 1"
        assert house.sent_bodies[-1]["generationConfig"]["topP"] == 1
        own = await house.post(model="gemini/" + answer.headers["x-proxy-model"])
        assert own.text == "by Gemini's default"
