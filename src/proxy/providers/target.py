"""What a call goes to: one model at one provider."""

from functools import cached_property

from msgspec import Struct

from proxy.core.permit import Offer
from proxy.providers.prices import Prices
from proxy.providers.specs import Model, ProviderSpec


class Target(Struct, frozen=True, dict=True):
    """One model at one provider, with what it takes to call it."""

    spec: ProviderSpec
    model: Model
    base_url: str
    key: str | None = None
    embeddings_url: str | None = None
    """Where embeddings are served, if not under base_url."""
    listed: bool = True
    """Whether the catalogue has the model."""
    secrets: tuple[str, ...] = ()
    """What no error may show, beside `key`."""
    stand_in: Prices | None = None
    """The prices by which a budget counts a model that has none of its own."""

    @property
    def all_secrets(self) -> tuple[str, ...]:
        """What no error may show."""
        return (self.key or "", *self.secrets)

    @property
    def vendors_chosen(self) -> bool:
        """Whether the caller chose among the vendors behind the model: what these do says nothing
        of it to others."""
        return "provider" in self.model.send

    @cached_property
    def offer(self) -> Offer:
        """The model as limits and budgets see it."""
        model = self.model
        prices = model.prices if model.is_priced else self.stand_in
        return Offer(
            provider=self.spec.name,
            model=model.id,
            most=prices.bound_cost if prices else None,
            max_output=model.max_output,
            context=model.context,
        )
