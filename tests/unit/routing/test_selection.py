"""Which models a request goes to, and what is said when there is none."""

import tracemalloc

import msgspec
import pytest
from msgspec import structs

from proxy.core.chat import ChatRequest, Routing
from proxy.core.errors import InvalidRequest, NoProviderAvailable, PermissionDenied
from proxy.core.messages import ImageURL, JSONSchema, Message, Part, ResponseFormat, Tool
from proxy.core.principal import ModelGrant
from proxy.core.settings import read_settings
from proxy.providers.catalog import Catalog
from proxy.routing.health import Check
from proxy.routing.needs import Needs
from proxy.routing.selection import Selection
from tests.unit.routing.making import CATALOG, ENV
from tests.unit.routing.making_selection import (
    ANY,
    EMBEDDING,
    REASONING,
    STREAMING,
    TEXT,
    VISION,
    allowed,
    chosen,
)


def test_one_routing_key_for_a_model_under_its_old_name_and_its_new(selection: Selection) -> None:
    named = Routing(model="gemini/flash-old", fallback=False)
    theirs = Routing(model="openrouter/gemini/flash-old", fallback=False)
    assert selection.make_routing_key(named, TEXT, ANY).names == ("gemini/flash",)
    assert selection.make_routing_key(theirs, TEXT, ANY).names == ("openrouter/gemini/flash-old",)


def test_a_tier_gives_way_to_the_model_that_can(selection: Selection) -> None:
    assert chosen(selection, Routing(), VISION) == [
        "gemini/flash",
        "groq/scout",
        "openai/gpt",
        "openrouter/vendor/gpt",
    ]


@pytest.mark.parametrize(
    "routing", [Routing(model="groq/reasoning"), Routing(provider="groq", model="reasoning")]
)
def test_what_a_provider_lacks_is_named_with_what_to_do(
    selection: Selection, routing: Routing
) -> None:
    with pytest.raises(NoProviderAvailable) as caught:
        selection.plan(structs.replace(routing, fallback=False), TEXT, ANY)
    assert "none offers 'groq/reasoning': name a model, as provider/model" in str(caught.value)


def test_a_named_model_is_not_exchanged_silently(selection: Selection) -> None:
    with pytest.raises(NoProviderAvailable, match="groq: llama can't read images"):
        selection.plan(Routing(model="groq/llama", fallback=False), VISION, ANY)


def changed(**models: dict[str, object]) -> Selection:
    """A selection whose catalogue has other fields for some models; `_` stands for `-`."""
    data = msgspec.json.decode(msgspec.json.encode(CATALOG))
    for model in data["models"]:
        model |= models.get(model["id"].replace("-", "_"), {})
    catalog = Catalog(msgspec.json.encode(data))
    return Selection(catalog, read_settings(ENV, catalog.providers).routing, frozenset())


class TestStreaming:
    def test_who_cannot_is_left_out_of_streams_only(self) -> None:
        selection = changed(llama={"streams": False}, oss={"streams": False})
        assert chosen(selection, Routing(), STREAMING)[:2] == ["gemini/flash", "groq/scout"]
        assert chosen(selection, Routing())[:2] == ["gemini/flash", "groq/llama"]

    def test_the_reason_is_told(self) -> None:
        selection = changed(llama={"streams": False})
        needs = Needs(frozenset({"vision"}), streaming=True)
        with pytest.raises(NoProviderAvailable, match="groq: llama can't stream or read images"):
            selection.plan(Routing(model="groq/llama", fallback=False), needs, ANY)

    def test_the_routing_key_is_the_same_streamed_or_not(self) -> None:
        selection = changed(flash={"streams": False})
        for routing in (Routing(), Routing(model="gemini/flash", fallback=False)):
            streamed = selection.make_routing_key(routing, STREAMING, ANY)
            assert streamed == selection.make_routing_key(routing, TEXT, ANY)

    def test_an_unlisted_model_is_taken_to_be_able(self, selection: Selection) -> None:
        assert chosen(selection, Routing(model="groq/new", fallback=False), STREAMING) == [
            "groq/new"
        ]


class TestReasoning:
    """Here openai's big model reasons, and openrouter's may."""

    @pytest.fixture
    def selection(self) -> Selection:
        return changed(gpt_big={"can": ["vision", "tools", "json", "reasoning"]})

    @pytest.mark.parametrize(
        ("routing", "expected"),
        [
            # What is left open goes to those that can, each by its own model that can.
            (Routing(), ["openai/gpt-big", "openrouter/vendor/gpt"]),
            (Routing(model="smart", fallback=False), ["openai/gpt-big"]),
            (Routing(model="pro"), ["gemini/pro", "openai/gpt-big"]),
            (Routing(model="openai/auto", fallback=False), ["openai/gpt-big"]),
            # What is named is chat all the same.
            (Routing(model="llama", fallback=False), ["groq/llama"]),
            (Routing(model="auto", provider="groq", fallback=False), ["groq/llama"]),
            (Routing(model="gpt-big", fallback=("groq",)), ["openai/gpt-big", "groq/oss"]),
            (Routing(model="gpt", models=("llama",), fallback=()), ["openai/gpt", "groq/llama"]),
            # Better an answer without than none.
            (Routing(model="fast"), ["groq/llama"]),
            (Routing(only=("groq", "gemini")), ["gemini/flash", "groq/llama"]),
        ],
    )
    def test_candidates(self, selection: Selection, routing: Routing, expected: list[str]) -> None:
        assert chosen(selection, routing, REASONING) == expected

    def test_what_is_needed_comes_before_what_is_wished(self, selection: Selection) -> None:
        needs = structs.replace(REASONING, abilities=frozenset({"vision"}))
        routing = Routing(only=("groq",))
        assert chosen(selection, routing, needs) == ["groq/scout"]


def test_embeddings_never_change_their_model(selection: Selection) -> None:
    assert chosen(selection, Routing(model="embed-o"), EMBEDDING) == [
        "openai/embed-o",
        "openrouter/embed-o",
    ]
    assert chosen(selection, Routing(), EMBEDDING) == ["gemini/embed-g"]
    with pytest.raises(NoProviderAvailable, match="gpt is a chat model"):
        selection.plan(Routing(model="gpt"), EMBEDDING, ANY)


@pytest.mark.parametrize("routing", [Routing(model="embed-o"), Routing(model="openai/embed-o")])
def test_a_chat_that_names_an_embedding_model_goes_to_no_other(
    selection: Selection, routing: Routing
) -> None:
    with pytest.raises(InvalidRequest, match="embed-o is an embedding model") as caught:
        selection.plan(routing, TEXT, ANY)
    assert caught.value.param == "model"


def test_why_nobody_can(catalog: Catalog) -> None:
    settings = read_settings(
        {"DISABLED_PROVIDERS": "groq", "GROQ_API_KEY": "q"}, catalog.providers
    ).routing
    with pytest.raises(NoProviderAvailable) as caught:
        Selection(catalog, settings, frozenset()).plan(Routing(), TEXT, ANY)
    assert caught.value.message == (
        "No provider can answer this (gemini: GEMINI_API_KEY is not set; groq: switched off by"
        " DISABLED_PROVIDERS; openai: OPENAI_API_KEY is not set; openrouter: OPENROUTER_API_KEY"
        " is not set; local: LOCAL_BASE_URL is not set; workers-ai: the Worker has no AI binding)."
    )


def test_what_a_provider_lacks_that_is_set_up_comes_first() -> None:
    data = msgspec.json.decode(msgspec.json.encode(CATALOG))
    next(model for model in data["models"] if model["id"] == "small")["can"] = ["json"]
    catalog = Catalog(msgspec.json.encode(data))
    env = {"ENVIRONMENT": "development", "LOCAL_BASE_URL": "http://127.0.0.1:1/v1"}
    selection = Selection(catalog, read_settings(env, catalog.providers).routing, frozenset())
    with pytest.raises(NoProviderAvailable) as caught:
        selection.plan(Routing(), Needs(frozenset({"tools"})), ANY)
    assert caught.value.message == (
        "No provider can answer this (local: small can't call tools;"
        " not set up, see /health/providers: gemini, groq, openai, openrouter, workers-ai)."
    )


def test_keyless_providers_need_their_place_only(catalog: Catalog) -> None:
    env = {"ENVIRONMENT": "development", "LOCAL_BASE_URL": "http://127.0.0.1:1/v1"}
    selection = Selection(
        catalog, read_settings(env, catalog.providers).routing, frozenset({"workers-ai"})
    )
    assert selection.deployment.configured == ("local", "workers-ai")
    assert [target.base_url for target in selection.plan(Routing(), TEXT, ANY).targets] == [
        "http://127.0.0.1:1/v1",
        "",
    ]


def test_an_ai_binding_that_cannot_answer_is_not_configured(catalog: Catalog) -> None:
    settings = read_settings({"AI_BINDING": "off"}, catalog.providers).routing
    selection = Selection(catalog, settings, frozenset({"workers-ai"}))
    assert selection.deployment.configured == ()
    with pytest.raises(NoProviderAvailable, match="workers-ai: the AI binding can't answer here"):
        selection.plan(Routing(), TEXT, ANY)


def test_a_key_sees_what_it_may_use(selection: Selection) -> None:
    assert allowed(selection, Routing(), providers=("groq", "openai")) == [
        "groq/llama",
        "openai/gpt",
    ]
    assert allowed(selection, Routing(), models=("openai/*", "llama")) == [
        "groq/llama",
        "openai/gpt",
    ]
    owners = {entry.owned_by for entry in selection.list_models(ModelGrant(providers=("groq",)))}
    assert owners == {"proxy", "groq"}


@pytest.mark.parametrize("fallback", [True, False])
def test_what_a_key_may_not_use_by_name(selection: Selection, fallback: bool) -> None:
    with pytest.raises(PermissionDenied, match="openai/gpt-big"):
        allowed(selection, Routing(model="gpt-big", fallback=fallback), models=("llama",))
    with pytest.raises(PermissionDenied, match="use groq"):
        allowed(
            selection, Routing(model="fast", provider="groq", fallback=False), providers=("openai",)
        )


def test_one_key_s_candidates_are_not_another_s(selection: Selection) -> None:
    assert len(allowed(selection, Routing(), providers=("groq",))) == 1
    assert len(chosen(selection, Routing())) == 4


def test_listing_and_report(selection: Selection) -> None:
    ids = [entry.id for entry in selection.list_models(ANY)]
    assert ids[:5] == ["auto", "fast", "smart", "vision", "reasoning"]
    assert "openrouter/vendor/gpt" in ids
    assert "local/small" not in ids
    check = Check(provider="groq", healthy=False, checked_at=1, latency_ms=2, reason="down")
    report = {entry.name: entry for entry in selection.deployment.report({"groq": check}, {})}
    assert msgspec.to_builtins(report["groq"]) == {
        "name": "groq",
        "configured": True,
        "reason": None,
        "lastCheck": msgspec.to_builtins(check),
        "breaker": None,
        "models": {},
        "keys": (),
        "endings": (),
        "priceChanges": (),
    }
    assert report["local"].reason == "LOCAL_BASE_URL is not set"


def test_needs_of_a_request() -> None:
    plain = ChatRequest(messages=(Message("user", "hi"),))
    assert Needs.of(plain) == TEXT
    image = Part("image_url", image_url=ImageURL("https://x.test/a.png"))
    full = ChatRequest(
        messages=(Message("user", (Part("text", "see"), image)),),
        tools=(Tool(),),
        response_format=ResponseFormat("json_schema", JSONSchema(schema_={})),
    )
    assert Needs.of(full).abilities == {"vision", "tools", "json"}
    for effort, wished in (("none", False), ("minimal", True), ("high", True)):
        thinking = structs.replace(plain, reasoning_effort=effort)
        assert Needs.of(thinking).reasoning == wished
    assert Needs.of(structs.replace(plain, stream=True)) == STREAMING
    idle_tools = ChatRequest(messages=plain.messages, tools=(Tool(),), tool_choice="none")
    assert Needs.of(idle_tools) == TEXT


def test_what_is_remembered_is_bounded_in_bytes_whatever_callers_name() -> None:
    catalog = Catalog.load()
    selection = Selection(catalog, read_settings(ENV, catalog.providers).routing, frozenset())
    tracemalloc.start()
    for number in range(250):
        names = tuple(f"openai/{number}-{place}-{'x' * 230}\U0001f600" for place in range(32))
        selection.plan(Routing(model=names[0], models=names[1:], fallback=False), TEXT, ANY)
        selection.plan(Routing(model=f"openai/{number}"), TEXT, ANY)
    kept = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert kept < 3_000_000
    routing = Routing(model="gpt-4o-mini", fallback=False)
    assert selection.plan(routing, TEXT, ANY) is selection.plan(routing, TEXT, ANY)


CUSTOM = Needs(frozenset({"tools"}), custom_tool=1)


def with_custom_tools(*names: str) -> Selection:
    """A selection where these providers have custom tools."""
    data = msgspec.json.decode(msgspec.json.encode(CATALOG))
    for name in names:
        data["providers"][name]["custom_tools"] = True
    catalog = Catalog(msgspec.json.encode(data))
    return Selection(catalog, read_settings(ENV, catalog.providers).routing, frozenset())


def test_a_custom_tool_goes_to_providers_that_have_them() -> None:
    selection = with_custom_tools("openai", "openrouter")
    assert chosen(selection, Routing(), CUSTOM) == ["openai/gpt", "openrouter/vendor/gpt"]
    assert chosen(selection, Routing(model="gemini/pro"), CUSTOM) == ["openai/gpt-big"]
    chat = ChatRequest(messages=(), tools=(Tool(), Tool(type="custom"), Tool(type="custom")))
    assert Needs.of(chat) == Needs.of(structs.replace(chat, tool_choice="auto")) == CUSTOM


@pytest.mark.parametrize("name", ["gemini/pro", "groq/brand-new"])
def test_a_custom_tool_that_nobody_may_take_is_named(name: str) -> None:
    with pytest.raises(InvalidRequest) as raised:
        with_custom_tools("openai").plan(Routing(model=name, fallback=False), CUSTOM, ANY)
    provider = name.partition("/")[0]
    assert raised.value.param == "tools[1].type"
    assert raised.value.message == (
        f"tools[1].type: {provider} can't take custom tools. Send the tool as a function with one"
        " string parameter, or ask openai."
    )
