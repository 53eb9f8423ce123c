"""What every provider's file offers: the same seven functions, pure, from core.chat to the
provider's wire format and back. A module is the adapter; `Adapter` is its shape."""

from collections.abc import Mapping
from typing import Protocol

from msgspec import Struct

from proxy.core.chat import Answer, ChatRequest, Chunk, EmbeddingRequest, Embeddings
from proxy.core.errors import Fault
from proxy.core.permit import Offer
from proxy.core.ports import Outgoing
from proxy.providers.catalog import Model, ProviderSpec


class Target(Struct, frozen=True):
    """One model at one provider, with what it takes to call it."""

    spec: ProviderSpec
    model: Model
    base_url: str
    key: str | None = None
    embeddings_url: str | None = None
    """Where embeddings are served, if not under base_url."""
    listed: bool = True
    """Whether the catalogue has the model."""
    secrets: tuple[str, ...] = ()
    """What no error of the provider's may show, beside `key`."""
    stand_in: Model | None = None
    """The model by whose price a budget counts this one, where it has no price of its own."""

    @property
    def vendors_chosen(self) -> bool:
        """Whether the caller chose among the vendors behind the model: what these do says nothing
        of it to others."""
        return "provider" in self.model.send

    @property
    def offer(self) -> Offer:
        """The model as limits and budgets see it."""
        model = self.model
        priced = model if model.is_priced else self.stand_in
        return Offer(
            provider=self.spec.name,
            model=model.id,
            most=priced.most if priced else None,
            max_output=model.max_output,
            context=model.context,
        )


class Decoder(Protocol):
    """Turns the bytes of one streamed answer into chunks."""

    finished: bool
    """Whether the provider said why it stopped. A stream that ends without is broken."""
    over: bool
    """Whether nothing more need be read: the provider has said that this was all, or a fault
    waits. `end` gives what is left."""

    def feed(self, data: bytes) -> list[Chunk]:
        """The chunks that `data` completes. Raises Fault for an error told in the stream
        (with the kind that its status would have) and for what cannot be read (garbage)."""

    def end(self) -> list[Chunk]:
        """The body has ended cleanly: the chunks still held back. Raises Fault likewise."""


class Adapter(Protocol):
    """A provider's dialect."""

    def request(self, target: Target, chat: ChatRequest) -> Outgoing:
        """The call. Raises InvalidRequest for what this dialect can in no way carry."""

    def answer(self, target: Target, body: bytes) -> Answer:
        """Reads a whole answer of status 2xx. Raises Fault("garbage") that says what came
        where something needed is missing, or the Fault that the body tells of itself."""

    def decoder(self, target: Target) -> Decoder:
        """A reader for one streamed answer."""

    def fault(
        self,
        target: Target,
        status: int,
        headers: Mapping[str, str],
        body: bytes,
        now: float | None = None,
    ) -> Fault:
        """What an answer of another status means. now: seconds since 1970; without it no moment
        that the answer names is read as a wait. Never raises, whatever the body is."""

    def embedding_request(self, target: Target, ask: EmbeddingRequest) -> Outgoing:
        """The call for embeddings. Raises InvalidRequest where the provider has none."""

    def embeddings(self, target: Target, ask: EmbeddingRequest, body: bytes) -> Embeddings:
        """Reads the vectors, in the form asked for. Raises Fault like `answer`."""

    def probe(self, target: Target) -> Outgoing:
        """The cheapest call that needs the key: it lists models or the like."""
