"""Makes of a request that names an alias what the alias says: its parameters and its system prompt
are put into it, and its model stands for the targets that are meant for it."""

from collections.abc import Callable, Mapping, Sequence

from msgspec import structs

from proxy.aliases.conditions import Circumstances, admits_caller, explain_refusal
from proxy.aliases.model import Alias
from proxy.aliases.names import Spelling, names_alias, read_spelling
from proxy.aliases.view import AliasView
from proxy.core.cache_control import CacheControl
from proxy.core.chat import TIERS, Call, Routing
from proxy.core.choices import Aliased, Choice
from proxy.core.embedding import EmbeddingRequest
from proxy.core.errors import Cause, InvalidRequest, NoProviderAvailable, NotFound, ProxyError
from proxy.core.model_entry import ModelEntry
from proxy.core.ports import Defer
from proxy.core.principal import ModelGrant, Principal
from proxy.core.replica import UNREAD
from proxy.dialects.cloudflare import read_metadata
from proxy.dialects.preset import put_preset
from proxy.limits.estimate import ChatEstimate, EmbeddingEstimate
from proxy.routing.needs import Needs
from proxy.routing.selection import Selection
from proxy.serving.context import RequestContext
from proxy.serving.task import record_call, with_timeout


class Aliasing:
    """Applies the aliases of a deployment to the requests of an isolate."""

    def __init__(self, view: AliasView, selection: Selection) -> None:
        self._view = view
        self._selection = selection

    def holds(self, version: int | None, now: float, defer: Defer) -> bool:
        """Whether a name still means what it meant by this version of the aliases. None: it can be
        no alias. Waits for nothing."""
        if version is None:
            return True
        return self._view.is_usable(now, defer) and self._view.version == version != UNREAD

    async def apply(self, context: RequestContext, call: Call) -> Call:
        """The call as its alias wants it, or as it came. Raises NotFound, NoProviderAvailable (400)
        where none of the targets is meant for it, InternalError (503)."""
        if (spelling := _spell(call.routing)) is None:
            return call
        try:
            return await self._apply(context, call, spelling)
        except ProxyError:
            record_call(context, call)
            raise

    async def _apply(self, context: RequestContext, call: Call, spelling: Spelling) -> Call:
        alias = await self._find(context, spelling)
        call = structs.replace(call, alias_version=self._view.version)
        if alias is None:
            return call
        call = _put_preset(context, call, alias)
        needs, cache = Needs.of(call.chat), alias.cache
        found = _describe(
            context,
            call.metadata,
            frozenset(needs.abilities) | ({"reasoning"} if needs.reasoning else set()),
            lambda: ChatEstimate(call.chat).input,
        )
        return structs.replace(
            call,
            routing=_route(context, call.routing, spelling, alias, found),
            alias_cache=CacheControl(ttl=cache.ttl, mode=cache.mode) if cache else CacheControl(),
        )

    async def apply_words(self, context: RequestContext, call: Call) -> Call:
        """The call with what its alias puts into it, for one whose tokens are counted."""
        spelling = _spell(call.routing)
        alias = await self._find(context, spelling) if spelling else None
        return _put_preset(context, call, alias) if alias else call

    async def apply_to_embedding(
        self, context: RequestContext, request: EmbeddingRequest
    ) -> EmbeddingRequest:
        """The same as `apply`, for texts to embed: an alias's parameters mean nothing to them."""
        spelling = _spell(request.routing)
        alias = await self._find(context, spelling) if spelling else None
        if alias is None or spelling is None:
            return request
        estimate = EmbeddingEstimate(request)
        found = _describe(
            context, request.metadata, frozenset(), lambda: estimate.expected(None).input
        )
        routing = _route(context, request.routing, spelling, alias, found)
        return structs.replace(request, routing=routing)

    async def resolve(self, context: RequestContext, name: str, *, texts: bool) -> Aliased | str:
        """The models that a name stands for, in the order of the alias, or the name of the model
        that it means, for a request that goes on unread: it needs no ability, and its prompt counts
        as empty. texts: whether a model of chats answers. Raises like `apply`, and InvalidRequest
        for an alias that such a request would get around."""
        routing = Routing(model=name)
        spelling = _spell(routing)
        alias = await self._find(context, spelling) if spelling else None
        if alias is None or spelling is None:
            return name
        if spelling.model:
            return spelling.model
        if texts and (alias.system or alias.fixed.list_given()):
            raise InvalidRequest(
                f"model: The alias {alias.name!r} has a system prompt or fixed parameters, which"
                " can't be put into this request. Use POST /v1/chat/completions.",
                param="model",
            )
        context.record.requested_model = alias.name
        found = _describe(context, {}, frozenset(), lambda: 0)
        return _choose(alias, routing, found, context.principal).alias or name

    async def count_targets(self, context: RequestContext, routings: Sequence[Routing]) -> int:
        """The most models that an alias stands for which one of the requests names; 0: none does
        that is known."""
        spellings = [spelling for routing in routings if (spelling := _spell(routing))]
        if not spellings:
            return 0
        await self._look(context)
        known = (self._view.aliases.get(spelling.alias) for spelling in spellings)
        return max((self._count_models(alias) for alias in known if alias), default=0)

    def _count_models(self, alias: Alias) -> int:
        """The models that an alias stands for, at most: a name without a provider's may mean one
        of each."""
        providers = len(self._selection.deployment.configured)
        return sum(1 if "/" in target.model else providers for target in alias.targets)

    async def list_models(self, context: RequestContext) -> list[ModelEntry]:
        """The aliases that the caller may use."""
        await self._look(context)
        entries = (self._describe_model(a.name, a, context) for a in self._view.aliases.values())
        return [entry for entry in entries if entry]

    async def find_entry(self, context: RequestContext, name: str) -> ModelEntry | None:
        """The alias that the caller may use by any spelling of its name."""
        spelling = _spell(Routing(model=name))
        if spelling is None or spelling.model:
            return None
        await self._look(context)
        alias = self._view.aliases.get(spelling.alias)
        return self._describe_model(name, alias, context) if alias else None

    async def _find(self, context: RequestContext, spelling: Spelling) -> Alias | None:
        """The alias of a name; None: it is a model's. Raises NotFound, InternalError (503)."""
        await self._look(context)
        alias = self._view.aliases.get(spelling.alias)
        if alias is None and spelling.is_certain:
            if self._view.version == UNREAD:
                raise self._view.unreachable()
            raise NotFound(
                f"There is no alias {spelling.alias[:100]!r}.",
                param="model",
                code="model_not_found",
            )
        return alias

    async def _look(self, context: RequestContext) -> None:
        """Reads the aliases where what is known of them is too old."""
        if not self._view.is_usable(context.began, context.request.defer):
            await self._view.read()

    def _describe_model(
        self, name: str, alias: Alias, context: RequestContext
    ) -> ModelEntry | None:
        """An alias in the list of models, with what is known of its first target that the caller
        may use; None: there is none."""
        principal = context.principal
        grant = principal.grant if principal else ModelGrant()
        if names_alias(grant.models, alias.name):
            grant = structs.replace(grant, models=())
        key_id, user = (principal.key_id, principal.user) if principal else (None, "")
        for target in alias.targets:
            if not admits_caller(target.when, key_id, user):
                continue
            if entry := self._selection.find_entry(target.model, grant):
                return structs.replace(entry, id=name, owned_by="proxy")
            if not (grant.models or self._selection.names.find_listed(target.model)):
                return ModelEntry(id=name, owned_by="proxy")
        return None


def _spell(routing: Routing) -> Spelling | None:
    """What a request's model says of aliases; None: it can be none."""
    if routing.provider is not None or routing.model in TIERS:
        return None
    return read_spelling(routing.model)


def _put_preset(context: RequestContext, call: Call, alias: Alias) -> Call:
    """The call with the alias's parameters and system prompt. A body that is written anew counts
    beside the one that came."""
    changed = put_preset(call, alias.preset)
    body = changed.chat.body
    if context.hold and body is not None and body is not call.chat.body:
        context.hold.keep(context.hold.size + len(body))
    return changed


def _route(
    context: RequestContext,
    routing: Routing,
    spelling: Spelling,
    alias: Alias,
    found: Circumstances,
) -> Routing:
    """The routing to the model that is spelled out, else to the alias's targets; within the
    request's own time, else the alias's. Raises NoProviderAvailable (400)."""
    routing = with_timeout(routing, context.request.headers)
    if routing.timeout_ms is None and alias.timeout is not None:
        routing = structs.replace(routing, timeout_ms=alias.timeout)
    if spelling.model:
        return structs.replace(routing, model=spelling.model)
    return _choose(alias, routing, found, context.principal)


def _describe(
    context: RequestContext,
    labels: Mapping[str, str],
    needs: frozenset[str],
    count_tokens: Callable[[], int],
) -> Circumstances:
    """What an alias's conditions may be about. labels: the body's."""
    principal = context.principal
    assert principal  # no path that serves is public
    return Circumstances(
        key_id=principal.key_id,
        user=principal.user,
        metadata={**read_metadata(context.request.headers), **labels},
        needs=needs,
        count_tokens=count_tokens,
    )


def _choose(
    alias: Alias, routing: Routing, found: Circumstances, principal: Principal | None
) -> Routing:
    """The routing to the targets that are meant for a request. Raises NoProviderAvailable (400)."""
    reasons = [explain_refusal(target.when, found) for target in alias.targets]
    is_weighted = alias.order == "weighted"
    choices = [
        Choice(
            id=target.own_id,
            model=target.model,
            weight=(1.0 if target.weight is None else target.weight) if is_weighted else None,
            allotment=target.make_allotment(alias.name),
        )
        for target, reason in zip(alias.targets, reasons, strict=True)
        if reason is None
    ]
    if not choices:
        ids = (target.own_id for target in alias.targets)
        why = "; ".join(f"{id_}: {why}" for id_, why in zip(ids, reasons, strict=True))
        raise NoProviderAvailable(
            f"The alias {alias.name!r} has no target for this request ({why}).",
            param="model",
            cause=Cause(status=400),
        )
    fallback = routing.fallback
    is_grouped = alias.order != "priority"
    return structs.replace(
        routing,
        model=alias.name,
        strategy=alias.order if is_grouped else routing.strategy,
        fallback=fallback if alias.fallback or fallback is False else (),
        alias=Aliased(
            choices=tuple(choices),
            grouped=is_grouped,
            licensed=bool(principal and names_alias(principal.grant.models, alias.name)),
        ),
    )
