"""The catalogue: which providers and models there are, and which model a name means. Users edit its
file; nothing here names a model.
"""

import pkgutil
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from copy import copy
from datetime import date
from functools import cache

import msgspec

from proxy.core.chat import TIERS
from proxy.providers.catalog_file import read_catalog
from proxy.providers.endings import find_successor
from proxy.providers.prices import Prices
from proxy.providers.specs import Mode, Model, ProviderSpec, undated


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
        self.ended: dict[tuple[str, str], Model] = {}
        """The listed models that have ended on the catalogue's day."""
        self._successors: dict[tuple[str, str], Model] = {}
        """What answers for those, where something does."""
        self._by_id = _index(self.models.values())

    def on(self, day: date) -> "Catalog":
        """The catalogue of a day: with the prices that hold then and, for each model that has
        ended, what answers in its place."""
        today = copy(self)
        live = {
            key: model.on(day) for key, model in self.models.items() if not model.has_ended(day)
        }
        today.models = live
        today.ended = {key: model for key, model in self.models.items() if key not in live}
        today._successors = {
            key: msgspec.structs.replace(live[last.provider, last.id], replaces=model.id)
            for key, model in today.ended.items()
            if (last := find_successor(self.models, model, day))
        }
        today._by_id = _index(live.values())
        today.providers = {name: today._succeed(spec) for name, spec in self.providers.items()}
        return today

    def _succeed(self, spec: ProviderSpec) -> ProviderSpec:
        """A provider with its tiers as they are once models of it have ended."""
        tiers = {
            tier: model.id
            for tier, id_ in spec.tiers.items()
            if (model := self._answer(spec.name, id_)) and model.provider == spec.name
        }
        embedding = spec.embedding_model
        if (spec.name, embedding) in self.ended:
            embedding = None
        return msgspec.structs.replace(spec, tiers=tiers, embedding_model=embedding)

    def _answer(self, provider: str, id_: str) -> Model | None:
        """The listed model of that name, or what answers for it since it has ended."""
        return self.models.get((provider, id_)) or self._successors.get((provider, id_))

    @classmethod
    @cache
    def load(cls) -> "Catalog":
        """The catalogue that is deployed with the Worker; read once."""
        data = pkgutil.get_data(__package__, "catalog.json")  # also out of a zip
        assert data is not None
        return cls(data)

    def extend(self, own: Mapping[str, Sequence[str]]) -> "Catalog":
        """The catalogue with a deployment's own models, by provider. A name that is no provider
        here is a server as `local` is. Raises ValueError where there is no `local`."""
        if not own:
            return self
        extended = copy(self)
        extended.providers = dict(self.providers)
        added = [model for name, ids in own.items() for model in extended._add_provider(name, ids)]
        extended.models = self.models | {
            place: m for m in added if (place := (m.provider, m.id)) not in self.models
        }
        extended._by_id = _index(extended.models.values())
        return extended

    def _add_provider(self, name: str, ids: Sequence[str]) -> Iterator[Model]:
        """Puts a provider with models of a deployment's own among the others, and gives those."""
        spec = self.providers.get(name)
        if spec is None:
            if "local" not in self.providers:
                raise ValueError(f"LOCAL_PROVIDERS names {name}, and catalog.json lacks local")
            local = self.providers["local"]
            spec = msgspec.structs.replace(local, name=name, tiers={}, embedding_model=None)
        price = 0 if spec.is_server else None
        if ids and spec.is_server:
            tiers = dict.fromkeys(("auto", "fast", "smart"), ids[0])
            spec = msgspec.structs.replace(spec, tiers=tiers)
        self.providers[name] = spec
        for id_ in ids:
            yield Model(provider=name, id=id_, input=price, output=price)

    def find_tier_model(self, provider: str, tier: str) -> Model | None:
        """The provider's model of a tier; None where it has none."""
        id_ = self.providers[provider].tiers.get(tier)
        return self.models[provider, id_] if id_ else None

    def find(self, provider: str, name: str) -> Model | None:
        """The model that a provider's name, or an alias of it, means: a listed one, or a dated
        snapshot of a listed one, which is the same model under its own name; for one that has
        ended what answers in its place, maybe at another provider. None where the catalogue does
        not know it, or nothing answers."""
        for known in (name, undated(name)):
            if found := self._answer(provider, known):
                return _rename(found, known, name)
            alias = self.aliases.get(known, "")
            if alias.startswith(f"{provider}/"):
                return self._answer(provider, alias.removeprefix(f"{provider}/"))
        return None

    def find_ended(self, provider: str, name: str) -> Model | None:
        """The model that a provider's name means and that has ended."""
        for known in (name, undated(name)):
            alias = self.aliases.get(known, "")
            id_ = alias.removeprefix(f"{provider}/") if alias.startswith(f"{provider}/") else known
            if ended := self.ended.get((provider, id_)):
                return ended
        return None

    def find_end(self, provider: str, name: str) -> Model | None:
        """The listed model of that name, or of a snapshot's, where the day of its end is known."""
        model = self.models.get((provider, name)) or self.models.get((provider, undated(name)))
        return model if model and model.shutdown else None

    def resolve(self, provider: str, name: str, mode: Mode = "chat") -> Model:
        """The model that `find` finds, or else one of that mode that nothing is known of: it is
        passed to the provider as it is, at an unknown price."""
        return self.find(provider, name) or Model(provider=provider, id=name, mode=mode)

    def highest_prices(self, provider: str, mode: Mode) -> Prices:
        """The highest base prices for input and for output that are known: of the provider's
        models of that mode or, where none of them has a price, of all."""
        priced = [m for m in self.models.values() if m.mode == mode and m.is_priced]
        priced = [m for m in priced if m.provider == provider] or priced
        return Prices(
            input=max((m.prices.base.highest_input for m in priced), default=0),
            output=max((m.output or 0 for m in priced), default=0),
        )

    def find_all(self, id_: str) -> list[Model]:
        """The providers' models of that very name."""
        return self._by_id.get(id_, [])

    def find_named(self, name: str) -> list[Model]:
        """The models that a name without a provider means, as in `find`: one for each provider
        that lists it, those first that still have it."""
        for known in (name, undated(name)):
            others = (m for (_, id_), m in self._successors.items() if id_ == known)
            if found := [*self.find_all(known), *others]:
                return [_rename(model, known, name) for model in found]
            if alias := self.aliases.get(known):
                provider, _, id_ = alias.partition("/")
                model = self._answer(provider, id_)
                return [model] if model else []
        return []

    def lists(self, name: str) -> bool:
        """Whether a name without a provider means a model of any provider, one that has ended
        too."""
        return bool(self.find_named(name)) or any(self.find_ended(p, name) for p in self.providers)

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


def _index(models: Iterable[Model]) -> dict[str, list[Model]]:
    """The models by their names."""
    by_id: dict[str, list[Model]] = {}
    for model in models:
        by_id.setdefault(model.id, []).append(model)
    return by_id


def _rename(found: Model, known: str, name: str) -> Model:
    """What is found under a known name, under the name of a snapshot."""
    if known == name:
        return found
    if found.replaces:
        return msgspec.structs.replace(found, replaces=name)
    return msgspec.structs.replace(found, id=name, upstream=None)


def _strip_name(name: str) -> str:
    """What of a name says which model it is: no vendor, no date, and one mark between words."""
    return re.sub(r"[^a-z0-9]+", "-", undated(name).rpartition("/")[2].lower())
