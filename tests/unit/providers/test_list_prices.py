"""The shipped prices, limits and ends are those that the sources name.

Each was read by hand on 2026-11-29, from the sources' own files: L is LiteLLM 1.110.2's price list
(`model_prices_and_context_window_backup.json`), G is genai-prices 0.2.3's data (`data.py`). A price
that has changed since is changed here after a look at the provider's page, not by `make catalog`.
"""

from datetime import date
from typing import Any

import pytest

from proxy.providers.specs import Model
from tests.unit.providers.replay import CATALOG


def find(name: str) -> Model:
    provider, _, id_ = name.partition("/")
    return CATALOG.models[provider, id_]


@pytest.mark.parametrize(
    ("name", "prices"),
    [  # input, output, cached, cache_write, cache_write_1h
        ("gemini/gemini-4-argon", (2, 10, 0.1, None, None)),  # L gemini/gemini-4-argon, G google
        ("gemini/gemini-4-hydrogen", (1.5, 7.5, 0.075, None, None)),  # L gemini/gemini-4-hydrogen
        ("gemini/gemini-3.8-flash", (0.75, 3.75, 0.075, None, None)),  # L and G
        ("gemini/gemini-2.5-flash-lite", (0.1, 0.4, 0.01, None, None)),  # L and G
        ("gemini/gemini-embedding-2", (0.2, 0, None, None, None)),  # L and G
        ("deepseek/deepseek-flash", (0.3, 1.2, 0.006, None, None)),  # L; G's hours 01-04, 06-10
        ("deepseek/deepseek-v4-pro", (1.32, 3.96, 0.044, None, None)),  # the same
        ("groq/openai/gpt-oss-120b", (0.15, 0.6, 0.075, None, None)),  # L groq/…, G groq
        ("groq/openai/gpt-oss-safeguard-20b", (0.075, 0.3, 0.037, None, None)),  # L; G: 0.0375
        ("groq/qwen/qwen3.8-27b", (0.8, 4, None, None, None)),  # L and G
        ("openai/gpt-6.1-sol", (2, 10, 0.1, 2.5, None)),  # L and G
        ("openai/gpt-6-luna", (0.1, 0.5, 0.01, 0.125, None)),  # L and G
        ("openai/gpt-6-astra", (10, 50, 1, 12.5, None)),  # L and G
        ("openai/gpt-5.5-pro", (30, 180, None, None, None)),  # L and G
        ("openai/gpt-5.3-codex", (1.75, 14, 0.175, None, None)),  # L and G
        ("openai/gpt-4o", (2.5, 10, 1.25, None, None)),  # L and G
        ("openai/gpt-4o-transcribe", (2.5, 10, None, None, None)),  # L, sound and text alike
        ("openai/omni-moderation-latest", (0, 0, None, None, None)),  # L
        ("anthropic/claude-opus-5-5", (4, 20, 0.2, 5, 8)),  # L and G
        ("anthropic/claude-fable-5-2", (8, 40, 0.2, 10, 16)),  # G anthropic
        ("anthropic/claude-haiku-5-5", (0.1, 0.5, 0.01, 0.125, 0.2)),  # L and G
        ("openrouter/anthropic/claude-sonnet-5.5", (2, 10, 0.1, 2.5, None)),  # G openrouter
        ("openrouter/anthropic/claude-opus-5.5", (4, 20, 0.2, 5, None)),  # G
        ("openrouter/openai/gpt-oss-120b", (0.1, 0.5, None, None, None)),  # G
        ("openrouter/deepseek/deepseek-v4-pro-0813", (0.66, 1.98, 0.022, None, None)),  # G
        ("openrouter/z-ai/glm-5.2", (1.4, 4.4, 0.26, None, None)),  # G
        ("openrouter/google/gemini-3.8-flash", (0.75, 3.75, 0.075, None, None)),  # G
        ("huggingface/zai-org/GLM-5.3-Flash:novita", (0.15, 0.5, None, None, None)),  # G …_novita
        ("huggingface/moonshotai/Kimi-K3:together", (3, 15, None, None, None)),  # G …_together
        ("huggingface/openai/gpt-oss-120b:novita", (0.05, 0.25, None, None, None)),  # G …_novita
        ("workers-ai/@cf/zai-org/glm-4.7-flash", (0.0605, 0.4, None, None, None)),  # L; G rounds
        ("workers-ai/@cf/zai-org/glm-5.3", (1.4, 4.4, 0.26, None, None)),  # G cloudflare
        ("workers-ai/@cf/qwen/qwen3.8-27b", (0.45, 3.2, None, None, None)),  # G cloudflare
        ("workers-ai/@cf/baai/bge-m3", (0.0118, 0, None, None, None)),  # its page; G rounds: 0.012
    ],
)
def test_base_prices(name: str, prices: tuple[float | None, ...]) -> None:
    model = find(name)
    names = ("input", "output", "cached", "cache_write", "cache_write_1h")
    assert tuple(getattr(model, price) for price in names) == prices


@pytest.mark.parametrize(
    ("name", "conditions", "prices"),
    [
        # G google: StartDateConstraint
        ("gemini/gemini-4-argon", {"since": date(2026, 12, 1)}, (4, 20, 0.2, None)),
        ("gemini/gemini-3.6-flash", {"since": date(2027, 1, 1)}, (1.5, 7.5, 0.15, None)),
        ("gemini/gemini-flash-latest", {"since": date(2027, 1, 1)}, (1.5, 7.5, 0.15, None)),
        # L …_above_200k_tokens, G TieredPrices
        ("gemini/gemini-2.5-pro", {"above": 200_000}, (2.5, 15, 0.25, None)),
        ("gemini/gemini-3.1-pro-preview", {"above": 200_000}, (4, 18, 0.4, None)),
        # L …_above_272k_tokens, G
        ("openai/gpt-6.1-sol", {"above": 272_000}, (4, 15, 0.2, 5)),
        ("openai/gpt-5.4", {"above": 272_000}, (5, 22.5, 0.5, None)),
        # L …_above_100k_tokens, G
        ("anthropic/claude-haiku-5-5", {"above": 100_000}, (0.5, 2.5, 0.05, 0.625)),
        # G openrouter
        ("openrouter/anthropic/claude-haiku-5.5", {"above": 100_000}, (0.5, 2.5, 0.05, 0.625)),
        ("openrouter/x-ai/grok-4.7", {"above": 200_000}, (4, 12, 1, None)),
        # L off_peak_pricing; G's peak hours are what is left
        (
            "deepseek/deepseek-flash",
            {"hours": "00:00-01:00,04:00-06:00,10:00-00:00"},
            (0.15, 0.6, 0.003, None),
        ),
        ("deepseek/deepseek-v4-pro", {"weekdays": {6, 7}}, (0.66, 1.98, 0.022, None)),
    ],
)
def test_rates(name: str, conditions: dict[str, Any], prices: tuple[float | None, ...]) -> None:
    rates = [
        rate
        for rate in find(name).rates
        if all(getattr(rate, field) == value for field, value in conditions.items())
    ]
    assert [(rate.input, rate.output, rate.cached, rate.cache_write) for rate in rates] == [prices]


@pytest.mark.parametrize(
    ("name", "day"),
    [  # L deprecation_date
        ("gemini/gemini-2.5-pro", "2026-12-01"),
        ("gemini/gemini-2.5-flash", "2026-12-01"),
        ("gemini/gemini-3.1-flash-lite", "2027-05-07"),
        ("openai/gpt-5-mini", "2026-12-11"),
        ("openai/o3", "2026-12-11"),
        ("openai/gpt-4o", "2027-01-14"),
        ("openai/gpt-4.1-mini", "2027-01-14"),
        ("openai/gpt-5.4-nano", "2027-04-01"),
        ("openai/whisper-1", "2027-02-26"),
    ],
)
def test_ends(name: str, day: str) -> None:
    assert str(find(name).shutdown) == day


@pytest.mark.parametrize(
    ("name", "limits"),
    [
        ("gemini/gemini-4-argon", (1_048_576, 1_048_576)),  # L
        ("openai/gpt-6.1-sol", (922_000, 128_000)),  # L; G has the whole window, 1,050,000
        ("openai/gpt-5.4-mini", (272_000, 128_000)),  # L
        ("anthropic/claude-opus-5-5", (1_000_000, 128_000)),  # L
        ("workers-ai/@cf/qwen/qwen3-30b-a3b-fp8", (32_768, None)),  # L
        ("huggingface/swiss-ai/Apertus-8B-Instruct-2509:publicai", (32_768, None)),  # G
    ],
)
def test_limits(name: str, limits: tuple[int | None, int | None]) -> None:
    model = find(name)
    assert (model.context, model.max_output) == limits


def test_the_tiers_do_not_end_soon_and_the_fast_ones_are_the_cheaper() -> None:
    """Soon: within half a year of the prices' date."""
    soon = date(2027, 5, 1)
    for spec in CATALOG.providers.values():
        models = {tier: CATALOG.find_tier_model(spec.name, tier) for tier in spec.tiers}
        ending = [m.id for m in models.values() if m and m.shutdown and m.shutdown < soon]
        assert not ending, spec.name
        fast, auto = models.get("fast"), models.get("auto")
        assert not (fast and auto) or (fast.output or 0) <= (auto.output or 0), spec.name
