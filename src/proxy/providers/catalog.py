"""The catalogue: which providers and models there are, and which model a name means. Users edit its
file; nothing here names a model.
"""

import pkgutil
import re

import msgspec

from proxy.core.chat import TIERS
from proxy.providers.catalog_file import read_catalog
from proxy.providers.prices import Prices
from proxy.providers.specs import Mode, Model, undated


class Catalog:
    """The catalogue, indexed. Immutable once built."""

    def __init__(self, data: bytes) -> None:
        """Raises ValueError for a wrong file; the message lists each fault and its place."""
        file = read_catalog(data)
        self.providers = {
            name: msgspec.structs.replace(spec, name=name) for name, spec in file.providers.items()
        }
        self.models = {(model.provider, model.id): model for model in file.models}
        self.aliases = file.aliases
        self._by_id: dict[str, list[Model]] = {}
        for model in file.models:
            self._by_id.setdefault(model.id, []).append(model)

    @classmethod
    def load(cls) -> "Catalog":
        """The catalogue that is deployed with the Worker."""
        data = pkgutil.get_data(__package__, "catalog.json")  # also out of a zip
        assert data is not None
        return cls(data)

    def find_tier_model(self, provider: str, tier: str) -> Model | None:
        """The provider's model of a tier; None where it has none."""
        id_ = self.providers[provider].tiers.get(tier)
        return self.models[provider, id_] if id_ else None

    def find(self, provider: str, name: str) -> Model | None:
        """The model that a provider's name, or an alias of it, means: a listed one, or a dated
        snapshot of a listed one, which is the same model under its own name. None where the
        catalogue does not know it."""
        for known in (name, undated(name)):
            if listed := self.models.get((provider, known)):
                return _rename(listed, name)
            alias = self.aliases.get(known, "")
            if alias.startswith(f"{provider}/"):
                return self.models[provider, alias.removeprefix(f"{provider}/")]
        return None

    def resolve(self, provider: str, name: str, mode: Mode = "chat") -> Model:
        """The model that `find` finds, or else one of that mode that nothing is known of: it is
        passed to the provider as it is, at an unknown price."""
        return self.find(provider, name) or Model(provider=provider, id=name, mode=mode)

    def highest_prices(self, provider: str, mode: Mode) -> Prices:
        """The highest prices for input and for output that are known: of the provider's models of
        that mode or, where none of them has a price, of all."""
        priced = [m for m in self.models.values() if m.mode == mode and m.is_priced]
        priced = [m for m in priced if m.provider == provider] or priced
        return Prices(
            input=max((m.prices.highest_input for m in priced), default=0),
            output=max((m.output or 0 for m in priced), default=0),
        )

    def find_all(self, id_: str) -> list[Model]:
        """The providers' models of that very name."""
        return self._by_id.get(id_, [])

    def find_named(self, name: str) -> list[Model]:
        """The models that a name without a provider means, as in `find`: one for each provider
        that lists it."""
        for known in (name, undated(name)):
            if listed := self.find_all(known):
                return [_rename(model, name) for model in listed]
            if alias := self.aliases.get(known):
                provider, _, id_ = alias.partition("/")
                return [self.models[provider, id_]]
        return []

    def find_similar(self, name: str) -> list[str]:
        """`provider/id` of the models whose names differ from `name` in the vendor before it, the
        date behind it or the marks between only: what a caller may have meant."""
        bare = _strip_name(name)
        return [f"{provider}/{id_}" for provider, id_ in self.models if _strip_name(id_) == bare]

    def find_tier(self, model: Model) -> str:
        """The tier that a model stands for at its provider, `auto` where it stands for none:
        which model another provider puts in its place."""
        tiers = self.providers[model.provider].tiers
        names = (model.id, undated(model.id))
        return next((tier for tier in TIERS if tiers.get(tier) in names), "auto")


def _rename(listed: Model, name: str) -> Model:
    """A listed model under the name of one of its snapshots."""
    return listed if listed.id == name else msgspec.structs.replace(listed, id=name, upstream=None)


def _strip_name(name: str) -> str:
    """What of a name says which model it is: no vendor, no date, and one mark between words."""
    return re.sub(r"[^a-z0-9]+", "-", undated(name).rpartition("/")[2].lower())
