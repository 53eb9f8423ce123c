"""OpenAI's dialect, as OpenAI and all that follow it speak it: DeepSeek, Groq, OpenRouter,
Hugging Face's router, llama.cpp, Ollama, vLLM. What sets them apart is data in the catalogue.
"""

import msgspec
from msgspec import Raw, Struct

from proxy.core.chat import ChatRequest
from proxy.core.embedding import EmbeddingRequest, Embeddings
from proxy.core.json_guard import Decoder
from proxy.core.ports import Outgoing
from proxy.core.splice import NULL
from proxy.providers.faults import read_fault as read_fault
from proxy.providers.faults import read_inner_fault
from proxy.providers.garbage import decode
from proxy.providers.openai_answer import read_answer as read_answer
from proxy.providers.openai_request import build_body, fit_fields
from proxy.providers.openai_stream import OpenAIReader
from proxy.providers.surrogates import mend
from proxy.providers.target import Target
from proxy.providers.usage import read_usage
from proxy.providers.vectors import VECTOR_VALUES, Vector, convert_vectors

make_decoder = OpenAIReader.make_decoder


class _Embedding(Struct):
    embedding: Vector
    index: int | None = None


class _EmbeddingList(Struct):
    data: list[_Embedding] | None = None
    model: str | None = None
    usage: Raw = NULL
    error: object = None


_EMBEDDING_LIST = Decoder(_EmbeddingList)
_EMBEDDING_FIELDS = frozenset({"model", "input", "encoding_format", "dimensions", "user"})


def build_request(target: Target, chat: ChatRequest) -> Outgoing:
    """The call for an answer."""
    body, dropped = build_body(target, chat)
    url = _build_url(target.base_url, "/chat/completions")
    return target.build_post(url, body, dropped, streamed=chat.stream)


def build_embedding_request(target: Target, request: EmbeddingRequest) -> Outgoing:
    """The call for embeddings, in the form that the caller wants them in."""
    is_list = request.listed or len(request.input) > 1
    values = {
        **target.model.send,
        "model": target.model.wire_id,
        "input": request.input if is_list else request.input[0],
        "encoding_format": "base64" if request.base64 else None,
        "dimensions": request.dimensions,
        "user": request.user,
    }
    known = {k: Raw(msgspec.json.encode(v)) for k, v in values.items() if v is not None}
    fields = known | request.extra
    dropped = fit_fields(target, fields, _EMBEDDING_FIELDS)
    url = _build_url(target.embeddings_url or target.base_url, "/embeddings")
    return target.build_post(url, msgspec.json.encode(fields), dropped)


def read_embeddings(target: Target, request: EmbeddingRequest, body: bytes) -> Embeddings:
    """Reads the vectors in the order of the inputs."""
    response = decode(target, _EMBEDDING_LIST, mend(body), VECTOR_VALUES)
    if response.error:
        raise read_inner_fault(target, body)
    data = response.data or []
    if all(item.index is not None for item in data):
        data = sorted(data, key=lambda item: item.index or 0)
    return Embeddings(
        vectors=convert_vectors(target, request, [item.embedding for item in data], body),
        model=response.model,
        usage=read_usage(target, response.usage, len(request.input)).usage,
    )


def build_probe(target: Target) -> Outgoing:
    """The call that a health check makes."""
    return target.build_get(_build_url(target.base_url, target.spec.probe_path or ""))


def _build_url(base: str, path: str) -> str:
    return base.rstrip("/") + path
