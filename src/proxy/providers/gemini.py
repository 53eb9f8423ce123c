"""Gemini's own API, generateContent: what its OpenAI-compatible path cannot carry (thought
signatures of every part, thoughts, schemas of tools as they are) comes through here.
"""

import re
from urllib.parse import quote

import msgspec
from msgspec import Raw, Struct

from proxy.core.chat import ChatRequest
from proxy.core.embedding import EmbeddingRequest, Embeddings
from proxy.core.errors import invalid
from proxy.core.json_guard import Decoder
from proxy.core.ports import Outgoing
from proxy.core.splice import NULL
from proxy.providers.faults import read_fault as read_fault
from proxy.providers.faults import read_inner_fault
from proxy.providers.garbage import decode
from proxy.providers.gemini_answer import GeminiReader
from proxy.providers.gemini_answer import read_answer as read_answer
from proxy.providers.gemini_request import build_body
from proxy.providers.target import Target
from proxy.providers.usage import Counts, believe, read_object
from proxy.providers.vectors import VECTOR_VALUES, convert_vectors

make_decoder = GeminiReader.make_decoder


class _ContentEmbedding(Struct):
    values: tuple[float, ...]


class _EmbedContentResponse(Struct, rename="camel"):
    """The answer to batchEmbedContents, or to embedContent (`embedding`)."""

    embeddings: list[_ContentEmbedding] | None = None
    embedding: _ContentEmbedding | None = None
    usage_metadata: Raw = NULL
    error: object = None


_EMBEDDINGS = Decoder(_EmbedContentResponse)
_SEGMENT = r"(?!\.{1,2}(?:/|\Z))[^/]+"
_MODEL = re.compile(rf"(?:(?:publishers/{_SEGMENT}/)?models|tunedModels)/{_SEGMENT}")
"""A model's resource name. A segment of dots would lead out of the models, with the proxy's key."""


def build_request(target: Target, chat: ChatRequest) -> Outgoing:
    """The call for an answer."""
    body, dropped = build_body(target, chat)
    method = ":streamGenerateContent?alt=sse" if chat.stream else ":generateContent"
    url = _build_url(target, target.base_url, method)
    return target.build_post(url, body, dropped, streamed=chat.stream)


def build_embedding_request(target: Target, request: EmbeddingRequest) -> Outgoing:
    """The call for embeddings: one batch. Raises InvalidRequest for tokens in place of text."""
    texts = [text for text in request.input if isinstance(text, str)]
    if len(texts) != len(request.input):
        raise invalid("input", "Gemini embeds texts, not tokens.")
    size = {"outputDimensionality": request.dimensions} if request.dimensions else {}
    model = _build_path(target)
    requests = [{"model": model, "content": {"parts": [{"text": text}]}, **size} for text in texts]
    url = _build_url(target, target.embeddings_url or target.base_url, ":batchEmbedContents")
    return target.build_post(url, msgspec.json.encode({"requests": requests}))


def read_embeddings(target: Target, request: EmbeddingRequest, body: bytes) -> Embeddings:
    """Reads the vectors."""
    response = decode(target, _EMBEDDINGS, body, VECTOR_VALUES)
    if response.error:
        raise read_inner_fault(target, body)
    found = response.embeddings or ([response.embedding] if response.embedding else [])
    counts = Counts(input=read_object(response.usage_metadata).get("promptTokenCount"))
    return Embeddings(
        vectors=convert_vectors(target, request, [vector.values for vector in found], body),
        model=target.model.wire_id,
        usage=believe(target, counts, len(request.input)),
    )


def build_probe(target: Target) -> Outgoing:
    """The call that a health check makes."""
    return target.build_get(
        f"{target.base_url.rstrip('/')}{target.spec.probe_path or ''}?pageSize=1"
    )


def _build_path(target: Target) -> str:
    """The model's resource name: `models/…`, or what kind it says itself. Raises InvalidRequest for
    a name that no model can have."""
    name = target.model.wire_id
    path = name if "/" in name else f"models/{name}"
    if not _MODEL.fullmatch(path):
        use = "gemini-3.8-flash, models/gemini-3.8-flash or tunedModels/mine"
        raise invalid("model", f"{name!r} is no model of Gemini's; name one as {use}.")
    return path


def _build_url(target: Target, base: str, method: str) -> str:
    return f"{base.rstrip('/')}/{quote(_build_path(target))}{method}"
