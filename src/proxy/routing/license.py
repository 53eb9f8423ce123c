"""Which models a caller's key may use."""

from collections.abc import Collection
from fnmatch import fnmatchcase

from proxy.core.principal import ModelGrant
from proxy.providers.specs import Model, undated
from proxy.routing.names import Names


class License:
    """A key's grant, its names looked up once.

    A name stands for the models that it means (`gpt-4` for what answers now) and for their dated
    snapshots. A pattern that begins with a provider's name is about that provider only.
    """

    def __init__(self, grant: ModelGrant, names: Names, providers: Collection[str]) -> None:
        self._grant = grant
        patterns = [pattern for pattern in grant.models if any(mark in pattern for mark in "*?[")]
        self._whole = [p for p in patterns if p.partition("/")[0] in providers]
        self._loose = [p for p in patterns if p not in self._whole]
        exact = [name for name in grant.models if name not in patterns]
        self._models = {(m.provider, m.id) for name in exact for m in names.listed(name)}
        self._exact = set(exact)
        self._providers = providers

    def forbids(self, model: Model) -> str | None:
        """What the key may not do with `model`, in words; None where it may use it."""
        provider = model.provider
        if self._grant.providers and provider not in self._grant.providers:
            return f"use {provider}"
        if not self._grant.models or any(
            self._covers(provider, id_) for id_ in {model.id, undated(model.id)}
        ):
            return None
        return f"use {provider}/{model.id}"

    def _covers(self, provider: str, id_: str) -> bool:
        full = f"{provider}/{id_}"
        bare = id_ in self._exact and id_.partition("/")[0] not in self._providers
        return (
            bare
            or full in self._exact
            or (provider, id_) in self._models
            or any(fnmatchcase(full, pattern) for pattern in (*self._whole, *self._loose))
            or any(fnmatchcase(id_, pattern) for pattern in self._loose)
        )
