"""Which models may answer a request, in the order in which they are tried.

A name is looked up by itself (`gpt-4o`), with its provider (`openai/gpt-4o`) or as a tier
(`fast`, `groq/fast`). Where fallback is allowed, the other providers follow, each with its own
model of the same tier. For every provider that is left out there is a reason to tell.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any, TypeVar

from msgspec import Struct, structs

from proxy.core.chat import TIERS, ChatRequest, ModelEntry, Routing
from proxy.core.config import Config, variable
from proxy.core.errors import InvalidRequest, NoProviderAvailable, NotFound, PermissionDenied
from proxy.core.principal import Grant
from proxy.providers.adapter import Target
from proxy.providers.catalog import Ability, Catalog, Model
from proxy.routing.breaker import View
from proxy.routing.health import Check
from proxy.routing.plan import Group, Plan

T = TypeVar("T")

KNOWN = 1000
"""Questions whose candidates are remembered."""


class Needs(Struct, frozen=True):
    """What a request demands of a model."""

    abilities: frozenset[Ability] = frozenset()
    embedding: bool = False
    streaming: bool = False
    reasoning: bool = False
    """Asked for, and no demand: a model that can't answers without."""

    @classmethod
    def of(cls, chat: ChatRequest) -> "Needs":
        """What a chat request demands."""
        wanted: list[Ability] = []
        if chat.wants_vision:
            wanted.append("vision")
        if chat.tools and chat.tool_choice != "none":
            wanted.append("tools")
        if chat.response_format and chat.response_format.type == "json_schema":
            wanted.append("json")
        return cls(
            frozenset(wanted),
            streaming=chat.stream,
            reasoning=chat.reasoning_effort not in (None, "none"),
        )

    def lacking(self, model: Model) -> str | None:
        """What `model` can't do of it, in words; None if it can do all or nothing is known."""
        if (model.mode == "embedding") != self.embedding:
            return f"{model.id} is {'an embedding' if self.embedding is False else 'a chat'} model"
        missing = set[str](self.abilities - model.can if model.can is not None else ())
        if self.streaming and not model.streams:
            missing.add("streaming")
        return f"{model.id} has no {' and no '.join(sorted(missing))}" if missing else None

    def missed_by(self, model: Model) -> bool:
        """Whether `model` would answer without the reasoning that is asked for."""
        return self.reasoning and model.can is not None and "reasoning" not in model.can


class Question(Struct, frozen=True):
    """What was asked of routing, as far as an answer depends on it: the one model that was
    asked for by name, or all that may answer a question that leaves the choice open.

    `defaults` are those of the catalogue in which all of them agree.
    """

    names: tuple[str, ...]
    """`provider/model` each."""
    by_name: bool
    strategy: str | None
    defaults: dict[str, Any]

    @classmethod
    def about(cls, target: Target) -> "Question":
        """The question for one model by name: where an answer of it belongs that came in the
        place of another's."""
        name = f"{target.spec.name}/{target.model.id}"
        return cls(names=(name,), by_name=True, strategy=None, defaults=target.spec.defaults)

    def words(self) -> tuple[str, ...]:
        """The question as part of a cache key."""
        if self.by_name:
            return ("model", self.names[0])
        return ("any", self.strategy or "", *self.names)


class Selection:
    """The candidates for a request, from the catalogue and what this deployment has keys for."""

    def __init__(self, catalog: Catalog, config: Config, bindings: frozenset[str]) -> None:
        """bindings: the providers that a binding of the Worker provides."""
        self._catalog = catalog
        self._access = config.providers
        self._reasons = {
            name: reason
            for name in catalog.providers
            if (reason := self._unusable(name, config, bindings))
        }
        self._known: dict[tuple[str, Routing, Needs, Grant], Any] = {}
        self.order = tuple(dict.fromkeys((*config.fallback_chain, *catalog.providers)))

    def _unusable(self, name: str, config: Config, bindings: frozenset[str]) -> str | None:
        spec, access = self._catalog.providers[name], config.providers[name]
        if name in config.disabled_providers:
            return "switched off by DISABLED_PROVIDERS"
        if spec.dialect == "workers-ai":
            if name not in bindings:
                return "the Worker has no AI binding"
            return None if config.ai_binding else "the AI binding can't answer here (AI_BINDING)"
        if not spec.keyless and not access.key:
            return f"{variable(name, 'API_KEY')} is not set"
        if not (access.base_url or spec.base_url):
            return f"{variable(name, 'BASE_URL')} is not set"
        return None

    @property
    def configured(self) -> tuple[str, ...]:
        """The providers that may be called, in their order."""
        return tuple(name for name in self.order if name not in self._reasons)

    def target(self, model: Model) -> Target:
        """A model with all that it takes to call it."""
        spec, access = self._catalog.providers[model.provider], self._access[model.provider]
        return Target(
            spec=spec,
            model=model,
            base_url=access.base_url or spec.base_url or "",
            key=access.key,
            embeddings_url=access.embeddings_url,
            listed=(model.provider, model.id) in self._catalog.models,
        )

    def probe_target(self, provider: str) -> Target:
        """The provider itself, for a call that concerns no model."""
        return self.target(Model(provider=provider, id=""))

    def listing(self, grant: Grant) -> list[ModelEntry]:
        """The models on offer: tiers first, then every model of the configured providers that
        may be used."""
        tiers = [ModelEntry(id=tier, owned_by="proxy") for tier in TIERS]
        return tiers + [
            ModelEntry(id=f"{model.provider}/{model.id}", owned_by=model.provider)
            for model in self._catalog.models.values()
            if model.provider not in self._reasons and not _barred(model, grant)
        ]

    def report(
        self, checks: Mapping[str, Check], breakers: Mapping[str, View]
    ) -> list[dict[str, Any]]:
        """Each provider's state for GET /health/providers. breakers: by `provider` and
        `provider/model`."""
        return [
            {
                "name": name,
                "configured": name not in self._reasons,
                "reason": self._reasons.get(name),
                "lastCheck": checks.get(name),
                "breaker": breakers.get(name),
                "models": {
                    model: view
                    for model, view in breakers.items()
                    if model.startswith(f"{name}/") and view.phase != "closed"
                },
            }
            for name in self.order
        ]

    def plan(self, routing: Routing, needs: Needs, grant: Grant) -> Plan:
        """The models that may answer; at least one. Worked out once for the same question: a
        cache hit should not wait for it.

        Raises NotFound for a model that nobody knows, InvalidRequest for a provider that is
        none, PermissionDenied where only the caller's key stands in the way,
        NoProviderAvailable with the reason for each provider that is left out.
        """
        return self._once("plan", self._plan, routing, needs, grant)

    def _plan(self, routing: Routing, needs: Needs, grant: Grant) -> Plan:
        self._check_names(routing)
        excluded: dict[str, str] = {}
        barred: list[str] = []
        groups: list[tuple[list[Model], bool]] = []
        for wanted in self._wanted(routing, needs):
            usable: list[Model] = []
            for model in wanted.models:
                reason = self._reason(model, routing, needs)
                if reason:
                    excluded.setdefault(model.provider, reason)
                elif why := _barred(model, grant):
                    barred.append(why)
                else:
                    usable.append(model)
            if not (usable or groups or _is_open(routing)) and barred:
                break  # what was asked for by name is not exchanged for what the key may use
            if wanted.left_open:  # what was named is asked, and what it drops is told
                usable = [model for model in usable if not needs.missed_by(model)] or usable
            if usable:
                groups.append((usable, wanted.only_best))
        if not groups and barred:
            raise PermissionDenied(f"This key may not: {'; '.join(barred[:3])}.", param="model")
        if not groups:
            why = "; ".join(f"{name}: {reason}" for name, reason in excluded.items())
            raise NoProviderAvailable(f"No provider can answer this ({why or 'none is offered'}).")
        if needs.embedding:  # vectors of different models must never be mixed
            first = groups[0][0][0].id
            groups = [([m for m in models if m.id == first], best) for models, best in groups]
        if routing.fallback is False:
            groups = [(groups[0][0], True)]
        chosen = {model.provider for models, _ in groups for model in models}
        return Plan(
            tuple(Group(tuple(map(self.target, models)), best) for models, best in groups),
            {name: reason for name, reason in excluded.items() if name not in chosen},
        )

    def question(self, routing: Routing, needs: Needs, grant: Grant) -> Question:
        """What the cache files the answer under, streamed or not. Raises like `plan`."""
        needs = structs.replace(needs, streaming=False)
        return self._once("question", self._question, routing, needs, grant)

    def _question(self, routing: Routing, needs: Needs, grant: Grant) -> Question:
        targets = self.plan(routing, needs, grant).in_order()
        by_name = not (routing.models or _is_open(routing))
        considered = targets[:1] if by_name else targets
        first = considered[0].spec.defaults.items()
        return Question(
            names=tuple(f"{target.spec.name}/{target.model.id}" for target in considered),
            by_name=by_name,
            strategy=routing.strategy,
            defaults={
                name: value
                for name, value in first
                if all(target.spec.defaults.get(name) == value for target in considered)
            },
        )

    def _once(
        self,
        what: str,
        work: Callable[[Routing, Needs, Grant], T],
        routing: Routing,
        needs: Needs,
        grant: Grant,
    ) -> T:
        """`work`'s result, remembered: it depends on nothing else that changes."""
        asked = (what, structs.replace(routing, timeout_ms=None), needs, grant)
        if asked not in self._known:
            if len(self._known) >= KNOWN:
                self._known.clear()
            self._known[asked] = work(routing, needs, grant)
        known: T = self._known[asked]
        return known

    def _check_names(self, routing: Routing) -> None:
        fallback = routing.fallback if isinstance(routing.fallback, tuple) else ()
        named = {
            "provider": (routing.provider,) if routing.provider else (),
            "fallback": fallback,
            "provider.order": routing.order,
            "provider.only": routing.only,
            "provider.ignore": routing.ignore,
        }
        for param, names in named.items():
            for name in names:
                if name not in self._catalog.providers:
                    raise InvalidRequest(
                        f"{param}: {name!r} is no provider;"
                        f" there are {', '.join(self._catalog.providers)}.",
                        param=param,
                    )

    def _reason(self, model: Model, routing: Routing, needs: Needs) -> str | None:
        if model.provider in routing.ignore:
            return "ruled out by provider.ignore"
        if routing.only and model.provider not in routing.only:
            return "not among provider.only"
        return self._reasons.get(model.provider) or needs.lacking(model)

    def _wanted(self, routing: Routing, needs: Needs) -> "Iterable[_Wanted]":
        """What each name means, and the models to fall back to.

        A list of providers to fall back to (or none) binds also what a name leaves open.
        """
        order = tuple(dict.fromkeys((*routing.order, *self.order)))
        only_best = routing.fallback is not True
        first = self._named(routing.model, routing.provider, needs, order)
        yield _Wanted(first, only_best, left_open=not routing.provider and routing.model in TIERS)
        for name in routing.models:
            models = self._named(name, None, needs, order)
            yield _Wanted(models, only_best, left_open=name in TIERS)
        if routing.fallback is False or needs.embedding:
            return
        tier = routing.model.rpartition("/")[2]
        if not _is_open(routing):
            tier = self._catalog.tier_of(first[0]) if first else "auto"
        listed = isinstance(routing.fallback, tuple)
        others = routing.fallback if isinstance(routing.fallback, tuple) else order
        follow = (self._tier_model(provider, tier, needs) for provider in others)
        yield _Wanted([model for model in follow if model], False, left_open=not listed)

    def _named(
        self, name: str, provider: str | None, needs: Needs, order: tuple[str, ...]
    ) -> list[Model]:
        """The models that a name means, those of the providers first in `order` first."""
        if provider:
            own = name.removeprefix(f"{provider}/")
            return self._at(provider, own, needs)
        if name in TIERS:
            models = [self._tier_model(p, name, needs) for p in order]
            return [model for model in models if model]
        name = self._catalog.aliases.get(name, name)
        head, _, rest = name.partition("/")
        prefixed = head in self._catalog.providers and rest
        if prefixed and ((head, rest) in self._catalog.models or rest in TIERS):
            return self._at(head, rest, needs)
        if offers := self._catalog.offers(name):
            return sorted(offers, key=lambda model: order.index(model.provider))
        if prefixed:
            return self._at(head, rest, needs)
        raise NotFound(
            f"The model {name!r} is not known. Name a model of GET /v1/models, a tier"
            f" ({', '.join(TIERS)}), or any model with its provider, as in openai/{name}.",
            param="model",
            code="model_not_found",
        )

    def _at(self, provider: str, name: str, needs: Needs) -> list[Model]:
        if name in TIERS:
            model = self._tier_model(provider, name, needs)
            return [model] if model else []
        meant = self._catalog.aliases.get(name, "")
        if (provider, name) not in self._catalog.models and meant.startswith(f"{provider}/"):
            name = meant.removeprefix(f"{provider}/")
        model = self._catalog.model(provider, name)
        if (provider, name) not in self._catalog.models:  # taken for what is asked of it
            model = structs.replace(model, mode="embedding" if needs.embedding else "chat")
        return [model]

    def _tier_model(self, provider: str, tier: str, needs: Needs) -> Model | None:
        """The provider's model of a tier; where that one can't do what is needed or asked for,
        the first of its other tiers that can."""
        if needs.embedding:
            id_ = self._catalog.providers[provider].embedding_model
            return self._catalog.model(provider, id_) if id_ else None
        first = self._catalog.tier_model(provider, tier)
        if first is None:
            return None
        offered = (self._catalog.tier_model(provider, name) for name in (tier, *TIERS))
        able = [model for model in offered if model and not needs.lacking(model)] or [first]
        return next((model for model in able if not needs.missed_by(model)), able[0])


class _Wanted(Struct, frozen=True):
    """What one name of a request means, or the models to fall back to."""

    models: Sequence[Model]
    only_best: bool
    """Whether one of them will do."""
    left_open: bool
    """Whether the caller named neither model nor provider."""


def _is_open(routing: Routing) -> bool:
    """Whether it names a tier and not a model."""
    return routing.model.rpartition("/")[2] in TIERS


def _barred(model: Model, grant: Grant) -> str | None:
    """What the caller's key forbids of a model, in words."""
    if grant.providers and model.provider not in grant.providers:
        return f"use {model.provider}"
    names = (model.id, f"{model.provider}/{model.id}")
    if grant.models and not any(fnmatchcase(n, p) for n in names for p in grant.models):
        return f"use {model.provider}/{model.id}"
    return None
