"""What the names of a model mean once it has ended."""

import json
from datetime import date
from typing import Any

import pytest
from msgspec import structs

from proxy.core.chat import Routing
from proxy.core.errors import InvalidRequest, NoProviderAvailable, NotFound, PermissionDenied
from proxy.core.principal import ModelGrant
from proxy.core.settings import name_variable, read_settings
from proxy.providers.catalog import Catalog
from proxy.providers.rates import Rate
from proxy.providers.target import Target
from proxy.routing.needs import Needs
from proxy.routing.selection import Selection
from tests.unit.doubles import ManualClock, ports
from tests.unit.routing.making import Isolate, priced, whole

TEXT, EMBEDDING, ANY = Needs(), Needs(embedding=True), ModelGrant()
ENDS = {"shutdown": "2026-12-11"}
BEFORE, AFTER = "2026-12-10", "2026-12-11"
MIDNIGHT = 1_796_947_200.0  # of 2026-12-11


def made() -> Catalog:
    """Two providers: what ends has a successor at home, at the other one, in a chain, or none."""
    models: list[dict[str, Any]] = [
        {"id": "old", "input": 1, "output": 1, "replaced_by": "new", **ENDS},
        {"id": "new", "input": 2, "output": 2},
        {"id": "older", "replaced_by": "old", "shutdown": "2026-12-01"},
        {"id": "abroad", "replaced_by": "globex/best", **ENDS},
        {"id": "gone", **ENDS},
        {"id": "both", "replaced_by": "new", **ENDS},
        {"id": "vectors", "mode": "embedding", "input": 1, **ENDS},
        {"id": "drawings", "mode": "image"},
    ]
    others: list[dict[str, Any]] = [{"id": "best"}, {"id": "both"}]
    spec = {"endpoints": {"chat": {}}, "base_url": "https://a.example/v1"}
    file = {
        "providers": {
            "acme": spec | {"tiers": {"auto": "old", "fast": "new"}, "embedding_model": "vectors"},
            "globex": spec | {"tiers": {"auto": "best"}},
        },
        "models": [{"provider": "acme"} | model for model in models]
        + [{"provider": "globex"} | model for model in others],
        "aliases": {"alias": "acme/old", "lost": "acme/gone"},
    }
    return Catalog(json.dumps(file).encode())


CATALOG = made()


def select(day: str, *without: str, clock: ManualClock | None = None) -> Selection:
    """The selection on a day; without: providers that have no key."""
    env = {f"{name.upper()}_API_KEY": "k" for name in CATALOG.providers if name not in without}
    settings = read_settings(env | {"CATALOG_DATE": day}, CATALOG.providers).routing
    return Selection(CATALOG, settings, frozenset(), clock)


def plan(
    day: str | Selection, name: str, needs: Needs = TEXT, grant: ModelGrant = ANY, **routing: Any
) -> Target:
    """The first target of a name."""
    selection = select(day) if isinstance(day, str) else day
    return selection.plan(Routing(model=name, **routing), needs, grant).targets[0]


def told(target: Target) -> tuple[str, str]:
    return f"{target.spec.name}/{target.model.id}", target.model.replaces


@pytest.mark.parametrize(
    ("name", "before", "after"),
    [
        ("old", ("acme/old", ""), ("acme/new", "old")),
        ("acme/old", ("acme/old", ""), ("acme/new", "old")),
        ("old-2026-01-31", ("acme/old-2026-01-31", ""), ("acme/new", "old-2026-01-31")),
        ("acme/old-2026-01-31", ("acme/old-2026-01-31", ""), ("acme/new", "old-2026-01-31")),
        ("alias", ("acme/old", ""), ("acme/new", "old")),
        ("acme/alias", ("acme/old", ""), ("acme/new", "old")),
        ("older", ("acme/old", "older"), ("acme/new", "older")),
        ("abroad", ("acme/abroad", ""), ("globex/best", "abroad")),
        ("acme/abroad", ("acme/abroad", ""), ("globex/best", "abroad")),
        ("both", ("acme/both", ""), ("globex/both", "")),
        ("acme/both", ("acme/both", ""), ("acme/new", "both")),
        ("new", ("acme/new", ""), ("acme/new", "")),
        ("auto", ("acme/old", ""), ("acme/new", "")),
        ("acme/auto", ("acme/old", ""), ("acme/new", "")),
    ],
)
def test_each_name_means_what_replaces_it(
    name: str, before: tuple[str, str], after: tuple[str, str]
) -> None:
    assert told(plan(BEFORE, name)) == before
    assert told(plan(AFTER, name)) == after


def test_it_is_called_and_priced_as_what_it_is() -> None:
    target = plan(AFTER, "old-2026-01-31")
    assert (target.model.wire_id, target.model.input, target.listed) == ("new", 2, True)


@pytest.mark.parametrize("name", ["gone", "acme/gone", "gone-2026-01-31", "lost", "acme/lost"])
def test_without_a_replacement_the_day_is_told(name: str) -> None:
    assert plan(BEFORE, name).model.id.startswith("gone")
    with pytest.raises(NotFound, match=r"'gone' of acme ended on 2026-12-11. Use a") as caught:
        plan(AFTER, name)
    assert (caught.value.code, caught.value.param) == ("model_not_found", "model")


def test_a_provider_that_is_asked_for_is_not_left() -> None:
    with pytest.raises(NotFound, match=r"'abroad' of acme ended on 2026-12-11. Use globex/best"):
        plan(AFTER, "abroad", provider="acme")
    assert told(plan(AFTER, "old", provider="acme")) == ("acme/new", "old")


def test_an_embedding_model_is_not_replaced() -> None:
    assert plan(BEFORE, "acme/auto", EMBEDDING).model.id == "vectors"
    with pytest.raises(NotFound, match="ended on 2026-12-11"):
        plan(AFTER, "vectors", EMBEDDING)
    with pytest.raises(NoProviderAvailable):
        plan(AFTER, "auto", EMBEDDING)


def test_what_has_ended_is_listed_no_more() -> None:
    before = {entry.id for entry in select(BEFORE).list_models(ANY)}
    after = {entry.id for entry in select(AFTER).list_models(ANY)}
    assert before - after == {f"acme/{n}" for n in ("old", "abroad", "gone", "both", "vectors")}
    entry = select(AFTER).find_entry("old", ANY)
    assert entry is not None and entry.id == "old"
    assert select(AFTER).find_entry("gone", ANY) is None


@pytest.mark.parametrize("allowed", ["old", "acme/old", "acme/*", "o*", "alias", "acme/o?d"])
@pytest.mark.parametrize("name", ["old", "acme/old", "old-2026-01-31", "alias"])
def test_a_key_may_use_what_answers_for_what_it_may_use(allowed: str, name: str) -> None:
    grant = ModelGrant(models=(allowed,))
    assert told(plan(AFTER, name, grant=grant))[0] == "acme/new"


def test_a_key_may_use_nothing_else_for_it() -> None:
    grant = ModelGrant(models=("older",))
    with pytest.raises(PermissionDenied):
        plan(AFTER, "acme/both", grant=ModelGrant(models=("best",)))
    with pytest.raises(PermissionDenied):
        plan(AFTER, "abroad", grant=ModelGrant(models=("acme/*",)))
    with pytest.raises(PermissionDenied):
        plan(AFTER, "abroad", grant=ModelGrant(models=("abroad",), providers=("acme",)))
    assert told(plan(AFTER, "older", grant=grant))[0] == "acme/new"


def test_the_cache_keeps_the_two_apart() -> None:
    for name in ("old", "alias", "auto", "acme/auto"):
        keys = [
            select(day).make_routing_key(Routing(model=name), TEXT, ANY).words()
            for day in (BEFORE, AFTER)
        ]
        assert keys[0] != keys[1]
    old, new = (
        select(AFTER).make_routing_key(Routing(model=name), TEXT, ANY) for name in ("old", "new")
    )
    assert old == new


def test_a_purge_of_its_full_name_is_about_its_own_answers() -> None:
    assert select(AFTER).names.find_canonical("acme/old") == "acme/old"
    assert select(AFTER).names.find_canonical("alias") == "acme/new"
    assert select(BEFORE).names.find_canonical("alias") == "acme/old"


def test_an_isolate_that_lives_on_turns_to_the_next_day() -> None:
    clock = ManualClock(MIDNIGHT - 1)
    selection = select("", clock=clock)
    held = selection.names, selection.make_routing_key(Routing(model="old"), TEXT, ANY)
    assert told(plan(selection, "old")) == ("acme/old", "")
    assert selection.names is held[0]
    clock.time += 1
    assert told(plan(selection, "old")) == ("acme/new", "old")
    assert selection.make_routing_key(Routing(model="old"), TEXT, ANY) != held[1]
    assert (
        selection.catalog.find_tier_model("acme", "auto") == selection.catalog.models["acme", "new"]
    )
    assert selection.deployment.catalog is selection.catalog


async def test_the_cheapest_is_the_cheapest_at_this_hour() -> None:
    catalog = priced(openai=2, groq=3)
    noon = (Rate(hours="11:00-13:00", input=1, output=1),)
    for key, model in list(catalog.models.items()):
        if model.provider == "groq":
            catalog.models[key] = structs.replace(model, rates=noon)
    outside = ports(lambda _: whole("Hi"))
    for day, provider in (("", "openai"), ("2026-11-30", "groq")):
        isolate = Isolate(catalog, outside, CATALOG_DATE=day, FALLBACK_CHAIN="openai,groq")
        tried = await isolate.complete(model="auto", strategy="cheapest")
        assert tried == [f"{provider} ok"]


def test_a_catalogue_without_a_clock_is_of_its_own_day() -> None:
    assert told(plan(select(""), "older")) == ("acme/older", "")


def test_what_makes_no_chats_is_no_candidate() -> None:
    with pytest.raises(InvalidRequest, match=r"drawings is an image model\. Name a chat model"):
        plan(BEFORE, "drawings")


# The catalogue that is shipped


SHIPPED = Catalog.load()
OLD = ["gemini-pro", "gemini-pro-vision", "mixtral-8x7b-32768", "gpt-4", "gpt-3.5-turbo"]
TURNS = {day for m in SHIPPED.models.values() for day in [m.shutdown] if day}
DAYS = sorted({date(2026, 11, 29), date(2027, 12, 31), *TURNS})


def ship(day: date) -> Selection:
    env = {name_variable(name, "API_KEY"): "k" for name in SHIPPED.providers}
    settings = read_settings(env | {"CATALOG_DATE": str(day)}, SHIPPED.providers).routing
    return Selection(SHIPPED, settings, frozenset({"workers-ai"}))


@pytest.mark.parametrize("day", DAYS, ids=str)
def test_the_oldest_names_answer_on_every_day(day: date) -> None:
    selection = ship(day)
    for name in [*OLD, "@cf/meta/llama-2-7b-chat-int8"]:
        target = plan(selection, name)
        assert target.model.is_priced and not target.model.has_ended(day), name


@pytest.mark.parametrize("day", DAYS, ids=str)
def test_every_name_and_tier_of_today_answers_on_every_day(day: date) -> None:
    selection, grant = ship(day), ANY
    for (provider, id_), model in SHIPPED.models.items():
        if model.mode != "chat":
            continue
        target = plan(selection, f"{provider}/{id_}", grant=grant)
        assert not target.model.has_ended(day)
    for alias in SHIPPED.aliases:
        assert not plan(selection, alias).model.has_ended(day)
    for name, spec in SHIPPED.providers.items():
        assert selection.catalog.providers[name].tiers.keys() == spec.tiers.keys()


def test_the_dates_that_are_known() -> None:
    ends = {
        id_: (str(model.shutdown), model.replaced_by)
        for (_, id_), model in SHIPPED.models.items()
        if model.shutdown
    }
    for id_, other in {
        "gpt-5": "gpt-6.1-sol",
        "gpt-5-mini": "gpt-6.1-terra",
        "gpt-5-nano": "gpt-6-luna",
        "o3": "gpt-6.1-sol",
    }.items():
        assert ends[id_] == ("2026-12-11", other)
    for day, ids in {
        "2026-12-01": ["gemini-2.5-pro", "gemini-2.5-flash"],
        "2027-01-14": ["gpt-4o", "gpt-4o-mini", "gpt-4.1", "gpt-4.1-mini"],
        "2027-04-01": ["gpt-5.1", "gpt-5.4-nano"],
    }.items():
        assert [ends[id_][0] for id_ in ids] == [day] * len(ids)


@pytest.mark.parametrize(
    ("id_", "day", "before", "after"),
    [
        ("gemini-4-argon", "2026-12-01", (2, 10, 0.1), (4, 20, 0.2)),
        ("gemini-3.6-flash", "2027-01-01", (0.75, 3.75, 0.075), (1.5, 7.5, 0.15)),
        ("gemini-3.7-flash", "2027-01-01", (0.75, 3.75, 0.075), (1.5, 7.5, 0.15)),
        ("gemini-3.8-flash", "2027-01-01", (0.75, 3.75, 0.075), (1.5, 7.5, 0.15)),
    ],
)
def test_the_prices_that_will_change(
    id_: str, day: str, before: tuple[float, ...], after: tuple[float, ...]
) -> None:
    turn = date.fromisoformat(day)
    for when, expected in ((turn.replace(year=2026, month=11, day=30), before), (turn, after)):
        model = SHIPPED.models["gemini", id_].on(when)
        assert (model.input, model.output, model.cached) == expected
