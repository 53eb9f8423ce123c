"""What every provider's file offers: the same seven functions, pure, from core.chat to the
provider's wire format and back. A module is the adapter; `Adapter` is its shape."""

from collections.abc import Mapping
from typing import Protocol

from proxy.core.chat import Answer, ChatRequest
from proxy.core.embedding import EmbeddingRequest, Embeddings
from proxy.core.errors import Fault
from proxy.core.ports import Outgoing
from proxy.providers.stream import StreamDecoder
from proxy.providers.target import Target


class Adapter(Protocol):
    """A provider's dialect."""

    def build_request(self, target: Target, chat: ChatRequest) -> Outgoing:
        """The call. Raises InvalidRequest for what this dialect can in no way carry."""

    def read_answer(self, target: Target, body: bytes) -> Answer:
        """Reads a whole answer of status 2xx. Raises Fault("garbage") that says what came
        where something needed is missing, or the Fault that the body itself holds."""

    def make_decoder(self, target: Target) -> StreamDecoder:
        """A decoder for one streamed answer."""

    def read_fault(
        self,
        target: Target,
        status: int,
        headers: Mapping[str, str],
        body: bytes,
        now: float | None = None,
    ) -> Fault:
        """What an answer of another status means. now: seconds since 1970; without it no moment
        that the answer names is read as a wait. Never raises, whatever the body is."""

    def build_embedding_request(self, target: Target, request: EmbeddingRequest) -> Outgoing:
        """The call for embeddings. Raises InvalidRequest where the provider has none."""

    def read_embeddings(self, target: Target, request: EmbeddingRequest, body: bytes) -> Embeddings:
        """Reads the vectors, in the form that the request wants. Raises Fault like `answer`."""

    def build_probe(self, target: Target) -> Outgoing:
        """The cheapest call that needs the key: it lists models or the like."""
