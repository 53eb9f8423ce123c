"""The models that a caller's key may use."""

from collections.abc import Collection
from fnmatch import fnmatchcase

from proxy.core.principal import ModelGrant
from proxy.providers.specs import Model, undated
from proxy.routing.names import ModelNames


class License:
    """A key's grant, its names looked up once.

    A name stands for the models that it means (`gpt-4` for what answers now) and for their dated
    snapshots; a model may be used under the name of one that has ended, too. A pattern that begins
    with a provider's name is about that provider only.
    """

    def __init__(self, grant: ModelGrant, names: ModelNames, providers: Collection[str]) -> None:
        self._grant = grant
        self._providers = providers
        self._patterns = [name for name in grant.models if any(mark in name for mark in "*?[")]
        self._exact = set(grant.models).difference(self._patterns)
        self._models = {(m.provider, m.id) for name in self._exact for m in names.find_listed(name)}

    def forbids(self, model: Model) -> str | None:
        """What the key may not do with `model`, in words; None where it may use it."""
        provider = model.provider
        if self._grant.providers and provider not in self._grant.providers:
            return f"use {provider}"
        if not self._grant.models or any(
            self._covers(provider, id_)
            for name in filter(None, (model.id, model.replaces))
            for id_ in {name, undated(name)}
        ):
            return None
        return f"use {provider}/{model.id}"

    def _covers(self, provider: str, id_: str) -> bool:
        full = f"{provider}/{id_}"
        if full in self._exact or (provider, id_) in self._models:
            return True
        if id_ in self._exact and not self._names_provider(id_):
            return True
        return any(
            fnmatchcase(full, pattern)
            or (fnmatchcase(id_, pattern) and not self._names_provider(pattern))
            for pattern in self._patterns
        )

    def _names_provider(self, name: str) -> bool:
        return name.partition("/")[0] in self._providers
