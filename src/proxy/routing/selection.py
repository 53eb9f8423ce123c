"""Which models may answer a request, in the order in which they are tried.

What a name means stands in names.py. Where fallback is allowed, the other providers follow, each
with its own model of the same tier. Every provider that is left out is left out for a reason.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import NoReturn, TypeAlias

from msgspec import Struct, structs

from proxy.core.chat import TIERS, Routing
from proxy.core.choices import Choice
from proxy.core.errors import InvalidRequest, NoProviderAvailable, NotFound, PermissionDenied
from proxy.core.model_entry import ModelEntry
from proxy.core.ports import Clock
from proxy.core.principal import ModelGrant
from proxy.core.settings import RoutingSettings
from proxy.providers.catalog import Catalog
from proxy.providers.specs import Model
from proxy.routing.calendar import Calendar
from proxy.routing.deployment import Deployment
from proxy.routing.license import License
from proxy.routing.memo import Memo
from proxy.routing.names import ModelNames
from proxy.routing.needs import Needs
from proxy.routing.plan import Plan, TargetGroup
from proxy.routing.routing_key import RoutingKey
from proxy.routing.vendors import Wishes, divide, refuse_wishes

NO_CUSTOM_TOOLS = "it has no custom tools"
OTHER_WIRE = "it does not speak the dialect of the request"


class Selection:
    """The candidates for a request, from the catalogue and what this deployment has keys for."""

    def __init__(
        self,
        catalog: Catalog,
        settings: RoutingSettings,
        bindings: frozenset[str],
        clock: Clock | None = None,
    ) -> None:
        """bindings: the providers that a binding of the Worker provides; clock: None: the day of
        the catalogue itself holds for ever."""
        self.calendar = Calendar(catalog, settings.catalog_date, clock)
        self._deployment = Deployment(catalog, settings, bindings)
        self._resellers = {name for name, spec in catalog.providers.items() if spec.vendors}
        self._turn(self.calendar.today)

    def _keep_up(self) -> None:
        """Turns to today's catalogue, where another day has begun."""
        today = self.calendar.today
        if today is not self._catalog:
            self._turn(today)

    def _turn(self, today: Catalog) -> None:
        """Turns to a catalogue, and forgets what was worked out from another."""
        self._catalog = self._deployment.catalog = today
        self._names = ModelNames(today)
        self._plans = Memo(self._plan)
        self._keys = Memo(self._make_routing_key)

    @property
    def catalog(self) -> Catalog:
        """The catalogue of today."""
        self._keep_up()
        return self._catalog

    @property
    def names(self) -> ModelNames:
        """What the names of models mean today."""
        self._keep_up()
        return self._names

    @property
    def deployment(self) -> Deployment:
        """What of today's catalogue may be called."""
        self._keep_up()
        return self._deployment

    def list_models(
        self, grant: ModelGrant, aliases: Sequence[ModelEntry] = ()
    ) -> list[ModelEntry]:
        """The models on offer: tiers first, then the aliases, then every model of the configured
        providers that may be used."""
        granted = self.license(grant)
        tiers = [ModelEntry(id=tier, owned_by="proxy") for tier in TIERS]
        return [*tiers, *aliases] + [
            _describe(f"{model.provider}/{model.id}", model)
            for model in self._catalog.models.values()
            if model.provider in self.deployment.configured and not granted.forbids(model)
        ]

    def find_entry(self, name: str, grant: ModelGrant) -> ModelEntry | None:
        """The model on offer under any name that a request may call it by; None where no
        configured provider lists it, or the key may not use it."""
        if name in TIERS:
            return ModelEntry(id=name, owned_by="proxy")
        granted = self.license(grant)
        for model in self.names.find_listed(name):
            if model.provider in self.deployment.configured and not granted.forbids(model):
                return _describe(name, model)
        return None

    def license(self, grant: ModelGrant) -> License:
        """What a key may use, by today's names."""
        return License(grant, self.names, self.catalog.providers)

    def plan(self, routing: Routing, needs: Needs, grant: ModelGrant) -> Plan:
        """The models that may answer; at least one. Worked out once for the same request.

        Raises NotFound for an unknown model, InvalidRequest for a provider that is none,
        PermissionDenied where only the caller's key stands in the way, NoProviderAvailable with
        the reason for each provider that is left out.
        """
        self._keep_up()
        return self._plans.get(routing, needs, grant)

    def make_routing_key(self, routing: Routing, needs: Needs, grant: ModelGrant) -> RoutingKey:
        """What the cache files the answer under, streamed or not. Worked out once, for a hit must
        not wait for it. Raises like `plan`."""
        self._keep_up()
        needs = structs.replace(needs, streaming=False) if needs.streaming else needs
        return self._keys.get(routing, needs, grant)

    def _make_routing_key(self, routing: Routing, needs: Needs, grant: ModelGrant) -> RoutingKey:
        by_name = not (routing.models or self._is_open(routing))
        if routing.alias and len(routing.alias.choices) == 1 and not routing.models:
            by_name = self.names.find_tier(routing.alias.choices[0].model) is None
        targets = self.plan(routing, needs, grant).targets
        return RoutingKey.of_choice(targets, by_name=by_name, strategy=routing.strategy)

    def _plan(self, routing: Routing, needs: Needs, grant: ModelGrant) -> Plan:
        self._check_names(routing)
        routing, wishes = self._divide(routing, needs)
        licenses = self._make_licenses(routing, grant)
        excluded: dict[str, str] = {}
        forbidden: list[str] = []
        groups: list[_Group] = []
        for named in self._find_named(routing, needs):
            usable: list[Model] = []
            for model in named.models:
                if reason := self._find_reason(model, routing, needs):
                    excluded.setdefault(model.provider, reason)
                elif why := licenses[named.choice is not None].forbids(model):
                    forbidden.append(why)
                else:
                    usable.append(model)
            if not (usable or groups or self._is_open(routing)) and forbidden:
                break  # a model that is named is not exchanged for what the key may use
            if named.left_open:  # a model that is named is kept, and reports what it drops
                usable = [model for model in usable if not needs.missed_by(model)] or usable
            if usable:
                groups.append(([(model, named.choice) for model in usable], named.only_best))
        if not groups:
            self._refuse(routing, needs, excluded, forbidden)
        if routing.alias and routing.alias.grouped:
            groups = _join_choices(groups)
        if needs.embedding:  # vectors of different models must never be mixed
            first = groups[0][0][0][0].id
            groups = [([m for m in members if m[0].id == first], best) for members, best in groups]
        if routing.fallback is False:
            groups = [(groups[0][0], True)]
        return self._make_plan(_merge_repeated(groups), excluded, wishes)

    def _make_licenses(self, routing: Routing, grant: ModelGrant) -> tuple[License, License]:
        """What the key may use by the names of models, and as the choices of the alias."""
        own = self.license(grant)
        if not (routing.alias and routing.alias.licensed):
            return own, own
        return own, self.license(structs.replace(grant, models=()))

    def _make_plan(self, groups: "list[_Group]", excluded: dict[str, str], wishes: Wishes) -> Plan:
        """The plan; the wishes go with a reseller's models where no other provider may answer."""
        chosen = {model.provider for members, _ in groups for model, _ in members}
        if not chosen <= self._resellers:
            refuse_wishes(wishes, self._catalog.providers)
            wishes = {}
        return Plan(
            tuple(
                TargetGroup(
                    tuple(self.deployment.make_target(*member, wishes) for member in members), best
                )
                for members, best in groups
            ),
            {name: reason for name, reason in excluded.items() if name not in chosen},
        )

    def _divide(self, routing: Routing, needs: Needs) -> tuple[Routing, Wishes]:
        """What of OpenRouter's `provider` object is the proxy's, and what is for a reseller."""
        if not (needs.vendors or routing.order or routing.only or routing.ignore):
            return routing, {}
        bare = structs.replace(routing, order=(), only=(), ignore=())
        models = [model for named in self._find_named(bare, needs) for model in named.models]
        alone = bool(models) and all(model.provider in self._resellers for model in models)
        return divide(routing, needs.vendors, self._catalog.providers, self._resellers, alone=alone)

    def _is_open(self, routing: Routing) -> bool:
        """Whether it names a tier or an alias, and not a model."""
        return routing.alias is not None or self.names.find_tier(routing.model) is not None

    def _check_names(self, routing: Routing) -> None:
        fallback = routing.fallback if isinstance(routing.fallback, tuple) else ()
        named = [("provider", routing.provider)] if routing.provider else []
        for param, name in (*named, *(("fallback", name) for name in fallback)):
            if name not in self._catalog.providers:
                raise InvalidRequest(
                    f"{param}: {name!r} is no provider;"
                    f" there are {', '.join(self._catalog.providers)}.",
                    param=param,
                )

    def _refuse(
        self, routing: Routing, needs: Needs, excluded: dict[str, str], forbidden: list[str]
    ) -> NoReturn:
        """Raises the error of a request that no model may answer."""
        if forbidden:
            raise PermissionDenied(f"This key may not: {'; '.join(forbidden[:3])}.", param="model")
        lacking = [name for name, reason in excluded.items() if reason == NO_CUSTOM_TOOLS]
        if lacking:
            param = f"tools[{needs.custom_tool}].type"
            able = (name for name, spec in self._catalog.providers.items() if spec.custom_tools)
            raise InvalidRequest(
                f"{param}: {', '.join(lacking)} can't take custom tools. Send the tool as a"
                f" function with one string parameter, or ask {' or '.join(able)}.",
                param=param,
            )
        if OTHER_WIRE in excluded.values():
            raise InvalidRequest(needs.native_only)
        why = _describe_excluded(excluded, self.deployment.reasons)
        named = f"{routing.provider}/{routing.model}" if routing.provider else routing.model
        why = why or f"none offers {named!r}: name a model, as provider/model"
        raise NoProviderAvailable(f"No provider can answer this ({why}).")

    def _find_reason(self, model: Model, routing: Routing, needs: Needs) -> str | None:
        if model.provider in routing.ignore:
            return "ruled out by provider.ignore"
        if routing.only and model.provider not in routing.only:
            return "not among provider.only"
        if reason := self.deployment.reasons.get(model.provider) or needs.lacking(model):
            return reason
        spec = self._catalog.providers[model.provider]
        if needs.wire and needs.wire not in (model.endpoints or spec.endpoints):
            return OTHER_WIRE
        takes_custom = spec.custom_tools
        return None if takes_custom or needs.custom_tool is None else NO_CUSTOM_TOOLS

    def _find_named(self, routing: Routing, needs: Needs) -> "Iterator[_NamedModels]":
        """What each name means, and the models to fall back to.

        A list of providers to fall back to (or none) binds also what a name leaves open.
        """
        order = tuple(dict.fromkeys((*routing.order, *self.deployment.order)))
        first = list(self._find_first(routing, needs, order))
        yield from first
        for name in routing.models:
            models = self.names.find_models(name, None, needs, order)
            yield _NamedModels(models, routing.fallback is not True, left_open=name in TIERS)
        if routing.fallback is False or needs.embedding:
            return
        named = routing.alias.choices[0].model if routing.alias else routing.model
        tier = self.names.find_tier(named)
        if tier is None:
            tier = self._catalog.find_tier(first[0].models[0]) if first[0].models else "auto"
        listed = isinstance(routing.fallback, tuple)
        others = routing.fallback if isinstance(routing.fallback, tuple) else order
        follow = (self.names.find_tier_model(provider, tier, needs) for provider in others)
        yield _NamedModels([model for model in follow if model], False, left_open=not listed)

    def _find_first(
        self, routing: Routing, needs: Needs, order: Sequence[str]
    ) -> "Iterator[_NamedModels]":
        """What the name means that a request gives first: an alias's choices, each by itself."""
        if routing.alias:
            for choice in routing.alias.choices:
                models = self._find_chosen(choice.model, needs, order)
                is_tier = choice.model in TIERS
                yield _NamedModels(models, False, left_open=is_tier, choice=choice)
            return
        models = self.names.find_models(routing.model, routing.provider, needs, order)
        if models and not needs.embedding and all(m.mode != "chat" for m in models):
            other = ", or use /v1/embeddings" if models[0].mode == "embedding" else ""
            raise InvalidRequest(
                f"{models[0].id} is {models[0].kind}. Name a chat model{other}.", param="model"
            )
        left_open = not routing.provider and routing.model in TIERS
        yield _NamedModels(models, routing.fallback is not True, left_open=left_open)

    def _find_chosen(self, name: str, needs: Needs, order: Sequence[str]) -> Sequence[Model]:
        """What an alias's choice means; none where the catalogue no longer has it."""
        try:
            return self.names.find_models(name, None, needs, order)
        except NotFound:
            return ()


_Group: TypeAlias = tuple[list[tuple[Model, Choice | None]], bool]
"""Models that mean the same, and whether only the best of them is tried."""


class _NamedModels(Struct, frozen=True):
    """What one name of a request means, or the models to fall back to."""

    models: Sequence[Model]
    only_best: bool
    """Whether only the best of them is tried."""
    left_open: bool
    """Whether the caller named neither model nor provider."""
    choice: Choice | None = None
    """The choice of an alias that means them."""


def _join_choices(groups: Sequence[_Group]) -> list[_Group]:
    """The groups, those of an alias's choices in one."""
    chosen = [member for members, _ in groups for member in members if member[1]]
    others = [group for group in groups if group[0][0][1] is None]
    return [(chosen, False), *others] if chosen else others


def _merge_repeated(groups: Sequence[_Group]) -> list[_Group]:
    """The groups, with one for neighbours of the same models: after the best of a tier comes the
    rest of it, and each candidate is ranked once."""
    merged: list[_Group] = []
    for members, only_best in groups:
        if merged and merged[-1][0] == members:
            only_best &= merged.pop()[1]
        merged.append((members, only_best))
    return merged


def _describe_excluded(excluded: dict[str, str], unusable: Mapping[str, str]) -> str:
    """Why each provider is left out: what those lack that are set up stands before the names of the
    others, among which nobody would find it."""
    able = {name: reason for name, reason in excluded.items() if name not in unusable}
    why = "; ".join(f"{name}: {reason}" for name, reason in (able or excluded).items())
    others = [name for name in excluded if able and name not in able]
    return f"{why}; not set up, see /health/providers: {', '.join(others)}" if others else why


def _describe(name: str, model: Model) -> ModelEntry:
    return ModelEntry(
        id=name,
        owned_by=model.provider,
        context=model.context,
        max_output=model.max_output,
        can=model.can,
        chats=model.mode == "chat",
    )
