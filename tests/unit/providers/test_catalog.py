"""The shipped catalogue keeps its promises."""

import json
import re
from itertools import groupby
from pathlib import Path
from typing import Any

import pytest

from proxy.core.chat import TIERS, Cost, Usage
from proxy.providers import catalog as module
from proxy.providers.catalog import Catalog
from proxy.providers.specs import Model, ProviderSpec
from tests.unit.providers.replay import CATALOG

PATH = Path(module.__file__).with_name("catalog.json")
TEXT = PATH.read_text()
MODELS = list(CATALOG.models.values())
PROVIDERS = list(CATALOG.providers.values())
SERVERS = {"ollama", "vllm"}
"""Servers of one's own, whose models the catalogue can't know."""


def _id(item: Any) -> str:
    return item.name if hasattr(item, "name") else f"{item.provider}/{item.id}"


each_model = pytest.mark.parametrize("model", MODELS, ids=_id)


each_provider = pytest.mark.parametrize("spec", PROVIDERS, ids=_id)


# The file that is shipped


def test_providers_stand_in_their_order() -> None:
    order = (
        "gemini deepseek groq openai anthropic openrouter huggingface mistral xai cerebras"
        " together fireworks moonshot zai deepinfra nvidia perplexity azure vertex bedrock"
        " workers-ai local ollama vllm"
    )
    assert " ".join(CATALOG.providers) == order


def test_who_sets_a_key_gets_its_provider_before_those_that_are_there_without() -> None:
    without = [spec.keyless or spec.main == "workers-ai" for spec in PROVIDERS]
    assert without == sorted(without)


def test_base_urls_are_those_of_the_providers_own_sdks() -> None:
    assert {name: spec.base_url for name, spec in CATALOG.providers.items()} == {
        "gemini": "https://generativelanguage.googleapis.com/v1beta",
        "deepseek": "https://api.deepseek.com",
        "groq": "https://api.groq.com/openai/v1",
        "openai": "https://api.openai.com/v1",
        "anthropic": "https://api.anthropic.com/v1",
        "openrouter": "https://openrouter.ai/api/v1",
        "huggingface": "https://router.huggingface.co/v1",
        "local": None,
        "workers-ai": None,
        "mistral": "https://api.mistral.ai/v1",
        "xai": "https://api.x.ai/v1",
        "cerebras": "https://api.cerebras.ai/v1",
        "together": "https://api.together.xyz/v1",
        "fireworks": "https://api.fireworks.ai/inference/v1",
        "moonshot": "https://api.moonshot.ai/v1",
        "zai": "https://api.z.ai/api/paas/v4",
        "deepinfra": "https://api.deepinfra.com/v1/openai",
        "nvidia": "https://integrate.api.nvidia.com/v1",
        "perplexity": "https://api.perplexity.ai",
        "azure": None,
        "vertex": None,
        "bedrock": None,
        "ollama": None,
        "vllm": None,
    }
    assert {s.name for s in PROVIDERS if s.keyless} == {*SERVERS, "local", "workers-ai"}


def test_a_model_is_a_line_with_its_keys_in_order_below_its_provider() -> None:
    lines = [line.strip().rstrip(",") for line in TEXT.splitlines() if '{"provider": ' in line]
    listed = [json.loads(line) for line in lines if line.startswith("{")]
    assert [(m["provider"], m["id"]) for m in listed] == [(m.provider, m.id) for m in MODELS]
    order = Model.__struct_fields__
    for model in listed:
        assert list(model) == sorted(model, key=order.index), model["id"]
        abilities = [
            a for a in ("vision", "tools", "json", "reasoning") if a in model.get("can", [])
        ]
        assert model.get("can", []) == abilities, model["id"]
    groups = [provider for provider, _ in groupby(m.provider for m in MODELS)]
    assert groups == [name for name in CATALOG.providers if name not in SERVERS]
    for block in json.loads(TEXT)["providers"].values():
        assert list(block) == sorted(block, key=ProviderSpec.__struct_fields__.index)


def test_the_file_is_small_and_has_no_key_twice() -> None:
    def no_key_twice(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        assert len({key for key, _ in pairs}) == len(pairs), [key for key, _ in pairs]
        return dict(pairs)

    json.loads(TEXT, object_pairs_hook=no_key_twice)
    assert len(TEXT.encode()) < 120_000


@each_provider
def test_every_provider_has_the_first_tiers(spec: ProviderSpec) -> None:
    assert set(spec.tiers) <= set(TIERS)
    assert {"auto", "fast"} <= set(spec.tiers) or spec.name in SERVERS


@each_provider
def test_tiers_can_what_they_are_named_for(spec: ProviderSpec) -> None:
    for tier in spec.tiers:
        model = CATALOG.find_tier_model(spec.name, tier)
        assert model is not None and model.mode == "chat"
        assert model.input is not None and model.output is not None
        if tier in ("vision", "reasoning"):
            assert model.can is not None and tier in model.can


def test_who_sees_and_who_embeds() -> None:
    blind = {s.name for s in PROVIDERS if "vision" not in s.tiers}
    assert blind == {*SERVERS, "local", "nvidia"}
    embedding = {s.name: s.embedding_model for s in PROVIDERS if s.embedding_model}
    first = {"gemini", "openai", "openrouter", "local", "workers-ai"}
    assert set(embedding) == first | {"mistral", "fireworks", "azure"}
    for name, id_ in embedding.items():
        assert CATALOG.models[name, id_].mode == "embedding"


@each_model
def test_prices_and_sizes_are_sensible(model: Model) -> None:
    by_tokens = model.mode in ("chat", "embedding", "completion", "moderation") or model.input
    if model.id != "openrouter/auto" and by_tokens:  # its price is that of the model it picks
        assert model.input is not None and 0 <= model.input <= 200
        assert model.output is not None and 0 <= model.output <= 1000
        assert (model.cached or 0) <= model.input <= (model.cache_write or 200)
    assert (model.context or 512) >= 512
    assert (model.max_output or 0) <= (model.context or 0) or model.context is None
    if model.mode == "embedding":
        assert model.output == 0 and model.can is None and model.max_output is None


@each_model
def test_a_mode_of_a_model_costs_what_the_model_costs(model: Model) -> None:
    assert not set(model.drop) & set(model.send)
    if model.upstream:
        whole = CATALOG.models[model.provider, model.upstream]
        assert whole.upstream is None and model.send
        assert model.prices == whole.prices
        limits = (whole.context, whole.max_output)
        assert (model.context, model.max_output) == limits
    assert model.wire_id == (model.upstream or model.id)


def test_openais_reasoning_models_are_spared_what_they_refuse() -> None:
    refused = {"frequency_penalty", "presence_penalty", "logit_bias", "stop"}
    sampling = {"temperature", "top_p", "logprobs", "top_logprobs"}
    seen = 0
    for model in MODELS:
        if model.provider == "openai" and re.match(r"gpt-[5-9]|o\d", model.id):
            seen += 1
            assert refused <= set(model.drop), model.id
            # From 5.1 to 5.4 they don't reason unless told to, and sampling is allowed then.
            assert (sampling <= set(model.drop)) != bool(re.match(r"gpt-5\.[1-4]", model.id))
    assert seen >= 10
    assert CATALOG.providers["openai"].rename == {"max_tokens": "max_completion_tokens"}


def test_only_those_that_serve_openais_models_are_told_of_developers() -> None:
    for spec in PROVIDERS:
        knows = spec.name in ("openai", "azure", "bedrock")
        assert spec.roles == ({} if knows else {"developer": "system"})


@pytest.mark.parametrize(
    ("old", "provider"),
    [
        ("gemini-pro", "gemini"),
        ("gemini-pro-vision", "gemini"),
        ("mixtral-8x7b-32768", "groq"),
        ("gpt-4", "openai"),
        ("gpt-3.5-turbo", "openai"),
        ("@cf/meta/llama-2-7b-chat-int8", "workers-ai"),
    ],
)
def test_old_names_still_mean_something(old: str, provider: str) -> None:
    assert CATALOG.aliases[old].startswith(f"{provider}/")


@pytest.mark.parametrize(("alias", "meant"), CATALOG.aliases.items())
def test_an_alias_leads_to_a_chat_model_and_hides_none(alias: str, meant: str) -> None:
    provider, _, id_ = meant.partition("/")
    assert CATALOG.models[provider, id_].mode == "chat"
    assert not CATALOG.find_all(alias) and alias not in TIERS


@pytest.mark.parametrize("old", ["gemini-pro-vision", "gpt-4-vision-preview"])
def test_an_old_name_that_saw_still_sees(old: str) -> None:
    provider, _, id_ = CATALOG.aliases[old].partition("/")
    assert "vision" in (CATALOG.models[provider, id_].can or ())


def test_the_provider_in_the_explanation_works() -> None:
    file = json.loads(TEXT)
    example = file["$about"]["another_provider"]
    file["providers"] |= example["providers"]
    file["models"] += example["models"]
    catalog = Catalog(json.dumps(file).encode())
    model = catalog.find_tier_model("acme", "auto")
    assert model is not None and model.id == "acme-1"
    assert catalog.providers["acme"].base_url == "https://api.acme.example/v1"


@pytest.mark.parametrize(
    ("provider", "id_", "prices"),
    [
        ("gemini", "gemini-2.5-flash", (0.3, 2.5, 0.03, None)),
        ("gemini", "gemini-2.5-pro", (1.25, 10, 0.125, None)),
        ("gemini", "gemini-embedding-001", (0.15, 0, None, None)),
        ("deepseek", "deepseek-chat", (0.3, 1.2, 0.006, None)),
        ("groq", "openai/gpt-oss-120b", (0.15, 0.6, 0.075, None)),
        ("groq", "openai/gpt-oss-20b", (0.075, 0.3, 0.0375, None)),
        ("openai", "gpt-4o-mini", (0.15, 0.6, 0.075, None)),
        ("openai", "gpt-4o", (2.5, 10, 1.25, None)),
        ("openai", "gpt-6-luna", (0.1, 0.5, 0.01, 0.125)),
        ("openai", "gpt-5.6-sol", (4, 20, 0.4, 5)),
        ("openai", "text-embedding-3-small", (0.02, 0, None, None)),
        ("anthropic", "claude-opus-5-5", (4, 20, 0.2, 5)),
        ("anthropic", "claude-haiku-4-5", (1, 5, 0.1, 1.25)),
        ("openrouter", "anthropic/claude-sonnet-5", (2, 10, 0.2, 2.5)),
        ("openrouter", "openrouter/auto", (None, None, None, None)),
        ("huggingface", "openai/gpt-oss-120b:novita", (0.05, 0.25, None, None)),
        ("local", "smollm2-135m-instruct", (0, 0, None, None)),
        ("workers-ai", "@cf/meta/llama-3.3-70b-instruct-fp8-fast", (0.293, 2.253, None, None)),
        ("workers-ai", "@cf/baai/bge-base-en-v1.5", (0.067, 0, None, None)),
    ],
)
def test_prices_are_the_providers(provider: str, id_: str, prices: tuple[Any, ...]) -> None:
    model = CATALOG.models[provider, id_]
    assert (model.input, model.output, model.cached, model.cache_write) == prices


# Looking up


def test_models_are_found_by_name_and_by_tier() -> None:
    offers = [model.provider for model in CATALOG.find_all("openai/gpt-oss-120b")]
    assert offers == ["groq", "openrouter", "together", "deepinfra", "nvidia"]
    assert CATALOG.find_all("no-such-model") == []
    assert CATALOG.find_tier_model("nvidia", "vision") is None
    for spec in (spec for spec in PROVIDERS if spec.tiers):
        auto = CATALOG.find_tier_model(spec.name, "auto")
        assert auto is not None and CATALOG.find_tier(auto) == "auto"
    assert CATALOG.find_tier(CATALOG.models["openai", "gpt-6.1-sol"]) == "smart"
    assert CATALOG.find_tier(CATALOG.models["openai", "gpt-4o"]) == "auto"


@pytest.mark.parametrize("id_", ["openai/gpt-oss-120b", "someone/new-model:together"])
def test_a_model_that_is_not_listed_passes_with_nothing_known(id_: str) -> None:
    model = CATALOG.resolve("huggingface", id_)
    assert (model.wire_id, model.can, model.context) == (id_, None, None)
    assert model.prices.compute_cost(Usage(input=10, output=10)) == Cost(None)


# What a deployment adds


def test_a_server_of_ones_own_is_as_local_is_with_its_own_models() -> None:
    catalog = CATALOG.extend({"lab": ("qwen3:8b", "llama3.3:70b"), "gpu-2": ()})
    local, lab = catalog.providers["local"], catalog.providers["lab"]
    assert [*catalog.providers] == [*CATALOG.providers, "lab", "gpu-2"]
    assert (lab.keyless, lab.roles, lab.rename) == (True, local.roles, local.rename)
    assert lab.tiers == dict.fromkeys(("auto", "fast", "smart"), "qwen3:8b")
    assert catalog.providers["gpu-2"].tiers == {}
    assert lab.embedding_model is None
    assert catalog.find_tier_model("lab", "auto") == catalog.models["lab", "qwen3:8b"]
    usage = Usage(input=10**6, output=10**6)
    assert catalog.resolve("lab", "llama3.3:70b").prices.compute_cost(usage).nano_usd == 0
    assert [model.provider for model in catalog.find_all("qwen3:8b")] == ["lab"]
    assert "lab" not in CATALOG.providers and ("lab", "qwen3:8b") not in CATALOG.models


def test_a_model_that_a_deployment_names_at_a_vendor_has_no_price() -> None:
    catalog = CATALOG.extend({"azure": ("my-deployment", "gpt-4o"), "ollama": ("qwen3:8b",)})
    assert catalog.models["azure", "my-deployment"].input is None
    assert catalog.models["azure", "gpt-4o"] == CATALOG.models["azure", "gpt-4o"]
    assert catalog.providers["azure"].tiers == CATALOG.providers["azure"].tiers
    assert catalog.providers["ollama"].tiers["auto"] == "qwen3:8b"
    assert CATALOG.extend({}) is CATALOG


def test_a_server_needs_the_provider_that_it_is_like() -> None:
    file = json.loads(TEXT)
    del file["providers"]["local"]
    file["models"] = [model for model in file["models"] if model["provider"] != "local"]
    with pytest.raises(ValueError, match="lacks local"):
        Catalog(json.dumps(file).encode()).extend({"lab": ()})
