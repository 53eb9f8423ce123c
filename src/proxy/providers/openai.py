"""OpenAI's dialect, as OpenAI and all that follow it speak it: DeepSeek, Groq, OpenRouter,
Hugging Face's router, llama.cpp, Ollama, vLLM. What sets them apart is data in the catalogue.
"""

from collections.abc import Mapping

import msgspec
from msgspec import Raw, Struct

from proxy.core.chat import ChatRequest, EmbeddingRequest, Embeddings
from proxy.core.errors import Fault
from proxy.core.nesting import Decoder
from proxy.core.ports import Outgoing
from proxy.providers import faults, openai_stream
from proxy.providers.adapter import Target
from proxy.providers.openai_answer import answer
from proxy.providers.openai_request import chat_body, fit
from proxy.providers.surrogates import mend
from proxy.providers.usage import UNREPORTED, openai_usage
from proxy.providers.wire import VECTOR_VALUES, Vector, vectors

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
    embedding: Vector
    index: int | None = None


class _Vectors(Struct):
    data: list[_Vector] | None = None
    model: str | None = None
    usage: Raw = UNREPORTED
    error: object = None


_VECTORS = Decoder(_Vectors)
_EMBEDDING_FIELDS = frozenset({"model", "input", "encoding_format", "dimensions", "user"})


def request(target: Target, chat: ChatRequest) -> Outgoing:
    """The call for an answer."""
    body, dropped = chat_body(target, chat)
    accept = "text/event-stream" if chat.stream else "application/json"
    return Outgoing(
        url=_url(target.base_url, "/chat/completions"),
        headers=_headers(target, accept) | {"content-type": "application/json"},
        body=body,
        dropped=dropped,
    )


def decoder(target: Target) -> openai_stream.Decoder:
    """A reader for one streamed answer."""
    return openai_stream.Decoder(target)


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
    """The call for embeddings, in the form that the caller wants them in."""
    values = {
        **target.model.send,
        "model": target.model.wire_id,
        "input": ask.input if ask.listed or len(ask.input) > 1 else ask.input[0],
        "encoding_format": "base64" if ask.base64 else None,
        "dimensions": ask.dimensions,
        "user": ask.user,
    }
    told = {k: Raw(msgspec.json.encode(v)) for k, v in values.items() if v is not None}
    fields = told | ask.extra
    dropped = fit(target, fields, _EMBEDDING_FIELDS)
    return Outgoing(
        url=_url(target.embeddings_url or target.base_url, "/embeddings"),
        headers=_headers(target) | {"content-type": "application/json"},
        body=msgspec.json.encode(fields),
        dropped=dropped,
    )


def embeddings(target: Target, ask: EmbeddingRequest, body: bytes) -> Embeddings:
    """Reads the vectors in the order of the inputs."""
    try:
        told = _VECTORS.decode(mend(body), VECTOR_VALUES)
    except faults.UNREADABLE as error:
        raise faults.unread(target, error, body) from error
    if told.error:
        raise faults.fault(target, faults.read(body))
    data = told.data or []
    if all(item.index is not None for item in data):
        data = sorted(data, key=lambda item: item.index or 0)
    return Embeddings(
        vectors=vectors(target, ask, [item.embedding for item in data], body),
        model=told.model,
        usage=openai_usage(target, told.usage, len(ask.input)),
    )


def probe(target: Target) -> Outgoing:
    """The call that a health check makes."""
    url = _url(target.base_url, target.spec.probe_path)
    return Outgoing(method="GET", url=url, headers=_headers(target))


def _headers(target: Target, accept: str = "application/json") -> dict[str, str]:
    key = {"authorization": f"Bearer {target.key}"} if target.key else {}
    return {"accept": accept, **key, **target.spec.headers}


def _url(base: str, path: str) -> str:
    return base.rstrip("/") + path
