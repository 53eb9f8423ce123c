"""Anthropic's Messages, as Anthropic and those who follow it speak it. What sets their models apart
is data in the catalogue.
"""

from proxy.core.chat import ChatRequest
from proxy.core.embedding import EmbeddingRequest, Embeddings
from proxy.core.errors import invalid
from proxy.core.ports import Outgoing
from proxy.providers.anthropic_answer import read_answer as read_answer
from proxy.providers.anthropic_request import build_body
from proxy.providers.anthropic_stream import MessagesReader
from proxy.providers.garbage import garbage
from proxy.providers.native_fault import read_fault as read_fault
from proxy.providers.target import Target

make_decoder = MessagesReader.make_decoder


def build_request(target: Target, chat: ChatRequest) -> Outgoing:
    """The call for an answer."""
    body, dropped = build_body(target, chat)
    return target.build_post(_build_url(target, "/messages"), body, dropped, streamed=chat.stream)


def build_embedding_request(target: Target, request: EmbeddingRequest) -> Outgoing:
    """Raises InvalidRequest: there are no embeddings in this dialect."""
    raise invalid("model", f"{target.spec.name} has no embeddings.")


def read_embeddings(target: Target, request: EmbeddingRequest, body: bytes) -> Embeddings:
    """Raises Fault, as for every answer that holds no vectors."""
    raise garbage(target, "It holds no vectors", body)


def build_probe(target: Target) -> Outgoing:
    """The call that a health check makes."""
    return target.build_get(_build_url(target, target.spec.probe_path or ""))


def _build_url(target: Target, path: str) -> str:
    """The address of a path. Anthropic's own SDK takes a base URL without the version."""
    base = target.base_url.rstrip("/")
    return f"{base if base.endswith('/v1') else f'{base}/v1'}{path}"
