"""What models cost at list prices, and which of the configured ones stand for one another."""

from collections.abc import Sequence

from proxy.core.chat import Usage
from proxy.providers.specs import Model
from proxy.routing.selection import Selection


class CatalogMarket:
    """Prices and alternatives by today's catalogue; a model that it does not list, or no more, has
    neither."""

    def __init__(self, selection: Selection) -> None:
        self._selection = selection

    def price(self, provider: str, model: str, usage: Usage) -> int | None:
        """What the tokens of many requests cost at base prices, in nano-dollars; None where it is
        not known."""
        listed = self._find(provider, model)
        return listed.prices.base.compute_cost(usage).nano_usd if listed else None

    def alternatives(self, provider: str, model: str) -> Sequence[tuple[str, str]]:
        """The other models of the same tier, one a provider, and the same model elsewhere."""
        listed = self._find(provider, model)
        if listed is None:
            return ()
        catalog, configured = self._selection.catalog, self._selection.deployment.configured
        same = [other for other in catalog.find_all(model) if other.mode == listed.mode]
        if listed.mode == "chat":
            tier = catalog.find_tier(listed)
            of_tier = (catalog.find_tier_model(name, tier) for name in configured)
            same = [*same, *(other for other in of_tier if other)]
        pairs = dict.fromkeys((other.provider, other.id) for other in same)
        return [pair for pair in pairs if pair[0] in configured and pair != (provider, model)]

    def _find(self, provider: str, model: str) -> Model | None:
        listed = self._selection.catalog.find(provider, model)
        return None if listed is None or listed.replaces else listed
