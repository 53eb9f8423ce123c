"""Exchanges fields of a caller's JSON body and leaves every other byte of it where it is: a
provider that the body is meant for gets it as its caller wrote it."""

from collections.abc import Mapping

import msgspec
from msgspec import Raw

from proxy.core import splice
from proxy.core.ports import Body


def exchange_fields(body: bytes, given: Mapping[str, Raw], changes: Mapping[str, Raw]) -> Body:
    """The body with other values of some fields, and fields that it lacks at its end. given: its
    fields, as they were read."""
    new = {name: raw for name, raw in changes.items() if given.get(name) != raw}
    if not new:
        return body
    view, parts = memoryview(body), list[bytes | memoryview | Raw]()
    copied = at = 0
    for name, raw in given.items():
        lead = splice.LEAD.match(body, at)
        if lead is None or lead[1] != msgspec.json.encode(name):
            return _encode_all(given, changes)  # a field stands twice, a name has an escape
        at = lead.end() + len(memoryview(raw))
        if name in new:
            parts += (view[copied : lead.end()], new.pop(name))
            copied = at
    end = body.rfind(b"}")
    if not given or body[at:end].strip():  # a field stands twice
        return _encode_all(given, changes)
    added = (b"," + msgspec.json.encode(name) + b":" + bytes(raw) for name, raw in new.items())
    return (*parts, view[copied:at], *added, view[at:])


def _encode_all(given: Mapping[str, Raw], changes: Mapping[str, Raw]) -> Body:
    """The fields anew, each once."""
    fields = {**given, **changes}
    return splice.encode({name: splice.wrap(raw) for name, raw in fields.items()})
