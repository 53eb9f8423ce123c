"""Fields that the proxy itself adds to a request and that a strict provider refuses: they are left
out and the request is sent again; an isolate remembers which provider refuses which.
"""

import re

import msgspec
from msgspec import structs

from proxy.core.nesting import Text
from proxy.core.ports import Outgoing
from proxy.core.splice import FIELDS, SMALL

ADDED = ("stream_options", "encoding_format")
"""What no answer needs: the first is for the accounting, the second a form of vectors that the
proxy can make itself."""


class RefusedFields:
    """What each provider has refused: at most ADDED for each of the configured ones."""

    def __init__(self) -> None:
        self._by_provider: dict[str, frozenset[str]] = {}

    def left_out(self, provider: str, request: Outgoing) -> Outgoing:
        """The request without what the provider is known to refuse."""
        return without(request, self._by_provider.get(provider, frozenset()))

    def remember(self, provider: str, names: frozenset[str]) -> None:
        """The provider has answered without these, and refused them before."""
        self._by_provider[provider] = self._by_provider.get(provider, frozenset()) | names


def named_in(error: bytes, request: Outgoing) -> frozenset[str]:
    """The added fields of a request that an error's body names, in whichever words."""
    sent = [part for part in _parts(request) if len(part) <= SMALL]
    named = [name for name in ADDED if name.encode() in error]
    return frozenset(n for n in named if any(f'"{n}"'.encode() in bytes(part) for part in sent))


def without(request: Outgoing, names: frozenset[str]) -> Outgoing:
    """The request without these fields: the same object where it has none of them."""
    if not names or request.body is None:
        return request
    if not isinstance(request.body, bytes):  # large: what is added stands in the small parts
        return structs.replace(request, body=tuple(_cut(part, names) for part in request.body))
    fields = FIELDS.decode(request.body)
    if names.isdisjoint(fields):
        return request
    kept = {name: value for name, value in fields.items() if name not in names}
    return structs.replace(request, body=msgspec.json.encode(kept))


def _parts(request: Outgoing) -> tuple[Text, ...]:
    body = request.body or b""
    parts = (body,) if isinstance(body, bytes) else body
    return tuple(map(memoryview, parts))


def _cut(part: Text, names: frozenset[str]) -> Text:
    """A part of a body without fields whose values are flat objects."""
    if len(memoryview(part)) > SMALL:
        return part
    for name in names:
        field = rb'"%b":\{[^{}]{0,200}\}' % name.encode()
        part = re.sub(field + b",|," + field, b"", part)
    return part
