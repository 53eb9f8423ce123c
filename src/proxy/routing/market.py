"""What models cost at list prices, and which of the configured ones stand for one another."""

from collections.abc import Collection, Sequence

from proxy.core.chat import Usage
from proxy.providers.catalog import Catalog


class CatalogMarket:
    """Prices and alternatives by the catalogue; a model that it does not list has neither."""

    def __init__(self, catalog: Catalog, configured: Collection[str]) -> None:
        """configured: the providers that may be called."""
        self._catalog = catalog
        self._configured = configured

    def price(self, provider: str, model: str, usage: Usage) -> int | None:
        """What tokens cost, in nano-dollars; None where it is not known."""
        listed = self._catalog.find(provider, model)
        return listed.prices.compute_cost(usage).nano_usd if listed else None

    def alternatives(self, provider: str, model: str) -> Sequence[tuple[str, str]]:
        """The other models of the same tier, one a provider, and the same model elsewhere."""
        listed = self._catalog.find(provider, model)
        if listed is None:
            return ()
        same = [other for other in self._catalog.find_all(model) if other.mode == listed.mode]
        if listed.mode == "chat":
            tier = self._catalog.find_tier(listed)
            of_tier = (self._catalog.find_tier_model(name, tier) for name in self._configured)
            same = [*same, *(other for other in of_tier if other)]
        pairs = dict.fromkeys((other.provider, other.id) for other in same)
        return [pair for pair in pairs if pair[0] in self._configured and pair != (provider, model)]
