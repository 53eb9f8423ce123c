"""Bodies that a dialect refuses."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from proxy.core.chat import Call
from proxy.core.embedding import EmbeddingRequest
from proxy.core.errors import InvalidRequest
from proxy.dialects import native, openai

Parse = Callable[[bytes], Call | EmbeddingRequest]
NATIVE, CHAT, EMBED = native.parse_chat, openai.parse_chat, openai.parse_embeddings
USER = {"role": "user", "content": "hi"}
PNG = "data:image/png;base64,iVBORw0KGgo="


def refused(parse: Parse, body: bytes | dict[str, Any]) -> InvalidRequest:
    with pytest.raises(InvalidRequest) as caught:
        parse(body if isinstance(body, bytes) else json.dumps(body).encode())
    assert caught.value.status == 400
    assert caught.value.source == "proxy"
    return caught.value
