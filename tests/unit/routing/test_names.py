"""Which models a name means, and who may use it."""

import pytest
from msgspec import structs

from proxy.core.chat import (
    Routing,
)
from proxy.core.errors import InvalidRequest, NoProviderAvailable, NotFound, PermissionDenied
from proxy.core.principal import ModelGrant
from proxy.core.settings import read_settings
from proxy.providers.catalog import Catalog
from proxy.providers.specs import undated
from proxy.routing.selection import Selection
from tests.unit.routing.making_selection import ANY, EMBEDDING, TEXT, allowed, chosen


@pytest.mark.parametrize(
    ("routing", "expected"),
    [
        (Routing(), ["gemini/flash", "groq/llama", "openai/gpt", "openrouter/vendor/gpt"]),
        (Routing(model="smart"), ["gemini/pro", "groq/oss", "openai/gpt-big"]),
        (Routing(model="fast"), ["groq/llama"]),
        (Routing(model="auto", fallback=False), ["gemini/flash"]),
        (Routing(provider="openai", fallback=False), ["openai/gpt"]),
        (Routing(provider="openai", model="smart", fallback=False), ["openai/gpt-big"]),
        (Routing(model="groq/smart", fallback=False), ["groq/oss"]),
        (Routing(model="groq/smart"), ["groq/oss", "gemini/pro", "openai/gpt-big"]),
        (
            Routing(model="gpt-big"),
            ["openai/gpt-big", "gemini/pro", "groq/oss"],
        ),
        (Routing(model="openai/gpt-big", fallback=False), ["openai/gpt-big"]),
        (Routing(provider="openai", model="openai/gpt-big", fallback=False), ["openai/gpt-big"]),
        (Routing(model="gpt-old", fallback=False), ["openai/gpt"]),
        (Routing(model="openai/gpt-old", fallback=False), ["openai/gpt"]),
        (Routing(provider="groq", model="gpt-old", fallback=False), ["groq/gpt-old"]),
        (Routing(model="openai/brand-new", fallback=False), ["openai/brand-new"]),
        (Routing(model="openai/shared", fallback=False), ["openai/shared"]),
        (Routing(model="openai/shared", fallback=("gemini",)), ["openai/shared", "gemini/flash"]),
        (Routing(model="groq/openai/shared", fallback=False), ["groq/openai/shared"]),
        (Routing(provider="groq", model="openai/shared", fallback=False), ["groq/openai/shared"]),
        (Routing(model="gemini/flash-old", fallback=False), ["gemini/flash"]),
        (Routing(model="gemini/flash-old", only=("openrouter",)), ["openrouter/vendor/gpt"]),
        (
            Routing(model="openrouter/gemini/flash-old", fallback=False),
            ["openrouter/gemini/flash-old"],
        ),
        (
            Routing(model="gpt", models=("gemini/flash-old",), fallback=False),
            ["openai/gpt"],
        ),
        (
            Routing(model="gpt", models=("gemini/flash-old",), fallback=()),
            ["openai/gpt", "gemini/flash"],
        ),
        (Routing(model="vendor/gpt", fallback=False), ["openrouter/vendor/gpt"]),
        (
            Routing(model="gpt", fallback=("groq", "gemini")),
            ["openai/gpt", "groq/llama", "gemini/flash"],
        ),
        (Routing(model="gpt", fallback=()), ["openai/gpt"]),
        (Routing(fallback=()), ["gemini/flash"]),
        (Routing(fallback=("openai",)), ["gemini/flash", "openai/gpt"]),
        (
            Routing(order=("openai",)),
            ["openai/gpt", "gemini/flash", "groq/llama", "openrouter/vendor/gpt"],
        ),
        (Routing(only=("groq", "openai"), ignore=("openai",)), ["groq/llama"]),
        (Routing(model="gpt", models=("llama",), fallback=()), ["openai/gpt", "groq/llama"]),
    ],
)
def test_names(selection: Selection, routing: Routing, expected: list[str]) -> None:
    assert chosen(selection, routing) == expected


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
    target = shipped().plan(Routing(model=name), needs, ANY).targets[0]
    assert target.spec.name == name.partition("/")[0]


def test_a_provider_without_its_key_is_not_replaced_by_who_sells_its_models() -> None:
    selection = shipped("DEEPSEEK_API_KEY")
    routing = Routing(model="deepseek/deepseek-v4-flash", fallback=False)
    with pytest.raises(NoProviderAvailable, match=r"\(deepseek: DEEPSEEK_API_KEY is not set\)"):
        selection.plan(routing, TEXT, ANY)
    follow = chosen(selection, structs.replace(routing, fallback=True))
    assert follow[0] == "gemini/gemini-3.8-flash"
    assert "openrouter/deepseek/deepseek-v4-flash" not in follow


def test_a_pattern_with_a_provider_is_about_that_provider(selection: Selection) -> None:
    assert allowed(selection, Routing(model="groq/openai/shared"), models=("groq/*",))
    for routing in (Routing(model="groq/openai/shared"), Routing(model="openrouter/openai/shared")):
        with pytest.raises(PermissionDenied):
            allowed(selection, routing, models=("openai/*",))
    assert allowed(selection, Routing(model="vendor/gpt"), models=("vendor/*",))


@pytest.mark.parametrize("name", ["gpt-4", "openai/gpt-4", "deepseek/deepseek-v4-flash"])
def test_a_key_may_use_what_its_names_mean(name: str) -> None:
    target = shipped().plan(Routing(model=name, fallback=False), TEXT, ModelGrant(models=(name,)))
    assert target.targets[0].spec.name in ("openai", "deepseek")
    with pytest.raises(PermissionDenied):
        allowed(shipped(), Routing(model="openai/gpt-4o"), models=(name,))


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
            ("anthropic/claude-opus-5-20260801", "anthropic/claude-opus-5-20260801"),
            ("claude-opus-5-20260801", "anthropic/claude-opus-5-20260801"),
        ],
    )
    def test_is_its_model_under_its_own_name(self, name: str, expected: str) -> None:
        target = shipped().plan(Routing(model=name, fallback=False), TEXT, ANY).targets[0]
        assert f"{target.spec.name}/{target.model.id}" == expected
        assert target.model.wire_id == target.model.id
        base = SHIPPED.models[target.spec.name, undated(target.model.id)]
        assert target.model == structs.replace(base, id=target.model.id)
        assert target.model.id != base.id

    def test_of_a_name_that_is_gone_goes_where_the_name_goes(self) -> None:
        for name in ("gpt-4-turbo-2024-04-09", "openai/gpt-4-turbo-2024-04-09"):
            assert chosen(shipped(), Routing(model=name, fallback=False)) == ["openai/gpt-5.4"]

    def test_is_followed_by_what_follows_its_model(self) -> None:
        dated = chosen(shipped(), Routing(model="gemini-3.8-flash-001"))
        own, *others = chosen(shipped(), Routing(model="gemini-3.8-flash"))
        assert dated[1:] == [own, *others]

    def test_may_be_used_by_who_may_use_its_model(self) -> None:
        name = "gpt-4o-2024-08-06"
        for pattern in ("gpt-4o", "openai/gpt-4o", name):
            assert allowed(shipped(), Routing(model=name, fallback=False), models=(pattern,))
        with pytest.raises(PermissionDenied):
            allowed(shipped(), Routing(model="gpt-4o", fallback=False), models=(name,))

    @pytest.mark.parametrize(
        "name",
        ["gpt-4o-0806", "gpt-4o-2024", "gpt-4o-2024-08", "gpt-4o-2024-13-46x", "gpt-4o-preview"],
    )
    def test_what_else_stands_behind_a_name_is_part_of_it(self, name: str) -> None:
        with pytest.raises(NotFound):
            shipped().plan(Routing(model=name), TEXT, ANY)


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
        found = shipped().find_entry(name, ANY)
        assert found
        assert (found.id, found.owned_by) == (name, owner)

    @pytest.mark.parametrize(
        "name", ["none", "openai/none", "local/fast", "openai/vision/fast", "nvidia/vision", ""]
    )
    def test_what_is_not_there(self, name: str) -> None:
        assert shipped().find_entry(name, ANY) is None

    def test_what_a_key_may_not_use(self) -> None:
        grant = ModelGrant(models=("gpt-4o",))
        assert shipped().find_entry("gpt-4o-2024-08-06", grant)
        assert shipped().find_entry("gpt-4", grant) is None
        assert shipped("OPENAI_API_KEY").find_entry("gpt-4o", ANY) is None

    def test_whatever_is_listed_is_found(self) -> None:
        selection = shipped()
        for entry in selection.list_models(ANY):
            assert selection.find_entry(entry.id, ANY) == entry


def test_an_unknown_model_is_met_with_the_one_that_may_be_meant() -> None:
    for name in ("mistral-medium-3-1-20250929", "mistral-ai/mistral-medium-3-1"):
        with pytest.raises(NotFound) as caught:
            shipped().plan(Routing(model=name), TEXT, ANY)
        assert "Do you mean openrouter/mistralai/mistral-medium-3.1?" in caught.value.message
        assert "openai/mistral" not in caught.value.message


def test_unknown_model_says_what_to_do(selection: Selection) -> None:
    with pytest.raises(NotFound, match="'gpt-9' is not known") as caught:
        selection.plan(Routing(model="gpt-9"), TEXT, ANY)
    assert (caught.value.code, caught.value.param) == ("model_not_found", "model")


@pytest.mark.parametrize(
    ("routing", "param"),
    [(Routing(provider="x"), "provider"), (Routing(fallback=("groq", "x")), "fallback")],
)
def test_unknown_provider_is_named(selection: Selection, routing: Routing, param: str) -> None:
    with pytest.raises(InvalidRequest, match=f"{param}: 'x' is no provider; there are gemini"):
        selection.plan(routing, TEXT, ANY)


@pytest.mark.parametrize(
    ("name", "canonical"),
    [
        ("gpt-old", "openai/gpt"),
        ("openai/gpt-old", "openai/gpt"),
        ("openai/gpt", "openai/gpt"),
        ("groq/smart", "groq/oss"),
        ("gpt", "gpt"),
        ("smart", "smart"),
        ("nobody/gpt", "nobody/gpt"),
    ],
)
def test_a_name_in_its_canonical_form(selection: Selection, name: str, canonical: str) -> None:
    assert selection.names.find_canonical(name) == canonical
