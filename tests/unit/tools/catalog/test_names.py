"""What the sources call our models."""

from pathlib import Path
from typing import Any

import pytest

from proxy.providers.catalog import Catalog
from tests.unit.tools.catalog.making import (
    TODAY,
    entry,
    make_catalog,
    make_wheels,
    model,
    price,
    provider,
    run,
)
from tools.catalog.genai_prices import GenaiPrices
from tools.catalog.litellm import LiteLLM
from tools.catalog.names import NAMES, Sources
from tools.catalog.wheels import find, read

PRICE = price(input="5", output="6")


@pytest.mark.parametrize(
    ("id_", "of", "theirs"),
    [
        ("openai/gpt-9", "openai", "gpt-9"),
        ("gemini/gemini-9", "google", "gemini-9"),
        ("xai/grok-9", "x-ai", "grok-9"),
        ("moonshot/kimi-9", "moonshotai", "kimi-9"),
        ("openrouter/x-ai/grok-9", "openrouter", "x-ai/grok-9"),
        ("huggingface/zai-org/GLM-9:novita", "huggingface_novita", "zai-org/GLM-9"),
        ("workers-ai/@cf/qwen/qwq-9", "cloudflare", "@cf/qwen/qwq-9"),
        ("fireworks/accounts/fireworks/models/glm-9", "fireworks", "glm-9"),
        ("vertex/google/gemini-9", "google", "gemini-9"),
        ("bedrock/openai.gpt-9", "aws", "openai.gpt-9"),
    ],
)
def test_a_model_in_genai_prices(tmp_path: Path, id_: str, of: str, theirs: str) -> None:
    assert refresh(tmp_path, id_, [provider(of, model(theirs, PRICE))], {}) == (5, 6)


@pytest.mark.parametrize(
    ("id_", "of", "theirs"),
    [
        ("openai/gpt-9", "openai", "gpt-9"),
        ("openai/gpt-9", "openai", "gpt-9-2026-11-01"),
        ("openai/gpt-9-instruct", "text-completion-openai", "gpt-9-instruct"),
        ("anthropic/claude-9", "anthropic", "claude-9-20261101"),
        ("gemini/gemini-9", "gemini", "gemini/gemini-9"),
        ("groq/openai/gpt-oss-9b", "groq", "groq/openai/gpt-oss-9b"),
        ("openrouter/x-ai/grok-9", "openrouter", "openrouter/x-ai/grok-9"),
        ("workers-ai/@cf/qwen/qwq-9", "cloudflare", "cloudflare/@cf/qwen/qwq-9"),
        ("together/zai-org/GLM-9", "together_ai", "together_ai/zai-org/GLM-9"),
        ("fireworks/accounts/f/glm-9", "fireworks_ai", "fireworks_ai/accounts/f/glm-9"),
        ("nvidia/nvidia/nemotron-9", "nvidia_nim", "nvidia_nim/nvidia/nemotron-9"),
        ("azure/gpt-9", "azure", "azure/gpt-9"),
        ("vertex/google/gemini-9", "vertex_ai", "vertex_ai/gemini-9"),
        ("vertex/google/gemini-9", "vertex_ai-language-models", "gemini-9"),
        ("bedrock/openai.gpt-9", "bedrock_mantle", "bedrock_mantle/openai.gpt-9"),
        ("bedrock/openai.gpt-oss-9b-1:0", "bedrock_converse", "openai.gpt-oss-9b-1:0"),
    ],
)
def test_a_model_in_litellm(tmp_path: Path, id_: str, of: str, theirs: str) -> None:
    assert refresh(tmp_path, id_, [provider("nobody")], {theirs: entry(of, 5, 6)}) == (5, 6)


def test_the_very_name_goes_before_the_newest_date(tmp_path: Path) -> None:
    dated = {f"gpt-9-2026-{month}-01": entry("openai", int(month), 6) for month in ("09", "10")}
    assert refresh(tmp_path, "openai/gpt-9", [provider("nobody")], dated) == (10, 6)
    exact = {"gpt-9": entry("openai", 5, 6)}
    assert refresh(tmp_path, "openai/gpt-9", [provider("nobody")], dated | exact) == (5, 6)


def test_a_name_of_another_provider_is_another_model(tmp_path: Path) -> None:
    """`gemini-9` is Vertex AI's there, whose prices are not the Gemini API's."""
    listed = {"gemini-9": entry("vertex_ai-language-models", 5, 6)}
    assert refresh(tmp_path, "gemini/gemini-9", [provider("nobody")], listed) == (1, 1)


@pytest.mark.parametrize(
    ("clause", "matches"),
    [
        ("ClauseEquals(equals='GPT-9')", True),
        ("ClauseStartsWith(starts_with='gpt')", True),
        ("ClauseEndsWith(ends_with='-9')", True),
        ("ClauseEndsWith(ends_with='gpt')", False),
        ("ClauseContains(contains='t-')", True),
        ("ClauseRegex(regex='^gpt-[0-9]$')", True),
        ("ClauseOr(or_=[ClauseEquals(equals='x'), ClauseEquals(equals='gpt-9')])", True),
        ("ClauseAnd(and_=[ClauseEquals(equals='x'), ClauseEquals(equals='gpt-9')])", False),
    ],
)
def test_the_patterns_of_genai_prices(tmp_path: Path, clause: str, matches: bool) -> None:
    genai = [provider("openai", model("other", PRICE, clause))]
    assert refresh(tmp_path, "openai/gpt-9", genai, {}) == ((5, 6) if matches else (1, 1))


def test_a_model_of_that_very_id_goes_before_a_pattern(tmp_path: Path) -> None:
    pattern = model("gpt", price(input="9", output="9"), "ClauseStartsWith(starts_with='gpt')")
    genai = [provider("openai", pattern, model("gpt-9", PRICE))]
    assert refresh(tmp_path, "openai/gpt-9", genai, {}) == (5, 6)


def test_every_provider_that_costs_has_names() -> None:
    priced = {model.provider for model in Catalog.load().models.values() if model.input}
    assert priced <= NAMES.keys()


def refresh(
    folder: Path, name: str, genai: list[str], litellm: dict[str, Any]
) -> tuple[float, float]:
    """The base prices of a model, which were 1 and 1, after a run."""
    of, _, id_ = name.partition("/")
    wheels = make_wheels(folder, genai, litellm)
    known = {"provider": of, "id": id_, "input": 1, "output": 1}
    (refreshed,) = run(make_catalog(folder, known), wheels)
    return refreshed["input"], refreshed["output"]


def test_ids_are_listed_as_ours(tmp_path: Path) -> None:
    genai = [
        provider("google", model("gemini-9", PRICE), model("claude-9", PRICE)),
        provider("huggingface_novita", model("zai-org/GLM-9", PRICE)),
    ]
    folder = make_wheels(tmp_path, genai, {"vertex_ai/gemini-8": entry("vertex_ai", 1, 1)})
    sources = Sources(
        GenaiPrices(read(find("genai-prices", folder), "genai_prices/data.py")),
        LiteLLM(
            read(
                find("litellm", folder),
                "litellm/model_prices_and_context_window_backup.json",
            )
        ),
        TODAY,
    )
    assert sources.list_ids("gemini") == {"gemini-9"}
    assert sources.list_ids("huggingface") == {"zai-org/GLM-9:novita"}
    assert sources.list_ids("vertex") == {
        "google/gemini-8",
        "google/gemini-9",
        "google/claude-9",
    }
    assert sources.list_ids("local") == set()
