"""Costs are exact."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from proxy.core.chat import Cost, Usage
from proxy.providers.specs import Model
from tests.unit.providers.replay import CATALOG


@pytest.mark.parametrize(
    ("provider", "id_", "usage", "nano_usd"),
    [
        ("gemini", "gemini-2.5-flash", Usage(input=25, output=150), 382_500),
        # 400 plain at 0.75, 600 cached at 0.075, 200 out at 4.5
        ("openai", "gpt-5.4-mini", Usage(input=1000, cached=600, output=200), 1_245_000),
        # 500 plain at 0.1, 500 cached at 0.01, 1000 written at 0.125, 300 out at 0.5
        (
            "openai",
            "gpt-6-luna",
            Usage(input=2000, cached=500, cache_write=1000, output=300),
            330_000,
        ),
        # 100 plain at 3, 300 for 5 minutes at 3.75, 600 for an hour at 6
        (
            "anthropic",
            "claude-sonnet-4-6",
            Usage(input=1000, cache_write=900, cache_write_1h=600),
            5_025_000,
        ),
        # reasoning tokens are among the output tokens
        ("gemini", "gemini-3.5-flash-lite", Usage(input=100, output=500, reasoning=400), 1_280_000),
        ("gemini", "gemini-3.5-flash-lite", Usage(input=100, output=500), 1_280_000),
        # no price for cached or written tokens: they cost what others do
        (
            "huggingface",
            "meta-llama/Llama-3.3-70B-Instruct:novita",
            Usage(input=1000, cached=900, cache_write=100),
            135_000,
        ),
        # a part that is reported as more than the whole is cut to it
        ("openai", "gpt-5.4-mini", Usage(input=100, cached=150, cache_write=9), 7_500),
        ("openai", "gpt-6-luna", Usage(input=100, cached=60, cache_write=90), 5_600),
        ("openai", "gpt-6-luna", Usage(input=100, cache_write=40, cache_write_1h=90), 11_000),
        ("openai", "text-embedding-3-small", Usage(input=1_000_000), 20_000_000),
        # 37.5 and 11.8 nano-dollars, rounded half up
        ("groq", "openai/gpt-oss-20b", Usage(input=1, cached=1), 38),
        ("workers-ai", "@cf/baai/bge-m3", Usage(input=1), 12),
        ("deepseek", "deepseek-chat", Usage(input=1, cached=1), 6),
        ("local", "smollm2-135m-instruct", Usage(input=500, output=500), 0),
        ("openai", "gpt-5.4-mini", Usage(), 0),
    ],
)
def test_worked_examples(provider: str, id_: str, usage: Usage, nano_usd: int) -> None:
    cost = CATALOG.models[provider, id_].prices.compute_cost(usage)
    assert cost == Cost(nano_usd, "computed")
    assert cost.usd == nano_usd / 1e9


@pytest.mark.parametrize("reported", [0, 1, 123_456_789])
@pytest.mark.parametrize(
    ("provider", "id_"), [("openrouter", "openrouter/auto"), ("openrouter", "openai/gpt-4o")]
)
def test_what_the_provider_reports_wins(provider: str, id_: str, reported: int) -> None:
    usage = Usage(input=1000, output=1000, cost=reported)
    cost = CATALOG.resolve(provider, id_).prices.compute_cost(usage)
    assert cost == Cost(reported, "provider")


@pytest.mark.parametrize(
    ("model", "usage"),
    [
        (CATALOG.models["openrouter", "openrouter/auto"], Usage(input=1, output=1)),
        (CATALOG.models["openai", "gpt-4o"], None),
        (Model(provider="x", id="y", output=1.0), Usage(input=1, output=1)),
        (Model(provider="x", id="y", output=1.0), Usage()),
        (Model(provider="x", id="y", input=1.0), Usage(input=1, output=1)),
    ],
)
def test_an_unknown_price_is_none_and_never_nothing(model: Model, usage: Usage | None) -> None:
    cost = model.prices.compute_cost(usage)
    assert cost == Cost(None) and cost.usd is None


def test_a_price_of_nothing_is_a_price() -> None:
    model = Model(provider="x", id="y", input=1.0, output=1.0, cached=0.0, cache_write=0.0)
    assert model.prices.compute_cost(Usage(input=10, cached=4, cache_write=5)) == Cost(
        1_000, "computed"
    )


def test_a_price_that_is_not_needed_may_be_unknown() -> None:
    model = Model(provider="x", id="y", mode="embedding", input=0.5)
    assert model.prices.compute_cost(Usage(input=3)) == Cost(1_500, "computed")


tokens = st.integers(0, 10_000_000)


part = st.none() | tokens


usages = st.builds(
    Usage, input=tokens, output=tokens, cached=part, cache_write=part, cache_write_1h=part
)


def priced(step: float) -> st.SearchStrategy[Model]:
    """Models whose prices are multiples of `step` dollars per million tokens."""
    price = st.integers(0, round(100 / step)).map(lambda n: round(n * step, 6))
    return st.builds(
        Model,
        provider=st.just("p"),
        id=st.just("m"),
        input=price,
        output=price,
        cached=st.none() | price,
        cache_write=st.none() | price,
        cache_write_1h=st.none() | price,
    )


def nano(model: Model, usage: Usage) -> int:
    cost = model.prices.compute_cost(usage).nano_usd
    assert cost is not None
    return cost


@given(priced(0.000001), usages)
def test_each_token_costs_once(model: Model, usage: Usage) -> None:
    prices = [model.input, model.cached, model.cache_write, model.cache_write_1h]
    known = [price for price in prices if price is not None]
    # Millionths of a dollar per million tokens are pico-dollars a token.
    low, high = (round(extreme(known) * 1_000_000) for extreme in (min, max))
    output = usage.output * round((model.output or 0) * 1_000_000)
    cost = nano(model, usage)
    assert (usage.input * low + output + 500) // 1000 <= cost
    assert cost <= (usage.input * high + output + 500) // 1000


@given(priced(0.000001), usages, tokens, tokens)
def test_more_tokens_never_cost_less(
    model: Model, usage: Usage, more_in: int, more_out: int
) -> None:
    bigger = replace(usage, input=usage.input + more_in, output=usage.output + more_out)
    assert nano(model, bigger) >= nano(model, usage)


@given(priced(0.001), st.lists(usages.filter(lambda u: not (u.cached or u.cache_write))))
def test_sums_are_exact(model: Model, parts: list[Usage]) -> None:
    whole = Usage(input=sum(p.input for p in parts), output=sum(p.output for p in parts))
    assert nano(model, whole) == sum(nano(model, p) for p in parts)


@given(priced(0.000001), usages, part)
def test_reasoning_is_part_of_the_output(model: Model, usage: Usage, reasoning: int | None) -> None:
    assert nano(model, replace(usage, reasoning=reasoning)) == nano(model, usage)
