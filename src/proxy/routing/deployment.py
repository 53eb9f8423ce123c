"""The catalogue's providers as a deployment has set them up: which may be called, and where."""

from collections.abc import Callable, Mapping

from msgspec import Struct, structs

from proxy.core.choices import Choice
from proxy.core.settings import RoutingSettings, name_variable
from proxy.providers.catalog import Catalog
from proxy.providers.coming import Coming, Ending, PriceChange
from proxy.providers.prices import Prices
from proxy.providers.specs import Model
from proxy.providers.target import Target
from proxy.routing.breaker import BreakerView
from proxy.routing.health import Check
from proxy.routing.key_pools import KeyView
from proxy.routing.vendors import Wishes

NOTHING = Coming()


class ProviderReport(Struct, frozen=True, rename="camel"):
    """A provider's state for GET /health/providers."""

    name: str
    configured: bool
    reason: str | None
    """Why it may not be called."""
    last_check: Check | None
    breaker: BreakerView | None
    models: dict[str, BreakerView]
    """The breakers of its models that are not closed, by `provider/model`."""
    keys: tuple[KeyView, ...]
    """Its keys, where it has several."""
    endings: tuple[Ending, ...]
    """Its models that end soon."""
    price_changes: tuple[PriceChange, ...]
    """The base prices of its models that change soon."""


class Deployment:
    """What a deployment has keys, addresses and bindings for."""

    def __init__(
        self, catalog: Catalog, settings: RoutingSettings, bindings: frozenset[str]
    ) -> None:
        """bindings: the providers that a binding of the Worker provides."""
        self.catalog = catalog
        self._settings = settings
        self._bindings = bindings
        self.order = tuple(dict.fromkeys((*settings.fallback_chain, *catalog.providers)))
        """All providers, in the order in which they are tried."""
        self.reasons = {name: why for name in self.order if (why := self._explain_unusable(name))}
        """Why each other than the configured ones may not be called."""
        self.configured = tuple(name for name in self.order if name not in self.reasons)
        """The providers that may be called, in their order."""

    def make_target(
        self, model: Model, choice: Choice | None = None, wishes: Wishes | None = None
    ) -> Target:
        """A model with all that it takes to call it. choice: of an alias, that it stands for;
        wishes: a reseller's `provider` object."""
        spec = self.catalog.providers[model.provider]
        access = self._settings.providers[model.provider]
        if wishes:
            model = structs.replace(model, send=model.send | {"provider": wishes})
        return Target(
            spec=spec,
            model=model,
            base_url=access.base_url or spec.endpoints[spec.main].base_url or spec.base_url or "",
            wire=spec.main,
            own_base=access.base_url,
            key=next(iter(access.keys), None),
            embeddings_url=access.embeddings_url,
            listed=(model.provider, model.id) in self.catalog.models,
            stand_in=self._find_stand_in(model),
            secrets=self._settings.secrets,
            choice=choice,
        )

    def make_probe_target(self, provider: str) -> Target:
        """The provider itself, for a call that concerns no model."""
        return self.make_target(Model(provider=provider, id=""))

    def report(
        self,
        checks: Mapping[str, Check],
        breakers: Mapping[str, BreakerView],
        keys: Callable[[str], tuple[KeyView, ...]] = lambda _: (),
        coming: Mapping[str, Coming] | None = None,
    ) -> list[ProviderReport]:
        """The state of each provider. breakers: by `provider` and `provider/model`; keys: gives a
        provider's; coming: what changes soon, by provider."""
        soon = coming or {}
        return [
            ProviderReport(
                name=name,
                configured=name not in self.reasons,
                reason=self.reasons.get(name),
                last_check=checks.get(name),
                breaker=breakers.get(name),
                models={
                    model: view
                    for model, view in breakers.items()
                    if model.startswith(f"{name}/") and view.phase != "closed"
                },
                keys=keys(name),
                endings=soon.get(name, NOTHING).endings,
                price_changes=soon.get(name, NOTHING).price_changes,
            )
            for name in self.order
        ]

    def _explain_unusable(self, name: str) -> str | None:
        settings = self._settings
        spec, access = self.catalog.providers[name], settings.providers[name]
        if name in settings.disabled_providers:
            return "switched off by DISABLED_PROVIDERS"
        if spec.main == "workers-ai":
            if name not in self._bindings:
                return "the Worker has no AI binding"
            return None if settings.ai_binding else "the AI binding can't answer here (AI_BINDING)"
        if not spec.keyless and not access.keys:
            return f"{name_variable(name, 'API_KEY')} is not set"
        if not (access.base_url or spec.base_url or spec.endpoints[spec.main].base_url):
            return f"{name_variable(name, 'BASE_URL')} is not set"
        return None

    def _find_stand_in(self, model: Model) -> Prices | None:
        """The prices by which a budget counts a model that has none."""
        if model.is_priced or self._settings.unpriced != "tier_max":
            return None
        return self.catalog.highest_prices(model.provider, model.mode)
