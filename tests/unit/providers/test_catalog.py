"""The shipped catalogue keeps its promises, costs are exact, and a wrong edit is told clearly."""

import json
import re
from collections.abc import Callable
from itertools import groupby
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from proxy.core.chat import TIERS, Cost, Usage
from proxy.providers import catalog as module
from proxy.providers.catalog import Catalog
from proxy.providers.specs import Model, ProviderSpec

PATH = Path(module.__file__).with_name("catalog.json")
TEXT = PATH.read_text()
CATALOG = Catalog.load()
MODELS = list(CATALOG.models.values())
PROVIDERS = list(CATALOG.providers.values())


def _id(item: Any) -> str:
    return item.name if hasattr(item, "name") else f"{item.provider}/{item.id}"


each_model = pytest.mark.parametrize("model", MODELS, ids=_id)
each_provider = pytest.mark.parametrize("spec", PROVIDERS, ids=_id)


# The file that is shipped


def test_providers_stand_in_their_order() -> None:
    order = "gemini deepseek groq openai openrouter huggingface local workers-ai"
    assert " ".join(CATALOG.providers) == order


def test_base_urls_are_those_of_the_providers_own_sdks() -> None:
    assert {name: spec.base_url for name, spec in CATALOG.providers.items()} == {
        "gemini": "https://generativelanguage.googleapis.com/v1beta",
        "deepseek": "https://api.deepseek.com",
        "groq": "https://api.groq.com/openai/v1",
        "openai": "https://api.openai.com/v1",
        "openrouter": "https://openrouter.ai/api/v1",
        "huggingface": "https://router.huggingface.co/v1",
        "local": None,
        "workers-ai": None,
    }
    assert {s.name for s in PROVIDERS if s.keyless} == {"local", "workers-ai"}


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
    assert groups == list(CATALOG.providers)
    for block in json.loads(TEXT)["providers"].values():
        assert list(block) == sorted(block, key=ProviderSpec.__struct_fields__.index)


def test_the_file_is_small_and_has_no_key_twice() -> None:
    def no_key_twice(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        assert len({key for key, _ in pairs}) == len(pairs), [key for key, _ in pairs]
        return dict(pairs)

    json.loads(TEXT, object_pairs_hook=no_key_twice)
    assert len(TEXT.encode()) < 60_000


@each_provider
def test_every_provider_has_the_first_tiers(spec: ProviderSpec) -> None:
    assert {"auto", "fast"} <= set(spec.tiers) <= set(TIERS)


@each_provider
def test_tiers_can_what_they_are_named_for(spec: ProviderSpec) -> None:
    for tier in spec.tiers:
        model = CATALOG.tier_model(spec.name, tier)
        assert model is not None and model.mode == "chat"
        assert model.input is not None and model.output is not None
        if tier in ("vision", "reasoning"):
            assert model.can is not None and tier in model.can


def test_who_sees_and_who_embeds() -> None:
    assert {s.name for s in PROVIDERS if "vision" not in s.tiers} == {"deepseek", "local"}
    embedding = {s.name: s.embedding_model for s in PROVIDERS if s.embedding_model}
    assert set(embedding) == {"gemini", "openai", "openrouter", "local", "workers-ai"}
    for name, id_ in embedding.items():
        assert CATALOG.models[name, id_].mode == "embedding"


@each_model
def test_prices_and_sizes_are_sensible(model: Model) -> None:
    if model.id != "openrouter/auto":  # its price is that of the model it picks
        assert model.input is not None and 0 <= model.input <= 200
        assert model.output is not None and 0 <= model.output <= 1000
        assert (model.cached or 0) <= model.input <= (model.cache_write or 200)
    assert (model.context or 512) >= 512
    assert (model.max_output or 0) <= (model.context or 0) or model.context is None
    if model.mode == "embedding":
        assert model.output == 0 and model.can is None and model.max_output is None


@each_model
def test_a_mode_of_a_model_costs_what_the_model_costs(model: Model) -> None:
    assert not set(model.drop) & {*model.send, *model.with_tools}
    if model.upstream:
        whole = CATALOG.models[model.provider, model.upstream]
        assert whole.upstream is None and model.send
        prices = ("input", "output", "cached", "cache_write", "context", "max_output")
        assert [getattr(model, p) for p in prices] == [getattr(whole, p) for p in prices]
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


def test_only_openai_is_told_of_developers() -> None:
    for spec in PROVIDERS:
        assert spec.roles == ({} if spec.name == "openai" else {"developer": "system"})


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
    model = catalog.tier_model("acme", "auto")
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
        ("openrouter", "anthropic/claude-sonnet-5", (2, 10, 0.2, None)),
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
    assert offers == ["groq", "openrouter"]
    assert CATALOG.find_all("no-such-model") == []
    assert CATALOG.tier_model("deepseek", "vision") is None
    for spec in PROVIDERS:
        auto = CATALOG.tier_model(spec.name, "auto")
        assert auto is not None and CATALOG.tier_of(auto) == "auto"
    assert CATALOG.tier_of(CATALOG.models["openai", "gpt-6-sol"]) == "smart"
    assert CATALOG.tier_of(CATALOG.models["openai", "gpt-4o"]) == "auto"


@pytest.mark.parametrize("id_", ["openai/gpt-oss-120b", "someone/new-model:together"])
def test_a_model_that_is_not_listed_passes_with_nothing_known(id_: str) -> None:
    model = CATALOG.model("huggingface", id_)
    assert (model.wire_id, model.can, model.context) == (id_, None, None)
    assert model.prices.cost(Usage(input=10, output=10)) == Cost(None)


# Costs


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
        # a part that is told as more than the whole is cut to it
        ("openai", "gpt-5.4-mini", Usage(input=100, cached=150, cache_write=9), 7_500),
        ("openai", "gpt-6-luna", Usage(input=100, cached=60, cache_write=90), 5_600),
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
    cost = CATALOG.models[provider, id_].prices.cost(usage)
    assert cost == Cost(nano_usd, "computed")
    assert cost.usd == nano_usd / 1e9


@pytest.mark.parametrize("told", [0, 1, 123_456_789])
@pytest.mark.parametrize(
    ("provider", "id_"), [("openrouter", "openrouter/auto"), ("openrouter", "openai/gpt-4o")]
)
def test_what_the_provider_tells_wins(provider: str, id_: str, told: int) -> None:
    cost = CATALOG.model(provider, id_).prices.cost(Usage(input=1000, output=1000, cost=told))
    assert cost == Cost(told, "provider")


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
    cost = model.prices.cost(usage)
    assert cost == Cost(None) and cost.usd is None


def test_a_price_of_nothing_is_a_price() -> None:
    model = Model(provider="x", id="y", input=1.0, output=1.0, cached=0.0, cache_write=0.0)
    assert model.prices.cost(Usage(input=10, cached=4, cache_write=5)) == Cost(1_000, "computed")


def test_a_price_that_is_not_needed_may_be_unknown() -> None:
    model = Model(provider="x", id="y", mode="embedding", input=0.5)
    assert model.prices.cost(Usage(input=3)) == Cost(1_500, "computed")


tokens = st.integers(0, 10_000_000)
part = st.none() | tokens
usages = st.builds(Usage, input=tokens, output=tokens, cached=part, cache_write=part)


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
    )


def nano(model: Model, usage: Usage) -> int:
    cost = model.prices.cost(usage).nano_usd
    assert cost is not None
    return cost


@given(priced(0.000001), usages)
def test_each_token_costs_once(model: Model, usage: Usage) -> None:
    prices = [model.input, model.cached, model.cache_write]
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


# A user's edit


def small() -> dict[str, Any]:
    """A file with one provider, a chat model and an embedding model."""
    return {
        "providers": {"acme": {"dialect": "openai", "tiers": {"auto": "a"}}},
        "models": [
            {"provider": "acme", "id": "a", "input": 1, "can": ["tools"]},
            {"provider": "acme", "id": "e", "mode": "embedding"},
        ],
        "aliases": {"old": "acme/a"},
    }


def message(file: dict[str, Any] | str) -> str:
    text = file if isinstance(file, str) else json.dumps(file)
    with pytest.raises(ValueError) as caught:
        Catalog(text.encode())
    return str(caught.value)


def test_the_small_file_is_right() -> None:
    assert Catalog(json.dumps(small()).encode()).aliases == {"old": "acme/a"}


def provider(**fields: Any) -> Callable[[dict[str, Any]], None]:
    return lambda file: file["providers"]["acme"].update(fields)


def model(**fields: Any) -> Callable[[dict[str, Any]], None]:
    return lambda file: file["models"][0].update(fields)


def alias(**names: str) -> Callable[[dict[str, Any]], None]:
    return lambda file: file["aliases"].update(names)


@pytest.mark.parametrize(
    ("edit", "parts"),
    [
        (model(inptu=1), ["model a: ", "unknown field `inptu`"]),
        (model(input="1.5"), ["model a: ", "Expected `float | null`, got `str`", "$.input"]),
        (model(input=-1), ["model a: ", ">= 0", "$.input"]),
        (model(context=0), ["model a: ", ">= 1", "$.context"]),
        (model(can=["visoin"]), ["model a: ", "'visoin'", "$.can"]),
        (model(mode="image"), ["model a: ", "'image'", "$.mode"]),
        (model(provider="nobody"), ["model a: there is no provider nobody"]),
        (provider(dialect="klingon"), ["provider acme: ", "'klingon'", "$.dialect"]),
        (provider(base_ulr="x"), ["provider acme: ", "unknown field `base_ulr`"]),
        (provider(tiers={"auto": "b"}), ["provider acme: tier auto names b, which is not among"]),
        (provider(tiers={"best": "a"}), ["provider acme: no tier is called best", "auto, fast"]),
        (provider(tiers={"auto": "e"}), ["provider acme: tier auto names e, which is no chat"]),
        (provider(tiers={"vision": "a"}), ["tier vision names a, which has no vision"]),
        (provider(tiers={"reasoning": "a"}), ["tier reasoning names a, which has no reasoning"]),
        (provider(embedding_model="b"), ["embedding_model names b, which is not among"]),
        (provider(embedding_model="a"), ["embedding_model names a, which is no embedding model"]),
        (alias(new="acme/b"), ["alias new names acme/b, which is not among the models"]),
        (alias(new="a"), ["alias new names a, which is not among the models"]),
        (alias(a="acme/a"), ["alias a hides the tier or model of that name"]),
        (alias(fast="acme/a"), ["alias fast hides the tier or model of that name"]),
        ((alias(**{"acme/x": "acme/a"})), ["alias acme/x begins with a provider's name"]),
        (lambda file: file.update(alias={}), ["unknown field `alias`"]),
        (lambda file: file.pop("models"), ["missing required field `models`"]),
        (lambda file: file["aliases"].update(x=1), ["Expected `str`, got `int`", "aliases"]),
        (lambda file: file["models"].append(7), ["model number 3: ", "got `int`"]),
        (lambda file: file["models"].append({"provider": "acme"}), ["model number 3: ", "`id`"]),
        (lambda file: file["models"].append(file["models"][0]), ["model a of acme stands 2 times"]),
    ],
)
def test_a_wrong_edit_is_told_with_its_place(
    edit: Callable[[dict[str, Any]], None], parts: list[str]
) -> None:
    file = small()
    edit(file)
    told = message(file)
    assert told.startswith("catalog.json: ")
    for expected in parts:
        assert expected in told


def test_all_wrong_entries_are_told_at_once() -> None:
    file = small()
    provider(base_ulr="x")(file)
    model(input="1")(file)
    file["models"][1]["colour"] = "red"
    told = message(file)
    assert "provider acme: " in told and "model a: " in told and "model e: " in told


def test_all_wrong_names_are_told_at_once() -> None:
    file = small()
    provider(tiers={"auto": "b", "best": "a"}, embedding_model="a")(file)
    alias(new="acme/z")(file)
    file["models"].append({"provider": "nobody", "id": "n"})
    told = message(file)
    for part in ("tier auto", "called best", "embedding_model", "alias new", "provider nobody"):
        assert part in told


@pytest.mark.parametrize(
    ("text", "place"),
    [
        (json.dumps(small(), indent=1).replace('"id": "e",', '"id": "e"'), "line 22 column"),
        ("", "line 1 column 1"),
        ("[]", "Expected `object`"),
        (json.dumps(small()).replace('"input": 1', '"input": NaN'), "model a: "),
        (json.dumps(small()).replace('"input": 1', '"input": Infinity'), "malformed"),
    ],
)
def test_what_is_not_json_is_told_with_its_line(text: str, place: str) -> None:
    assert place in message(text)


def test_bytes_that_are_no_text_are_refused() -> None:
    with pytest.raises(ValueError, match=r"catalog\.json: "):
        Catalog(b'{"\xff": 1}')
