"""List prices and alternatives, on the catalogue that is shipped."""

import pytest

from proxy.core.chat import Usage
from proxy.core.settings import name_variable, read_settings
from proxy.providers.catalog import Catalog
from proxy.routing.market import CatalogMarket
from proxy.routing.selection import Selection

CATALOG = Catalog.load()
CONFIGURED = ("gemini", "groq", "openai")


def market_of(*providers: str, day: str = "") -> CatalogMarket:
    env = {name_variable(name, "API_KEY"): "key" for name in providers} | {"CATALOG_DATE": day}
    settings = read_settings(env, CATALOG.providers).routing
    return CatalogMarket(Selection(CATALOG, settings, frozenset({"workers-ai"})))


MARKET = market_of(*CONFIGURED, day="2026-11-29")
MILLION = 1_000_000


def tier(provider: str, name: str) -> str:
    model = CATALOG.find_tier_model(provider, name)
    assert model
    return model.id


def test_a_price_is_the_catalogues() -> None:
    id_ = tier("openai", "fast")
    listed = CATALOG.models["openai", id_]
    price = MARKET.price("openai", id_, Usage(input=MILLION, output=MILLION))
    assert listed.input is not None
    assert listed.output is not None
    assert price == round((listed.input + listed.output) * 1e9)
    cached = MARKET.price("openai", id_, Usage(input=MILLION, cached=MILLION))
    assert cached is not None
    assert cached < listed.input * 1e9


@pytest.mark.parametrize("pair", [("openai", "of-tomorrow"), ("nobody", "gpt-4o")])
def test_what_is_not_listed_has_neither_price_nor_alternative(pair: tuple[str, str]) -> None:
    assert MARKET.price(*pair, Usage(input=1, output=1)) is None
    assert MARKET.alternatives(*pair) == ()


def test_alternatives_are_of_the_tier_and_configured() -> None:
    others = MARKET.alternatives("openai", tier("openai", "smart"))
    assert ("gemini", tier("gemini", "smart")) in others
    assert {provider for provider, _ in others} <= {*CONFIGURED, "workers-ai"}
    assert ("openai", tier("openai", "smart")) not in others


def test_an_embeddings_alternative_is_the_same_model_elsewhere() -> None:
    model = next(m for m in CATALOG.models.values() if m.mode == "embedding")
    same = {(other.provider, other.id) for other in CATALOG.find_all(model.id)}
    found = market_of(*CATALOG.providers).alternatives(model.provider, model.id)
    assert set(found) == same - {(model.provider, model.id)}


def test_a_snapshot_costs_what_its_model_costs() -> None:
    market = market_of("openai")
    usage = Usage(input=1000, output=1000)
    dated = market.price("openai", "gpt-4o-2024-08-06", usage)
    assert dated is not None
    assert dated == market.price("openai", "gpt-4o", usage)
    assert market.price("openai", "gpt-none-2024-08-06", usage) is None


def test_tokens_of_many_requests_are_no_long_prompt() -> None:
    base = CATALOG.models["openai", "gpt-5.4"].input
    assert base is not None
    assert MARKET.price("openai", "gpt-5.4", Usage(input=MILLION)) == round(base * 1e9)


def test_a_model_that_has_ended_has_neither_price_nor_alternative() -> None:
    before, after = (market_of("openai", day=day) for day in ("2026-12-10", "2026-12-11"))
    usage = Usage(input=MILLION)
    assert before.price("openai", "gpt-5", usage) == 1_250_000_000
    assert after.price("openai", "gpt-5", usage) is None
    assert after.alternatives("openai", "gpt-5") == ()
