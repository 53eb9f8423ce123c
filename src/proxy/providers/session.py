"""The name of a conversation for the providers that want to know it: where their cache of prompts
is, they find by it."""

from hashlib import sha256

import msgspec
from msgspec import structs

from proxy.core.ports import Body, Outgoing
from proxy.core.splice import SMALL
from proxy.providers.target import Target

CACHE_KEY = "prompt_cache_key"
LONGEST = {CACHE_KEY: 64}
"""Characters that a field takes; a longer name goes as its digest."""
_WIRES = ("chat", "responses")
"""The dialects in whose bodies a provider's field stands."""


def name_session(outgoing: Outgoing, target: Target, session: str) -> Outgoing:
    """The call with the conversation's name, as the catalogue says that the provider takes it: no
    other byte changes. session: empty: nobody has named it."""
    spec, endpoint = target.spec, target.endpoint
    if not session:
        return outgoing
    if header := endpoint.session_header or spec.session_header:
        headers = outgoing.headers | {header: session}
        outgoing = structs.replace(outgoing, headers=headers)
    field, body = endpoint.session_field or spec.session_field, outgoing.body
    if field is None or body is None or target.wire not in _WIRES:
        return outgoing
    if _mentions(body, field) or _mentions(body, CACHE_KEY):  # the caller says it itself
        return outgoing
    if len(session) > LONGEST.get(field, len(session)):
        session = sha256(session.encode()).hexdigest()
    begin = b'{"%b":%b,' % (field.encode(), msgspec.json.encode(session))
    return structs.replace(outgoing, body=_begin_with(begin, body))


def _mentions(body: Body, field: str) -> bool:
    """Whether a body may hold a field. What is large in parts is a single value."""
    parts = (body,) if isinstance(body, bytes) else body
    quoted = b'"%b"' % field.encode()
    return any(
        quoted in (part if isinstance(part, bytes) else bytes(part))
        for part in parts
        if isinstance(part, bytes) or len(memoryview(part)) <= SMALL
    )


def _begin_with(begin: bytes, body: Body) -> Body:
    """An object with a field before those that it has."""
    if isinstance(body, bytes):
        rest = memoryview(body)[body.index(b"{") + 1 :]
        return (begin, rest) if len(rest) > SMALL else begin + bytes(rest)
    return (begin, memoryview(body[0])[1:], *body[1:])
