"""Fields that the proxy adds to a request and that a strict provider refuses."""

import re

from msgspec import structs

from proxy.core import splice
from proxy.core.json_guard import Text
from proxy.core.ports import Outgoing
from proxy.core.splice import FIELDS, SMALL

ADDED = {
    "stream_options": rb'\{\s*"include_usage"\s*:\s*true\s*\}',
    "encoding_format": rb'"\w+"',
    "prompt_cache_key": rb'"[^"\\]{1,64}"',
}
"""What no answer needs, with the values that count as the proxy's own: a caller's own options are
refused to the caller. The first is for the accounting; the form of vectors the proxy can make; the
last one says which conversation it is."""


class RefusedFields:
    """What each provider has refused: at most ADDED for each of the configured ones."""

    def __init__(self) -> None:
        self._by_provider: dict[str, frozenset[str]] = {}

    def leave_out(self, provider: str, request: Outgoing) -> Outgoing:
        """The request without what the provider is known to refuse."""
        names = self._by_provider.get(provider)
        return without(request, names) if names else request

    def remember(self, provider: str, names: frozenset[str]) -> None:
        """Remembers what the provider refused, once it has answered without."""
        self._by_provider[provider] = self._by_provider.get(provider, frozenset()) | names


def find_named(error: bytes, request: Outgoing) -> frozenset[str]:
    """The added fields of a request that an error's body names, in whichever words."""
    return frozenset(name for name in _added(request) if name.encode() in error)


def without(request: Outgoing, names: frozenset[str]) -> Outgoing:
    """The request without some fields; the same object where it has none of them."""
    names = names and names & _added(request)
    if not names or request.body is None:
        return request
    if not isinstance(request.body, bytes):  # large: what is added stands in the small parts
        return structs.replace(request, body=tuple(_cut(part, names) for part in request.body))
    fields = FIELDS.decode(request.body)
    kept = {name: raw for name, raw in fields.items() if name not in names}
    return structs.replace(request, body=splice.encode_fields(kept))


def _added(request: Outgoing) -> frozenset[str]:
    """The fields of a request that the proxy has added."""
    body = request.body
    if body is None:
        return frozenset()
    if isinstance(body, bytes):
        fields = FIELDS.decode(body)
        return frozenset(
            n for n, own in ADDED.items() if n in fields and re.fullmatch(own, bytes(fields[n]))
        )
    small = [bytes(part) for part in body if len(memoryview(part)) <= SMALL]
    return frozenset(n for n in ADDED if any(re.search(_field(n), part) for part in small))


def _field(name: str) -> bytes:
    return rb'"%b":%b' % (name.encode(), ADDED[name])


def _cut(part: Text, names: frozenset[str]) -> Text:
    """A small part of a body without fields."""
    if len(memoryview(part)) > SMALL:
        return part
    for name in names:
        field = _field(name)
        part = re.sub(field + b",|," + field, b"", part)
    return part
