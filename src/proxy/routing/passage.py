"""Requests that go on as they are: to which provider and where, and how that ended for its health.
There is one attempt, and no other provider."""

import asyncio

from msgspec import Struct, structs

from proxy.core.chat import ChatRequest, Wire
from proxy.core.choices import Aliased, Choice
from proxy.core.errors import (
    Fault,
    InvalidRequest,
    NoProviderAvailable,
    NotFound,
    Outcome,
    PermissionDenied,
)
from proxy.core.permit import Permit
from proxy.core.ports import Defer, Outgoing, Ports, Reply
from proxy.core.principal import ModelGrant
from proxy.providers.address import build_url, place, strip_version
from proxy.providers.registry import ADAPTERS
from proxy.providers.specs import Model
from proxy.providers.target import Target
from proxy.routing.affinity import Conversation
from proxy.routing.deadline import out_of_time
from proxy.routing.needs import Needs
from proxy.routing.selection import Selection
from proxy.routing.watch import Watch, WatchedAttempt

_BINDING = "workers-ai"


class Wish(Struct, frozen=True, kw_only=True):
    """What is to be passed on, and where: in the caller's words."""

    provider: str
    path: str
    """Below the provider's base URL, without a slash before it, percent-encoded."""
    query: str = ""
    """As it was sent."""
    root: str = ""
    """The path here that stands for the provider's base URL."""
    versioned: bool = False
    """See providers.address.place."""


class Passage:
    """The way on for the requests of an isolate."""

    def __init__(self, selection: Selection, watch: Watch, ports: Ports, timeout_ms: int) -> None:
        """timeout_ms: until an answer's headers, where a request does not say."""
        self.timeout_ms = timeout_ms
        self._selection = selection
        self._watch = watch
        self._ports = ports
        self.log = ports.log

    @property
    def priced_at(self) -> float | None:
        """The moment whose prices hold now (routing.calendar)."""
        return self._selection.calendar.now

    def check_provider(self, name: str, grant: ModelGrant) -> None:
        """Raises NotFound for a name that is no provider's, or a provider without an address;
        NoProviderAvailable where it may not be called, PermissionDenied where not by this key."""
        spec = self._selection.catalog.providers.get(name)
        if spec is None:
            known = ", ".join(self._selection.catalog.providers)
            raise NotFound(f"{name[:100]!r} is no provider; there are {known}.", code="unknown_url")
        if spec.main == _BINDING:
            raise NotFound(
                f"{name} is reached over a binding and has no address to pass a request on to. Use"
                f" POST /v1/chat/completions or /v1/embeddings with {name}/MODEL.",
                code="unknown_url",
            )
        if reason := self._selection.deployment.reasons.get(name):
            raise NoProviderAvailable(f"{name} can't answer: {reason}.")
        if grant.providers and name not in grant.providers:
            raise PermissionDenied(f"This key may not: use {name}.")

    def find_target(self, wish: Wish, model: str | None) -> Target:
        """The provider in the dialect that the path is of; model: as the provider calls it."""
        named = self._find_model(wish.provider, model) if model else Model(provider="", id="")
        target = self._selection.deployment.make_target(
            structs.replace(named, provider=wish.provider)
        )
        first = strip_version(wish.path).partition("/")[0]
        wire: Wire | None = "messages" if first == "messages" else None
        wire = "responses" if first == "responses" else wire
        return target.speaking(wire) if wire and wire in target.spec.endpoints else target

    def find_chosen(self, aliased: Aliased, grant: ModelGrant) -> tuple[Target, ...]:
        """The models of an alias that may answer, in its order; one at least. Raises the first
        one's error where none may."""
        grant = structs.replace(grant, models=()) if aliased.licensed else grant
        targets: list[Target] = []
        refusal: Exception | None = None
        for choice in aliased.choices:
            try:
                targets.append(self.find_named(choice.model, grant, choice))
            except (NotFound, InvalidRequest, PermissionDenied, NoProviderAvailable) as error:
                refusal = refusal or error
        if refusal and not targets:
            raise refusal
        return tuple(targets)

    def find_named(self, name: str, grant: ModelGrant, choice: Choice | None = None) -> Target:
        """The model that a name means at the first provider that may answer and has OpenAI's
        endpoints. choice: of an alias, whose model it is. Raises NotFound, InvalidRequest,
        PermissionDenied, NoProviderAvailable."""
        if self._selection.names.find_tier(name):
            why = f"model: {name!r} is a tier, which stands for chat models. Name a model."
            raise InvalidRequest(why, param="model")
        order = self._selection.deployment.order
        models = self._selection.names.find_models(name, None, Needs(), order)
        refusal: Exception | None = None
        for model in models:
            try:
                self.check_provider(model.provider, grant)
                self.check_models(model.provider, (model.wire_id,), grant)
                return self._speak_chat(self._selection.deployment.make_target(model, choice))
            except (NotFound, InvalidRequest, PermissionDenied, NoProviderAvailable) as error:
                refusal = refusal or error
        assert refusal  # a name means one model at least
        raise refusal

    def _speak_chat(self, target: Target) -> Target:
        """The target in OpenAI's dialect. Raises InvalidRequest where its provider has none."""
        provider = target.spec.name
        if "chat" not in target.spec.endpoints:
            raise InvalidRequest(
                f"model: {provider} has no such endpoint; its own are below /p/{provider}.",
                param="model",
            )
        return target.speaking("chat")

    def check_models(self, provider: str, names: tuple[str, ...], grant: ModelGrant) -> None:
        """Raises PermissionDenied unless the key may use all of them; none: it is not known
        which."""
        if not grant.models:
            return
        if not names:
            raise PermissionDenied(
                "This key may use some models only, and which one this request is for can't be"
                " told: send it where the path, or the one field `model` of an uncompressed body"
                " of JSON or a form, names it.",
                param="model",
            )
        granted = self._selection.license(grant)
        for name in names:
            if why := granted.forbids(self._find_model(provider, name)):
                raise PermissionDenied(f"This key may not: {why}.", param="model")

    def find_url(self, target: Target, wish: Wish) -> str:
        """The address as it is fetched. Raises InvalidRequest for one that would lead elsewhere."""
        base = target.base_url
        if strip_version(wish.path) == "embeddings" and target.embeddings_url:
            base = target.embeddings_url
        where = place(target.spec.main, base, wish.path, versioned=wish.versioned)
        return build_url(where, wish.query, self._ports.parse_url)

    def choose_key(self, target: Target, user: str) -> Target:
        """The target with the key of the call: a user keeps to one, since files and the like are an
        account's. Nothing may be awaited before `send`."""
        holder = Conversation(ChatRequest(messages=()), "", user)
        return self._watch.keys.assign(target, lambda: holder) or target

    def find_origin(self, target: Target) -> str:
        """What stands before the paths of a provider's own API: its base URL without a version, as
        `place` has it."""
        there = place(target.spec.main, target.base_url, "v1/x", versioned=False)
        return there.root.removesuffix("/v1") if target.spec.main == "gemini" else there.root

    async def send(
        self, target: Target, outgoing: Outgoing, seconds: float, *, own: bool
    ) -> tuple[Reply, WatchedAttempt]:
        """The answer whose headers have come, and the attempt, which has to be ended. own: whether
        all that was sent was here before, and the time is the deployment's: a provider that is
        silent then has failed. Raises Fault."""
        watched = WatchedAttempt(self._watch, target)
        fault: Fault
        try:
            async with asyncio.timeout(seconds):
                return await self._ports.upstream.send(outgoing, idle=seconds), watched
        except TimeoutError:
            fault = Fault("timeout", "The answer did not come in time.") if own else out_of_time()
        except Fault as error:
            fault = error
            if not own:  # the caller's own connection may have broken
                fault.blame = "caller"
        except BaseException:
            watched.end(Outcome("gone", "proxy"))
            raise
        watched.end(fault.outcome)
        raise fault

    async def start(self, defer: Defer) -> None:
        """Exchanges news of the providers' health, where that is due."""
        await self._watch.start(defer)

    def observe(self, target: Target, permit: Permit, reply: Reply, fault: Fault | None) -> None:
        """Takes note of what an answer says of the key and of the provider's limits."""
        self._watch.keys.observe(target, permit, reply.headers, fault)

    def read_fault(self, target: Target, reply: Reply, head: bytes) -> Fault:
        """What a refusal means, by the beginning of its body."""
        read = ADAPTERS[target.wire].read_fault
        return read(target, reply.status, reply.headers, head, self._ports.clock.now())

    def _find_model(self, provider: str, name: str) -> Model:
        """The model that a provider calls so, which is no other under an alias."""
        found = self._selection.catalog.find(provider, name)
        is_it = found and (found.provider, found.wire_id) == (provider, name)
        return found if found and is_it else Model(provider=provider, id=name)
