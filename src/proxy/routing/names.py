"""The models that a name means.

A name that begins with a provider's name and a slash is that provider's, although others may sell
the model under the same words: `deepseek/deepseek-v4-flash` is DeepSeek's, and OpenRouter's is
`openrouter/deepseek/deepseek-v4-flash`.
"""

from collections.abc import Sequence

from proxy.core.chat import TIERS
from proxy.core.errors import NotFound
from proxy.providers.catalog import Catalog
from proxy.providers.specs import Model
from proxy.routing.needs import Needs


class ModelNames:
    """The names of models as the catalogue has them."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog

    def find_tier(self, name: str) -> str | None:
        """The tier that `name` (`fast`, `groq/fast`) names; None where it names a model."""
        provider, _, tier = name.rpartition("/")
        known = not provider or provider in self._catalog.providers
        return tier if tier in TIERS and known else None

    def find_models(
        self, name: str, provider: str | None, needs: Needs, order: Sequence[str]
    ) -> list[Model]:
        """The models that a name means, those of the providers first in `order` first. provider:
        the only one at which it is looked up. Raises NotFound for an unknown name."""
        if provider:
            found = self._find_at(provider, name.removeprefix(f"{provider}/"), needs)
            for model in found:
                ended = self._catalog.find_ended(provider, model.replaces)
                if ended and model.provider != provider:
                    raise _refuse_ended(ended, f"{model.provider}/{model.id}")
            return found
        if name in TIERS:
            models = [self.find_tier_model(p, name, needs) for p in order]
            return [model for model in models if model]
        head, _, rest = name.partition("/")
        if rest and head in self._catalog.providers:
            return self._find_at(head, rest, needs)
        if named := self._catalog.find_named(name):
            return sorted(named, key=lambda m: (bool(m.replaces), order.index(m.provider)))
        for owner in self._catalog.providers:
            if ended := self._catalog.find_ended(owner, name):
                raise _refuse_ended(ended)
        alike = self._catalog.find_similar(name)
        raise NotFound(
            f"The model {name!r} is not known."
            + (f" Do you mean {' or '.join(alike[:3])}?" if alike else "")
            + f" Name a model of GET /v1/models, a tier ({', '.join(TIERS)}), or any model of a"
            f" provider as provider/model: {', '.join(self._catalog.providers)}.",
            param="model",
            code="model_not_found",
        )

    def find_listed(self, name: str) -> list[Model]:
        """The models of the catalogue that a name means, chat or embedding; none where the
        catalogue lists none."""
        head, _, rest = name.partition("/")
        if not (rest and head in self._catalog.providers):
            return self._catalog.find_named(name)
        tier = self._catalog.find_tier_model(head, rest) if rest in TIERS else None
        model = tier or self._catalog.find(head, rest)
        return [model] if model else []

    def find_canonical(self, name: str) -> str:
        """`provider/id` of the model that an alias means, with its provider's name or without, or
        a provider's tier; any other name is left as it is."""
        provider, _, rest = name.partition("/")
        if (provider, rest) in self._catalog.ended:
            return name  # its own entries are meant
        is_full = rest and provider in self._catalog.providers
        listed = self.find_listed(name) if is_full or name in self._catalog.aliases else []
        return f"{listed[0].provider}/{listed[0].id}" if listed else name

    def find_tier_model(self, provider: str, tier: str, needs: Needs) -> Model | None:
        """The provider's model of a tier; where that one can't do what the request needs or wishes,
        the first of its other tiers that can."""
        if needs.embedding:
            id_ = self._catalog.providers[provider].embedding_model
            return self._catalog.models[provider, id_] if id_ else None
        first = self._catalog.find_tier_model(provider, tier)
        if first is None:
            return None
        offered = (self._catalog.find_tier_model(provider, name) for name in (tier, *TIERS))
        able = [model for model in offered if model and not needs.lacking(model)] or [first]
        return next((model for model in able if not needs.missed_by(model)), able[0])

    def _find_at(self, provider: str, name: str, needs: Needs) -> list[Model]:
        """The provider's model of that name; what the catalogue does not know is passed to the
        provider as it is, and taken for a model of the kind that is needed."""
        if name in TIERS:
            model = self.find_tier_model(provider, name, needs)
            return [model] if model else []
        found = self._catalog.find(provider, name)
        if not found and (ended := self._catalog.find_ended(provider, name)):
            raise _refuse_ended(ended)
        return [found or self._catalog.resolve(provider, name, needs.mode)]


def _refuse_ended(model: Model, other: str = "") -> NotFound:
    """The error of a request for a model that has ended. other: what answers in its place, which
    the request rules out."""
    use = other or f"a model of GET /v1/models, or a tier ({', '.join(TIERS)})"
    return NotFound(
        f"The model {model.id!r} of {model.provider} ended on {model.shutdown}. Use {use}.",
        param="model",
        code="model_not_found",
    )
