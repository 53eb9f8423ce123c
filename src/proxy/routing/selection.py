"""Which models may answer a request, in the order in which they are tried.

What a name means stands in names.py. Where fallback is allowed, the other providers follow, each
with its own model of the same tier. For every provider that is left out there is a reason to tell.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

import msgspec
from msgspec import Struct, structs

from proxy.core.chat import TIERS, ModelEntry, Routing
from proxy.core.errors import InvalidRequest, NoProviderAvailable, PermissionDenied
from proxy.core.principal import ModelGrant
from proxy.core.settings import RoutingSettings, name_variable
from proxy.providers.catalog import Catalog
from proxy.providers.prices import Prices
from proxy.providers.specs import Model
from proxy.providers.target import Target
from proxy.routing.breaker import View
from proxy.routing.health import Check
from proxy.routing.license import License
from proxy.routing.names import Names
from proxy.routing.needs import Needs
from proxy.routing.plan import Group, Plan
from proxy.routing.vendors import Wishes, divide, refuse

T = TypeVar("T")

KNOWN_BYTES = 1024 * 1024
"""What the remembered questions and their candidates may take, about: callers choose the names."""
NO_CUSTOM_TOOLS = "it has no custom tools"
QUESTION_BYTES = 2048
"""What one takes beside its names."""


class Question(Struct, frozen=True):
    """What was asked of routing, as far as an answer depends on it: the one model that was
    asked for by name, or all that may answer a question that leaves the choice open.

    `defaults` are those of the catalogue in which all of them agree.
    """

    names: tuple[str, ...]
    """`provider/model` each, with what is wished of a reseller behind it."""
    by_name: bool
    strategy: str | None
    defaults: dict[str, Any]

    @classmethod
    def about(cls, target: Target) -> "Question":
        """The question for one model by name: where an answer of it belongs that came in the
        place of another's."""
        return cls(
            names=(_label(target),), by_name=True, strategy=None, defaults=target.spec.defaults
        )

    def words(self) -> tuple[str, ...]:
        """The question as part of a cache key."""
        if self.by_name:
            return ("model", self.names[0])
        return ("any", self.strategy or "", *self.names)


class Selection:
    """The candidates for a request, from the catalogue and what this deployment has keys for."""

    def __init__(
        self, catalog: Catalog, settings: RoutingSettings, bindings: frozenset[str]
    ) -> None:
        """bindings: the providers that a binding of the Worker provides."""
        self._catalog = catalog
        self.names = Names(catalog)
        self._access = settings.providers
        self._counts_unpriced = settings.unpriced == "tier_max"
        self._secrets = settings.secrets
        self._reasons = {
            name: reason
            for name in catalog.providers
            if (reason := self._unusable(name, settings, bindings))
        }
        self._known: dict[tuple[str, Routing, Needs, ModelGrant], Any] = {}
        self._resellers = {name for name, spec in catalog.providers.items() if spec.vendors}
        self._known_bytes = 0
        self.order = tuple(dict.fromkeys((*settings.fallback_chain, *catalog.providers)))

    def _unusable(
        self, name: str, settings: RoutingSettings, bindings: frozenset[str]
    ) -> str | None:
        spec, access = self._catalog.providers[name], settings.providers[name]
        if name in settings.disabled_providers:
            return "switched off by DISABLED_PROVIDERS"
        if spec.dialect == "workers-ai":
            if name not in bindings:
                return "the Worker has no AI binding"
            return None if settings.ai_binding else "the AI binding can't answer here (AI_BINDING)"
        if not spec.keyless and not access.key:
            return f"{name_variable(name, 'API_KEY')} is not set"
        if not (access.base_url or spec.base_url):
            return f"{name_variable(name, 'BASE_URL')} is not set"
        return None

    @property
    def configured(self) -> tuple[str, ...]:
        """The providers that may be called, in their order."""
        return tuple(name for name in self.order if name not in self._reasons)

    def target(self, model: Model, wishes: Wishes | None = None) -> Target:
        """A model with all that it takes to call it. wishes: a reseller's `provider` object."""
        spec, access = self._catalog.providers[model.provider], self._access[model.provider]
        if wishes:
            model = structs.replace(model, send=model.send | {"provider": wishes})
        return Target(
            spec=spec,
            model=model,
            base_url=access.base_url or spec.base_url or "",
            key=access.key,
            embeddings_url=access.embeddings_url,
            listed=(model.provider, model.id) in self._catalog.models,
            stand_in=self._stand_in(model),
            secrets=self._secrets,
        )

    def _stand_in(self, model: Model) -> Prices | None:
        if model.is_priced or not self._counts_unpriced:
            return None
        return self._catalog.highest_prices(model.provider, model.mode)

    def probe_target(self, provider: str) -> Target:
        """The provider itself, for a call that concerns no model."""
        return self.target(Model(provider=provider, id=""))

    def listing(self, grant: ModelGrant) -> list[ModelEntry]:
        """The models on offer: tiers first, then every model of the configured providers that
        may be used."""
        granted = License(grant, self.names, self._catalog.providers)
        tiers = [ModelEntry(id=tier, owned_by="proxy") for tier in TIERS]
        return tiers + [
            ModelEntry(id=f"{model.provider}/{model.id}", owned_by=model.provider)
            for model in self._catalog.models.values()
            if model.provider not in self._reasons and not granted.forbids(model)
        ]

    def entry(self, name: str, grant: ModelGrant) -> ModelEntry | None:
        """The model on offer under any name that a request may call it by; None where no
        configured provider lists it, or the key may not use it."""
        if name in TIERS:
            return ModelEntry(id=name, owned_by="proxy")
        granted = License(grant, self.names, self._catalog.providers)
        for model in self.names.listed(name):
            if model.provider not in self._reasons and not granted.forbids(model):
                return ModelEntry(id=name, owned_by=model.provider)
        return None

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

    def plan(self, routing: Routing, needs: Needs, grant: ModelGrant) -> Plan:
        """The models that may answer; at least one. Worked out once for the same question: a
        cache hit should not wait for it.

        Raises NotFound for a model that nobody knows, InvalidRequest for a provider that is
        none, PermissionDenied where only the caller's key stands in the way,
        NoProviderAvailable with the reason for each provider that is left out.
        """
        return self._once("plan", self._plan, routing, needs, grant)

    def _plan(self, routing: Routing, needs: Needs, grant: ModelGrant) -> Plan:
        self._check_names(routing)
        routing, wishes = self._divided(routing, needs)
        granted = License(grant, self.names, self._catalog.providers)
        excluded: dict[str, str] = {}
        barred: list[str] = []
        groups: list[tuple[list[Model], bool]] = []
        for wanted in self._wanted(routing, needs):
            usable: list[Model] = []
            for model in wanted.models:
                reason = self._reason(model, routing, needs)
                if reason:
                    excluded.setdefault(model.provider, reason)
                elif why := granted.forbids(model):
                    barred.append(why)
                else:
                    usable.append(model)
            if not (usable or groups or self._is_open(routing)) and barred:
                break  # what was asked for by name is not exchanged for what the key may use
            if wanted.left_open:  # what was named is asked, and what it drops is told
                usable = [model for model in usable if not needs.missed_by(model)] or usable
            if usable:
                groups.append((usable, wanted.only_best))
        if not groups and barred:
            raise PermissionDenied(f"This key may not: {'; '.join(barred[:3])}.", param="model")
        if not groups:
            self._refuse_custom_tool(needs, excluded)
            why = "; ".join(f"{name}: {reason}" for name, reason in excluded.items())
            raise NoProviderAvailable(f"No provider can answer this ({why or 'none is offered'}).")
        if needs.embedding:  # vectors of different models must never be mixed
            first = groups[0][0][0].id
            groups = [([m for m in models if m.id == first], best) for models, best in groups]
        if routing.fallback is False:
            groups = [(groups[0][0], True)]
        return self._planned(groups, excluded, wishes)

    def _planned(
        self, groups: list[tuple[list[Model], bool]], excluded: dict[str, str], wishes: Wishes
    ) -> Plan:
        """The plan; the wishes go with a reseller's models where no other provider may answer."""
        chosen = {model.provider for models, _ in groups for model in models}
        if not chosen <= self._resellers:
            refuse(wishes, self._catalog.providers)
            wishes = {}
        return Plan(
            tuple(
                Group(tuple(self.target(model, wishes) for model in models), best)
                for models, best in groups
            ),
            {name: reason for name, reason in excluded.items() if name not in chosen},
        )

    def question(self, routing: Routing, needs: Needs, grant: ModelGrant) -> Question:
        """What the cache files the answer under, streamed or not. Raises like `plan`."""
        needs = structs.replace(needs, streaming=False)
        return self._once("question", self._question, routing, needs, grant)

    def _question(self, routing: Routing, needs: Needs, grant: ModelGrant) -> Question:
        targets = self.plan(routing, needs, grant).in_order()
        by_name = not (routing.models or self._is_open(routing))
        considered = targets[:1] if by_name else targets
        first = considered[0].spec.defaults.items()
        return Question(
            names=tuple(map(_label, considered)),
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
        work: Callable[[Routing, Needs, ModelGrant], T],
        routing: Routing,
        needs: Needs,
        grant: ModelGrant,
    ) -> T:
        """`work`'s result, remembered: it depends on nothing else that changes."""
        asked = (what, structs.replace(routing, timeout_ms=None), needs, grant)
        if asked not in self._known:
            result = work(routing, needs, grant)
            # A character takes up to four bytes, and a name stands in the candidates too.
            size = QUESTION_BYTES + 8 * len(msgspec.msgpack.encode((routing, needs.vendors, grant)))
            self._known_bytes += size
            if self._known_bytes > KNOWN_BYTES:
                self._known.clear()
                self._known_bytes = size
            self._known[asked] = result
        known: T = self._known[asked]
        return known

    def _divided(self, routing: Routing, needs: Needs) -> tuple[Routing, Wishes]:
        """What of OpenRouter's `provider` object is the proxy's, and what is for a reseller."""
        if not (needs.vendors or routing.order or routing.only or routing.ignore):
            return routing, {}
        bare = structs.replace(routing, order=(), only=(), ignore=())
        meant = [model for wanted in self._wanted(bare, needs) for model in wanted.models]
        alone = bool(meant) and all(model.provider in self._resellers for model in meant)
        return divide(routing, needs.vendors, self._catalog.providers, self._resellers, alone=alone)

    def _is_open(self, routing: Routing) -> bool:
        """Whether it names a tier and not a model."""
        return self.names.tier(routing.model) is not None

    def _check_names(self, routing: Routing) -> None:
        fallback = routing.fallback if isinstance(routing.fallback, tuple) else ()
        named = {
            "provider": (routing.provider,) if routing.provider else (),
            "fallback": fallback,
        }
        for param, names in named.items():
            for name in names:
                if name not in self._catalog.providers:
                    raise InvalidRequest(
                        f"{param}: {name!r} is no provider;"
                        f" there are {', '.join(self._catalog.providers)}.",
                        param=param,
                    )

    def _refuse_custom_tool(self, needs: Needs, excluded: dict[str, str]) -> None:
        """Raises InvalidRequest where a provider could answer but for a custom tool."""
        lacking = [name for name, reason in excluded.items() if reason == NO_CUSTOM_TOOLS]
        if lacking:
            param = f"tools[{needs.custom_tool}].type"
            able = (name for name, spec in self._catalog.providers.items() if spec.custom_tools)
            raise InvalidRequest(
                f"{param}: {', '.join(lacking)} can't take custom tools. Send the tool as a"
                f" function with one string parameter, or ask {' or '.join(able)}.",
                param=param,
            )

    def _reason(self, model: Model, routing: Routing, needs: Needs) -> str | None:
        if model.provider in routing.ignore:
            return "ruled out by provider.ignore"
        if routing.only and model.provider not in routing.only:
            return "not among provider.only"
        if reason := self._reasons.get(model.provider) or needs.lacking(model):
            return reason
        takes_custom = self._catalog.providers[model.provider].custom_tools
        return None if takes_custom or needs.custom_tool is None else NO_CUSTOM_TOOLS

    def _wanted(self, routing: Routing, needs: Needs) -> "Iterable[_Wanted]":
        """What each name means, and the models to fall back to.

        A list of providers to fall back to (or none) binds also what a name leaves open.
        """
        order = tuple(dict.fromkeys((*routing.order, *self.order)))
        only_best = routing.fallback is not True
        first = self.names.models(routing.model, routing.provider, needs, order)
        if first and not needs.embedding and all(m.mode == "embedding" for m in first):
            raise InvalidRequest(
                f"{first[0].id} is an embedding model. Name a chat model, or use /v1/embeddings.",
                param="model",
            )
        yield _Wanted(first, only_best, left_open=not routing.provider and routing.model in TIERS)
        for name in routing.models:
            models = self.names.models(name, None, needs, order)
            yield _Wanted(models, only_best, left_open=name in TIERS)
        if routing.fallback is False or needs.embedding:
            return
        tier = self.names.tier(routing.model)
        if tier is None:
            tier = self._catalog.tier_of(first[0]) if first else "auto"
        listed = isinstance(routing.fallback, tuple)
        others = routing.fallback if isinstance(routing.fallback, tuple) else order
        follow = (self.names.tier_model(provider, tier, needs) for provider in others)
        yield _Wanted([model for model in follow if model], False, left_open=not listed)


class _Wanted(Struct, frozen=True):
    """What one name of a request means, or the models to fall back to."""

    models: Sequence[Model]
    only_best: bool
    """Whether one of them will do."""
    left_open: bool
    """Whether the caller named neither model nor provider."""


def _label(target: Target) -> str:
    """`provider/model`, and what is wished of a reseller: others answer then."""
    wishes = target.model.send.get("provider")
    name = f"{target.spec.name}/{target.model.id}"
    return f"{name} {msgspec.json.encode(wishes, order='sorted').decode()}" if wishes else name
