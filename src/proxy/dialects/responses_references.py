"""What a request of OpenAI's Responses says of earlier ones: a response that it continues, items
that it repeats by their ids. Whoever keeps those puts them in place before the request is read."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated

import msgspec
from msgspec import Meta, Raw, Struct

from proxy.core import splice
from proxy.core.errors import InvalidRequest, NotFound
from proxy.core.messages import NOTHING
from proxy.core.splice import NULL, begins, wrap
from proxy.dialects import older_forms, reading

PREVIOUS = "previous_response_id"
MAX_ITEMS = 8192


class References(Struct, frozen=True):
    """What a request says of earlier ones, and whether it is to be kept itself."""

    previous: str | None = None
    items: tuple[str, ...] = ()
    """The ids of the items that it repeats."""
    store: bool = True

    def __bool__(self) -> bool:
        return bool(self.previous or self.items)


class ItemHead(Struct, frozen=True):
    """What tells a reference from an item; it may lack its type."""

    type: str | None = None
    id: str | None = None
    role: Raw = NOTHING

    @property
    def is_reference(self) -> bool:
        """Whether it stands for the item of this id."""
        return self.type == "item_reference" or (
            self.type is None and not self.role and self.id is not None
        )


class _Body(Struct, frozen=True):
    input: str | Annotated[tuple[ItemHead, ...], Meta(max_length=MAX_ITEMS)] | None = None
    previous_response_id: str | None = None
    store: bool | None = None


class _Input(Struct, frozen=True):
    input: Raw = Raw(b"[]")


_BODY = msgspec.json.Decoder(_Body)
_HEAD = msgspec.json.Decoder(ItemHead)
_INPUT = msgspec.json.Decoder(_Input)


def read_reference(body: bytes) -> References:
    """What a body refers to. Raises InvalidRequest as `parse_chat` would."""
    reading.check(body)
    request = reading.decode(_BODY, body)
    heads = request.input if isinstance(request.input, tuple) else ()
    return References(
        previous=request.previous_response_id,
        items=tuple(head.id or "" for head in heads if head.is_reference),
        store=request.store is not False,
    )


def expand(body: bytes, earlier: Sequence[Raw], items: Mapping[str, Raw]) -> bytes:
    """A body that `read_reference` has read without its references: the earlier items stand before
    its own. items: those that it may repeat, by id. Raises NotFound for any other."""
    fields = splice.FIELDS.decode(body)
    own = [_resolve(raw, items) for raw in _own_items(fields.get("input"))]
    changed = {"input": [*map(wrap, earlier), *map(wrap, own)], PREVIOUS: None}
    return older_forms.with_changes(body, fields, changed)


def read_items(body: bytes) -> tuple[Raw, ...]:
    """The items of a body's `input`, as views of it."""
    return tuple(_own_items(_INPUT.decode(body).input))


def response_not_found(id_: str) -> InvalidRequest:
    """The error for a response that is not kept for the caller."""
    return InvalidRequest(
        f"Previous response with id '{id_[:200]}' not found.",
        param=PREVIOUS,
        code="previous_response_not_found",
    )


def item_not_found(id_: str) -> NotFound:
    """The error for an item that is not kept for the caller."""
    return NotFound(
        f"Item with id '{id_[:200]}' not found. Items are not persisted when `store` is set to"
        " false. Try again with `store` set to true, or remove this item from your input.",
        param="input",
        code="item_not_found",
    )


def _own_items(given: Raw | None) -> Iterator[Raw]:
    """The items of an `input`: a text is a message of the user's."""
    if given is None or given == NULL:
        return
    if begins(given, b"["):
        yield from splice.ITEMS.decode(given)
        return
    message = splice.encode({"type": "message", "role": "user", "content": wrap(given)})
    yield Raw(message if isinstance(message, bytes) else b"".join(message))


def forbid_store(body: bytes) -> bytes:
    """A body that `read_reference` has read, which is to be kept nowhere."""
    return older_forms.with_changes(body, splice.FIELDS.decode(body), {"store": False})


def _resolve(raw: Raw, items: Mapping[str, Raw]) -> Raw:
    head = _HEAD.decode(raw)
    if not head.is_reference:
        return raw
    found = items.get(head.id or "")
    if found is None:
        raise item_not_found(head.id or "")
    return found
