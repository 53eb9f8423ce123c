"""Which models a request goes to, and what is said when there is none."""

import tracemalloc

import msgspec
import pytest
from msgspec import structs

from proxy.core.chat import ChatRequest, ModelEntry
from proxy.core.chat import Routing as Ask
from proxy.core.errors import InvalidRequest, NoProviderAvailable, NotFound, PermissionDenied
from proxy.core.messages import ImageURL, JSONSchema, Message, Part, ResponseFormat, Tool
from proxy.core.principal import ModelGrant
from proxy.core.settings import read_settings
from proxy.providers.catalog import Catalog
from proxy.providers.specs import undated
from proxy.routing.health import Check
from proxy.routing.needs import Needs
from proxy.routing.selection import Question, Selection
from tests.unit.routing.conftest import CATALOG, ENV

ANY = ModelGrant()
TEXT = Needs()
VISION = Needs(frozenset({"vision"}))
EMBEDDING = Needs(embedding=True)
STREAMING = Needs(streaming=True)
REASONING = Needs(reasoning=True)


def chosen(selection: Selection, ask: Ask, needs: Needs = TEXT) -> list[str]:
    targets = selection.plan(ask, needs, ANY).in_order()
    return [f"{target.spec.name}/{target.model.id}" for target in targets]


@pytest.mark.parametrize(
    ("ask", "expected"),
    [
        (Ask(), ["gemini/flash", "groq/llama", "openai/gpt", "openrouter/vendor/gpt"]),
        (Ask(model="smart"), ["gemini/pro", "groq/oss", "openai/gpt-big"]),
        (Ask(model="fast"), ["groq/llama"]),
        (Ask(model="auto", fallback=False), ["gemini/flash"]),
        (Ask(provider="openai", fallback=False), ["openai/gpt"]),
        (Ask(provider="openai", model="smart", fallback=False), ["openai/gpt-big"]),
        (Ask(model="groq/smart", fallback=False), ["groq/oss"]),
        (Ask(model="groq/smart"), ["groq/oss", "gemini/pro", "openai/gpt-big"]),
        (
            Ask(model="gpt-big"),
            ["openai/gpt-big", "gemini/pro", "groq/oss"],
        ),
        (Ask(model="openai/gpt-big", fallback=False), ["openai/gpt-big"]),
        (Ask(provider="openai", model="openai/gpt-big", fallback=False), ["openai/gpt-big"]),
        (Ask(model="gpt-old", fallback=False), ["openai/gpt"]),
        (Ask(model="openai/gpt-old", fallback=False), ["openai/gpt"]),
        (Ask(provider="groq", model="gpt-old", fallback=False), ["groq/gpt-old"]),
        (Ask(model="openai/brand-new", fallback=False), ["openai/brand-new"]),
        (Ask(model="openai/shared", fallback=False), ["openai/shared"]),
        (Ask(model="openai/shared", fallback=("gemini",)), ["openai/shared", "gemini/flash"]),
        (Ask(model="groq/openai/shared", fallback=False), ["groq/openai/shared"]),
        (Ask(provider="groq", model="openai/shared", fallback=False), ["groq/openai/shared"]),
        (Ask(model="gemini/flash-old", fallback=False), ["gemini/flash"]),
        (Ask(model="gemini/flash-old", only=("openrouter",)), ["openrouter/vendor/gpt"]),
        (Ask(model="openrouter/gemini/flash-old", fallback=False), ["openrouter/gemini/flash-old"]),
        (
            Ask(model="gpt", models=("gemini/flash-old",), fallback=False),
            ["openai/gpt"],
        ),
        (
            Ask(model="gpt", models=("gemini/flash-old",), fallback=()),
            ["openai/gpt", "gemini/flash"],
        ),
        (Ask(model="vendor/gpt", fallback=False), ["openrouter/vendor/gpt"]),
        (
            Ask(model="gpt", fallback=("groq", "gemini")),
            ["openai/gpt", "groq/llama", "gemini/flash"],
        ),
        (Ask(model="gpt", fallback=()), ["openai/gpt"]),
        (Ask(fallback=()), ["gemini/flash"]),
        (Ask(fallback=("openai",)), ["gemini/flash", "openai/gpt"]),
        (
            Ask(order=("openai",)),
            ["openai/gpt", "gemini/flash", "groq/llama", "openrouter/vendor/gpt"],
        ),
        (Ask(only=("groq", "openai"), ignore=("openai",)), ["groq/llama"]),
        (Ask(model="gpt", models=("llama",), fallback=()), ["openai/gpt", "groq/llama"]),
    ],
)
def test_names(selection: Selection, ask: Ask, expected: list[str]) -> None:
    assert chosen(selection, ask) == expected


SHIPPED = Catalog.load()
KEYS = {
    f"{name.upper().replace('-', '_')}_API_KEY": "key"
    for name in SHIPPED.providers
    if name[0] != "w"
}
AMBIGUOUS = sorted(
    {
        name
        for _, id_ in SHIPPED.models
        for name in (id_, f"{id_}-2025-01-31")
        if id_.partition("/")[0] in SHIPPED.providers and id_ != "openrouter/auto"
    }
)


def shipped(*without: str) -> Selection:
    env = {name: value for name, value in KEYS.items() if name not in without}
    return Selection(SHIPPED, read_settings(env, SHIPPED.providers).routing, frozenset())


@pytest.mark.parametrize("name", [*AMBIGUOUS, "deepseek/deepseek-v4-flash"])
def test_a_provider_that_is_named_is_the_one_that_is_asked(name: str) -> None:
    needs = EMBEDDING if "embedding" in name else TEXT
    target = shipped().plan(Ask(model=name), needs, ANY).in_order()[0]
    assert target.spec.name == name.partition("/")[0]


def test_a_provider_without_its_key_is_not_replaced_by_who_sells_its_models() -> None:
    selection = shipped("DEEPSEEK_API_KEY")
    ask = Ask(model="deepseek/deepseek-v4-flash", fallback=False)
    with pytest.raises(NoProviderAvailable, match=r"\(deepseek: DEEPSEEK_API_KEY is not set\)"):
        selection.plan(ask, TEXT, ANY)
    follow = chosen(selection, structs.replace(ask, fallback=True))
    assert follow[0] == "gemini/gemini-3.8-flash"
    assert "openrouter/deepseek/deepseek-v4-flash" not in follow


def test_one_question_for_a_model_under_its_old_name_and_its_new(selection: Selection) -> None:
    named = Ask(model="gemini/flash-old", fallback=False)
    theirs = Ask(model="openrouter/gemini/flash-old", fallback=False)
    assert selection.question(named, TEXT, ANY).names == ("gemini/flash",)
    assert selection.question(theirs, TEXT, ANY).names == ("openrouter/gemini/flash-old",)


def test_a_pattern_with_a_provider_is_about_that_provider(selection: Selection) -> None:
    assert allowed(selection, Ask(model="groq/openai/shared"), models=("groq/*",))
    for ask in (Ask(model="groq/openai/shared"), Ask(model="openrouter/openai/shared")):
        with pytest.raises(PermissionDenied):
            allowed(selection, ask, models=("openai/*",))
    assert allowed(selection, Ask(model="vendor/gpt"), models=("vendor/*",))


@pytest.mark.parametrize("name", ["gpt-4", "openai/gpt-4", "deepseek/deepseek-v4-flash"])
def test_a_key_may_use_what_its_names_mean(name: str) -> None:
    target = shipped().plan(Ask(model=name, fallback=False), TEXT, ModelGrant(models=(name,)))
    assert target.in_order()[0].spec.name in ("openai", "deepseek")
    with pytest.raises(PermissionDenied):
        allowed(shipped(), Ask(model="openai/gpt-4o"), models=(name,))


class TestSnapshots:
    @pytest.mark.parametrize(
        ("name", "expected"),
        [
            ("gpt-4o-2024-08-06", "openai/gpt-4o-2024-08-06"),
            ("openai/gpt-4o-mini-2024-07-18", "openai/gpt-4o-mini-2024-07-18"),
            ("gemini-2.5-flash-001", "gemini/gemini-2.5-flash-001"),
            ("gemini-2.5-flash-preview-05-20", "gemini/gemini-2.5-flash-preview-05-20"),
            ("gemini-2.5-flash-preview-09-2025", "gemini/gemini-2.5-flash-preview-09-2025"),
            (
                "openrouter/anthropic/claude-sonnet-4.5-20250929",
                "openrouter/anthropic/claude-sonnet-4.5-20250929",
            ),
            ("anthropic/claude-opus-5-20260801", "openrouter/anthropic/claude-opus-5-20260801"),
        ],
    )
    def test_is_its_model_under_its_own_name(self, name: str, expected: str) -> None:
        target = shipped().plan(Ask(model=name, fallback=False), TEXT, ANY).in_order()[0]
        assert f"{target.spec.name}/{target.model.id}" == expected
        assert target.model.wire_id == target.model.id
        base = SHIPPED.models[target.spec.name, undated(target.model.id)]
        assert target.model == structs.replace(base, id=target.model.id)
        assert target.model.id != base.id

    def test_of_a_name_that_is_gone_goes_where_the_name_goes(self) -> None:
        for name in ("gpt-4-turbo-2024-04-09", "openai/gpt-4-turbo-2024-04-09"):
            assert chosen(shipped(), Ask(model=name, fallback=False)) == ["openai/gpt-5.4"]

    def test_is_followed_by_what_follows_its_model(self) -> None:
        dated = chosen(shipped(), Ask(model="gemini-3.8-flash-001"))
        own, *others = chosen(shipped(), Ask(model="gemini-3.8-flash"))
        assert dated[1:] == [own, *others]

    def test_may_be_used_by_who_may_use_its_model(self) -> None:
        name = "gpt-4o-2024-08-06"
        for pattern in ("gpt-4o", "openai/gpt-4o", name):
            assert allowed(shipped(), Ask(model=name, fallback=False), models=(pattern,))
        with pytest.raises(PermissionDenied):
            allowed(shipped(), Ask(model="gpt-4o", fallback=False), models=(name,))

    @pytest.mark.parametrize(
        "name",
        ["gpt-4o-0806", "gpt-4o-2024", "gpt-4o-2024-08", "gpt-4o-2024-13-46x", "gpt-4o-preview"],
    )
    def test_what_else_stands_behind_a_name_is_part_of_it(self, name: str) -> None:
        with pytest.raises(NotFound):
            shipped().plan(Ask(model=name), TEXT, ANY)


class TestOpenRoutersOwnFields:
    ALONE = Ask(model="openrouter/vendor/gpt", fallback=False)

    def sent(self, selection: Selection, ask: Ask, **fields: object) -> object:
        vendors = msgspec.json.encode(fields).decode() if fields else None
        targets = selection.plan(ask, Needs(vendors=vendors), ANY).in_order()
        assert {target.spec.name for target in targets} == {"openrouter"}
        return targets[0].model.send.get("provider")

    @pytest.mark.parametrize(
        "ask",
        [
            ALONE,
            Ask(model="vendor/gpt", fallback=False),
            Ask(model="auto", provider="openrouter", fallback=False),
            Ask(model="auto", only=("openrouter",)),
            Ask(model="gpt", ignore=("gemini", "groq", "openai")),
        ],
    )
    def test_reach_it_where_it_alone_may_answer(self, selection: Selection, ask: Ask) -> None:
        wish = {"data_collection": "deny", "max_price": {"prompt": 1}, "sort": "price"}
        assert self.sent(selection, ask, **wish) == wish

    @pytest.mark.parametrize("name", ["order", "only", "ignore"])
    @pytest.mark.parametrize("vendors", [("anthropic",), ("groq", "together/fp8"), ("openai",)])
    def test_vendors_reach_it(
        self, selection: Selection, name: str, vendors: tuple[str, ...]
    ) -> None:
        ask = structs.replace(self.ALONE, **{name: ("openrouter", *vendors)})
        assert self.sent(selection, ask) == {name: list(vendors)}

    def test_lists_of_the_proxys_own_providers_stay_here(self, selection: Selection) -> None:
        ask = Ask(model="auto", only=("openrouter",), order=("groq",))
        assert self.sent(selection, ask, zdr=True) == {"zdr": True}
        assert self.sent(selection, ask) is None

    @pytest.mark.parametrize(
        ("ask", "fields", "param", "reason"),
        [
            (Ask(), {"zdr": True}, "provider.zdr", "Only OpenRouter knows this"),
            (Ask(model="vendor/gpt"), {"data_collection": "deny"}, "provider.data_collection", ""),
            (Ask(), {"sort": {"by": "price"}}, "provider.sort", "Only OpenRouter"),
            (Ask(order=("anthropic",)), {}, "provider.order", "'anthropic' is no provider; there"),
            (Ask(only=("groq", "Together")), {}, "provider.only", "'Together' is no provider"),
        ],
    )
    def test_are_refused_where_others_may_answer(
        self,
        selection: Selection,
        ask: Ask,
        fields: dict[str, object],
        param: str,
        reason: str,
    ) -> None:
        vendors = msgspec.json.encode(fields).decode() if fields else None
        with pytest.raises(InvalidRequest, match=f"{param}: {reason}") as caught:
            selection.plan(ask, Needs(vendors=vendors), ANY)
        assert caught.value.param == param
        assert "with fallback false" in caught.value.message

    def test_what_both_understand_is_refused_nowhere(self, selection: Selection) -> None:
        needs = Needs(vendors='{"allow_fallbacks":true,"sort":"price"}')
        targets = selection.plan(Ask(), needs, ANY).in_order()
        assert len(targets) == 4
        assert not any(target.model.send for target in targets)

    def test_make_another_question(self, selection: Selection) -> None:
        questions = [
            selection.question(structs.replace(self.ALONE, order=order), Needs(vendors=wish), ANY)
            for order in ((), ("anthropic",))
            for wish in (None, '{"zdr":true}')
        ]
        assert len({question.words() for question in questions}) == 4
        target = selection.plan(self.ALONE, Needs(vendors='{"zdr":true}'), ANY).in_order()[0]
        assert Question.about(target).words() == questions[1].words()


class TestEntries:
    """What is found by GET /v1/models/ID."""

    @pytest.mark.parametrize(
        ("name", "owner"),
        [
            ("gpt-4o", "openai"),
            ("gpt-4", "openai"),
            ("openai/gpt-4o", "openai"),
            ("openai/gpt-4", "openai"),
            ("gpt-4o-2024-08-06", "openai"),
            ("openai/gpt-4o-2024-08-06", "openai"),
            ("fast", "proxy"),
            ("groq/fast", "groq"),
            ("deepseek/deepseek-v4-flash", "deepseek"),
            ("openrouter/deepseek/deepseek-v4-flash", "openrouter"),
            ("text-embedding-3-small", "openai"),
        ],
    )
    def test_a_name_that_a_request_may_call_it_by(self, name: str, owner: str) -> None:
        assert shipped().entry(name, ANY) == ModelEntry(id=name, owned_by=owner)

    @pytest.mark.parametrize(
        "name", ["none", "openai/none", "local/fast", "openai/vision/fast", "deepseek/vision", ""]
    )
    def test_what_is_not_there(self, name: str) -> None:
        assert shipped().entry(name, ANY) is None

    def test_what_a_key_may_not_use(self) -> None:
        grant = ModelGrant(models=("gpt-4o",))
        assert shipped().entry("gpt-4o-2024-08-06", grant)
        assert shipped().entry("gpt-4", grant) is None
        assert shipped("OPENAI_API_KEY").entry("gpt-4o", ANY) is None

    def test_whatever_is_listed_is_found(self) -> None:
        selection = shipped()
        for entry in selection.listing(ANY):
            assert selection.entry(entry.id, ANY) == entry


def test_a_tier_gives_way_to_the_model_that_can(selection: Selection) -> None:
    assert chosen(selection, Ask(), VISION) == [
        "gemini/flash",
        "groq/scout",
        "openai/gpt",
        "openrouter/vendor/gpt",
    ]


def test_a_named_model_is_not_exchanged_silently(selection: Selection) -> None:
    with pytest.raises(NoProviderAvailable, match="groq: llama has no vision"):
        selection.plan(Ask(model="groq/llama", fallback=False), VISION, ANY)


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
        assert chosen(selection, Ask(), STREAMING)[:2] == ["gemini/flash", "groq/scout"]
        assert chosen(selection, Ask())[:2] == ["gemini/flash", "groq/llama"]

    def test_the_reason_is_told(self) -> None:
        selection = changed(llama={"streams": False})
        needs = Needs(frozenset({"vision"}), streaming=True)
        with pytest.raises(NoProviderAvailable, match="groq: llama has no streaming and no vision"):
            selection.plan(Ask(model="groq/llama", fallback=False), needs, ANY)

    def test_the_question_is_the_same_streamed_or_not(self) -> None:
        selection = changed(flash={"streams": False})
        for ask in (Ask(), Ask(model="gemini/flash", fallback=False)):
            streamed = selection.question(ask, STREAMING, ANY)
            assert streamed == selection.question(ask, TEXT, ANY)

    def test_an_unlisted_model_is_taken_to_be_able(self, selection: Selection) -> None:
        assert chosen(selection, Ask(model="groq/new", fallback=False), STREAMING) == ["groq/new"]


class TestReasoning:
    """Here openai's big model reasons, and openrouter's may."""

    @pytest.fixture
    def selection(self) -> Selection:
        return changed(gpt_big={"can": ["vision", "tools", "json", "reasoning"]})

    @pytest.mark.parametrize(
        ("ask", "expected"),
        [
            # What is left open goes to those that can, each by its own model that can.
            (Ask(), ["openai/gpt-big", "openrouter/vendor/gpt"]),
            (Ask(model="smart", fallback=False), ["openai/gpt-big"]),
            (Ask(model="pro"), ["gemini/pro", "openai/gpt-big"]),
            (Ask(model="openai/auto", fallback=False), ["openai/gpt-big"]),
            # What is named is asked all the same.
            (Ask(model="llama", fallback=False), ["groq/llama"]),
            (Ask(model="auto", provider="groq", fallback=False), ["groq/llama"]),
            (Ask(model="gpt-big", fallback=("groq",)), ["openai/gpt-big", "groq/oss"]),
            (Ask(model="gpt", models=("llama",), fallback=()), ["openai/gpt", "groq/llama"]),
            # Better an answer without than none.
            (Ask(model="fast"), ["groq/llama"]),
            (Ask(only=("groq", "gemini")), ["gemini/flash", "groq/llama"]),
        ],
    )
    def test_candidates(self, selection: Selection, ask: Ask, expected: list[str]) -> None:
        assert chosen(selection, ask, REASONING) == expected

    def test_what_is_needed_comes_before_what_is_wished(self, selection: Selection) -> None:
        needs = structs.replace(REASONING, abilities=frozenset({"vision"}))
        asked = Ask(only=("groq",))
        assert chosen(selection, asked, needs) == ["groq/scout"]


def test_an_unknown_model_is_met_with_the_one_that_may_be_meant() -> None:
    for name in ("claude-sonnet-4-5-20250929", "anthropic/claude-sonnet-4-5"):
        with pytest.raises(NotFound) as caught:
            shipped().plan(Ask(model=name), TEXT, ANY)
        assert "Do you mean openrouter/anthropic/claude-sonnet-4.5?" in caught.value.message
        assert "openai/claude" not in caught.value.message


def test_unknown_model_says_what_to_do(selection: Selection) -> None:
    with pytest.raises(NotFound, match="'gpt-9' is not known") as caught:
        selection.plan(Ask(model="gpt-9"), TEXT, ANY)
    assert (caught.value.code, caught.value.param) == ("model_not_found", "model")


@pytest.mark.parametrize(
    ("ask", "param"), [(Ask(provider="x"), "provider"), (Ask(fallback=("groq", "x")), "fallback")]
)
def test_unknown_provider_is_named(selection: Selection, ask: Ask, param: str) -> None:
    with pytest.raises(InvalidRequest, match=f"{param}: 'x' is no provider; there are gemini"):
        selection.plan(ask, TEXT, ANY)


def test_embeddings_never_change_their_model(selection: Selection) -> None:
    assert chosen(selection, Ask(model="embed-o"), EMBEDDING) == [
        "openai/embed-o",
        "openrouter/embed-o",
    ]
    assert chosen(selection, Ask(), EMBEDDING) == ["gemini/embed-g"]
    with pytest.raises(NoProviderAvailable, match="gpt is a chat model"):
        selection.plan(Ask(model="gpt"), EMBEDDING, ANY)


@pytest.mark.parametrize("ask", [Ask(model="embed-o"), Ask(model="openai/embed-o")])
def test_a_chat_that_names_an_embedding_model_goes_to_no_other(
    selection: Selection, ask: Ask
) -> None:
    with pytest.raises(InvalidRequest, match="embed-o is an embedding model") as caught:
        selection.plan(ask, TEXT, ANY)
    assert caught.value.param == "model"


def test_why_nobody_can(catalog: Catalog) -> None:
    env = {"DISABLED_PROVIDERS": "groq", "GROQ_API_KEY": "q"}
    settings = read_settings(env, catalog.providers).routing
    with pytest.raises(NoProviderAvailable) as caught:
        Selection(catalog, settings, frozenset()).plan(Ask(), TEXT, ANY)
    assert caught.value.message == (
        "No provider can answer this (gemini: GEMINI_API_KEY is not set; groq: switched off by"
        " DISABLED_PROVIDERS; openai: OPENAI_API_KEY is not set; openrouter: OPENROUTER_API_KEY"
        " is not set; local: LOCAL_BASE_URL is not set; workers-ai: the Worker has no AI binding)."
    )


def test_keyless_providers_need_their_place_only(catalog: Catalog) -> None:
    env = {"ENVIRONMENT": "development", "LOCAL_BASE_URL": "http://127.0.0.1:1/v1"}
    settings = read_settings(env, catalog.providers).routing
    selection = Selection(catalog, settings, frozenset({"workers-ai"}))
    assert selection.configured == ("local", "workers-ai")
    assert [target.base_url for target in selection.plan(Ask(), TEXT, ANY).in_order()] == [
        "http://127.0.0.1:1/v1",
        "",
    ]


def test_an_ai_binding_that_cannot_answer_is_not_configured(catalog: Catalog) -> None:
    settings = read_settings({"AI_BINDING": "off"}, catalog.providers).routing
    selection = Selection(catalog, settings, frozenset({"workers-ai"}))
    assert selection.configured == ()
    with pytest.raises(NoProviderAvailable, match="workers-ai: the AI binding can't answer here"):
        selection.plan(Ask(), TEXT, ANY)


def allowed(selection: Selection, ask: Ask, **grant: tuple[str, ...]) -> list[str]:
    targets = selection.plan(ask, TEXT, ModelGrant(**grant)).in_order()
    return [f"{target.spec.name}/{target.model.id}" for target in targets]


def test_a_key_sees_what_it_may_use(selection: Selection) -> None:
    assert allowed(selection, Ask(), providers=("groq", "openai")) == ["groq/llama", "openai/gpt"]
    assert allowed(selection, Ask(), models=("openai/*", "llama")) == ["groq/llama", "openai/gpt"]
    owners = {entry.owned_by for entry in selection.listing(ModelGrant(providers=("groq",)))}
    assert owners == {"proxy", "groq"}


@pytest.mark.parametrize("fallback", [True, False])
def test_what_a_key_may_not_use_by_name(selection: Selection, fallback: bool) -> None:
    with pytest.raises(PermissionDenied, match="openai/gpt-big"):
        allowed(selection, Ask(model="gpt-big", fallback=fallback), models=("llama",))
    with pytest.raises(PermissionDenied, match="use groq"):
        allowed(
            selection, Ask(model="fast", provider="groq", fallback=False), providers=("openai",)
        )


def test_one_key_s_candidates_are_not_another_s(selection: Selection) -> None:
    assert len(allowed(selection, Ask(), providers=("groq",))) == 1
    assert len(chosen(selection, Ask())) == 4


def test_listing_and_report(selection: Selection) -> None:
    ids = [entry.id for entry in selection.listing(ANY)]
    assert ids[:5] == ["auto", "fast", "smart", "vision", "reasoning"]
    assert "openrouter/vendor/gpt" in ids
    assert "local/small" not in ids
    check = Check(provider="groq", healthy=False, checked_at=1, latency_ms=2, reason="down")
    report = {entry["name"]: entry for entry in selection.report({"groq": check}, {})}
    assert report["groq"] == {
        "name": "groq",
        "configured": True,
        "reason": None,
        "lastCheck": check,
        "breaker": None,
        "models": {},
    }
    assert report["local"]["reason"] == "LOCAL_BASE_URL is not set"


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
    for number in range(1000):
        names = tuple(f"openai/{number}-{place}-{'x' * 230}\U0001f600" for place in range(32))
        selection.plan(Ask(model=names[0], models=names[1:], fallback=False), TEXT, ANY)
        selection.plan(Ask(model=f"openai/{number}"), TEXT, ANY)
    kept = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert kept < 3_000_000
    asked = Ask(model="gpt-4o-mini", fallback=False)
    assert selection.plan(asked, TEXT, ANY) is selection.plan(asked, TEXT, ANY)


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
    assert chosen(selection, Ask(), CUSTOM) == ["openai/gpt", "openrouter/vendor/gpt"]
    assert chosen(selection, Ask(model="gemini/pro"), CUSTOM) == ["openai/gpt-big"]
    asked = ChatRequest(messages=(), tools=(Tool(), Tool(type="custom"), Tool(type="custom")))
    assert Needs.of(asked) == Needs.of(structs.replace(asked, tool_choice="auto")) == CUSTOM


@pytest.mark.parametrize("name", ["gemini/pro", "groq/brand-new"])
def test_a_custom_tool_that_nobody_may_take_is_named(name: str) -> None:
    with pytest.raises(InvalidRequest) as raised:
        with_custom_tools("openai").plan(Ask(model=name, fallback=False), CUSTOM, ANY)
    provider = name.partition("/")[0]
    assert raised.value.param == "tools[1].type"
    assert raised.value.message == (
        f"tools[1].type: {provider} can't take custom tools. Send the tool as a function with one"
        " string parameter, or ask openai."
    )
