"""Gemini's own API, generateContent: what its OpenAI-compatible path cannot carry (thought
signatures of every part, thoughts, schemas of tools as they are) comes through here.
"""

import re
from collections.abc import Mapping
from urllib.parse import quote

import msgspec
from msgspec import Raw, Struct

from proxy.core.chat import ChatRequest, EmbeddingRequest, Embeddings
from proxy.core.errors import Fault, InvalidRequest
from proxy.core.nesting import Decoder
from proxy.core.ports import Outgoing
from proxy.providers import faults, gemini_answer
from proxy.providers.adapter import Target
from proxy.providers.gemini_answer import answer
from proxy.providers.gemini_request import chat_body
from proxy.providers.usage import UNREPORTED, believed, decoded
from proxy.providers.wire import VECTOR_VALUES, vectors

__all__ = [
    "answer",
    "decoder",
    "embedding_request",
    "embeddings",
    "fault",
    "probe",
    "request",
]


class _Vector(Struct):
    values: tuple[float, ...]


class _Vectors(Struct, rename="camel"):
    """The answer to batchEmbedContents, or to embedContent (`embedding`)."""

    embeddings: list[_Vector] | None = None
    embedding: _Vector | None = None
    usage_metadata: Raw = UNREPORTED
    error: object = None


_VECTORS = Decoder(_Vectors)
_SEGMENT = r"(?!\.{1,2}(?:/|\Z))[^/]+"
_MODEL = re.compile(rf"(?:(?:publishers/{_SEGMENT}/)?models|tunedModels)/{_SEGMENT}")
"""A model's resource name. A segment of dots would lead out of the models, with the proxy's key."""


def request(target: Target, chat: ChatRequest) -> Outgoing:
    """The call for an answer."""
    body, dropped = chat_body(target, chat)
    method = ":streamGenerateContent?alt=sse" if chat.stream else ":generateContent"
    return Outgoing(
        url=_url(target, target.base_url, method),
        headers=_headers(target, "text/event-stream" if chat.stream else "application/json"),
        body=body,
        dropped=dropped,
    )


def decoder(target: Target) -> gemini_answer.Decoder:
    """A reader for one streamed answer."""
    return gemini_answer.Decoder(target)


def fault(
    target: Target,
    status: int,
    headers: Mapping[str, str],
    body: bytes,
    now: float | None = None,
) -> Fault:
    """What an answer of another status than 2xx means."""
    return faults.fault(target, faults.read(body), status, headers, now)


def embedding_request(target: Target, ask: EmbeddingRequest) -> Outgoing:
    """The call for embeddings: one batch. Raises InvalidRequest for tokens in place of text."""
    texts = [text for text in ask.input if isinstance(text, str)]
    if len(texts) != len(ask.input):
        raise InvalidRequest("input: Gemini embeds texts, not tokens.", param="input")
    size = {"outputDimensionality": ask.dimensions} if ask.dimensions else {}
    model = _path(target)
    requests = [{"model": model, "content": {"parts": [{"text": text}]}, **size} for text in texts]
    return Outgoing(
        url=_url(target, target.embeddings_url or target.base_url, ":batchEmbedContents"),
        headers=_headers(target, "application/json"),
        body=msgspec.json.encode({"requests": requests}),
    )


def embeddings(target: Target, ask: EmbeddingRequest, body: bytes) -> Embeddings:
    """Reads the vectors."""
    try:
        told = _VECTORS.decode(body, VECTOR_VALUES)
    except faults.UNREADABLE as error:
        raise faults.unread(target, error, body) from error
    if told.error:
        raise faults.fault(target, faults.read(body))
    found = told.embeddings or ([told.embedding] if told.embedding else [])
    counts = decoded(told.usage_metadata)
    return Embeddings(
        vectors=vectors(target, ask, [vector.values for vector in found], body),
        model=target.model.wire_id,
        usage=believed(target, counts.get("promptTokenCount"), None, texts=len(ask.input)),
    )


def probe(target: Target) -> Outgoing:
    """The call that a health check makes."""
    url = f"{target.base_url.rstrip('/')}{target.spec.probe_path}?pageSize=1"
    return Outgoing(method="GET", url=url, headers=_headers(target, "application/json"))


def _headers(target: Target, accept: str) -> dict[str, str]:
    key = {"x-goog-api-key": target.key} if target.key else {}
    return {"content-type": "application/json", "accept": accept, **key, **target.spec.headers}


def _path(target: Target) -> str:
    """The model's resource name: `models/…`, or what kind it says itself. Raises InvalidRequest for
    a name that no model can have."""
    name = target.model.wire_id
    path = name if "/" in name else f"models/{name}"
    if not _MODEL.fullmatch(path):
        raise InvalidRequest(
            f"model: {name!r} is no model of Gemini's; name one as gemini-3.8-flash,"
            " models/gemini-3.8-flash or tunedModels/mine.",
            param="model",
        )
    return path


def _url(target: Target, base: str, method: str) -> str:
    return f"{base.rstrip('/')}/{quote(_path(target))}{method}"
