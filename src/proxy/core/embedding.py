"""Requests for embeddings, and the vectors."""

from msgspec import Raw, Struct

from proxy.core.chat import Routing, Usage


class EmbeddingRequest(Struct, frozen=True, kw_only=True):
    """Texts (or token lists) to embed."""

    input: tuple[str, ...] | tuple[tuple[int, ...], ...]
    routing: Routing
    dimensions: int | None = None
    listed: bool = False
    """Whether a single input came in a list: it goes on as it came."""
    base64: bool = False
    """Vectors as base64 of little-endian float32 (OpenAI's `encoding_format`)."""
    user: str | None = None
    metadata: dict[str, str] = {}
    """Labels."""
    vendors: str | None = None
    """OpenRouter's `provider` object, less its lists of providers: JSON, for OpenRouter alone."""
    extra: dict[str, Raw] = {}
    """OpenAI's fields that the proxy does not know, for a provider of that dialect."""


class Embeddings(Struct, frozen=True, kw_only=True):
    """Vectors in the order of the inputs: floats, or base64 text where the request wants that."""

    vectors: tuple[tuple[float, ...] | str, ...]
    model: str | None = None
    usage: Usage | None = None
