"""The vectors of an answer of embeddings, as numbers or packed."""

import base64
import struct
from collections.abc import Sequence

from proxy.core.embedding import EmbeddingRequest
from proxy.providers.garbage import garbage
from proxy.providers.target import Target

Vector = tuple[float, ...] | str
"""An embedding: floats, or base64 of little-endian float32."""
VECTOR_VALUES = 1_000_000
"""Numbers in an answer of embeddings: each takes some 20 bytes of an isolate's 128 MB."""


def convert_vectors(
    target: Target, request: EmbeddingRequest, vectors: Sequence[Vector], body: bytes
) -> tuple[Vector, ...]:
    """The vectors in the form that the request wants. Raises Fault where one is missing."""
    if len(vectors) != len(request.input):
        why = f"It holds {len(vectors)} vectors for {len(request.input)} inputs"
        raise garbage(target, why, body)
    convert = _pack if request.base64 else _unpack
    try:
        return tuple(convert(vector) for vector in vectors)
    except (ValueError, OverflowError, struct.error) as error:
        raise garbage(target, f"A vector is broken ({error})", body) from error


def _pack(vector: Vector) -> str:
    if isinstance(vector, str):
        return vector
    return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()


def _unpack(vector: Vector) -> tuple[float, ...]:
    if not isinstance(vector, str):
        return vector
    data = base64.b64decode(vector, validate=True)
    return struct.unpack(f"<{len(data) // 4}f", data)
