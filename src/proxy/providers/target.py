"""What a call goes to: one model at one provider, in one dialect."""

from collections.abc import Mapping
from functools import cached_property

from msgspec import Struct, structs

from proxy.core.chat import ChatRequest, Wire
from proxy.core.choices import Choice
from proxy.core.json_guard import Decoder
from proxy.core.permit import Offer
from proxy.core.ports import Body, Outgoing
from proxy.providers.prices import Prices
from proxy.providers.specs import Endpoint, Model, ProviderSpec


class _Offered(Struct):
    type: str


class _Offer(Struct):
    tools: list[_Offered] | None = None


_OFFER = Decoder(_Offer)


class Target(Struct, frozen=True, dict=True):
    """One model at one provider, with what it takes to call it."""

    spec: ProviderSpec
    model: Model
    base_url: str
    """Where `wire` is spoken."""
    wire: Wire
    own_base: str | None = None
    """Where the deployment wants the provider to be called, if it says so."""
    key: str | None = None
    """The one of the provider's keys that a call has."""
    key_number: int = 0
    """Which it is, from 1; 0: there are no others."""
    embeddings_url: str | None = None
    """Where embeddings are served, if not under base_url."""
    listed: bool = True
    """Whether the catalogue has the model."""
    secrets: tuple[str, ...] = ()
    """What no error may show, beside `key`."""
    stand_in: Prices | None = None
    """The prices by which a budget counts a model that has none of its own."""
    choice: Choice | None = None
    """The choice of an alias that it stands for."""

    @cached_property
    def name(self) -> tuple[str, str]:
        """Its provider and its model."""
        return self.spec.name, self.model.id

    @property
    def endpoint(self) -> Endpoint:
        """Where and how `wire` is spoken."""
        return self.spec.endpoints[self.wire]

    @cached_property
    def auth_headers(self) -> dict[str, str]:
        """The headers that every call has: the key, and what the catalogue adds."""
        return self.key_headers | self.spec.headers | self.endpoint.headers

    @property
    def key_headers(self) -> dict[str, str]:
        """The header that holds the key; none where there is no key."""
        if not self.key:
            return {}
        if self.wire == "gemini":
            return {"x-goog-api-key": self.key}
        name = self.endpoint.key_header
        return {name: f"Bearer {self.key}" if name == "authorization" else self.key}

    def build_post(
        self, url: str, body: Body, dropped: tuple[str, ...] = (), *, streamed: bool = False
    ) -> Outgoing:
        """A call with a body of JSON. dropped, as in Outgoing; streamed: whether its answer is."""
        accept = "text/event-stream" if streamed else "application/json"
        own = {"accept": accept, "content-type": "application/json"}
        return Outgoing(url=url, headers=own | self.auth_headers, body=body, dropped=dropped)

    def build_get(self, url: str) -> Outgoing:
        """A call without a body."""
        headers = {"accept": "application/json", **self.auth_headers}
        return Outgoing(method="GET", url=url, headers=headers)

    @cached_property
    def refused(self) -> frozenset[str]:
        """The fields that provider or model refuse in this dialect, by OpenAI's names."""
        return frozenset((*self.spec.drop, *self.endpoint.drop, *self.model.drop))

    @cached_property
    def refused_in_messages(self) -> frozenset[str]:
        """The fields of messages that provider or model refuse."""
        return frozenset((*self.spec.message_drop, *self.model.message_drop))

    @cached_property
    def renamed(self) -> Mapping[str, str]:
        """The fields that provider or model call by another name, by OpenAI's."""
        return self.spec.rename | self.model.rename

    @cached_property
    def efforts(self) -> Mapping[str, str]:
        """The values of `reasoning_effort` that it refuses, and what they become."""
        return self.spec.efforts | self.model.efforts

    @property
    def takes_schema(self) -> bool:
        """Whether it takes a response_format of type json_schema."""
        own = self.model.json_schema
        return self.spec.json_schema if own is None else own

    def choose_wire(self, chat: ChatRequest) -> Wire:
        """The dialect for a request: its caller's, where the model has it there, else the first."""
        if self.wire == chat.dialect and not (chat.tools or self.model.endpoints):
            return self.wire  # most requests
        wires = self.model.endpoints or tuple(self.spec.endpoints)
        if chat.tools and self.model.tools_endpoint:
            wires = (self.model.tools_endpoint,)
        return chat.dialect if chat.dialect in wires and self._takes_tools(chat) else wires[0]

    def _takes_tools(self, chat: ChatRequest) -> bool:
        """Whether the provider has the tools of a caller of Responses, of which most have functions
        alone: others are turned into such where the request is translated."""
        if chat.dialect != "responses" or self.spec.custom_tools or chat.native_only:
            return True
        tools = chat.tools if chat.body is None else _OFFER.decode(chat.body).tools or ()
        return all(tool.type == "function" for tool in tools)

    def speaking(self, wire: Wire) -> "Target":
        """The same, spoken to in another dialect."""
        if wire == self.wire:
            return self
        base = self.own_base or self.spec.endpoints[wire].base_url or self.spec.base_url or ""
        return structs.replace(self, wire=wire, base_url=base)

    @property
    def all_secrets(self) -> tuple[str, ...]:
        """What no error may show."""
        return (self.key or "", *self.secrets)

    @property
    def vendors_chosen(self) -> bool:
        """Whether the caller chose among the vendors behind the model: what these do says nothing
        of it to others."""
        return "provider" in self.model.send

    @cached_property
    def offer(self) -> Offer:
        """The model as limits and budgets see it."""
        model = self.model
        prices = model.prices if model.is_priced else self.stand_in
        return Offer(
            provider=self.spec.name,
            model=model.id,
            most=prices.bound_cost if prices else None,
            max_output=model.max_output,
            context=model.context,
            allotment=self.choice.allotment if self.choice else None,
        )
